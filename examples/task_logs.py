"""The log of a task as lines: of one that runs, to its end, and of one that has ended; private ones too."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import worker

import taskcluster
import taskcluster.aio
import taskcluster.aio.helper
from taskcluster.helper import task_log_lines

# A task that has its log where only those with a scope can read it.
PAYLOAD = {"logs": {"live": "private/logs/live.log", "backing": "private/logs/live_backing.log"}}
LINES = ["checking out", "building", "done"]


def finish(own: taskcluster.Queue, task_id: str) -> None:
    """Store the log and resolve the task, as its worker does at the end."""
    taskcluster.upload.uploadArtifactFromBuf(
        taskId=task_id, runId=0, name=PAYLOAD["logs"]["backing"], contentType="text/plain; charset=utf-8",
        expires=taskcluster.fromNow("30 minutes"), data="".join(f"{line}\n" for line in LINES).encode(),
        queueService=own,
    )  # fmt: skip
    own.reportCompleted(task_id, "0")


async def in_async_code(options: dict[str, Any], task_id: str) -> None:
    """Read it in async code."""
    async with taskcluster.aio.Queue(options) as queue:
        async for line in taskcluster.aio.helper.task_log_lines(queue, task_id):
            print("async:", line)


def main() -> None:
    """Follow a task while it runs, and read its log once more when it has ended."""
    options = taskcluster.optionsFromEnvironment()
    with taskcluster.Queue(options) as queue:
        task_id, own = worker.start(queue, {**worker.definition("task_logs"), "payload": PAYLOAD})
        threading.Thread(target=finish, args=(own, task_id)).start()
        for line in task_log_lines(queue, task_id, delay=0.1):
            print("followed:", line)
        for line in task_log_lines(queue, task_id):
            print("finished:", line)
    asyncio.run(in_async_code(options, task_id))


if __name__ == "__main__":
    main()
