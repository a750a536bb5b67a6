"""Test that the cost of a call does not grow with a hundred thousand tasks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskcluster.slugs import slugId
from taskcluster_local.api import HttpRequest
from taskcluster_local.authentication import Identity
from taskcluster_local.deployment import Configuration, Deployment
from taskcluster_local.store import Store
from taskcluster_local.timestamps import system_clock, to_wire

from .serving import definition

TASKS = 100_000


class Crowded:
    """A deployment with many tasks in one group, which counts the steps of its database."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / "taskcluster.sqlite")
        self.deployment = Deployment(Configuration(), self.store, directory / "files", "http://localhost")
        self.group = slugId()
        self.steps = 0
        self._multiply(slugId())

    def _multiply(self, seed: str) -> None:
        """Create one task with the API, and copy its rows in every table."""
        self.invoke("createTask", {"taskId": seed}, self.task())
        tables = [row["name"] for row in self.store.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
        numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
        with self.store.transaction():
            for table in tables:
                columns = [row["name"] for row in self.store.all(f"PRAGMA table_info({table})")]
                if "taskId" not in columns:
                    continue
                values = ["printf('%08dQ0C0000000000A', n)" if name == "taskId" else name for name in columns]
                self.store.run(
                    f"{numbers} INSERT INTO {table} SELECT {', '.join(values)} FROM {table}, numbers WHERE taskId = ?",
                    TASKS - 1,
                    seed,
                )

    def task(self) -> dict[str, Any]:
        now = system_clock()
        times = to_wire(now), to_wire(now.replace(year=now.year + 1))
        made = definition(times[0], times[0], taskGroupId=self.group, taskQueueId="p/w", expires=times[1])
        # No periodic job has work before the deadline.
        return {**made, "deadline": to_wire(now.fromtimestamp(now.timestamp() + 3600, now.tzinfo))}

    def invoke(self, method: str, params: dict[str, str], payload: Any = None) -> Any:
        return asyncio.run(_awaited(self.deployment.api.invoke("queue", method, params, payload or {}, self.root())))

    def root(self) -> Identity:
        scopes = self.deployment.api._directory.expand(["*"])
        return Identity("static/taskcluster/root", ("*",), scopes, system_clock().replace(year=3000))

    def page(self, query: str) -> dict[str, Any]:
        target = f"/api/queue/v1/task-group/{self.group}/list?{query}"
        # Public.
        response = asyncio.run(self.deployment.api.respond(HttpRequest("GET", target, {"host": "localhost"})))
        assert response.status == 200, response.body
        found: dict[str, Any] = json.loads(response.body)
        return found

    @contextmanager
    def counting(self) -> Iterator[list[int]]:
        """Count the steps of SQLite's virtual machine, which are deterministic."""
        steps = [0]

        def step() -> int:
            steps[0] += 1
            return 0

        self.store._connection.set_progress_handler(step, 1)
        try:
            yield steps
        finally:
            self.store._connection.set_progress_handler(None, 1)


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowded]:
    made = Crowded(tmp_path_factory.mktemp("crowded"))
    yield made
    made.store.close()


def test_listing_costs_the_same_for_every_page(crowded: Crowded) -> None:
    seen: set[str] = set()
    costs: list[int] = []
    query = "limit=1000"
    while query:
        with crowded.counting() as steps:
            body = crowded.page(query)
        costs.append(steps[0])
        seen.update(member["status"]["taskId"] for member in body["tasks"])
        token = body.get("continuationToken")
        query = f"limit=1000&continuationToken={token}" if token else ""
    assert len(seen) == TASKS
    assert len(costs) == TASKS // 1000
    # The first page has no start, and the last may be shorter.
    assert max(costs[1:-1]) <= min(costs[1:-1]) * 1.1
    assert costs[0] <= costs[1] * 1.1


def test_claiming_and_creating_cost_the_same(crowded: Crowded, tmp_path: Path) -> None:
    def costs(deployment: Crowded) -> list[int]:
        found: list[int] = []
        for method, params, payload in (
            ("createTask", {"taskId": slugId()}, deployment.task()),
            ("claimWork", {"taskQueueId": "p/w"}, {"workerGroup": "g", "workerId": "i", "tasks": 1}),
        ):
            with deployment.counting() as steps:
                deployment.invoke(method, params, payload)
            found.append(steps[0])
        with deployment.counting() as steps:
            asyncio.run(deployment.deployment.pass_time())
        return [*found, steps[0]]

    few = Few(tmp_path)
    try:
        for many, some in zip(costs(crowded), costs(few), strict=True):
            # The search tree is a few levels deeper.
            assert many <= some * 2 + 200
    finally:
        few.store.close()


class Few(Crowded):
    """The same with one task."""

    def _multiply(self, seed: str) -> None:
        self.invoke("createTask", {"taskId": seed}, self.task())


def test_reopening_takes_seconds(crowded: Crowded, tmp_path: Path) -> None:
    """The integrity check reads everything, which takes some seconds."""
    copy = tmp_path / "taskcluster.sqlite"
    crowded.store.run("VACUUM INTO ?", str(copy))
    before = time.monotonic()
    Store(copy).close()
    assert time.monotonic() - before < 30
