"""Test signatures against Hawk's reference implementation: valid ones are accepted, changed ones rejected."""

from __future__ import annotations

import asyncio
import datetime
import http.client
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import taskcluster
import taskcluster.aio

TESTER = {"clientId": "tester", "accessToken": "no-secret"}
PUNCTUATED = {"clientId": "a:b/c@d.e+f|g", "accessToken": "another-key_with-more"}
HARD = [
    "plain",
    "a b",
    "%",
    "%2F",
    "a+b",
    "~*()!'",
    "grün/日本/🚀",
    "a//b/../c",
    ":@&=$,;?#",
    '[]{}|\\^`<>"',
]
PAYLOAD = {"metadata": {"name": "grün", "list": [1, 2.5, None, True]}, "text": 'a\\b\n"c"'}

Call = Callable[..., dict[str, Any]]


def sync_call(service: str, method: str, options: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    with getattr(taskcluster, service)(options) as client:
        answer: dict[str, Any] = getattr(client, method)(*args, **kwargs)
    return answer


def async_call(service: str, method: str, options: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        answer: dict[str, Any] = await getattr(getattr(taskcluster.aio, service)(options), method)(*args, **kwargs)
        return answer

    return asyncio.run(main())


@pytest.fixture(params=[sync_call, async_call], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    """A function that calls a method, sync or async."""
    found: Call = request.param
    return found


def fetch(
    root_url: str, target: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, Any]]:
    """Send a request unchanged, with http.client."""
    connection = http.client.HTTPConnection(urlsplit(root_url).netloc, timeout=10)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def target_of(url: str) -> str:
    parts = urlsplit(url)
    return url[len(f"{parts.scheme}://{parts.netloc}") :]


def temporary(name: str | None, *, minutes: float = 10) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return taskcluster.createTemporaryCredentials(
        TESTER["clientId"],
        TESTER["accessToken"],
        now - datetime.timedelta(minutes=1),
        now + datetime.timedelta(minutes=minutes),
        ["secrets:get:*", "queue:create-task:a b"],
        name,
    )


@pytest.mark.parametrize("credentials", [TESTER, PUNCTUATED], ids=["plain", "punctuated"])
def test_calls_without_payload_are_accepted(receiver: str, call: Call, credentials: dict[str, str]) -> None:
    options = {"rootUrl": receiver, "credentials": credentials}
    answer = call("Queue", "status", options, "fN1SbArXTPSVFNUvaOlinQ")
    assert (answer["id"], answer["ext"]) == (credentials["clientId"], {})


@pytest.mark.parametrize(("method", "verb"), [("cancelTask", "POST"), ("quarantineWorker", "PUT"), ("ping", "GET")])
def test_calls_are_accepted_whatever_their_verb(receiver: str, call: Call, method: str, verb: str) -> None:
    arguments: dict[str, list[Any]] = {"cancelTask": ["a"], "quarantineWorker": ["a", "b", "c", "d", {}], "ping": []}
    answer = call("Queue", method, {"rootUrl": receiver, "credentials": TESTER}, *arguments[method])
    assert (answer["received"]["method"], answer["id"]) == (verb, "tester")


def test_calls_with_a_payload_are_accepted(receiver: str, call: Call) -> None:
    answer = call("Queue", "createTask", {"rootUrl": receiver, "credentials": TESTER}, "task", PAYLOAD)
    assert answer["received"]["headers"]["content-type"] == "application/json"
    assert answer["id"] == "tester"


def test_a_delete_without_payload_is_accepted(receiver: str, call: Call) -> None:
    answer = call("Secrets", "remove", {"rootUrl": receiver, "credentials": TESTER}, "name")
    assert answer["received"]["method"] == "DELETE"


@pytest.mark.parametrize("name", HARD, ids=ascii)
def test_calls_with_hard_paths_are_accepted(receiver: str, call: Call, name: str) -> None:
    assert call("Secrets", "get", {"rootUrl": receiver, "credentials": TESTER}, name)["id"] == "tester"


@pytest.mark.parametrize("token", HARD, ids=ascii)
def test_calls_with_hard_queries_are_accepted(receiver: str, call: Call, token: str) -> None:
    query = {"continuationToken": token, "limit": 1}
    options = {"rootUrl": receiver, "credentials": TESTER}
    assert call("Queue", "listTaskGroup", options, token, query=query)["id"] == "tester"


@pytest.mark.parametrize("name", [None, "garbage/named"], ids=["unnamed", "named"])
def test_temporary_credentials_are_accepted(receiver: str, call: Call, name: str | None) -> None:
    options = {"rootUrl": receiver, "credentials": temporary(name), "authorizedScopes": ["secrets:get:a"]}
    answer = call("Secrets", "set", options, "a", {"secret": {}, "expires": "2030"})
    assert answer["id"] == (name or "tester")
    assert answer["ext"]["authorizedScopes"] == ["secrets:get:a"]
    assert answer["ext"]["certificate"]["scopes"] == ["secrets:get:*", "queue:create-task:a b"]


def test_authorized_scopes_are_accepted(receiver: str, call: Call) -> None:
    options = {"rootUrl": receiver, "credentials": TESTER, "authorizedScopes": ["a b", "green~*", '"\\']}
    assert call("Secrets", "get", options, "a")["ext"] == {"authorizedScopes": ["a b", "green~*", '"\\']}


def test_a_wrong_key_is_an_auth_failure_with_the_receivers_reason(receiver: str, call: Call) -> None:
    credentials = {"clientId": "tester", "accessToken": "wrong"}
    with pytest.raises(taskcluster.TaskclusterAuthFailure, match="Bad mac"):
        call("Queue", "ping", {"rootUrl": receiver, "credentials": credentials})


def test_temporary_credentials_with_a_changed_certificate_are_rejected(receiver: str, call: Call) -> None:
    credentials = temporary("garbage/named")
    certificate = json.loads(credentials["certificate"])
    certificate["scopes"] = ["*"]
    changed = {**credentials, "certificate": json.dumps(certificate)}
    with pytest.raises(taskcluster.TaskclusterAuthFailure, match="signature is not valid"):
        call("Queue", "ping", {"rootUrl": receiver, "credentials": changed})


@pytest.fixture
def signed(receiver: str, call: Call) -> Callable[..., tuple[int, dict[str, Any]]]:
    """A function that repeats an accepted call, optionally with one change."""
    options = {"rootUrl": receiver, "credentials": TESTER, "authorizedScopes": ["a"]}
    body = taskcluster.dumpJson(PAYLOAD).encode()
    received = call("Queue", "createTask", options, "task", PAYLOAD)["received"]
    headers = {name: received["headers"][name] for name in ("authorization", "content-type", "host")}

    def again(
        *,
        method: str = "PUT",
        target: str = received["target"],
        body: bytes = body,
        host: str = headers["host"],
        attribute: tuple[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        authorization = headers["authorization"]
        if attribute is not None:
            name, value = attribute
            before, _, rest = authorization.partition(f'{name}="')
            authorization = f'{before}{name}="{value}"{rest.partition(chr(34))[2]}'
            assert authorization != headers["authorization"]
        return fetch(receiver, target, method, {**headers, "authorization": authorization, "host": host}, body)

    return again


def test_a_repeated_call_is_accepted(signed: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    status, answer = signed()
    assert (status, answer["id"]) == (200, "tester")


OTHER_EXT = urlsafe_b64encode(b'{"authorizedScopes":["*"]}').decode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "POST"}, "Bad mac"),
        ({"target": "/api/queue/v1/task/another"}, "Bad mac"),
        ({"target": "/api/queue/v1/task/task?a=b"}, "Bad mac"),
        ({"target": "/api/queue/v1/task/%74ask"}, "Bad mac"),
        ({"body": b'{"payload":1}'}, "Bad payload hash"),
        ({"body": b""}, "Bad payload hash"),
        ({"host": "127.0.0.1:1"}, "Bad mac"),
        ({"host": "tc.example.com"}, "Bad mac"),
        ({"attribute": ("ext", OTHER_EXT)}, "Bad mac"),
        ({"attribute": ("nonce", "abcdef")}, "Bad mac"),
        ({"attribute": ("ts", "1700000000")}, "Bad mac"),
        ({"attribute": ("id", "a:b/c@d.e+f|g")}, "Bad mac"),
        ({"attribute": ("hash", "AAAA")}, "Bad mac"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_call_changed_on_its_way_is_rejected(
    signed: Callable[..., tuple[int, dict[str, Any]]], change: dict[str, Any], reason: str
) -> None:
    status, answer = signed(**change)
    assert (status, answer["message"]) == (401, reason)


def test_a_call_that_is_an_hour_old_is_rejected(receiver: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: datetime.datetime.now().timestamp() - 3600)
    with pytest.raises(taskcluster.TaskclusterAuthFailure, match="Stale timestamp"):
        call("Queue", "ping", {"rootUrl": receiver, "credentials": TESTER})


@pytest.fixture(params=[taskcluster.Secrets, taskcluster.aio.Secrets], ids=["sync", "async"])
def secrets(request: pytest.FixtureRequest) -> Any:
    """The client class that signs URLs."""
    return request.param


@pytest.mark.parametrize("name", HARD, ids=ascii)
def test_signed_urls_are_accepted(receiver: str, secrets: Any, name: str) -> None:
    url = secrets({"rootUrl": receiver, "credentials": TESTER}).buildSignedUrl("get", name)
    status, answer = fetch(receiver, target_of(url))
    assert (status, answer["id"], answer["ext"]) == (200, "tester", {})


@pytest.mark.parametrize("name", [None, "garbage/named"], ids=["unnamed", "named"])
def test_signed_urls_of_temporary_credentials_are_accepted(receiver: str, secrets: Any, name: str | None) -> None:
    options = {"rootUrl": receiver, "credentials": temporary(name), "authorizedScopes": ["secrets:get:a"]}
    url = secrets(options).buildSignedUrl("list", query={"limit": 5, "continuationToken": "a b+/="})
    status, answer = fetch(receiver, target_of(url))
    assert (status, answer["id"]) == (200, name or "tester")
    assert answer["ext"]["authorizedScopes"] == ["secrets:get:a"]


def test_signed_urls_changed_on_their_way_are_rejected(receiver: str, secrets: Any) -> None:
    target = target_of(secrets({"rootUrl": receiver, "credentials": TESTER}).buildSignedUrl("get", "a"))
    route, _, bewit = target.partition("?bewit=")
    text = urlsafe_b64decode(bewit + "=" * (-len(bewit) % 4)).decode()
    client_id, expires, mac, ext = text.split("\\")
    parts = {
        "later": [client_id, str(int(expires) + 1), mac, ext],
        "another client": [PUNCTUATED["clientId"], expires, mac, ext],
        "another ext": [client_id, expires, mac, OTHER_EXT],
    }
    forged = {
        name: f"{route}?bewit={urlsafe_b64encode(chr(92).join(part).encode()).decode().rstrip('=')}"
        for name, part in parts.items()
    }
    for target_ in (target.replace("/secret/a", "/secret/b"), target.replace("?", "?x=y&"), *forged.values()):
        status, answer = fetch(receiver, target_)
        assert (status, answer["message"]) == (401, "Bad mac"), target_
    status, answer = fetch(receiver, target, headers={"host": "127.0.0.1:1"})
    assert (status, answer["message"]) == (401, "Bad mac")
    status, answer = fetch(receiver, target, "POST")
    assert (status, answer["message"]) == (401, "Invalid method")


def test_signed_urls_end_when_they_were_said_to(receiver: str, secrets: Any) -> None:
    client = secrets({"rootUrl": receiver, "credentials": TESTER})
    status, answer = fetch(receiver, target_of(client.buildSignedUrl("get", "a", expiration=-1)))
    assert (status, answer["message"]) == (401, "Access expired")
    client.options["signedUrlExpiration"] = 60
    status, _ = fetch(receiver, target_of(client.buildSignedUrl("get", "a")))
    assert status == 200


def test_signed_urls_of_a_wrong_key_are_rejected(receiver: str, secrets: Any) -> None:
    credentials = {"clientId": "tester", "accessToken": "wrong"}
    url = secrets({"rootUrl": receiver, "credentials": credentials}).buildSignedUrl("get", "a")
    assert fetch(receiver, target_of(url))[1]["message"] == "Bad mac"


def test_the_lock_file_names_no_registry() -> None:
    lock = (Path(__file__).parent / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
