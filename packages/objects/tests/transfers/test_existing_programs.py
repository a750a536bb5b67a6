"""What programs of today, and their tests, rely on of transfers beside what is documented."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import logging
from typing import Any
from unittest import mock

import aiohttp
import aioresponses
import pytest
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

from .conftest import CREDENTIALS, Mode
from .deployment import SECRET, Blob, Deployment
from .test_usage import DATA, artifacts

ROOT = "https://tc.example.com"
CONTENT = f"{ROOT}/api/queue/v1/task/T/artifact-content/public%2Fx"
STORED = "https://storage.example.com/x"
ANSWER = {"storageType": "s3", "url": STORED}
CALL: dict[str, Any] = {"taskId": "T", "name": "public/x"}


@pytest.mark.parametrize("door", ["upload", "download"])
def test_all_functions_have_the_same_parameters_sync_and_async(door: str) -> None:
    sync, twin = getattr(taskcluster, door), getattr(taskcluster.aio, door)
    assert sync.__all__ == twin.__all__
    for name in sync.__all__:
        if inspect.isfunction(getattr(sync, name)):
            ours, theirs = (inspect.signature(getattr(each, name)).parameters for each in (sync, twin))
            assert [*map(str, ours)] == [*map(str, theirs)]
            assert [each.default for each in ours.values()] == [each.default for each in theirs.values()]
            assert inspect.iscoroutinefunction(getattr(twin, name))


@pytest.mark.parametrize("service", ["objectService", "queueService"])
def test_all_need_a_configured_client(service: str) -> None:
    for door in (taskcluster.upload, taskcluster.download):
        for name in door.__all__:
            function = getattr(door, name)
            if inspect.isfunction(function) and service in inspect.signature(function).parameters:
                assert inspect.signature(function).parameters[service].default is inspect.Parameter.empty


@responses.activate
def test_downloads_are_mocked_by_responses() -> None:
    responses.get(CONTENT, json=ANSWER)
    responses.get(STORED, body=DATA, content_type="text/plain")
    buffer, content_type = taskcluster.download.downloadArtifactToBuf(
        **CALL, queueService=taskcluster.Queue({"rootUrl": ROOT})
    )
    assert (buffer.tobytes(), content_type) == (DATA, "text/plain")
    assert [call.request.url for call in responses.calls] == [CONTENT, STORED]


def test_downloads_are_mocked_by_requests_mock() -> None:
    with requests_mock.Mocker() as mocked:
        mocked.get(CONTENT, json=ANSWER)
        mocked.get(STORED, content=DATA)
        content = taskcluster.download.getArtifactContent(
            "T", "public/x", queueService=taskcluster.Queue({"rootUrl": ROOT})
        )
        assert content.bytes() == DATA
        assert mocked.call_count == 2


def test_downloads_are_mocked_by_httmock() -> None:
    @urlmatch(netloc=r"tc\.example\.com")
    def queue(url: Any, request: Any) -> Any:
        return {"status_code": 200, "content": ANSWER, "headers": {"Content-Type": "application/json"}}

    @urlmatch(netloc=r"storage\.example\.com")
    def storage(url: Any, request: Any) -> Any:
        return {"status_code": 200, "content": DATA}

    file = io.BytesIO()
    with HTTMock(queue, storage):
        taskcluster.download.downloadArtifactToFile(file, **CALL, queueService=taskcluster.Queue({"rootUrl": ROOT}))
    assert file.getvalue() == DATA


class Response(aiohttp.ClientResponse):
    """Lets aioresponses 0.7.9 make responses of aiohttp 3.14, whose constructor wants one argument more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
            kwargs["stream_writer"] = mock.Mock(output_size=0)
        super().__init__(*args, **kwargs)


def test_async_downloads_are_mocked_by_aioresponses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioresponses.core.ClientResponse", Response)

    async def scenario() -> Any:
        with aioresponses.aioresponses() as mocked:
            mocked.get(URL(CONTENT, encoded=True), payload=ANSWER)
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
HASHES = Deployment.hashes(Blob(DATA))


@responses.activate
def test_uploads_are_mocked_by_responses() -> None:
    responses.put(UPLOAD, json=CREATED)
    responses.put(STORED)
    responses.post(FINISH, json={})
    taskcluster.upload.uploadFromBuf(**PUT, objectService=taskcluster.Object({"rootUrl": ROOT}))
    assert [call.request.url for call in responses.calls] == [UPLOAD, STORED, FINISH]
    body = responses.calls[2].request.body
    assert body is not None
    assert json.loads(body)["hashes"] == HASHES


def test_uploads_are_mocked_by_requests_mock() -> None:
    with requests_mock.Mocker() as mocked:
        mocked.put(UPLOAD, json=CREATED)
        mocked.put(STORED)
        mocked.post(FINISH, json={})
        taskcluster.upload.uploadFromBuf(**PUT, objectService=taskcluster.Object({"rootUrl": ROOT}))
        assert mocked.call_count == 3
        assert mocked.last_request.json()["hashes"] == HASHES


def test_uploads_are_mocked_by_httmock() -> None:
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


def test_async_uploads_are_mocked_by_aioresponses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioresponses.core.ClientResponse", Response)

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


def test_one_request_for_an_artifact_that_is_not_there() -> None:
    with responses.RequestsMock() as mocked:
        mocked.get(CONTENT, json={"code": "ResourceNotFound", "message": "none"}, status=404)
        with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
            taskcluster.download.downloadArtifactToBuf(**CALL, queueService=taskcluster.Queue({"rootUrl": ROOT}))
        assert caught.value.status_code == 404
        assert len(mocked.calls) == 1


def test_fakes_may_be_autospecced_clients(mode: Mode, deployment: Deployment) -> None:
    artifacts(deployment)
    fake = mock.create_autospec(taskcluster.Queue, instance=True, spec_set=False)
    fake.options = {"rootUrl": deployment.root_url}
    fake.latestArtifact.return_value = {"storageType": "s3", "url": deployment.url("one")}
    assert mode.run(mode.download.downloadArtifactToBuf, **CALL, queueService=fake)[0].tobytes() == DATA
    fake.latestArtifact.assert_called_once_with("T", "public/x")


def test_no_secret_is_in_a_debug_log(mode: Mode, deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="taskcluster")
    for name in artifacts(deployment):
        mode.get_artifact(name)
    mode.put(data=DATA)
    assert "latestArtifact" in caplog.text
    for secret in (SECRET, "Hawk ", CREDENTIALS["accessToken"], "from-the-queue"):
        assert secret not in caplog.text
