"""`client.session`: a session for requests of the program, and when calls use it."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

import aiohttp
import pytest
import requests

import taskcluster
import taskcluster.aio
import taskcluster.client
from taskcluster.exceptions import TaskclusterFailure

ROOT = "https://tc.example.com"


def library_session(mode: Any) -> Any:
    """Return the class of the mode's sessions."""
    return requests.Session if mode.name == "sync" else aiohttp.ClientSession


def in_mode(mode: Any, test: Callable[[Any], Any]) -> None:
    """Run a test, a generator of calls, with a sync client, or with an async one on an event loop."""

    async def steps() -> None:
        client = mode.widgets()
        entered = await client.__aenter__() if mode.name == "async" else client
        try:
            for call in test(entered):
                result = call()
                if inspect.isawaitable(result):
                    await result
        finally:
            closed = client.close()
            if inspect.isawaitable(closed):
                await closed

    asyncio.run(steps())


def test_a_sync_client_makes_a_session_when_it_is_read() -> None:
    client = taskcluster.client.BaseClient({"rootUrl": ROOT})
    assert type(client.session) is requests.Session
    assert client.session is client.session
    assert client.session is not taskcluster.client.BaseClient({"rootUrl": ROOT}).session


def test_a_sync_client_closes_the_session_that_it_made() -> None:
    made = mock.create_autospec(requests.Session, instance=True)
    passed = mock.create_autospec(requests.Session, instance=True)
    with mock.patch("taskcluster.client.createSession", return_value=made):
        with taskcluster.client.BaseClient({"rootUrl": ROOT}) as client:
            assert client.session is made
        made.close.assert_called_once_with()
    assert type(client.session) is requests.Session
    taskcluster.client.BaseClient({"rootUrl": ROOT}, passed).close()
    passed.close.assert_not_called()


def test_an_async_client_has_a_session_inside_async_with() -> None:
    async def use() -> None:
        client = taskcluster.aio.AsyncBaseClient({"rootUrl": ROOT})
        assert client.session is None
        async with client:
            assert isinstance(client.session, aiohttp.ClientSession)
            session = client.session
        assert session.closed
        assert client.session is None

    asyncio.run(use())


def test_calls_do_not_use_the_session_that_a_sync_client_made(wire: Any, mode: Any) -> None:
    def test(client: Any) -> Any:
        if mode.name == "sync":
            client.session.headers["X-Mine"] = "1"
        yield client.ping

    wire.respond(200, {})
    in_mode(mode, test)
    assert "X-Mine" not in wire.last.headers


def test_calls_use_a_session_that_was_assigned(wire: Any, mode: Any) -> None:
    def test(client: Any) -> Any:
        before = client.session
        session = library_session(mode)(**({} if mode.name == "sync" else {"headers": {"X-Mine": "1"}}))
        if mode.name == "sync":
            session.headers["X-Mine"] = "1"
        client.session = session
        assert client.session is session
        yield client.ping
        client.session = None
        assert client.session is before
        yield client.ping
        client.session = session
        yield client.ping
        del client.session
        assert client.session is before
        yield client.ping
        yield session.close

    wire.respond(200, {}, times=4)
    in_mode(mode, test)
    assert [sent.headers.get("X-Mine") for sent in wire.sent] == ["1", None, "1", None]


MOCKS: list[Callable[[Any], Any]] = [
    lambda kind: mock.MagicMock(),
    lambda kind: mock.Mock(spec=kind),
    lambda kind: mock.create_autospec(kind, instance=True),
    lambda kind: SimpleNamespace(get=mock.Mock()),
]


@pytest.mark.parametrize("make", MOCKS)
@pytest.mark.parametrize("given", [False, True])
def test_a_patched_session_does_not_break_calls(wire: Any, mode: Any, make: Any, given: bool) -> None:
    def test(client: Any) -> Any:
        if given:
            client.session = library_session(mode)()
        before = client.session
        with mock.patch.object(client, "session", make(library_session(mode))):
            client.session.get("https://example.com")
            assert client.session.get.call_count == 1
            yield client.ping
        assert client.session is before
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "session", make(library_session(mode)))
            yield client.ping
        assert client.session is before
        if mode.name == "sync":
            before.headers["X-Mine"] = "1"
        yield client.ping
        if given:
            yield before.close

    wire.respond(200, {}, times=3)
    in_mode(mode, test)
    assert [sent.headers.get("X-Mine") for sent in wire.sent] == [
        None,
        None,
        "1" if given and mode.name == "sync" else None,
    ]


def test_an_autospec_of_a_class_has_a_session(mode: Any) -> None:
    made = mock.create_autospec(type(mode.widgets()))
    made({"rootUrl": ROOT}).session.get("https://example.com")


def test_calls_use_a_mock_that_was_passed() -> None:
    response = mock.Mock(status=200, headers={}, read=mock.AsyncMock(return_value=b'{"a": 1}'))
    session = mock.Mock(headers={}, timeout=aiohttp.ClientTimeout(), request=mock.AsyncMock(return_value=response))
    made = taskcluster.aio.createApiClient("Widgets", {**REFERENCE})({"rootUrl": ROOT}, session)
    assert asyncio.run(made.ping()) == {"a": 1}  # type: ignore[attr-defined]


def test_async_calls_use_a_context_manager_that_was_passed() -> None:
    # As in tests of programs: without headers and timeouts, and with `json` instead of a body.
    session = mock.MagicMock()
    session.request.return_value.__aenter__.return_value = mock.AsyncMock(status=200)
    session.request.return_value.__aenter__.return_value.json.return_value = {"a": 1}
    made = taskcluster.aio.createApiClient("Widgets", {**REFERENCE})({"rootUrl": ROOT}, session)
    assert asyncio.run(made.ping()) == {"a": 1}  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", MOCKS)
def test_sync_calls_ignore_a_mock_that_was_passed(wire: Any, make: Any) -> None:
    wire.respond(200, {"a": 1})
    client = taskcluster.client.createApiClient("Widgets", {**REFERENCE})({"rootUrl": ROOT}, make(requests.Session))
    assert client.ping() == {"a": 1}  # type: ignore[attr-defined]


class OverridingSession(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        self.requested: list[str] = []

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        self.requested.append(f"{method} {url}")
        return super().request(method, url, *args, **kwargs)


@pytest.mark.parametrize("how", ["overridden", "patched"])
@pytest.mark.parametrize("passed", [True, False])
def test_calls_use_the_request_method_of_a_session(wire: Any, how: str, passed: bool) -> None:
    wire.respond(200, {"a": 1})
    session = OverridingSession()
    if how == "patched":
        overriding, session = session, requests.Session()  # type: ignore[assignment]
        session.requested = overriding.requested
        session.request = overriding.request  # type: ignore[method-assign]
    made = taskcluster.client.createApiClient("Widgets", {**REFERENCE})
    client = made({"rootUrl": ROOT}, session if passed else None)
    if not passed:
        client.session = session
    assert client.ping() == {"a": 1}  # type: ignore[attr-defined]
    assert session.requested == [f"GET {ROOT}/api/widgets/v1/ping"]


@pytest.mark.parametrize("name", ["requests.request", "requests.Session.request"])
def test_sync_calls_use_a_function_of_requests_that_was_replaced(name: str) -> None:
    response = mock.Mock(status_code=200, json=lambda: {"a": 1})
    client = taskcluster.client.createApiClient("Widgets", {**REFERENCE})({"rootUrl": ROOT})
    with mock.patch(name, return_value=response) as replaced:
        assert client.ping() == {"a": 1}  # type: ignore[attr-defined]
    assert replaced.call_count == 1


REFERENCE = {
    "serviceName": "widgets",
    "apiVersion": "v1",
    "entries": [{"type": "function", "name": "ping", "method": "get", "route": "/ping", "args": []}],
}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda client: pickle.loads(pickle.dumps(client))])
def test_a_copy_creates_a_new_session(again: Any) -> None:
    client = taskcluster.client.BaseClient({"rootUrl": ROOT})
    session = client.session
    assert type(again(client).session) is requests.Session
    assert again(client).session is not session
    client.session = session
    assert again(client).session is not session


def test_raises_for_a_session_of_the_other_mode(wire: Any, mode: Any) -> None:
    async def use() -> None:
        async with aiohttp.ClientSession() as other:
            client = mode.widgets(other if mode.name == "sync" else requests.Session())
            # An async method does nothing until it is awaited.
            call = client.ping if mode.name == "sync" else lambda: client.ping().send(None)
            with pytest.raises(TaskclusterFailure, match="cannot call over a session of"):
                call()

    asyncio.run(use())
    assert wire.sent == []


def test_events_classes_have_a_session() -> None:
    events = taskcluster.client.BaseEvents({"rootUrl": ROOT})
    assert isinstance(events.session, requests.Session)
    passed = requests.Session()
    assert taskcluster.client.BaseEvents({"rootUrl": ROOT}, passed).session is passed
