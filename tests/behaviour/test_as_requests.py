"""Test that sync clients without a session behave as if they used requests, whose pools they use directly."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import taskcluster
from taskcluster.effects import Request
from taskcluster.transport.requests import RequestsTransport

from .drive import CREDENTIALS
from .server import Reaction, Server, closed_port, respond
from .test_failures import NO_COMPLETE_RESPONSE

TASK = "fN1SbArXTPSVFNUvaOlinQ"


def cause(session: requests.Session | None, root_url: str, read_timeout: float = 60) -> Any:
    """Return the cause of a call's failure."""
    options = {"rootUrl": root_url, "maxRetries": 0, "timeout": (60, read_timeout)}
    queue = taskcluster.Queue(options, session=session)
    with pytest.raises(taskcluster.TaskclusterConnectionError) as caught:
        queue.task(TASK)
    queue.close()
    return caught.value.superExc


@pytest.mark.parametrize(
    "reaction", [*NO_COMPLETE_RESPONSE.values(), Reaction(then="stall")], ids=[*NO_COMPLETE_RESPONSE, "stall"]
)
def test_failure_has_the_same_cause_as_with_a_session(server: Server, reaction: Reaction) -> None:
    read_timeout = 0.2 if reaction.then == "stall" else 60
    server.script(reaction, reaction)
    with requests.Session() as session:
        expected = cause(session, server.root_url, read_timeout)
    assert type(cause(None, server.root_url, read_timeout)) is type(expected)


def test_failure_without_response_has_the_same_cause(tls_server: Server) -> None:
    nobody = f"http://127.0.0.1:{closed_port()}"
    for root_url in (nobody, tls_server.root_url, "http://no-such-host.invalid"):
        with requests.Session() as session:
            expected = cause(session, root_url)
        assert type(cause(None, root_url)) is type(expected)


def test_tracer_that_replaces_requests_sees_each_call(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    original = HTTPAdapter.send

    def send(self: HTTPAdapter, request: Any, **kwargs: Any) -> Any:
        seen.append(request.url)
        return original(self, request, **kwargs)

    with taskcluster.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}) as queue:
        queue.task(TASK)
        monkeypatch.setattr(HTTPAdapter, "send", send)
        queue.task(TASK)
        monkeypatch.undo()
        queue.task(TASK)
    assert seen == [f"{server.root_url}/api/queue/v1/task/{TASK}"]
    assert len(server.received) == 3


class Wrapper:
    """Wraps a function like tracing libraries do."""

    def __init__(self, wrapped: Any, seen: list[str]) -> None:
        self.wrapped = wrapped
        self.seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self

        def call(*args: Any, **kwargs: Any) -> Any:
            self.seen.append(self.wrapped.__name__)
            return self.wrapped(instance, *args, **kwargs)

        return call


@pytest.mark.parametrize(
    ("owner", "name"), [(requests.Session, "request"), (requests.Session, "send"), (HTTPAdapter, "send")]
)
@pytest.mark.parametrize("has_session", [False, True])
def test_wrapper_of_any_requests_function_sees_each_call(
    server: Server, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, has_session: bool
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(owner, name, Wrapper(getattr(owner, name), seen))
    server.script(respond(200, {"a": 1}), respond(303, {"url": "there"}, {"Location": "/elsewhere"}))
    with requests.Session() as session:
        queue = taskcluster.Queue(
            {"rootUrl": server.root_url, "credentials": CREDENTIALS}, session=session if has_session else None
        )
        assert queue.createTask("a/b~c", {"c": "d"}) == {"a": 1}
        assert queue.task(TASK) == {"url": "there"}
        queue.close()
    assert seen == [name, name]
    created, _ = server.received
    assert (created.target, created.body) == ("/api/queue/v1/task/a%2Fb~c", b'{"c":"d"}')
    assert created.headers["authorization"].startswith("Hawk ")
    assert created.headers["content-type"] == "application/json"
    assert created.headers["user-agent"].startswith("taskcluster-client-py/")


def test_wrapper_does_not_add_netrc_credentials(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password other\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr(requests.Session, "request", Wrapper(requests.Session.request, []))
    with taskcluster.Queue({"rootUrl": server.root_url, "credentials": CREDENTIALS}) as queue:
        queue.task(TASK)
    assert server.last.headers["authorization"].startswith("Hawk ")
    with taskcluster.Queue({"rootUrl": server.root_url}) as queue:
        queue.task(TASK)
    assert "authorization" not in server.last.headers


@pytest.mark.parametrize("pieces", [[b"01234", b"56789"], []])
def test_wrapper_keeps_the_length_of_a_streamed_body(
    server: Server, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    monkeypatch.setattr(requests.Session, "request", Wrapper(requests.Session.request, []))
    transport = RequestsTransport(None, "ours")
    length = str(sum(map(len, pieces)))
    request = Request("PUT", f"{server.root_url}/x", {"Content-Length": length}, None, (5, 5))
    transport.open(request, iter(pieces)).close()
    transport.close()
    assert (server.last.body, server.last.headers["content-length"]) == (b"".join(pieces), length)
    assert "transfer-encoding" not in server.last.headers


@pytest.mark.parametrize("has_session", [False, True])
def test_urllib3_logs_no_urls(server: Server, caplog: pytest.LogCaptureFixture, has_session: bool) -> None:
    caplog.set_level(logging.DEBUG)
    with requests.Session() as session:
        given = session if has_session else None
        hooks = taskcluster.Hooks({"rootUrl": server.root_url}, session=given)
        hooks.triggerHookWithToken("group", "hook", "hOoK-secret-hOoK", {})
        hooks.close()
        transport = RequestsTransport(given, "ours")
        signed = Request("GET", f"{server.root_url}/storage?signature=sIgNeD-secret", {}, None, (5, 5))
        transport.open(signed).close()
        transport.close()
        ours = caplog.text
        session.get(f"{server.root_url}/of-others")
    assert ours.count("urllib3.connectionpool") >= 2
    assert "secret" not in ours
    assert "/of-others" in caplog.text


def test_urllib3_warnings_contain_no_urls(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    odd = Reaction(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nnonsense\r\n\r\n{}")
    server.script(odd)
    transport = RequestsTransport(None, "ours")
    with caplog.at_level(logging.WARNING):
        transport.open(Request("GET", f"{server.root_url}/storage?signature=secret", {}, None, (5, 5))).close()
    transport.close()
    assert "Failed to parse headers" in caplog.text
    assert "secret" not in caplog.text


def test_nested_request_is_not_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    transport, other = RequestsTransport(None, "ours"), RequestsTransport(None, "ours")

    def body() -> Iterator[bytes]:
        other.send(Request("GET", f"{server.root_url}/inner?signature=secret", {}, None, (5, 5)))
        yield b"0"

    outer = Request("PUT", f"{server.root_url}/outer?signature=secret", {"Content-Length": "1"}, None, (5, 5))
    with caplog.at_level(logging.DEBUG):
        transport.open(outer, body()).close()
    transport.close()
    other.close()
    assert [request.target for request in server.received] == ["/inner?signature=secret", "/outer?signature=secret"]
    assert "secret" not in caplog.text


def test_returns_a_requests_response_when_it_is_not_json(server: Server) -> None:
    server.script(respond(303, b"elsewhere", {"Location": "http://[broken", "Set-Cookie": "a=b"}))
    with taskcluster.Queue({"rootUrl": server.root_url}) as queue:
        kept: Any = queue.task(TASK)
        response = kept["response"]
        queue.task(TASK)
    assert isinstance(response, requests.Response)
    assert (response.status_code, response.text, response.headers["location"]) == (303, "elsewhere", "http://[broken")
    assert (response.url, response.request.method) == (f"{server.root_url}/api/queue/v1/task/{TASK}", "GET")
    assert "cookie" not in {name.lower() for name in server.last.headers}


def test_threads_can_call_two_deployments(server: Server) -> None:
    other = Server()
    transport = RequestsTransport(None, "ours")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        server.script(*[respond(200, {"name": "one"})] * 200)
        other.script(*[respond(200, {"name": "other"})] * 200)
        with ThreadPoolExecutor(8) as pool:
            asked = [(server, b"one"), (other, b"other")] * 200
            got = pool.map(lambda one: transport.send(Request("GET", f"{one[0].root_url}/", {}, None, (5, 5))), asked)
            for (_, name), response in zip(asked, got, strict=True):
                assert name in response.body
    finally:
        sys.setswitchinterval(interval)
        transport.close()
        other.close()
