"""The index service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ROOT = "/api/index/v1"


@pytest.fixture
def insert(site: Any, slug: Callable[[int], str]) -> Callable[..., Any]:
    def call(path: str, number: int = 1, rank: float = 0, **span: float) -> Any:
        expires = site.clock.at(**(span or {"hours": 1}))
        payload = {"taskId": slug(number), "rank": rank, "data": {"number": number}, "expires": expires}
        return site.ok("PUT", f"{ROOT}/task/{path}", payload)

    return call


def test_an_entry_is_found(site: Any, slug: Callable[[int], str], insert: Callable[..., Any]) -> None:
    entry = insert("a.b.c")
    assert entry == {
        "namespace": "a.b.c",
        "taskId": slug(1),
        "rank": 0,
        "data": {"number": 1},
        "expires": site.clock.at(hours=1),
    }
    assert site.ok("GET", f"{ROOT}/task/a.b.c", by=None) == entry


def test_a_missing_or_expired_entry_is_not_found(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", hours=1)
    assert site.call("GET", f"{ROOT}/task/a.c").message == "Indexed task not found"
    site.clock.advance(hours=1)
    answer = site.call("GET", f"{ROOT}/task/a.b")
    assert (answer.status, answer.message) == (404, "Indexed task not found")


@pytest.mark.parametrize(("rank", "winner"), [(0, 1), (1, 2), (2, 2)])
def test_the_higher_rank_wins_and_the_newer_of_equals(insert: Callable[..., Any], rank: int, winner: int) -> None:
    insert("a.b", 1, rank=1)
    assert insert("a.b", 2, rank=rank)["data"] == {"number": winner}


def test_a_rank_that_is_no_integer_is_an_internal_error(site: Any, slug: Callable[[int], str]) -> None:
    payload = {"taskId": slug(1), "rank": 1.5, "data": {}, "expires": site.clock.at(hours=1)}
    assert site.call("PUT", f"{ROOT}/task/a.b", payload).status == 500


def test_deleting(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b")
    for _ in range(2):
        assert site.ok("DELETE", f"{ROOT}/task/a.b") == {}
    assert site.call("GET", f"{ROOT}/task/a.b").status == 404


def test_scopes(site: Any, insert: Callable[..., Any]) -> None:
    payload = {"taskId": "x"}
    answer = site.call("PUT", f"{ROOT}/task/a.b", payload, by="nobody")
    assert (answer.status, "index:insert-task:a.b" in answer.message) == (403, True)
    assert site.call("DELETE", f"{ROOT}/task/a.b", by="nobody").status == 403


@pytest.mark.parametrize("path", ["a..b", "a.b.", "a b", "a%2Fb"])
def test_names_have_a_pattern(site: Any, path: str) -> None:
    assert site.call("GET", f"{ROOT}/task/{path}").code == "InvalidRequestArguments"


def test_finding_many(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", 1)
    insert("a.expired", 2, hours=-1)
    insert("dotless", 3)
    payload = {"indexes": ["a.b", "a.missing", "a.expired", "dotless"]}
    found = site.ok("POST", f"{ROOT}/tasks/indexes", payload)["tasks"]
    assert [task["namespace"] for task in found] == ["a.b", "a.expired"]
    page = site.ok("POST", f"{ROOT}/tasks/indexes?limit=1", payload)
    rest = site.ok("POST", f"{ROOT}/tasks/indexes?limit=1&continuationToken={page['continuationToken']}", payload)
    assert [*page["tasks"], *rest["tasks"]] == found


def test_finding_many_needs_a_scope_for_each(new_site: Callable[..., Any]) -> None:
    clients = [{"clientId": "c", "accessToken": "c" * 44, "scopes": ["index:find-task:a.*"]}]
    with new_site(clients, {"anonymous": []}) as site:
        target = f"{ROOT}/tasks/indexes"
        assert site.call("POST", target, {"indexes": ["a.b", "a.c"]}, by="c").status == 200
        assert site.call("POST", target, {"indexes": ["a.b", "b.c"]}, by="c").status == 403


def test_listing_tasks(site: Any, insert: Callable[..., Any]) -> None:
    for path in ("top", "a.x", "a.b.y", "a.b.x", "a.b.c.z"):
        insert(path)
    insert("a.b.old", hours=-1)

    def names(namespace: str) -> list[str]:
        return [task["namespace"] for task in site.ok("GET", f"{ROOT}/tasks{namespace}")["tasks"]]

    assert names("/a.b") == ["a.b.x", "a.b.y"]
    assert names("") == names("/") == ["top"]
    assert names("/none") == []


def test_listing_namespaces(site: Any, insert: Callable[..., Any]) -> None:
    for path in ("top", "a.x", "a.b.y", "a.b.c.z", "a.d.x"):
        insert(path)
    midnight = "2030-03-02T00:00:00.000Z"
    assert site.ok("GET", f"{ROOT}/namespaces/a") == {
        "namespaces": [
            {"namespace": "a.b", "name": "b", "expires": midnight},
            {"namespace": "a.d", "name": "d", "expires": midnight},
        ]
    }
    assert site.ok("GET", f"{ROOT}/namespaces") == {
        "namespaces": [{"namespace": "a", "name": "a", "expires": midnight}]
    }
    assert site.ok("GET", f"{ROOT}/namespaces/none") == {"namespaces": []}
    page = site.ok("GET", f"{ROOT}/namespaces/a?limit=1")
    assert [each["name"] for each in page["namespaces"]] == ["b"]
    rest = site.ok("GET", f"{ROOT}/namespaces/a?limit=1&continuationToken={page['continuationToken']}")
    assert [each["name"] for each in rest["namespaces"]] == ["d"]


def test_a_namespace_lives_as_long_as_what_is_in_it(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", days=3)
    insert("a.c", days=1)
    assert site.ok("GET", f"{ROOT}/namespaces")["namespaces"][0]["expires"] == "2030-03-05T00:00:00.000Z"


def test_entries_may_last_as_long_as_dates_can(site: Any, slug: Callable[[int], str]) -> None:
    payload = {"taskId": slug(1), "rank": 0, "data": {}, "expires": "9999-12-31T23:59:59.999Z"}
    assert site.ok("PUT", f"{ROOT}/task/a.b", payload)["expires"] == payload["expires"]


def test_listing_the_root_needs_the_scope_for_an_empty_name(new_site: Callable[..., Any]) -> None:
    with new_site(roles={"anonymous": []}) as site:
        answer = site.call("GET", f"{ROOT}/namespaces", by=None)
        assert "\nindex:list-namespaces:\n" in answer.message
