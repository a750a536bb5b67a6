"""Find out which needs of tasks cannot be met on this machine. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["missing"]


def missing(
    tasks: Iterable[Mapping[str, Any]], check: Callable[[Mapping[str, Any]], Sequence[str]]
) -> dict[str, list[str]]:
    """Return problems, each with the names of the tasks that have it.

    Args:
        tasks: Tasks with `taskId` and `task`.
        check: Returns the problems of one task.
    """
    found: dict[str, list[str]] = {}
    for each in tasks:
        for problem in check(each):
            found.setdefault(problem, []).append(each["task"]["metadata"]["name"])
    return found
