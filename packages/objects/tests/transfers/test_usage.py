"""Documented behaviour of uploads and downloads, a test for each sentence."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import io
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import taskcluster
import taskcluster.aio
import taskcluster.aio.download
import taskcluster.aio.upload
import taskcluster.download
import taskcluster.upload
from taskcluster.exceptions import TaskclusterArtifactError, TaskclusterFailure, UnknownOptionWarning

from .conftest import CREDENTIALS, TransferMode
from .deployment import Blob, StorageServer, responds

DATA = bytes(range(256)) * 5000


def written(writers: list[io.BytesIO]) -> Any:
    def factory() -> io.BytesIO:
        writers.append(io.BytesIO())
        return writers[-1]

    return factory


def test_upload_from_buf_uploads_bytes(mode: TransferMode, deployment: StorageServer) -> None:
    mode.put(data=DATA, contentLength=len(DATA), uploadId="U" * 22, maxRetries=1)
    assert deployment.blobs["some/name"].data == DATA if "some/name" in deployment.blobs else True
    assert deployment.stored_requests[-1].body == DATA
    (created,) = deployment.called("createUpload")
    assert created["uploadId"] == "U" * 22
    assert list(created["proposedUploadMethods"]) == ["putUrl"]
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(DATA))


def test_upload_from_file_uploads_an_open_file(mode: TransferMode, deployment: StorageServer) -> None:
    file = io.BytesIO(DATA)
    file.seek(100)
    mode.put("uploadFromFile", file=file)
    assert deployment.stored_requests[-1].body == DATA
    assert not file.closed


def test_upload_uses_reader_and_module_is_callable(mode: TransferMode, deployment: StorageServer) -> None:
    for function in ("upload", "__call__"):
        mode.put(function, name=function, contentLength=len(DATA), readerFactory=lambda: io.BytesIO(DATA))
        assert deployment.stored_requests[-1].body == DATA
    result = mode.package.upload(
        projectId="p", name="n", contentType="x/y", contentLength=2, expires="2099-01-01T00:00:00.000Z",
        readerFactory=lambda: io.BytesIO(b"ab"), objectService=(service := mode.client("Object")),
    )  # fmt: skip
    if inspect.iscoroutine(result):
        asyncio.run(result)
    else:
        service.close()
    assert deployment.blobs["n"].data == b"ab"


@pytest.mark.parametrize("data", [b"", b"little", bytes(8192)])
def test_sends_small_data_inline(mode: TransferMode, deployment: StorageServer, data: bytes) -> None:
    mode.put(data=data)
    assert deployment.blobs["some/name"].data == data
    assert deployment.stored_requests == []
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(data))


def test_sends_small_data_to_url_if_requested(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.upload_methods = lambda proposed: {"putUrl": deployment.put_url("some/name", proposed["putUrl"])}
    mode.put(data=b"little")
    assert deployment.stored_requests[-1].body == b"little"


def test_fails_without_common_method(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.upload_methods = lambda proposed: {}
    with pytest.raises(taskcluster.TaskclusterFailure, match="by none of the methods"):
        mode.put(data=b"little")


def test_upload_id_defaults_to_a_new_slug_id(mode: TransferMode, deployment: StorageServer) -> None:
    mode.put(name="a", data=b"a")
    mode.put(name="b", data=b"b")
    first, second = (each["uploadId"] for each in deployment.called("createUpload"))
    assert first != second
    assert len(first) == len(second) == 22


@pytest.mark.parametrize(
    ("given", "attempts"),
    [
        ({"maxRetries": 0}, 1),
        ({"maxRetries": 2}, 3),
        ({"options": {"maxRetries": 0}}, 1),
        ({"options": {"maxRetries": 2}}, 3),
        ({"options": {"maxRetries": 9}, "maxRetries": 0}, 1),
        ({"options": {"maxRetries": 0}, "maxRetries": 2}, 3),
        ({}, 6),
    ],
    ids=repr,
)
def test_max_retries_works_as_for_clients(
    mode: TransferMode, deployment: StorageServer, given: dict[str, Any], attempts: int
) -> None:
    artifacts(deployment)
    calls = (
        partial(mode.get, "one"),
        partial(mode.get_artifact, "public/s3"),
        partial(mode.get_artifact, "public/object", "getArtifactContent"),
        partial(mode.put, data=DATA),
        partial(mode.put, "uploadFromFile", file=io.BytesIO(DATA), name="other"),
    )
    for call in calls:
        deployment.received.clear()
        deployment.faults.extend([responds(500)] * 10)
        with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
            call(**given)
        assert caught.value.status_code == 500
        assert len(deployment.stored_requests) == attempts
        deployment.faults.clear()
        deployment.faults.extend([responds(500)] * (attempts - 1))
        call(**{**given, **({"name": taskcluster.slugId()} if call.func == mode.put else {})})
    assert len(deployment.finished) == 2


def test_download_to_buf_returns_buffer_and_content_type(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA, {"Content-Type": "text/plain; charset=utf-8"})
    buffer, content_type = mode.get("x")
    assert isinstance(buffer, memoryview)
    assert (buffer.tobytes(), content_type) == (DATA, "text/plain")


def test_download_to_file_returns_content_type(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA, {"Content-Type": "text/plain"})
    with open(tmp_path / "file", "w+b") as file:
        file.write(b"older" * 1_000_000)
        assert mode.get("x", "downloadToFile", file) == "text/plain"
        assert mode.get("x", "downloadToFile", file=file) == "text/plain"
    assert (tmp_path / "file").read_bytes() == DATA


def test_download_uses_writer_and_module_is_callable(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA, {"Content-Type": "text/plain"})
    for function in ("download", "__call__"):
        writers: list[io.BytesIO] = []
        assert mode.get("x", function, writerFactory=written(writers)) == "text/plain"
        assert [each.getvalue() for each in writers] == [DATA]


def artifacts(deployment: StorageServer) -> dict[str, bytes]:
    deployment.blobs["one"] = Blob(DATA)
    deployment.blobs["packed"] = Blob(gzip.compress(DATA), {"Content-Encoding": "gzip"})
    credentials = {"clientId": "artifact-download", "accessToken": "from-the-queue"}
    deployment.artifacts.update(
        {
            "public/object": {"storageType": "object", "name": "one", "credentials": credentials},
            "public/packed": {"storageType": "object", "name": "packed", "credentials": credentials},
            "public/s3": {"storageType": "s3", "url": lambda: deployment.url("one")},
            "public/s3-packed": {"storageType": "s3", "url": lambda: deployment.url("packed")},
            "public/reference": {"storageType": "reference", "url": lambda: deployment.url("one")},
            "public/link": {"storageType": "link", "artifact": "public/object"},
        }
    )
    return dict.fromkeys(deployment.artifacts, DATA)


def test_unknown_option_of_queue_warns_once(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    with pytest.warns(UnknownOptionWarning, match="'zzz' is ignored") as caught:
        mode.get_artifact("public/object", options={"zzz": 1})
    assert len(caught) == 1


@pytest.mark.parametrize("options", [{"maxRetries": "5"}, {"timeout": "30"}, {"userAgentSuffix": "a\n"}])
def test_malformed_client_options_raise(mode: TransferMode, deployment: StorageServer, options: dict[str, Any]) -> None:
    with pytest.raises(TaskclusterFailure, match=f"the option {next(iter(options))} must be"):
        mode.get_artifact("public/object", options=options)
    assert deployment.received == []


@pytest.mark.parametrize("run", [None, 0, "3"])
def test_downloads_artifacts_of_every_storage_type(mode: TransferMode, deployment: StorageServer, run: Any) -> None:
    for name, data in artifacts(deployment).items():
        buffer, content_type = mode.get_artifact(name, runId=run)
        assert (buffer.tobytes(), content_type) == (data, "application/octet-stream"), name
        file = io.BytesIO()
        mode.get_artifact(name, "downloadArtifactToFile", file, runId=run)
        writers: list[io.BytesIO] = []
        mode.get_artifact(name, "downloadArtifact", writerFactory=written(writers), runId=run)
        assert [file.getvalue(), writers[0].getvalue()] == [data] * 2
    assert bool(deployment.called("latestArtifact")) is (run is None)


def test_uses_queues_credentials_for_object_service_only(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    mode.get_artifact("public/object", options={"authorizedScopes": ["queue:get-artifact:*"]})
    for each in deployment.received:
        signed = each.headers.get("authorization", "")
        if each.path.startswith("/api/object/"):
            assert 'id="artifact-download"' in signed
            assert "queue:get-artifact" not in signed
        elif each.path.startswith("/api/queue/"):
            assert 'id="tester"' in signed
        else:
            assert signed == ""


def test_error_artifact_raises(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.artifacts["e"] = {"storageType": "error", "reason": "file-missing-on-worker", "message": "no such file"}
    with pytest.raises(TaskclusterArtifactError, match="no such file") as caught:
        mode.get_artifact("e")
    assert caught.value.reason == "file-missing-on-worker"


def test_downloads_by_method_simple(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA, method="simple")
    assert mode.get("x")[0] == DATA


class CoroutineFile(io.BytesIO):
    async def read(self, max_size: int = -1) -> bytes:  # type: ignore[override]
        return super().read(max_size)

    async def write(self, data: bytes) -> None:  # type: ignore[override]
        super().write(data)


@pytest.mark.parametrize("factory", ["plain", "coroutine"])
def test_async_functions_await_readers_and_writers(deployment: StorageServer, factory: str) -> None:
    mode = TransferMode("async", deployment)
    made: list[CoroutineFile] = []

    def plain(data: bytes = b"") -> CoroutineFile:
        made.append(CoroutineFile(data))
        return made[-1]

    async def coroutine(data: bytes = b"") -> CoroutineFile:
        return plain(data)

    make: Any = plain if factory == "plain" else coroutine
    deployment.blobs["x"] = Blob(DATA)
    mode.get("x", "download", writerFactory=make)
    assert made[0].getvalue() == DATA
    mode.put("upload", contentLength=len(DATA), readerFactory=lambda: make(DATA))
    assert deployment.stored_requests[-1].body == DATA


def test_reader_returns_one_to_max_size_bytes(mode: TransferMode, deployment: StorageServer) -> None:
    class Dribble(io.BytesIO):
        def read(self, max_size: Any = -1) -> bytes:
            assert max_size > 0
            return super().read(min(max_size, 7777))

    mode.put("upload", contentLength=len(DATA), readerFactory=lambda: Dribble(DATA))
    assert deployment.stored_requests[-1].body == DATA


def test_calls_factory_once_per_attempt(mode: TransferMode, deployment: StorageServer) -> None:
    readers: list[io.BytesIO] = []

    def factory() -> io.BytesIO:
        readers.append(io.BytesIO(DATA))
        return readers[-1]

    deployment.faults.extend([responds(500), responds(500)])
    mode.put("upload", contentLength=len(DATA), readerFactory=factory)
    assert len(readers) == 3


def test_accepts_clients_of_either_mode(mode: TransferMode, deployment: StorageServer) -> None:
    other: Any = taskcluster.aio if mode.name == "sync" else taskcluster
    options = {"rootUrl": deployment.root_url, "credentials": CREDENTIALS}
    artifacts(deployment)
    queue, service = other.Queue(options), other.Object(options)
    assert (
        mode.run(mode.download.downloadArtifactToBuf, taskId="T", name="public/object", queueService=queue)[0] == DATA
    )
    assert mode.run(mode.download.downloadToBuf, name="one", objectService=service)[0] == DATA
    mode.run(
        mode.upload.uploadFromBuf, projectId="p", name="n", contentType="x/y", data=DATA, objectService=service,
        expires=taskcluster.fromNow("1 hour"),
    )  # fmt: skip
    assert deployment.stored_requests[-1].body == DATA


def test_sync_functions_work_inside_a_running_event_loop(deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA)

    async def main() -> None:
        async with taskcluster.aio.Object({"rootUrl": deployment.root_url}) as service:
            assert taskcluster.download.downloadToBuf(name="x", objectService=service)[0] == DATA

    asyncio.run(main())


def test_accepts_fakes_with_methods_and_options_only(mode: TransferMode, deployment: StorageServer) -> None:
    class MinimalQueue:
        def __init__(self) -> None:
            self.options = {"rootUrl": deployment.root_url}

        async def latestArtifact(self, taskId: str, name: str) -> dict[str, str]:
            return {"storageType": "s3", "url": deployment.url("x")}

    deployment.blobs["x"] = Blob(DATA)
    buffer, _ = mode.run(mode.download.downloadArtifactToBuf, taskId="T", name="a", queueService=MinimalQueue())
    assert buffer.tobytes() == DATA


def test_download_artifact_to_file_has_positional_file(mode: TransferMode) -> None:
    for function in (mode.download.downloadArtifactToFile, mode.download.downloadToFile):
        assert next(iter(inspect.signature(function).parameters)) == "file"


def test_signature_of_upload_can_be_bound() -> None:
    names = ["projectId", "name", "contentType", "contentLength", "expires", "uploadId", "objectService"]
    for module in (taskcluster.aio.upload, taskcluster.upload):
        inspect.signature(module.upload).bind(**dict.fromkeys(names), readerFactory=None)


def test_core_exposes_the_modules_themselves() -> None:
    import taskcluster_objects.aio.upload
    import taskcluster_objects.download
    from taskcluster import download
    from taskcluster.aio import upload

    assert taskcluster.download is download is taskcluster_objects.download  # type: ignore[comparison-overlap]
    assert upload is taskcluster_objects.aio.upload  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("content_type", ["\ud800", "text/\u2603", "a\nb: c", "a\x7f"])
@pytest.mark.parametrize("storage_type", [None, "s3", "an object"])
def test_invalid_content_type_raises_before_any_request(
    mode: TransferMode, deployment: StorageServer, content_type: str, storage_type: str | None
) -> None:
    if storage_type == "an object":
        upload = partial(mode.put, data=DATA, contentType=content_type)
    else:
        upload = partial(
            mode.run,
            mode.upload.uploadArtifactFromBuf,
            taskId="T",
            runId=0,
            name="public/x",
            contentType=content_type,
            expires=taskcluster.fromNow("1 day"),
            storageType=storage_type,
            data=DATA,
            queueService=mode.client("Queue"),
        )
    with pytest.raises(taskcluster.TaskclusterFailure, match="contentType must consist of printable ASCII"):
        upload()
    assert deployment.received == []


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("downloadToBuf", {"name": "x"}, "objectService must be a client with the method startDownload, .*Object\\("),
        ("getArtifactContent", {"taskId": "T", "name": "x"}, "queueService must be .* latestArtifact, .*Queue\\("),
        ("downloadArtifactToBuf", {"taskId": "T", "name": "x"}, "queueService must be .* latestArtifact, .*Queue\\("),
        (
            "downloadArtifactToBuf",
            {"taskId": "T", "runId": 0, "name": "x"},
            "queueService must be .* artifact, .*Queue\\(",
        ),
    ],
    ids=["object", "content", "artifact", "run"],
)
def test_options_instead_of_a_client_raise(
    mode: TransferMode, function: str, arguments: dict[str, Any], message: str
) -> None:
    service = message.partition(" ")[0]
    options = {"rootUrl": "https://tc.example.com", "credentials": {"accessToken": "hidden"}}
    with pytest.raises(TaskclusterFailure, match=f"^{message}.*, not dict$"):
        mode.run(getattr(mode.download, function), **arguments, **{service: options})


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("uploadFromBuf", {"projectId": "p"}, "objectService must be a client with the method createUpload, "),
        ("uploadArtifactFromBuf", {"taskId": "T", "runId": 0}, "queueService must be .* the method createArtifact, "),
    ],
    ids=["object", "artifact"],
)
def test_class_instead_of_a_client_raises(
    mode: TransferMode, function: str, arguments: dict[str, Any], message: str
) -> None:
    service = message.partition(" ")[0]
    made = getattr(mode.package, "Object" if service == "objectService" else "Queue")
    given = {
        "name": "x",
        "contentType": "text/plain",
        "expires": "2030-01-01T00:00:00Z",
        "data": b"x",
        **arguments,
        service: made,
    }
    with pytest.raises(TaskclusterFailure, match=f"^{message}.*, not the class {made.__name__} itself$"):
        mode.run(getattr(mode.upload, function), **given)
