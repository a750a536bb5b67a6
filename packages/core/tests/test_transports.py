"""Transports: proxies and certificates of the environment, own and callers' sessions, errors."""

from __future__ import annotations

import asyncio
import http.cookiejar
import os
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import requests

from taskcluster.effects import Request
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure
from taskcluster.transport.aiohttp import AiohttpTransport
from taskcluster.transport.environment import proxy_for, snapshot
from taskcluster.transport.requests import RequestsTransport

URL = "https://tc.example.com/api/queue/v1/ping"
GET = Request("GET", URL, {}, None, (1.0, 2.0))
PROXY = "http://proxy.example.com:3128"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Remove all variables that HTTP libraries read; return a function that sets variables."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)

    def set_variables(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize(
    ("values", "url", "proxy"),
    [
        ({}, URL, None),
        ({"https_proxy": PROXY}, URL, PROXY),
        ({"HTTPS_PROXY": PROXY}, URL, PROXY),
        ({"all_proxy": PROXY}, URL, PROXY),
        ({"http_proxy": PROXY}, URL, None),
        ({"http_proxy": PROXY}, "http://taskcluster/x", PROXY),
        ({"https_proxy": PROXY, "no_proxy": "example.com"}, URL, None),
        ({"https_proxy": PROXY, "no_proxy": "*"}, URL, None),
        ({"https_proxy": PROXY, "no_proxy": "other.example.com"}, URL, PROXY),
        ({"https_proxy": PROXY, "no_proxy": "tc.example.com:8443"}, "https://tc.example.com:8443/x", None),
        ({"https_proxy": PROXY, "no_proxy": "tc.example.com:8443"}, URL, PROXY),
    ],
)
def test_proxy_comes_from_the_environment(
    values: dict[str, str], url: str, proxy: str | None, variables: Callable[..., None]
) -> None:
    variables(**values)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    "changed",
    [
        {"https_proxy": PROXY},
        {"HTTPS_PROXY": PROXY},
        {"all_proxy": PROXY},
        {"REQUESTS_CA_BUNDLE": "/ca"},
        {"CURL_CA_BUNDLE": "/ca"},
        {"SSL_CERT_FILE": "/ca"},
        {"SSL_CERT_DIR": "/ca"},
    ],
)
def test_snapshot_changes_with_each_variable(changed: dict[str, str], variables: Callable[..., None]) -> None:
    before = snapshot(URL)
    assert snapshot(URL) == before
    variables(**changed)
    after = snapshot(URL)
    assert after != before
    variables(no_proxy="tc.example.com")
    assert snapshot(URL) != after


def send(name: str, transport: Any, request: Request = GET) -> Any:
    """Send over an own session, as clients do."""

    async def over_aiohttp() -> Any:
        async with aiohttp.ClientSession() as session:
            return await transport.send(session, request, given=False)

    return transport.send(request) if name == "sync" else asyncio.run(over_aiohttp())


def make(name: str) -> Any:
    return RequestsTransport(None, "ours") if name == "sync" else AiohttpTransport("ours")


def proxy_of(name: str, wire: Any) -> Any:
    options = wire.last.options
    return options["proxies"].get("https") if name == "sync" else options["proxy"]


@pytest.mark.parametrize("name", ["sync", "async"])
def test_uses_a_changed_proxy_from_the_next_request(name: str, wire: Any, variables: Callable[..., None]) -> None:
    wire.respond(200, {}, times=3)
    transport = make(name)
    send(name, transport)
    assert proxy_of(name, wire) is None
    variables(https_proxy=PROXY)
    send(name, transport)
    assert proxy_of(name, wire) == PROXY
    variables(no_proxy="example.com")
    send(name, transport)
    assert proxy_of(name, wire) is None


def test_uses_certificates_of_the_environment(wire: Any, variables: Callable[..., None]) -> None:
    wire.respond(200, {}, times=2)
    transport = make("sync")
    send("sync", transport)
    assert wire.last.options["verify"] is True
    variables(REQUESTS_CA_BUNDLE="/etc/ca.pem")
    send("sync", transport)
    assert wire.last.options["verify"] == "/etc/ca.pem"


def test_passes_no_proxy_to_a_callers_aiohttp_session(wire: Any, variables: Callable[..., None]) -> None:
    async def use() -> None:
        async with aiohttp.ClientSession() as session:
            await AiohttpTransport("ours").send(session, GET, given=True)

    variables(https_proxy=PROXY)
    wire.respond(200, {})
    asyncio.run(use())
    assert "proxy" not in wire.last.options


def own_session(transport: RequestsTransport) -> requests.Session:
    session = transport._own
    assert session is not None
    return session


def test_creates_the_own_session_once_until_closed(wire: Any) -> None:
    wire.respond(200, {}, times=3)
    transport = make("sync")
    transport.close()
    send("sync", transport)
    first = own_session(transport)
    send("sync", transport)
    assert own_session(transport) is first
    transport.close()
    send("sync", transport)
    assert own_session(transport) is not first


def test_a_fork_creates_its_own_session(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wire.respond(200, {}, times=2)
    transport = make("sync")
    send("sync", transport)
    parents = own_session(transport)
    closed: list[requests.Session] = []
    monkeypatch.setattr(parents, "close", lambda: closed.append(parents))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    send("sync", transport)
    assert own_session(transport) is not parents
    assert closed == []


def test_a_fork_does_not_close_the_parents_session(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wire.respond(200, {})
    transport = make("sync")
    send("sync", transport)
    parents = own_session(transport)
    closed: list[requests.Session] = []
    monkeypatch.setattr(parents, "close", lambda: closed.append(parents))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    transport.close()
    assert closed == []


def test_does_not_close_the_callers_session(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = requests.Session()
    closed: list[requests.Session] = []
    monkeypatch.setattr(session, "close", lambda: closed.append(session))
    wire.respond(200, {})
    transport = RequestsTransport(session, "ours")
    send("sync", transport)
    transport.close()
    assert closed == []


def test_own_session_keeps_no_cookies(wire: Any) -> None:
    wire.respond(200, {}, headers={"Set-Cookie": "a=b"}).respond(200, {})
    transport = make("sync")
    send("sync", transport)
    assert isinstance(own_session(transport).cookies, http.cookiejar.CookieJar)
    send("sync", transport)
    assert "Cookie" not in wire.last.headers


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", None, None), ("POST", None, "0"), ("PUT", b"{}", "2"), ("DELETE", None, "0")],
)
def test_sends_content_length_with_methods_that_have_a_body(
    method: str, body: bytes | None, length: str | None, wire: Any
) -> None:
    wire.respond(200, {})
    send("sync", make("sync"), Request(method, URL, {}, body, None))
    assert wire.last.headers.get("Content-Length") == length


def test_aiohttp_sends_no_content_type_without_a_body(wire: Any) -> None:
    wire.respond(200, {}, times=2)
    send("async", make("async"), Request("POST", URL, {}, None, None))
    assert wire.last.options["skip_auto_headers"] == ("Content-Type",)
    send("async", make("async"), GET)
    assert "skip_auto_headers" not in wire.last.options


@pytest.mark.parametrize("name", ["sync", "async"])
@pytest.mark.parametrize(("ending", "what"), [("refuse", "failed"), ("stall", "timed out")])
def test_connection_errors_name_the_host_and_not_the_path(name: str, ending: str, what: str, wire: Any) -> None:
    getattr(wire, ending)()
    with pytest.raises(TaskclusterConnectionError, match=f"^GET at https://tc.example.com {what} without") as caught:
        send(name, make(name))
    assert "ping" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.superExc


def test_raises_our_error_if_aiohttp_rejects_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("Cannot combine AUTHORIZATION header with AUTH argument")

    async def use() -> None:
        async with aiohttp.ClientSession() as session:
            await AiohttpTransport("ours").send(session, GET, given=True)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refuse)
    with pytest.raises(TaskclusterFailure, match=r"over the given session \(ValueError\): a session must have no auth"):
        asyncio.run(use())


def test_returns_a_response_with_an_invalid_location(wire: Any) -> None:
    for session in (None, requests.Session()):
        wire.respond(303, {"url": "x"}, headers={"Location": "http://[broken"})
        response = RequestsTransport(session, "ours").send(GET)
        assert (response.status, response.body) == (303, b'{"url": "x"}')
