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
        result: dict[str, Any] = getattr(client, method)(*args, **kwargs)
    return result


def async_call(service: str, method: str, options: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        result: dict[str, Any] = await getattr(getattr(taskcluster.aio, service)(options), method)(*args, **kwargs)
        return result

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
def test_call_without_payload(receiver: str, call: Call, credentials: dict[str, str]) -> None:
    options = {"rootUrl": receiver, "credentials": credentials}
    result = call("Queue", "status", options, "fN1SbArXTPSVFNUvaOlinQ")
    assert (result["id"], result["ext"]) == (credentials["clientId"], {})


@pytest.mark.parametrize(("method", "verb"), [("cancelTask", "POST"), ("quarantineWorker", "PUT"), ("ping", "GET")])
def test_call_with_each_verb(receiver: str, call: Call, method: str, verb: str) -> None:
    arguments: dict[str, list[Any]] = {"cancelTask": ["a"], "quarantineWorker": ["a", "b", "c", "d", {}], "ping": []}
    result = call("Queue", method, {"rootUrl": receiver, "credentials": TESTER}, *arguments[method])
    assert (result["received"]["method"], result["id"]) == (verb, "tester")


def test_call_with_payload(receiver: str, call: Call) -> None:
    result = call("Queue", "createTask", {"rootUrl": receiver, "credentials": TESTER}, "task", PAYLOAD)
    assert result["received"]["headers"]["content-type"] == "application/json"
    assert result["id"] == "tester"


def test_delete_without_payload(receiver: str, call: Call) -> None:
    result = call("Secrets", "remove", {"rootUrl": receiver, "credentials": TESTER}, "name")
    assert result["received"]["method"] == "DELETE"


@pytest.mark.parametrize("name", HARD, ids=ascii)
def test_call_with_special_characters_in_path(receiver: str, call: Call, name: str) -> None:
    assert call("Secrets", "get", {"rootUrl": receiver, "credentials": TESTER}, name)["id"] == "tester"


@pytest.mark.parametrize("token", HARD, ids=ascii)
def test_call_with_special_characters_in_query(receiver: str, call: Call, token: str) -> None:
    query = {"continuationToken": token, "limit": 1}
    options = {"rootUrl": receiver, "credentials": TESTER}
    assert call("Queue", "listTaskGroup", options, token, query=query)["id"] == "tester"


@pytest.mark.parametrize("name", [None, "garbage/named"], ids=["unnamed", "named"])
def test_temporary_credentials(receiver: str, call: Call, name: str | None) -> None:
    options = {"rootUrl": receiver, "credentials": temporary(name), "authorizedScopes": ["secrets:get:a"]}
    result = call("Secrets", "set", options, "a", {"secret": {}, "expires": "2030"})
    assert result["id"] == (name or "tester")
    assert result["ext"]["authorizedScopes"] == ["secrets:get:a"]
    assert result["ext"]["certificate"]["scopes"] == ["secrets:get:*", "queue:create-task:a b"]


def test_authorized_scopes(receiver: str, call: Call) -> None:
    options = {"rootUrl": receiver, "credentials": TESTER, "authorizedScopes": ["a b", "green~*", '"\\']}
    assert call("Secrets", "get", options, "a")["ext"] == {"authorizedScopes": ["a b", "green~*", '"\\']}


def test_wrong_key_raises_auth_failure(receiver: str, call: Call) -> None:
    credentials = {"clientId": "tester", "accessToken": "wrong"}
    with pytest.raises(taskcluster.TaskclusterAuthFailure, match="Bad mac"):
        call("Queue", "ping", {"rootUrl": receiver, "credentials": credentials})


def test_changed_certificate_is_rejected(receiver: str, call: Call) -> None:
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


def test_unchanged_call_is_accepted(signed: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    status, result = signed()
    assert (status, result["id"]) == (200, "tester")


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
def test_changed_call_is_rejected(
    signed: Callable[..., tuple[int, dict[str, Any]]], change: dict[str, Any], reason: str
) -> None:
    status, result = signed(**change)
    assert (status, result["message"]) == (401, reason)


def test_stale_timestamp_is_rejected(receiver: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: datetime.datetime.now().timestamp() - 3600)
    with pytest.raises(taskcluster.TaskclusterAuthFailure, match="Stale timestamp"):
        call("Queue", "ping", {"rootUrl": receiver, "credentials": TESTER})


@pytest.fixture(params=[taskcluster.Secrets, taskcluster.aio.Secrets], ids=["sync", "async"])
def secrets(request: pytest.FixtureRequest) -> Any:
    """The client class that signs URLs."""
    return request.param


@pytest.mark.parametrize("name", HARD, ids=ascii)
def test_signed_url(receiver: str, secrets: Any, name: str) -> None:
    url = secrets({"rootUrl": receiver, "credentials": TESTER}).buildSignedUrl("get", name)
    status, result = fetch(receiver, target_of(url))
    assert (status, result["id"], result["ext"]) == (200, "tester", {})


@pytest.mark.parametrize("name", [None, "garbage/named"], ids=["unnamed", "named"])
def test_signed_url_of_temporary_credentials(receiver: str, secrets: Any, name: str | None) -> None:
    options = {"rootUrl": receiver, "credentials": temporary(name), "authorizedScopes": ["secrets:get:a"]}
    url = secrets(options).buildSignedUrl("list", query={"limit": 5, "continuationToken": "a b+/="})
    status, result = fetch(receiver, target_of(url))
    assert (status, result["id"]) == (200, name or "tester")
    assert result["ext"]["authorizedScopes"] == ["secrets:get:a"]


def test_changed_signed_url_is_rejected(receiver: str, secrets: Any) -> None:
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
        status, result = fetch(receiver, target_)
        assert (status, result["message"]) == (401, "Bad mac"), target_
    status, result = fetch(receiver, target, headers={"host": "127.0.0.1:1"})
    assert (status, result["message"]) == (401, "Bad mac")
    status, result = fetch(receiver, target, "POST")
    assert (status, result["message"]) == (401, "Invalid method")


def test_expired_signed_url_is_rejected(receiver: str, secrets: Any) -> None:
    client = secrets({"rootUrl": receiver, "credentials": TESTER})
    status, result = fetch(receiver, target_of(client.buildSignedUrl("get", "a", expiration=-1)))
    assert (status, result["message"]) == (401, "Access expired")
    client.options["signedUrlExpiration"] = 60
    status, _ = fetch(receiver, target_of(client.buildSignedUrl("get", "a")))
    assert status == 200


def test_signed_url_with_wrong_key_is_rejected(receiver: str, secrets: Any) -> None:
    credentials = {"clientId": "tester", "accessToken": "wrong"}
    url = secrets({"rootUrl": receiver, "credentials": credentials}).buildSignedUrl("get", "a")
    assert fetch(receiver, target_of(url))[1]["message"] == "Bad mac"


def test_lock_file_has_no_registry_urls() -> None:
    lock = (Path(__file__).parent / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
