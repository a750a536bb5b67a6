"""The lifecycle of a task on a local Taskcluster, with sync clients and then with async clients.

Run it with `tox run -e demo` or, if taskcluster-local is installed, with `python examples/demo.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import taskcluster
import taskcluster.aio
from taskcluster_local import LocalTaskcluster

if TYPE_CHECKING:
    from taskcluster_index.types import InsertTaskRequest
    from taskcluster_queue.types import ClaimWorkRequest, CreateTaskRequest

WORKER_POOL = "demo-provisioner/demo-worker"


def show(step: str, result: object) -> None:
    """Print a step and its result."""
    print(f"  {step:<28} {result if isinstance(result, str) else json.dumps(result)}")


def definition(name: str) -> CreateTaskRequest:
    """Return a small task. Dates may be datetimes; the client formats them."""
    return {
        "taskQueueId": WORKER_POOL,
        "created": taskcluster.fromNow("0 seconds"),
        "deadline": taskcluster.fromNow("1 hour"),
        "payload": {"command": ["echo", name]},
        "metadata": {
            "name": name,
            "description": "Shows the client at work",
            "owner": "demo@example.com",
            "source": "https://example.com/demo",
        },
    }


def indexed(task_id: str) -> InsertTaskRequest:
    """Return the index entry of a task."""
    return {"taskId": task_id, "rank": 0, "data": {}, "expires": taskcluster.fromNowJSON("1 day")}


def fetch(url: str) -> dict[str, Any]:
    """GET a URL with the standard library: a signed URL needs no client and no credentials."""
    with urllib.request.urlopen(url) as response:
        body: dict[str, Any] = json.load(response)
    return body


def demonstrate(options: dict[str, Any]) -> None:
    """Create, run and find a task with sync clients."""
    secrets = taskcluster.Secrets(options)
    secrets.set("project/demo", {"secret": {"password": "hunter2"}, "expires": taskcluster.fromNow("1 day")})
    show("secrets.get", secrets.get("project/demo")["secret"])

    with taskcluster.Queue(options) as queue:
        task_id = taskcluster.slugId()
        created = queue.createTask(task_id, definition("sync demo"))
        show("queue.createTask", f"task {task_id} is {created['status']['state']}")

        claim: ClaimWorkRequest = {"workerGroup": "demo-group", "workerId": "demo-worker-1", "tasks": 1}
        claimed = queue.claimWork(WORKER_POOL, claim)["tasks"][0]
        show("queue.claimWork", f"run {claimed['runId']} is {claimed['status']['state']}")

        # A worker uses the credentials of its claim, which are valid for this task only.
        worker = taskcluster.Queue({**options, "credentials": claimed["credentials"]})
        resolved = worker.reportCompleted(taskId=task_id, runId=claimed["runId"])
        show("queue.reportCompleted", f"the task is {resolved['status']['state']}")

        index = taskcluster.Index(options)
        index.insertTask("demo.latest", indexed(task_id))
        show("index.findTask", f"demo.latest is task {index.findTask('demo.latest')['taskId']}")

        events = taskcluster.QueueEvents(options)
        show("QueueEvents.taskCompleted", events.taskCompleted(taskId=task_id)["routingKeyPattern"])

        url = secrets.buildSignedUrl("get", "project/demo", expiration=60)
        show("GET of a signed URL", fetch(url)["secret"])

        try:
            queue.task(taskcluster.slugId())
        except taskcluster.TaskclusterRestFailure as failure:
            show("queue.task, unknown taskId", f"{failure.status_code} {failure.code}")


async def demonstrate_async(options: dict[str, Any]) -> None:
    """Do the same with async clients, three tasks at a time."""
    async with taskcluster.aio.Queue(options) as queue, taskcluster.aio.Index(options) as index:
        task_ids = [taskcluster.slugId() for _ in range(3)]
        created = await asyncio.gather(*(queue.createTask(task_id, definition("async demo")) for task_id in task_ids))
        show("queue.createTask, gathered", [response["status"]["state"] for response in created])

        claim: ClaimWorkRequest = {"workerGroup": "demo-group", "workerId": "demo-worker-2", "tasks": 3}
        work = (await queue.claimWork(WORKER_POOL, claim))["tasks"]
        show("queue.claimWork", f"{len(work)} tasks claimed")

        for task in work:
            worker = taskcluster.aio.Queue({**options, "credentials": task["credentials"]})
            await worker.reportCompleted(task["status"]["taskId"], task["runId"])
        states = await asyncio.gather(*(queue.status(task_id) for task_id in task_ids))
        show("queue.status, gathered", [response["status"]["state"] for response in states])

        await index.insertTask("demo.latest", indexed(task_ids[-1]))
        found = await index.findTask("demo.latest")
        show("index.findTask", f"demo.latest is task {found['taskId']}")


def main() -> None:
    """Run the demo."""
    with LocalTaskcluster() as deployment:
        print(f"Local Taskcluster running at {deployment.root_url}\n")
        print("taskcluster")
        demonstrate(deployment.options())
        print("\ntaskcluster.aio")
        asyncio.run(demonstrate_async(deployment.options()))
    command = os.path.relpath(Path(sys.executable).with_name("taskcluster-local"))
    print(f"\nThe deployment was stopped and its data discarded. To keep one running: {command} serve")


if __name__ == "__main__":
    main()
