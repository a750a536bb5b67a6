"""Test which exceptions sync and async calls raise for failures of servers."""

from __future__ import annotations

import asyncio
import gzip
import pickle
from typing import Any

import aiohttp
import pytest

from taskcluster.exceptions import (
    TaskclusterAuthFailure,
    TaskclusterConnectionError,
    TaskclusterFailure,
    TaskclusterRestFailure,
)

from .drive import Drive, DrivenClient
from .server import Reaction, Server, closed_port, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
PROMISED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"

NO_COMPLETE_RESPONSE = {
    "closed without a response": Reaction(then="close"),
    "reset on accepting": Reaction(then="reset", when="accepted"),
    "reset after the request": Reaction(then="reset"),
    "reset within the status line": Reaction(b"HTTP/1.1 20", then="reset"),
    "reset within the headers": Reaction(PROMISED[:40], then="reset"),
    "reset before the body": Reaction(PROMISED, then="reset"),
    "reset within the body": Reaction(PROMISED + b'{"a": ', then="reset"),
    "truncated body": Reaction(PROMISED + b'{"a": 1}', then="close"),
    "truncated chunk": Reaction(CHUNKED + b'50\r\n{"a": 1}', then="close"),
    "no last chunk": Reaction(CHUNKED + b'8\r\n{"a": 1}\r\n', then="close"),
    "chunk size that is none": Reaction(CHUNKED + b'ZZ\r\n{"a": 1}\r\n0\r\n\r\n', then="close"),
    "garbage": Reaction(b"\x00\xff\xfe what is this\r\n\r\n", then="close"),
    "status that is none": Reaction(b"HTTP/1.1 fine OK\r\nContent-Length: 0\r\n\r\n", then="close"),
    "header of 100 kB": Reaction(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n", then="close"),
    "gzip that is none": respond(200, b"plain, not packed", {"Content-Encoding": "gzip"}),
}
UNDETECTED_BY_SESSIONS = {
    "closed within a header": Reaction(PROMISED[:40], then="close"),
    "closed between headers": Reaction(PROMISED.removesuffix(b"\r\n"), then="close"),
    "chunk of size -1": Reaction(CHUNKED + b'-1\r\n{"a": 1}\r\n0\r\n\r\n', then="close"),
    "chunk of size -5": Reaction(CHUNKED + b'-5\r\n{"a": 1}\r\n0\r\n\r\n', then="close"),
}
"""With a session, http.client does not detect these."""


def failure_of(client: DrivenClient, method: str, *args: Any, **kwargs: Any) -> Any:
    with pytest.raises(TaskclusterFailure) as caught:
        getattr(client, method)(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    "reaction",
    [*NO_COMPLETE_RESPONSE.values(), *UNDETECTED_BY_SESSIONS.values()],
    ids=[*NO_COMPLETE_RESPONSE, *UNDETECTED_BY_SESSIONS],
)
def test_incomplete_response_raises_after_all_retries(
    drive: Drive, server: Server, waits: list[float], reaction: Reaction
) -> None:
    server.script(*[reaction] * 3)
    failure = failure_of(drive.client(maxRetries=2), "task", TASK)
    assert isinstance(failure, TaskclusterConnectionError)
    assert isinstance(failure, aiohttp.ClientError) == (drive.mode == "async")
    assert isinstance(failure.superExc, Exception)
    assert failure.__cause__ is failure.superExc
    assert len(waits) == 2
    reached = server.connections if reaction.when == "accepted" else len(server.received)
    assert reached == 3


@pytest.mark.parametrize(
    "reaction",
    [*NO_COMPLETE_RESPONSE.values(), *UNDETECTED_BY_SESSIONS.values()],
    ids=[*NO_COMPLETE_RESPONSE, *UNDETECTED_BY_SESSIONS],
)
def test_incomplete_response_is_retried(drive: Drive, server: Server, reaction: Reaction) -> None:
    server.script(reaction, respond(200, {"good": True}))
    assert drive.client().task(TASK) == {"good": True}


def test_refused_connection_raises_after_all_retries(drive: Drive, waits: list[float]) -> None:
    client = drive.client(rootUrl=f"http://127.0.0.1:{closed_port()}", maxRetries=3)
    failure = failure_of(client, "task", TASK)
    assert isinstance(failure, TaskclusterConnectionError)
    assert isinstance(failure, aiohttp.ClientError) == (drive.mode == "async")
    assert len(waits) == 3
    assert "GET at http://127.0.0.1:" in str(failure)
    assert TASK not in str(failure)


@pytest.mark.parametrize(
    "reaction",
    [Reaction(then="stall"), Reaction(PROMISED[:30], then="stall"), Reaction(PROMISED + b'{"a":', then="stall")],
    ids=["before the response", "within the headers", "within the body"],
)
def test_read_timeout_is_retried(drive: Drive, server: Server, waits: list[float], reaction: Reaction) -> None:
    server.script(reaction, reaction)
    failure = failure_of(drive.client(timeout=0.2, maxRetries=1), "task", TASK)
    assert isinstance(failure, TaskclusterConnectionError)
    assert isinstance(failure, asyncio.TimeoutError) == (drive.mode == "async")
    assert "timed out" in str(failure)
    assert (len(server.received), len(waits)) == (2, 1)


def test_reset_while_sending_raises_connection_error(drive: Drive, server: Server) -> None:
    server.script(Reaction(then="reset", when="head"))
    failure = failure_of(drive.client(maxRetries=0), "createTask", TASK, {"payload": "x" * 20_000_000})
    assert isinstance(failure, TaskclusterConnectionError)


def test_failures_can_be_pickled(drive: Drive, server: Server) -> None:
    server.script(respond(503, {"code": "Busy", "message": "later"}), Reaction(then="reset"))
    client = drive.client(maxRetries=0)
    for failure in (failure_of(client, "task", TASK), failure_of(client, "task", TASK)):
        again = pickle.loads(pickle.dumps(failure))
        assert (type(again), str(again)) == (type(failure), str(failure))
        assert getattr(again, "body", None) == getattr(failure, "body", None)


def test_call_after_an_aborted_connection(drive: Drive, server: Server) -> None:
    client = drive.client(maxRetries=0)
    server.script(respond(200, {"call": 1}), Reaction(PROMISED + b"{", then="reset"), respond(200, {"call": 3}))
    assert client.task(TASK) == {"call": 1}
    failure_of(client, "task", TASK)
    assert client.task(TASK) == {"call": 3}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_server_failure_raises_after_all_retries(drive: Drive, server: Server, waits: list[float], status: int) -> None:
    server.otherwise = respond(
        status, {"code": "InternalServerError", "message": "incident 7", "requestInfo": {"a": 1}}
    )
    failure = failure_of(drive.client(maxRetries=2), "task", TASK)
    assert isinstance(failure, TaskclusterRestFailure)
    assert isinstance(failure, aiohttp.ClientResponseError) == (drive.mode == "async")
    assert (str(failure), failure.status_code, failure.code) == ("incident 7", status, "InternalServerError")
    assert failure.body["requestInfo"] == failure.requestInfo == {"a": 1}
    assert (len(server.received), len(waits)) == (3, 2)


def test_server_failure_is_retried(drive: Drive, server: Server, waits: list[float]) -> None:
    server.script(respond(500), respond(502, "<h1>Bad gateway</h1>"), respond(200, {"good": True}))
    assert drive.client().task(TASK) == {"good": True}
    assert (len(server.received), len(waits)) == (3, 2)


def test_delays_double_up_to_max_delay(drive: Drive, server: Server, waits: list[float]) -> None:
    server.otherwise = respond(500)
    client = drive.client(maxRetries=4, delayFactor=2, maxDelay=10, randomizationFactor=0)
    failure_of(client, "task", TASK)
    assert waits == [2, 4, 8, 10]


def test_default_delays(drive: Drive, server: Server, waits: list[float]) -> None:
    server.otherwise = respond(500)
    failure_of(drive.client(), "task", TASK)
    assert len(waits) == 5
    for retry, delay in enumerate(waits):
        assert 0.75 <= delay / (0.1 * 2**retry) <= 1.25


def test_waits_for_retry_after_seconds(drive: Drive, server: Server, waits: list[float]) -> None:
    server.script(respond(429, {}, {"Retry-After": "7"}), respond(200, {"good": True}))
    assert drive.client().task(TASK) == {"good": True}
    assert waits == [7]


def test_waits_for_retry_after_date(
    drive: Drive, server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 784111777.0)
    server.script(
        respond(429, {}, {"Retry-After": "Sun, 06 Nov 1994 08:49:57 GMT"}),
        respond(429, {}, {"Retry-After": "Sun, 06 Nov 1994 08:49:00 GMT"}),
        respond(200, {"good": True}),
    )
    assert drive.client().task(TASK) == {"good": True}
    assert [wait for wait in waits if wait > 0] == [20]


def test_retry_after_is_limited_to_max_delay(drive: Drive, server: Server, waits: list[float]) -> None:
    server.script(respond(429, {}, {"Retry-After": "86400"}))
    drive.client(maxDelay=11).task(TASK)
    assert waits == [11]


def test_status_429_raises_after_all_retries(drive: Drive, server: Server) -> None:
    server.otherwise = respond(429, {"code": "TooManyRequests", "message": "slower"}, {"Retry-After": "1"})
    failure = failure_of(drive.client(maxRetries=1), "task", TASK)
    assert isinstance(failure, TaskclusterRestFailure)
    assert (failure.status_code, str(failure), len(server.received)) == (429, "slower", 2)


def test_status_401_raises_auth_failure_without_retry(drive: Drive, server: Server) -> None:
    server.script(respond(401, {"code": "AuthenticationFailed", "message": "Unauthorized: Bad mac"}))
    failure = failure_of(drive.client(), "task", TASK)
    assert type(failure) is TaskclusterAuthFailure
    assert (failure.status_code, failure.code, str(failure)) == (401, "AuthenticationFailed", "Unauthorized: Bad mac")
    assert len(server.received) == 1


def test_status_403_has_missing_scopes(drive: Drive, server: Server) -> None:
    message = (
        "Client ID tester does not have sufficient scopes and is missing the following scopes:\n\n"
        '```\n{\n  "AllOf": [\n    "queue:get-task:x",\n    "queue:b"\n  ]\n}\n```\n\n'
        "This request requires the client to satisfy the following scope expression:\n\n```\nqueue:c\n```\n"
    )
    server.script(respond(403, {"code": "InsufficientScopes", "message": message, "requestInfo": {}}))
    failure = failure_of(drive.client(), "task", TASK)
    assert type(failure) is TaskclusterRestFailure
    assert (failure.status_code, failure.missing_scopes) == (403, ["queue:get-task:x", "queue:b"])
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [400, 404, 409, 410, 413, 424])
def test_status_4xx_raises_rest_failure_without_retry(
    drive: Drive, server: Server, waits: list[float], status: int
) -> None:
    server.otherwise = respond(status, {"code": "Whatever", "message": "no"})
    failure = failure_of(drive.client(), "task", TASK)
    assert type(failure) is TaskclusterRestFailure
    assert (failure.status_code, str(failure)) == (status, "no")
    assert (len(server.received), waits) == (1, [])


def test_html_error_names_the_call_and_keeps_the_message(drive: Drive, server: Server) -> None:
    server.script(respond(404, "<html><body>No such page</body></html>", {"Content-Type": "text/html"}))
    failure = failure_of(drive.client(), "task", TASK)
    assert type(failure) is TaskclusterRestFailure
    assert failure.body == {}
    for part in ("queue.task", f"GET /task/{TASK}", "404", "No such page"):
        assert part in str(failure)


@pytest.mark.parametrize(
    "reaction",
    [
        respond(200, '{"status": ', {"Content-Type": "application/json"}),
        respond(201, b"\xff\xfe\x00", {"Content-Type": "application/problem+json; charset=utf-8"}),
        respond(303, "<h1>See there</h1>", {"Content-Type": "application/json", "Location": "/there"}),
        respond(
            200,
            gzip.compress(b"[" + b'"word",' * 10_000 + b'""]')[:-30],
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        ),
    ],
    ids=["cut off", "no text", "html", "gzip cut off"],
)
def test_invalid_json_raises_rest_failure(drive: Drive, server: Server, reaction: Reaction) -> None:
    server.script(reaction)
    failure = failure_of(drive.client(), "task", TASK)
    assert type(failure) is TaskclusterRestFailure
    assert isinstance(failure.superExc, ValueError)
    assert len(server.received) == 1


def test_invalid_arguments_send_nothing(drive: Drive, server: Server) -> None:
    client = drive.client()
    for args in ((), ("..",), ("",), (TASK, "surplus"), (TASK, {"surplus": True})):
        assert type(failure_of(client, "task", *args)) is TaskclusterFailure
    assert type(failure_of(client, "task", TASK, taskIdd="x")) is TaskclusterFailure
    assert server.connections == 0


@pytest.mark.parametrize(
    "credentials",
    [
        {"clientId": "tester"},
        {"accessToken": "no-secret"},
        {"clientId": "tester", "accessToken": "no-secret", "certificate": "not json"},
        {"clientId": "tester", "accessToken": "no-secret", "certificate": '{"version": 1}'},
    ],
    ids=["no accessToken", "no clientId", "certificate that is no JSON", "certificate without signature"],
)
def test_unusable_credentials_send_nothing(drive: Drive, server: Server, credentials: dict[str, Any]) -> None:
    failure = failure_of(drive.client(credentials=credentials), "task", TASK)
    assert type(failure) is TaskclusterAuthFailure
    assert server.connections == 0
