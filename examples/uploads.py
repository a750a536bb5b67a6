"""Upload objects from memory, files and readers, and artifacts of a task, sync and async."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from typing import Any, BinaryIO

import worker

import taskcluster
import taskcluster.aio

PROJECT = "examples"


def objects(service: taskcluster.Object, file: BinaryIO) -> None:
    """Upload three objects. Small ones are part of the request, larger ones are sent to a URL."""
    common: dict[str, Any] = {"projectId": PROJECT, "expires": taskcluster.fromNow("1 day"), "objectService": service}
    name = f"examples/{taskcluster.slugId()}"

    taskcluster.upload.uploadFromBuf(name=f"{name}/buf", contentType="text/plain", data=b"hello", **common)
    taskcluster.upload.uploadFromFile(name=f"{name}/file", contentType="application/zip", file=file, **common)

    # The factory returns a reader at the first byte, once per attempt. Type checkers know the function
    # `upload.upload`, but not that the module is callable.
    taskcluster.upload(  # type: ignore[operator]
        name=f"{name}/reader",
        contentType="application/octet-stream",
        contentLength=100_000,
        uploadId=taskcluster.slugId(),
        readerFactory=lambda: io.BytesIO(bytes(100_000)),
        maxRetries=3,
        **common,
    )
    for each in ("buf", "file", "reader"):
        print("uploaded:", f"{name}/{each}", *sorted(service.object(f"{name}/{each}")["hashes"]))


class Countdown:
    """An async reader that generates its content."""

    def __init__(self) -> None:
        self._left = list(range(3, 0, -1))

    async def read(self, max_size: int = -1) -> bytes:
        """Return 1 to max_size bytes, or an empty value at the end."""
        return b"%d\n" % self._left.pop(0) if self._left else b""


async def objects_async(options: dict[str, Any], file: BinaryIO) -> None:
    """Do the same in async code. Readers may be sync or async."""
    common: dict[str, Any] = {"projectId": PROJECT, "expires": taskcluster.fromNow("1 day")}
    name = f"examples/{taskcluster.slugId()}"
    async with taskcluster.aio.Object(options) as service:
        common["objectService"] = service
        await asyncio.gather(
            taskcluster.aio.upload.uploadFromBuf(name=f"{name}/buf", contentType="text/plain", data=b"hello", **common),
            taskcluster.aio.upload.uploadFromFile(
                name=f"{name}/file", contentType="application/zip", file=file, **common
            ),
            taskcluster.aio.upload.upload(
                name=f"{name}/reader", contentType="text/plain", contentLength=6, readerFactory=Countdown, **common
            ),
        )
        for each in ("buf", "file", "reader"):
            found = await service.object(f"{name}/{each}")
            print("uploaded, async:", f"{name}/{each}", *sorted(found["hashes"]))


def artifacts(queue: taskcluster.Queue, file: BinaryIO) -> None:
    """Upload artifacts of a running task, like its worker."""
    task_id, own = worker.start(queue, worker.definition("uploads"))
    common: dict[str, Any] = {"taskId": task_id, "runId": 0, "expires": taskcluster.fromNow("30 minutes")}
    storage = taskcluster.upload.uploadArtifactFromBuf(
        name="public/hello.txt", contentType="text/plain", data=b"hello", queueService=own, **common
    )
    print("artifact:", task_id, "public/hello.txt", "as", storage)
    storage = taskcluster.upload.uploadArtifactFromFile(
        name="private/build.zip", contentType="application/zip", file=file, queueService=own, **common
    )
    print("artifact:", task_id, "private/build.zip", "as", storage)
    own.reportCompleted(task_id, "0")


def main() -> None:
    """Upload objects and artifacts of various sizes."""
    options = taskcluster.optionsFromEnvironment()
    with tempfile.TemporaryFile() as file, taskcluster.Object(options) as service, taskcluster.Queue(options) as queue:
        file.write(os.urandom(1 << 20))
        objects(service, file)
        asyncio.run(objects_async(options, file))
        artifacts(queue, file)


if __name__ == "__main__":
    main()
