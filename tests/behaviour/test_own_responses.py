"""Test that no call or transfer gets the response of another, whatever the server sends."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import requests

import taskcluster
from taskcluster.effects import Close, Emit, Request
from taskcluster.exceptions import TaskclusterConnectionError
from taskcluster.plain_http import makeHttpRequest
from taskcluster.redirects import open_response
from taskcluster.runner import iterate, iterate_async
from taskcluster.transport.aiohttp import AiohttpTransport, own_session
from taskcluster.transport.requests import RequestsTransport
from taskcluster_helper.aio.performer import AsyncHelperPerformer
from taskcluster_helper.effects import LogProcedure, ReadSome
from taskcluster_helper.performer import HelperPerformer

from .drive import AsyncDrive, Drive, SyncDrive
from .server import Late, Proxy, Reaction, Server, respond

NAME = attrgetter("__name__")
STRAY = respond(200, {"number": -1}).raw
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
EMPTY = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n"
CALLS = 5
own_and_given = pytest.mark.parametrize("given", [False, True], ids=["own session", "given session"])


def parts(number: int) -> tuple[bytes, bytes]:
    head, end, body = respond(200, {"number": number}).raw.partition(b"\r\n\r\n")
    return head + end, body


def followed(number: int) -> Reaction:
    return Reaction(respond(200, {"number": number}).raw + STRAY)


def followed_with_the_body(number: int) -> Reaction:
    head, body = parts(number)
    return Reaction(head, more=(body + STRAY,))


def followed_with_half_the_body(number: int) -> Reaction:
    head, body = parts(number)
    return Reaction(head + body[:3], more=(body[3:] + STRAY,))


def followed_by_much(number: int) -> Reaction:
    return Reaction(respond(200, {"number": number}).raw + STRAY * 500)


def chunked_and_followed(number: int) -> Reaction:
    _, body = parts(number)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Reaction(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" + STRAY)


def no_content_with_a_body(number: int) -> Reaction:
    return Reaction(EMPTY % (204, len(STRAY)) + STRAY)


def no_content_and_then_a_body(number: int) -> Reaction:
    return Reaction(EMPTY % (204, len(STRAY)), more=(STRAY,))


def not_modified_and_then_a_body(number: int) -> Reaction:
    return Reaction(EMPTY % (304, len(STRAY)), more=(STRAY,))


def after_interim(number: int) -> Reaction:
    return Reaction(INTERIM + respond(200, {"number": number}).raw)


def long_after_interim(number: int) -> Reaction:
    return Reaction(INTERIM, more=(respond(200, {"number": number}).raw,))


def after_many_interim(number: int) -> Reaction:
    head, body = parts(number)
    processing = b"HTTP/1.1 102 Processing\r\n\r\n"
    return Reaction(
        b"HTTP/1.1 100 Continue\r\n\r\n" + processing, more=(processing + INTERIM[:20], INTERIM[20:] + head, body)
    )


ODD = [
    followed,
    followed_with_the_body,
    followed_with_half_the_body,
    followed_by_much,
    chunked_and_followed,
    no_content_with_a_body,
    no_content_and_then_a_body,
    not_modified_and_then_a_body,
    after_interim,
    long_after_interim,
    after_many_interim,
]


def number_of(drive: Drive, result: Any) -> int | None:
    """Return the number in a result, or None if the status has no body or the number is too late."""
    if isinstance(result, dict) and "response" in result:
        assert drive.status_of(result["response"]) == 304
        return None
    return None if result is None else result["number"]


@pytest.mark.parametrize("reaction", ODD, ids=NAME)
@own_and_given
def test_calls_get_their_own_responses(
    drive: Drive, server: Server, reaction: Callable[[int], Reaction], given: bool
) -> None:
    client = drive.client(session=drive.session() if given else None, maxRetries=0)
    # requests treats an interim response as the final one.
    is_refused = given and isinstance(drive, SyncDrive) and "interim" in reaction.__name__
    has_no_body = "_content" in reaction.__name__ or "_modified" in reaction.__name__
    for number in range(CALLS):
        server.script(reaction(number))
        if is_refused:
            with pytest.raises(TaskclusterConnectionError, match="interim status"):
                client.task(f"task-{number}")
        else:
            assert number_of(drive, client.task(f"task-{number}")) == (None if has_no_body else number)
    assert [request.target.rpartition("/")[2] for request in server.received] == [f"task-{n}" for n in range(CALLS)]


@pytest.mark.parametrize("status", [200, 204, 304])
@pytest.mark.parametrize("stray", [STRAY, STRAY[:30], b"\r\n"], ids=["response", "half", "newline"])
@own_and_given
def test_calls_get_their_own_responses_when_bytes_arrive_late(
    drive: Drive, server: Server, status: int, stray: bytes, given: bool
) -> None:
    client = drive.client(session=drive.session() if given else None)
    for number in range(CALLS):
        late = Late(stray)
        body = {"number": number} if status == 200 else b""
        server.script(Reaction(respond(status, body).raw, late=late))
        assert number_of(drive, client.task(f"task-{number}")) == (number if status == 200 else None)
        late.send()
    assert len(server.received) == CALLS


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + STRAY,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + STRAY,
    ],
    ids=["upgrade", "plain"],
)
@own_and_given
def test_raises_when_the_server_switches_protocols(drive: Drive, server: Server, raw: bytes, given: bool) -> None:
    server.otherwise = Reaction(raw)
    client = drive.client(session=drive.session() if given else None, maxRetries=1)
    for _ in range(3):
        with pytest.raises(TaskclusterConnectionError, match="status 101"):
            client.task("a")
    assert len(server.received) == 6


@pytest.mark.parametrize("interim", [INTERIM, b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["103", "100"])
def test_raises_when_interim_responses_do_not_end(drive: Drive, server: Server, interim: bytes) -> None:
    server.otherwise = Reaction(interim * 1500 + respond(200, {"number": 0}).raw)
    with pytest.raises(TaskclusterConnectionError, match=r"interim|no response"):
        drive.client(maxRetries=0).task("a")


def test_calls_get_their_own_responses_through_a_proxy(
    server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    transport = RequestsTransport(None, "ours")
    for number in range(CALLS):
        server.script(after_interim(number))
        response = transport.send(Request("GET", f"{server.root_url}/{number}", {}, None, (5, 5)))
        assert response.body == b'{"number": %d}' % number
    transport.close()
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("kind", [SyncDrive, AsyncDrive], ids=["sync", "async"])
def test_calls_get_their_own_responses_over_tls(
    tls_server: Server, authority: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch, kind: type[Drive]
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[1]))
    drive = kind(tls_server.root_url)
    client = drive.client()
    usual = [respond(200, {"number": number}) for number in range(CALLS)]
    tls_server.script(*usual, *map(followed_by_much, range(CALLS)))
    got = [client.task("a")["number"] for _ in range(2 * CALLS)]
    drive.close()
    assert got == [*range(CALLS), *range(CALLS)]
    # No bytes were left after the first calls.
    assert [request.connection for request in tls_server.received] == [*[1] * (CALLS + 1), *range(2, CALLS + 1)]


@pytest.mark.parametrize("reaction", [after_interim, long_after_interim], ids=NAME)
@own_and_given
def test_plain_requests_raise_when_the_response_is_interim(
    server: Server, reaction: Callable[[int], Reaction], given: bool
) -> None:
    with requests.Session() as session:
        for number in range(CALLS):
            server.script(reaction(number), respond(200, {"number": number}))
            url = f"{server.root_url}/{number}"
            response = makeHttpRequest("get", url, None, {}, retries=1, session=session if given else None)
            assert response.json() == {"number": number}


@pytest.mark.parametrize("reaction", ODD, ids=NAME)
@pytest.mark.parametrize(("stream", "copied"), [(False, False), (True, False), (False, True)])
def test_the_session_of_a_client_gets_its_own_responses(
    server: Server, reaction: Callable[[int], Reaction], stream: bool, copied: bool
) -> None:
    has_no_body = "_content" in reaction.__name__ or "_modified" in reaction.__name__
    with contextlib.ExitStack() as stack:
        queue = stack.enter_context(taskcluster.Queue({"rootUrl": server.root_url}))
        session = stack.enter_context(copy.deepcopy(queue.session)) if copied else queue.session
        for number in range(CALLS):
            server.script(reaction(number))
            with session.get(queue.buildUrl("task", f"task-{number}"), stream=stream) as response:
                assert response.content == (b"" if has_no_body else parts(number)[1])


# bodies that are read piece by piece

READ = [reaction for reaction in ODD if reaction not in (not_modified_and_then_a_body,)]


def head_with_a_body(number: int) -> Reaction:
    return Reaction(EMPTY % (200, len(STRAY)) + STRAY)


def head_and_then_a_body(number: int) -> Reaction:
    return Reaction(EMPTY % (200, len(STRAY)), more=(STRAY,))


def read_in_pieces(transport: RequestsTransport, request: Request) -> bytes:
    with transport.open(request) as body:
        return b"".join(iter(lambda: body.read(5), b""))


def requests_of(server: Server, reaction: Callable[[int], Reaction]) -> Iterator[tuple[Request, bytes]]:
    for number in range(CALLS):
        server.script(reaction(number))
        method = "HEAD" if reaction.__name__.startswith("head") else "GET"
        expected = b"" if "_content" in reaction.__name__ or method == "HEAD" else parts(number)[1]
        yield Request(method, f"{server.root_url}/{number}", {}, None, (5, 5)), expected


@pytest.mark.parametrize("reaction", [*READ, head_with_a_body, head_and_then_a_body], ids=NAME)
@own_and_given
def test_sync_transfers_get_their_own_responses(
    server: Server, reaction: Callable[[int], Reaction], given: bool
) -> None:
    with requests.Session() as session:
        transport = RequestsTransport(session if given else None, "ours")
        for request, expected in requests_of(server, reaction):
            refused = given and "interim" in reaction.__name__
            with pytest.raises(TaskclusterConnectionError) if refused else contextlib.nullcontext():
                assert read_in_pieces(transport, request) == expected
        transport.close()


@pytest.mark.parametrize("reaction", [*READ, head_with_a_body, head_and_then_a_body], ids=NAME)
def test_async_transfers_get_their_own_responses(server: Server, reaction: Callable[[int], Reaction]) -> None:
    async def read() -> None:
        async with own_session() as session:
            transport = AiohttpTransport("ours")
            for request, expected in requests_of(server, reaction):
                # aiohttp takes a body of HEAD that arrives with the headers for a broken response.
                may_fail = reaction in (head_with_a_body, head_and_then_a_body)
                with contextlib.suppress(TaskclusterConnectionError) if may_fail else contextlib.nullcontext():
                    response = await transport.open(session, request)
                    assert await response.content.read() == expected

    asyncio.run(read())


def log_of(request: Request) -> LogProcedure[None]:
    opened = yield from open_response(request, {})
    try:
        while data := (yield ReadSome(opened)):
            yield Emit((data,))
    finally:
        yield Close(opened)


@pytest.mark.parametrize("reaction", READ, ids=NAME)
def test_log_readers_get_their_own_responses(server: Server, reaction: Callable[[int], Reaction]) -> None:
    performer = HelperPerformer(None)
    for request, expected in requests_of(server, reaction):
        assert b"".join(iterate(log_of(request), performer)) == expected
    performer.close()

    async def read() -> None:
        performer = AsyncHelperPerformer(None)
        for request, expected in requests_of(server, reaction):
            pieces = [piece async for piece in iterate_async(log_of(request), performer)]
            assert b"".join(pieces) == expected
        await performer.close()

    asyncio.run(read())
