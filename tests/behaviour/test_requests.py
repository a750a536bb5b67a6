"""Test sent requests: targets, bodies, headers and signatures."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Any
from urllib.parse import parse_qsl, unquote

import mohawk
import pytest
import requests

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.version import VERSION

from .drive import CREDENTIALS, Drive
from .server import Reaction, Received, Server, respond

TASK = "fN1SbArXTPSVFNUvaOlinQ"
HARD = [
    "a b",
    " ",
    "100%",
    "%2F",
    "%zz",
    "a+b",
    "~tilde~",
    "*",
    "(a)",
    "grün/日本/🚀",
    "e\u0301",
    "//",
    "/",
    "a//b",
    "a/../b",
    "../..",
    "./a",
    "...",
    "a:b",
    ":",
    "a?b=c#d",
    "a&b;c,d",
    "a=b",
    "'\"`",
    "\\",
    "[]{}|^<>",
    "@!$",
    "http://other.example.com/x",
    "line\nbreak\ttab",
    "\x00",
]


def assert_signed(server: Server, request: Received) -> None:
    """Fail unless the signature matches the received verb, target, host, port and body."""
    mohawk.Receiver(
        lambda client_id: {"id": client_id, "key": CREDENTIALS["accessToken"], "algorithm": "sha256"},
        request.headers["authorization"],
        server.root_url + request.target,
        request.method,
        content=request.body,
        content_type=request.headers.get("content-type", ""),
        seen_nonce=lambda sender_id, nonce, timestamp: False,
    )


@pytest.mark.parametrize("name", HARD, ids=ascii)
def test_path_parameter_is_sent_as_signed(drive: Drive, server: Server, name: str) -> None:
    drive.client("Secrets").get(name)
    before, _, segment = server.last.target.rpartition("/")
    assert before == "/api/secrets/v1/secret"
    assert unquote(segment, errors="strict") == name
    assert segment.isascii()
    assert server.last.headers["host"] == f"127.0.0.1:{server.port}"
    assert_signed(server, server.last)


@pytest.mark.parametrize("name", [".", "..", ""])
def test_path_parameter_of_another_route_raises(drive: Drive, server: Server, name: str) -> None:
    with pytest.raises(TaskclusterFailure, match="another route"):
        drive.client("Secrets").get(name)
    assert server.connections == 0


@pytest.mark.parametrize("token", HARD, ids=ascii)
def test_query_value_is_sent_as_signed(drive: Drive, server: Server, token: str) -> None:
    drive.client().listTaskGroup(TASK, query={"continuationToken": token, "limit": 10})
    path, _, query = server.last.target.partition("?")
    assert path == f"/api/queue/v1/task-group/{TASK}/list"
    assert parse_qsl(query, keep_blank_values=True, strict_parsing=True) == [
        ("continuationToken", token),
        ("limit", "10"),
    ]
    assert_signed(server, server.last)


def test_session_does_not_change_the_target(drive: Drive, server: Server) -> None:
    client = drive.bare("Secrets", session=drive.session())
    for name in HARD:
        client.get(name)
        assert unquote(server.last.target.rpartition("/")[2]) == name
        assert_signed(server, server.last)


@pytest.mark.parametrize("given", [False, True], ids=["own session", "given session"])
@pytest.mark.parametrize(
    ("service", "method", "args", "query", "sent"),
    [
        ("Auth", "listRoles", (), {}, "/api/auth/v1/roles"),
        ("Auth", "listRoles2", (), {"limit": 1}, "/api/auth/v1/roles2/?limit=1"),
        ("Index", "listNamespaces", ("",), {}, "/api/index/v1/namespaces"),
        ("Index", "listNamespaces", ("",), {"limit": 1}, "/api/index/v1/namespaces/?limit=1"),
        ("Secrets", "get", ("a/",), {}, "/api/secrets/v1/secret/a%2F"),
    ],
)
def test_sends_no_trailing_slash(
    drive: Drive,
    server: Server,
    given: bool,
    service: str,
    method: str,
    args: tuple[str, ...],
    query: dict[str, int],
    sent: str,
) -> None:
    client = drive.client(service, session=drive.session() if given else None)
    getattr(client, method)(*args, query=query)
    assert server.last.target == sent
    assert_signed(server, server.last)
    for built in (client.buildUrl(method, *args, query=query), client.buildSignedUrl(method, *args, query=query)):
        path = sent if query or args == ("a/",) else f"{sent}/"
        assert built.partition("bewit=")[0].rstrip("?&") == server.root_url + path


def test_build_url_is_the_requested_url(drive: Drive, server: Server) -> None:
    client = drive.client("Secrets")
    for name in HARD:
        client.get(name)
        assert client.buildUrl("get", name) == server.root_url + server.last.target


def test_payload_is_compact_json_and_signed(drive: Drive, server: Server) -> None:
    created = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    drive.client().createTask(TASK, {"created": created, "extra": {"name": "grün", "blob": b"text"}, "list": [1, 2.5]})
    request = server.last
    assert (request.method, request.target) == ("PUT", f"/api/queue/v1/task/{TASK}")
    assert request.body == (
        b'{"created":"2030-01-02T03:04:05Z","extra":{"name":"gr\\u00fcn","blob":"text"},"list":[1,2.5]}'
    )
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(request.body))
    assert_signed(server, request)


def test_large_payload_is_sent_completely(drive: Drive, server: Server) -> None:
    payload = {"payload": "x" * 5_000_000}
    drive.client().createTask(TASK, payload)
    assert json.loads(server.last.body) == payload
    assert_signed(server, server.last)


def test_empty_payload_is_sent(drive: Drive, server: Server) -> None:
    drive.client().createTask(TASK, {})
    assert server.last.body == b"{}"
    assert_signed(server, server.last)


def test_no_body_without_payload(drive: Drive, server: Server) -> None:
    client = drive.client()
    client.task(TASK)
    assert not {"content-type", "content-length"} & server.last.headers.keys()
    assert_signed(server, server.last)
    client.cancelTask(TASK)
    assert (server.last.method, server.last.headers["content-length"]) == ("POST", "0")
    assert_signed(server, server.last)


@pytest.mark.parametrize(
    "failing", [respond(500), respond(429), Reaction(then="close")], ids=["500", "429", "no response"]
)
@pytest.mark.parametrize("method", ["createTask", "cancelTask", "task"])
def test_each_attempt_has_a_new_signature(drive: Drive, server: Server, failing: Reaction, method: str) -> None:
    server.script(failing, failing, failing)
    getattr(drive.client(), method)(TASK, *([{"a": 1}] if method == "createTask" else []))
    assert len(server.received) == 4
    assert len({request.authorization["nonce"] for request in server.received}) == 4
    assert len({request.authorization["mac"] for request in server.received}) == 4
    assert len({(request.method, request.target, request.body) for request in server.received}) == 1
    for request in server.received:
        assert_signed(server, request)


def test_retry_is_signed_with_the_current_time(drive: Drive, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(2_000_000_000, 2_000_010_000, 100))
    monkeypatch.setattr("time.time", lambda: next(clock))
    server.script(respond(500))
    drive.client().task(TASK)
    first, second = (int(request.authorization["ts"]) for request in server.received)
    assert second >= first + 100


def test_no_signature_without_credentials(drive: Drive, server: Server) -> None:
    drive.client(credentials=None).task(TASK)
    assert "authorization" not in server.last.headers


def test_changed_options_apply_to_the_next_call(drive: Drive, server: Server) -> None:
    client = drive.client()
    client.task(TASK)
    client.native.options["credentials"] = {"clientId": "other", "accessToken": "other-secret"}
    client.task(TASK)
    client.native.options["credentials"] = {}
    client.task(TASK)
    assert [request.headers.get("authorization", "")[:15] for request in server.received] == [
        'Hawk id="tester',
        'Hawk id="other"',
        "",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, f"taskcluster-client-py/{VERSION}"),
        ({"userAgentSuffix": "shipit/3"}, f"taskcluster-client-py/{VERSION} shipit/3"),
    ],
    ids=["plain", "with a suffix"],
)
@pytest.mark.parametrize("given", [False, True], ids=["own session", "given session"])
def test_user_agent(drive: Drive, server: Server, options: dict[str, str], expected: str, given: bool) -> None:
    drive.client(session=drive.session() if given else None, **options).task(TASK)
    assert server.last.headers["user-agent"] == expected


def test_user_agent_of_a_session_is_kept(drive: Drive, server: Server) -> None:
    session = drive.session({"User-Agent": "mine/1"})
    drive.client(session=session, userAgentSuffix="suffix").task(TASK)
    assert server.last.headers["user-agent"] == "mine/1"


def test_logs_contain_no_secrets(drive: Drive, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.script(respond(500, {"message": "no"}), Reaction(then="reset"))
    with caplog.at_level(logging.DEBUG, logger="taskcluster"):
        drive.client("Secrets").set("name", {"secret": {"key": "hidden-value"}, "expires": "2030"})
    assert caplog.records
    authorizations = [value for request in server.received for value in request.authorization.values() if value]
    for secret in (CREDENTIALS["accessToken"], "hidden-value", "Hawk", *authorizations):
        if secret != CREDENTIALS["clientId"]:
            assert secret not in caplog.text


def test_signed_url_needs_no_client(drive: Drive, server: Server) -> None:
    for name in HARD:
        url = drive.client("Secrets").buildSignedUrl("get", name)
        # requests and browsers may normalise a URL; the signature must stay valid.
        requests.get(url, timeout=5)
        assert server.root_url + server.last.target == url


def test_arguments_are_not_changed(drive: Drive, server: Server) -> None:
    options: dict[str, Any] = {"rootUrl": server.root_url, "credentials": dict(CREDENTIALS)}
    payload = {"list": [datetime.datetime(2030, 1, 1)], "nested": {"bytes": b"b"}}
    query = {"limit": 1}
    client = drive.client(**options)
    client.createTask(TASK, payload)
    client.listTaskGroup(TASK, query=query)
    assert options == {"rootUrl": server.root_url, "credentials": CREDENTIALS}
    assert payload == {"list": [datetime.datetime(2030, 1, 1)], "nested": {"bytes": b"b"}}
    assert query == {"limit": 1}


@pytest.mark.parametrize("user_info", ["user:marker@", "marker@", ":marker@", "@"])
def test_root_url_with_user_info_raises(drive: Drive, server: Server, user_info: str) -> None:
    client = drive.client(rootUrl=f"http://{user_info}127.0.0.1:{server.port}", maxRetries=0)
    for call in (client.ping, lambda: client.native.buildUrl("ping"), lambda: client.native.buildSignedUrl("ping")):
        with pytest.raises(TaskclusterFailure, match="rootUrl must not contain a user name or password") as caught:
            call()
        assert type(caught.value) is TaskclusterFailure
        assert "marker" not in repr(caught.value)
    assert server.connections == 0


@pytest.mark.parametrize("name", ["\ud800", "a/\udfff"])
def test_lone_surrogate_raises(drive: Drive, server: Server, name: str) -> None:
    client = drive.client(maxRetries=0)
    for call in (
        lambda: client.task(name),
        lambda: client.listTaskGroup("fN1SbArXTPSVFNUvaOlinQ", continuationToken=name),
        lambda: client.listTaskGroup("fN1SbArXTPSVFNUvaOlinQ", query={"limit": name}),
        lambda: client.native.buildUrl("task", name),
    ):
        with pytest.raises(TaskclusterFailure, match="not valid Unicode"):
            call()
    assert server.connections == 0
