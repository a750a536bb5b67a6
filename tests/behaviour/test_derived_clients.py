"""Test that clients from `with_options` share connections and differ in options only."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest

import taskcluster
import taskcluster.aio

from .drive import CREDENTIALS, Drive, DrivenClient
from .server import Reaction, Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"


def derived(drive: Drive, client: DrivenClient, **options: Any) -> DrivenClient:
    return DrivenClient(client.native.with_options(**options), drive.finish)


def test_derived_client_shares_connections_and_not_options(drive: Drive, server: Server) -> None:
    client = drive.client(maxRetries=3)
    fast = derived(drive, client, maxRetries=0)
    assert type(fast.native) is type(client.native)
    server.script(respond(200, {"n": 1}), respond(503), respond(503), respond(200, {"n": 2}))
    assert fast.task(TASK) == {"n": 1}
    with pytest.raises(taskcluster.TaskclusterRestFailure):
        fast.task(TASK)
    assert client.task(TASK) == {"n": 2}
    assert (len(server.received), server.connections) == (4, 1)
    assert (client.native.options["maxRetries"], fast.native.options["maxRetries"]) == (3, 0)
    assert "secret" not in f"{fast.native!r} {fast.native.options!r}"


def test_derived_timeout_applies(drive: Drive, server: Server) -> None:
    client = drive.client(maxRetries=0)
    server.script(Reaction(then="stall"))
    with pytest.raises(taskcluster.TaskclusterConnectionError, match="timed out"):
        derived(drive, client, timeout=0.1).task(TASK)
    gate = threading.Event()
    server.script(respond(200, {"n": 1}, gate=gate))
    threading.Timer(0.3, gate.set).start()
    assert client.task(TASK) == {"n": 1}


def test_derived_credentials_are_signed_with(drive: Drive, server: Server) -> None:
    client = drive.client()
    other = derived(drive, client, credentials={"clientId": "other", "accessToken": "x"})
    other.task(TASK)
    assert server.last.authorization["id"] == "other"
    derived(drive, client, credentials=None).task(TASK)
    assert "authorization" not in server.last.headers
    client.task(TASK)
    assert server.last.authorization["id"] == CREDENTIALS["clientId"]
    assert server.connections == 1


def test_options_of_the_parent_are_those_of_the_moment(drive: Drive) -> None:
    client = drive.client(maxRetries=3)
    client.native.options["maxDelay"] = 7
    first = client.native.with_options(timeout=5)
    second = first.with_options(maxRetries=None)
    client.native.options["maxDelay"] = 8
    assert [first.options[name] for name in ("timeout", "maxRetries", "maxDelay")] == [5, 3, 7]
    assert [second.options[name] for name in ("timeout", "maxRetries", "maxDelay")] == [5, 5, 7]


def test_rejects_options_as_the_constructor_does(drive: Drive) -> None:
    client = drive.client().native
    with pytest.warns(taskcluster.UnknownOptionWarning, match="'timeot' is ignored; did you mean 'timeout'") as caught:
        client.with_options(timeot=5)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.with_options(timeout=5).with_options(maxRetries=1)
    with pytest.raises(taskcluster.TaskclusterFailure, match="baseUrl"):
        client.with_options(baseUrl="https://tc.example.com")
    with pytest.raises(taskcluster.TaskclusterFailure, match="option timeout must be seconds"):
        drive.finish(client.with_options(timeout=-1).ping())


def test_closing_a_derived_client_closes_nothing_of_its_parent(drive: Drive, server: Server) -> None:
    client = drive.client()
    client.task(TASK)
    fast = derived(drive, client, timeout=5)
    fast.task(TASK)
    fast.close()
    client.task(TASK)
    fast.task(TASK)
    assert server.connections == 1


def test_both_stay_usable_after_the_parent_is_closed(drive: Drive, server: Server) -> None:
    client = drive.client()
    fast = derived(drive, client, timeout=5)
    fast.task(TASK)
    client.close()
    server.wait_until(lambda: server.open == 0)
    assert fast.task(TASK) == client.task(TASK) == {}
    assert server.connections == 2
    client.close()


def test_derived_client_uses_the_session_of_its_parent(drive: Drive, server: Server) -> None:
    session = drive.session({"X-Mine": "passed"})
    client = drive.client(session=session)
    fast = derived(drive, client, timeout=5)
    fast.task(TASK)
    assert (server.last.headers["x-mine"], fast.native.session) == ("passed", session)
    client.native.session = assigned = drive.session({"X-Mine": "assigned"})
    fast.task(TASK)
    assert (server.last.headers["x-mine"], fast.native.session) == ("assigned", assigned)
    with mock.patch.object(fast.native, "session", session):
        fast.task(TASK)
        assert server.last.headers["x-mine"] == "passed"
        client.task(TASK)
        assert server.last.headers["x-mine"] == "assigned"
    client.native.session = session
    fast.task(TASK)
    assert server.last.headers["x-mine"] == "passed"
    fast.close()
    assert drive.is_open(session)


def test_derived_user_agent_is_sent(drive: Drive, server: Server) -> None:
    client = drive.client(userAgentSuffix="one")
    other = derived(drive, client, userAgentSuffix="two")
    client.task(TASK)
    other.task(TASK)
    assert server.last.headers["user-agent"].endswith("two")
    client.task(TASK)
    assert server.last.headers["user-agent"].endswith("one")
    other.close()


def test_pages_are_listed_with_the_derived_options(drive: Drive, server: Server) -> None:
    client = derived(drive, drive.client(maxRetries=5), maxRetries=0)
    server.script(respond(200, {"tasks": [1], "continuationToken": "t"}), respond(200, {"tasks": [2]}), respond(503))
    assert drive.take(client, 9, "paginate_items", "listTaskGroup", TASK, limit=1) == [1, 2]
    assert "limit=1" in server.last.target
    assert "continuationToken=t" in server.last.target
    with pytest.raises(taskcluster.TaskclusterRestFailure):
        drive.take(client, 1, "paginate", "listTaskGroup", TASK)
    assert (len(server.received), server.connections) == (3, 1)


@pytest.mark.parametrize("how", ["copy", "deepcopy", "pickle"])
def test_copies_of_a_derived_client_are_independent(drive: Drive, server: Server, how: str) -> None:
    client = drive.client()
    client.task(TASK)
    native = derived(drive, client, maxRetries=0).native
    copied = pickle.loads(pickle.dumps(native)) if how == "pickle" else getattr(copy, how)(native)
    again = DrivenClient(copied, drive.finish)
    assert again.native.options == {**client.native.options, "maxRetries": 0}
    again.task(TASK)
    assert server.connections == 2
    again.close()


def test_with_of_a_derived_client_leaves_nothing_open(server: Server, program: Callable[..., str]) -> None:
    program(
        """
        import asyncio, sys
        import taskcluster, taskcluster.aio

        options = {"rootUrl": sys.argv[1]}
        with taskcluster.Queue(options).with_options(timeout=5) as queue:
            queue.ping()
        del queue

        async def main():
            async with taskcluster.aio.Queue(options).with_options(timeout=5) as queue:
                await queue.ping()
            async with taskcluster.aio.Queue(options) as queue:
                await asyncio.gather(queue.ping(), queue.with_options(timeout=5).ping())
            await taskcluster.aio.Queue(options).with_options(timeout=5).ping()

        asyncio.run(main())
        """,
        server.root_url,
    )
    server.wait_until(lambda: server.open == 0)


def test_async_clients_without_a_session_share_the_loops(server: Server) -> None:
    async def main() -> None:
        queue = taskcluster.aio.Queue({"rootUrl": server.root_url})
        await queue.ping()
        await queue.with_options(timeout=5).ping()
        async with queue.with_options(timeout=5) as own:
            await own.ping()
            assert server.connections == 2
            await queue.ping()
        await queue.ping()

    asyncio.run(main())
    assert server.connections == 2


def test_threads_can_share_derived_clients(server: Server) -> None:
    with taskcluster.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}) as queue:
        queue.ping()
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(queue.with_options(maxRetries=n).ping) for n in range(40)]
            assert [call.result() for call in calls] == [{}] * 40
    assert server.connections <= 8
