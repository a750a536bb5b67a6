"""Tests of the purge-cache service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

ROOT = "/api/purge-cache/v1/purge-cache"


@pytest.fixture
def purge(site: Any) -> Callable[..., None]:
    def call(pool: str, cache: str) -> None:
        response = site.call("POST", f"{ROOT}/{pool}", {"cacheName": cache})
        assert (response.status, response.content) == (204, b"")

    return call


def names(body: Any) -> list[str]:
    return [request["cacheName"] for request in body["requests"]]


def test_lists_requests_of_pool(site: Any, purge: Callable[..., None]) -> None:
    purge("p/w", "b")
    purge("p%2Fw", "a")
    purge("p/other", "c")
    assert site.ok("GET", f"{ROOT}/p/w", by=None) == {
        "requests": [
            {"provisionerId": "p", "workerType": "w", "cacheName": name, "before": site.clock.at()} for name in "ab"
        ]
    }
    assert site.ok("GET", f"{ROOT}/p/none") == {"requests": []}


def test_repeated_request_updates_date(site: Any, purge: Callable[..., None]) -> None:
    purge("p/w", "a")
    site.clock.advance(hours=1)
    purge("p/w", "a")
    assert [request["before"] for request in site.ok("GET", f"{ROOT}/p/w")["requests"]] == [site.clock.at()]


def test_lists_requests_since_date(site: Any, purge: Callable[..., None]) -> None:
    purge("p/w", "old")
    site.clock.advance(seconds=1)
    purge("p/w", "new")
    assert names(site.ok("GET", f"{ROOT}/p/w?since={site.clock.at()}")) == ["new"]
    assert names(site.ok("GET", f"{ROOT}/p/w?since={site.clock.at(seconds=-1)}")) == ["new", "old"]
    assert names(site.ok("GET", f"{ROOT}/p/w?since={site.clock.at(seconds=1)}")) == []
    response = site.call("GET", f"{ROOT}/p/w?since=yesterday")
    assert (response.status, response.code) == (400, "InvalidRequestArguments")


def test_deletes_requests_after_a_day(site: Any, purge: Callable[..., None]) -> None:
    purge("p/w", "a")
    site.clock.advance(days=1, seconds=-1)
    purge("p/w", "b")
    site.clock.advance(seconds=1)
    assert names(site.ok("GET", f"{ROOT}/p/w")) == names(site.ok("GET", f"{ROOT}/list")) == ["b"]
    asyncio.run(site.deployment.pass_time())
    kept = site.store.all("SELECT * FROM purge_requests")
    assert [row["cacheName"] for row in kept] == ['"b"']


def test_lists_all_requests_in_pages(site: Any, purge: Callable[..., None]) -> None:
    for pool, cache in (("q/w", "a"), ("p/w", "b"), ("p/w", "ä")):
        purge(pool, cache)
    everything = site.ok("GET", f"{ROOT}/list", by=None)
    assert sorted(names(everything)) == ["a", "b", "ä"]
    page = site.ok("GET", f"{ROOT}/list?limit=2")
    rest = site.ok("GET", f"{ROOT}/list?limit=2&continuationToken={page['continuationToken']}")
    assert [*page["requests"], *rest["requests"]] == everything["requests"]


def test_requires_scopes(new_site: Callable[..., Any]) -> None:
    scopes = ["purge-cache:p/w:a", "purge-cache:purge-requests::p/w"]
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": scopes}], {"anonymous": []}) as site:
        assert site.call("POST", f"{ROOT}/p/w", {"cacheName": "a"}, by="c").status == 204
        assert site.call("POST", f"{ROOT}/p/w", {"cacheName": "b"}, by="c").status == 403
        assert site.call("GET", f"{ROOT}/p/w", by="c").status == 200
        assert site.call("GET", f"{ROOT}/p/x", by="c").status == 403
        assert site.call("GET", f"{ROOT}/list", by="c").status == 403


def test_rejects_very_long_name(site: Any, purge: Callable[..., None]) -> None:
    purge("p/w", "a" * 1000)
    response = site.call("POST", f"{ROOT}/p/w", {"cacheName": "a" * 1001})
    assert (response.status, response.code) == (400, "InputError")
