"""Tests of the secrets service."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


def path(name: str) -> str:
    return f"/api/secrets/v1/secret/{name}"


def payload(site: Any, secret: Any = None, **span: float) -> dict[str, Any]:
    return {"secret": secret or {"b": 1, "a": [None, "é"]}, "expires": site.clock.at(**(span or {"hours": 1}))}


def test_returns_secret_as_set(site: Any) -> None:
    assert site.ok("PUT", path("a/b"), payload(site)) == {}
    got = site.ok("GET", path("a%2Fb"))
    assert got == payload(site)
    assert list(got["secret"]) == ["b", "a"]


def test_set_replaces_secret(site: Any) -> None:
    site.ok("PUT", path("x"), payload(site))
    site.ok("PUT", path("x"), payload(site, {"new": True}, hours=2))
    assert site.ok("GET", path("x")) == payload(site, {"new": True}, hours=2)


def test_remove_can_be_repeated(site: Any) -> None:
    site.ok("PUT", path("x"), payload(site))
    assert site.ok("DELETE", path("x")) == {}
    assert site.ok("DELETE", path("x")) == {}
    assert site.call("GET", path("x")).status == 404


def test_returns_404_for_expired_secret(site: Any) -> None:
    site.ok("PUT", path("past"), payload(site, hours=-1))
    site.ok("PUT", path("soon"), payload(site, hours=1))
    assert site.call("GET", path("past")).message == "Secret not found"
    assert site.ok("GET", "/api/secrets/v1/secrets") == {"secrets": ["soon"]}
    site.clock.advance(hours=1)
    assert site.call("GET", path("soon")).status == 404


def test_keeps_dates_to_the_millisecond(site: Any) -> None:
    site.ok("PUT", path("x"), {"secret": {}, "expires": "2031-01-01 00:00:00.123456+01:00"})
    assert site.ok("GET", path("x"))["expires"] == "2030-12-31T23:00:00.123Z"


def test_leap_second_returns_500(site: Any) -> None:
    assert site.call("PUT", path("x"), {"secret": {}, "expires": "2030-12-31T23:59:60Z"}).status == 500


def test_requires_scopes(site: Any) -> None:
    site.ok("PUT", path("a/b"), payload(site))
    assert site.call("GET", path("a/b"), by="reader").status == 200
    assert site.call("GET", path("a/missing"), by="reader").status == 404
    assert site.call("GET", path("b"), by="reader").status == 403
    for method in ("PUT", "DELETE"):
        assert site.call(method, path("a/b"), payload(site), by="reader").status == 403
    assert site.call("GET", "/api/secrets/v1/secrets", by="reader").status == 403


def test_lists_in_pages(site: Any) -> None:
    names = ["0", "a", "A", "b", "B"]
    for name in reversed(names):
        site.ok("PUT", path(name), payload(site))
    assert site.ok("GET", "/api/secrets/v1/secrets") == {"secrets": names}
    found: list[str] = []
    token = ""
    for size in (2, 2, 1):
        page = site.ok("GET", f"/api/secrets/v1/secrets?limit=2{token}")
        assert len(page["secrets"]) == size
        found += page["secrets"]
        token = f"&continuationToken={page.get('continuationToken')}"
    assert found == names
    assert "continuationToken" not in page


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("limit=0", 0),
        ("limit=99999999999999999999", 2),
        ("limit=002", 2),
        ("continuationToken=garbage", 2),
        ("continuationToken=WyJcdWQ4MDAiXQ", 2),
    ],
)
def test_accepts_unusual_limits_and_tokens(site: Any, query: str, size: int) -> None:
    for name in ("a", "b"):
        site.ok("PUT", path(name), payload(site))
    page = site.ok("GET", f"/api/secrets/v1/secrets?{query}")
    assert len(page["secrets"]) == size
    assert "continuationToken" not in page


def test_rejects_invalid_continuation_token(site: Any) -> None:
    response = site.call("GET", "/api/secrets/v1/secrets?continuationToken=%21")
    assert (response.status, response.code) == (400, "InputError")


def test_deletes_expired_secrets(site: Any) -> None:
    site.ok("PUT", path("a"), payload(site, hours=1))
    site.ok("PUT", path("b"), payload(site, hours=2))
    site.clock.advance(hours=1)
    asyncio.run(site.deployment.pass_time())
    assert site.store.all("SELECT name FROM secrets") == [{"name": "b"}]
