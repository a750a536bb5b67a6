"""Programs that type checkers refuse: each line that ends in the word `error` must be one, and no other may be."""

from __future__ import annotations

from taskcluster_queue.types import CreateTaskRequest

import taskcluster
import taskcluster.aio

task: CreateTaskRequest
queue = taskcluster.Queue({"rootUrl": "https://tc.example.com"})
events = taskcluster.QueueEvents({"rootUrl": "https://tc.example.com"})

# Names.
queue.createTsk("T", task)  # error
taskcluster.Qeue({"rootUrl": "https://tc.example.com"})  # error
taskcluster.aio.Qeue({"rootUrl": "https://tc.example.com"})  # error
taskcluster.QueueEvnts({"rootUrl": "https://tc.example.com"})  # error

# Payloads.
task = {"created": "now"}  # error
queue.createTask("T")  # error
queue.createTask("T", {"created": "now", "deadline": "later"})  # error
queue.reportException("T", "0", {"reason": "bored"})  # error
queue.claimWork("a/b", {"workerGroup": "g", "workerId": "w", "tasks": "1"})  # error
queue.claimWork("a/b", {"workerGroup": "g", "workerId": "w", "taks": 1})  # error
queue.claimWork(payload={"workerGroup": "g", "workerId": "w", "tasks": "1"}, taskQueueId="a/b")  # error

# Path parameters.
queue.status()  # error
queue.status(["T"])  # error
queue.status(taskID="T")  # error
queue.status(params={"task": "T"})  # error
queue.status("T", "0")  # error

# Queries.
queue.listTaskGroup("G", query={"limits": 3})  # error
queue.listTaskGroup("G", limits=3)  # error
queue.listTaskGroup("G", limit=[3])  # error
queue.listTaskGroup("G", paginationHandler=3)  # error

# Results.
queue.status("T")["state"]  # error
queue.status("T")["status"]["state"] == "runing"  # error
number: int = queue.status("T")["status"]["taskId"]  # error
for name in queue.paginate_items(queue.listTaskGroup, "G"):
    name.upper()  # error

# Routing keys.
events.taskCompleted(taskID="T")  # error
events.taskCompleted(taskId=["T"])  # error
events.taskCompletd()  # error


async def in_async_code() -> None:
    """What belongs to the other mode."""
    async with taskcluster.aio.Queue({"rootUrl": "https://tc.example.com"}) as async_queue:
        await queue.status("T")  # error
        async_queue.status("T")["status"]  # error
        print((await async_queue.status("T"))["state"])  # error
        await async_queue.createTask("T", {"created": "now"})  # error
        for _ in async_queue.paginate(async_queue.listTaskGroup, "G"):  # error
            pass
        async for _ in queue.paginate(queue.listTaskGroup, "G"):  # error
            pass
