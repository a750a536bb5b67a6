"""Tests of the needs of tasks that cannot be met."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from taskcluster_local.run.requirements import absent, by_problem, index_paths
from taskcluster_worker.task import ArtifactContent, IndexedContent, Mount, NamedImage, RawContent, Task

NOW = datetime(2030, 3, 1, tzinfo=timezone.utc)


def task(**more: Any) -> Task:
    return Task("id", 0, {}, "generic-worker", (("true",),), 60, NOW, NOW, **more)


def mount(content: Any) -> Mount:
    return Mount("file", True, content, None)


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ({}, []),
        ({"image": NamedImage("debian")}, []),
        ({"mounts": (mount(RawContent("x")), mount(None))}, []),
        ({"image": ArtifactContent("one", "public/image")}, []),
        (
            {"image": ArtifactContent("other", "public/image")},
            ["payload: image: the task other with public/image is not one of these tasks"],
        ),
        ({"mounts": (mount(IndexedContent("project.one", "public/a")),)}, []),
        (
            {"image": IndexedContent("project.two", "public/a")},
            ["payload: image: none of these tasks is indexed as project.two"],
        ),
    ],
    ids=["nothing", "name", "given", "task", "other task", "index", "not in the index"],
)
def test_content_of_other_tasks(more: dict[str, Any], problems: list[str]) -> None:
    assert absent(task(**more), {"one"}, {"project.one"}) == problems


def test_index_paths_are_those_of_routes() -> None:
    tasks = [{"taskId": "a", "task": {"routes": ["index.project.a", "statuses"]}}, {"taskId": "b", "task": {}}]
    assert index_paths(tasks) == {"project.a"}


def test_tasks_with_the_same_problem_are_listed_together() -> None:
    assert by_problem([("a", ["one", "two"]), ("b", []), ("a", ["one"])]) == {"one": ["a", "a"], "two": ["a"]}
