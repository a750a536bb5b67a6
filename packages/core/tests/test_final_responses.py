"""Final responses are read as http.client reads them, but must be complete and may follow interim responses."""

from __future__ import annotations

import http.client
import io
import re
import socket
from typing import Any

import pytest
import requests
import urllib3.connection
from hypothesis import example, given
from hypothesis import strategies as st

from taskcluster.transport.connections import Adapter, FinalResponse, close_if_followed
from taskcluster.transport.requests import RequestsTransport

BODY = b"0123456789" * 3


class _Socket:
    """The part of a socket that http.client uses."""

    def __init__(self, received: bytes) -> None:
        self.file = io.BufferedReader(io.BytesIO(received))

    def makefile(self, mode: str) -> io.BufferedReader:
        return self.file


def understood(kind: type[http.client.HTTPResponse], received: bytes, method: str) -> Any:
    """Return the facts about a response after its headers were read, or the error."""
    response: Any = kind(_Socket(received), method=method)
    try:
        response.begin()
    except Exception as exc:
        return type(exc), str(exc)
    facts = [response.status, response.code, response.reason, response.version, response.chunked, response.length]
    message = response.headers
    assert response.msg is message
    facts += [response.will_close, message.items(), repr(message.defects), message.get_payload(), type(message)]
    try:
        return [*facts, response.read(), None if response.fp is None else response.fp.read()]
    except (http.client.HTTPException, ArithmeticError, ValueError) as exc:
        return [*facts, type(exc)]


INCOMPLETE = (http.client.RemoteDisconnected, "Remote end closed connection without response")


def expected(received: bytes, method: str) -> Any:
    """Return how http.client reads a response, or that its headers are incomplete."""
    found = understood(http.client.HTTPResponse, received, method)
    is_refused_at_once = isinstance(found, tuple) and b"\n" in received
    return found if is_refused_at_once or re.search(rb"\n\r?\n", received) else INCOMPLETE


HEADERS = {
    "plain": b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\nContent-Type: application/json\r\n\r\n",
    "an error": b"HTTP/1.1 404 Not Found\r\ncontent-length:3\r\n\r\n",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n",
    "closing by its end": b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 30\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "a length below nothing": b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
    "twice": b"HTTP/1.1 200 OK\r\nX: 1\r\nX: 2\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    "Latin-1, and spaces": b"HTTP/1.1 200  gut \xfc \r\nX:\t \xfc \t\r\nEmpty:\r\n\r\n",
    "lines of its own": b"HTTP/1.1 200 OK\r\nX: 1\x0b2\x0c3\x1c4\x855\r\n\r\n",
    "no fields": b"HTTP/1.1 200 OK\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 3\r\n\r\n",
    "first a 100": b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
    "only newlines": b"HTTP/1.1 200 OK\nContent-Length: 3\n\n",
    "a lone return": b"HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nY: 3\r\n\r\n",
    "a line without a colon": b"HTTP/1.1 200 OK\r\nX: 1\r\nnonsense\r\nY: 3\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nX : 1\r\nY: 3\r\n\r\n",
    "a field without a name": b"HTTP/1.1 200 OK\r\nX: 1\r\n: 2\r\n\r\n",
    "cut short": b"HTTP/1.1 200 OK\r\nContent-Len",
    "cut short between lines": b"HTTP/1.1 200 OK\r\nX: " + BODY + b"\r\nContent-Length: 30\r\n",
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "as many fields as may be": b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 99 + b"\r\n",
    "a field too many": b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 101 + b"\r\n",
    "longer than a buffer": b"HTTP/1.1 200 OK\r\nX: " + b"x" * io.DEFAULT_BUFFER_SIZE * 2 + b"\r\n\r\n",
    "a line too long": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
def test_reads_headers_as_http_client_does(headers: bytes, method: str) -> None:
    received = headers if b"hunked" in headers or b"0123" in headers else headers + BODY
    assert understood(FinalResponse, received, method) == expected(received, method)


names = st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Connection", b"X"]) | st.binary(max_size=4)
values = st.sampled_from([b"3", b"30", b"chunked", b"close", b"keep-alive"]) | st.binary(max_size=9)
fields = st.builds(b"".join, st.tuples(names, st.sampled_from([b": ", b":", b" "]), values))


@given(
    st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.1"]),
    st.sampled_from([b"200 OK", b"204 ", b"304 Not Modified", b"500", b"20 OK", b"999 \xe9"]) | st.binary(max_size=9),
    st.lists(fields, max_size=5),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]),
)
@example(b"HTTP/1.1 ", b"200 OK", [b"\x85: 1"], b"\r\n")
def test_reads_any_headers_as_http_client_does(version: bytes, status: bytes, fields: list[bytes], end: bytes) -> None:
    received = end.join([version + status, *fields, b"", b""]) + BODY
    assert understood(FinalResponse, received, "GET") == expected(received, "GET")


@pytest.mark.parametrize(
    "headers",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
    ids=["within a line", "between lines", "within interim", "after interim", "after continue"],
)
def test_raises_when_headers_are_incomplete(headers: bytes) -> None:
    assert understood(FinalResponse, headers, "GET") == INCOMPLETE


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize(
    "interim",
    [
        EARLY_HINTS,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 99,
        b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY_HINTS * 2,
        b"HTTP/1.1 199\n\n",
        b"HTTP/1.0 103\tEarly\r\n" + b"X: 1\r\n" * 100 + b"\r\n",
    ],
    ids=["103", "many 102", "100 and 103", "199", "many headers"],
)
def test_skips_interim_responses(interim: bytes) -> None:
    final = HEADERS["plain"] + BODY
    assert understood(FinalResponse, interim + final, "GET") == expected(final, "GET")


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (EARLY_HINTS * 100, "100 interim responses"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "100 interim responses"),
        (b"HTTP/1.1 103 Early Hints\r\n" + b"X: 1\r\n" * 101 + b"\r\n", "more than 100 headers"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101"),
        # http.client reads the status with int().
        (b"HTTP/1.1 1_03 Early Hints\r\n\r\n", "status 103"),
        (b"HTTP/1.1 0100 Continue\r\n\r\n" * 1000, "1000 lines"),
        (b"HTTP/2 100 Continue\r\n\r\n" * 1000, "1000 lines"),
    ],
    ids=["interim responses", "continue", "interim headers", "101", "odd status", "odd continue", "HTTP/2"],
)
def test_raises_without_a_final_response(received: bytes, message: str) -> None:
    kind, text = understood(FinalResponse, received + HEADERS["plain"] + BODY, "GET")
    assert kind is http.client.HTTPException
    assert message in text


def test_reads_from_a_file_without_peek() -> None:
    received = HEADERS["plain"] + BODY

    class Socket:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(received)

    fake: Any = Socket()
    response = FinalResponse(fake, method="GET")
    response.begin()
    assert response.read() == BODY


def test_closes_after_ctrl_c_within_begin() -> None:
    class Interrupted(FinalResponse):
        def __setattr__(self, name: str, value: object) -> None:
            # Ctrl-C may come just before this file is replaced by the original one.
            if name == "fp" and isinstance(value, io.BufferedReader) and hasattr(self, "fp"):
                raise KeyboardInterrupt
            super().__setattr__(name, value)

    fake: Any = _Socket(HEADERS["plain"] + BODY)
    response = Interrupted(fake, method="GET")
    with pytest.raises(KeyboardInterrupt):
        response.begin()
    response.close()
    assert fake.file.closed


def test_reads_the_headers_once() -> None:
    fake: Any = _Socket(HEADERS["no content"].replace(b"204", b"200") + HEADERS["plain"])
    response = FinalResponse(fake, method="GET")
    response.begin()
    response.begin()
    assert response.read() == HEADERS["plain"]


def connection_of(pool: Any) -> Any:
    """Return a new connection, not connected yet."""
    return pool._new_conn()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_only_connections_of_urllib3_read_final_responses(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter: Any = Adapter()
    pool = adapter.poolmanager.connection_from_url(f"{scheme}://tc.example.com")
    kind: Any = type(connection_of(pool))
    assert kind.response_class is FinalResponse

    # vcrpy replaces it like this.
    recorded = type("Recorded", (kind.__base__,), {"__module__": "tests"})
    monkeypatch.setattr(f"urllib3.connectionpool.{scheme.upper()}ConnectionPool.ConnectionCls", recorded)
    assert type(connection_of(pool)) is recorded
    assert connection_of(pool).response_class is http.client.HTTPResponse


def test_leaves_connections_of_a_callers_session_alone() -> None:
    with requests.Session() as session:
        RequestsTransport(session, "agent")
        adapter: Any = session.get_adapter("https://tc.example.com")
        pool = adapter.poolmanager.connection_from_url("https://tc.example.com")
        assert connection_of(pool).response_class is http.client.HTTPResponse


HEAD_WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"
NO_CONTENT_WITH_LENGTH = b"HTTP/1.1 204 No Content\r\nContent-Length: 30\r\n\r\n"
NOT_MODIFIED_CHUNKED = b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
WITH_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "received", "is_kept"),
    [
        ("HEAD", HEAD_WITH_LENGTH, False),
        ("GET", NO_CONTENT_WITH_LENGTH, False),
        ("GET", NOT_MODIFIED_CHUNKED, False),
        ("GET", WITH_BODY + b"\n", False),
        ("GET", CHUNKED + WITH_BODY, False),
        ("GET", NO_CONTENT + b"x", False),
        ("GET", WITH_BODY, True),
        ("GET", CHUNKED, True),
        ("GET", NO_CONTENT, True),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", True),
    ],
    ids=[
        "HEAD with length",
        "204 with length",
        "304 chunked",
        "newline follows",
        "response follows",
        "byte follows 204",
        "body",
        "chunked",
        "204",
        "HEAD",
    ],
)
@pytest.mark.parametrize("read", ["read", "read1", "close"])
def test_keeps_a_connection_that_holds_no_more(method: str, received: bytes, is_kept: bool, read: str) -> None:
    server, client = socket.socketpair()
    with server:
        connection = urllib3.connection.HTTPConnection("tc.example.com", timeout=5)
        connection.sock = client
        connection.request(method, "/", preload_content=False)
        server.sendall(received)
        raw: Any = connection.getresponse()
        # urllib3's pools do this.
        raw._connection = connection
        close_if_followed(raw)
        if read == "close":
            raw.close()
            is_kept = False
        elif read == "read":
            raw.read()
        else:
            while raw.read1():
                pass
        assert (connection.sock is not None) is is_kept
        assert not is_kept or client.gettimeout() == 5
        connection.close()
