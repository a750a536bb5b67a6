"""Wait for tasks, task groups, index entries and artifacts, and create a task again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import worker

import taskcluster
import taskcluster.aio
import taskcluster.aio.helper
from taskcluster.helper import (
    WaitTimeoutError,
    resubmittable,
    wait_for_artifact,
    wait_for_indexed_task,
    wait_for_task,
    wait_for_task_group,
)

PATH = "examples.waiting.latest"
ARTIFACT = "public/result.txt"


def work(options: dict[str, Any], task_id: str) -> None:
    """Run the task, like a worker."""
    own = worker.claim(taskcluster.Queue(options), task_id)
    taskcluster.upload.uploadArtifactFromBuf(
        taskId=task_id, runId=0, name=ARTIFACT, contentType="text/plain", data=b"done\n",
        expires=taskcluster.fromNow("30 minutes"), queueService=own,
    )  # fmt: skip
    own.reportCompleted(task_id, "0")


def on_first_call(action: Callable[[], None], seen: list[Any]) -> Callable[[Any], None]:
    """Return an `on_change` that records its arguments and starts the action in a thread on the first call."""

    def on_change(found: Any) -> None:
        seen.append(found)
        if len(seen) == 1:
            threading.Thread(target=action).start()

    return on_change


def sync(options: dict[str, Any], task_id: str) -> None:
    """Wait for a task, its group, its index entry and its artifact."""
    queue, index = taskcluster.Queue(options), taskcluster.Index(options)
    try:
        wait_for_task(queue, task_id, timeout=0)
    except WaitTimeoutError as error:
        print("timeout:", error.last["state"])

    # The interval between polls starts at `delay` seconds. A thread runs the task meanwhile.
    seen: list[dict[str, Any]] = []
    on_change = on_first_call(lambda: work(options, task_id), seen)
    status = wait_for_task(queue, task_id, timeout=60, on_change=on_change, delay=0.1)
    print("wait_for_task:", status["state"], "from", seen[0]["state"])
    print("wait_for_task_group:", dict(wait_for_task_group(queue, task_id, timeout=60)))
    print("wait_for_indexed_task:", wait_for_indexed_task(index, PATH, timeout=60)["taskId"] == task_id)
    print("wait_for_artifact:", wait_for_artifact(queue, task_id, ARTIFACT, timeout=60)["contentType"])


async def in_async_code(options: dict[str, Any], task_id: str) -> None:
    """Wait for several things concurrently."""
    helper = taskcluster.aio.helper
    seen: list[Any] = []
    on_change = on_first_call(lambda: work(options, task_id), seen)
    async with taskcluster.aio.Queue(options) as queue:
        status, states, artifact = await asyncio.gather(
            helper.wait_for_task(queue, task_id, timeout=60, on_change=on_change, delay=0.1),
            helper.wait_for_task_group(queue, task_id, timeout=60, delay=0.1),
            helper.wait_for_artifact(queue, task_id, ARTIFACT, timeout=60, delay=0.1),
        )
    print("async:", status["state"], dict(states), artifact["name"])


def main() -> None:
    """Wait for a task, and then for a copy of it."""
    options = taskcluster.optionsFromEnvironment()
    queue = taskcluster.Queue(options)
    first, again = taskcluster.slugId(), taskcluster.slugId()
    queue.createTask(first, {**worker.definition("waiting"), "taskGroupId": first, "routes": [f"index.{PATH}"]})
    sync(options, first)

    # resubmittable moves the dates to now and keeps the group, which this replaces.
    queue.createTask(again, {**resubmittable(queue.task(first)), "taskGroupId": again})
    asyncio.run(in_async_code(options, again))


if __name__ == "__main__":
    main()
