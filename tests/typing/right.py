"""Code that type checkers must accept, with the types they must infer."""

from __future__ import annotations

import datetime
import io
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

from taskcluster_queue.types import (
    ArtifactContentResponseS3,
    CreateArtifactParams,
    CreateTaskRequest,
    ListTaskGroupResponse,
    PostArtifactRequest,
    PostArtifactRequestLink,
    PostArtifactResponse,
    PostArtifactResponseLink,
    PostArtifactResponseObject,
    PostArtifactResponseS3,
    TaskCompletedMessage,
    TaskDefinitionAndStatus,
    TaskStatusResponse,
)
from taskcluster_secrets.types import Secret
from typing_extensions import assert_type

import taskcluster
import taskcluster.aio
import taskcluster.aio.download
import taskcluster.aio.helper
import taskcluster.aio.pulse
import taskcluster.aio.upload
import taskcluster.download
import taskcluster.helper
import taskcluster.pulse
import taskcluster.upload
from taskcluster.exchanges import EventBinding
from taskcluster_objects.download import ArtifactContent

EXPIRES = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)

task: CreateTaskRequest = {
    "provisionerId": "proj",
    "workerType": "ci",
    "created": taskcluster.fromNowJSON("0 seconds"),
    "deadline": taskcluster.fromNowJSON("1 hour"),
    "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
    "payload": {"anything": ["goes"]},
}


def calling(queue: taskcluster.Queue) -> None:
    """Calling conventions."""
    assert_type(queue.createTask("T", task), TaskStatusResponse)
    assert_type(queue.createTask("T", payload=task), TaskStatusResponse)
    assert_type(queue.createTask(task, taskId="T"), TaskStatusResponse)
    assert_type(queue.createTask(payload=task, taskId="T"), TaskStatusResponse)
    assert_type(queue.createTask(payload=task, params={"taskId": "T"}), TaskStatusResponse)
    assert_type(queue.listTaskGroup("G"), ListTaskGroupResponse)
    assert_type(queue.listTaskGroup("G", query={"limit": 3}), ListTaskGroupResponse)
    assert_type(queue.listTaskGroup("G", limit=3), ListTaskGroupResponse)
    assert_type(queue.listTaskGroup(params={"taskGroupId": "G"}, query={"limit": 3}), ListTaskGroupResponse)
    assert_type(queue.status("T")["status"]["runs"][0]["runId"], int)
    queue.reportCompleted("T", 0)
    queue.createTask("T", {**task, "payload": {}})


def untyped(queue: taskcluster.Queue, loaded: Any, made: dict[str, Any]) -> None:
    """Programs that were written without types, as the guide about types advises."""
    queue.createTask("T", loaded)
    queue.createTask("T", cast("CreateTaskRequest", made))
    copied: dict[str, Any] = {**queue.task("T")}
    print(copied)


def narrowing(queue: taskcluster.Queue) -> str | None:
    """Results of several forms."""
    artifact = queue.latestArtifact("T", "n")
    match artifact["storageType"]:
        case "error":
            assert_type(artifact["reason"], str)
        case _:
            pass
    if artifact["storageType"] == "error":
        raise RuntimeError(artifact["reason"])
    if artifact["storageType"] == "object":
        return None
    return artifact["url"]


def artifacts(queue: taskcluster.Queue, either: PostArtifactRequest, link: PostArtifactRequestLink) -> None:
    """Results whose form the payload determines."""
    created = queue.createArtifact("T", 0, "a", {"storageType": "s3", "expires": EXPIRES, "contentType": "x/y"})
    assert_type(created, PostArtifactResponseS3)
    assert_type(created["putUrl"], str)
    stored = queue.createArtifact(
        {"storageType": "object", "expires": EXPIRES, "contentType": "x/y"}, taskId="T", runId="0", name="a"
    )
    assert_type(stored, PostArtifactResponseObject)
    params: CreateArtifactParams = {"taskId": "T", "runId": 0, "name": "a"}
    assert_type(queue.createArtifact(payload=link, params=params), PostArtifactResponseLink)
    assert_type(queue.createArtifact("T", 0, "a", payload=either), PostArtifactResponse)
    content = queue.artifact("T", "0", "a")
    if content["storageType"] == "s3":
        assert_type(content, ArtifactContentResponseS3)


def listings(queue: taskcluster.Queue) -> None:
    """Pagination."""
    assert_type(queue.paginate(queue.listTaskGroup, "G"), Iterator[ListTaskGroupResponse])
    assert_type(queue.paginate(queue.listTaskGroup, "G", query={"limit": 1}), Iterator[ListTaskGroupResponse])
    assert_type(queue.paginate_items(queue.listTaskGroup, "G"), Iterator[TaskDefinitionAndStatus])
    for item in queue.paginate_items(queue.listTaskGroup, "G"):
        assert_type(item["status"]["taskId"], str)
    pages: list[ListTaskGroupResponse] = []
    queue.listTaskGroup("G", paginationHandler=pages.append)
    secrets = taskcluster.Secrets(queue.options)
    assert_type(secrets.paginate_items(secrets.list), Iterator[str])
    manager = taskcluster.WorkerManager(queue.options)
    for pool in manager.paginate_items(manager.listWorkerPools):
        assert_type(pool["providerId"], str)


def options(queue: taskcluster.Queue) -> None:
    """Derived clients."""
    fast = queue.with_options(timeout=(5, 10), maxRetries=0, credentials=None, validate=True)
    assert_type(fast, taskcluster.Queue)
    assert_type(fast.get_response(fast.listTaskGroup, "G", limit=1), taskcluster.ApiResponse[ListTaskGroupResponse])
    assert_type(fast.get_response(fast.listTaskGroup, "G").value, ListTaskGroupResponse)
    assert_type(fast.paginate(fast.listTaskGroup, "G"), Iterator[ListTaskGroupResponse])


def exchanges(events: taskcluster.QueueEvents) -> None:
    """Routing keys."""
    assert_type(events.taskCompleted(taskId="T"), EventBinding[TaskCompletedMessage])
    plain: dict[str, str] = events.taskCompleted({"taskId": "T", "runId": 0})
    assert_type(plain["exchange"], str)
    events.taskCompleted("route.index.#")


def consuming(events: taskcluster.QueueEvents) -> None:
    """The payload of messages is that of the exchange."""
    one = taskcluster.pulse.Consumer(events.taskCompleted(taskId="T"), url="amqp://u:p@h")
    assert_type(one, taskcluster.pulse.Consumer[TaskCompletedMessage])
    with one as messages:
        for message in messages:
            assert_type(message, taskcluster.pulse.PulseMessage[TaskCompletedMessage])
            assert_type(message.payload["status"]["taskId"], str)
            message.ack()
    similar = taskcluster.pulse.Consumer([events.taskCompleted(), events.taskCompleted({"taskId": "T"})])
    assert_type(similar.get(1).payload, TaskCompletedMessage)
    several = taskcluster.pulse.Consumer([events.taskCompleted(), events.taskFailed()])
    assert_type(several.get(1).payload["status"]["taskId"], str)
    plain = taskcluster.pulse.Consumer(("exchange/a/b", "#"), {"username": "u", "password": "p"}, hostname="h")
    assert_type(plain, taskcluster.pulse.Consumer[dict[str, Any]])
    loaded: dict[str, str] = {"exchange": "e", "routingKeyPattern": "#"}
    assert_type(taskcluster.pulse.Consumer([loaded, ("e", "#")]), taskcluster.pulse.Consumer[dict[str, Any]])

    def handle(message: taskcluster.pulse.PulseMessage[TaskCompletedMessage]) -> None:
        assert_type(message.payload["runId"], int)

    one.run(handle)


async def consuming_in_async_code(events: taskcluster.QueueEvents) -> None:
    """The same in async code."""
    consumer = taskcluster.aio.pulse.Consumer(events.taskCompleted(taskId="T"), url="amqp://u:p@h")
    assert_type(consumer, taskcluster.aio.pulse.Consumer[TaskCompletedMessage])
    async with consumer as messages:
        async for message in messages:
            assert_type(message.payload["runId"], int)
            await message.ack()

    async def handle(message: taskcluster.aio.pulse.PulseMessage[TaskCompletedMessage]) -> None:
        assert_type(message.payload["runId"], int)

    await consumer.run(handle, concurrency=2)


async def in_async_code() -> None:
    """Async clients."""
    async with taskcluster.aio.Queue({"rootUrl": "https://tc.example.com"}) as queue:
        assert_type(await queue.createTask("T", task), TaskStatusResponse)
        assert_type(await queue.createTask(task, taskId="T"), TaskStatusResponse)
        assert_type(await queue.createTask(payload=task, params={"taskId": "T"}), TaskStatusResponse)
        payload: PostArtifactRequestLink = {"storageType": "link", "expires": EXPIRES, "artifact": "b"}
        assert_type(await queue.createArtifact("T", 0, "a", payload), PostArtifactResponseLink)
        assert_type(queue.paginate(queue.listTaskGroup, "G", limit=1), AsyncIterator[ListTaskGroupResponse])
        assert_type(queue.paginate_items(queue.listTaskGroup, "G"), AsyncIterator[TaskDefinitionAndStatus])

        assert_type(queue.with_options(timeout=5), taskcluster.aio.Queue)
        response = await queue.get_response(queue.listTaskGroup, "G")
        assert_type(response, taskcluster.ApiResponse[ListTaskGroupResponse])
        assert_type(response.headers["ETag"], str)

        async def handler(page: ListTaskGroupResponse) -> None:
            assert_type(page["taskGroupId"], str)

        await queue.listTaskGroup("G", paginationHandler=handler)
        async with taskcluster.aio.Secrets(queue.options) as secrets:
            secret = await secrets.get("project/x")
            assert_type(secret, Secret)
            assert_type(secret["secret"], dict[str, Any])


class CustomReader:
    """A custom reader."""

    def read(self, max_size: int = -1) -> bytes:
        return b""


class CustomWriter:
    """A custom writer."""

    def write(self, data: bytes) -> None:
        return None


class CustomAsyncReader:
    """A custom async reader."""

    async def read(self, max_size: int = -1) -> bytes:
        return b""


class CustomAsyncWriter:
    """A custom async writer."""

    async def write(self, data: bytes) -> None:
        return None


async def reader() -> CustomAsyncReader:
    """An async reader factory."""
    return CustomAsyncReader()


async def writer() -> CustomAsyncWriter:
    """An async writer factory."""
    return CustomAsyncWriter()


def progress(done: int, total: int | None) -> None:
    """A progress callback."""


async def async_progress(done: int, total: int | None) -> None:
    """An async progress callback."""


def transfers(queue: taskcluster.Queue, service: taskcluster.Object, index: taskcluster.Index) -> None:
    """Uploads and downloads."""
    upload = taskcluster.upload
    download = taskcluster.download
    size: int = upload.DATA_INLINE_MAX_SIZE
    print(size)
    for factory in (CustomReader, io.BytesIO, lambda: io.BytesIO(b"x")):
        upload.upload(
            projectId="p", name="n", contentType="x/y", contentLength=1, expires=EXPIRES, readerFactory=factory,
            maxRetries=3, uploadId=taskcluster.slugId(), objectService=service, progress=progress,
        )  # fmt: skip
    for data in (b"x", bytearray(b"x"), memoryview(b"x")):
        upload.uploadFromBuf(
            projectId="p", name="n", contentType="x/y", expires="2030", data=data, objectService=service
        )
    with open("x", "rb") as file:
        upload.uploadFromFile(
            projectId="p", name="n", contentType="x/y", contentLength=1, expires=EXPIRES, file=file,
            objectService=service,
        )  # fmt: skip
        kind = upload.uploadArtifactFromFile(
            taskId="T", runId=0, name="public/x", contentType="x/y", expires=EXPIRES, file=file, queueService=queue,
            storageType="s3", progress=progress,
        )  # fmt: skip
    assert_type(kind, str)
    kind = upload.uploadArtifactFromBuf(
        taskId="T", runId="0", name="public/x", contentType="x/y", expires=EXPIRES, data=b"x", queueService=queue
    )
    assert_type(kind, str)

    assert_type(download.download(name="n", writerFactory=CustomWriter, objectService=service, progress=progress), str)
    assert_type(download.download(name="n", writerFactory=io.BytesIO, objectService=service), str)
    assert_type(download.downloadToBuf(name="n", maxRetries=0, objectService=service), tuple[memoryview, str])
    with open("x", "wb") as file:
        assert_type(download.downloadToFile(file, name="n", objectService=service), str)
        assert_type(download.downloadArtifactToFile(file=file, taskId="T", name="a", queueService=queue), str)
    assert_type(download.downloadToPath(Path("x"), name="n", objectService=service), str)
    assert_type(download.downloadArtifact(taskId="T", name="a", writerFactory=CustomWriter, queueService=queue), str)
    buffer, content_type = download.downloadArtifactToBuf(taskId="T", runId=0, name="a", queueService=queue)
    assert_type(buffer.tobytes(), bytes)
    assert_type(content_type, str)
    assert_type(download.downloadArtifactToPath("x", taskId="T", runId="0", name="a", queueService=queue), str)
    paths = download.downloadTaskArtifacts("T", "public/*", "to", queueService=queue, concurrency=2)
    assert_type(paths, dict[str, Path])
    content = download.getArtifactContent("a.b", "a", queueService=queue, indexService=index)
    assert_type(content, ArtifactContent)
    assert_type(content.bytes(), bytes)
    assert_type(content.text(), str)
    assert_type(content.json(), Any)
    assert_type(content.iter_bytes(3), Iterator[bytes])
    assert_type(content.content_type, str)


async def transfers_in_async_code(queue: taskcluster.aio.Queue, service: taskcluster.Object) -> None:
    """Async transfers, with sync and async readers, writers and clients."""
    upload = taskcluster.aio.upload
    download = taskcluster.aio.download
    for factory in (CustomReader, CustomAsyncReader, io.BytesIO):
        await upload.upload(
            projectId="p", name="n", contentType="x/y", contentLength=1, expires=EXPIRES, readerFactory=factory,
            objectService=service, progress=async_progress,
        )  # fmt: skip
    await upload.upload(
        projectId="p", name="n", contentType="x/y", contentLength=1, expires=EXPIRES, readerFactory=reader,
        objectService=service, progress=progress,
    )  # fmt: skip
    await upload.uploadFromBuf(
        projectId="p", name="n", contentType="x/y", expires=EXPIRES, data=b"x", objectService=service
    )
    with open("x", "rb") as file:
        await upload.uploadFromFile(
            projectId="p", name="n", contentType="x/y", expires=EXPIRES, file=file, objectService=service
        )
        kind = await upload.uploadArtifactFromFile(
            taskId="T", runId=0, name="a", contentType="x/y", expires=EXPIRES, file=file, queueService=queue
        )
    assert_type(kind, str)
    kind = await upload.uploadArtifactFromBuf(
        taskId="T", runId=0, name="a", contentType="x/y", expires=EXPIRES, data=b"x", queueService=queue,
        storageType="object",
    )  # fmt: skip
    assert_type(kind, str)

    for each in (CustomWriter, CustomAsyncWriter, io.BytesIO):
        assert_type(await download.download(name="n", writerFactory=each, objectService=service), str)
    assert_type(await download.download(name="n", writerFactory=writer, objectService=service), str)
    assert_type(await download.downloadToBuf(name="n", objectService=service), tuple[memoryview, str])
    with open("x", "wb") as file:
        assert_type(await download.downloadToFile(file, name="n", objectService=service), str)
        assert_type(await download.downloadArtifactToFile(file, taskId="T", name="a", queueService=queue), str)
    assert_type(await download.downloadToPath("x", name="n", objectService=service), str)
    written = await download.downloadArtifact(taskId="T", name="a", writerFactory=writer, queueService=queue)
    assert_type(written, str)
    found = await download.downloadArtifactToBuf(taskId="T", name="a", queueService=queue, progress=async_progress)
    assert_type(found, tuple[memoryview, str])
    assert_type(await download.downloadArtifactToPath("x", taskId="T", name="a", queueService=queue), str)
    paths = await download.downloadTaskArtifacts("T", "*", Path("to"), queueService=queue, progress=async_progress)
    assert_type(paths, dict[str, Path])
    content = await download.getArtifactContent("T", "a", 0, queueService=queue)
    assert_type(content, ArtifactContent)
    assert_type(content.text("latin-1"), str)


def helpers(queue: taskcluster.Queue, index: taskcluster.Index, secrets: taskcluster.Secrets) -> None:
    """Configuration, secrets, waiting and logs."""
    helper = taskcluster.helper
    tc = helper.TaskclusterConfig("https://tc.example.com")
    tc.auth(client_id="c", access_token="t", max_retries=3, certificate="{}")
    assert_type(tc.options, dict[str, Any] | None)
    assert_type(tc.secrets, dict[str, Any] | None)
    assert_type(tc.default_url, str)
    assert_type(tc.get_service("queue"), taskcluster.Queue)
    assert_type(tc.get_service("queue", use_async=True), taskcluster.aio.Queue)
    assert_type(tc.get_service("purgeCache"), taskcluster.PurgeCache)
    assert_type(tc.get_service("purge-cache", False), taskcluster.PurgeCache)
    assert_type(tc.get_service("worker_manager", True), taskcluster.aio.WorkerManager)
    assert_type(tc.get_service("widgets"), Any)
    widgets: str = tc.get_service(tc.default_url, use_async=bool(tc.secrets))
    assert_type(widgets, str)
    assert_type(tc.load_secrets("s", prefixes=["a"], required=("b",), existing={"c": 1}), dict[str, Any])
    assert_type(
        helper.load_secrets(
            secrets_service=secrets, secret_name="s", prefixes=["a"], required=["b"], existing={}, local_secrets=None
        ),
        dict[str, Any],
    )
    loaded = helper.load_secrets(None, "s", local_secrets={"a": {"b": 1}})
    assert_type(loaded["a"], Any)

    status = helper.wait_for_task(queue, "T", timeout=3, on_change=lambda seen: print(seen["state"]), delay=1)
    assert_type(status, dict[str, Any])
    assert_type(helper.wait_for_task_group(queue, "G", on_change=lambda seen: seen.total, max_delay=9), Counter[str])
    assert_type(helper.wait_for_indexed_task(index, "a.b", on_change=print), dict[str, Any])
    assert_type(helper.wait_for_artifact(queue, "T", "a", 0, timeout=None), dict[str, Any])
    assert_type(helper.task_log_lines(queue, "T", "0", name="private/log", silence=9, delay=1), Iterator[str])
    assert_type(helper.resubmittable(queue.task("T")), CreateTaskRequest)
    queue.createTask("T", helper.resubmittable(task, now=EXPIRES))
    try:
        helper.wait_for_task(queue, "T")
    except helper.WaitTimeoutError as exc:
        assert_type(exc.last, Any)
    except (helper.ArtifactMissingError, helper.ConfigurationError, helper.SecretError) as exc:
        print(exc)
    day = datetime.timedelta(days=1)
    assert_type(helper.upload_artifact(queue, "public/x", "text", "text/plain", day), str)
    assert_type(tc.upload_artifact("public/x", b"bytes", "x/y", day), str)


async def helpers_in_async_code(
    queue: taskcluster.aio.Queue, index: taskcluster.aio.Index, secrets: taskcluster.aio.Secrets
) -> None:
    """Async helper functions; callbacks may be coroutine functions."""
    helper = taskcluster.aio.helper

    async def change(seen: dict[str, Any] | None) -> None:
        print(seen)

    assert_type(await helper.load_secrets(secrets, "s", prefixes=["a"], required=["b"]), dict[str, Any])
    assert_type(await helper.load_secrets(None, "s", local_secrets={}), dict[str, Any])
    assert_type(await helper.wait_for_task(queue, "T", timeout=3, on_change=change), dict[str, Any])
    assert_type(await helper.wait_for_task_group(queue, "G", on_change=print), Counter[str])
    assert_type(await helper.wait_for_indexed_task(index, "a.b", on_change=change), dict[str, Any])
    assert_type(await helper.wait_for_artifact(queue, "T", "a", on_change=change), dict[str, Any])
    assert_type(helper.task_log_lines(queue, "T"), AsyncIterator[str])
