"""TLS, certificate authorities and proxies, as the environment sets them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import trustme

import taskcluster
import taskcluster.aio

from .drive import CREDENTIALS, Drive
from .server import Proxy, Server, closed_port, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"

Authority = tuple[trustme.CA, Path]


def test_a_certificate_of_an_unknown_authority_is_refused(drive: Drive, tls_server: Server) -> None:
    client = drive.client(rootUrl=tls_server.root_url, maxRetries=0)
    with pytest.raises(taskcluster.TaskclusterConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        client.task(TASK)
    assert tls_server.received == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_sync_clients_trust_the_authorities_that_requests_would(
    tls_server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with taskcluster.Queue({"rootUrl": tls_server.root_url, "maxRetries": 0, "credentials": CREDENTIALS}) as queue:
        with pytest.raises(taskcluster.TaskclusterConnectionError):
            queue.task(TASK)
        monkeypatch.setenv(variable, str(authority[1]))
        assert [queue.task(TASK) for _ in range(5)] == [{}] * 5
    assert len({request.connection for request in tls_server.received}) == 1
    tls_server.wait_until(lambda: tls_server.open == 0)


def test_a_requests_session_brings_its_own_authorities(tls_server: Server, authority: Authority) -> None:
    with taskcluster.createSession() as session:
        session.verify = str(authority[1])
        assert taskcluster.Queue({"rootUrl": tls_server.root_url}, session).ping() == {}


def test_an_aiohttp_session_brings_its_own_authorities(tls_server: Server, authority: Authority) -> None:
    async def main() -> object:
        context = ssl.create_default_context(cafile=authority[1])
        async with taskcluster.aio.createSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            queue = taskcluster.aio.Queue({"rootUrl": tls_server.root_url}, session)
            return [await queue.ping(), *await asyncio.gather(queue.ping(), queue.ping())]

    assert asyncio.run(main()) == [{}, {}, {}]


def test_async_clients_over_tls_leave_nothing_open(
    tls_server: Server, authority: Authority, program: Callable[..., str]
) -> None:
    tls_server.otherwise = respond(200, {"good": True})
    printed = program(
        """
        import asyncio, sys
        import taskcluster.aio

        options = {"rootUrl": sys.argv[1], "credentials": {"clientId": "a", "accessToken": "b"}, "maxRetries": 0}
        queue = taskcluster.aio.Queue(options)

        async def main():
            await asyncio.gather(*(queue.task("gathered") for _ in range(5)))
            async with taskcluster.aio.Queue(options) as entered:
                await asyncio.gather(*(entered.task("entered") for _ in range(5)))
            return await queue.task("bare")

        for _ in range(2):
            print(asyncio.run(main()))
        """,
        tls_server.root_url,
        SSL_CERT_FILE=str(authority[1]),
    )
    assert printed == "{'good': True}\n" * 2
    assert len(tls_server.received) == 22
    tls_server.wait_until(lambda: tls_server.open == 0)


def test_sync_clients_over_tls_leave_nothing_open(
    tls_server: Server, authority: Authority, program: Callable[..., str]
) -> None:
    program(
        """
        import sys
        import taskcluster

        with taskcluster.Queue({"rootUrl": sys.argv[1], "maxRetries": 0}) as queue:
            queue.task("a")
            queue.task("b")
        """,
        tls_server.root_url,
        REQUESTS_CA_BUNDLE=str(authority[1]),
    )
    assert len(tls_server.received) == 2
    tls_server.wait_until(lambda: tls_server.open == 0)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_carries_calls_as_they_were_signed(
    drive: Drive, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    drive.client("Secrets").get("a b/c%2F~*")
    assert proxy.asked == [f"GET {server.root_url}/api/secrets/v1/secret/a%20b%2Fc%252F~%2A HTTP/1.1"]
    assert server.last.target == "/api/secrets/v1/secret/a%20b%2Fc%252F~%2A"
    assert server.last.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("host", "exempt"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "example.com, localhost:{port}"), ("localhost", "*")],
    ids=["by address", "by name and port", "all"],
)
def test_hosts_exempt_from_the_proxy_are_called_directly(
    drive: Drive, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, host: str, exempt: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", exempt.format(port=server.port))
    assert drive.client(rootUrl=f"http://{host}:{server.port}").task(TASK) == {}
    assert proxy.asked == []


def test_hosts_that_are_not_exempt_are_not(drive: Drive, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.2")
    assert drive.client().task(TASK) == {}
    assert len(proxy.asked) == 1


def test_a_proxy_set_or_unset_later_counts_from_then_on(
    drive: Drive, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = drive.client()
    client.task("1")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    client.task("2")
    monkeypatch.delenv("HTTP_PROXY")
    client.task("3")
    assert [line.split()[1].rpartition("/")[2] for line in proxy.asked] == ["2"]
    assert [request.target.rpartition("/")[2] for request in server.received] == ["1", "2", "3"]


def test_a_proxy_for_https_is_tunnelled_through(
    tls_server: Server, authority: Authority, proxy: Proxy, program: Callable[..., str]
) -> None:
    program(
        """
        import asyncio, sys
        import taskcluster, taskcluster.aio

        options = {"rootUrl": sys.argv[1], "maxRetries": 0}
        with taskcluster.Queue(options) as queue:
            queue.task("sync")
        asyncio.run(taskcluster.aio.Queue(options).task("async"))
        """,
        tls_server.root_url,
        HTTPS_PROXY=proxy.url,
        REQUESTS_CA_BUNDLE=str(authority[1]),
        SSL_CERT_FILE=str(authority[1]),
    )
    # Which version of HTTP they ask the proxy in is the libraries' affair.
    assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT 127.0.0.1:{tls_server.port}"] * 2
    assert [request.target.rpartition("/")[2] for request in tls_server.received] == ["sync", "async"]


def test_a_proxy_that_refuses_is_a_connection_error(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(taskcluster.TaskclusterConnectionError):
        drive.client(maxRetries=0).task(TASK)
