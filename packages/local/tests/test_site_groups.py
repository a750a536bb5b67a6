"""Tests of the pages of task groups."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .visitor import ATTACKS, VisitedPage, Visitor, assert_harmless, create_task

WORKER: Any = {"workerGroup": "g", "workerId": "i", "tasks": 1}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture
def anyone(local: LocalTaskcluster) -> Visitor:
    return Visitor(local)


@pytest.fixture
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "description": "d", "owner": "o", "source": "https://example.com"}}


def rows(page: VisitedPage) -> set[str]:
    return {each["id"].removeprefix("task-") for tag, each in page.elements if tag == "tr" and "id" in each}


@pytest.fixture
def group(local: LocalTaskcluster) -> dict[str, str]:
    """A group with a task in each state, by state; `group` is its id. The failed task has a log."""
    queue = taskcluster.Queue(local.options())
    taskGroupId = taskcluster.slugId()
    found = {"group": taskGroupId}
    for state in ("completed", "failed", "exception", "running", "pending"):
        found[state] = create_task(
            local, taskGroupId=taskGroupId, taskQueueId=f"site/{state}", **named(f"Name-{state}")
        )
    found["unscheduled"] = create_task(local, taskGroupId=taskGroupId, dependencies=[found["pending"]], **named("late"))
    for state in ("completed", "failed", "exception", "running"):
        assert queue.claimWork(f"site/{state}", WORKER)["tasks"]
    queue.createArtifact(
        found["failed"],
        "0",
        "public/logs/live.log",
        {"storageType": "reference", "url": "https://example.com/log", "contentType": "text/plain",
         "expires": taskcluster.fromNow("1 hour")},
    )  # fmt: skip
    queue.reportFailed(found["failed"], "0")
    queue.reportCompleted(found["completed"], "0")
    queue.reportException(found["exception"], "0", {"reason": "internal-error"})
    return found


def test_group_shows_counts_durations_and_the_first_failure(anyone: Visitor, group: dict[str, str]) -> None:
    page = anyone.open(f"/tasks/groups/{group['group']}")
    assert page.status == 200
    states = ("unscheduled", "pending", "running", "completed", "failed", "exception")
    assert f"6 tasks: {', '.join(f'1 {state}' for state in states)}." in page.text
    assert rows(page) == {group[state] for state in states}
    assert "First failure: Name-failed , failed at" in page.text
    assert f"/tasks/{group['failed']}/runs/0/logs/public/logs/live.log" in page.links
    assert re.search(r"running Name-running 1 since 20\d\d-", page.text)
    assert re.search(r"completed Name-completed 1 \d+ s", page.text)
    assert page.text.endswith("6 of 6 tasks are shown.")
    # Actions are for those who have signed in.
    assert "Seal" not in page.text
    assert_harmless(page)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=failed", ["failed"]),
        ("name=LATE", ["unscheduled"]),
        ("name=Name-&state=running", ["running"]),
        ("name=none", []),
        ("state=&name=", ["unscheduled", "pending", "running", "completed", "failed", "exception"]),
    ],
    ids=["state", "name", "both", "nothing", "empty"],
)
def test_filters_work_without_scripts(anyone: Visitor, group: dict[str, str], query: str, shown: list[str]) -> None:
    page = anyone.open(f"/tasks/groups/{group['group']}?{query}")
    assert rows(page) == {group[state] for state in shown}
    assert page.text.endswith(f"{len(shown)} of 6 tasks are shown.")
    # The numbers above are those of the complete group.
    assert "6 tasks: 1 unscheduled," in page.text
    form = page.form(f"/tasks/groups/{group['group']}")
    given = dict(part.split("=") for part in query.split("&"))
    assert (form.fields["name"], form.fields.get("state", "")) == (given.get("name", ""), given.get("state", ""))


def test_a_script_gets_the_rows_of_some_tasks(anyone: Visitor, group: dict[str, str], local: LocalTaskcluster) -> None:
    other = create_task(local)
    asked = "&".join(f"taskId={each}" for each in (group["failed"], group["pending"], other, taskcluster.slugId()))
    page = anyone.open(f"/tasks/groups/{group['group']}/changes?{asked}")
    assert rows(page) == {group["failed"], group["pending"]}
    assert "6 tasks: 1 unscheduled," in page.text


def test_sealing_and_canceling(root: Visitor, group: dict[str, str], local: LocalTaskcluster) -> None:
    queue = taskcluster.Queue(local.options())
    path = f"/tasks/groups/{group['group']}"
    page = root.open(path)
    assert "Not sealed" in page.text
    response = root.post(page, f"{path}/seal")
    assert (response.status, response.headers["location"]) == (303, path)
    page = root.open(path)
    assert "Sealed at" in page.text
    assert "sealed" in queue.getTaskGroup(group["group"])
    page = root.submit(page, f"{path}/cancel")
    assert "6 tasks: 1 completed, 1 failed, 4 exception." in page.text
    # Canceled tasks are not what failed first.
    assert "First failure: Name-failed" in page.text
    assert not [form for form in page.forms if form.action.startswith(path) and form.method == "post"]


def test_canceling_seals_before(root: Visitor, group: dict[str, str], local: LocalTaskcluster) -> None:
    path = f"/tasks/groups/{group['group']}"
    assert "4 exception" in root.submit(root.open(path), f"{path}/cancel").text


@pytest.mark.parametrize("action", ["seal", "cancel"])
def test_actions_need_the_rights_of_the_reader(
    anyone: Visitor, group: dict[str, str], local: LocalTaskcluster, action: str
) -> None:
    path = f"/tasks/groups/{group['group']}"
    fields: Any = {"expires": taskcluster.fromNow("1 hour"), "description": "d", "scopes": []}
    auth = taskcluster.Auth(local.options())
    anyone.sign_in(auth.createClient(f"site/{taskcluster.slugId()}", fields))
    page = anyone.submit(anyone.open(path), f"{path}/{action}")
    assert page.status == 403
    assert "queue:seal-task-group:" in page.text
    assert_harmless(page)


def test_groups_can_be_opened_by_id_or_address(root: Visitor, group: dict[str, str]) -> None:
    taskGroupId = group["group"]
    for entered in (taskGroupId, f"https://tc.example/tasks/groups/{taskGroupId}#x"):
        assert root.open(f"/tasks/groups?id={quote(entered, safe='')}").path == f"/tasks/groups/{taskGroupId}"
    page = root.open("/tasks/groups?id=<script>")
    assert "There is no taskGroupId in “<script>”" in page.text
    assert f"/tasks/groups/{taskGroupId}" in page.links
    assert_harmless(page)


@pytest.mark.parametrize("path", ["/tasks/groups/x", "/tasks/groups/%00", "/tasks/groups/VCNiTDd8SC-ozYfVoDn7Og"])
def test_groups_that_do_not_exist_are_named(anyone: Visitor, path: str) -> None:
    for each in (path, f"{path}/changes"):
        assert anyone.open(each).status in (400, 404)


@pytest.mark.parametrize("attack", ATTACKS, ids=["script", "attribute", "link", "template", "direction", "quote"])
def test_names_and_filters_are_text(local: LocalTaskcluster, root: Visitor, attack: str) -> None:
    taskId = create_task(local, **named(attack))
    taskGroupId = taskcluster.Queue(local.options()).status(taskId)["status"]["taskGroupId"]
    taskcluster.Queue(local.options()).cancelTask(taskId)
    asked = quote(attack, safe="")
    for path in ("", f"?name={asked}", f"?name=x&state={asked}", f"/changes?taskId={taskId}&taskId={asked}"):
        page = root.open(f"/tasks/groups/{taskGroupId}{path}")
        assert_harmless(page)
        assert page.status == 200
        assert rows(page) == (set() if "state" in path else {taskId})


def test_the_list_is_sent_while_it_is_read(local: LocalTaskcluster) -> None:
    """What is above the list arrives although the rest is not read yet."""
    taskGroupId = taskcluster.slugId()
    for _ in range(3):
        create_task(local, taskGroupId=taskGroupId, **named("x" * 200))
    with closing(http.client.HTTPConnection(urlsplit(local.root_url).netloc, timeout=60)) as connection:
        connection.request("GET", f"/tasks/groups/{taskGroupId}")
        response = connection.getresponse()
        assert response.headers["transfer-encoding"] == "chunked"
        first = response.read1(2**20).decode()
        assert "3 tasks: 3 pending." in first
        assert "task-" not in first
        assert "3 of 3 tasks are shown." in response.read().decode()
