"""Test bodies that are read in pieces, as in transfers, with and without a requests session."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from taskcluster.effects import Request
from taskcluster.exceptions import TaskclusterConnectionError
from taskcluster.transport.bodies import Body
from taskcluster.transport.requests import RequestsTransport

from .server import Reaction, Server, respond

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PROMISED = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"


@pytest.fixture(params=["own session", "given session"])
def transport(request: pytest.FixtureRequest) -> Iterator[RequestsTransport]:
    with requests.Session() as session:
        made = RequestsTransport(None if request.param == "own session" else session, "ours")
        yield made
        made.close()


def opened(transport: RequestsTransport, server: Server, read_timeout: float = 60) -> Body:
    return transport.open(Request("GET", f"{server.root_url}/x?signature=secret", {}, None, (60, read_timeout)))


def pieces(body: Body, size: int) -> list[bytes]:
    return list(iter(lambda: body.read(size), b""))


@pytest.mark.parametrize(
    ("reaction", "expected"),
    [
        (respond(200, b"0123456789"), b"0123456789"),
        (respond(404, b"not there"), b"not there"),
        (respond(200, b""), b""),
        (respond(204), b""),
        (Reaction(CHUNKED + b"5\r\n01234\r\n4;x=y\r\n5678\r\n1\r\n9\r\n0\r\n\r\n"), b"0123456789"),
        (Reaction(b"HTTP/1.1 200 OK\r\n\r\n0123456789", then="close"), b"0123456789"),
        (respond(200, gzip.compress(b"0", mtime=0), {"Content-Encoding": "gzip"}), gzip.compress(b"0", mtime=0)),
    ],
    ids=["of a length", "of a failure", "of no length", "none", "in chunks", "to the end of the connection", "encoded"],
)
@pytest.mark.parametrize("size", [3, 5, 10, 1000])
def test_reads_a_body_in_pieces_without_decoding(
    transport: RequestsTransport, server: Server, reaction: Reaction, expected: bytes, size: int
) -> None:
    server.script(reaction)
    with opened(transport, server) as body:
        found = pieces(body, size)
        assert body.read(size) == b""
    assert b"".join(found) == expected
    assert all(0 < len(piece) <= size for piece in found)


def test_connection_is_reused_after_a_complete_body(transport: RequestsTransport, server: Server) -> None:
    for reaction in (
        respond(200, b"0123456789"),
        Reaction(CHUNKED + b"1\r\n9\r\n0\r\n\r\n"),
        respond(200, b""),
        respond(204),
    ):
        server.script(reaction)
        with opened(transport, server) as body:
            pieces(body, 4)
    assert server.connections == 1


def test_connection_is_closed_with_an_unread_body(transport: RequestsTransport, server: Server) -> None:
    server.script(respond(200, b"0123456789"))
    opened(transport, server).close()
    server.wait_until(lambda: server.open == 0)
    opened(transport, server).close()
    assert server.connections == 2


def test_bytes_before_a_read_timeout_are_not_lost(server: Server) -> None:
    transport = RequestsTransport(None, "ours")
    for head, piece in ((PROMISED, b"0123"), (CHUNKED, b"4\r\n0123\r\n")):
        server.script(Reaction(head + piece, then="stall"))
        with opened(transport, server, 2) as body:
            assert body.read(1000) == b"0123"
            with pytest.raises(TaskclusterConnectionError, match="timed out"):
                body.read(1000)
    transport.close()


def test_pool_of_one_works_after_an_unread_body(server: Server) -> None:
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True))
        transport = RequestsTransport(session, "ours")
        for _ in range(3):
            server.script(respond(200, b"0123456789"))
            opened(transport, server).close()
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("reaction", "says"),
    [
        (Reaction(PROMISED + b"0123", then="reset"), "broke off"),
        (Reaction(CHUNKED + b"50\r\n0123", then="close"), "broke off"),
        (Reaction(CHUNKED + b"ZZ\r\n", then="close"), "broke off"),
        (Reaction(CHUNKED + b"-1\r\n0123", then="close"), "broke off"),
        (Reaction(PROMISED + b"0123", then="stall"), "timed out"),
    ],
    ids=["reset", "a cut chunk", "a chunk of no size", "a chunk of negative size", "silence"],
)
def test_truncated_body_raises_without_the_url(
    transport: RequestsTransport, server: Server, reaction: Reaction, says: str
) -> None:
    server.script(reaction)
    read_timeout = 2 if reaction.then == "stall" else 60
    with (
        opened(transport, server, read_timeout) as body,
        pytest.raises(TaskclusterConnectionError, match=says) as caught,
    ):
        pieces(body, 4)
    failure: Any = caught.value
    assert "secret" not in f"{failure} {failure.__cause__}"
    assert failure.__suppress_context__
