"""Tests of the pages of the index."""

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


def test_the_index_can_be_browsed(local: LocalTaskcluster, root: Visitor) -> None:
    queue: Any = taskcluster.Queue(local.options())
    taskId = create_task(local)
    queue.claimTask(taskId, "0", {"workerGroup": "g", "workerId": "i"})
    reference = {"storageType": "reference", "url": "https://example.com/x", "contentType": "text/plain"}
    log = "public/logs/live.log"
    queue.createArtifact(taskId, "0", log, {**reference, "expires": taskcluster.fromNow("1 hour")})
    index = taskcluster.Index(local.options())
    data = {ATTACKS["script"]: ATTACKS["attribute"]}
    given = {"taskId": taskId, "rank": 7, "data": data, "expires": taskcluster.fromNow("1 hour")}
    path = "site.a%2Fb.(c)'*!~.latest"
    for each in (path, "top", "site.a%2Fb"):
        index.insertTask(each, given)
    page = root.open("/tasks/index")
    assert {"/tasks/index/site", "/tasks/index/top"} <= set(page.links)
    page = root.open("/tasks/index/site")
    # One path can be both.
    assert {"/tasks/index/site.a%252Fb", "/tasks/index/site/a%252Fb"} <= set(page.links)
    page = root.open("/tasks/index/site.a%252Fb")
    assert f"/tasks/{taskId}" in page.links
    namespace = quote("site.a%2Fb.(c)'*!~", safe="")
    assert f"/tasks/index/{namespace}" in page.links
    page = root.open(f"/tasks/index/{namespace}")
    assert f"/tasks/index/{namespace}/latest" in page.links
    page = root.open(f"/tasks/index/{namespace}/latest")
    assert page.status == 200
    assert_harmless(page)
    assert {f"/tasks/{taskId}", f"/tasks/{taskId}/runs/0/{log}", "/tasks/index/site"} <= set(page.links)
    assert ATTACKS["script"] in page.text
    top = root.open("/tasks/index/top")
    assert f"/tasks/{taskId}/runs/0/{log}" in top.links
    for entered, target in (
        (path, f"{namespace}/latest"),
        (f" index.{path} ", f"{namespace}/latest"),
        ("site", "site"),
    ):
        assert root.open(f"/tasks/index?path={quote(entered, safe='')}").path == f"/tasks/index/{target}"


@pytest.mark.parametrize(
    "attack", [*ATTACKS.values(), "none", "none.none", "a..b", "\x00"], ids=[*ATTACKS, "name", "path", "dots", "nul"]
)
@pytest.mark.parametrize(
    "path", ["/tasks/index/{}", "/tasks/index/a/{}", "/tasks/index?path={}"], ids=["namespace", "entry", "box"]
)
def test_paths_that_are_not_in_the_index(root: Visitor, path: str, attack: str) -> None:
    page = root.open(path.format(quote(attack, safe="")))
    assert page.status in (200, 400, 404)
    assert_harmless(page)


def test_an_invalid_path_is_kept(root: Visitor) -> None:
    page = root.open("/tasks/index?path=a+b")
    assert (page.status, "must match" in page.text) == (400, True)
    assert page.form("/tasks/index").fields["path"] == "a b"


def test_an_indexed_task_can_have_expired(local: LocalTaskcluster, root: Visitor) -> None:
    given = {"taskId": taskcluster.slugId(), "rank": 0, "data": {}, "expires": taskcluster.fromNow("1 hour")}
    taskcluster.Index(local.options()).insertTask("site.expired", given)
    assert "it has expired" in root.open("/tasks/index/site/expired").text


def test_the_index_has_pages(local: LocalTaskcluster, root: Visitor) -> None:
    index = taskcluster.Index(local.options())
    given = {"taskId": taskcluster.slugId(), "rank": 0, "data": {}, "expires": taskcluster.fromNow("1 hour")}
    for number in range(101):
        index.insertTask(f"many.n{number:03}", given)
    first = root.open("/tasks/index/many")
    following = [link for link in first.links if link.startswith("?tasks=")]
    second = root.open(f"/tasks/index/many{following[0]}")
    assert "/tasks/index/many/n100" in second.links
    assert "/tasks/index/many/n100" not in first.links
