"""Runs of tasks: which one a path names, and whether its artifacts can still change. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from taskcluster.timestamps import parse_date

from .exceptions import not_found
from .paths import LATEST

__all__ = ["Run", "chosen_run"]

_GRACE = timedelta(minutes=25)
"""How long artifacts can be created after a run was resolved as an exception."""


class Run(NamedTuple):
    """A run of a task."""

    task_id: str
    run_id: int
    is_final: bool
    """Whether its artifacts cannot change any more."""
    date: str | None
    """When it was resolved, or else started."""

    @property
    def key(self) -> str:
        """The same for each path of this run."""
        return f"{self.task_id}/{self.run_id}"


def chosen_run(status: Mapping[str, Any], wanted: str, now: datetime) -> Run:
    """Return a run.

    Args:
        status: The task's status.
        wanted: A number, or `latest`.
        now: The time.

    Raises:
        NoResource: There is no such run.
    """
    task_id, runs = status["taskId"], status.get("runs", [])
    found = runs[-1:] if wanted == LATEST else [run for run in runs if str(run["runId"]) == wanted]
    if not found:
        known = ", ".join([*(str(run["runId"]) for run in runs), LATEST]) if runs else "none"
        raise not_found(f"task {task_id} has no run {wanted!r}; its runs: {known}")
    [run] = found
    state = run["state"]
    is_final = state in ("completed", "failed") or (state == "exception" and now > parse_date(run["resolved"]) + _GRACE)
    return Run(task_id, int(run["runId"]), is_final, run.get("resolved") or run.get("started"))
