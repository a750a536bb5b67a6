"""Async clients without a session keep connections for as long as their event loop lives, and leave nothing open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import pytest
import trustme

import taskcluster
import taskcluster.aio

from .drive import CREDENTIALS
from .server import Late, Proxy, Reaction, Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"


@pytest.fixture
def queue(server: Server) -> Any:
    """A client without a session."""
    return taskcluster.aio.Queue({"rootUrl": server.root_url, "maxRetries": 0})


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that the test runs by hand."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def connections_of(server: Server) -> list[int]:
    """Return the number of the connection of each request."""
    return [request.connection for request in server.received]


# How event loops end

ENDS = {
    "asyncio.run": """
        asyncio.run(main())
    """,
    "asyncio.run twice": """
        asyncio.run(main())
        asyncio.run(main())
    """,
    "asyncio.run in debug mode": """
        asyncio.run(main(), debug=True)
    """,
    "asyncio.run left by SystemExit": """
        async def exits():
            await main()
            sys.exit()

        try:
            asyncio.run(exits())
        except SystemExit:
            pass
    """,
    "loop.close": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    """,
    "several loops closed later": """
        loops = [asyncio.new_event_loop() for _ in range(3)]
        for loop in loops:
            loop.run_until_complete(main())
        for loop in loops:
            loop.close()
    """,
    "shutdown_asyncgens and loop.close": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    """,
    "calls after shutdown_asyncgens": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(main())
        loop.close()
    """,
    "more calls after shutdown_asyncgens": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(main())
        loop.close()
    """,
    "calls of a generator that is shut down": """
        async def generate():
            try:
                yield
            finally:
                await main()

        async def begins():
            await anext(generator)

        generator = generate()
        asyncio.run(begins())
    """,
    "loop in a thread": """
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        asyncio.run_coroutine_threadsafe(main(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    """,
    "asyncio.run in threads": """
        threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """,
    "exit while the loop runs in a daemon thread": """
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(main(), loop).result()
    """,
    "exit before the loop is closed": """
        # The program's own fault.
        warnings.filterwarnings("ignore", "unclosed event loop")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
    """,
    "anyio.run": """
        import anyio
        anyio.run(main)
    """,
    "uvloop": """
        import anyio, uvloop
        anyio.run(main, backend_options={"use_uvloop": True})
    """,
    "pytest-asyncio": """
        import pytest

        sys.modules["program"] = types.SimpleNamespace(main=main)
        os.chdir(sys.argv[2])
        with open("test_calls.py", "w", encoding="utf-8") as file:
            for name in ("one", "two"):
                file.write(f"async def test_{name}():\\n    from program import main\\n    await main()\\n\\n")
        settings = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function"]
        options = ["-q", "-p", "pytest_asyncio.plugin", "-W", "error", *(f"-o{setting}" for setting in settings)]
        assert pytest.main(options) == 0
    """,
}
"""What a program does with its coroutine function `main`."""


@pytest.mark.parametrize("source", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_is_left_open_after(
    server: Server,
    tls_server: Server,
    authority: tuple[trustme.CA, Path],
    tmp_path: Path,
    program: Callable[..., str],
    source: str,
    scheme: str,
) -> None:
    for module in ("anyio", "uvloop", "pytest_asyncio"):
        if module in source:
            pytest.importorskip(module)
    chosen = server if scheme == "http" else tls_server
    program(
        textwrap.dedent("""
            import asyncio, os, sys, threading, types, warnings
            import taskcluster.aio

            queue = taskcluster.aio.Queue({"rootUrl": sys.argv[1]})

            async def main():
                await queue.ping()
                await asyncio.gather(*(queue.task(str(number)) for number in range(5)))
                try:
                    await taskcluster.aio.Queue({"rootUrl": "http://127.0.0.1:1", "maxRetries": 0}).ping()
                except taskcluster.TaskclusterConnectionError:
                    await queue.ping()
        """)
        + textwrap.dedent(source),
        chosen.root_url,
        str(tmp_path),
        REQUESTS_CA_BUNDLE=str(authority[1]),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert chosen.received
    assert len(chosen.received) % 7 == 0
    chosen.wait_until(lambda: chosen.open == 0)


@pytest.mark.parametrize("is_shut_down", [True, False])
def test_closes_connections_when_the_loop_is_closed(server: Server, queue: Any, is_shut_down: bool) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(queue.ping())
    assert server.open == 1
    if is_shut_down:
        loop.run_until_complete(loop.shutdown_asyncgens())
        server.wait_until(lambda: server.open == 0)
    loop.close()
    server.wait_until(lambda: server.open == 0)
    assert "call_soon" not in vars(loop)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_closes_connections_that_were_closing_at_loop_end(
    server: Server,
    tls_server: Server,
    authority: tuple[trustme.CA, Path],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[1]))
    chosen = server if scheme == "http" else tls_server
    queue = taskcluster.aio.Queue({"rootUrl": chosen.root_url, "maxRetries": 0})
    for turns in range(4):
        late = Late(b"")
        chosen.script(Reaction(respond(200, {}).raw, late=late, then="close"))
        loop = asyncio.new_event_loop()
        loop.run_until_complete(queue.ping())
        late.send()
        chosen.wait_until(lambda: chosen.open == 0)
        for _ in range(turns):
            loop.call_soon(loop.stop)
            loop.run_forever()
        loop.close()
        del loop
        # What is not closed warns, and a warning is an error.
        gc.collect()


def test_a_closed_loop_is_garbage_collected(queue: Any) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(queue.ping())
    loop.close()
    collected = weakref.ref(loop)
    del loop
    gc.collect()
    assert collected() is None


def test_a_call_survives_the_shutdown_of_generators(
    server: Server, queue: Any, loop: asyncio.AbstractEventLoop
) -> None:
    gate = threading.Event()
    loop.run_until_complete(queue.ping())
    server.script(respond(200, {"late": True}, gate=gate))
    call = loop.create_task(queue.task(TASK))
    loop.run_until_complete(asyncio.to_thread(server.wait_until, lambda: len(server.received) == 2))
    loop.run_until_complete(loop.shutdown_asyncgens())
    gate.set()
    assert loop.run_until_complete(call) == {"late": True}
    server.wait_until(lambda: server.open == 0)
    assert len(server.received) == 2


# What shares connections


def test_clients_of_a_loop_share_connections(server: Server) -> None:
    async def main() -> None:
        for options in ({}, {"credentials": CREDENTIALS}, {"credentials": {**CREDENTIALS, "clientId": "other"}}):
            client = taskcluster.aio.Queue({"rootUrl": server.root_url, **options})
            await client.ping()
            await client.close()
            assert client.session is None
            del client
            gc.collect()

    asyncio.run(main())
    assert connections_of(server) == [1, 1, 1]
    assert ["authorization" in request.headers for request in server.received] == [False, True, True]


def test_loops_do_not_share_connections(server: Server, queue: Any) -> None:
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for _ in range(2):
        for loop in loops:
            loop.run_until_complete(queue.ping())
    loops[0].close()
    server.wait_until(lambda: server.open == 1)
    loops[1].run_until_complete(queue.ping())
    loops[1].close()
    assert connections_of(server) == [1, 2, 1, 2, 2]


def test_loops_in_threads_use_a_client_at_once(server: Server, queue: Any) -> None:
    barrier = threading.Barrier(4)

    async def main(name: str) -> list[Any]:
        barrier.wait()
        return [await queue.createTask(f"{name}-{number}", {"name": f"{name}-{number}"}) for number in range(10)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda name: asyncio.run(main(name)), "abcd"))
    assert results == [[{}] * 10] * 4
    assert server.connections == 4
    for request in server.received:
        assert request.body == b'{"name":"%s"}' % request.target.rpartition("/")[2].encode()


def test_async_with_uses_separate_connections(server: Server, queue: Any) -> None:
    async def main() -> None:
        await queue.ping()
        async with queue:
            assert isinstance(queue.session, aiohttp.ClientSession)
            await queue.ping()
        assert queue.session is None
        await queue.ping()

    asyncio.run(main())
    assert connections_of(server) == [1, 2, 1]


def test_at_most_100_connections_are_open_to_a_server(server: Server) -> None:
    other = Server()
    queues = [taskcluster.aio.Queue({"rootUrl": server.root_url}) for _ in range(2)]
    gate = threading.Event()
    server.otherwise = respond(200, {}, gate=gate)

    async def main() -> None:
        calls = [asyncio.create_task(queue.ping()) for queue in queues for _ in range(75)]
        await asyncio.to_thread(server.wait_until, lambda: len(server.received) == 100)
        # They do not keep calls to another server waiting.
        assert await taskcluster.aio.Queue({"rootUrl": other.root_url}).ping() == {}
        gate.set()
        assert await asyncio.gather(*calls) == [{}] * 150

    try:
        asyncio.run(main())
    finally:
        other.close()
    assert server.connections == 100


def test_a_fork_opens_new_connections(server: Server, program: Callable[..., str]) -> None:
    program(
        """
        import asyncio, os, sys
        import taskcluster.aio

        queue = taskcluster.aio.Queue({"rootUrl": sys.argv[1]})
        loop = asyncio.new_event_loop()
        loop.run_until_complete(queue.task("parent-1"))
        if (child := os.fork()) == 0:
            asyncio.run(queue.task("child-1"))
            loop.run_until_complete(queue.task("child-2"))
            loop.run_until_complete(queue.task("child-3"))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        loop.run_until_complete(queue.task("parent-2"))
        loop.close()
        """,
        server.root_url,
    )
    assert [(request.target.rpartition("/")[2], request.connection) for request in server.received] == [
        ("parent-1", 1),
        ("child-1", 2),
        ("child-2", 3),
        ("child-3", 3),
        ("parent-2", 1),
    ]


def test_a_mocked_session_is_used_only_while_it_is_there(server: Server, queue: Any) -> None:
    response = mock.Mock(status=200, headers={}, read=mock.AsyncMock(return_value=b'{"mocked": true}'))
    session = mock.Mock(headers={}, request=mock.AsyncMock(return_value=response), close=mock.AsyncMock())

    async def main() -> None:
        assert await queue.ping() == {}
        with mock.patch("aiohttp.ClientSession", return_value=session) as made:
            assert await queue.ping() == {"mocked": True}
        assert made.call_count == 1
        session.close.assert_awaited_once_with()
        assert await queue.ping() == {}

    asyncio.run(main())
    assert connections_of(server) == [1, 1]


# When a connection is not reused


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_that_the_server_closed_is_replaced(
    server: Server, loop: asyncio.AbstractEventLoop, queue: Any, how: Any
) -> None:
    for number in range(3):
        server.script(respond(200, {"number": number}, then=how))
        assert loop.run_until_complete(queue.cancelTask(TASK)) == {"number": number}
        server.wait_until(lambda: server.open == 0)
    assert connections_of(server) == [1, 2, 3]


def test_a_request_is_not_sent_twice(server: Server, queue: Any) -> None:
    async def main() -> None:
        await queue.ping()
        server.script(Reaction(then="close"))
        with pytest.raises(taskcluster.TaskclusterConnectionError):
            await queue.cancelTask(TASK)

    asyncio.run(main())
    assert [(request.method, request.connection) for request in server.received] == [("GET", 1), ("POST", 1)]


@pytest.mark.parametrize(
    ("header", "connections"),
    [
        ("timeout=1", [1, 2, 3]),
        ("max=100, Timeout = 1", [1, 2, 3]),
        ("timeout=0", [1, 2, 3]),
        ("timeout=600", [1, 1, 1]),
        ("timeout=" + "9" * 5000, [1, 1, 1]),
        ("timeout=", [1, 1, 1]),
    ],
    ids=["1 s", "after another parameter", "0 s", "600 s", "many digits", "no number"],
)
def test_does_not_reuse_a_connection_the_server_will_close(
    server: Server, queue: Any, header: str, connections: list[int]
) -> None:
    async def main() -> None:
        for _ in range(3):
            await queue.ping()

    server.otherwise = respond(200, {}, {"Keep-Alive": header})
    asyncio.run(main())
    assert connections_of(server) == connections


def test_the_proxy_may_change_between_calls(
    server: Server, proxy: Proxy, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        for variables in ({}, {"http_proxy": proxy.url}, {"http_proxy": proxy.url, "no_proxy": "127.0.0.1"}):
            with pytest.MonkeyPatch.context() as patch:
                for name, value in variables.items():
                    patch.setenv(name, value)
                await queue.ping()

    asyncio.run(main())
    assert connections_of(server) == [1, 2, 1]
    assert len(proxy.asked) == 1


def test_the_certificates_may_change_between_calls(
    tls_server: Server, authority: tuple[trustme.CA, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(others)
    queue = taskcluster.aio.Queue({"rootUrl": tls_server.root_url, "maxRetries": 0})

    async def main() -> None:
        for path in (authority[1], others, None, authority[1]):
            is_trusted = path == authority[1]
            with contextlib.nullcontext() if is_trusted else pytest.raises(taskcluster.TaskclusterConnectionError):
                if path is None:
                    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
                else:
                    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
                await queue.ping()

    asyncio.run(main())
    assert connections_of(tls_server) == [1, 1]
