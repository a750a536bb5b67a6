"""Upload artifacts with the credentials of a claim."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from taskcluster.timestamps import format_date
from taskcluster_objects.aio.upload import uploadArtifactFromBuf, uploadArtifactFromFile

from .artifacts import FileArtifact, MissingArtifact
from .task import Task

__all__ = ["Uploads", "at_most"]

_SMALL = 256 * 1024
"""Files up to this size are read into memory."""
_LONGEST_MESSAGE = 4096

_T = TypeVar("_T")


class Uploads:
    """Uploads artifacts of one run.

    Args:
        queue: A client whose credentials are those of the claim.
        taskId: The task.
        runId: Its run.
        directory: A directory for temporary files.
    """

    def __init__(self, queue: Any, taskId: str, runId: int, directory: Path) -> None:
        self._queue = queue
        self._run = {"taskId": taskId, "runId": runId}
        self._directory = directory

    async def create(self, name: str, payload: dict[str, Any], expires: datetime) -> None:
        """Create an artifact without data: a reference, a link, or an error."""
        await self._queue.createArtifact(
            self._run["taskId"], self._run["runId"], name, {**payload, "expires": format_date(expires)}
        )

    async def missing(self, artifact: MissingArtifact, task: Task) -> None:
        """Store why an artifact is missing."""
        payload = {
            "storageType": "error",
            "reason": artifact.reason,
            "message": artifact.message[:_LONGEST_MESSAGE],
        }
        await self.create(artifact.name, payload, artifact.declared.expires or task.expires)

    async def file(self, artifact: FileArtifact, task: Task) -> None:
        """Upload a file.

        Raises:
            OSError: It cannot be read.
            TaskclusterFailure: It could not be uploaded.
        """
        await self.path(
            artifact.name,
            artifact.path,
            artifact.content_type,
            artifact.content_encoding,
            artifact.declared.expires or task.expires,
        )

    async def path(self, name: str, path: Path, content_type: str, encoding: str, expires: datetime) -> None:
        """Upload a file as it is now; it may grow meanwhile."""
        # A FIFO that took its place would block.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(f"{path} is not a regular file")
            await self.opened(name, file, content_type, encoding, expires)

    async def opened(self, name: str, file: BinaryIO, content_type: str, encoding: str, expires: datetime) -> None:
        """Upload the contents of an open file, from its beginning; it may grow meanwhile."""
        size = os.fstat(file.fileno()).st_size
        options: dict[str, Any] = {
            **self._run,
            "name": name,
            "contentType": content_type,
            "contentEncoding": None if encoding == "identity" else encoding,
            "contentLength": size,
            "expires": format_date(expires),
            "queueService": self._queue,
            "storageType": "s3",
        }
        if size <= _SMALL:
            data = _Beginning(file, size).read()
            options["contentLength"] = len(data)
            await uploadArtifactFromBuf(data=data if encoding == "identity" else gzip.compress(data), **options)
        elif encoding == "identity":
            await uploadArtifactFromFile(file=io.BufferedReader(_Beginning(file, size)), **options)
        else:
            with tempfile.TemporaryFile(dir=self._directory) as packed:
                await asyncio.to_thread(_compress, _Beginning(file, size), packed)
                await uploadArtifactFromFile(file=packed, **options)


def _compress(source: io.RawIOBase, target: BinaryIO) -> None:
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6) as packing:
        shutil.copyfileobj(source, packing, _SMALL)


class _Beginning(io.RawIOBase):
    """The first bytes of a file, which may grow.

    Args:
        file: The file.
        size: How many bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._descriptor = file.fileno()
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Return whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Return whether `seek` works."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Change the position, and return it."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into a buffer, and return their number."""
        data = os.pread(self._descriptor, min(len(buffer), max(0, self._size - self._position)), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


async def at_most(count: int, function: Callable[[_T], Awaitable[None]], values: Iterable[_T]) -> None:
    """Call an async function with each value, at most `count` at a time. It must not raise but if it is cancelled."""
    waiting = iter(values)

    async def work() -> None:
        for value in waiting:
            await function(value)

    await asyncio.gather(*(work() for _ in range(count)))
