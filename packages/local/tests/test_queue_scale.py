"""Tests of the queue service: the cost of a request does not depend on the number of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from taskcluster_local.pages import _token

ROOT = "/api/queue/v1"
WORKER = {"workerGroup": "g", "workerId": "i"}
Make = Callable[..., Any]


@pytest.fixture
def plans(site: Any, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """The query plans of requests: each statement with a step of its plan."""
    found: set[tuple[str, str]] = set()
    execute = site.store._execute

    def explained(statement: str, values: Any = ()) -> Any:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            for row in execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall():
                found.add((statement, row["detail"]))
        return execute(statement, values)

    monkeypatch.setattr(site.store, "_execute", explained)
    return found


def test_every_query_uses_an_index(site: Any, slug: Make, task: Make, plans: set[tuple[str, str]]) -> None:
    for number in range(1, 6):
        dependencies = [slug(1)] if number == 5 else []
        payload = task(taskGroupId=slug(9), dependencies=dependencies)
        site.ok("PUT", f"{ROOT}/task/{slug(number)}", payload)
    site.ok("POST", f"{ROOT}/claim-work/p/w", {**WORKER, "tasks": 3})
    for number in (1, 2):
        path = f"{ROOT}/task/{slug(1)}/runs/0/artifacts/{number}"
        payload = {"storageType": "reference", "url": "https://example.com", "contentType": "a"}
        site.ok("POST", path, {**payload, "expires": site.clock.at(hours=1)})
    listings = [
        f"task/{slug(1)}/runs/0/artifacts",
        f"task-group/{slug(9)}/list",
        f"task/{slug(1)}/dependents",
        "task-queues/p/w/pending",
        "task-queues/p/w/claimed",
        "task-queues",
        "provisioners/p/worker-types",
        "provisioners/p/worker-types/w/workers",
    ]
    for path in listings:
        token = site.ok("GET", f"{ROOT}/{path}?limit=1").get("continuationToken")
        if token is not None:
            site.ok("GET", f"{ROOT}/{path}?limit=1&continuationToken={token}")
    for path in ("task-queues/p/w/counts", f"task/{slug(1)}/status", f"task/{slug(1)}/artifacts/1"):
        assert site.call("GET", f"{ROOT}/{path}").status in (200, 303)
    site.ok("POST", f"{ROOT}/task/{slug(1)}/runs/0/completed")
    site.ok("POST", f"{ROOT}/task-group/{slug(9)}/priority", {"newPriority": "high"})
    site.deployment.shared.queue.claims.end_runs("p/w", ("g", "i"), site.clock())
    for _ in range(2):
        asyncio.run(site.deployment.pass_time())
        site.clock.advance(hours=2)
    tables = {
        "tasks", "dependencies", "other", "artifacts", "task_groups", "queue_counts", "queue_workers", "task_queues",
        "provisioners",
    }  # fmt: skip
    about = {(statement, step) for statement, step in plans if set(step.split()[1:2]) & tables or "TEMP" in step}
    assert len(about) > 30
    slow = {
        (statement, step)
        for statement, step in about
        # A scan in index order ends with the page; a sort reads everything first.
        if "TEMP B-TREE" in step or (step.startswith("SCAN") and "USING" not in step and "LIMIT" not in statement)
    }
    assert not slow


def test_deep_page_costs_no_more_than_first(site: Any, slug: Make, task: Make) -> None:
    """Counted in steps of SQLite's virtual machine, because seconds depend on the load."""
    site.ok("PUT", f"{ROOT}/task/{slug(0)}", task(taskGroupId=slug(99999999)))
    [row] = site.store.all("SELECT * FROM tasks")
    columns = list(row)
    marks = ", ".join("?" * len(columns))
    with site.store.transaction():
        for number in range(1, 20_000):
            values = {**row, "taskId": slug(number), "pendingSince": number + 1}
            site.store.run(f"INSERT INTO tasks VALUES ({marks})", *values.values())
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def cost(path: str) -> tuple[int, Any]:
        nonlocal steps
        steps = 0
        site.store._connection.set_progress_handler(count, 10)
        response = site.ok("GET", f"{ROOT}/{path}")
        site.store._connection.set_progress_handler(None, 0)
        return steps, response

    deep_in: list[tuple[str, Any]] = [
        (f"task-group/{slug(99999999)}/list", [slug(19_000)]),
        ("task-queues/p/w/pending", [6, 19_001]),
    ]
    for path, key in deep_in:
        first, _ = cost(f"{path}?limit=5")
        deep, page = cost(f"{path}?limit=5&continuationToken={_token(key)}")
        found = [each.get("taskId") or each["status"]["taskId"] for each in page["tasks"]]
        assert found == [slug(number) for number in range(19_001, 19_006)]
        assert deep < first + 50
    assert cost("task-queues/p/w/counts")[0] < 50
    assert cost("task-queues/p/w/counts")[1]["pendingTasks"] == 20_000
