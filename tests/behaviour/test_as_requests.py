"""Sync clients without a session of the caller's speak to the pools of requests directly, and nobody must notice."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import taskcluster
from taskcluster.messages import Request
from taskcluster.transport.requests import RequestsTransport

from .drive import CREDENTIALS
from .server import Answer, Server, closed_port, respond
from .test_failures import NO_WHOLE_ANSWER

TASK = "fN1SbArXTPSVFNUvaOlinQ"


def cause(session: requests.Session | None, root_url: str) -> Any:
    """Return what is behind the failure of a call."""
    options = {"rootUrl": root_url, "maxRetries": 0, "timeout": (5, 0.2)}
    queue = taskcluster.Queue(options, session=session)
    with pytest.raises(taskcluster.TaskclusterConnectionError) as caught:
        queue.task(TASK)
    queue.close()
    return caught.value.superExc


@pytest.mark.parametrize("answer", [*NO_WHOLE_ANSWER.values(), Answer(then="stall")], ids=[*NO_WHOLE_ANSWER, "stall"])
def test_a_failure_has_the_cause_that_it_has_over_a_session(server: Server, answer: Answer) -> None:
    server.script(answer, answer)
    with requests.Session() as session:
        expected = cause(session, server.root_url)
    assert type(cause(None, server.root_url)) is type(expected)


def test_failures_before_there_is_an_answer_have_the_same_causes_too(tls_server: Server) -> None:
    nobody = f"http://127.0.0.1:{closed_port()}"
    for root_url in (nobody, tls_server.root_url, "http://no-such-host.invalid"):
        with requests.Session() as session:
            expected = cause(session, root_url)
        assert type(cause(None, root_url)) is type(expected)


def test_a_tracer_in_the_place_of_requests_sees_each_call(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_what_is_no_json_comes_as_a_response_of_requests(server: Server) -> None:
    server.script(respond(303, b"elsewhere", {"Location": "http://[broken", "Set-Cookie": "a=b"}))
    with taskcluster.Queue({"rootUrl": server.root_url}) as queue:
        kept: Any = queue.task(TASK)
        response = kept["response"]
        queue.task(TASK)
    assert isinstance(response, requests.Response)
    assert (response.status_code, response.text, response.headers["location"]) == (303, "elsewhere", "http://[broken")
    assert (response.url, response.request.method) == (f"{server.root_url}/api/queue/v1/task/{TASK}", "GET")
    assert "cookie" not in {name.lower() for name in server.last.headers}


def test_threads_that_speak_to_two_deployments_get_each_its_own(server: Server) -> None:
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
