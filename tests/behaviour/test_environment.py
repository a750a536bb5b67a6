"""Test TLS, certificate authorities and proxies from the environment."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import requests
import trustme

import taskcluster
import taskcluster.aio

from .drive import Drive
from .server import Proxy, Server, closed_port, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"

Authority = tuple[trustme.CA, Path]


def test_unknown_authority_raises(drive: Drive, tls_server: Server) -> None:
    client = drive.client(rootUrl=tls_server.root_url, maxRetries=0)
    with pytest.raises(taskcluster.TaskclusterConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        client.task(TASK)
    assert tls_server.received == []


def variables_of(authority: Authority, tmp_path: Path) -> dict[str, dict[str, str]]:
    """Return environment variables that name the authority's certificate."""
    file = str(authority[1])
    directory = tmp_path / "hashed"
    directory.mkdir()
    shutil.copy(file, directory / "authority.pem")
    subprocess.run(["openssl", "rehash", str(directory)], check=True)
    return {
        "REQUESTS_CA_BUNDLE": {"REQUESTS_CA_BUNDLE": file, "CURL_CA_BUNDLE": "/nowhere"},
        "CURL_CA_BUNDLE": {"CURL_CA_BUNDLE": file, "SSL_CERT_FILE": "/nowhere"},
        "SSL_CERT_FILE": {"SSL_CERT_FILE": file},
        "SSL_CERT_DIR": {"SSL_CERT_DIR": f"/nowhere:{directory}"},
        "a directory": {"REQUESTS_CA_BUNDLE": str(directory)},
    }


@pytest.mark.parametrize(
    "way", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "a directory"]
)
def test_authorities_from_the_environment_are_trusted(
    drive: Drive, tls_server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    client = drive.client(rootUrl=tls_server.root_url, maxRetries=0)
    with pytest.raises(taskcluster.TaskclusterConnectionError):
        client.task(TASK)
    for name, value in variables_of(authority, tmp_path)[way].items():
        monkeypatch.setenv(name, value)
    assert [client.task(TASK) for _ in range(5)] == [{}] * 5
    assert len({request.connection for request in tls_server.received}) == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("content", [None, "no certificate", "a directory"])
def test_unusable_certificates_raise_before_connecting(
    drive: Drive,
    tls_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    content: str | None,
) -> None:
    if (variable, content) == ("SSL_CERT_DIR", "a directory"):
        pytest.skip("OpenSSL also trusts its default file")
    path = tmp_path / "certificates.pem"
    if content == "a directory":
        path.mkdir()
        (path / "authority.pem").write_text("not named by its hash", "ascii")
    elif content is not None:
        path.write_text(content, "ascii")
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(taskcluster.TaskclusterFailure, match=variable) as caught:
        drive.client(rootUrl=tls_server.root_url, maxRetries=0).task(TASK)
    assert type(caught.value) is taskcluster.TaskclusterFailure
    assert tls_server.connections == 0


def test_unusable_certificates_are_ignored_for_http(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert drive.client().task(TASK) == {}


@pytest.mark.parametrize("how", ["verify", "REQUESTS_CA_BUNDLE"])
def test_session_without_its_bundle_raises(tls_server: Server, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    with requests.Session() as session:
        if how == "verify":
            session.verify = "/nowhere"
        else:
            monkeypatch.setenv(how, "/nowhere")
        with pytest.raises(taskcluster.TaskclusterFailure, match="REQUESTS_CA_BUNDLE") as caught:
            taskcluster.Queue({"rootUrl": tls_server.root_url}, session).ping()
    assert type(caught.value) is taskcluster.TaskclusterFailure
    assert tls_server.connections == 0


def test_requests_session_keeps_its_authorities(tls_server: Server, authority: Authority) -> None:
    with taskcluster.createSession() as session:
        session.verify = str(authority[1])
        assert taskcluster.Queue({"rootUrl": tls_server.root_url}, session).ping() == {}


def test_aiohttp_session_keeps_its_authorities(tls_server: Server, authority: Authority) -> None:
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
def test_proxy_from_the_environment_is_used(
    drive: Drive, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    drive.client("Secrets").get("a b/c%2F~*")
    assert proxy.asked == [f"GET {server.root_url}/api/secrets/v1/secret/a%20b%2Fc%252F~%2A HTTP/1.1"]
    assert server.last.target == "/api/secrets/v1/secret/a%20b%2Fc%252F~%2A"
    assert server.last.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("host", "exempt"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "10.0.0.0/8 127.0.0.0/8"),
        ("127.0.0.1", "127.0.0.1:{port}"),
        ("localhost", "example.com, localhost:{port}"),
        ("localhost", "*"),
    ],
    ids=["address", "network", "address and port", "name and port", "all"],
)
def test_no_proxy_hosts_are_called_directly(
    drive: Drive, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, host: str, exempt: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", exempt.format(port=server.port))
    assert drive.client(rootUrl=f"http://{host}:{server.port}").task(TASK) == {}
    assert proxy.asked == []


def test_other_hosts_are_called_through_the_proxy(drive: Drive, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.2")
    assert drive.client().task(TASK) == {}
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
@pytest.mark.parametrize(
    "value", ["ftp://user:marker@127.0.0.1", "http://", "http://user:marker@", "http://127.0.0.1:x", "http://[::1"]
)
def test_unusable_proxy_raises_before_connecting(
    drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(taskcluster.TaskclusterFailure, match=variable) as caught:
        drive.client(maxRetries=0).task(TASK)
    assert type(caught.value) is taskcluster.TaskclusterFailure
    assert "marker" not in str(caught.value)
    assert server.connections == 0


@pytest.mark.skipif(importlib.util.find_spec("socks") is not None, reason="PySocks is installed")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_socks_proxy_raises_when_not_supported(
    drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:1080")
    hint = {"sync": r"requests\[socks\]", "async": "aiohttp-socks"}[drive.mode]
    with pytest.raises(taskcluster.TaskclusterFailure, match=hint) as caught:
        drive.client(maxRetries=0).task(TASK)
    assert type(caught.value) is taskcluster.TaskclusterFailure
    assert server.connections == 0


def test_blank_proxy_is_ignored(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", " ")
    assert drive.client().task(TASK) == {}


def test_proxy_without_scheme(drive: Drive, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
    assert drive.client().task(TASK) == {}
    assert len(proxy.asked) == 1


def test_cookies_are_not_stored(drive: Drive, server: Server) -> None:
    server.otherwise = respond(200, {}, {"Set-Cookie": "a=b; Path=/"})
    for client in (drive.client(), drive.client(rootUrl=server.root_url.replace("127.0.0.1", "localhost"))):
        assert [client.task(TASK), client.task(TASK)] == [{}, {}]
    assert [request.headers.get("cookie") for request in server.received] == [None] * 4


def test_proxy_changes_apply_to_the_next_call(
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


def test_https_uses_a_proxy_tunnel(
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
    # The HTTP version of the CONNECT request depends on the library.
    assert [line.rpartition(" ")[0] for line in proxy.asked] == [f"CONNECT 127.0.0.1:{tls_server.port}"] * 2
    assert [request.target.rpartition("/")[2] for request in tls_server.received] == ["sync", "async"]


def test_proxy_that_rejects_raises_connection_error(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(taskcluster.TaskclusterConnectionError):
        drive.client(maxRetries=0).task(TASK)
