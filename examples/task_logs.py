"""Read the log of a running or resolved task line by line, even if it is private."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import worker

import taskcluster
import taskcluster.aio
import taskcluster.aio.helper
from taskcluster.helper import task_log_lines

# The payload names private logs, which need a scope.
PAYLOAD = {"logs": {"live": "private/logs/live.log", "backing": "private/logs/live_backing.log"}}
LINES = ["checking out", "building", "done"]


def finish(own: taskcluster.Queue, task_id: str) -> None:
    """Upload the log and resolve the task, like its worker."""
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
    """Follow a running task, and read its log again after it is resolved."""
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
