"""`taskcluster.upload`: uploads of objects and artifacts, sync. It can be called as `upload`."""

from __future__ import annotations

import datetime
import os
import sys
from typing import Any, BinaryIO, Literal

from taskcluster.registry import registry
from taskcluster.slugs import slugId

from .bodies import MemoryReader, OpenFileReader, ReaderFactory
from .callable_modules import CallableUpload
from .effects import Progress
from .methods import DATA_INLINE_MAX_SIZE, upload_methods
from .performer import transfer, transfer_settings
from .procedures.artifacts import upload_artifact
from .procedures.uploads import ObjectUpload, upload_object

__all__ = [
    "DATA_INLINE_MAX_SIZE",
    "upload",
    "uploadArtifactFromBuf",
    "uploadArtifactFromFile",
    "uploadFromBuf",
    "uploadFromFile",
]


def __dir__() -> list[str]:
    return __all__


def upload(
    *,
    projectId: str,
    name: str,
    contentType: str,
    contentLength: int,
    expires: datetime.datetime | str,
    readerFactory: ReaderFactory,
    maxRetries: int | None = None,
    uploadId: str | None = None,
    objectService: Any,
    progress: Progress | None = None,
) -> None:
    """Upload an object from readers.

    Args:
        projectId: Its project.
        name: Its name.
        contentType: Its media type.
        contentLength: The exact number of bytes.
        expires: Its expiration.
        readerFactory: Returns a reader from the first byte. Called once for each attempt.
        maxRetries: The maximum number of retries of a request to storage. Defaults to the client's.
        uploadId: A slugId. Defaults to a new one.
        objectService: A client of the object service, sync or async.
        progress: Called with the bytes sent and the total. Restarts at each attempt.

    Raises:
        TaskclusterFailure: The reader returned fewer or more bytes than contentLength, or no method is supported.
        TaskclusterConnectionError: There was no response, after all retries.
        TaskclusterRestFailure: The object service or storage responded with an error.
    """
    settings = transfer_settings(objectService, maxRetries, progress)
    wanted = ObjectUpload(projectId, name, contentType, contentLength, uploadId or slugId(), expires)
    methods = upload_methods(registry.transfer_methods())
    transfer(upload_object(wanted, readerFactory, objectService, methods, settings), settings)


def uploadFromBuf(
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
    `contentLength`: Their number. Optional.
    The other parameters are as for `upload`.

    Raises:
        TaskclusterFailure: As `upload`.
    """
    upload(
        projectId=projectId,
        name=name,
        contentType=contentType,
        contentLength=memoryview(data).nbytes if contentLength is None else contentLength,
        expires=expires,
        readerFactory=lambda: MemoryReader(data),
        maxRetries=maxRetries,
        uploadId=uploadId,
        objectService=objectService,
        progress=progress,
    )


def uploadFromFile(
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
    `contentLength`: Its size. Optional.
    The other parameters are as for `upload`.

    Raises:
        TaskclusterFailure: As `upload`.
        OSError: The file cannot be read.
    """
    upload(
        projectId=projectId,
        name=name,
        contentType=contentType,
        contentLength=file.seek(0, os.SEEK_END) if contentLength is None else contentLength,
        expires=expires,
        readerFactory=lambda: OpenFileReader(file),
        maxRetries=maxRetries,
        uploadId=uploadId,
        objectService=objectService,
        progress=progress,
    )


def uploadArtifactFromBuf(
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
    contentEncoding: str | None = None,
    contentLength: int | None = None,
    progress: Progress | None = None,
) -> str:
    """Create an artifact of a running task from memory: declare it, upload it, finish it.

    Args:
        taskId: The task.
        runId: Its run.
        name: The artifact's name, e.g. `public/build/target.zip`.
        contentType: Its media type.
        expires: Its expiration, at the latest that of its task.
        data: The bytes.
        maxRetries: The maximum number of retries of a request to storage. Defaults to the client's.
        queueService: A client of the queue with the task's credentials, sync or async.
        storageType: How to store it. Defaults to an object, or to s3 if the queue rejects objects.
        contentEncoding: The encoding that the data is in already, e.g. `gzip`. Needs the storage type s3.
        contentLength: The size that the queue records, which is that of the decoded data. Defaults to the size.
        progress: Called with the bytes sent and the total. Restarts at each attempt.

    Returns:
        The storage type: `object` or `s3`.

    Raises:
        TaskclusterConnectionError: There was no response, after all retries.
        TaskclusterRestFailure: The queue, the object service or storage responded with an error.
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
        lambda: MemoryReader(data),
        storageType,
        contentEncoding,
        contentLength,
        methods,
        settings,
    )
    return transfer(procedure, settings)


def uploadArtifactFromFile(
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
    contentEncoding: str | None = None,
    contentLength: int | None = None,
    progress: Progress | None = None,
) -> str:
    """Create an artifact of a running task from an open file: declare it, upload it, finish it.

    `file`: Open for reading bytes, and seekable; it is uploaded from its beginning to its end.
    The other parameters are as for `uploadArtifactFromBuf`.

    Returns:
        The storage type: `object` or `s3`.

    Raises:
        TaskclusterFailure: As `uploadArtifactFromBuf`.
        OSError: The file cannot be read.
    """
    settings = transfer_settings(queueService, maxRetries, progress)
    size = file.seek(0, os.SEEK_END)
    methods = upload_methods(registry.transfer_methods())
    procedure = upload_artifact(
        queueService,
        taskId,
        runId,
        name,
        contentType,
        size,
        expires,
        lambda: OpenFileReader(file),
        storageType,
        contentEncoding,
        contentLength,
        methods,
        settings,
    )
    return transfer(procedure, settings)


sys.modules[__name__].__class__ = CallableUpload
