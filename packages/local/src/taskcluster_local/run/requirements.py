"""Find out which needs of tasks cannot be met on this machine. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from taskcluster_worker.task import ArtifactContent, IndexedContent, Task

__all__ = ["absent", "by_problem", "index_paths"]


def by_problem(problems: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """Return the names of the tasks that have a problem, by problem.

    Args:
        problems: The name of each task, and its problems.
    """
    found: dict[str, list[str]] = {}
    for name, each in problems:
        for problem in each:
            found.setdefault(problem, []).append(name)
    return found


def absent(task: Task, created: Collection[str], indexed: Collection[str]) -> list[str]:
    """Return messages about content of other tasks that do not run here.

    Args:
        task: The task.
        created: The taskIds of all tasks.
        indexed: The paths under which they are put into the index.
    """
    contents = [("image", task.image), *(("mounts", mount.content) for mount in task.mounts)]
    found: list[str] = []
    for key, content in contents:
        if isinstance(content, ArtifactContent) and content.taskId not in created:
            found.append(f"payload: {key}: the task {content.taskId} with {content.artifact} is not one of these tasks")
        if isinstance(content, IndexedContent) and content.namespace not in indexed:
            found.append(f"payload: {key}: none of these tasks is indexed as {content.namespace}")
    return found


def index_paths(tasks: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the paths under which tasks are put into the index.

    Args:
        tasks: Tasks with `taskId` and `task`.
    """
    routes = [route for each in tasks for route in each["task"].get("routes", ())]
    return {route.removeprefix("index.") for route in routes if route.startswith("index.")}
