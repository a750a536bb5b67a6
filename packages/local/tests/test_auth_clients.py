"""Tests of creating, changing and using clients through the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskcluster.credentials import createTemporaryCredentials
from taskcluster_local.authentication import Client
from taskcluster_local.collation import collation_key
from taskcluster_local.deployment import ROOT_CLIENT, Configuration, Deployment
from taskcluster_local.errors import ApiError
from taskcluster_local.events import Binding
from taskcluster_local.services.auth.state import NEVER, Accounts
from taskcluster_local.store import Store

CLIENTS = "/api/auth/v1/clients/"


def given(site: Any, **fields: Any) -> dict[str, Any]:
    return {"expires": site.clock.at(days=1), "description": "d", "scopes": ["b:x", "a:*"], **fields}


def published(site: Any) -> list[Any]:
    seen: list[Any] = []
    names = [f"{kind}-{what}" for kind in ("client", "role") for what in ("created", "updated", "deleted")]
    bindings = [Binding(f"exchange/taskcluster-auth/v1/{name}", "#") for name in names]
    site.deployment.events.subscribe(bindings, lambda m: seen.append((m.exchange.rpartition("/")[2], m.payload)))
    return seen


def test_creates_updates_and_deletes_client(site: Any) -> None:
    seen = published(site)
    made = site.ok("PUT", CLIENTS + "me", given(site))
    assert len(made["accessToken"]) == 44
    assert (made["scopes"], made["expandedScopes"]) == (["a:*", "b:x"], ["a:*", "b:x"])
    assert {made[name] for name in ("created", "lastModified", "lastDateUsed", "lastRotated")} == {site.clock.at()}
    site.tokens["me"] = made.pop("accessToken")
    assert site.ok("GET", CLIENTS + "me") == made
    assert site.ok("GET", "/api/auth/v1/scopes/current", by="me")["scopes"].count("b:x") == 1
    assert site.call("DELETE", CLIENTS + "me").status == 204
    assert site.call("DELETE", CLIENTS + "me").status == 204
    assert site.call("GET", "/api/auth/v1/scopes/current", by="me").status == 401
    assert site.call("GET", CLIENTS + "me").code == "ResourceNotFound"
    assert seen[0] == ("client-created", {"clientId": "me", "version": 1})
    assert seen[1] == ("client-deleted", {"clientId": "me", "version": 1})


def test_create_can_be_repeated_for_15_minutes(site: Any) -> None:
    payload = given(site)
    first = site.ok("PUT", CLIENTS + "me", payload)
    site.clock.advance(minutes=15)
    assert site.ok("PUT", CLIENTS + "me", payload) == first
    for change in ({"description": "other"}, {"scopes": ["a:*", "b:x"]}, {"expires": site.clock.at(days=2)}):
        assert site.call("PUT", CLIENTS + "me", {**payload, **change}).code == "RequestConflict"
    site.clock.advance(seconds=1)
    assert site.call("PUT", CLIENTS + "me", payload).status == 409


def test_create_conflicts_with_disabled_client(site: Any) -> None:
    payload = given(site)
    site.tokens["me"] = site.ok("PUT", CLIENTS + "me", payload)["accessToken"]
    assert site.ok("POST", CLIENTS + "me/disable")["disabled"] is True
    assert site.ok("POST", CLIENTS + "me/disable")["disabled"] is True
    assert site.call("PUT", CLIENTS + "me", payload).status == 409
    assert "disabled" in site.call("GET", "/api/auth/v1/scopes/current", by="me").message
    assert site.ok("POST", CLIENTS + "me/enable")["disabled"] is False
    assert site.call("GET", "/api/auth/v1/scopes/current", by="me").status == 200


def test_reset_invalidates_old_token(site: Any) -> None:
    old = site.ok("PUT", CLIENTS + "me", given(site, scopes=["auth:*", "assume:*"]))["accessToken"]
    now = site.clock.now
    temporary = createTemporaryCredentials("me", old, now, now + timedelta(hours=1), ["auth:current-scopes"])
    temporary["accessToken"] = temporary["accessToken"].decode()
    assert site.call("GET", "/api/auth/v1/scopes/current", by=temporary).status == 200
    site.clock.advance(minutes=1)
    reset = site.ok("POST", CLIENTS + "me/reset")
    assert reset["accessToken"] != old
    assert reset["lastRotated"] == reset["lastModified"] == site.clock.at()
    site.tokens["me"] = old
    assert site.call("GET", "/api/auth/v1/scopes/current", by="me").status == 401
    assert site.call("GET", "/api/auth/v1/scopes/current", by=temporary).status == 401
    site.tokens["me"] = reset["accessToken"]
    assert site.call("GET", "/api/auth/v1/scopes/current", by="me").status == 200


def test_update_keeps_omitted_scopes(site: Any) -> None:
    site.ok("PUT", CLIENTS + "me", given(site))
    site.clock.advance(minutes=1)
    changed = {"expires": site.clock.at(days=-1), "description": "new", "deleteOnExpiration": True}
    updated = site.ok("POST", CLIENTS + "me", changed)
    assert {name: updated[name] for name in changed} == changed
    assert (updated["scopes"], updated["lastModified"]) == (["a:*", "b:x"], site.clock.at())
    assert site.ok("POST", CLIENTS + "me", {**changed, "scopes": []})["scopes"] == []


def test_requires_scopes_that_client_gets(new_site: Callable[..., Any]) -> None:
    limited = ["auth:create-client:x/*", "auth:update-client:x/*", "a:*"]
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": limited}]) as site:
        assert site.call("PUT", CLIENTS + "y", given(site, scopes=[]), by="c").status == 403
        refused = site.call("PUT", CLIENTS + "x%2F1", given(site), by="c")
        assert refused.status == 403
        assert "\n```\nb:x\n```" in refused.message
        site.ok("PUT", CLIENTS + "x%2F1", given(site))
        # The caller need not have scopes that the client has already.
        site.ok("POST", CLIENTS + "x%2F1", given(site, scopes=["b:x", "a:new"]), by="c")
        assert site.call("POST", CLIENTS + "x%2F1", given(site, scopes=["b:*"]), by="c").status == 403
        assert site.call("POST", CLIENTS + "x%2F2", given(site), by=None).status == 404
        assert site.call("PUT", CLIENTS + "x%2F1", {"scopes": "no"}, by=None).status == 400


@pytest.mark.parametrize(
    ("verb", "rest"),
    [("PUT", ""), ("POST", ""), ("POST", "/reset"), ("POST", "/enable"), ("POST", "/disable"), ("DELETE", "")],
)
def test_rejects_changes_of_static_clients(site: Any, verb: str, rest: str) -> None:
    payload = given(site) if not rest and verb != "DELETE" else None
    for name in ("static%2Fx", "static%2Ftaskcluster%2Froot"):
        response = site.call(verb, f"{CLIENTS}{name}{rest}", payload)
        assert (response.status, response.code) == (400, "InputError")
        assert '"static/"' in response.message
    assert site.ok("GET", CLIENTS + "static%2Ftaskcluster%2Froot")["scopes"] == ["*"]


@pytest.mark.parametrize(
    ("verb", "rest"), [("POST", ""), ("POST", "/reset"), ("POST", "/enable"), ("POST", "/disable")]
)
def test_returns_404_for_unknown_client(site: Any, verb: str, rest: str) -> None:
    response = site.call(verb, f"{CLIENTS}x{rest}", None if rest else given(site))
    assert (response.status, response.code) == (404, "ResourceNotFound")


@pytest.mark.parametrize("change", [{"scopes": ["a**"]}, {"expires": "2030-01-01T00:00:60Z"}])
def test_rejects_invalid_client(site: Any, change: dict[str, Any]) -> None:
    assert site.call("PUT", CLIENTS + "x", given(site, **change)).code == "InputError"
    assert site.call("GET", CLIENTS + "x").status == 404


def test_stores_any_description(site: Any) -> None:
    odd = "half a pair \ud800, nothing \x00, \u00fc"
    kept = odd.replace("\ud800", "\ufffd")
    assert site.ok("PUT", CLIENTS + "x", given(site, description=odd))["description"] == kept
    assert site.ok("POST", CLIENTS + "x", given(site, description=odd + "!"))["description"] == kept + "!"
    assert site.ok("PUT", "/api/auth/v1/roles/x", {"scopes": [], "description": odd})["description"] == kept


def test_creates_client_of_deployment(site: Any) -> None:
    accounts = Accounts(site.store, site.deployment.events, site.deployment.shared.audit, site.clock.now, [], {})
    accounts.add(Client("local/x", "1" * 44, ("a",), NEVER), site.clock.now)
    assert accounts.client("local/x") == Client("local/x", "1" * 44, ("a",), NEVER)
    accounts.add(Client("local/x", "2" * 44, ("b",), NEVER), site.clock.now)
    assert accounts.client("local/x") == Client("local/x", "2" * 44, ("b",), NEVER)
    assert accounts.show_client("local/x")["scopes"] == ["b"]


def test_lists_by_prefix_in_pages(site: Any) -> None:
    for name in ("p/a", "p/b", "p|c", "q", "P/a"):
        site.ok("PUT", CLIENTS + name.replace("/", "%2F").replace("|", "%7C"), given(site))
    first = site.ok("GET", CLIENTS + "?prefix=p&limit=2")
    rest = site.ok("GET", f"{CLIENTS}?prefix=p&limit=2&continuationToken={first['continuationToken']}")
    found = [client["clientId"] for client in first["clients"] + rest["clients"]]
    assert (found, "continuationToken" in rest) == (["p/a", "p/b", "p|c"], False)
    everyone = [client["clientId"] for client in site.ok("GET", CLIENTS.rstrip("/"))["clients"]]
    assert everyone == sorted(everyone, key=collation_key)
    assert {"p/a", "q", "P/a", "nobody", ROOT_CLIENT} <= set(everyone)


def test_records_use_every_six_hours(site: Any) -> None:
    def last_used() -> str:
        return str(site.ok("GET", CLIENTS + "reader")["lastDateUsed"])

    made = site.clock.at()
    site.clock.advance(hours=5)
    site.call("GET", "/api/secrets/v1/secret/a%2Fb", by="reader")
    assert last_used() == made
    site.clock.advance(hours=7)
    site.call("GET", "/api/secrets/v1/secret/a%2Fb", by={"clientId": "reader", "accessToken": "wrong"})
    assert last_used() == made
    site.call("GET", "/api/secrets/v1/secret/a%2Fb", by="reader")
    assert last_used() == site.clock.at()


def test_deletes_expired_clients_with_flag(site: Any) -> None:
    for name, delete in (("goes", True), ("stays", False)):
        site.ok("PUT", CLIENTS + name, given(site, deleteOnExpiration=delete))
    for seconds, status in ((24 * 3600, 200), (1, 404)):
        site.clock.advance(seconds=seconds)
        asyncio.run(site.deployment.pass_time())
        assert site.call("GET", CLIENTS + "goes").status == status
        assert site.call("GET", CLIENTS + "stays").status == 200


# Configuration and storage


def deployed(store: Store, site: Any, path: Path, *clients: Client, **roles: list[str]) -> Deployment:
    configuration = Configuration("r" * 44, clients, roles, site.clock)
    return Deployment(configuration, store, path, "http://tc.example.com:8080")


def test_resets_configured_clients_on_start(site: Any, tmp_path: Path) -> None:
    with closing(Store(tmp_path / "db")) as store:
        static = Client("static/mine", "s" * 44, ("s",), NEVER)
        site.deployment = deployed(store, site, tmp_path, Client("c", "1" * 44, ("one",), NEVER), static, r=["x"])
        site.ok("POST", CLIENTS + "c", given(site))
        site.ok("PUT", CLIENTS + "kept", given(site))
        site.ok("POST", "/api/auth/v1/roles/r", {"scopes": ["other"], "description": ""})
        site.clock.advance(hours=1)
        site.deployment = deployed(store, site, tmp_path, Client("c", "2" * 44, ("two",), NEVER), r=["y"])
        site.tokens["c"] = "2" * 44
        assert site.ok("GET", CLIENTS + "c")["scopes"] == ["two"]
        assert site.call("GET", "/api/auth/v1/scopes/current", by="c").status == 200
        assert site.ok("GET", CLIENTS + "kept")["description"] == "d"
        assert site.ok("GET", "/api/auth/v1/roles/r")["scopes"] == ["y"]
        assert site.call("GET", CLIENTS + "static%2Fmine").status == 404


def test_checks_configuration_without_deployment() -> None:
    client = Client("c", "t" * 44, (), NEVER)
    for wrong, message in [
        (Configuration(clients=[client, client]), "two clients"),
        (Configuration(roles={"a": ["assume:a"]}), "depend on themselves"),
        (Configuration(roles={"": []}), "not a roleId"),
        (Configuration(clients=[Client(ROOT_CLIENT, "t", (), NEVER)]), "the services use these clientIds"),
    ]:
        with pytest.raises(ApiError, match=f"InputError: .*{message}"):
            wrong.check()
    Configuration(clients=[client], roles={"a": ["assume:b"]}).check()


# Audit history


def test_records_audit_history(new_site: Callable[..., Any]) -> None:
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": ["*"]}]) as site:
        site.ok("PUT", CLIENTS + "x", given(site), by="c")
        site.ok("PUT", CLIENTS + "x", given(site), by="c")
        site.clock.advance(seconds=1)
        site.ok("POST", CLIENTS + "x/reset")
        site.ok("POST", CLIENTS + "x/disable")
        site.ok("POST", CLIENTS + "x/enable")
        site.ok("POST", CLIENTS + "x", given(site))
        site.call("DELETE", CLIENTS + "x")
        for _ in range(2):
            site.ok("PUT", "/api/auth/v1/roles/x%2Fy", {"scopes": [], "description": ""}, by="c")
        site.call("DELETE", CLIENTS + "absent", by="c")
        history = site.ok("GET", "/api/auth/v1/audit/client/x")["auditHistory"]
        assert [(each["clientId"], each["actionType"]) for each in history] == [
            ("c", "created"),
            ("c", "created"),
            (ROOT_CLIENT, "access token reset"),
            (ROOT_CLIENT, "client disabled"),
            (ROOT_CLIENT, "client enabled"),
            (ROOT_CLIENT, "updated"),
            (ROOT_CLIENT, "deleted"),
        ]
        assert history[2] == {
            "clientId": ROOT_CLIENT,
            "actionType": "access token reset",
            "created": site.clock.at(),
            "entityId": "x",
            "entityType": "client",
        }
        own = site.ok("GET", CLIENTS + "c/audit?limit=1")
        assert [each["entityId"] for each in own["auditHistory"]] == ["x"]
        rest = site.ok("GET", f"{CLIENTS}c/audit?continuationToken={own['continuationToken']}")
        assert [each["entityId"] for each in rest["auditHistory"]] == ["x", "x/y", "x/y"]
        assert site.ok("GET", "/api/auth/v1/audit/worker-pool/a%2Fb") == {"auditHistory": []}
        assert site.call("GET", "/api/auth/v1/audit/task/x").code == "InputError"
        assert site.call("GET", "/api/auth/v1/audit/client/x", by=None).status == 403


# Credentials of other systems


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("aws/s3/read-only/bucket/some/prefix", "auth:aws-s3:read-write:bucket/some/prefix"),
        ("azure/account/table/t/read-only", "auth:azure-table:read-only:account/t"),
        ("azure/account/containers/c/read-write", "auth:azure-container:read-write:account/c"),
        ("azure/accounts", "auth:azure-table:list-accounts"),
        ("gcp/credentials/p/s", "auth:gcp:access-token:p/s"),
        ("sentry/p/dsn", "auth:sentry:p"),
        ("websocktunnel/a/c", "auth:websocktunnel-token:a/c"),
    ],
)
def test_checks_scopes_before_refusing_credentials(new_site: Callable[..., Any], path: str, scope: str) -> None:
    clients = [{"clientId": "c", "accessToken": "c" * 44, "scopes": [scope]}]
    with new_site([*clients, {"clientId": "n", "accessToken": "n" * 44, "scopes": []}]) as site:
        response = site.call("GET", f"/api/auth/v1/{path}", by="c")
        assert (response.status, response.code) == (400, "NotInLocalDeployment")
        assert site.call("GET", f"/api/auth/v1/{path}", by="n").status == 403


def test_checks_scopes_before_refusing_repo_token(new_site: Callable[..., Any]) -> None:
    scopes = ["auth:github-repo-token:app/owner/repo:contents:read"]
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": scopes}]) as site:
        path = "/api/auth/v1/github/app/owner/repo-token"
        payload = {"repositories": ["repo"], "permissions": {"contents": "read"}}
        assert site.call("POST", path, payload, by="c").code == "NotInLocalDeployment"
        assert site.call("POST", path, {**payload, "permissions": {"contents": "write"}}, by="c").status == 403
    with new_site() as site:
        assert site.call("GET", "/api/auth/v1/aws/s3/write/b/p").code == "InvalidRequestArguments"
