"""Tests of profiles of tasks for the Firefox Profiler."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taskcluster_local.authentication import Identity
from taskcluster_local.scopes import ScopeSet
from taskcluster_local.services.auth.state import NEVER


def profile(site: Any, path: str) -> Any:
    # The scope for profiles suffices: those for the tasks are not required.
    return site.ok("GET", f"/api/web-server/v1/{path}/profile", by=None)


def lengths(thread: dict[str, Any]) -> None:
    """Every column of a table must have the stated length."""
    for table in thread.values():
        if isinstance(table, dict) and "length" in table:
            assert {len(column) for column in table.values() if isinstance(column, list)} <= {table["length"]}


@pytest.fixture
def worked(site: Any, slug: Any, task: Any) -> Any:
    """A group of three tasks: one ran for 20 seconds, one is running, one on another queue is pending."""
    for number, queue in ((1, "p/w"), (2, "p/w"), (3, "p/other")):
        definition = task(taskQueueId=queue, taskGroupId=slug(9), schedulerId="s")
        site.ok("PUT", f"/api/queue/v1/task/{slug(number)}", definition)
    site.clock.advance(seconds=10)
    worker = {"workerGroup": "g", "workerId": "i"}
    for number in (1, 2):
        site.ok("POST", f"/api/queue/v1/task/{slug(number)}/runs/0/claim", worker)
    site.clock.advance(seconds=20)
    site.ok("POST", f"/api/queue/v1/task/{slug(1)}/runs/0/completed")
    site.clock.advance(seconds=5)
    return site


def test_profile_of_task_group(worked: Any, slug: Any) -> None:
    found = profile(worked, f"task-group/{slug(9)}")
    names = [category["name"] for category in found["meta"]["categories"]]
    shown: dict[str, list[Any]] = {}
    for thread in found["threads"]:
        lengths(thread)
        markers = thread["markers"]
        assert [thread["stringArray"][name] for name in markers["name"]] == ["n"] * markers["length"]
        shown[thread["name"]] = [
            (data["taskId"], names[category], start, end)
            for data, category, start, end in zip(
                markers["data"], markers["category"], markers["startTime"], markers["endTime"], strict=True
            )
        ]
    assert shown == {
        "p/w": [
            (slug(1), "pending", 0, 10_000),
            (slug(1), "completed", 10_000, 30_000),
            (slug(2), "pending", 0, 10_000),
            (slug(2), "running", 10_000, 35_000),
        ],
        "p/other": [(slug(3), "pending", 0, 35_000)],
    }
    assert found["meta"]["markerSchema"][0]["name"] == found["threads"][0]["markers"]["data"][0]["type"]


def test_profile_of_task(worked: Any, slug: Any) -> None:
    found = profile(worked, f"task/{slug(1)}")
    (thread,) = found["threads"]
    assert thread["markers"]["data"][1] == {
        "type": "Task",
        "label": "n",
        "taskId": slug(1),
        "runId": "0",
        "state": "completed",
        "reasonResolved": "completed",
        "workerGroup": "g",
        "workerId": "i",
        "url": f"http://tc.example.com:8080/tasks/{slug(1)}/runs/0",
    }


@pytest.mark.parametrize("kind", ["task", "task-group"])
def test_returns_404_for_unknown_task(site: Any, slug: Any, kind: str) -> None:
    assert site.call("GET", f"/api/web-server/v1/{kind}/{slug(1)}/profile", by=None).code == "ResourceNotFound"
    assert site.call("GET", f"/api/web-server/v1/{kind}/x/profile", by=None).code == "InvalidRequestArguments"


def test_profile_of_group_with_many_pages(site: Any, slug: Any, task: Any) -> None:
    everything = Identity("someone", ("*",), ScopeSet(["*"]), NEVER)

    async def create() -> None:
        for number in range(1, 1003):
            definition = task(taskGroupId=slug(9999), schedulerId="s")
            await site.deployment.api.invoke("queue", "createTask", {"taskId": slug(number)}, definition, everything)

    asyncio.run(create())
    (thread,) = profile(site, f"task-group/{slug(9999)}")["threads"]
    assert len({data["taskId"] for data in thread["markers"]["data"]}) == 1002
