"""Test sessions passed by the user: they are used unchanged and not closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import pytest
import requests
from requests.auth import AuthBase

import taskcluster
import taskcluster.aio

from .drive import CREDENTIALS, Drive
from .server import Reaction, Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"


def test_session_is_used_and_not_closed(drive: Drive, server: Server) -> None:
    session = drive.session({"X-Mine": "yes"})
    first = drive.client(session=session)
    second = drive.client("Secrets", session=session)
    first.task(TASK)
    second.get("name")
    first.close()
    second.close()
    first.task(TASK)
    assert drive.is_open(session)
    assert [request.headers["x-mine"] for request in server.received] == ["yes"] * 3
    assert server.connections == 1


def test_session_can_be_positional(drive: Drive, server: Server) -> None:
    session = drive.session({"X-Mine": "yes"})
    module: Any = taskcluster if drive.mode == "sync" else taskcluster.aio
    drive.finish(module.Queue({"rootUrl": server.root_url}, session).ping())
    assert server.last.headers["x-mine"] == "yes"


def test_session_of_the_other_library_raises() -> None:
    async def session_of_aiohttp() -> None:
        async with aiohttp.ClientSession() as session:
            queue = taskcluster.Queue({"rootUrl": "https://tc.example.com"}, session=session)
            with pytest.raises(
                taskcluster.TaskclusterFailure, match=r"pass a requests\.Session, or .* taskcluster\.aio"
            ):
                queue.ping()

    asyncio.run(session_of_aiohttp())
    with requests.Session() as session:
        queue = taskcluster.aio.Queue({"rootUrl": "https://tc.example.com"}, session=session)
        with pytest.raises(taskcluster.TaskclusterFailure, match=r"pass an aiohttp"):
            asyncio.run(queue.ping())


def test_session_while_the_other_library_is_mocked(drive: Drive, server: Server) -> None:
    session = drive.session()
    with patch("aiohttp.ClientSession"), patch("requests.Session"):
        client = drive.bare(session=session)
    assert client.native.session is session


def test_session_cannot_replace_the_signature(drive: Drive, server: Server) -> None:
    session = drive.session({"Authorization": "Basic bWluZTptaW5l"})
    drive.client(session=session).task(TASK)
    assert server.last.headers["authorization"].startswith("Hawk ")


def test_retries_use_the_session(drive: Drive, server: Server) -> None:
    server.script(respond(500), Reaction(then="close"))
    assert drive.client(session=drive.session({"X-Mine": "yes"})).cancelTask(TASK) == {}
    assert [request.headers["x-mine"] for request in server.received] == ["yes"] * 3


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A netrc file with credentials for the server."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login mine password mine\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
def test_netrc_is_ignored(drive: Drive, server: Server) -> None:
    drive.client().task(TASK)
    assert server.last.headers["authorization"].startswith("Hawk ")
    drive.client(credentials=None).task(TASK)
    assert "authorization" not in server.last.headers


@pytest.mark.usefixtures("netrc")
def test_netrc_is_ignored_in_a_requests_session(server: Server) -> None:
    with taskcluster.createSession() as session:
        taskcluster.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}, session).ping()
    assert server.last.headers["authorization"].startswith("Hawk ")


@pytest.mark.usefixtures("netrc")
def test_aiohttp_session_with_credentials_raises(server: Server) -> None:
    async def main() -> None:
        async with taskcluster.aio.createSession(trust_env=True) as session:
            queue = taskcluster.aio.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}, session)
            with pytest.raises(taskcluster.TaskclusterFailure, match="given session"):
                await queue.ping()

    asyncio.run(main())
    assert server.received == []


def test_session_timeouts_apply(server: Server) -> None:
    async def main() -> None:
        async with taskcluster.aio.createSession(timeout=aiohttp.ClientTimeout(total=0.1)) as session:
            server.script(Reaction(then="stall"))
            queue = taskcluster.aio.Queue({"rootUrl": server.root_url, "maxRetries": 0}, session)
            with pytest.raises(taskcluster.TaskclusterConnectionError, match="timed out"):
                await queue.ping()

    asyncio.run(main())


def test_timeout_option_overrides_the_session(drive: Drive, server: Server) -> None:
    server.script(Reaction(then="stall"))
    client = drive.bare(session=drive.session(), timeout=0.1, maxRetries=0)
    with pytest.raises(taskcluster.TaskclusterConnectionError, match="timed out"):
        client.task(TASK)


def test_requests_session_keeps_cookies_hooks_and_auth(server: Server) -> None:
    seen: list[int] = []

    class Signed(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["X-Signed"] = str(len(request.url or ""))
            return request

    with requests.Session() as session:
        session.cookies.set("mine", "cookie")
        session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
        session.auth = Signed()
        taskcluster.Queue({"rootUrl": server.root_url}, session).ping()
    assert server.last.headers["cookie"] == "mine=cookie"
    assert server.last.headers["x-signed"] == str(len(server.root_url + server.last.target))
    assert seen == [200]


def test_requests_session_auth_keeps_the_signature(server: Server) -> None:
    with requests.Session() as session:
        session.auth = ("mine", "mine")
        taskcluster.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}, session).ping()
    assert server.last.headers["authorization"].startswith("Hawk ")


def test_aiohttp_session_with_raise_for_status(server: Server) -> None:
    async def main() -> None:
        async with taskcluster.aio.createSession(raise_for_status=True) as session:
            queue = taskcluster.aio.Queue({"rootUrl": server.root_url}, session)
            server.script(respond(404, {"code": "ResourceNotFound", "message": "no such task"}))
            with pytest.raises(taskcluster.TaskclusterRestFailure, match="no such task"):
                await queue.task(TASK)

    asyncio.run(main())
    assert len(server.received) == 1


def test_aiohttp_session_keeps_cookies(server: Server) -> None:
    async def main() -> None:
        jar = aiohttp.CookieJar(unsafe=True)
        async with taskcluster.aio.createSession(cookie_jar=jar, cookies={"mine": "cookie"}) as session:
            await taskcluster.aio.Queue({"rootUrl": server.root_url}, session).ping()

    asyncio.run(main())
    assert server.last.headers["cookie"] == "mine=cookie"


def test_clients_can_share_a_created_session(server: Server) -> None:
    with taskcluster.createSession() as session:
        for service in (taskcluster.Queue, taskcluster.Secrets, taskcluster.Index):
            service({"rootUrl": server.root_url}, session).ping()
    assert server.connections == 1


def test_client_session_leaves_nothing_open(server: Server, program: Callable[..., str]) -> None:
    done = program(
        """
        import asyncio, gc, sys, taskcluster, taskcluster.aio
        options = {"rootUrl": sys.argv[1]}

        with taskcluster.Queue(options) as queue:
            queue.ping()
            print(queue.session.get(queue.buildUrl("ping")).status_code)
            response = queue.session.get(queue.buildUrl("ping"), stream=True)
            response.close()
        dropped = taskcluster.Queue(options)
        print(dropped.session.get(dropped.buildUrl("ping")).status_code)
        del dropped
        gc.collect()

        async def main():
            async with taskcluster.aio.Queue(options) as queue:
                await queue.ping()
                async with queue.session.get(queue.buildUrl("ping")) as response:
                    print(response.status)

        asyncio.run(main())
        kept = taskcluster.Queue(options)
        print(kept.session.get(kept.buildUrl("ping")).status_code)
        """,
        server.root_url,
    )
    assert done.split() == ["200"] * 4
