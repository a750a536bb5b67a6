"""Tests of a deployment on real sockets, in its thread."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

import taskcluster
import taskcluster.aio
from taskcluster.exceptions import TaskclusterRestFailure
from taskcluster.hawk import EMPTY_PAYLOAD_HASH, Signer, payload_hash
from taskcluster.utils import fromNowJSON, slugId
from taskcluster_local import LocalTaskcluster, endpoints
from taskcluster_local.api import LARGEST_BODY, Interface
from taskcluster_local.deployment import Configuration
from taskcluster_local.errors import ApiError
from taskcluster_local.server import host_name, is_loopback

WORKER = {"workerGroup": "g", "workerId": "i"}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


def definition(**fields: Any) -> dict[str, Any]:
    return {
        "taskQueueId": "p/w",
        "created": fromNowJSON("0 seconds"),
        "deadline": fromNowJSON("1 hour"),
        "payload": {},
        "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        **fields,
    }


def exchange(
    local: LocalTaskcluster, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request over its own connection, byte for byte."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(local.root_url).netloc, timeout=30)) as connection:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response, response.read()


def signed(local: LocalTaskcluster, method: str, target: str, content_hash: str = EMPTY_PAYLOAD_HASH) -> dict[str, str]:
    signer = Signer(local.credentials["clientId"], local.credentials["accessToken"].encode(), "")
    address = urlsplit(local.root_url)
    header = signer.header(method, target, str(address.hostname), str(address.port), content_hash, time.time(), "n")
    return {"Authorization": header}


# With our clients


def test_runs_task(local: LocalTaskcluster) -> None:
    with taskcluster.Queue(local.options()) as queue:
        task_id = slugId()
        assert queue.createTask(task_id, definition())["status"]["state"] == "pending"
        [claim] = queue.claimWork("p/w", {**WORKER, "tasks": 1})["tasks"]
        with taskcluster.Queue({"rootUrl": local.root_url, "credentials": claim["credentials"]}) as worker:
            with pytest.raises(TaskclusterRestFailure) as caught:
                worker.cancelTask(task_id)
            assert caught.value.status_code == 403
            worker.reclaimTask(task_id, 0)
            assert worker.reportCompleted(task_id, 0)["status"]["state"] == "completed"


def test_passes_names_unchanged(local: LocalTaskcluster) -> None:
    with taskcluster.Secrets(local.options()) as secrets:
        names = ["a/b", "a%2Fb", "ä ö", "a+b", "a//b", "a?b#c", "~!*'()"]
        for name in names:
            secrets.set(name, {"secret": {"name": name}, "expires": fromNowJSON("1 hour")})
        for name in names:
            assert secrets.get(name)["secret"] == {"name": name}
        assert set(names) <= set(secrets.list()["secrets"])


def test_accepts_signed_urls(local: LocalTaskcluster) -> None:
    with taskcluster.Secrets(local.options()) as secrets:
        secrets.set("s/u", {"secret": {}, "expires": fromNowJSON("1 hour")})
        address = urlsplit(secrets.buildSignedUrl("get", "s/u"))
        target = f"{address.path}?{address.query}"
        assert exchange(local, "GET", target)[0].status == 200
        assert exchange(local, "HEAD", target)[0].status == 200
        assert exchange(local, "GET", target.replace("s%2Fu", "s%2Fv"))[0].status == 401


def test_wakes_waiting_worker(local: LocalTaskcluster) -> None:
    async def scenario() -> None:
        async with taskcluster.aio.Queue(local.options()) as queue:
            waiting = asyncio.create_task(queue.claimWork("p/waiting", WORKER))
            # This one is served after the other request was received.
            await queue.ping()
            task_id = slugId()
            await queue.createTask(task_id, definition(taskQueueId="p/waiting"))
            [claim] = (await asyncio.wait_for(waiting, 60))["tasks"]
            assert claim["status"]["taskId"] == task_id

    asyncio.run(scenario())


METHOD = {"title": "t", "description": "d", "method": "get", "args": [], "stability": "stable", "category": "c"}
METHODS_WITHOUT_HANDLERS = {
    "/api/secrets/v1/count": "secrets.count has no handler; add one in "
    "packages/local/src/taskcluster_local/services/secrets/routes.py.",
    "/api/new-service/v1/list": "new-service.list has no handler; add one in "
    "packages/local/src/taskcluster_local/services/table.py.",
}


def test_refuses_methods_without_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The references have a new method and a new service."""
    found = endpoints.references()
    count = {**METHOD, "name": "count", "route": "/count", "scopes": "secrets:count"}
    extended = {
        **found,
        "secrets": {**found["secrets"], "methods": [*found["secrets"]["methods"], count]},
        "new-service": {
            **found["secrets"],
            "serviceName": "new-service",
            "methods": [{**METHOD, "name": "ping", "route": "/ping"}, {**METHOD, "name": "list", "route": "/list"}],
            "types": {},
        },
    }
    monkeypatch.setattr(Configuration, "interface", lambda _: Interface(extended))
    with LocalTaskcluster() as local:
        for target, message in METHODS_WITHOUT_HANDLERS.items():
            response, body = exchange(local, "GET", target, headers=signed(local, "GET", target))
            assert (response.status, json.loads(body)["code"]) == (400, "NotInLocalDeployment")
            assert message in json.loads(body)["message"]
        assert exchange(local, "GET", "/api/secrets/v1/count")[0].status == 403
        assert exchange(local, "GET", "/api/new-service/v1/ping")[0].status == 200
        with taskcluster.Secrets(local.options()) as secrets:
            assert secrets.list() == {"secrets": []}


# HTTP


def test_head_has_no_body(local: LocalTaskcluster) -> None:
    response, body = exchange(local, "HEAD", "/api/queue/v1/ping")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["content-length"]) > 0


def test_keeps_target_as_sent(local: LocalTaskcluster) -> None:
    for name in ("raw%2Fb", "raw%2fb", "raw/b", "raw/../b", "raw//b"):
        target = f"/api/secrets/v1/secret/{name}"
        assert exchange(local, "GET", target, headers=signed(local, "GET", target))[0].status == 404


def test_decompresses_body(local: LocalTaskcluster) -> None:
    target, body = "/api/auth/v1/test-authenticate", gzip.compress(b'{"requiredScopes": ["a"]}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert exchange(local, "POST", target, body, headers)[0].status == 403


def test_supports_expect_continue(local: LocalTaskcluster) -> None:
    address = urlsplit(local.root_url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(
            b"POST /api/auth/v1/test-authenticate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(("extra", "status"), [(0, 400), (1, 500)])
def test_limits_body_size(local: LocalTaskcluster, extra: int, status: int) -> None:
    start = b'{"clientScopes": "'
    body = start + b"x" * (LARGEST_BODY - len(start) - 2 + extra) + b'"}'
    headers = {"Content-Type": "application/json"}
    response, _ = exchange(local, "POST", "/api/auth/v1/test-authenticate", body, headers)
    assert response.status == status


def test_ignores_body_of_other_types(local: LocalTaskcluster) -> None:
    response, body = exchange(local, "POST", "/api/auth/v1/test-authenticate", b"x" * (LARGEST_BODY + 1))
    assert (response.status, json.loads(body)["code"]) == (400, "MalformedPayload")


def test_rejects_long_header_as_credentials(local: LocalTaskcluster) -> None:
    headers = {"Authorization": f'Hawk id="{"x" * 9000}"'}
    response, body = exchange(local, "GET", "/api/secrets/v1/secrets", headers=headers)
    assert (response.status, json.loads(body)["code"]) == (401, "AuthenticationFailed")


def test_rejects_path_that_is_not_utf_8(local: LocalTaskcluster) -> None:
    with socket.create_connection((urlsplit(local.root_url).hostname, urlsplit(local.root_url).port)) as connection:
        connection.sendall(b"GET /api/secrets/v1/secret/\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        connection.settimeout(10)
        assert int(connection.recv(100).split()[1]) in range(400, 500)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET /events?bindings=" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "at most 16384 bytes"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 17_000 + b"\r\n\r\n", "at most 16384 bytes"),
        (b"nonsense\r\n\r\n", "malformed"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "malformed"),
        (b"PUT /api/queue/v1/task/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
         b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", "malformed"),
    ],
    ids=["URL", "header", "request line", "no colon", "chunk"],
)  # fmt: skip
def test_requests_that_are_not_http_get_json(
    local: LocalTaskcluster, caplog: pytest.LogCaptureFixture, sent: bytes, reason: str
) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(local.root_url).port or 0)) as connection:
        connection.sendall(sent)
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = json.loads(response.read())
    assert response.status == 400
    assert response.headers["Content-Type"].startswith("application/json")
    assert body["code"] == "InputError"
    assert reason in body["message"]
    assert caplog.text == ""


def test_disconnected_worker_gets_no_task(local: LocalTaskcluster) -> None:
    body = json.dumps(WORKER).encode()
    target = "/api/queue/v1/claim-work/p/gone"
    headers = signed(local, "POST", target, payload_hash(body, "application/json"))
    with taskcluster.Queue(local.options()) as queue:
        connection = http.client.HTTPConnection(urlsplit(local.root_url).netloc)
        connection.request("POST", target, body, {**headers, "Content-Type": "application/json"})
        queue.ping()
        connection.close()
        # The ping on a new connection is served after the end of the other connection was noticed.
        exchange(local, "GET", "/api/queue/v1/ping")
        task_id = slugId()
        queue.createTask(task_id, definition(taskQueueId="p/gone"))
        assert queue.status(task_id)["status"]["state"] == "pending"


# Starting and stopping


def test_options_have_url_and_credentials(local: LocalTaskcluster) -> None:
    assert local.root_url.startswith("http://127.0.0.1:")
    assert local.options() == {"rootUrl": local.root_url, "credentials": local.credentials}
    assert set(local.credentials) == {"clientId", "accessToken"}


def test_token_is_random_by_default() -> None:
    tokens = {LocalTaskcluster().credentials["accessToken"] for _ in range(3)}
    assert len(tokens) == 3
    assert LocalTaskcluster(accessToken="given").credentials["accessToken"] == "given"


def test_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with LocalTaskcluster() as running:
        address = urlsplit(running.root_url)
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before
    with pytest.raises(OSError):
        socket.create_connection((address.hostname, address.port), timeout=1)
    with pytest.raises(RuntimeError, match="not running"):
        _ = running.root_url


def test_restarts_empty() -> None:
    local = LocalTaskcluster()
    for _ in range(2):
        with local, taskcluster.Secrets(local.options()) as secrets:
            assert secrets.list() == {"secrets": []}
            secrets.set("x", {"secret": {}, "expires": fromNowJSON("1 hour")})


def test_cannot_be_entered_twice(local: LocalTaskcluster) -> None:
    with pytest.raises(RuntimeError, match="already running"), local:
        pass


def test_several_run_at_once() -> None:
    with LocalTaskcluster() as first, LocalTaskcluster() as second:
        assert first.root_url != second.root_url
        secrets = taskcluster.Secrets({**first.options(), "credentials": second.credentials})
        with secrets, pytest.raises(taskcluster.exceptions.TaskclusterAuthFailure):
            secrets.list()


def test_works_in_async_code() -> None:
    async def scenario() -> None:
        async with LocalTaskcluster() as local, taskcluster.aio.Queue(local.options()) as queue:
            assert (await queue.ping())["alive"] is True

    before = set(threading.enumerate())
    asyncio.run(scenario())
    assert set(threading.enumerate()) == before


def test_stopping_ends_waiting_claims() -> None:
    async def scenario() -> None:
        async with taskcluster.aio.Queue({"rootUrl": "http://unused.invalid"}) as queue:
            async with LocalTaskcluster() as local:
                queue.options.update(local.options())
                waiting = asyncio.create_task(queue.claimWork("p/w", WORKER))
                async with aiohttp.ClientSession() as session, session.get(f"{local.root_url}/api/queue/v1/ping"):
                    pass
            assert await asyncio.wait_for(waiting, 60) == {"tasks": []}

    start = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - start < 19


def test_reports_port_in_use_on_entering(local: LocalTaskcluster) -> None:
    with pytest.raises(OSError), LocalTaskcluster(port=int(urlsplit(local.root_url).port or 0)):
        pass


def test_rejects_invalid_configuration_early() -> None:
    with pytest.raises(ApiError, match="InputError"):
        LocalTaskcluster(roles={"a": ["assume:a"]})
    with pytest.raises(ApiError, match="InputError"):
        LocalTaskcluster(clients=[{"clientId": "a b", "accessToken": "t", "scopes": []}])


def test_failed_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LookupError("no services here")

    before = set(threading.enumerate())
    monkeypatch.setattr("taskcluster_local.server.Deployment", fail)
    for _ in range(2):
        with pytest.raises(LookupError, match="no services here"), LocalTaskcluster():
            pass
    assert set(threading.enumerate()) == before


def test_configures_clients_and_roles(local: LocalTaskcluster) -> None:
    clients = [{"clientId": "c", "accessToken": "t" * 44, "scopes": ["assume:r"]}]
    with LocalTaskcluster(clients=clients, roles={"r": ["secrets:list-secrets"]}) as running:
        options = {"rootUrl": running.root_url, "credentials": {"clientId": "c", "accessToken": "t" * 44}}
        with taskcluster.Secrets(options) as secrets:
            assert secrets.list() == {"secrets": []}


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_is_loopback_address(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("localhost", "localhost"), ("::1", "[::1]")])
def test_listens_on_other_hosts(host: str, shown: str) -> None:
    try:
        with LocalTaskcluster(host=host) as running, taskcluster.Secrets(running.options()) as secrets:
            assert running.root_url.startswith(f"http://{shown}:")
            assert secrets.list() == {"secrets": []}
    except OSError as error:
        if ":" not in host:
            raise
        pytest.skip(f"no IPv6 here: {error}")


# DNS rebinding

PATHS = (
    "/api/auth/v1/ping",
    "/storage/public/0/a",
    "/api/local/v1/events",
    "/references",
    "/schemas/auth/v1/client.json",
    "/",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "8.8.8.8", "\xff"]
)
def test_rejects_foreign_host_header(local: LocalTaskcluster, path: str, host: str) -> None:
    given = host.format(port=urlsplit(local.root_url).port)
    response, body = exchange(local, "GET", path, headers={"Host": given})
    assert response.status == 421
    assert "--allow-host" in json.loads(body)["message"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "127.1.2.3", "[::1]", "[::1]:8080", "tc.test:9"]
)
def test_serves_local_and_allowed_hosts(host: str) -> None:
    with LocalTaskcluster(allow_hosts=["TC.test"]) as local:
        assert exchange(local, "GET", "/api/auth/v1/ping", headers={"Host": host})[0].status == 200


def test_serves_any_host_if_others_can_connect() -> None:
    with LocalTaskcluster(host="0.0.0.0") as local:
        assert exchange(local, "GET", "/api/auth/v1/ping", headers={"Host": "machine.example"})[0].status == 200


def test_checks_second_host_header(local: LocalTaskcluster) -> None:
    address = urlsplit(local.root_url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).split()[1] in (b"400", b"421")


def test_rejects_allowed_hosts_as_string() -> None:
    with pytest.raises(TypeError, match="must be a list of host names"):
        LocalTaskcluster(allow_hosts="tc.test")


@pytest.mark.parametrize(
    ("header", "name"),
    [("A.b", "a.b"), ("a:80", "a"), ("a:", "a"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("", "")],
)
def test_host_name_has_no_port(header: str, name: str) -> None:
    assert host_name(header) == name
