"""Tests of the actions on tasks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest

import taskcluster
from taskcluster.timestamps import parse_date
from taskcluster_local import LocalTaskcluster
from taskcluster_local.site.definitions import retriggered
from taskcluster_local.site.views.actions import offered

from .visitor import ATTACKS, VisitedPage, Visitor, assert_harmless, create_task

METADATA = {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture(scope="module")
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


@pytest.fixture(scope="module")
def queue(local: LocalTaskcluster) -> taskcluster.Queue:
    return taskcluster.Queue(local.options())


def in_state(local: LocalTaskcluster, queue: taskcluster.Queue, state: str) -> str:
    """Return a new task in a state."""
    if state == "unscheduled":
        return create_task(local, dependencies=[create_task(local)])
    taskId = create_task(local, taskQueueId=f"site/{state}")
    if state != "pending":
        queue.claimWork(f"site/{state}", {"workerGroup": "g", "workerId": "i", "tasks": 32})
    if state in ("completed", "failed"):
        queue.reportFailed(taskId, "0") if state == "failed" else queue.reportCompleted(taskId, "0")
    if state == "exception":
        queue.cancelTask(taskId)
    return taskId


ACTIONS = {
    "unscheduled": {"cancel", "schedule", "priority"},
    "pending": {"cancel", "priority"},
    "running": {"cancel", "priority"},
    "completed": {"rerun"},
    "failed": {"rerun"},
    "exception": {"rerun"},
}


def actions_on(page: VisitedPage, taskId: str) -> set[str]:
    base = f"/tasks/{taskId}/"
    return {form.action.removeprefix(base) for form in page.forms if form.action.startswith(base)} - {"retrigger"}


@pytest.mark.parametrize("state", ACTIONS)
def test_actions_are_those_of_the_state(local: LocalTaskcluster, root: Visitor, queue: Any, state: str) -> None:
    taskId = in_state(local, queue, state)
    page = root.open(f"/tasks/{taskId}")
    assert actions_on(page, taskId) == ACTIONS[state]
    assert page.form(f"/tasks/{taskId}/retrigger")
    assert f"/tasks/create?taskId={taskId}" in page.links


@pytest.mark.parametrize(
    ("action", "state", "result"),
    [
        ("cancel", "running", "exception"),
        ("rerun", "failed", "pending"),
        ("schedule", "unscheduled", "pending"),
    ],
)
def test_actions_change_the_task(
    local: LocalTaskcluster, root: Visitor, queue: Any, action: str, state: str, result: str
) -> None:
    taskId = in_state(local, queue, state)
    page = root.submit(root.open(f"/tasks/{taskId}"), f"/tasks/{taskId}/{action}")
    assert (page.path, page.status) == (f"/tasks/{taskId}", 200)
    assert queue.status(taskId)["status"]["state"] == result


def test_changes_the_priority(local: LocalTaskcluster, root: Visitor, queue: Any) -> None:
    taskId = create_task(local)
    page = root.open(f"/tasks/{taskId}")
    assert page.form(f"/tasks/{taskId}/priority").fields["priority"] == "lowest"
    root.submit(page, f"/tasks/{taskId}/priority", priority="high")
    assert queue.task(taskId)["priority"] == "high"
    refused = root.submit(page, f"/tasks/{taskId}/priority", priority=ATTACKS["script"])
    assert (refused.status, "newPriority" in refused.text) == (400, True)
    assert_harmless(refused)


def test_retriggers_as_a_new_task(local: LocalTaskcluster, root: Visitor, queue: Any) -> None:
    artifacts = [{"name": "public/a", "expires": taskcluster.fromNow("2 days")}]
    taskId = create_task(
        local,
        dependencies=[create_task(local)],
        routes=["index.site.retriggered"],
        payload={"artifacts": artifacts},
        expires=taskcluster.fromNow("3 days"),
        metadata={**METADATA, "name": "again"},
    )
    before = queue.task(taskId)
    # Not so far that the other tests have to use this time.
    local.advance(minutes=10)
    page = root.submit(root.open(f"/tasks/{taskId}"), f"/tasks/{taskId}/retrigger")
    made = page.path.removeprefix("/tasks/")
    after = queue.task(made)
    changed = {"created", "deadline", "expires", "payload", "routes", "dependencies"}
    assert {name for name in before if before[name] != after[name]} == changed
    assert after["routes"] == after["dependencies"] == []
    assert parse_date(after["created"]) - parse_date(before["created"]) >= timedelta(minutes=10)
    assert spans(after) == spans(before)
    assert queue.status(made)["status"]["state"] == "pending"


def test_the_latest_date_is_not_moved() -> None:
    dates = {"created": "2030-01-01T00:00:00.000Z", "expires": "9999-12-31T00:00:00.000Z"}
    now = datetime(2031, 1, 1, tzinfo=timezone.utc)
    assert retriggered(dates, now) == {**dates, "created": "2031-01-01T00:00:00.000Z"}


def spans(definition: Any) -> list[timedelta]:
    """Return how long after a task's creation its other dates are."""
    dates = definition["deadline"], definition["expires"], definition["payload"]["artifacts"][0]["expires"]
    found = [parse_date(date) - parse_date(definition["created"]) for date in dates]
    return [timedelta(seconds=span // timedelta(seconds=1)) for span in found]


def test_nothing_can_be_changed_after_the_deadline() -> None:
    now = datetime(2030, 1, 1, tzinfo=timezone.utc)
    status = {"state": "pending", "deadline": "2030-01-01T00:00:00.000Z", "runs": []}
    assert offered(status, now)["cancel"]
    assert not any(offered(status, now + timedelta(milliseconds=1)).values())


@pytest.mark.parametrize("action", ["cancel", "rerun", "schedule", "priority", "retrigger"])
def test_actions_without_scopes_name_them(local: LocalTaskcluster, queue: Any, action: str) -> None:
    state = {"rerun": "failed", "schedule": "unscheduled"}.get(action, "pending")
    taskId = in_state(local, queue, state)
    anyone = Visitor(local)
    page = anyone.open(f"/tasks/{taskId}")
    refused = anyone.submit(page, f"/tasks/{taskId}/{action}", priority="high")
    assert refused.status == 403
    scope = {"priority": "queue:change-task-priority:", "retrigger": "queue:create-task:"}.get(
        action, f"queue:{action}-task:"
    )
    assert scope in refused.text
    # Not to the path of the action.
    assert f"/tasks/{taskId}" in refused.links
    assert f"/signin?back={quote(f'/tasks/{taskId}', safe='')}" in refused.links
    assert queue.status(taskId)["status"]["priority"] == "lowest"


@pytest.mark.parametrize(
    "referer", ["", "https://evil.example/x", "{}//evil.example", "{}/\\evil.example", "x", "{}:1/x"]
)
def test_refused_forms_lead_back_to_this_site_only(local: LocalTaskcluster, referer: str) -> None:
    given = {"Referer": referer.format(local.root_url)}
    refused = Visitor(local).send("POST", f"/tasks/{taskcluster.slugId()}/cancel", b"", given)
    assert refused.status == 403
    assert "/signin?back=%2F" in refused.links
    assert not [link for link in refused.links if "evil" in link or ":" in link]
