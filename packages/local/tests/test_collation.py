"""Tests of the order of names, in every listing of every service."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskcluster_local.collation import collation_key

NAMES = ["0", "1a", "a", "a-b", "A-b", "ab", "aB", "Ab", "b", "B"]
METADATA = {"name": "n", "description": "d", "owner": "o@example.com", "emailOnError": False}
POOL = {"providerId": "static", "description": "", "config": {}, "owner": "o@example.com", "emailOnError": False}
WORKER_POOL = "/api/worker-manager/v1/worker-pool"
HOOKS = "/api/hooks/v1/hooks"


def test_sorts_names_like_icu() -> None:
    """Sorted by `new Intl.Collator("en-US")` of Node 24."""
    names = [*" _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ"]
    names += ["a b", "a_b", "a-b", "a.b", "a/b", "ab", "aB", "Ab", "AB", "ab/c", "abc", "é", "ée", "É", "f€"]
    expected = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
    letters = ["a", "A", "a b", "a_b", "a-b", "a.b", "a/b", "ab", "aB", "Ab", "AB", "ab/c", "abc", "b", "B"]
    rest = [*"cCdDeEéÉ", "ée", "f", "F", "f€", *"gGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ"]
    random.Random(1).shuffle(names)
    assert sorted(names, key=collation_key) == [*expected, *letters, *rest]
    assert len({collation_key(name) for name in [*names, "A\u0301", "Á", "ß", "SS"]}) == len(names) + 4


def in_pools(names: list[str]) -> list[str]:
    return sorted((f"{name}/w" for name in names), key=collation_key)


class Maker:
    """Creates the items of listings; returns the paths of the listings and the names of their items."""

    def __init__(self, site: Any, task: Callable[..., Any], slug: Callable[[int], str]) -> None:
        self.site, self.task, self.slug = site, task, slug

    def put(self, path: str, payload: Any, verb: str = "PUT") -> None:
        self.site.ok(verb, path, payload)

    @property
    def expires(self) -> str:
        return str(self.site.clock.at(days=1))

    def taskId(self, name: str) -> str:
        return f"{name.replace('-', '_'):Q<8}QAC0000000000A"

    def create_tasks(self, names: list[str], **fields: Any) -> None:
        for name in names:
            self.put(f"/api/queue/v1/task/{self.taskId(name)}", self.task(**fields))

    def clients(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            self.put(f"/api/auth/v1/clients/n{name}", {"expires": self.expires, "description": ""})
        return "/api/auth/v1/clients/?prefix=n", "clients.clientId", [f"n{name}" for name in NAMES]

    def roles(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            self.put(f"/api/auth/v1/roles/{name}", {"scopes": [], "description": ""})
        return "/api/auth/v1/roles2/", "roles.roleId", NAMES

    def roleIds(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.roles(names)
        return "/api/auth/v1/roleids/", "roleIds", NAMES

    def all_roles(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.roles(names)
        return "/api/auth/v1/roles/", ".roleId", NAMES

    def secrets(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            self.put(f"/api/secrets/v1/secret/{name}", {"secret": {}, "expires": self.expires})
        return "/api/secrets/v1/secrets", "secrets", NAMES

    def task_group(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.create_tasks(names, taskGroupId=self.slug(9))
        path = f"/api/queue/v1/task-group/{self.slug(9)}/list"
        return path, "tasks.status.taskId", sorted(map(self.taskId, NAMES), key=collation_key)

    def dependents(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.put(f"/api/queue/v1/task/{self.slug(1)}", self.task())
        self.create_tasks(names, dependencies=[self.slug(1)])
        path = f"/api/queue/v1/task/{self.slug(1)}/dependents"
        return path, "tasks.status.taskId", sorted(map(self.taskId, NAMES), key=collation_key)

    def artifacts(self, names: list[str]) -> tuple[str, str, list[str]]:
        task = f"/api/queue/v1/task/{self.slug(1)}"
        self.put(task, self.task())
        self.put("/api/queue/v1/claim-work/p/w", {"workerGroup": "g", "workerId": "i"}, "POST")
        for name in names:
            payload = {"storageType": "reference", "url": "https://example.com", "contentType": "a"}
            self.put(f"{task}/runs/0/artifacts/{name}", {**payload, "expires": self.site.clock.at(hours=1)}, "POST")
        return f"{task}/artifacts", "artifacts.name", NAMES

    def seen(self, names: list[str], queue: str, worker: dict[str, str]) -> None:
        for name in names:
            given = {key: value.format(name) for key, value in worker.items()}
            self.put(f"/api/queue/v1/claim-work/{queue.format(name)}", given, "POST")

    def provisioners(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.seen(names, "{}/w", {"workerGroup": "g", "workerId": "i"})
        return "/api/queue/v1/provisioners", "provisioners.provisionerId", NAMES

    def task_queues(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.seen(names, "{}/w", {"workerGroup": "g", "workerId": "i"})
        return "/api/queue/v1/task-queues", "taskQueues.taskQueueId", in_pools(NAMES)

    def workers(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.seen(names, "p/w", {"workerGroup": "{}", "workerId": "i"})
        return "/api/worker-manager/v1/provisioners/p/worker-types/w/workers", "workers.workerGroup", NAMES

    def namespaces(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            payload = {"taskId": self.slug(1), "rank": 0, "data": {}, "expires": self.expires}
            self.put(f"/api/index/v1/task/n.{name}.x", payload)
            self.put(f"/api/index/v1/task/n.{name}", payload)
        return "/api/index/v1/namespaces/n", "namespaces.name", NAMES

    def indexed_tasks(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.namespaces(names)
        return "/api/index/v1/tasks/n", "tasks.namespace", [f"n.{name}" for name in NAMES]

    def hook_groups(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            self.put(f"{HOOKS}/{name}/h", {"metadata": METADATA, "task": {}})
        return HOOKS, "groups", NAMES

    def hooks(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            self.put(f"{HOOKS}/g/{name}", {"metadata": METADATA, "task": {}})
        return f"{HOOKS}/g", "hooks.hookId", NAMES

    def worker_pools(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            self.put(f"{WORKER_POOL}/{name}%2Fw", POOL)
        return f"{WORKER_POOL}s", "workerPools.workerPoolId", in_pools(NAMES)

    def pool_workers(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.put(f"{WORKER_POOL}/p%2Fw", POOL)
        for name in names:
            payload = {"expires": self.expires, "providerInfo": {"staticSecret": "s" * 44}}
            self.put(f"/api/worker-manager/v1/workers/p%2Fw/g/{name}", payload)
        return "/api/worker-manager/v1/workers/p%2Fw", "workers.workerId", NAMES

    def denylist(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            payload = {"notificationType": "pulse", "notificationAddress": name}
            assert self.site.call("POST", "/api/notify/v1/denylist/add", payload).status == 200
        return "/api/notify/v1/denylist/list", "addresses.notificationAddress", NAMES

    def purge_requests(self, names: list[str]) -> tuple[str, str, list[str]]:
        for name in names:
            assert self.site.call("POST", "/api/purge-cache/v1/purge-cache/p%2Fw", {"cacheName": name}).status == 204
        return "/api/purge-cache/v1/purge-cache/list", "requests.cacheName", NAMES

    def purge_requests_of_a_pool(self, names: list[str]) -> tuple[str, str, list[str]]:
        self.purge_requests(names)
        return "/api/purge-cache/v1/purge-cache/p%2Fw", "requests.cacheName", NAMES


LISTINGS = [
    name
    for name, value in vars(Maker).items()
    if str(getattr(value, "__annotations__", {}).get("return", "")).startswith("tuple")
]
IN_ONE_PAGE = {"all_roles", "hook_groups", "hooks", "purge_requests_of_a_pool"}


def found(body: Any, where: str) -> Iterator[str]:
    listed, *keys = where.split(".")
    for row in body[listed] if listed else body:
        for key in keys:
            row = row[key]
        yield row


@pytest.mark.once
@pytest.mark.parametrize("listing", LISTINGS)
def test_lists_in_order_of_names(site: Any, task: Any, slug: Any, listing: str) -> None:
    names = [*NAMES]
    random.Random(listing).shuffle(names)
    path, where, expected = getattr(Maker(site, task, slug), listing)(names)
    assert [name for name in found(site.ok("GET", path), where) if name in expected] == expected
    if listing in IN_ONE_PAGE:
        return
    pages: list[str] = []
    query = f"{path}{'&' if '?' in path else '?'}limit=3"
    token: str | None = ""
    while token is not None:
        page = site.ok("GET", query + token)
        pages += found(page, where)
        token = f"&continuationToken={page['continuationToken']}" if "continuationToken" in page else None
    assert [name for name in pages if name in expected] == expected
