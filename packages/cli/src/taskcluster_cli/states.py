"""The states of tasks and runs as lines, as the Go command prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import MISSING, NEGATIVE, OK, Failure

__all__ = ["RESOLVED", "STATES", "UNSUCCESSFUL", "counts_line", "result", "run_of", "run_state", "task_state"]

STATES = ("completed", "running", "pending", "unscheduled", "failed", "exception")
UNSUCCESSFUL = ("failed", "exception")
RESOLVED = frozenset({"completed", *UNSUCCESSFUL})


def run_state(run: Mapping[str, Any]) -> str:
    """Return a run's state, and its reason in quotes once it is resolved."""
    reason = run.get("reasonResolved")
    return f"{run['state']} '{reason}'" if reason else str(run["state"])


def task_state(status: Mapping[str, Any]) -> str:
    """Return the state of the last run, or that of a task without runs."""
    runs: Sequence[Mapping[str, Any]] = status.get("runs") or []
    return run_state(runs[-1]) if runs else str(status["state"])


def run_of(status: Mapping[str, Any], number: int | None) -> Mapping[str, Any]:
    """Return a run of a task, by default the last; raise Failure if it does not exist."""
    runs: Sequence[Mapping[str, Any]] = status.get("runs") or []
    if not runs:
        raise Failure(f"the task {status['taskId']} is {status['state']} and has no runs yet", MISSING)
    if number is None:
        return runs[-1]
    for run in runs:
        if run["runId"] == number:
            return run
    raise Failure(f"the task {status['taskId']} has no run {number}; its runs are 0 to {len(runs) - 1}", MISSING)


def result(states: Mapping[str, int]) -> int:
    """Return the exit status for resolved tasks, by the number in each state."""
    return NEGATIVE if any(states.get(state) for state in UNSUCCESSFUL) else OK


def counts_line(counts: Mapping[str, int]) -> str:
    """Return how many tasks are in each state, in a fixed order."""
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts.get(state)) or "no tasks"
