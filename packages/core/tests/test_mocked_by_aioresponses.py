"""Programs whose tests mock aiohttp with `aioresponses`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses
from yarl import URL

import taskcluster
import taskcluster.aio

pytestmark = pytest.mark.services

ROOT = "https://tc.example.com"
QUEUE = f"{ROOT}/api/queue/v1"
TASK = "fN1SbArXTPSVFNUvaOlinQ"


class PatchedResponse(aiohttp.ClientResponse):
    """Lets aioresponses 0.7.9 create responses of aiohttp 3.14, which has another required argument."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
            kwargs["stream_writer"] = Mock(output_size=0)
        super().__init__(*args, **kwargs)


@pytest.fixture
def mock(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    monkeypatch.setattr("aioresponses.core.ClientResponse", PatchedResponse)
    with aioresponses() as mock:
        yield mock


@pytest.fixture(params=["bare", "entered", "given session"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call a method of a queue, in each way to use an async client."""

    async def over(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        options = {"rootUrl": ROOT, "delayFactor": 0, "maxRetries": 2}
        if request.param == "bare":
            return await getattr(taskcluster.aio.Queue(options), method)(*args, **kwargs)
        if request.param == "entered":
            async with taskcluster.aio.Queue(options) as queue:
                return await getattr(queue, method)(*args, **kwargs)
        async with aiohttp.ClientSession(headers={"X-Mine": "1"}) as session:
            return await getattr(taskcluster.aio.Queue(options, session), method)(*args, **kwargs)

    return lambda method, *args, **kwargs: asyncio.run(over(method, args, kwargs))


def calls(mock: aioresponses) -> list[tuple[str, URL]]:
    """Return the requests that the mock recorded, by method and URL."""
    return [key for key, seen in mock.requests.items() for _ in seen]


def test_returns_a_mocked_response_after_one_request(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/task/{TASK}", payload={"a": 1})
    assert call("task", TASK) == {"a": 1}
    assert calls(mock) == [("GET", URL(f"{QUEUE}/task/{TASK}"))]


def test_quotes_an_artifacts_complete_name(mock: aioresponses, call: Callable[..., Any]) -> None:
    url = URL(f"{QUEUE}/task/{TASK}/artifacts/public%2Fbuild%2Fx", encoded=True)
    mock.get(url, payload={"url": "https://storage.example.com"})
    assert call("getLatestArtifact", TASK, "public/build/x") == {"url": "https://storage.example.com"}
    assert calls(mock) == [("GET", url)]


def test_a_404_is_one_call(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/task/{TASK}", status=404, payload={"message": "no such task"})
    with pytest.raises(taskcluster.exceptions.TaskclusterRestFailure, match="no such task"):
        call("task", TASK)
    assert len(calls(mock)) == 1


def test_each_attempt_is_one_call(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/ping", status=500)
    mock.get(f"{QUEUE}/ping", exception=aiohttp.ServerDisconnectedError())
    mock.get(f"{QUEUE}/ping", payload={"alive": True})
    assert call("ping") == {"alive": True}
    assert len(calls(mock)) == 3


def test_json_without_a_content_type_is_read(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/ping", body='{"alive":true}', content_type="")
    assert call("ping") == {"alive": True}


def test_returns_the_json_body_of_a_redirect(mock: aioresponses, call: Callable[..., Any]) -> None:
    elsewhere = "https://storage.example.com/x"
    url = URL(f"{QUEUE}/task/{TASK}/runs/0/artifacts/public%2Fx", encoded=True)
    mock.get(url, status=303, payload={"url": elsewhere}, headers={"Location": elsewhere})
    assert call("getArtifact", TASK, 0, "public/x")["url"] == elsewhere
    assert len(calls(mock)) == 1


def test_the_mock_sees_query_and_payload(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/task-group/{TASK}/list?limit=5", payload={"tasks": []})
    mock.put(f"{QUEUE}/task/{TASK}", payload={})
    assert call("listTaskGroup", TASK, query={"limit": 5}) == {"tasks": []}
    call("createTask", TASK, {"a": 1})
    (request,) = mock.requests[("PUT", URL(f"{QUEUE}/task/{TASK}"))]
    assert request.kwargs["data"] == b'{"a":1}'
    assert request.kwargs["headers"]["Content-Type"] == "application/json"


def test_returns_the_mocks_response_if_not_json(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/ping", body=b"\x00\xff", content_type="image/png", headers={"X-Mine": "1"})
    response = call("ping")["response"]
    assert isinstance(response, aiohttp.ClientResponse)
    assert (response.status, response.headers["X-Mine"]) == (200, "1")
    assert asyncio.run(response.read()) == b"\x00\xff"


def test_last_failure_is_caught_by_old_and_new_handlers(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/ping", status=502, repeat=True)
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        call("ping")
    assert isinstance(caught.value, taskcluster.exceptions.TaskclusterRestFailure)
    assert caught.value.status == caught.value.status_code == 502
    assert len(calls(mock)) == 3


def test_timeout_is_caught_by_old_and_new_handlers(mock: aioresponses, call: Callable[..., Any]) -> None:
    mock.get(f"{QUEUE}/ping", exception=asyncio.TimeoutError(), repeat=True)
    with pytest.raises(asyncio.TimeoutError) as caught:
        call("ping")
    assert isinstance(caught.value, taskcluster.exceptions.TaskclusterConnectionError)
    assert len(calls(mock)) == 3


def test_headers_of_the_users_session_are_seen(mock: aioresponses) -> None:
    async def use() -> None:
        async with aiohttp.ClientSession(headers={"X-Mine": "1", "User-Agent": "mine"}) as session:
            await taskcluster.aio.Queue({"rootUrl": ROOT}, session=session).ping()

    mock.get(f"{QUEUE}/ping", payload={})
    asyncio.run(use())
    (request,) = mock.requests[("GET", URL(f"{QUEUE}/ping"))]
    assert request.kwargs["headers"]["X-Mine"] == "1"
    assert request.kwargs["headers"]["User-Agent"] == "mine"
