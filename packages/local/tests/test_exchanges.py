"""Tests that every exchange gets its messages, except those of workers in clouds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskcluster_local.endpoints import references
from taskcluster_local.events import Binding, Message

EXCHANGES = {
    (service, each["name"]): reference["exchangePrefix"] + each["exchange"]
    for service, reference in references().items()
    for each in reference.get("exchanges", ())
}
SILENT = {"workerRequested", "workerRunning", "workerStopped", "workerRemoved"}
"""Exchanges without messages: none are published about static workers."""
WORKER = {"workerGroup": "g", "workerId": "i"}


def auth(site: Any, slug: Any, task: Any) -> None:
    client = {"expires": site.clock.at(days=1), "description": "", "scopes": []}
    role = {"scopes": ["a"], "description": ""}
    for path, payload in (("clients/c", client), ("roles/r", role)):
        site.ok("PUT", f"/api/auth/v1/{path}", payload)
        site.ok("POST", f"/api/auth/v1/{path}", {**payload, "description": "changed"})
        assert site.call("DELETE", f"/api/auth/v1/{path}").status == 204


def hooks(site: Any, slug: Any, task: Any) -> None:
    about = {"name": "n", "description": "d", "owner": "o@example.com"}
    site.ok("PUT", "/api/hooks/v1/hooks/g/h", {"metadata": about, "task": {}})
    site.ok("POST", "/api/hooks/v1/hooks/g/h", {"metadata": {**about, "name": "m"}, "task": {}})
    site.ok("DELETE", "/api/hooks/v1/hooks/g/h")


def notify(site: Any, slug: Any, task: Any) -> None:
    assert site.call("POST", "/api/notify/v1/pulse", {"routingKey": "a.b", "message": {}}).status == 200


def queue(site: Any, slug: Any, task: Any) -> None:
    for number in range(1, 4):
        site.ok("PUT", f"/api/queue/v1/task/{slug(number)}", task(taskGroupId=slug(9)))
    site.ok("POST", f"/api/queue/v1/task/{slug(1)}/priority", {"newPriority": "high"})
    site.ok("POST", f"/api/queue/v1/task-group/{slug(9)}/priority", {"newPriority": "low"})
    site.ok("POST", f"/api/queue/v1/task-group/{slug(9)}/seal")
    site.ok("POST", "/api/queue/v1/claim-work/p/w", {**WORKER, "tasks": 3})
    link = {"storageType": "link", "expires": site.clock.at(hours=1), "artifact": "b"}
    site.ok("POST", f"/api/queue/v1/task/{slug(1)}/runs/0/artifacts/a", link)
    site.ok("POST", f"/api/queue/v1/task/{slug(1)}/runs/0/completed")
    site.ok("POST", f"/api/queue/v1/task/{slug(2)}/runs/0/failed")
    site.ok("POST", f"/api/queue/v1/task/{slug(3)}/runs/0/exception", {"reason": "internal-error"})


def worker_manager(site: Any, slug: Any, task: Any) -> None:
    root, secret = "/api/worker-manager/v1", "s" * 44
    pool = {"providerId": "static", "description": "d", "owner": "o@example.com", "emailOnError": False}
    named = {"workerManager": {"launchConfigId": "l"}}
    for verb, capacity in (("PUT", 1), ("POST", 2), ("POST", None)):
        launch = [] if capacity is None else [{"capacityPerInstance": capacity, **named}]
        site.ok(verb, f"{root}/worker-pool/p/w", {**pool, "config": {"launchConfigs": launch}})
    place = f"{root}/workers/p%2Fw/g/i"
    site.ok("PUT", place, {"expires": site.clock.at(days=1), "providerInfo": {"staticSecret": secret}})
    proof = {"providerId": "static", "workerPoolId": "p/w", **WORKER, "workerIdentityProof": {"staticSecret": secret}}
    site.ok("POST", f"{root}/worker/register", proof)
    error = {**WORKER, "kind": "k", "title": "t", "description": "d", "extra": {}}
    site.ok("POST", f"{root}/worker-pool-errors/p/w", error)
    site.ok("DELETE", place)
    asyncio.run(site.deployment.pass_time())


YML = """
version: 1
policy: {pullRequests: public}
tasks:
  - provisionerId: p
    workerType: w
    created: {$fromNow: ''}
    deadline: {$fromNow: 1 day}
    payload: {}
    metadata: {name: n, description: d, owner: o, source: "https://x.org"}
"""


def github(site: Any, slug: Any, task: Any) -> None:
    role = {"scopes": ["queue:*"], "description": ""}
    site.ok("PUT", "/api/auth/v1/roles/repo:github.com%2FOrg%2Frepo:*", role)
    site.ok("PUT", "/api/local/v1/repository", {"organization": "Org", "repository": "repo", "taskclusterYml": YML})
    side = {"ref": "main", "sha": "a" * 40, "user": {"login": "someone"}}
    events = {
        "push": {"ref": "refs/heads/main", "before": "0" * 40, "after": "a" * 40},
        "pull_request": {"action": "opened", "number": 3, "pull_request": {"head": side, "base": side}},
        "release": {"action": "published", "release": {"tag_name": "v1", "target_commitish": "main"}},
        "check_run": {"action": "rerequested", "check_run": {"id": 8, "check_suite": {"id": 9}}},
    }
    common = {
        "repository": {"name": "repo", "owner": {"login": "Org"}},
        "installation": {"id": 5},
        "sender": {"login": "someone"},
    }
    for kind, event in events.items():
        headers = {"X-GitHub-Event": kind, "X-GitHub-Delivery": "12345678-1234-1234-1234-123456789abc"}
        body = {**common, **event}
        assert site.call("POST", "/api/github/v1/github", body, by=None, headers=headers).status == 204


SCENARIOS: dict[str, Callable[[Any, Any, Any], None]] = {
    "auth": auth,
    "github": github,
    "hooks": hooks,
    "notify": notify,
    "queue": queue,
    "worker-manager": worker_manager,
}


@pytest.fixture
def published(site: Any) -> Iterator[list[Message]]:
    found: list[Message] = []
    bindings = [Binding(exchange, "#") for exchange in EXCHANGES.values()]
    subscription = site.deployment.events.subscribe(bindings, found.append)
    yield found
    subscription.close()


@pytest.mark.parametrize("service", sorted({service for service, _ in EXCHANGES}))
def test_every_exchange_gets_message(site: Any, slug: Any, task: Any, published: list[Message], service: str) -> None:
    SCENARIOS[service](site, slug, task)
    names = {exchange: name for (of, name), exchange in EXCHANGES.items() if of == service}
    heard = {names[each.exchange] for each in published if each.exchange in names}
    assert heard == set(names.values()) - SILENT
