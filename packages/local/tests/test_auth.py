"""Tests of the auth service's test methods, and of configured clients and roles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taskcluster.credentials import createTemporaryCredentials
from taskcluster_local.deployment import ROOT_CLIENT
from taskcluster_local.errors import ApiError
from taskcluster_local.services.auth.state import NEVER, client_of, merged

TEST = "/api/auth/v1/test-authenticate"
TEST_GET = "/api/auth/v1/test-authenticate-get/"


def test_current_scopes_are_expanded(new_site: Callable[..., Any]) -> None:
    clients = [{"clientId": "c", "accessToken": "c" * 44, "scopes": ["assume:team:web", "auth:current-scopes"]}]
    with new_site(clients, {"team:*": ["deploy:<..>"], "anonymous": ["public"]}) as site:
        assert site.ok("GET", "/api/auth/v1/scopes/current", by="c") == {
            "scopes": ["assume:anonymous", "assume:team:web", "auth:current-scopes", "deploy:web", "public"]
        }


def test_expand_scopes(new_site: Callable[..., Any]) -> None:
    with new_site(roles={"r": ["b", "x*", "xy"]}) as site:
        payload = {"scopes": ["assume:r", "z"]}
        assert site.ok("POST", "/api/auth/v1/scopes/expand", payload) == {"scopes": ["assume:r", "b", "x*", "z"]}
        again = {"scopes": ["z", "z"]}
        assert site.call("POST", "/api/auth/v1/scopes/expand", again).code == "InputValidationError"


# The test methods


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["a:x"], ["a:x", "assume:anonymous"]),
        (["z", "a"], ["assume:anonymous", "z", "a"]),
        (["*"], ["*"]),
        ([], ["assume:anonymous"]),
        (["assume:*"], ["assume:*"]),
    ],
)
def test_test_methods_add_anonymous(site: Any, scopes: list[str], expected: list[str]) -> None:
    assert merged(scopes) == expected
    body = site.ok("POST", TEST, {"clientScopes": scopes, "requiredScopes": []}, by="tester")
    assert body == {"clientId": "tester", "scopes": expected}


def test_test_authenticate_checks_required_scopes(site: Any) -> None:
    assert site.call("POST", TEST, {"clientScopes": ["a*"], "requiredScopes": ["ab"]}, by="tester").status == 200
    response = site.call("POST", TEST, {"clientScopes": ["a*"], "requiredScopes": ["b"]}, by="tester")
    assert (response.status, response.code) == (403, "InsufficientScopes")
    assert '"AllOf": [\n    "b"\n  ]' in response.message


def test_test_authenticate_get(site: Any) -> None:
    scopes = ["assume:anonymous", "test:*", "auth:create-client:test:*"]
    assert site.ok("GET", TEST_GET, by="tester") == {"clientId": "tester", "scopes": scopes}
    assert site.ok("GET", TEST_GET.rstrip("/"), by="tester")["clientId"] == "tester"
    assert site.call("GET", TEST_GET, by=None).status == 403


def test_test_authenticate_without_credentials(site: Any) -> None:
    assert site.ok("POST", TEST, {}, by=None) == {"clientId": "auth-failed:no-auth", "scopes": ["assume:anonymous"]}
    assert site.call("POST", TEST, {"requiredScopes": ["x"]}, by=None).status == 403


def test_test_methods_know_fixed_client_only(site: Any) -> None:
    assert site.call("POST", TEST, {}, by={"clientId": "tester", "accessToken": "wrong"}).status == 401
    assert site.call("POST", TEST, {}, by=ROOT_CLIENT).status == 401
    assert site.call("GET", "/api/secrets/v1/secrets", by="tester").status == 401


def temporary(site: Any, name: str | None, scopes: list[str]) -> dict[str, str]:
    now = site.clock.now
    made = createTemporaryCredentials("tester", "no-secret", now, now + timedelta(hours=1), scopes, name=name)
    return {**made, "accessToken": made["accessToken"].decode()}


def test_test_authenticate_with_temporary_credentials(site: Any) -> None:
    got = site.ok("GET", TEST_GET, by=temporary(site, "test:me", ["test:authenticate-get"]))
    assert got == {"clientId": "test:me", "scopes": ["assume:anonymous", "test:authenticate-get"]}
    assert site.call("GET", TEST_GET, by=temporary(site, "other", ["test:a"])).status == 401
    named = temporary(site, "other", ["test:a"])
    payload = {"clientScopes": ["auth:create-client:other", "test:*"], "requiredScopes": ["test:a"]}
    assert site.ok("POST", TEST, payload, by=named)["clientId"] == "other"
    assert (
        site.ok("POST", TEST, {"clientScopes": ["test:*"]}, by=temporary(site, None, ["test:a"]))["clientId"]
        == "tester"
    )


def test_test_authenticate_with_authorized_scopes(site: Any) -> None:
    payload = {"clientScopes": ["test:*"], "requiredScopes": ["test:b"]}
    assert site.call("POST", TEST, payload, by="tester", ext={"authorizedScopes": ["test:a"]}).status == 403
    assert site.ok("POST", TEST, payload, by="tester", ext={"authorizedScopes": ["test:b"]})["scopes"][-1] == "test:b"


# authenticateHawk


def hawk(site: Any, **fields: Any) -> Any:
    payload = {"method": "get", "resource": "/api/x?a=1", "host": "TC.example.com", "port": 8080, **fields}
    return site.ok("POST", "/api/auth/v1/authenticate-hawk", payload, by=None)


def test_authenticate_hawk_knows_clients(site: Any) -> None:
    request = site.request("GET", "/api/x?a=1", by="reader")
    body = hawk(site, authorization=request.headers["authorization"])
    assert body["status"] == "auth-success"
    assert (body["scheme"], body["clientId"], body["expires"]) == ("hawk", "reader", "3000-01-01T00:00:00.000Z")
    assert {"assume:anonymous", "secrets:get:a/*"} <= set(body["scopes"])
    assert len(body["hash"]) == 44


def test_authenticate_hawk_returns_reason_of_failure(site: Any) -> None:
    assert hawk(site, authorization="Basic x") == {"status": "auth-failed", "message": "Unauthorized: Unauthorized"}


def test_authenticate_hawk_without_credentials(site: Any) -> None:
    body = hawk(site)
    assert (body["status"], body["scheme"], body["expires"]) == ("no-auth", "none", site.clock.at(minutes=15))


# Configuration


def test_rejects_expired_client(new_site: Callable[..., Any]) -> None:
    given = {"clientId": "c", "accessToken": "c" * 44, "scopes": ["*"], "expires": "2030-03-01T12:30:00Z"}
    with new_site([given]) as site:
        assert site.call("GET", "/api/secrets/v1/secrets", by="c").status == 200
        site.clock.advance(hours=1)
        assert site.call("GET", "/api/secrets/v1/secrets", by="c").status == 401


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        (None, NEVER),
        ("2031-01-01T00:00:00Z", datetime(2031, 1, 1, tzinfo=timezone.utc)),
        (datetime(2031, 1, 1), datetime(2031, 1, 1, tzinfo=timezone.utc)),
        (datetime(2031, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2031, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_expiry_of_configured_clients(expires: Any, expected: datetime) -> None:
    assert client_of({"clientId": "c", "accessToken": "t", "scopes": [], "expires": expires}).expires == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clientId": "a b"}, "not a clientId"),
        ({"scopes": ["a**"]}, "must not end"),
        ({"scopes": ["\n"]}, "not a scope"),
        ({"secret": "x"}, "unknown"),
    ],
)
def test_rejects_invalid_configured_client(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=f"InputError: .*{message}"):
        client_of({"clientId": "c", "accessToken": "t", "scopes": [], **change})
    with pytest.raises(ApiError, match=r"InputError: .*missing"):
        client_of({"clientId": "c"})


def test_rejects_client_configured_twice(new_site: Callable[..., Any]) -> None:
    client = {"clientId": "c", "accessToken": "c", "scopes": []}
    with pytest.raises(ApiError, match=r"InputError: .*two clients"), new_site([client, client]):
        pass


def test_configures_anonymous_role(new_site: Callable[..., Any]) -> None:
    with new_site(roles={"anonymous": []}) as site:
        assert site.call("GET", "/api/index/v1/task/a.b", by=None).status == 403
