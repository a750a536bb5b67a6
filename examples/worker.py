"""Create and claim tasks for the other examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import taskcluster

if TYPE_CHECKING:
    from taskcluster_queue.types import CreateTaskRequest

POOL = "examples/worker"


def definition(name: str) -> CreateTaskRequest:
    """Return a small task."""
    return {
        "taskQueueId": POOL,
        "created": taskcluster.fromNow("0 seconds"),
        "deadline": taskcluster.fromNow("1 hour"),
        "payload": {},
        "metadata": {
            "name": name,
            "description": "Part of an example",
            "owner": "examples@example.com",
            "source": "https://example.com/examples",
        },
    }


def start(queue: taskcluster.Queue, task: CreateTaskRequest) -> tuple[str, taskcluster.Queue]:
    """Create a task and claim it; return its taskId and a client with the credentials of the claim."""
    task_id = taskcluster.slugId()
    queue.createTask(task_id, task)
    return task_id, claim(queue, task_id)


def claim(queue: taskcluster.Queue, task_id: str) -> taskcluster.Queue:
    """Claim the first run of a task, and return a client with the credentials of the claim."""
    claimed = queue.claimTask(task_id, "0", {"workerGroup": "examples", "workerId": "worker-1"})
    return taskcluster.Queue({"rootUrl": queue.options["rootUrl"], "credentials": claimed["credentials"]})
