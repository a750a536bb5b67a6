"""`taskcluster.aio.download`: downloads of objects and artifacts, async. It can be called as `download`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from taskcluster_object.aio import Object as Object

from taskcluster.registry import registry

from .. import bodies
from ..bodies import AnyWriterFactory, writing_to
from ..callable_modules import CallableDownload
from ..effects import Progress
from ..hashing import ACCEPTABLE_HASHES as ACCEPTABLE_HASHES
from ..hashing import verifyHashes as verifyHashes
from ..methods import download_methods
from ..procedures.artifacts import (
    ArtifactContent,
    artifact_fetcher,
    fetch_artifact,
    fetch_content,
    fetch_many,
    fetch_object,
    fetch_to_path,
)
from .performer import transfer, transfer_settings
from .reader_writer import BufferWriter as BufferWriter
from .reader_writer import FileWriter as FileWriter
from .reader_writer import HashingWriter as HashingWriter
from .reader_writer import streamingCopy as streamingCopy

__all__ = [
    "ArtifactContent",
    "download",
    "downloadArtifact",
    "downloadArtifactToBuf",
    "downloadArtifactToFile",
    "downloadArtifactToPath",
    "downloadTaskArtifacts",
    "downloadToBuf",
    "downloadToFile",
    "downloadToPath",
    "getArtifactContent",
]


def __dir__() -> list[str]:
    return __all__


async def download(
    *,
    name: str,
    maxRetries: int | None = None,
    objectService: Any,
    writerFactory: AnyWriterFactory,
    progress: Progress | None = None,
) -> str:
    """Download an object into a writer.

    If the connection breaks, the download resumes with the same writer. If storage cannot resume, it restarts with
    another writer.

    Args:
        name: The object's name.
        maxRetries: The maximum number of retries of a request to storage. Defaults to the client's.
        objectService: A client of the object service, sync or async.
        writerFactory: Returns a writer. Called before the first byte, also when the download restarts. It and the
            writer may be async; otherwise they run in a thread.
        progress: Called with the bytes received and the total or None, both before decoding.
            May be a coroutine function.

    Returns:
        The content type. Only now are the written bytes verified.

    Raises:
        ObjectHashVerificationError: A hash does not match, or the object service returned no supported hash.
        TaskclusterConnectionError: There was no complete response, after all retries.
        TaskclusterRestFailure: The object service or storage responded with an error.
    """
    settings = transfer_settings(objectService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    fetched = await transfer(fetch_object(objectService, name, methods, writerFactory, settings), settings)
    return fetched.content_type


async def downloadToBuf(
    *, name: str, maxRetries: int | None = None, objectService: Any, progress: Progress | None = None
) -> tuple[memoryview, str]:
    """Download an object into memory.

    The other parameters are as for `download`.

    Returns:
        The bytes and the content type.

    Raises:
        TaskclusterFailure: As `download`.
    """
    settings = transfer_settings(objectService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    fetched = await transfer(fetch_object(objectService, name, methods, bodies.MemoryWriter, settings), settings)
    return fetched.writer.getbuffer(), fetched.content_type


async def downloadToFile(
    file: BinaryIO,
    *,
    name: str,
    maxRetries: int | None = None,
    objectService: Any,
    progress: Progress | None = None,
) -> str:
    """Download an object into an open file, and replace its content.

    `file`: Open for writing bytes. After a failed download it holds a part.
    The other parameters are as for `download`.

    Returns:
        The content type.

    Raises:
        TaskclusterFailure: As `download`.
        OSError: The file cannot be written.
    """
    return await download(
        name=name,
        maxRetries=maxRetries,
        objectService=objectService,
        writerFactory=writing_to(file),
        progress=progress,
    )


async def downloadToPath(
    path: str | os.PathLike[str],
    *,
    name: str,
    maxRetries: int | None = None,
    objectService: Any,
    progress: Progress | None = None,
) -> str:
    """Download an object to a path. The file appears there when it is complete and verified.

    `path`: In an existing directory. An existing file is replaced when the new one is complete, which gets the same
        permissions. A symbolic link is replaced, too; its target is not changed. Pipes and devices are rejected.
    The other parameters are as for `download`.

    Returns:
        The content type.

    Raises:
        TaskclusterFailure: As `download`. No file is left.
        OSError: The file cannot be written.
    """
    settings = transfer_settings(objectService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    procedure = fetch_to_path(path, lambda writers: fetch_object(objectService, name, methods, writers, settings))
    return (await transfer(procedure, settings)).content_type


async def downloadArtifact(
    *,
    taskId: str,
    name: str,
    runId: int | str | None = None,
    maxRetries: int | None = None,
    queueService: Any,
    writerFactory: AnyWriterFactory,
    progress: Progress | None = None,
) -> str:
    """Download a task's artifact into a writer, whatever its storage type.

    `taskId`: The task.
    `name`: The artifact's name.
    `runId`: Its run. Defaults to the latest.
    `maxRetries`: The maximum number of retries of a request to storage. Defaults to the client's.
    `queueService`: A client of the queue, sync or async.
    The other parameters are as for `download`.

    Returns:
        The content type. Only now are the written bytes verified.

    Raises:
        TaskclusterArtifactError: The artifact is an error. `reason` is the worker's.
        ObjectHashVerificationError: A hash does not match, or the object service returned no supported hash.
        TaskclusterConnectionError: There was no complete response, after all retries.
        TaskclusterRestFailure: The queue, the object service or storage responded with an error.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    fetched = await transfer(
        fetch_artifact(queueService, taskId, runId, name, methods, writerFactory, settings), settings
    )
    return fetched.content_type


async def downloadArtifactToBuf(
    *,
    taskId: str,
    name: str,
    runId: int | str | None = None,
    maxRetries: int | None = None,
    queueService: Any,
    progress: Progress | None = None,
) -> tuple[memoryview, str]:
    """Download a task's artifact into memory.

    The other parameters are as for `downloadArtifact`.

    Returns:
        The bytes and the content type.

    Raises:
        TaskclusterFailure: As `downloadArtifact`.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    fetched = await transfer(
        fetch_artifact(queueService, taskId, runId, name, methods, bodies.MemoryWriter, settings), settings
    )
    return fetched.writer.getbuffer(), fetched.content_type


async def downloadArtifactToFile(
    file: BinaryIO,
    *,
    taskId: str,
    name: str,
    runId: int | str | None = None,
    maxRetries: int | None = None,
    queueService: Any,
    progress: Progress | None = None,
) -> str:
    """Download a task's artifact into an open file, and replace its content.

    `file`: Open for writing bytes. After a failed download it holds a part.
    The other parameters are as for `downloadArtifact`.

    Returns:
        The content type.

    Raises:
        TaskclusterFailure: As `downloadArtifact`.
        OSError: The file cannot be written.
    """
    return await downloadArtifact(
        taskId=taskId,
        name=name,
        runId=runId,
        maxRetries=maxRetries,
        queueService=queueService,
        writerFactory=writing_to(file),
        progress=progress,
    )


async def downloadArtifactToPath(
    path: str | os.PathLike[str],
    *,
    taskId: str,
    name: str,
    runId: int | str | None = None,
    maxRetries: int | None = None,
    queueService: Any,
    progress: Progress | None = None,
) -> str:
    """Download a task's artifact to a path. The file appears there when it is complete and verified.

    `path`: In an existing directory. An existing file is replaced when the new one is complete, which gets the same
        permissions. A symbolic link is replaced, too; its target is not changed. Pipes and devices are rejected.
    The other parameters are as for `downloadArtifact`.

    Returns:
        The content type.

    Raises:
        TaskclusterFailure: As `downloadArtifact`. No file is left.
        OSError: The file cannot be written.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    fetcher = artifact_fetcher(queueService, taskId, runId, name, methods, settings)
    fetched = await transfer(fetch_to_path(path, fetcher), settings)
    return fetched.content_type


async def downloadTaskArtifacts(
    taskId: str,
    pattern: str,
    directory: str | os.PathLike[str],
    *,
    runId: int | str | None = None,
    maxRetries: int | None = None,
    queueService: Any,
    concurrency: int = 8,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Download many artifacts of a task into a directory, several at a time.

    Args:
        taskId: The task.
        pattern: A shell pattern for names, e.g. `public/logs/*`. A `*` also matches slashes.
        directory: Created if missing. Each slash in a name starts a subdirectory.
        runId: The run. Defaults to the latest.
        maxRetries: The maximum number of retries of a request to storage. Defaults to the client's.
        queueService: A client of the queue, sync or async.
        concurrency: The maximum number of downloads at a time.
        progress: Called with the bytes received of all artifacts, and None. May be a coroutine function.

    Returns:
        The path of each file by the name of its artifact.

    Raises:
        TaskclusterFailure: As `downloadArtifact`, for the first that fails. Files that are complete by then stay. Or a
            name leads out of the directory, and nothing was downloaded.
        OSError: A file cannot be written.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    procedure = fetch_many(queueService, taskId, runId, pattern, directory, methods, concurrency, settings)
    return await transfer(procedure, settings)


async def getArtifactContent(
    taskId: str,
    name: str,
    runId: int | str | None = None,
    *,
    maxRetries: int | None = None,
    queueService: Any,
    indexService: Any = None,
    progress: Progress | None = None,
) -> ArtifactContent:
    """Return an artifact's content, whatever its storage type. Objects are verified.

    The client's credentials are sent to the queue only, never to storage or redirects.

    Args:
        taskId: The task. With `indexService`, its path in the index.
        name: The artifact's name.
        runId: Its run. Defaults to the latest.
        maxRetries: The maximum number of retries of a request to storage. Defaults to the client's.
        queueService: A client of the queue, sync or async.
        indexService: A client of the index, sync or async, if `taskId` is a path.
        progress: As for `download`.

    Returns:
        The content, with `.json()`, `.text()`, `.bytes()`, `.iter_bytes()` and `.content_type`.

    Raises:
        TaskclusterFailure: As `downloadArtifact`, or the index has no such path.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    methods = download_methods(registry.transfer_methods())
    fetcher = artifact_fetcher(queueService, taskId, runId, name, methods, settings, indexService)
    return await transfer(fetch_content(fetcher), settings)


sys.modules[__name__].__class__ = CallableDownload
