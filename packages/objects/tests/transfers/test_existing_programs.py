"""Undocumented behaviour of transfers that programs and their tests rely on."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import json
import logging
import pickle
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import aiohttp
import aioresponses
import pytest
import requests
import requests_mock
import responses
from httmock import HTTMock, urlmatch
from yarl import URL

import taskcluster
import taskcluster.aio
import taskcluster.aio.download
import taskcluster.aio.upload
import taskcluster.download
import taskcluster.upload

from .conftest import CREDENTIALS, TransferMode
from .deployment import PATIENCE, SECRET, Blob, StorageServer, leaves, responds
from .test_usage import DATA, artifacts

ROOT = "https://tc.example.com"
CONTENT = f"{ROOT}/api/queue/v1/task/T/artifact-content/public%2Fx"
STORED = "https://storage.example.com/x"
LATEST_ARTIFACT = {"storageType": "s3", "url": STORED}
CALL: dict[str, Any] = {"taskId": "T", "name": "public/x"}


@pytest.mark.parametrize("alias", ["upload", "download"])
def test_sync_and_async_functions_have_same_parameters(alias: str) -> None:
    sync, twin = getattr(taskcluster, alias), getattr(taskcluster.aio, alias)
    assert sync.__all__ == twin.__all__
    for name in sync.__all__:
        if inspect.isfunction(getattr(sync, name)):
            ours, theirs = (inspect.signature(getattr(each, name)).parameters for each in (sync, twin))
            assert [*map(str, ours)] == [*map(str, theirs)]
            assert [each.default for each in ours.values()] == [each.default for each in theirs.values()]
            assert inspect.iscoroutinefunction(getattr(twin, name))


@pytest.mark.parametrize("service", ["objectService", "queueService"])
def test_requires_a_configured_client(service: str) -> None:
    for alias in (taskcluster.upload, taskcluster.download):
        for name in alias.__all__:
            function = getattr(alias, name)
            if inspect.isfunction(function) and service in inspect.signature(function).parameters:
                assert inspect.signature(function).parameters[service].default is inspect.Parameter.empty


@responses.activate
def test_responses_mocks_downloads() -> None:
    responses.get(CONTENT, json=LATEST_ARTIFACT)
    responses.get(STORED, body=DATA, content_type="text/plain")
    buffer, content_type = taskcluster.download.downloadArtifactToBuf(
        **CALL, queueService=taskcluster.Queue({"rootUrl": ROOT})
    )
    assert (buffer.tobytes(), content_type) == (DATA, "text/plain")
    assert [call.request.url for call in responses.calls] == [CONTENT, STORED]


def test_requests_mock_mocks_downloads() -> None:
    with requests_mock.Mocker() as mocked:
        mocked.get(CONTENT, json=LATEST_ARTIFACT)
        mocked.get(STORED, content=DATA)
        content = taskcluster.download.getArtifactContent(
            "T", "public/x", queueService=taskcluster.Queue({"rootUrl": ROOT})
        )
        assert content.bytes() == DATA
        assert mocked.call_count == 2


def test_httmock_mocks_downloads() -> None:
    @urlmatch(netloc=r"tc\.example\.com")
    def queue(url: Any, request: Any) -> Any:
        return {"status_code": 200, "content": LATEST_ARTIFACT, "headers": {"Content-Type": "application/json"}}

    @urlmatch(netloc=r"storage\.example\.com")
    def storage(url: Any, request: Any) -> Any:
        return {"status_code": 200, "content": DATA}

    file = io.BytesIO()
    with HTTMock(queue, storage):
        taskcluster.download.downloadArtifactToFile(file, **CALL, queueService=taskcluster.Queue({"rootUrl": ROOT}))
    assert file.getvalue() == DATA


class CompatibleResponse(aiohttp.ClientResponse):
    """Lets aioresponses 0.7.9 create responses of aiohttp 3.14, which has another required argument."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
            kwargs["stream_writer"] = mock.Mock(output_size=0)
        super().__init__(*args, **kwargs)


def test_aioresponses_mocks_async_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioresponses.core.ClientResponse", CompatibleResponse)

    async def scenario() -> Any:
        with aioresponses.aioresponses() as mocked:
            mocked.get(URL(CONTENT, encoded=True), payload=LATEST_ARTIFACT)
            mocked.get(STORED, body=b"little", content_type="text/plain")
            async with taskcluster.aio.Queue({"rootUrl": ROOT}) as queue:
                return await taskcluster.aio.download.downloadArtifactToBuf(**CALL, queueService=queue)

    buffer, content_type = asyncio.run(scenario())
    assert (buffer.tobytes(), content_type) == (b"little", "text/plain")


UPLOAD = f"{ROOT}/api/object/v1/upload/n"
FINISH = f"{ROOT}/api/object/v1/finish-upload/n"
CREATED = {
    "projectId": "p",
    "uploadId": "u",
    "expires": "2099-01-01T00:00:00.000Z",
    "uploadMethod": {"putUrl": {"url": STORED, "expires": "2099-01-01T00:00:00.000Z", "headers": {}}},
}
PUT: dict[str, Any] = {"projectId": "p", "name": "n", "contentType": "x/y", "data": DATA, "expires": CREATED["expires"]}
HASHES = StorageServer.hashes(Blob(DATA))


@responses.activate
def test_responses_mocks_uploads() -> None:
    responses.put(UPLOAD, json=CREATED)
    responses.put(STORED)
    responses.post(FINISH, json={})
    taskcluster.upload.uploadFromBuf(**PUT, objectService=taskcluster.Object({"rootUrl": ROOT}))
    assert [call.request.url for call in responses.calls] == [UPLOAD, STORED, FINISH]
    body = responses.calls[2].request.body
    assert body is not None
    assert json.loads(body)["hashes"] == HASHES


def test_requests_mock_mocks_uploads() -> None:
    with requests_mock.Mocker() as mocked:
        mocked.put(UPLOAD, json=CREATED)
        mocked.put(STORED)
        mocked.post(FINISH, json={})
        taskcluster.upload.uploadFromBuf(**PUT, objectService=taskcluster.Object({"rootUrl": ROOT}))
        assert mocked.call_count == 3
        assert mocked.last_request.json()["hashes"] == HASHES


def test_httmock_mocks_uploads() -> None:
    seen: list[Any] = []

    @urlmatch(netloc=r"tc\.example\.com")
    def service(url: Any, request: Any) -> Any:
        seen.append(json.loads(request.body))
        return {"status_code": 200, "content": CREATED, "headers": {"Content-Type": "application/json"}}

    @urlmatch(netloc=r"storage\.example\.com")
    def storage(url: Any, request: Any) -> Any:
        return {"status_code": 200, "content": b""}

    with HTTMock(service, storage):
        taskcluster.upload.uploadFromBuf(**PUT, objectService=taskcluster.Object({"rootUrl": ROOT}))
    assert seen[-1]["hashes"] == HASHES


def test_aioresponses_mocks_async_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioresponses.core.ClientResponse", CompatibleResponse)

    async def scenario() -> Any:
        with aioresponses.aioresponses() as mocked:
            mocked.put(UPLOAD, payload=CREATED)
            mocked.put(STORED)
            mocked.post(FINISH, payload={})
            async with taskcluster.aio.Object({"rootUrl": ROOT}) as service:
                await taskcluster.aio.upload.uploadFromBuf(**PUT, objectService=service)
            return mocked.requests

    seen = asyncio.run(scenario())
    assert [len(calls) for calls in seen.values()] == [1, 1, 1]
    assert json.loads(seen["POST", URL(FINISH)][0].kwargs["data"])["hashes"] == HASHES


def test_missing_artifact_takes_one_request() -> None:
    with responses.RequestsMock() as mocked:
        mocked.get(CONTENT, json={"code": "ResourceNotFound", "message": "none"}, status=404)
        with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
            taskcluster.download.downloadArtifactToBuf(**CALL, queueService=taskcluster.Queue({"rootUrl": ROOT}))
        assert caught.value.status_code == 404
        assert len(mocked.calls) == 1


def test_accepts_autospecced_clients(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    fake = mock.create_autospec(taskcluster.Queue, instance=True, spec_set=False)
    fake.options = {"rootUrl": deployment.root_url}
    fake.latestArtifact.return_value = {"storageType": "s3", "url": deployment.url("one")}
    assert mode.run(mode.download.downloadArtifactToBuf, **CALL, queueService=fake)[0].tobytes() == DATA
    fake.latestArtifact.assert_called_once_with("T", "public/x")


def test_debug_log_contains_no_secret(
    mode: TransferMode, deployment: StorageServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="taskcluster")
    for name in artifacts(deployment):
        mode.get_artifact(name)
    mode.put(data=DATA)
    assert "latestArtifact" in caplog.text
    for secret in (SECRET, "Hawk ", CREDENTIALS["accessToken"], "from-the-queue"):
        assert secret not in caplog.text


# Bugs of the published client


def test_api_calls_use_the_users_session(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    options = {"rootUrl": deployment.root_url, "credentials": CREDENTIALS}
    call = {**PUT, "data": DATA}

    async def scenario() -> None:
        async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
            queue, service = taskcluster.aio.Queue(options, session), taskcluster.aio.Object(options, session)
            await taskcluster.aio.download.downloadArtifactToBuf(taskId="T", name="public/s3", queueService=queue)
            await taskcluster.aio.upload.uploadFromBuf(**call, objectService=service)

    if mode.name == "async":
        asyncio.run(scenario())
    else:
        with requests.Session() as session:
            session.headers["X-Mine"] = "yes"
            queue, service = taskcluster.Queue(options, session), taskcluster.Object(options, session=session)
            taskcluster.download.downloadArtifactToBuf(taskId="T", name="public/s3", queueService=queue)
            taskcluster.upload.uploadFromBuf(**call, objectService=service)
    stored = deployment.stored_requests
    assert len(stored) == 2
    # A session's headers may be credentials, which storage must not get.
    assert all("x-mine" not in each.headers for each in stored)
    calls = [each for each in deployment.received if each not in stored]
    assert [each.headers["x-mine"] for each in calls] == ["yes"] * 3
    assert len({each.connection for each in calls}) == 1


def test_sequential_downloads_share_one_connection(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path
) -> None:
    deployment.blobs["x"] = Blob(DATA)
    for name in "abcdef":
        deployment.artifacts[name] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    queue = mode.client("Queue")
    mode.run(mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=queue, concurrency=1)
    assert len(deployment.stored_requests) == 6
    assert len({each.connection for each in deployment.stored_requests}) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_old_handlers_catch_failures_of_storage(mode: TransferMode, deployment: StorageServer, status: int) -> None:
    deployment.blobs["x"] = Blob(DATA)
    for call in (lambda: mode.get("x", maxRetries=1), lambda: mode.put(data=DATA, maxRetries=1)):
        deployment.received.clear()
        deployment.faults.extend([responds(status, {"Retry-After": "0"})] * 2)
        with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
            call()
        assert caught.value.status_code == status
        assert len(deployment.stored_requests) == 2
        assert isinstance(caught.value, aiohttp.ClientResponseError)
        assert caught.value.status == status
        # Handlers read these; they do not contain the request.
        assert (str(caught.value.request_info.real_url), caught.value.headers) == ("", {})
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), again.status, str(again)) == (type(caught.value), status, str(caught.value))
        # The message names the failure and the request.
        assert str(status) in str(caught.value)
        assert ("x" if call.__code__.co_names[0] == "get" else "some/name") in str(caught.value)


@pytest.mark.parametrize("ending", ["closed", "silent"])
def test_old_handlers_catch_broken_connections(mode: TransferMode, deployment: StorageServer, ending: str) -> None:
    deployment.blobs["x"] = Blob(DATA)
    old = aiohttp.ClientConnectionError if ending == "closed" else asyncio.TimeoutError
    for call in (mode.get, mode.put):
        for handled in (taskcluster.TaskclusterConnectionError, old):
            deployment.faults.extend([leaves("close" if ending == "closed" else "stall")] * 2)
            given = ("x",) if call == mode.get else ()
            more = {} if call == mode.get else {"data": DATA, "name": taskcluster.slugId()}
            with pytest.raises(handled):
                call(*given, **more, maxRetries=1, options={"timeout": 1 if ending == "silent" else PATIENCE})
            deployment.wait_until(lambda: not deployment.faults)


def test_exceptions_of_transfers_can_be_pickled(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    deployment.artifacts["e"] = {"storageType": "error", "reason": "file-missing-on-worker", "message": "no such file"}
    deployment.blobs["wrong"] = Blob(DATA, hashes={"sha256": "0" * 64})
    calls = [
        (lambda: mode.get_artifact("e"), None),
        (lambda: mode.get("wrong"), None),
        (lambda: mode.get("one", maxRetries=0), responds(500)),
        (lambda: mode.get("one", maxRetries=0), leaves("close")),
        (lambda: mode.put(data=DATA, contentLength=10), None),
        (lambda: mode.get("nothing"), None),
    ]
    for call, fault in calls:
        deployment.faults.extend([fault] if fault else [])
        with pytest.raises(taskcluster.TaskclusterFailure) as caught:
            call()
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value)
        assert str(again) == str(caught.value)
        for name in ("status_code", "body", "reason"):
            assert getattr(again, name, None) == getattr(caught.value, name, None)


@pytest.mark.parametrize("name", [".", "..", ""])
def test_rejects_name_that_changes_the_route(
    mode: TransferMode, deployment: StorageServer, name: str, tmp_path: Path
) -> None:
    for call in (
        lambda: mode.get(name),
        lambda: mode.get_artifact(name),
        lambda: mode.get_artifact(name, "downloadArtifactToPath", tmp_path / "x", runId=0),
        lambda: mode.put(name=name, data=DATA),
    ):
        with pytest.raises(taskcluster.TaskclusterFailure):
            call()
    assert deployment.received == []
    assert list(tmp_path.iterdir()) == []


def test_sends_other_names_byte_for_byte(mode: TransferMode, deployment: StorageServer) -> None:
    for name in ("a/../b", "./c", "ä %2F?#&", "public/build/x y"):
        deployment.blobs[name] = Blob(DATA)
        deployment.artifacts[name] = {"storageType": "object", "name": name, "credentials": CREDENTIALS}
        deployment.blobs["fixed"] = Blob(DATA)
        deployment.received.clear()
        deployment.artifacts[name] = {"storageType": "s3", "url": lambda: deployment.url("fixed")}
        assert mode.get_artifact(name)[0] == DATA
        mode.put(name=name, data=b"little")
        assert deployment.blobs[name].data == b"little"
        assert deployment.finished.pop(name) == StorageServer.hashes(Blob(b"little"))
        assert deployment.received[0].path.endswith("/artifact-content/" + quote(name, safe="~()*!.'"))


def test_accepts_run_id_0(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    artifacts(deployment)
    mode.get_artifact("public/s3", "downloadArtifactToPath", tmp_path / "x", runId=0)
    mode.run(mode.download.getArtifactContent, "T", "public/s3", 0, queueService=mode.client("Queue"))
    mode.run(
        mode.download.downloadTaskArtifacts, "T", "public/s3", tmp_path, runId=0, queueService=mode.client("Queue")
    )
    assert not deployment.called("latestArtifact")
    assert all("/runs/0/" in path for path in deployment.called("artifact"))
    assert len(deployment.called("artifact")) == 3


def test_does_not_change_the_clients_options(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    given = {"rootUrl": deployment.root_url, "credentials": CREDENTIALS, "maxRetries": 3}
    before = copy.deepcopy(given)
    clients = {name: getattr(mode.package, name)(given) for name in ("Queue", "Object")}
    options = {name: copy.deepcopy(client.options) for name, client in clients.items()}
    mode.run(
        mode.download.downloadArtifactToBuf, taskId="T", name="public/object", maxRetries=0,
        queueService=clients["Queue"],
    )  # fmt: skip
    mode.run(mode.upload.uploadFromBuf, **PUT, maxRetries=0, objectService=clients["Object"])
    assert given == before
    assert {name: client.options for name, client in clients.items()} == options


def test_transfers_work_inside_a_running_loop(deployment: StorageServer, tmp_path: Path) -> None:
    """As in Jupyter, pytest-asyncio and web frameworks."""
    artifacts(deployment)
    mode = TransferMode("sync", deployment)

    async def main() -> None:
        assert mode.get("one")[0] == DATA
        assert mode.get_artifact("public/object")[0] == DATA
        mode.get("one", "downloadToPath", tmp_path / "x")
        mode.run(mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"))
        mode.put(data=DATA)
        mode.put("uploadFromFile", name="other", file=io.BytesIO(DATA))

    asyncio.run(main())
    assert len(deployment.finished) == 2


def test_modules_are_callable_as_documented(mode: TransferMode, deployment: StorageServer) -> None:
    options = {"rootUrl": deployment.root_url, "credentials": CREDENTIALS}
    given = {name: value for name, value in PUT.items() if name != "data"}

    def sync() -> Any:
        with taskcluster.Object(options) as service:
            taskcluster.upload(
                **given, contentLength=len(DATA), readerFactory=lambda: io.BytesIO(DATA), objectService=service
            )
            writer = io.BytesIO()
            taskcluster.download(name="n", writerFactory=lambda: writer, objectService=service)
        return writer.getvalue()

    async def main() -> Any:
        async with taskcluster.aio.Object(options) as service:
            await taskcluster.aio.upload(
                **given, contentLength=len(DATA), readerFactory=lambda: io.BytesIO(DATA), objectService=service
            )
            writer = io.BytesIO()
            await taskcluster.aio.download(name="n", writerFactory=lambda: writer, objectService=service)
        return writer.getvalue()

    assert (sync() if mode.name == "sync" else asyncio.run(main())) == DATA


@pytest.mark.parametrize("target", ["upload.uploadFromBuf", "download.downloadArtifactToBuf", "download.download"])
def test_mock_patch_replaces_a_function(mode: TransferMode, target: str) -> None:
    before = mode.package.__name__
    alias, name = target.split(".")
    original = getattr(getattr(mode.package, alias), name)
    with mock.patch(f"{before}.{target}") as patched:
        assert getattr(getattr(mode.package, alias), name) is patched
    assert getattr(getattr(mode.package, alias), name) is original
