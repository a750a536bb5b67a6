"""How runs are resolved, and which error leads to which resolution. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterRestFailure

from .task import Task

__all__ = [
    "COMPLETED",
    "FAILED",
    "WORKER_SHUTDOWN",
    "CommandFailed",
    "MalformedPayload",
    "Reason",
    "Resolution",
    "TaskFailed",
    "of_error",
]

Reason: TypeAlias = Literal[
    "worker-shutdown", "malformed-payload", "resource-unavailable", "internal-error", "intermittent-task"
]


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a run ends."""

    state: Literal["completed", "failed", "exception"]
    reason: Reason | None = None
    """For an exception."""

    def __str__(self) -> str:
        return self.state if self.reason is None else f"{self.state}: {self.reason}"


COMPLETED = Resolution("completed")
FAILED = Resolution("failed")
WORKER_SHUTDOWN = Resolution("exception", "worker-shutdown")
_SERVER_ERROR = 500
_CONFLICT = 409
_BAD_REQUEST = 400


class MalformedPayload(Exception):
    """The payload is invalid, or needs what this worker does not have."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class TaskFailed(Exception):
    """The task failed; the message is for its log."""


class CommandFailed(TaskFailed):
    """A command ended with a status other than 0."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}" if status >= 0 else f"killed by signal {-status}")
        self.status = status


def of_error(error: BaseException, task: Task | None) -> Resolution:
    """Return how a run ends for the first error of its task.

    Args:
        error: The error.
        task: The task, if its payload is valid.
    """
    if isinstance(error, MalformedPayload):
        return Resolution("exception", "malformed-payload")
    if isinstance(error, CommandFailed) and task is not None and error.status in task.retry_statuses:
        return Resolution("exception", "intermittent-task")
    if isinstance(error, TaskFailed):
        return FAILED
    if isinstance(error, TaskclusterRestFailure):
        if error.status_code >= _SERVER_ERROR:
            return Resolution("exception", "resource-unavailable")
        # The name of an artifact is taken, or no name of an artifact.
        is_of_payload = error.status_code in (_CONFLICT, _BAD_REQUEST)
        reason: Reason = "malformed-payload" if is_of_payload else "internal-error"
        return Resolution("exception", reason)
    if isinstance(error, TaskclusterConnectionError):
        return Resolution("exception", "resource-unavailable")
    return Resolution("exception", "internal-error")
