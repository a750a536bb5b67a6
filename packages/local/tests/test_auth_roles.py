"""Tests of creating and changing roles through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ROLES = "/api/auth/v1/roles/"


def role(*scopes: str, description: str = "d") -> dict[str, Any]:
    return {"scopes": list(scopes), "description": description}


def test_creates_updates_and_deletes_role(new_site: Callable[..., Any]) -> None:
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": ["assume:team:web"]}]) as site:

        def allowed() -> bool:
            return bool(site.call("GET", "/api/secrets/v1/secrets", by="c").status == 200)

        assert not allowed()
        made = site.ok("PUT", ROLES + "team:*", role("z:<..>", "secrets:list-secrets"))
        assert made == {
            "roleId": "team:*",
            "scopes": ["secrets:list-secrets", "z:<..>"],
            "description": "d",
            "created": site.clock.at(),
            "lastModified": site.clock.at(),
            "expandedScopes": ["assume:team:*", "secrets:list-secrets", "z:*"],
        }
        assert allowed()
        assert site.ok("GET", ROLES + "team:*") == made
        site.clock.advance(seconds=1)
        updated = site.ok("POST", ROLES + "team:*", role("z", description="new"))
        assert (updated["created"], updated["lastModified"]) == (made["created"], site.clock.at())
        assert not allowed()
        site.ok("POST", ROLES + "team:*", role("secrets:*"))
        assert allowed()
        for _ in range(2):
            assert site.call("DELETE", ROLES + "team:*").status == 204
        assert not allowed()
        assert site.call("GET", ROLES + "team:*").message == "Role not found"


def test_create_can_be_repeated(site: Any) -> None:
    made = site.ok("PUT", ROLES + "a", role("y", "x"))
    site.clock.advance(days=1)
    assert site.ok("PUT", ROLES + "a", role("x", "y")) == made
    assert site.call("PUT", ROLES + "a", role("x")).code == "RequestConflict"
    assert "'b' not found" in site.call("POST", ROLES + "b", role()).message


@pytest.mark.parametrize(
    ("scopes", "message"),
    [
        (["assume:b"], "depend on themselves"),
        (["assume:a*"], "themselves"),
        (["*"], "themselves"),
        (["x", "a*"], "themselves"),
        (["ass*"], "themselves"),
        (["assume:*"], "themselves"),
        (["a**"], "must not end"),
        (["x:<..>:<..>"], "more than once"),
        (["x:*<..>"], "ambiguous"),
    ],
)
def test_rejects_invalid_role(site: Any, scopes: list[str], message: str) -> None:
    site.ok("PUT", ROLES + "b", role("assume:abc"))
    site.ok("PUT", ROLES + "a*", role("fine"))
    for verb, name in (("POST", "a*"), ("PUT", "ab*")):
        response = site.call(verb, ROLES + name, role(*scopes))
        assert response.code == "InputError", response.content
        assert message in response.message
    assert site.ok("GET", ROLES + "a*")["scopes"] == ["fine"]
    assert site.call("GET", ROLES + "ab*").status == 404


def test_requires_scopes_that_role_gets(new_site: Callable[..., Any]) -> None:
    scopes = ["auth:create-role:*", "auth:update-role:*", "a:*"]
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": scopes}]) as site:
        assert site.call("PUT", ROLES + "r", role("b"), by="c").status == 403
        site.ok("PUT", ROLES + "r", role("b:*", "assume:s"))
        site.ok("PUT", ROLES + "s", role("deep"))
        site.ok("POST", ROLES + "r", role("b:x", "deep", "a:x"), by="c")
        assert site.call("POST", ROLES + "r", role("other"), by="c").status == 403
        assert site.call("POST", ROLES + "absent", role("other"), by="c").status == 404


def test_lists_roles(site: Any) -> None:
    for name in ("b", "a", "a:*"):
        site.ok("PUT", ROLES + name, role())
    names = ["a", "a:*", "anonymous", "b"]
    assert [each["roleId"] for each in site.ok("GET", ROLES)] == names
    assert [each["roleId"] for each in site.ok("GET", "/api/auth/v1/roles2/")["roles"]] == names
    assert site.ok("GET", "/api/auth/v1/roleids/?limit=0") == {"roleIds": names}
    first = site.ok("GET", "/api/auth/v1/roleids/?limit=3")
    rest = site.ok("GET", f"/api/auth/v1/roleids/?limit=3&continuationToken={first['continuationToken']}")
    assert first["roleIds"] + rest["roleIds"] == names
    assert "continuationToken" not in rest
    assert site.call("GET", "/api/auth/v1/roles2/?continuationToken=%25").code == "InputError"
