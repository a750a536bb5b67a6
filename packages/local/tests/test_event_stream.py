"""Tests of `GET /events` on real sockets, read by several HTTP clients."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import pytest
import requests
from yarl import URL

import taskcluster
from taskcluster.hawk import EMPTY_PAYLOAD_HASH, Signer
from taskcluster_local import LocalTaskcluster, server
from taskcluster_local.stream import Feed

PENDING = "exchange/taskcluster-queue/v1/task-pending"
BINDINGS = [{"exchange": PENDING, "routingKeyPattern": "#"}]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


def definition(**fields: Any) -> Any:
    return {
        "taskQueueId": "p/w",
        "created": taskcluster.fromNowJSON("0 seconds"),
        "deadline": taskcluster.fromNowJSON("1 hour"),
        "payload": {},
        "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        **fields,
    }


def create(local: LocalTaskcluster, **fields: Any) -> str:
    task_id = taskcluster.slugId()
    with taskcluster.Queue(local.options()) as queue:
        queue.createTask(task_id, definition(**fields))
    return task_id


def target(bindings: Any = BINDINGS, **query: str) -> str:
    return f"/events?{urlencode({'bindings': json.dumps(bindings), **query})}"


def signer(local: LocalTaskcluster, credentials: dict[str, str] | None = None) -> Signer:
    used = credentials or local.credentials
    return Signer(used["clientId"], used["accessToken"].encode(), "")


def hawk(local: LocalTaskcluster, path: str, credentials: dict[str, str] | None = None) -> dict[str, str]:
    address = urlsplit(local.root_url)
    header = signer(local, credentials).header(
        "GET", path, str(address.hostname), str(address.port), EMPTY_PAYLOAD_HASH, time.time(), "n"
    )
    return {"Authorization": header}


def signed_url(local: LocalTaskcluster, path: str, seconds: int = 60) -> str:
    address = urlsplit(local.root_url)
    expires = int(time.time()) + seconds
    bewit = signer(local).bewit(path, str(address.hostname), str(address.port), expires)
    return f"{local.root_url}{path}&bewit={bewit}"


def parsed(lines: list[str]) -> tuple[str, str, Any]:
    """Return the name, id and data of an event."""
    fields = dict(line.split(": ", 1) for line in lines)
    return fields["event"], fields.get("id", ""), json.loads(fields["data"])


async def aiohttp_events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, Any]]:
    lines: list[str] = []
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text:
            lines.append(text)
        elif lines:
            yield parsed(lines)
            lines.clear()


def requests_events(response: requests.Response) -> Iterator[tuple[str, str, Any]]:
    lines: list[str] = []
    for text in response.iter_lines(chunk_size=None, decode_unicode=True):
        if text:
            lines.append(text)
        elif lines:
            yield parsed(lines)
            lines.clear()


def test_aiohttp_reads_stream_with_hawk(local: LocalTaskcluster) -> None:
    async def scenario() -> None:
        path = target()
        async with (
            aiohttp.ClientSession() as session,
            # Encoded: aiohttp would quote it differently, and the signature covers the quoted path.
            session.get(URL(local.root_url + path, encoded=True), headers=hawk(local, path)) as response,
        ):
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/event-stream"
            assert response.headers["Cache-Control"] == "no-cache"
            # Pages of other origins must not read it.
            assert "Access-Control-Allow-Origin" not in response.headers
            events = aiohttp_events(response)
            assert (await anext(events))[0] == "ready"
            task_id = await asyncio.to_thread(create, local, routes=["a.b"])
            name, _, message = await anext(events)
            assert (name, message["exchange"], message["routes"]) == ("message", PENDING, ["route.a.b"])
            assert message["routingKey"].split(".")[:2] == ["primary", task_id]
            assert message["payload"]["status"]["taskId"] == task_id
            assert message["redelivered"] is False

    asyncio.run(scenario())


def test_requests_reads_signed_url_and_continues(local: LocalTaskcluster) -> None:
    with requests.get(signed_url(local, target()), stream=True, timeout=60) as response:
        events = requests_events(response)
        assert next(events)[0] == "ready"
        tasks = [create(local) for _ in range(3)]
        _, last_id, message = next(events)
        assert message["payload"]["status"]["taskId"] == tasks[0]
    for query, headers in (({"lastEventId": last_id}, {}), ({}, {"Last-Event-ID": last_id})):
        with requests.get(signed_url(local, target(**query)), headers=headers, stream=True, timeout=60) as response:
            events = requests_events(response)
            assert next(events)[0] == "ready"
            assert [next(events)[2]["payload"]["status"]["taskId"] for _ in range(2)] == tasks[1:]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_reads_signed_url(local: LocalTaskcluster) -> None:
    with subprocess.Popen(
        ["curl", "-sN", signed_url(local, target())], stdout=subprocess.PIPE, encoding="utf-8"
    ) as curl:
        assert curl.stdout is not None
        try:
            assert [curl.stdout.readline() for _ in range(3)][2] == "event: ready\n"
            task_id = create(local)
            data = next(line for line in curl.stdout if line.startswith("data: ") and line != "data: {}\n")
            assert json.loads(data[6:])["payload"]["status"]["taskId"] == task_id
        finally:
            curl.kill()


def test_receives_one_task_group_only(local: LocalTaskcluster) -> None:
    group = taskcluster.slugId()
    bound = taskcluster.QueueEvents(local.options()).taskPending(taskGroupId=group)
    with requests.get(signed_url(local, target([bound])), stream=True, timeout=60) as response:
        events = requests_events(response)
        assert next(events)[0] == "ready"
        create(local)
        task_id = create(local, taskGroupId=group, schedulerId="s")
        assert next(events)[2]["payload"]["status"]["taskId"] == task_id


def get(local: LocalTaskcluster, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    with contextlib.closing(http.client.HTTPConnection(urlsplit(local.root_url).netloc, timeout=60)) as connection:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        if response.status == 200:
            return 200, response.readline()
        return response.status, json.loads(response.read())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/events", "Query-string parameter: bindings is missing"),
        (target([{"exchange": PENDING}]), "bindings[0].routingKeyPattern is missing"),
        (target(since="1"), "Query-string parameter: since is not supported!"),
    ],
    ids=["missing", "malformed", "unknown"],
)
def test_invalid_query_is_refused_before_stream_begins(local: LocalTaskcluster, path: str, message: str) -> None:
    status, body = get(local, path)
    assert (status, body["code"]) == (400, "InvalidRequestArguments")
    assert message in body["message"]


def test_invalid_credentials_are_refused(local: LocalTaskcluster) -> None:
    path = target()
    wrong = {"clientId": local.credentials["clientId"], "accessToken": "wrong"}
    assert get(local, path, hawk(local, path, wrong))[0] == 401
    assert get(local, signed_url(local, path, seconds=-1).removeprefix(local.root_url))[0] == 401
    assert get(local, signed_url(local, path).removeprefix(local.root_url) + quote("x"))[0] == 401


def test_needs_scope_that_everyone_has_by_default(local: LocalTaskcluster) -> None:
    path = target()
    assert get(local, path)[0] == 200
    with LocalTaskcluster(roles={"anonymous": []}) as closed:
        status, body = get(closed, path)
        assert (status, body["code"]) == (403, "InsufficientScopes")
        assert "web:read-pulse" in body["message"]
        for scopes, expected in (([], 403), (["web:read-pulse"], 200)):
            headers = hawk(closed, path, closed.options(scopes=scopes)["credentials"])
            assert get(closed, path, headers)[0] == expected


def test_foreign_host_is_refused(local: LocalTaskcluster) -> None:
    assert get(local, target(), {"Host": "attacker.example"})[0] == 421


def test_head_ends(local: LocalTaskcluster) -> None:
    response = requests.head(local.root_url + target(), timeout=60)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/event-stream")


def test_http_1_0_client_reads_stream(local: LocalTaskcluster) -> None:
    address = urlsplit(local.root_url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=60) as connection:
        connection.sendall(f"GET {target()} HTTP/1.0\r\nHost: {address.netloc}\r\n\r\n".encode())
        received = b""
        while b"event: ready\ndata: {}\n\n" not in received:
            received += connection.recv(4096)
        assert b"chunked" not in received.lower()


def test_reset_is_reported_and_stream_continues() -> None:
    with LocalTaskcluster() as local:
        with requests.get(signed_url(local, target()), stream=True, timeout=60) as response:
            events = requests_events(response)
            assert next(events)[0] == "ready"
            create(local)
            _, last_id, _ = next(events)
            local.reset()
            assert next(events)[0] == "lost"
            task_id = create(local)
            assert next(events)[2]["payload"]["status"]["taskId"] == task_id
        with requests.get(signed_url(local, target(lastEventId=last_id)), stream=True, timeout=60) as response:
            events = requests_events(response)
            assert [next(events)[0] for _ in range(2)] == ["ready", "lost"]


def test_id_from_before_restart_is_recognised(tmp_path: Any) -> None:
    last_id, expected = "", ["ready"]
    for _ in range(2):
        with LocalTaskcluster(tmp_path) as local:
            path = target(lastEventId=last_id) if last_id else target()
            with requests.get(signed_url(local, path), stream=True, timeout=60) as response:
                found = [event for _, event in zip(expected, requests_events(response), strict=False)]
                assert [name for name, _, _ in found] == expected
                _, last_id, _ = found[0]
        expected = ["ready", "lost"]


def test_stop_ends_streams() -> None:
    names: list[str] = []
    with LocalTaskcluster() as local:
        response = requests.get(signed_url(local, target()), stream=True, timeout=60)
        events = requests_events(response)
        names.append(next(events)[0])
        reader = threading.Thread(target=lambda: names.extend(name for name, _, _ in events))
        reader.start()
    reader.join(timeout=60)
    assert not reader.is_alive()
    # It ended as a complete response, not with an exception.
    assert names == ["ready"]
    response.close()


def test_disconnected_client_leaves_nothing() -> None:
    with LocalTaskcluster() as local:
        with requests.get(signed_url(local, target()), stream=True, timeout=60) as response:
            events = requests_events(response)
            assert next(events)[0] == "ready"
            feed = local._server._feed
            assert feed._readers
        # Without a message or a ping, which would fail.
        while feed._readers:
            time.sleep(0.01)


@pytest.fixture
def small_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "Feed", functools.partial(Feed, most_messages=20))


def paused(local: LocalTaskcluster) -> socket.socket:
    """Open a stream that is not read after its first event."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    address = urlsplit(local.root_url)
    connection.connect((str(address.hostname), int(address.port or 0)))
    connection.settimeout(60)
    connection.sendall(f"GET {target()} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    received = b""
    while b"event: ready" not in received:
        received += connection.recv(100)
    return connection


def everything(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
        if chunk.endswith(b"0\r\n\r\n"):
            break
    return received


def publish_many(local: LocalTaskcluster, number: int) -> None:
    """Publish messages of 100 kB each."""
    status = {
        "taskId": taskcluster.slugId(),
        "provisionerId": "p",
        "workerType": "w",
        "taskQueueId": "p/w",
        "schedulerId": "-",
        "projectId": "none",
        "taskGroupId": taskcluster.slugId(),
        "deadline": "2030-01-01T00:00:00.000Z",
        "expires": "2030-01-01T00:00:00.000Z",
        "retriesLeft": 5,
        "state": "pending",
        "runs": [],
    }
    tags = {str(number): "x" * 4000 for number in range(25)}
    payload = {"status": status, "runId": 0, "task": {"tags": tags}, "version": 1}
    started = local._server

    async def procedure() -> None:
        for _ in range(number):
            started._state.deployment.events.publish("queue", "taskPending", payload)
            await asyncio.sleep(0)

    started.submit(procedure()).result()


@pytest.mark.usefixtures("small_backlog")
def test_slow_reader_is_disconnected_with_error() -> None:
    with LocalTaskcluster() as local, contextlib.closing(paused(local)) as connection:
        publish_many(local, 200)
        # Calls are not blocked, and a fast reader is not affected.
        with requests.get(signed_url(local, target()), stream=True, timeout=60) as response:
            events = requests_events(response)
            assert next(events)[0] == "ready"
            task_id = create(local)
            assert next(events)[2]["payload"]["status"]["taskId"] == task_id
        received = everything(connection)
        assert b'event: error\ndata: {"code":"TooSlow"' in received
        assert received.endswith(b"0\r\n\r\n")
        assert len(received) < 100_000 * 150


def test_stalled_reader_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_STALLED_SECONDS", 0.1)
    with LocalTaskcluster() as local, contextlib.closing(paused(local)) as connection:
        publish_many(local, 200)
        feed = local._server._feed
        while feed._readers:
            time.sleep(0.01)
        with contextlib.suppress(ConnectionResetError):
            assert not everything(connection).endswith(b"0\r\n\r\n")


def test_stalled_reader_does_not_delay_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LAST_CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(server, "_SHUTDOWN_SECONDS", 3600.0)
    with LocalTaskcluster() as local:
        connection = paused(local)
        publish_many(local, 200)
    connection.close()
