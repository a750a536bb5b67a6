"""Download objects and artifacts to memory, files, writers and directories, sync and async."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import worker

import taskcluster
import taskcluster.aio

CONTENT = b"all work and no play\n" * 5000
OBJECT = f"examples/{taskcluster.slugId()}"
NAME = "public/build/log.txt"


def prepare(options: dict[str, Any]) -> str:
    """Create an object and an indexed task with artifacts, and return the taskId."""
    expires = taskcluster.fromNow("30 minutes")
    with taskcluster.Object(options) as service, taskcluster.Queue(options) as queue:
        taskcluster.upload.uploadFromBuf(
            projectId="examples", name=OBJECT, contentType="text/plain", expires=expires, data=CONTENT,
            objectService=service,
        )  # fmt: skip
        task_id, own = worker.start(
            queue, {**worker.definition("downloads"), "routes": ["index.examples.downloads.latest"]}
        )
        manifest = json.dumps({"files": [NAME]}).encode()
        for name, kind, data in (
            (NAME, "text/plain", CONTENT),
            ("public/build/manifest.json", "application/json", manifest),
            ("private/key.txt", "text/plain", b"behind a scope\n"),
        ):
            taskcluster.upload.uploadArtifactFromBuf(
                taskId=task_id, runId=0, name=name, contentType=kind, expires=expires, data=data, queueService=own
            )
        own.reportCompleted(task_id, "0")
    return task_id


def objects(service: taskcluster.Object, directory: Path) -> None:
    """Download an object in several ways."""
    buffer, content_type = taskcluster.download.downloadToBuf(name=OBJECT, objectService=service)
    print("downloadToBuf:", len(buffer), content_type)
    with open(directory / "object", "wb") as file:
        content_type = taskcluster.download.downloadToFile(name=OBJECT, maxRetries=3, objectService=service, file=file)
        print("downloadToFile:", file.tell(), content_type)
    # The factory is called again if the download restarts.
    content_type = taskcluster.download.download(name=OBJECT, objectService=service, writerFactory=io.BytesIO)
    print("download:", content_type)
    taskcluster.download.downloadToPath(directory / "complete", name=OBJECT, objectService=service)
    print("downloadToPath:", (directory / "complete").stat().st_size)


class Printer:
    """A custom writer."""

    def write(self, data: bytes) -> None:
        """Print the data."""
        print("downloadArtifact:", bytes(data))


def artifacts(queue: taskcluster.Queue, task_id: str, directory: Path) -> None:
    """Download artifacts of any storage type; `runId` defaults to the latest run."""
    buffer, content_type = taskcluster.download.downloadArtifactToBuf(taskId=task_id, name=NAME, queueService=queue)
    print("downloadArtifactToBuf:", len(buffer), content_type)
    with open(directory / "artifact", "wb") as file:
        taskcluster.download.downloadArtifactToFile(file, taskId=task_id, runId=0, name=NAME, queueService=queue)
        print("downloadArtifactToFile:", file.tell())
    taskcluster.download.downloadArtifact(
        taskId=task_id, name="private/key.txt", queueService=queue, writerFactory=Printer
    )
    taskcluster.download.downloadArtifactToPath(directory / "log", taskId=task_id, name=NAME, queueService=queue)
    print("downloadArtifactToPath:", (directory / "log").stat().st_size)
    found = taskcluster.download.downloadTaskArtifacts(task_id, "public/*", directory / "all", queueService=queue)
    print("downloadTaskArtifacts:", *sorted(found))


def content(queue: taskcluster.Queue, index: taskcluster.Index, task_id: str) -> None:
    """Read an artifact as JSON or text, by taskId or by index path."""
    manifest = taskcluster.download.getArtifactContent(task_id, "public/build/manifest.json", queueService=queue)
    print("getArtifactContent:", manifest.json())
    log = taskcluster.download.getArtifactContent(
        "examples.downloads.latest", NAME, queueService=queue, indexService=index
    )
    print("by its index path:", log.text().splitlines()[0])


async def in_async_code(options: dict[str, Any], task_id: str, directory: Path) -> None:
    """Download concurrently in async code, and record the progress of one download."""
    steps: list[int] = []
    async with taskcluster.aio.Object(options) as service, taskcluster.aio.Queue(options) as queue:
        (buffer, _), content_type, found, manifest = await asyncio.gather(
            taskcluster.aio.download.downloadToBuf(
                name=OBJECT, objectService=service, progress=lambda done, total: steps.append(done)
            ),
            taskcluster.aio.download.download(name=OBJECT, objectService=service, writerFactory=io.BytesIO),
            taskcluster.aio.download.downloadTaskArtifacts(task_id, "*", directory / "async", queueService=queue),
            taskcluster.aio.download.getArtifactContent(task_id, "public/build/manifest.json", queueService=queue),
        )
        print("async:", len(buffer), content_type, len(found), manifest.json())
        print("progress:", steps[-1])
        with open(directory / "async artifact", "wb") as file:
            await taskcluster.aio.download.downloadArtifactToFile(file, taskId=task_id, name=NAME, queueService=queue)
            print("async downloadArtifactToFile:", file.tell())


def main() -> None:
    """Download to a temporary directory."""
    options = taskcluster.optionsFromEnvironment()
    task_id = prepare(options)
    with (
        tempfile.TemporaryDirectory() as directory,
        taskcluster.Object(options) as service,
        taskcluster.Queue(options) as queue,
        taskcluster.Index(options) as index,
    ):
        objects(service, Path(directory))
        artifacts(queue, task_id, Path(directory))
        content(queue, index, task_id)
        asyncio.run(in_async_code(options, task_id, Path(directory)))


if __name__ == "__main__":
    main()
