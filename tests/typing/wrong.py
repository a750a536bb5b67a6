"""Code that type checkers must reject: every line that ends in `# error`, and no other line."""

from __future__ import annotations

import io
from typing import Any

from taskcluster_queue.types import CreateTaskRequest

import taskcluster
import taskcluster.aio
import taskcluster.aio.download
import taskcluster.aio.helper
import taskcluster.download
import taskcluster.helper
import taskcluster.pulse
import taskcluster.upload

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

untyped: dict[str, Any] = {}
queue.createTask("T", untyped)  # error
untyped = queue.task("T")  # error

# Results of several forms.
artifact = queue.latestArtifact("T", "n")
artifact["reason"]  # error
kind = artifact["storageType"]
if kind == "error":
    artifact["reason"]  # error

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

queue.createArtifact("T", 0, "a", {"storageType": "link", "expires": "2030", "artifact": "b"})["putUrl"]  # error
queue.createArtifact("T", 0, "a", {"storageType": "s4", "expires": "2030", "contentType": "x/y"})  # error
queue.createArtifact("T", 0, "a", {"storageType": "s3", "expires": "2030", "artifact": "b"})  # error

# Options.
queue.with_options(timeot=5)  # error
queue.with_options(maxRetries="5")  # error

# Routing keys.
events.taskCompleted(taskID="T")  # error
events.taskCompleted(taskId=["T"])  # error
events.taskCompletd()  # error


# Transfers.
service = taskcluster.Object({"rootUrl": "https://tc.example.com"})
put = taskcluster.upload.uploadFromBuf
get = taskcluster.download


class WrongReader:
    """An async reader."""

    async def read(self, max_size: int = -1) -> bytes:
        return b""


class TextWriter:
    """A writer for strings."""

    def write(self, data: str) -> None:
        return None


put(projectId="p", name="n", contentType="x/y", expires="2030", data="text", objectService=service)  # error
put(projectId="p", name="n", contentType="x/y", expires="2030", data=b"")  # error
put(projectID="p", name="n", contentType="x/y", expires="2030", data=b"", objectService=service)  # error
put(projectId="p", name="n", contentType="x/y", expires=1, data=b"", objectService=service)  # error
taskcluster.upload.upload(
    projectId="p",
    name="n",
    contentType="x/y",
    contentLength=1,
    expires="2030",
    readerFactory=WrongReader,  # error
    objectService=service,
)
get.download(name="n", writerFactory=io.BytesIO(), objectService=service)  # error
get.download(name="n", writerFactory=TextWriter, objectService=service)  # error
get.download(name="n", objectService=service)  # error
get.downloadToFile(io.StringIO(), name="n", objectService=service)  # error
get.downloadToBuf("n", objectService=service)  # error
get.downloadToBuf(name="n", objectService=service)[0].encode()  # error
get.downloadTaskArtifacts("T", "*", "to", queueService=queue, concurrency="2")  # error
get.getArtifactContent("T", "a", queueService=queue)["key"]  # error
get.getArtifactContent("T", "a", queueService=queue, progress=3)  # error

# The helper.
taskcluster.helper.wait_for_task(service, "T")  # error
taskcluster.helper.wait_for_task(queue, "T", timeout="3")  # error
taskcluster.helper.wait_for_task(queue, taskID="T")  # error
taskcluster.helper.wait_for_task_group(queue, "G")["completed"].upper()  # error
taskcluster.helper.load_secrets(queue, "s")  # error
taskcluster.helper.load_secrets(None, "s", existing=["a"])  # error
taskcluster.helper.resubmittable("T")  # error
tc = taskcluster.helper.TaskclusterConfig("https://tc.example.com")
tc.get_service("queue").stauts("T")  # error
tc.get_service("queue", use_async=True).status("T")["status"]  # error
tc.get_service("queue", asynchronous=True)  # error
for line in taskcluster.helper.task_log_lines(queue, "T"):
    line.decode()  # error

# Messages.
consumer = taskcluster.pulse.Consumer(events.taskCompleted(taskId="T"))
consumer.get().payload["stauts"]  # error
consumer.get().payload["status"]["state"] + 1  # error
consumer.run(lambda message: message.payload["runID"])  # error
taskcluster.pulse.Consumer("exchange")  # error
taskcluster.pulse.Consumer(("exchange", 1))  # error


async def in_async_code() -> None:
    """Mixed sync and async code."""
    async with taskcluster.aio.Queue({"rootUrl": "https://tc.example.com"}) as async_queue:
        await queue.status("T")  # error
        async_queue.status("T")["status"]  # error
        print((await async_queue.status("T"))["state"])  # error
        await async_queue.createTask("T", {"created": "now"})  # error
        for _ in async_queue.paginate(async_queue.listTaskGroup, "G"):  # error
            pass
        async for _ in queue.paginate(queue.listTaskGroup, "G"):  # error
            pass
        await taskcluster.helper.wait_for_task(queue, "T")  # error
        await taskcluster.aio.helper.wait_for_task(queue, "T")  # error
        taskcluster.helper.wait_for_task(async_queue, "T")  # error
        taskcluster.aio.helper.load_secrets(None, "s")["key"]  # error
        taskcluster.aio.download.downloadToBuf(name="n", objectService=service)[0]  # error
        for _ in taskcluster.aio.helper.task_log_lines(async_queue, "T"):  # error
            pass
