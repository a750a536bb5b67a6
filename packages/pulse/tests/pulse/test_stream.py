"""Consumers of the message stream of a local deployment, and of servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from taskcluster_auth.types import CreateRoleRequest

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_pulse import PulseConnectionError, PulseFailure, PulseRefused
from taskcluster_pulse.loop_thread import LoopThread

from .conftest import TIMEOUT, PulseMode

ROLE: CreateRoleRequest = {"description": "Example.", "scopes": []}


@pytest.fixture
def local(deployment: LocalTaskcluster) -> LocalTaskcluster:
    deployment.reset()
    return deployment


def test_receives_messages(mode: PulseMode, local: LocalTaskcluster) -> None:
    events, auth = taskcluster.AuthEvents(local.options()), taskcluster.Auth(local.options())
    connections: list[int] = []
    consumer = mode.consumer(
        events.roleCreated(), root_url=local.root_url, on_connected=lambda: connections.append(1), queue="ignored"
    )
    with consumer as messages:
        assert connections == [1]
        auth.createRole("one", ROLE)
        message = messages.get(TIMEOUT)
        assert message.payload["roleId"] == "one"
        assert message.exchange == events.roleCreated()["exchange"]
        assert message.routing == {"reserved": "_"}
        assert messages.queue is None
    assert local.root_url in repr(consumer)


def test_finds_the_deployment_of_the_environment(
    mode: PulseMode, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = local.credentials
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", local.root_url)
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", credentials["accessToken"])
    with mode.consumer(taskcluster.AuthEvents(local.options()).roleCreated()) as messages:
        taskcluster.Auth(local.options()).createRole("one", ROLE)
        assert messages.get(TIMEOUT).payload["roleId"] == "one"


def test_signs_the_request(mode: PulseMode, local: LocalTaskcluster) -> None:
    binding = taskcluster.AuthEvents(local.options()).roleCreated()
    wrong = {"clientId": "nobody", "accessToken": "x" * 22}
    with (
        pytest.raises(PulseRefused, match="status 401") as caught,
        mode.consumer(binding, wrong, root_url=local.root_url),
    ):
        pass
    assert caught.value.code == 401
    with mode.consumer(binding, local.credentials, root_url=local.root_url):
        pass


def test_many_bindings_raise_before_connecting(mode: PulseMode, unused_port: int) -> None:
    bindings = [("e", f"primary.{number}.#") for number in range(500)]
    with (
        pytest.raises(PulseFailure, match=r"500 bindings take .* bytes .*: use fewer"),
        mode.consumer(bindings, root_url=f"http://127.0.0.1:{unused_port}", connect_timeout=None),
    ):
        pass


def test_as_many_bindings_as_a_url_may_have(mode: PulseMode, local: LocalTaskcluster) -> None:
    exchange = taskcluster.AuthEvents(local.options()).roleCreated()["exchange"]
    bindings = [(exchange, f"primary.{number}.#") for number in range(120)]
    with mode.consumer(bindings, root_url=local.root_url) as messages:
        assert not messages.queue


def test_consumers_are_used_once_and_in_a_block(mode: PulseMode, local: LocalTaskcluster) -> None:
    binding = taskcluster.AuthEvents(local.options()).roleCreated()
    consumer = mode.consumer(binding, root_url=local.root_url)
    with pytest.raises(PulseFailure, match="connect first"):
        consumer.get()
    consumer.__exit__(None, None, None)
    with consumer:
        with pytest.raises(PulseFailure, match="once only"), consumer:
            pass
        taskcluster.Auth(local.options()).createRole("one", ROLE)
        message = consumer.get(TIMEOUT)
        # Received, but not requested.
        taskcluster.Auth(local.options()).createRole("two", ROLE)
    consumer.__exit__(None, None, None)
    message.ack()
    for use in (consumer.get, lambda: consumer.run(print)):
        with pytest.raises(PulseFailure, match="is closed: make another one"):
            use()
    with pytest.raises(PulseFailure, match="once only"), consumer:
        pass
    consumer.stop()
    failed = mode.consumer(("exchange/nope", "#"), root_url=local.root_url)
    with pytest.raises(PulseRefused), failed:
        pass
    with pytest.raises(PulseFailure, match="is closed: make another one"):
        failed.get()


def test_requeued_messages_are_delivered_again(mode: PulseMode, local: LocalTaskcluster) -> None:
    seen: list[tuple[str, bool]] = []
    failures: list[Any] = []
    auth = taskcluster.Auth(local.options())

    def handle(message: Any) -> None:
        seen.append((message.payload["roleId"], message.redelivered))
        if message.payload["roleId"] == "last":
            consumer.stop()
        else:
            raise ZeroDivisionError

    def report(message: Any, exc: Exception) -> None:
        failures.append(type(exc))
        auth.createRole("last", ROLE)

    consumer = mode.consumer(
        taskcluster.AuthEvents(local.options()).roleCreated(),
        root_url=local.root_url,
        prefetch=1,
        on_connected=lambda: auth.createRole("first", ROLE) and None,
        on_failure=report,
    )
    consumer.run(handle)
    assert seen == [("first", False), ("first", True), ("last", False)]
    assert failures == [ZeroDivisionError]


def test_reports_messages_that_may_be_lost(mode: PulseMode, local: LocalTaskcluster) -> None:
    connections: list[int] = []
    with mode.consumer(
        taskcluster.AuthEvents(local.options()).roleCreated(),
        root_url=local.root_url,
        on_connected=lambda: connections.append(1),
    ) as messages:
        local.reset()
        taskcluster.Auth(local.options()).createRole("one", ROLE)
        assert messages.get(TIMEOUT).payload["roleId"] == "one"
    assert connections == [1, 1]


def test_unknown_exchange_is_refused(mode: PulseMode, local: LocalTaskcluster) -> None:
    with (
        pytest.raises(PulseRefused, match=r"status 400: .*unknown exchange 'exchange/nope'") as caught,
        mode.consumer(("exchange/nope", "#"), root_url=local.root_url),
    ):
        pass
    assert caught.value.code == 400


Script = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


class ScriptedServer:
    """A server whose connections follow scripts, one after the other."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.positions: list[str | None] = []
        self.thread = LoopThread("server")
        self.root_url = self.thread.call(self._start())

    async def _start(self) -> str:
        application = web.Application()
        application.router.add_get("/events", self._respond)
        self.runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        self.positions.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await self.scripts.pop(0)(request, response)
        return response

    def close(self) -> None:
        self.thread.call(self.runner.cleanup())
        self.thread.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setattr("taskcluster_pulse.supervisor.pause", lambda *args: 0.01)
    server = ScriptedServer()
    yield server
    server.close()


def message(number: int) -> bytes:
    content = {"exchange": "e", "routingKey": "k", "routes": [], "redelivered": False, "payload": number}
    return f"id: {number}\nevent: message\ndata: {json.dumps(content)}\n\n".encode()


READY = b"id: 0\nevent: ready\ndata: {}\n\n"


def sends(*parts: bytes, then: Callable[[web.Request], Any] | None = None) -> Script:
    """Return a script that sends parts and ends, or does something else."""

    async def script(request: web.Request, response: web.StreamResponse) -> None:
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if then is not None:
            await then(request)

    return script


def cut(request: web.Request) -> Any:
    assert request.transport is not None
    request.transport.abort()
    return asyncio.sleep(0)


async def silence(request: web.Request) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "ending",
    [
        sends(READY, message(1), message(2)),
        sends(READY, message(1), message(2), then=cut),
        sends(READY, message(1), message(2), b'event: error\ndata: {"code": "TooSlow", "message": "slow"}\n\n'),
        sends(READY, message(1), message(2), b"event: message\ndata: {\n\n"),
        sends(READY, message(1), message(2), then=silence),
    ],
    ids=["end", "cut", "error", "invalid", "silence"],
)
def test_continues_after_the_last_message(mode: PulseMode, server: ScriptedServer, ending: Script) -> None:
    """Nothing is asked for that was received, and what was received stays valid."""
    server.scripts = [ending, sends(READY, message(3), then=silence)]
    with mode.consumer(("e", "#"), root_url=server.root_url, heartbeat=1) as messages:
        assert [messages.get(TIMEOUT).payload for _ in range(3)] == [1, 2, 3]
    assert server.positions == [None, "2"]


def test_reads_no_more_than_prefetch(mode: PulseMode, server: ScriptedServer) -> None:
    server.scripts = [sends(READY, *map(message, range(1, 4)), then=cut), sends(READY, message(3), then=silence)]
    with mode.consumer(("e", "#"), root_url=server.root_url, prefetch=2, manual_ack=True) as messages:
        first = messages.get(TIMEOUT)
        assert messages.get(TIMEOUT).payload == 2
        with pytest.raises(TimeoutError):
            messages.get(0.2)
        first.ack()
        assert messages.get(TIMEOUT).payload == 3


def test_waits_for_a_server_that_is_not_ready(mode: PulseMode, server: ScriptedServer) -> None:
    async def unavailable(request: web.Request, response: web.StreamResponse) -> None:
        raise web.HTTPServiceUnavailable

    server.scripts = [unavailable, sends(b"\n\n"), sends(READY, message(1), then=silence)]
    with mode.consumer(("e", "#"), root_url=server.root_url) as messages:
        assert messages.get(TIMEOUT).payload == 1


def test_a_deployment_without_stream_is_refused(mode: PulseMode, server: ScriptedServer) -> None:
    async def missing(request: web.Request, response: web.StreamResponse) -> None:
        raise web.HTTPNotFound

    server.scripts = [missing]
    with (
        pytest.raises(PulseRefused, match="only local deployments have"),
        mode.consumer(("e", "#"), root_url=server.root_url),
    ):
        pass


def test_nobody_listens(mode: PulseMode, unused_port: int) -> None:
    root_url = f"http://127.0.0.1:{unused_port}"
    with (
        pytest.raises(PulseConnectionError, match=f"no connection to {root_url}: Connection refused"),
        mode.consumer(("e", "#"), root_url=root_url, connect_timeout=0.01),
    ):
        pass


def test_stop_ends_waiting_for_a_connection(mode: PulseMode, unused_port: int) -> None:
    consumer = mode.consumer(("e", "#"), root_url=f"http://127.0.0.1:{unused_port}", connect_timeout=None)
    timer = threading.Timer(0.3, consumer.stop)
    timer.start()
    consumer.run(lambda _: None)
    timer.join()
