"""Plain heads are understood as http.client understands them, and all others by http.client."""

from __future__ import annotations

import http.client
import io
import re
from typing import Any

import pytest
import requests
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st

from taskcluster.transport import heads
from taskcluster.transport.requests import RequestsTransport

BODY = b"0123456789" * 3


class _Socket:
    """What http.client wants of a socket: a file to read."""

    def __init__(self, received: bytes) -> None:
        self.file = io.BufferedReader(io.BytesIO(received))

    def makefile(self, mode: str) -> io.BufferedReader:
        return self.file


def understood(kind: type[http.client.HTTPResponse], received: bytes, method: str) -> Any:
    """Return all that there is to know of an answer whose head was read."""
    answer: Any = kind(_Socket(received), method=method)
    try:
        answer.begin()
    except Exception as exc:
        return type(exc), str(exc)
    facts = [answer.status, answer.code, answer.reason, answer.version, answer.chunked, answer.length]
    message = answer.headers
    assert answer.msg is message
    facts += [answer.will_close, message.items(), repr(message.defects), message.get_payload(), type(message)]
    try:
        return [*facts, answer.read(), None if answer.fp is None else answer.fp.read()]
    except (http.client.HTTPException, ArithmeticError, ValueError) as exc:
        return [*facts, type(exc)]


BROKEN_OFF = (http.client.RemoteDisconnected, "Remote end closed connection without response")


LENGTH, WILL_CLOSE, FIELDS = 5, 6, 7


def expected(received: bytes, method: str) -> Any:
    """Return what http.client makes of a response, except where that would endanger the next one.

    Headers that do not end are no response, and nothing follows a body that was announced and may not come.
    """
    found = understood(http.client.HTTPResponse, received, method)
    if isinstance(found, list) and found[LENGTH] == 0:
        fields = {name.lower(): value for name, value in reversed(found[FIELDS])}
        if fields.get("content-length", "0").strip() != "0" or "transfer-encoding" in fields:
            found[WILL_CLOSE] = True
    is_refused_at_once = isinstance(found, tuple) and b"\n" in received
    return found if is_refused_at_once or re.search(rb"\n\r?\n", received) else BROKEN_OFF


HEADS = {
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
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_head_means_what_it_means_to_http_client(head: bytes, method: str) -> None:
    received = head if b"hunked" in head or b"0123" in head else head + BODY
    assert understood(heads.PlainResponse, received, method) == expected(received, method)


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
def test_so_does_any_other(version: bytes, status: bytes, fields: list[bytes], end: bytes) -> None:
    received = end.join([version + status, *fields, b"", b""]) + BODY
    assert understood(heads.PlainResponse, received, "GET") == expected(received, "GET")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n"])
def test_a_head_that_breaks_off_is_no_answer(head: bytes) -> None:
    assert understood(heads.PlainResponse, head, "GET") == BROKEN_OFF


def test_a_plain_head_is_not_parsed_as_an_email(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("parsed as an e-mail")

    monkeypatch.setattr(http.client, "parse_headers", refuse)
    assert understood(heads.PlainResponse, HEADS["plain"] + BODY, "GET")[0] == 200
    assert understood(heads.PlainResponse, HEADS["a folded line"], "GET") == (AssertionError, "parsed as an e-mail")


def test_a_file_that_cannot_peek_is_read_by_http_client() -> None:
    received = HEADS["plain"] + BODY

    class Socket:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(received)

    standing_in: Any = Socket()
    answer = heads.PlainResponse(standing_in, method="GET")
    answer.begin()
    assert answer.read() == BODY


def connection_of(pool: Any) -> Any:
    """Return a new connection, not connected yet."""
    return pool._new_conn()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_only_connections_of_urllib3_itself_read_so(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = urllib3.PoolManager()
    heads.use_own_pools(manager)
    pool = manager.connection_from_url(f"{scheme}://tc.example.com")
    assert connection_of(pool).response_class is heads.PlainResponse

    kind: Any = type(connection_of(pool))
    monkeypatch.setattr(type(pool), "ConnectionCls", type("Recorded", (kind,), {}))
    assert connection_of(pool).response_class is http.client.HTTPResponse


def test_connections_of_a_callers_session_are_left_alone() -> None:
    with requests.Session() as session:
        RequestsTransport(session, "agent")
        adapter: Any = session.get_adapter("https://tc.example.com")
        pool = adapter.poolmanager.connection_from_url("https://tc.example.com")
        assert connection_of(pool).response_class is http.client.HTTPResponse


def test_a_head_is_read_once() -> None:
    standing_in: Any = _Socket(HEADS["no content"].replace(b"204", b"200") + HEADS["plain"])
    answer = heads.PlainResponse(standing_in, method="GET")
    answer.begin()
    answer.begin()
    assert answer.read() == HEADS["plain"]
