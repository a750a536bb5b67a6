"""Test that errors of connections name the method and the host, and neither path, secrets nor library classes."""

from __future__ import annotations

import re
from typing import Any

import pytest

import taskcluster

from .drive import Drive
from .server import Reaction, Server, closed_port, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"
INTERNALS = re.compile(
    r"urllib3|requests|aiohttp|HTTPConnection|Errno|_ssl|Error\b|Exception\b|Timeout\b|\bRead\b|Client[A-Z]"
)
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(params=["own", "given"])
def client(drive: Drive, request: pytest.FixtureRequest) -> Any:
    return drive.client(maxRetries=0, timeout=5, session=drive.session() if request.param == "given" else None)


def message(call: Any) -> str:
    with pytest.raises(taskcluster.TaskclusterConnectionError) as caught:
        call()
    text = str(caught.value)
    assert not INTERNALS.search(text)
    assert TASK not in text
    assert "secret" not in text
    return text


@pytest.mark.parametrize(
    ("reaction", "reason"),
    [
        (Reaction(then="close"), "the server closed the connection"),
        (Reaction(then="reset"), "Connection reset by peer|the server closed the connection"),
        (Reaction(b"\x00\x01 secret\r\n\r\n", then="close"), "the response is not valid HTTP"),
        (Reaction(HEADERS + b"Content-Length: 50\r\n\r\nsecret", then="close"), "the response is incomplete"),
        (
            Reaction(HEADERS + b"Transfer-Encoding: chunked\r\n\r\nsecret\r\n", then="close"),
            "the response is (not valid HTTP|incomplete)",
        ),
        (respond(200, b"secret", {"Content-Encoding": "gzip"}), "the response is not encoded as its headers state"),
    ],
    ids=["closed", "reset", "no HTTP", "truncated", "no chunks", "no gzip"],
)
def test_broken_response_names_method_host_and_reason(
    server: Server, client: Any, reaction: Reaction, reason: str
) -> None:
    # aiohttp sends a request again over a given session.
    server.script(reaction, reaction)
    said = message(lambda: client.task(TASK))
    assert re.fullmatch(f"queue.task: GET at {server.root_url} failed without a response: ({reason})", said)


def test_refused_connection_names_method_host_and_reason(drive: Drive, client: Any) -> None:
    root_url = f"http://127.0.0.1:{closed_port()}"
    client.native.options["rootUrl"] = root_url
    said = message(lambda: client.cancelTask(TASK))
    assert said == f"queue.cancelTask: POST at {root_url} failed without a response: Connection refused"


def test_unknown_host_names_method_and_host(client: Any) -> None:
    client.native.options["rootUrl"] = "http://host.invalid"
    said = message(lambda: client.task(TASK))
    assert said.startswith("queue.task: GET at http://host.invalid failed without a response: ")


def test_timeout_names_method_and_host(drive: Drive, server: Server, client: Any) -> None:
    client.native.options["timeout"] = 0.2
    server.script(Reaction(then="stall"))
    assert message(lambda: client.task(TASK)) == f"queue.task: GET at {server.root_url} timed out without a response"
