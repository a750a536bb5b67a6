"""Test what is requested from the deployment, and what is kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from taskcluster_queue import Queue

from taskcluster_fsspec import ArtifactFileSystem, IndexFileSystem
from taskcluster_fsspec.listings import Listing
from taskcluster_fsspec.runs import Run

from .conftest import Tasks


@pytest.fixture
def calls(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often methods of the queue are called."""
    counted: Counter[str] = Counter()

    def count(name: str) -> None:
        original = getattr(Queue, name)

        def counting(self: Queue, *args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Queue, name, counting)

    for name in ("listArtifacts", "artifactInfo", "artifact", "status"):
        count(name)
    return counted


def test_resolved_run_is_listed_once(tasks: Tasks, fs: ArtifactFileSystem, calls: Counter[str]) -> None:
    task = tasks.with_files({f"public/{number}/x.csv": b"" for number in range(10)})
    for _ in range(2):
        assert len(fs.glob(f"{task}/0/public/*/*.csv")) == 10
    assert fs.isfile(f"{task}/0/public/1/x.csv")
    assert fs.isdir(f"{task}/0/public/1")
    assert not fs.exists(f"{task}/0/public/11")
    assert len(list(fs.walk(f"{task}/0"))) == 12
    assert calls == {"status": 1, "listArtifacts": 1}


def test_infos_of_a_resolved_run_are_kept(tasks: Tasks, fs: ArtifactFileSystem, calls: Counter[str]) -> None:
    task = tasks.with_files({"a": b"123"})
    for _ in range(3):
        assert fs.info(f"{task}/0/a")["size"] == 3
    for _ in range(2):
        with fs.open(f"{task}/0/a") as file:
            assert file.read() == b"123"
    assert calls == {"status": 1, "artifactInfo": 1, "artifact": 1}


def test_changes_of_returned_infos_have_no_effect(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.create()
    tasks.put(task, "a", b"1")
    tasks.resolve(task)
    path = f"{task}/0/a"
    # The first `info` looks up the size, and `ls` and `find` use the kept listing.
    for read in (lambda: fs.info(path), lambda: fs.ls(path)[0], lambda: fs.find(path, detail=True)[path]):
        read().clear()
        assert read()["name"] == path
    assert fs.info(path)["size"] == 1


def test_run_is_listed_after_some_lookups(tasks: Tasks, fs: ArtifactFileSystem, calls: Counter[str]) -> None:
    names = [str(number) for number in range(8)]
    task = tasks.with_files({name: name.encode() for name in names})
    assert [fs.cat_file(f"{task}/0/{name}") for name in names] == [name.encode() for name in names]
    assert calls == {"status": 1, "artifactInfo": 3, "listArtifacts": 1, "artifact": 8}


def test_running_task_is_listed_each_time(tasks: Tasks, fs: ArtifactFileSystem, calls: Counter[str]) -> None:
    task = tasks.create()
    tasks.put(task, "a/b", b"1")
    assert fs.find(f"{task}/0") == [f"{task}/0/a/b"]
    tasks.put(task, "a/c", b"2")
    assert fs.find(f"{task}/0") == [f"{task}/0/a/b", f"{task}/0/a/c"]
    assert calls["listArtifacts"] == 2
    assert fs.exists(f"{task}/0/a/c")


def test_run_without_artifacts_is_an_empty_directory(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({})
    assert fs.ls(f"{task}/0") == []
    assert fs.isdir(f"{task}/latest")
    with pytest.raises(FileNotFoundError):
        fs.ls(f"{task}/0/none")
    with pytest.raises(FileNotFoundError, match="has no run '7'; its runs: 0, latest"):
        fs.ls(f"{task}/7")


def test_exception_may_get_artifacts_for_a_while(tasks: Tasks, fs: ArtifactFileSystem, calls: Counter[str]) -> None:
    task = tasks.create()
    tasks.queue.reportException(task, 0, {"reason": "malformed-payload"})
    assert fs.ls(f"{task}/0") == []
    tasks.put(task, "log", b"1")
    assert fs.ls(f"{task}/0", detail=False) == [f"{task}/0/log"]


def test_refresh_and_invalidation(tasks: Tasks, fs: ArtifactFileSystem, calls: Counter[str]) -> None:
    task = tasks.with_files({"a": b"1"})
    fs.ls(f"{task}/0")
    fs.ls(f"{task}/0", refresh=True)
    assert calls["listArtifacts"] == 2
    fs.invalidate_cache()
    fs.ls(f"{task}/0")
    assert calls["listArtifacts"] == 3


def test_listings_cache_can_be_disabled(tasks: Tasks, calls: Counter[str]) -> None:
    task = tasks.with_files({"a": b"1"})
    fs = ArtifactFileSystem(use_listings_cache=False)
    fs.ls(f"{task}/0")
    fs.ls(f"{task}/0")
    assert calls["listArtifacts"] == 2
    fs.close()


def test_all_pages_are_listed(tasks: Tasks, fs: ArtifactFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks.with_files({f"{number:02}": b"" for number in range(10)})
    original = Queue.listArtifacts

    def short_pages(self: Queue, *args: Any, query: Any) -> Any:
        return original(self, *args, query={**query, "limit": "3"})

    monkeypatch.setattr(Queue, "listArtifacts", short_pages)
    assert len(fs.ls(f"{task}/0")) == 10


def test_listing_of_many_artifacts() -> None:
    entry = {"storageType": "s3", "contentType": "text/plain", "expires": "2030-01-01T00:00:00.000Z"}
    artifacts = [{"name": f"public/{number % 100}/{number}", **entry} for number in range(10_000)]
    listing = Listing(Run("T", 0, True, None), artifacts)
    assert len(listing.children("public") or []) == 100
    assert len(listing.children("public/7") or []) == 100
    assert listing.children("public/7/none") is None
    assert listing.is_directory("public/7")


def test_tasks_and_opened_directories_are_errors(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({"a/b": b"1"})
    for path in (f"{task}/0", f"{task}/0/a"):
        with pytest.raises(IsADirectoryError):
            fs.open(path)
    with pytest.raises(OSError, match="tasks cannot be listed"):
        fs.ls("")
    with pytest.raises(FileNotFoundError):
        fs.ls("fN1SbArXTPSVFNUvaOlinQ")


def test_parents_in_the_index() -> None:
    parents = {"a.b.c/public/x": "a.b.c/public", "a.b.c/x": "a.b.c", "a.b.c": "a.b.", "a.b.": "a.", "a.": "", "a": ""}
    assert {path: IndexFileSystem._parent(path) for path in parents} == parents


def test_sizes_of_a_directory(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.with_files({"d/a": b"12", "d/b": b"345"})
    assert fs.du(f"{task}/0") == 5
    assert fs.sizes([f"{task}/0/d/a", f"{task}/0/d/b"]) == [2, 3]
