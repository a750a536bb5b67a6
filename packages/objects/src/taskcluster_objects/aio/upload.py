"""`taskcluster.aio.upload`: uploads of objects and artifacts, async. It can be called as `upload`."""

from __future__ import annotations

import asyncio
import datetime
import os
import sys
from typing import Any, BinaryIO, Literal

from taskcluster.registry import registry
from taskcluster.slugs import slugId

from .. import bodies
from ..bodies import AnyReaderFactory
from ..callable_modules import CallableUpload
from ..effects import Progress
from ..methods import DATA_INLINE_MAX_SIZE, upload_methods
from ..procedures.artifacts import upload_artifact
from ..procedures.uploads import ObjectUpload, upload_object
from .performer import transfer, transfer_settings
from .reader_writer import BufferReader as BufferReader
from .reader_writer import BufferWriter as BufferWriter
from .reader_writer import FileReader as FileReader
from .reader_writer import HashingReader as HashingReader
from .reader_writer import streamingCopy as streamingCopy

__all__ = [
    "DATA_INLINE_MAX_SIZE",
    "upload",
    "uploadArtifactFromBuf",
    "uploadArtifactFromFile",
    "uploadFromBuf",
    "uploadFromFile",
]


async def upload(
    *,
    projectId: str,
    name: str,
    contentType: str,
    contentLength: int,
    expires: datetime.datetime | str,
    readerFactory: AnyReaderFactory,
    maxRetries: int | None = None,
    uploadId: str | None = None,
    objectService: Any,
    progress: Progress | None = None,
) -> None:
    """Upload an object from readers.

    Args:
        projectId: The project it belongs to.
        name: Its name.
        contentType: Its media type.
        contentLength: How many bytes the reader gives, exactly.
        expires: When it ceases to exist.
        readerFactory: Returns a reader at the first byte; called once for each attempt. It and the reader may be
            async or not; what is not runs in a thread.
        maxRetries: How often a failed request to storage is repeated; where left out, as for the client.
        uploadId: A slugId; where left out, a new one.
        objectService: A client of the object service, sync or async.
        progress: Called with the bytes sent and the bytes in all; begins anew with each attempt.
            May be a coroutine function.

    Raises:
        TaskclusterFailure: The reader gives less or more than contentLength, or the service has no method for us.
        TaskclusterConnectionError: There was no answer, after all retries.
        TaskclusterRestFailure: The object service or storage answered with a failure.
    """
    settings = transfer_settings(objectService, maxRetries, progress)
    wanted = ObjectUpload(projectId, name, contentType, contentLength, uploadId or slugId(), expires)
    methods = upload_methods(registry.transfer_methods())
    await transfer(upload_object(wanted, readerFactory, objectService, methods, settings), settings)


async def uploadFromBuf(
    *,
    projectId: str,
    name: str,
    contentType: str,
    contentLength: int | None = None,
    expires: datetime.datetime | str,
    data: bytes | bytearray | memoryview,
    maxRetries: int | None = None,
    uploadId: str | None = None,
    objectService: Any,
    progress: Progress | None = None,
) -> None:
    """Upload an object from memory.

    `data`: The bytes.
    `contentLength`: How many they are; may be left out.
    The other parameters are as for `upload`.

    Raises:
        TaskclusterFailure: As `upload`.
    """
    await upload(
        projectId=projectId,
        name=name,
        contentType=contentType,
        contentLength=memoryview(data).nbytes if contentLength is None else contentLength,
        expires=expires,
        readerFactory=lambda: bodies.BufferReader(data),
        maxRetries=maxRetries,
        uploadId=uploadId,
        objectService=objectService,
        progress=progress,
    )


async def uploadFromFile(
    *,
    projectId: str,
    name: str,
    contentType: str,
    contentLength: int | None = None,
    expires: datetime.datetime | str,
    file: BinaryIO,
    maxRetries: int | None = None,
    uploadId: str | None = None,
    objectService: Any,
    progress: Progress | None = None,
) -> None:
    """Upload an object from an open file, from its beginning to its end.

    `file`: Open for reading bytes, and seekable.
    `contentLength`: Its size; may be left out.
    The other parameters are as for `upload`.

    Raises:
        TaskclusterFailure: As `upload`.
        OSError: The file cannot be read.
    """
    await upload(
        projectId=projectId,
        name=name,
        contentType=contentType,
        contentLength=await asyncio.to_thread(file.seek, 0, os.SEEK_END) if contentLength is None else contentLength,
        expires=expires,
        readerFactory=lambda: bodies.FileReader(file),
        maxRetries=maxRetries,
        uploadId=uploadId,
        objectService=objectService,
        progress=progress,
    )


async def uploadArtifactFromBuf(
    *,
    taskId: str,
    runId: int | str,
    name: str,
    contentType: str,
    expires: datetime.datetime | str,
    data: bytes | bytearray | memoryview,
    maxRetries: int | None = None,
    queueService: Any,
    storageType: Literal["object", "s3"] | None = None,
    progress: Progress | None = None,
) -> str:
    """Create an artifact of a running task from memory: declare it, upload it, finish it.

    Args:
        taskId: The task.
        runId: Its run.
        name: The artifact's name, such as `public/build/target.zip`.
        contentType: Its media type.
        expires: When it ceases to exist, at the latest with its task.
        data: The bytes.
        maxRetries: How often a failed request to storage is repeated; where left out, as for the client.
        queueService: A client of the queue with the task's credentials, sync or async.
        storageType: How to store it; where left out, as an object, and in s3 where the queue knows no objects.
        progress: Called with the bytes sent and the bytes in all; begins anew with each attempt.
            May be a coroutine function.

    Returns:
        How the deployment stores it: `object` or `s3`.

    Raises:
        TaskclusterConnectionError: There was no answer, after all retries.
        TaskclusterRestFailure: The queue, the object service or storage answered with a failure.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    size = memoryview(data).nbytes
    methods = upload_methods(registry.transfer_methods())
    procedure = upload_artifact(
        queueService,
        taskId,
        runId,
        name,
        contentType,
        size,
        expires,
        lambda: bodies.BufferReader(data),
        storageType,
        methods,
        settings,
    )
    return await transfer(procedure, settings)


async def uploadArtifactFromFile(
    *,
    taskId: str,
    runId: int | str,
    name: str,
    contentType: str,
    expires: datetime.datetime | str,
    file: BinaryIO,
    maxRetries: int | None = None,
    queueService: Any,
    storageType: Literal["object", "s3"] | None = None,
    progress: Progress | None = None,
) -> str:
    """Create an artifact of a running task from an open file: declare it, upload it, finish it.

    `file`: Open for reading bytes, and seekable; it is uploaded from its beginning to its end.
    The other parameters are as for `uploadArtifactFromBuf`.

    Returns:
        How the deployment stores it: `object` or `s3`.

    Raises:
        TaskclusterFailure: As `uploadArtifactFromBuf`.
        OSError: The file cannot be read.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    size = await asyncio.to_thread(file.seek, 0, os.SEEK_END)
    methods = upload_methods(registry.transfer_methods())
    procedure = upload_artifact(
        queueService,
        taskId,
        runId,
        name,
        contentType,
        size,
        expires,
        lambda: bodies.FileReader(file),
        storageType,
        methods,
        settings,
    )
    return await transfer(procedure, settings)


sys.modules[__name__].__class__ = CallableUpload
