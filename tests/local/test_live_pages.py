"""Test in Chromium that pages follow the deployment, and that the list of a group can be filtered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import taskcluster
from taskcluster.upload import uploadArtifactFromBuf
from taskcluster_local import LocalTaskcluster

from .serving import definition

if TYPE_CHECKING:
    from chromium import Browser, Tab

pytestmark = pytest.mark.once

LIVE = "document.querySelector('#live').dataset.state === 'on'"
SHOWN = "[...document.querySelectorAll('#rows tr')].filter((row) => !row.hidden).map((row) => row.cells[1].innerText)"
# Whether the page is visible depends on the window, which tests do not have.
TURN = """
Object.defineProperty(document, "hidden", {configurable: true, value: %s});
document.dispatchEvent(new Event("visibilitychange"));
"""


@pytest.fixture
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as opened:
        yield opened
        assert not opened.problems


def create(local: LocalTaskcluster, group: str, name: str, **fields: Any) -> str:
    task_id = taskcluster.slugId()
    metadata: Any = {"name": name, "description": "d", "owner": "o", "source": "https://example.com"}
    payload: Any = {**definition(taskcluster.fromNowJSON("0 s"), taskcluster.fromNowJSON("1 h")), **fields}
    payload |= {"taskGroupId": group, "metadata": metadata}
    taskcluster.Queue(local.options()).createTask(task_id, payload)
    return task_id


def run(local: LocalTaskcluster, task_id: str) -> None:
    queue = taskcluster.Queue(local.options())
    queue.claimTask(task_id, 0, {"workerGroup": "g", "workerId": "w"})
    queue.reportFailed(task_id, 0)


def test_group_follows_its_tasks(local: LocalTaskcluster, tab: Tab) -> None:
    group = taskcluster.slugId()
    build = create(local, group, "build")
    tab.go(f"{local.root_url}/tasks/groups/{group}")
    tab.until(LIVE)
    create(local, taskcluster.slugId(), "elsewhere")
    test = create(local, group, "test")
    run(local, build)
    tab.until(f"document.querySelector('#task-{test}') && document.querySelector('#summary .error')")
    assert tab.evaluate(SHOWN) == ["build", "test"]
    assert tab.text(f"#task-{build}").split()[:3] == ["failed", "build", "1"]
    assert "2 tasks: 1 pending, 1 failed." in tab.text("#summary")
    assert "First failure: build" in tab.text("#summary")
    tab.until("document.querySelector('#announcement').textContent === '2 tasks: 1 pending, 1 failed.'")
    assert tab.text("#end") == "2 of 2 tasks are shown."


def test_group_is_filtered_without_loading(local: LocalTaskcluster, tab: Tab) -> None:
    group = taskcluster.slugId()
    for name in ("test-1", "build", "Test-2", "main"):
        create(local, group, name)
    tab.go(f"{local.root_url}/tasks/groups/{group}")
    tab.until(LIVE)
    tab.evaluate("window.same = true")
    tab.fill("#name", "test")
    assert sorted(tab.evaluate(SHOWN)) == ["Test-2", "test-1"]
    assert tab.evaluate("location.hash") == "#test"
    assert tab.text("#end") == "2 of 4 tasks are shown."
    tab.click("a[data-state=pending]")
    assert tab.evaluate("location.hash") == "#name=test&state=pending"
    # New rows are filtered as well.
    create(local, group, "test-3")
    create(local, group, "other")
    tab.until("document.querySelectorAll('#rows tr').length === 6")
    assert sorted(tab.evaluate(SHOWN)) == ["Test-2", "test-1", "test-3"]
    tab.fill("#name", "main")
    assert tab.evaluate("[location.search, window.same]") == ["", True]
    written = tab.evaluate("location.hash")
    tab.go("about:blank")
    for address, names in ((written, ["main"]), ("#BUILD", ["build"]), ("?name=TEST-1", ["test-1"])):
        tab.go(f"{local.root_url}/tasks/groups/{group}{address}")
        assert tab.evaluate(SHOWN) == names
        tab.go("about:blank")


@pytest.mark.parametrize("path", ["/", "/tasks/{}", "/pulse-messages"])
def test_pages_follow_their_task(local: LocalTaskcluster, tab: Tab, path: str) -> None:
    task_id = create(local, taskcluster.slugId(), "build")
    tab.go(local.root_url + path.format(task_id))
    tab.until(LIVE)
    run(local, task_id)
    tab.until("document.querySelector('main').innerText.includes('failed')")


def test_log_follows_the_state_of_its_task(local: LocalTaskcluster, tab: Tab) -> None:
    task_id = create(local, taskcluster.slugId(), "build")
    queue = taskcluster.Queue(local.options())
    queue.claimTask(task_id, 0, {"workerGroup": "g", "workerId": "w"})
    uploadArtifactFromBuf(
        taskId=task_id,
        runId=0,
        name="public/logs/live.log",
        contentType="text/plain",
        expires=taskcluster.fromNow("1 h"),
        data=b"done",
        queueService=queue,
    )
    tab.go(f"{local.root_url}/tasks/{task_id}/runs/0/logs/public/logs/live.log")
    tab.until(LIVE)
    queue.reportCompleted(task_id, 0)
    tab.until("document.querySelector('h1').innerText.includes('completed')")


def test_hidden_page_closes_its_stream_and_catches_up(local: LocalTaskcluster, tab: Tab) -> None:
    group = taskcluster.slugId()
    task_id = create(local, group, "build")
    tab.go(f"{local.root_url}/tasks/{task_id}")
    tab.until(LIVE)
    tab.evaluate(TURN % "true")
    assert tab.evaluate("stream === null")
    run(local, task_id)
    tab.evaluate(TURN % "false")
    tab.until("document.querySelector('h1').innerText.includes('failed')")
    tab.until(LIVE)


def test_page_says_that_it_does_not_follow(tab: Tab) -> None:
    with LocalTaskcluster() as local:
        tab.go(local.root_url)
        tab.until(LIVE)
        local.reset()
        tab.until("document.querySelector('#live').dataset.state === 'off'")
        assert tab.text("#live") == "Not live: changes were missed. Reload the page"
        with tab.loading():
            tab.click("#live a")
        tab.until(LIVE)
    tab.until("document.querySelector('#live').dataset.state === 'broken'")
    assert tab.text("#live").startswith("Not live: the connection is lost.")
    # The browser reports that it cannot connect.
    tab.problems.clear()
