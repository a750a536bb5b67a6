"""Tests of the pages with the artifacts of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .visitor import ATTACKS, Visitor, assert_harmless, create_task


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


def running(local: LocalTaskcluster, queue: Any) -> str:
    """Return a new task whose first run is running."""
    taskId = create_task(local)
    queue.claimTask(taskId, "0", {"workerGroup": "g", "workerId": "i"})
    return taskId


def with_artifacts(local: LocalTaskcluster, queue: Any, number: int) -> str:
    taskId = running(local, queue)
    expires = taskcluster.fromNow("1 hour")
    reference = {"storageType": "reference", "url": "https://example.com/x", "contentType": "text/plain"}
    for name in ("public/logs/live.log", "a/reference"):
        queue.createArtifact(taskId, "0", name, {**reference, "expires": expires})
    link = {"storageType": "link", "artifact": "a/reference", "contentType": "text/plain", "expires": expires}
    queue.createArtifact(taskId, "0", "a/link", link)
    error = {
        "storageType": "error",
        "reason": "file-missing-on-worker",
        "expires": expires,
        "message": ATTACKS["script"],
    }
    queue.createArtifact(taskId, "0", "a/error", error)
    s3 = {"storageType": "s3", "contentType": "text/html", "expires": expires, "contentLength": 1_500_000}
    queue.createArtifact(taskId, "0", f"a/{ATTACKS['attribute']} %", s3)
    for each in range(number):
        queue.createArtifact(taskId, "0", f"b/{each:03}", {**link, "artifact": "none"})
    return taskId


def test_artifacts_are_listed_in_pages(local: LocalTaskcluster, root: Visitor, queue: Any) -> None:
    taskId = with_artifacts(local, queue, 100)
    base = f"/tasks/{taskId}/runs/0/"
    pages = [root.open(f"/tasks/{taskId}")]
    while following := [link for link in pages[-1].links if "artifacts=" in link]:
        pages.append(root.open(following[0]))
    for each in pages:
        assert each.status == 200
        assert_harmless(each)
        assert "/storage/" not in each.html
        assert "bewit" not in each.html
    names = [
        [
            link.removeprefix(base)
            for link in each.links
            if link.startswith(base) and not link.startswith(f"{base}logs/")
        ]
        for each in pages
    ]
    # The log is also on the page where its name belongs.
    assert names[0][0] == names[1][0] == "public/logs/live.log"
    assert len({*names[0], *names[1]}) == 105
    assert f"file-missing-on-worker: {ATTACKS['script']}" in pages[0].text
    assert "1.4 MiB" in pages[0].text
    assert "text/plain (reference)" in pages[0].text
    assert quote(f"a/{ATTACKS['attribute']} %") in names[0]


def test_artifacts_that_may_not_be_listed(local: LocalTaskcluster, queue: Any) -> None:
    taskId = running(local, queue)
    auth = taskcluster.Auth(local.options())
    before = auth.role("anonymous")
    auth.updateRole("anonymous", {"description": "d", "scopes": ["queue:status:*"]})
    try:
        pages = [Visitor(local).open(f"/tasks/{taskId}{path}") for path in ("", "/artifacts/0")]
    finally:
        auth.updateRole("anonymous", {"description": before["description"], "scopes": before["scopes"]})
    for page in pages:
        assert (page.status, "You may not list the artifacts" in page.text) == (200, True)


@pytest.mark.parametrize("runId", ["1", "x", "99999999999"])
def test_artifacts_of_a_run_that_does_not_exist(root: Visitor, local: LocalTaskcluster, queue: Any, runId: str) -> None:
    page = root.open(f"/tasks/{running(local, queue)}/artifacts/{runId}")
    assert page.status in (400, 404)
