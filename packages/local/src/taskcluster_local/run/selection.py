"""Select tasks by name, and those that they depend on. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

__all__ = ["is_wanted", "with_dependencies"]


def is_wanted(taskId: str, name: str, patterns: Iterable[str]) -> bool:
    """Return whether a task has one of the ids, or a name that matches one of the patterns (`*`, `?`, `[…]`)."""
    return any(pattern == taskId or fnmatchcase(name, pattern) for pattern in patterns)


def with_dependencies(wanted: Iterable[str], dependencies: Mapping[str, Collection[str]]) -> set[str]:
    """Return the ids of tasks and of all tasks they depend on.

    Args:
        wanted: The ids of the tasks.
        dependencies: The ids of the dependencies, by taskId. Other ids in it are ignored.
    """
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        taskId = waiting.pop()
        if taskId in dependencies and taskId not in found:
            found.add(taskId)
            waiting += dependencies[taskId]
    return found
