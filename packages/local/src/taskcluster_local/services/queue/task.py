"""A task and its runs, and how they change. No store and no HTTP in here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...errors import ApiError
from ...timestamps import to_wire
from .definition import PRIORITIES

__all__ = ["MOST_RUNS", "RETRY_REASONS", "Claim", "Task", "Worker"]

MOST_RUNS = 50

RETRY_REASONS = {"claim-expired": "retry", "worker-shutdown": "retry", "intermittent-task": "task-retry"}
"""The reasons for which a task is retried after a run has ended, and the reasonCreated of the next run."""

Worker = tuple[str, str]
"""A workerGroup and a workerId."""

_RUN_FIELDS = (
    "runId", "state", "reasonCreated", "reasonResolved", "workerGroup", "workerId", "takenUntil",
    "scheduled", "started", "resolved",
)  # fmt: skip


@dataclass(slots=True)
class Task:
    """A task."""

    taskId: str
    taskGroupId: str
    taskQueueId: str
    schedulerId: str
    projectId: str
    urgency: int
    """The index of its priority in PRIORITIES."""
    deadline: str
    expires: str
    retriesLeft: int
    defined: str
    """Its definition as created, in JSON."""
    runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    pendingSince: int | None = None
    """Its position among the pending tasks, lowest first."""
    _definition: dict[str, Any] | None = None

    @property
    def definition(self) -> dict[str, Any]:
        """The definition with the present priority. It must not be changed."""
        # Parsed on first use: definitions can be large.
        found: dict[str, Any] = json.loads(self.defined) if self._definition is None else self._definition
        found["priority"] = self.priority
        self._definition = found
        return found

    @property
    def priority(self) -> str:
        """The name of its priority."""
        return PRIORITIES[self.urgency]

    @property
    def state(self) -> str:
        """The state of the latest run, or `unscheduled`."""
        return str(self.runs[-1]["state"]) if self.runs else "unscheduled"

    @property
    def is_active(self) -> bool:
        """Whether it is not resolved."""
        return self.state in ("unscheduled", "pending", "running")

    @property
    def worker(self) -> Worker | None:
        """The worker of the running run."""
        if self.state != "running":
            return None
        return self.runs[-1]["workerGroup"], self.runs[-1]["workerId"]

    def status(self) -> dict[str, Any]:
        """Return the status of the task in the form of the API."""
        provisionerId, _, workerType = self.taskQueueId.partition("/")
        return {
            "taskId": self.taskId,
            "provisionerId": provisionerId,
            "workerType": workerType,
            "taskQueueId": self.taskQueueId,
            "schedulerId": self.schedulerId,
            "projectId": self.projectId,
            "taskGroupId": self.taskGroupId,
            "priority": self.priority,
            "deadline": self.deadline,
            "expires": self.expires,
            "retriesLeft": self.retriesLeft,
            "state": self.state,
            "runs": [{name: run[name] for name in _RUN_FIELDS if name in run} for run in self.runs],
        }

    def run(self, runId: str) -> dict[str, Any]:
        """Return a run by its number in a URL, or raise ApiError (ResourceNotFound)."""
        # The length first: run numbers are never that long.
        if len(runId) < 9 and int(runId) < len(self.runs):
            return self.runs[int(runId)]
        raise ApiError("ResourceNotFound", f"Run {runId} not found on task `{self.taskId}`.")

    def check_deadline(self, now: datetime, what: str) -> None:
        """Raise ApiError (RequestConflict) if the deadline has passed, so that the task cannot be `what`."""
        if self.deadline < to_wire(now):
            raise ApiError(
                "RequestConflict", f"Task `{self.taskId}` can't be {what} past its deadline of {self.deadline}."
            )

    def add_run(self, reason: str, now: datetime) -> None:
        """Make the task pending."""
        self.runs.append(
            {"runId": len(self.runs), "state": "pending", "reasonCreated": reason, "scheduled": to_wire(now)}
        )

    def take(self, worker: Worker, until: datetime, now: datetime, *, named: bool) -> None:
        """Start the latest run.

        Args:
            worker: The worker.
            until: When the claim expires.
            now: The deployment's time.
            named: Whether the worker claimed this run by its number (claimTask), not any run (claimWork).
        """
        group, worker_id = worker
        self.runs[-1].update(
            state="running",
            workerGroup=group,
            workerId=worker_id,
            takenUntil=to_wire(until),
            started=to_wire(now),
            named=named,
        )

    def end_run(self, state: str, reason: str, now: datetime) -> None:
        """Resolve the latest run."""
        self.runs[-1].update(state=state, reasonResolved=reason, resolved=to_wire(now))

    def retry(self, reason: str, now: datetime) -> bool:
        """Add a run after one that ended for `reason`; return False if the task is not retried."""
        if reason not in RETRY_REASONS or self.retriesLeft <= 0 or len(self.runs) >= MOST_RUNS:
            return False
        self.retriesLeft -= 1
        self.add_run(RETRY_REASONS[reason], now)
        return True


@dataclass(frozen=True, slots=True)
class Claim:
    """A run claimed by a worker."""

    task: Task
    runId: int
    workerGroup: str
    workerId: str
    takenUntil: datetime
