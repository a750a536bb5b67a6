"""Test the results of calls for various responses."""

from __future__ import annotations

import functools
import gzip
import tracemalloc
import zlib
from typing import Any

import pytest

from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure

from .drive import Drive
from .server import Reaction, Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"


@pytest.mark.parametrize("value", [{"a": [1, None, "grün"]}, [1, 2], {}, []], ids=repr)
def test_returns_the_json_value(drive: Drive, server: Server, value: Any) -> None:
    server.script(respond(200, value))
    assert drive.client().task(TASK) == value


def test_parses_json_of_any_content_type(drive: Drive, server: Server) -> None:
    server.script(respond(200, b'{"a": 1}'), respond(201, b'{"a": 2}', {"Content-Type": "text/plain"}))
    client = drive.client()
    assert (client.task(TASK), client.task(TASK)) == ({"a": 1}, {"a": 2})


def test_returns_none_when_the_status_is_204(drive: Drive, server: Server) -> None:
    server.script(respond(204))
    assert drive.client().task(TASK) is None


@pytest.mark.parametrize(
    "reaction",
    [
        respond(200),
        respond(200, b"", {"Content-Type": "application/json"}),
        respond(200, b" \r\n", {"Content-Type": "application/json"}),
        respond(201),
        respond(303, b"", {"Location": "https://storage.example.com/x"}),
        respond(304),
        Reaction(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Reaction(b"HTTP/1.1 200 OK\r\n\r\n", then="close"),
    ],
    ids=["200", "empty JSON", "blank JSON", "201", "303", "304", "no chunks", "until closed"],
)
@pytest.mark.parametrize("given", [False, True], ids=["own session", "given session"])
def test_returns_the_response_when_its_body_is_empty(
    drive: Drive, server: Server, reaction: Reaction, given: bool
) -> None:
    server.script(reaction)
    result = drive.client(session=drive.session() if given else None).task(TASK)
    response = result["response"]
    assert drive.status_of(response) == int(reaction.raw[9:12])
    assert drive.body_of(response).strip() == b""
    assert reaction.raw[9:12] != b"303" or response.headers["Location"] == "https://storage.example.com/x"


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"<svg/>", "image/svg+xml"),
        (b"hello", "text/plain; charset=utf-8"),
        (bytes(range(256)) * 100, "application/octet-stream"),
        (b"\xff\xfe", "text/html; charset=nonsense"),
    ],
    ids=["svg", "text", "binary", "unknown charset"],
)
@pytest.mark.parametrize("given", [False, True], ids=["own session", "given session"])
def test_returns_the_response_when_it_is_not_json(
    drive: Drive, server: Server, body: bytes, media_type: str, given: bool
) -> None:
    server.script(respond(200, body, {"Content-Type": media_type}))
    result = drive.client(session=drive.session() if given else None).task(TASK)
    assert list(result) == ["response"]
    response = result["response"]
    assert (drive.status_of(response), response.headers["Content-Type"]) == (200, media_type)
    assert drive.body_of(response) == body


def test_decodes_compressed_and_chunked_responses(drive: Drive, server: Server) -> None:
    packed = gzip.compress(b'{"packed": true}')
    server.script(
        respond(200, packed, {"Content-Encoding": "gzip"}),
        Reaction(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n4;x=y\r\n: 1}\r\n0\r\n\r\n'),
    )
    client = drive.client()
    assert (client.task(TASK), client.task(TASK)) == ({"packed": True}, {"a": 1})
    assert "gzip" in server.last.headers["accept-encoding"]


@pytest.mark.parametrize(
    "location", ["{root}/elsewhere", "https://other.example.com/x", "/relative", "http://[", "", "http://a:b:c/\xff"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("given", [False, True], ids=["own session", "given session"])
def test_returns_the_json_of_a_redirect(drive: Drive, server: Server, location: str, status: int, given: bool) -> None:
    headers = {"Location": location.format(root=server.root_url)}
    server.script(respond(status, {"url": "https://elsewhere"}, headers))
    client = drive.client(session=drive.session() if given else None)
    assert client.getLatestArtifact(TASK, "public/a") == {"url": "https://elsewhere"}
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["cancelTask", "createTask"])
@pytest.mark.parametrize("given", [False, True], ids=["own session", "given session"])
def test_raises_when_a_write_is_redirected(drive: Drive, server: Server, status: int, method: str, given: bool) -> None:
    server.script(respond(status, b"", {"Location": "https://tc.example.com/x?sig=s3cret"}))
    client = drive.client(session=drive.session() if given else None)
    with pytest.raises(TaskclusterRestFailure, match="set the option rootUrl") as caught:
        getattr(client, method)(TASK, *([{}] if method == "createTask" else []))
    assert caught.value.status_code == status
    assert "s3cret" not in str(caught.value)
    assert len(server.received) == 1


def test_accepts_large_headers(drive: Drive, server: Server) -> None:
    server.script(respond(200, {"a": 1}, {f"X-Trace-{number}": "x" * 500 for number in range(12)}))
    assert drive.client().task(TASK) == {"a": 1}


def test_skips_interim_responses(drive: Drive, server: Server) -> None:
    server.script(Reaction(b"HTTP/1.1 100 Continue\r\n\r\n" + respond(200, {"a": 1}).raw))
    assert drive.client().task(TASK) == {"a": 1}


def test_own_sessions_do_not_send_cookies(drive: Drive, server: Server) -> None:
    server.script(respond(200, {}, {"Set-Cookie": "a=b; Path=/"}))
    client = drive.client()
    client.task(TASK)
    client.task(TASK)
    assert "cookie" not in server.last.headers


@functools.lru_cache
def encoded(kind: str, size: int) -> bytes:
    """Return a JSON string of about `size` bytes, encoded."""
    body = b'"%s"' % (b"a" * size)
    for name in filter(None, kind.split(", ")):
        packed = zlib.compress(body)
        body = {"raw": packed[2:-4], "deflate": packed}.get(name) or gzip.compress(body)
    return body


KINDS = ["", "gzip", "x-gzip", "deflate", "raw", "gzip, gzip", "deflate, gzip"]


def compressed(kind: str, size: int, *, chunked: bool) -> Reaction:
    body = encoded(kind, size)
    headers = {"Content-Encoding": kind.replace("raw", "deflate"), "Content-Type": "application/json"}
    if not chunked:
        return respond(200, body, headers)
    head = respond(200, b"", headers).raw.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return Reaction(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("chunked", "given"),
    [(False, False), (True, False), (False, True)],
    ids=["own session", "chunked", "given session"],
)
def test_raises_when_a_response_is_too_large(
    drive: Drive, server: Server, kind: str, chunked: bool, given: bool
) -> None:
    limit = 100_000
    client = drive.client(session=drive.session() if given else None, maxResponseSize=limit)
    server.script(compressed(kind, limit - 2, chunked=chunked))
    assert client.task(TASK) == "a" * (limit - 2)
    server.script(compressed(kind, 24 * 2**20 if kind else limit - 1, chunked=chunked))
    tracemalloc.start()
    try:
        with pytest.raises(TaskclusterFailure, match="maxResponseSize") as caught:
            client.task(TASK)
        assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
    finally:
        tracemalloc.stop()
    assert type(caught.value) is TaskclusterFailure
    assert len(server.received) == 2
    assert client.task(TASK) == {}
