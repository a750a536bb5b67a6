"""Tests of the index service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = "/api/index/v1"


@pytest.fixture
def insert(site: Any, slug: Callable[[int], str]) -> Callable[..., Any]:
    def call(path: str, number: int = 1, rank: float = 0, **span: float) -> Any:
        expires = site.clock.at(**(span or {"hours": 1}))
        payload = {"taskId": slug(number), "rank": rank, "data": {"number": number}, "expires": expires}
        return site.ok("PUT", f"{ROOT}/task/{path}", payload)

    return call


def test_finds_entry(site: Any, slug: Callable[[int], str], insert: Callable[..., Any]) -> None:
    entry = insert("a.b.c")
    assert entry == {
        "namespace": "a.b.c",
        "taskId": slug(1),
        "rank": 0,
        "data": {"number": 1},
        "expires": site.clock.at(hours=1),
    }
    assert site.ok("GET", f"{ROOT}/task/a.b.c", by=None) == entry


def test_returns_404_for_missing_or_expired_entry(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", hours=1)
    assert site.call("GET", f"{ROOT}/task/a.c").message == "Indexed task not found"
    site.clock.advance(hours=1)
    response = site.call("GET", f"{ROOT}/task/a.b")
    assert (response.status, response.message) == (404, "Indexed task not found")


@pytest.mark.parametrize(("rank", "winner"), [(0, 1), (1, 2), (2, 2)])
def test_higher_rank_wins(insert: Callable[..., Any], rank: int, winner: int) -> None:
    insert("a.b", 1, rank=1)
    assert insert("a.b", 2, rank=rank)["data"] == {"number": winner}


def test_lower_rank_replaces_expired_entry(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", 1, rank=5, hours=1)
    assert insert("a.b", 2, rank=1)["data"] == {"number": 1}
    site.clock.advance(hours=1)
    assert insert("a.b", 2, rank=1)["data"] == {"number": 2}


@pytest.mark.parametrize("rank", [1.5, 2**53, -1e20])
def test_rejects_rank_that_is_not_an_integer(site: Any, slug: Callable[[int], str], rank: float) -> None:
    payload = {"taskId": slug(1), "rank": rank, "data": {}, "expires": site.clock.at(hours=1)}
    assert site.call("PUT", f"{ROOT}/task/a.b", payload).code == "InputError"


def test_rejects_too_long_name(site: Any, insert: Callable[..., Any]) -> None:
    assert insert("a" * 255)["namespace"] == "a" * 255
    entry = insert("x")
    payload = {name: entry[name] for name in ("taskId", "rank", "data", "expires")}
    assert site.call("PUT", f"{ROOT}/task/{'a' * 256}", payload).code == "InputError"


def test_deletes_entry(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b")
    for _ in range(2):
        assert site.ok("DELETE", f"{ROOT}/task/a.b") == {}
    assert site.call("GET", f"{ROOT}/task/a.b").status == 404


def test_requires_scopes(site: Any, insert: Callable[..., Any]) -> None:
    payload = {"taskId": "x"}
    response = site.call("PUT", f"{ROOT}/task/a.b", payload, by="nobody")
    assert (response.status, "index:insert-task:a.b" in response.message) == (403, True)
    assert site.call("DELETE", f"{ROOT}/task/a.b", by="nobody").status == 403


@pytest.mark.parametrize("path", ["a..b", "a.b.", "a b", "a%2Fb"])
def test_rejects_invalid_name(site: Any, path: str) -> None:
    assert site.call("GET", f"{ROOT}/task/{path}").code == "InvalidRequestArguments"


def test_finds_many_entries(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", 1)
    insert("z.expired", 2, hours=-1)
    insert("dotless", 3)
    insert("a.c", 4)
    payload = {"indexes": ["a.missing", "z.expired", "dotless", "a.c", "a.b", "z.expired"]}
    found = site.ok("POST", f"{ROOT}/tasks/indexes", payload)["tasks"]
    # In the order of the request.
    assert [task["namespace"] for task in found] == ["z.expired", "a.c", "a.b"]
    page = site.ok("POST", f"{ROOT}/tasks/indexes?limit=1", payload)
    rest = site.ok("POST", f"{ROOT}/tasks/indexes?limit=2&continuationToken={page['continuationToken']}", payload)
    assert [*page["tasks"], *rest["tasks"]] == found


def test_finding_many_requires_scope_for_each(new_site: Callable[..., Any]) -> None:
    clients = [{"clientId": "c", "accessToken": "c" * 44, "scopes": ["index:find-task:a.*"]}]
    with new_site(clients, {"anonymous": []}) as site:
        target = f"{ROOT}/tasks/indexes"
        assert site.call("POST", target, {"indexes": ["a.b", "a.c"]}, by="c").status == 200
        assert site.call("POST", target, {"indexes": ["a.b", "b.c"]}, by="c").status == 403


def test_lists_tasks(site: Any, insert: Callable[..., Any]) -> None:
    for path in ("top", "a.x", "a.b.y", "a.b.x", "a.b.c.z"):
        insert(path)
    insert("a.b.old", hours=-1)

    def names(namespace: str) -> list[str]:
        return [task["namespace"] for task in site.ok("GET", f"{ROOT}/tasks{namespace}")["tasks"]]

    assert names("/a.b") == ["a.b.x", "a.b.y"]
    assert names("") == names("/") == ["top"]
    assert names("/none") == []


def test_lists_namespaces(site: Any, insert: Callable[..., Any]) -> None:
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


@pytest.mark.parametrize(("listing", "name"), [("tasks", "a.b"), ("namespaces", "a")])
def test_lists_by_post_too(new_site: Callable[..., Any], listing: str, name: str) -> None:
    scope = f"index:list-{listing}:a*"
    clients = [{"clientId": "c", "accessToken": "x" * 44, "scopes": [scope]}]
    with new_site(clients=clients, roles={"anonymous": []}) as site:
        for path in ("a.b.x", "a.c.x", "a.b.y"):
            entry = {"taskId": "00000001Q0C0000000000A", "rank": 0, "data": {}, "expires": site.clock.at(hours=1)}
            site.ok("PUT", f"{ROOT}/task/{path}", entry)
        target = f"{ROOT}/{listing}/{name}?limit=1"
        first = site.ok("POST", target, by="c")
        assert first == site.ok("GET", target, by="c")
        [second] = site.ok("POST", f"{target}&continuationToken={first['continuationToken']}", by="c")[listing]
        assert second["namespace"] == {"tasks": "a.b.y", "namespaces": "a.c"}[listing]
        assert site.call("POST", f"{ROOT}/{listing}/b", by="c").status == 403
        assert site.call("POST", f"{ROOT}/{listing}/a?x=1", by="c").code == "InvalidRequestArguments"
        assert site.call("POST", f"{ROOT}/{listing}/a..b", by="c").code == "InvalidRequestArguments"


def test_namespace_expires_with_its_entries(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", days=3)
    insert("a.c", days=1)
    assert site.ok("GET", f"{ROOT}/namespaces")["namespaces"][0]["expires"] == "2030-03-05T00:00:00.000Z"


def test_accepts_latest_possible_expiry(site: Any, slug: Callable[[int], str]) -> None:
    payload = {"taskId": slug(1), "rank": 0, "data": {}, "expires": "9999-12-31T23:59:59.999Z"}
    assert site.ok("PUT", f"{ROOT}/task/a.b", payload)["expires"] == payload["expires"]


def test_listing_root_requires_scope_for_empty_name(new_site: Callable[..., Any]) -> None:
    with new_site(roles={"anonymous": []}) as site:
        response = site.call("GET", f"{ROOT}/namespaces", by=None)
        assert "\nindex:list-namespaces:\n" in response.message


def test_deletes_expired_entries_after_a_day(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", hours=1)
    insert("c.d", days=9)
    site.clock.advance(hours=2)
    asyncio.run(site.deployment.pass_time())
    assert len(site.ok("POST", f"{ROOT}/tasks/indexes", {"indexes": ["a.b"]})["tasks"]) == 1
    site.clock.advance(days=3)
    asyncio.run(site.deployment.pass_time())
    assert site.store.all("SELECT namespace FROM indexed_tasks") == [{"namespace": "c"}]
    assert site.store.all("SELECT name FROM namespaces") == [{"name": "c"}]


# Completed tasks


@pytest.fixture
def complete(site: Any, slug: Callable[[int], str], task: Callable[..., Any]) -> Callable[..., Any]:
    """Creates a task and publishes its completion as the queue does; returns its definition."""

    def call(number: int, routes: list[str], **extra: Any) -> Any:
        target = f"/api/queue/v1/task/{slug(number)}"
        status = site.ok("PUT", target, task(routes=routes, extra=extra))["status"]
        with site.store.transaction():
            payload = {"status": status, "runId": 0, "workerGroup": "g", "workerId": "i", "version": 1}
            site.deployment.events.publish("queue", "taskCompleted", payload, routes=routes, taskId=slug(number))
        return site.ok("GET", target)

    return call


def test_indexes_completed_tasks(site: Any, slug: Callable[[int], str], complete: Callable[..., Any]) -> None:
    definition = complete(1, ["index.a.b", "index.a.c", "other.a.d"])
    for path in ("a.b", "a.c"):
        assert site.ok("GET", f"{ROOT}/task/{path}") == {
            "namespace": path,
            "taskId": slug(1),
            "rank": 0,
            "data": {},
            "expires": definition["expires"],
        }
    assert len(site.ok("GET", f"{ROOT}/tasks/a")["tasks"]) == 2


def test_task_specifies_rank_data_and_expiry(
    site: Any, slug: Callable[[int], str], complete: Callable[..., Any]
) -> None:
    expires = site.clock.at(hours=5)
    complete(1, ["index.a.b"], index={"rank": 5, "data": {"x": 1}, "expires": expires})
    complete(2, ["index.a.b"], index={"rank": 4})
    assert site.ok("GET", f"{ROOT}/task/a.b") == {
        "namespace": "a.b",
        "taskId": slug(1),
        "rank": 5,
        "data": {"x": 1},
        "expires": expires,
    }


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("a..b", {}),
        ("a.b", {"rank": "high"}),
        ("a.b", {"data": [1]}),
        ("a.b", {"expires": "tomorrow"}),
        ("a.b", {"expires": 5}),
    ],
)
def test_skips_invalid_routes(site: Any, complete: Callable[..., Any], path: str, extra: Any) -> None:
    complete(1, [f"index.{path}"], index=extra)
    assert site.ok("GET", f"{ROOT}/tasks/a") == {"tasks": []}


# Artifacts


def test_redirects_to_signed_url_of_private_artifact(site: Any, slug: Callable[[int], str], insert: Any) -> None:
    insert("a.b", 1)
    response = site.call("GET", f"{ROOT}/task/a.b/artifacts/private/x%20y")
    assert response.status == 303
    assert response.headers["content-type"].startswith("text/plain")
    url = urlsplit(response.headers["location"])
    assert url.netloc == "tc.example.com:8080"
    assert url.path == f"/api/queue/v1/task/{slug(1)}/artifacts/private%2Fx%20y"

    def found() -> int:
        return int(site.call("GET", f"{url.path}?{url.query}", by=None).status)

    assert url.query.startswith("bewit=")
    assert found() not in (401, 403)
    site.clock.advance(minutes=15)
    assert found() == 401


def test_redirects_to_queue_if_artifact_is_missing(
    site: Any, slug: Callable[[int], str], insert: Callable[..., Any]
) -> None:
    insert("a.b", 1)
    response = site.call("GET", f"{ROOT}/task/a.b/artifacts/public/x", by=None)
    assert response.status == 303
    expected = f"http://tc.example.com:8080/api/queue/v1/task/{slug(1)}/artifacts/public%2Fx"
    assert response.headers["location"] == expected


@pytest.mark.parametrize(
    ("content", "direct"),
    [
        ({"storageType": "s3", "url": "https://example.com/data"}, True),
        ({"storageType": "reference", "url": "https://example.com/data"}, True),
        ({"storageType": "error", "reason": "r", "message": "m"}, False),
    ],
)
def test_redirects_to_data_of_public_artifact(
    site: Any, insert: Callable[..., Any], content: dict[str, str], direct: bool
) -> None:
    async def latestArtifact(call: Any) -> dict[str, str]:
        call.authorize(names=[call.params["name"]])
        assert not call.identity.has_credentials
        return content

    site.deployment.api.handlers["queue", "latestArtifact"] = latestArtifact
    insert("a.b", 1)
    location = site.call("GET", f"{ROOT}/task/a.b/artifacts/public/x").headers["location"]
    assert (location == "https://example.com/data") == direct


def test_redirects_to_signed_url_of_private_link_target(site: Any, insert: Callable[..., Any]) -> None:
    async def latestArtifact(call: Any) -> dict[str, str]:
        call.authorize(names=[call.params["name"], "private/x"])
        return {}

    site.deployment.api.handlers["queue", "latestArtifact"] = latestArtifact
    insert("a.b", 1)
    location = site.call("GET", f"{ROOT}/task/a.b/artifacts/public/x", by=None).headers["location"]
    assert "?bewit=" in location


def test_returns_404_for_artifact_of_unknown_entry(site: Any, insert: Callable[..., Any]) -> None:
    insert("a.b", hours=-1)
    for path in ("a.b", "a.c"):
        assert site.call("GET", f"{ROOT}/task/{path}/artifacts/public/x").message == "Indexed task not found"
    assert site.call("GET", f"{ROOT}/task/a.b/artifacts/private/x", by="nobody").status == 403
