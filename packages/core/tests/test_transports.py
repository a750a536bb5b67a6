"""Transports: proxies and certificates of the environment, sessions of our own, what is refused."""

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
    """Empty the environment of all that HTTP libraries read; the value sets variables."""
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
def test_the_proxy_of_a_url_is_that_of_the_environment(
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
def test_a_change_of_what_the_libraries_read_is_noticed(
    changed: dict[str, str], variables: Callable[..., None]
) -> None:
    before = snapshot(URL)
    assert snapshot(URL) == before
    variables(**changed)
    after = snapshot(URL)
    assert after != before
    variables(no_proxy="tc.example.com")
    assert snapshot(URL) != after


def send(name: str, transport: Any, request: Request = GET) -> Any:
    """Send over a session of our own, as a client does."""

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
def test_a_proxy_that_the_environment_gains_and_loses_is_used_from_the_next_request_on(
    name: str, wire: Any, variables: Callable[..., None]
) -> None:
    wire.answer(200, {}, times=3)
    transport = make(name)
    send(name, transport)
    assert proxy_of(name, wire) is None
    variables(https_proxy=PROXY)
    send(name, transport)
    assert proxy_of(name, wire) == PROXY
    variables(no_proxy="example.com")
    send(name, transport)
    assert proxy_of(name, wire) is None


def test_the_certificates_that_the_environment_names_are_used(wire: Any, variables: Callable[..., None]) -> None:
    wire.answer(200, {}, times=2)
    transport = make("sync")
    send("sync", transport)
    assert wire.last.options["verify"] is True
    variables(REQUESTS_CA_BUNDLE="/etc/ca.pem")
    send("sync", transport)
    assert wire.last.options["verify"] == "/etc/ca.pem"


def test_an_async_session_of_the_users_is_told_no_proxy(wire: Any, variables: Callable[..., None]) -> None:
    async def use() -> None:
        async with aiohttp.ClientSession() as session:
            await AiohttpTransport("ours").send(session, GET, given=True)

    variables(https_proxy=PROXY)
    wire.answer(200, {})
    asyncio.run(use())
    assert "proxy" not in wire.last.options


def own_session(transport: RequestsTransport) -> requests.Session:
    session = transport._own
    assert session is not None
    return session


def test_a_session_of_our_own_is_made_once_and_anew_after_close(wire: Any) -> None:
    wire.answer(200, {}, times=3)
    transport = make("sync")
    transport.close()
    send("sync", transport)
    first = own_session(transport)
    send("sync", transport)
    assert own_session(transport) is first
    transport.close()
    send("sync", transport)
    assert own_session(transport) is not first


def test_a_forked_child_makes_a_session_of_its_own_and_leaves_the_parents_open(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.answer(200, {}, times=2)
    transport = make("sync")
    send("sync", transport)
    parents = own_session(transport)
    closed: list[requests.Session] = []
    monkeypatch.setattr(parents, "close", lambda: closed.append(parents))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    send("sync", transport)
    assert own_session(transport) is not parents
    assert closed == []


def test_a_child_that_closes_a_transport_it_never_used_leaves_the_parents_session_open(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.answer(200, {})
    transport = make("sync")
    send("sync", transport)
    parents = own_session(transport)
    closed: list[requests.Session] = []
    monkeypatch.setattr(parents, "close", lambda: closed.append(parents))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    transport.close()
    assert closed == []


def test_a_session_of_the_users_is_not_closed(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = requests.Session()
    closed: list[requests.Session] = []
    monkeypatch.setattr(session, "close", lambda: closed.append(session))
    wire.answer(200, {})
    transport = RequestsTransport(session, "ours")
    send("sync", transport)
    transport.close()
    assert closed == []


def test_our_own_session_keeps_no_cookies(wire: Any) -> None:
    wire.answer(200, {}, headers={"Set-Cookie": "a=b"}).answer(200, {})
    transport = make("sync")
    send("sync", transport)
    assert isinstance(own_session(transport).cookies, http.cookiejar.CookieJar)
    send("sync", transport)
    assert "Cookie" not in wire.last.headers


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", None, None), ("POST", None, "0"), ("PUT", b"{}", "2"), ("DELETE", None, "0")],
)
def test_the_length_of_a_body_is_told_where_there_may_be_one(
    method: str, body: bytes | None, length: str | None, wire: Any
) -> None:
    wire.answer(200, {})
    send("sync", make("sync"), Request(method, URL, {}, body, None))
    assert wire.last.headers.get("Content-Length") == length


def test_aiohttp_says_nothing_of_the_type_of_a_body_that_is_not_there(wire: Any) -> None:
    wire.answer(200, {}, times=2)
    send("async", make("async"), Request("POST", URL, {}, None, None))
    assert wire.last.options["skip_auto_headers"] == ("Content-Type",)
    send("async", make("async"), GET)
    assert "skip_auto_headers" not in wire.last.options


@pytest.mark.parametrize("name", ["sync", "async"])
@pytest.mark.parametrize(("ending", "what"), [("refuse", "failed"), ("stall", "timed out")])
def test_a_connection_that_fails_is_told_by_method_and_deployment_and_not_by_path(
    name: str, ending: str, what: str, wire: Any
) -> None:
    getattr(wire, ending)()
    with pytest.raises(TaskclusterConnectionError, match=f"^GET at https://tc.example.com {what} without") as caught:
        send(name, make(name))
    assert "ping" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.superExc


def test_what_aiohttp_refuses_of_a_session_is_our_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("Cannot combine AUTHORIZATION header with AUTH argument")

    async def use() -> None:
        async with aiohttp.ClientSession() as session:
            await AiohttpTransport("ours").send(session, GET, given=True)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refuse)
    with pytest.raises(TaskclusterFailure, match=r"over the given session \(ValueError\): a session must have no auth"):
        asyncio.run(use())


def test_an_answer_with_a_location_that_cannot_be_read_is_an_answer_all_the_same(wire: Any) -> None:
    for session in (None, requests.Session()):
        wire.answer(303, {"url": "x"}, headers={"Location": "http://[broken"})
        response = RequestsTransport(session, "ours").send(GET)
        assert (response.status, response.body) == (303, b'{"url": "x"}')
