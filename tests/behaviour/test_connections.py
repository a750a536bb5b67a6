"""Test that connections are kept alive, pooled, shared by threads but not with forks, and closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import taskcluster
import taskcluster.aio

from .drive import CREDENTIALS, Drive
from .server import PATIENCE, Reaction, Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"


def test_sequential_calls_share_a_connection(drive: Drive, server: Server) -> None:
    client = drive.client()
    for number in range(20):
        server.script(respond(200 if number % 3 else 404, {"number": number}))
        with pytest.raises(taskcluster.TaskclusterRestFailure) if number % 3 == 0 else contextlib.nullcontext():
            client.task(TASK)
    assert (len(server.received), server.connections) == (20, 1)


def test_connection_is_reused_after_a_non_json_response(drive: Drive, server: Server) -> None:
    client = drive.client()
    server.script(respond(200, b"\xff" * 100_000), respond(204))
    kept = client.task(TASK)
    client.task(TASK)
    client.task(TASK)
    assert server.connections == 1
    assert len(drive.body_of(kept["response"])) == 100_000


def test_replaces_a_connection_that_the_server_closed(drive: Drive, server: Server) -> None:
    client = drive.client()
    for expected in (1, 2, 3):
        server.script(respond(200, {"call": expected}, then="close"))
        assert client.task(TASK) == {"call": expected}
        server.wait_until(lambda: server.open == 0)
    client.cancelTask(TASK)
    assert server.last.connection == server.connections


def test_client_is_usable_after_close(drive: Drive, server: Server) -> None:
    client = drive.client()
    client.task(TASK)
    assert server.open == 1
    client.close()
    server.wait_until(lambda: server.open == 0)
    assert client.task(TASK) == {}


def test_close_closes_connections_of_kept_responses(drive: Drive, server: Server) -> None:
    client = drive.client()
    server.script(respond(200, b"no JSON"))
    kept = client.task(TASK)
    client.close()
    server.wait_until(lambda: server.open == 0)
    assert drive.body_of(kept["response"]) == b"no JSON"


def test_with_closes_the_connection(server: Server) -> None:
    options = {"rootUrl": server.root_url}
    with taskcluster.Queue(options) as queue:
        queue.ping()
        assert server.open == 1
    server.wait_until(lambda: server.open == 0)

    async def main() -> None:
        async with taskcluster.aio.Queue(options) as queue:
            await queue.ping()
            assert server.open == 1

    asyncio.run(main())
    server.wait_until(lambda: server.open == 0)


def test_threads_can_share_a_client(server: Server) -> None:
    threads = 12
    barrier = threading.Barrier(threads)
    with taskcluster.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}) as queue:

        def work(number: int) -> list[dict[str, bool]]:
            barrier.wait()
            return [queue.createTask(f"task-{number}-{call}", {"number": number, "call": call}) for call in range(10)]

        with ThreadPoolExecutor(threads) as pool:
            results = list(pool.map(work, range(threads)))
    assert results == [[{}] * 10] * threads
    assert server.connections <= threads
    assert len({request.authorization["nonce"] for request in server.received}) == 10 * threads
    for request in server.received:
        _, number, call = request.target.rpartition("/")[2].split("-")
        assert request.body == b'{"number":%s,"call":%s}' % (number.encode(), call.encode())


def test_fork_opens_new_connections(server: Server, program: Callable[..., str]) -> None:
    program(
        """
        import os, sys
        import taskcluster

        queue = taskcluster.Queue({"rootUrl": sys.argv[1], "credentials": {"clientId": "a", "accessToken": "b"}})
        queue.task("parent-1")
        child = os.fork()
        if child == 0:
            queue.task("child-1")
            queue.task("child-2")
            queue.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        queue.task("parent-2")
        queue.close()
        """,
        server.root_url,
    )
    assert [(request.target.rpartition("/")[2], request.connection) for request in server.received] == [
        ("parent-1", 1),
        ("child-1", 2),
        ("child-2", 2),
        ("parent-2", 1),
    ]
    nonces = [request.authorization["nonce"] for request in server.received]
    assert len(set(nonces)) == 4


def test_bare_async_clients_leave_nothing_open(server: Server, program: Callable[..., str]) -> None:
    server.otherwise = respond(200, {"good": True})
    printed = program(
        """
        import asyncio, sys
        import taskcluster.aio

        queue = taskcluster.aio.Queue({"rootUrl": sys.argv[1]})

        async def main():
            await queue.ping()
            await asyncio.gather(*(queue.task(str(number)) for number in range(5)))
            try:
                await taskcluster.aio.Queue({"rootUrl": "http://127.0.0.1:1", "maxRetries": 0}).ping()
            except taskcluster.TaskclusterConnectionError:
                return await queue.ping()

        for _ in range(3):
            print(asyncio.run(main()))
        """,
        server.root_url,
    )
    assert printed == "{'good': True}\n" * 3
    assert len(server.received) == 21
    server.wait_until(lambda: server.open == 0)


def test_bare_async_client_can_be_created_without_a_loop(server: Server, program: Callable[..., str]) -> None:
    program(
        """
        import asyncio, sys
        import taskcluster.aio

        queue = taskcluster.aio.Queue({"rootUrl": sys.argv[1]})
        loops = [asyncio.new_event_loop() for _ in range(2)]
        for loop in loops * 2:
            loop.run_until_complete(queue.ping())
        for loop in loops:
            loop.close()
        """,
        server.root_url,
    )
    assert len(server.received) == 4


def test_gathered_bare_calls_share_connections(server: Server) -> None:
    gate = threading.Event()
    queue = taskcluster.aio.Queue({"rootUrl": server.root_url})

    async def main() -> None:
        server.script(respond(200, {}, gate=gate))
        first = asyncio.create_task(queue.task("held"))
        await asyncio.to_thread(server.wait_until, lambda: len(server.received) == 1)
        for _ in range(3):
            await queue.task("after-one-another")
        gate.set()
        await first

    asyncio.run(main())
    assert server.connections == 2
    server.wait_until(lambda: server.open == 0)


def test_gathered_calls_wait_for_a_free_connection(server: Server) -> None:
    async def main() -> None:
        async with taskcluster.aio.Queue({"rootUrl": server.root_url, "timeout": PATIENCE, "maxRetries": 0}) as queue:
            results = await asyncio.gather(*(queue.task(str(number)) for number in range(300)))
        assert results == [{}] * 300

    asyncio.run(main())
    assert len({request.target for request in server.received}) == len(server.received) == 300
    assert server.connections <= 100


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], ids=["waiting", "reading"])
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "entered"])
def test_cancelled_call_leaves_nothing_open(server: Server, sent: bytes, bare: bool) -> None:
    server.otherwise = Reaction(sent, then="stall")

    async def main() -> None:
        queue = taskcluster.aio.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS})
        async with contextlib.nullcontext() if bare else queue:
            call = asyncio.create_task(queue.task(TASK))
            await asyncio.to_thread(server.wait_until, lambda: len(server.received) == 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(server.wait_until, lambda: server.open == 0)

    asyncio.run(main())
    gc.collect()
    assert len(server.received) == 1


def test_cancelled_call_is_not_retried(server: Server) -> None:
    gate = threading.Event()
    queue = taskcluster.aio.Queue({"rootUrl": server.root_url})

    async def main() -> object:
        server.script(Reaction(then="stall"))
        cancelled = asyncio.create_task(queue.task("cancelled"))
        await asyncio.to_thread(server.wait_until, lambda: len(server.received) == 1)
        server.script(respond(200, {"other": True}, gate=gate))
        other = asyncio.create_task(queue.task("other"))
        await asyncio.to_thread(server.wait_until, lambda: len(server.received) == 2)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        gate.set()
        return await other

    assert asyncio.run(main()) == {"other": True}
    assert [request.target.rpartition("/")[2] for request in server.received] == ["cancelled", "other"]
    server.wait_until(lambda: server.open == 0)


def test_cancelling_during_a_retry_delay_ends_the_call(
    server: Server, monkeypatch: pytest.MonkeyPatch, in_earlier_thread: Callable[[], bool]
) -> None:
    server.otherwise = respond(500)
    waiting = asyncio.Event()
    real = asyncio.sleep

    async def forever(delay: float) -> None:
        if in_earlier_thread():
            await real(delay)
        else:
            waiting.set()
            await asyncio.get_running_loop().create_future()

    async def main() -> None:
        call = asyncio.create_task(taskcluster.aio.Queue({"rootUrl": server.root_url}).task("x"))
        monkeypatch.setattr(asyncio, "sleep", forever)
        await waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert len(server.received) == 1
    server.wait_until(lambda: server.open == 0)


_INTERRUPTIBLE = ("/queue.py", "/threading.py", "/urllib3/", "/taskcluster/transport/", "/http/client.py")


# A connection that was just taken from the pool is closed by garbage collection.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_client_is_usable_after_an_interrupt_at_any_line(server: Server) -> None:
    queue = taskcluster.Queue({"rootUrl": server.root_url, "timeout": PATIENCE, "maxRetries": 0})

    def interrupt_after(steps: int) -> bool:
        """Interrupt a call after some lines; return whether it executed that many."""
        left = steps

        def trace(frame: Any, event: str, arg: Any) -> Any:
            nonlocal left
            if not any(part in frame.f_code.co_filename for part in _INTERRUPTIBLE):
                return None
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            queue.task("interrupted")
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        return False

    done: list[int] = []

    def work() -> None:
        queue.task("first")
        steps = 1
        while interrupt_after(steps):
            server.script(respond(200, {"steps": steps}))
            assert queue.task("next") == {"steps": steps}
            done.append(steps)
            steps += 1

    # A lock that stays locked would block this thread.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10 * PATIENCE)
    assert not thread.is_alive(), f"hangs after an interrupt at step {len(done) + 1}"
    assert len(done) > 100
    queue.close()
