"""Claims: handing tasks to workers, renewing claims, and resolving the claimed runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ...errors import ApiError
from ...store import Store
from ...timestamps import from_wire, later, to_wire
from .messages import QueueMessages
from .records import TaskRecords
from .schema import COLUMNS, task_of
from .task import Claim, Task, Worker
from .transitions import Transitions
from .workers import QueueWorkers

__all__ = ["Claims"]

_NOT_THERE = "Are you sure it was created?"


class Claims:
    """The claims of workers on tasks. `expiry` ends those that are not renewed in time.

    Args:
        store: The deployment's database.
        claim_timeout: How long a claim lasts unless it is renewed.
        records: The tasks.
        transitions: Changes the tasks.
        messages: Publishes that runs have started.
        workers: What is known of the workers.
    """

    def __init__(
        self,
        store: Store,
        claim_timeout: timedelta,
        records: TaskRecords,
        transitions: Transitions,
        messages: QueueMessages,
        workers: QueueWorkers,
    ) -> None:
        self._store = store
        self._claim_timeout = claim_timeout
        self._records = records
        self._transitions = transitions
        self._messages = messages
        self._workers = workers

    def claim_work(self, taskQueueId: str, worker: Worker, count: int, now: datetime) -> list[Claim]:
        """Claim up to `count` pending tasks for a worker: highest priority first, then those pending for longest.

        Args:
            taskQueueId: The task queue of the worker.
            worker: Its workerGroup and workerId. A quarantined worker gets no tasks.
            count: How many tasks it wants.
            now: The deployment's time.
        """
        if self._workers.is_quarantined(taskQueueId, worker, now):
            return []
        # Finding and taking are one transaction, and nothing else runs meanwhile: a task goes to one worker.
        with self._store.transaction():
            rows = self._store.all(
                f"SELECT {COLUMNS} FROM tasks WHERE taskQueueId = ? AND state = 'pending' AND +deadline > ?"
                " ORDER BY urgency, pendingSince LIMIT ?",
                taskQueueId,
                to_wire(now),
                count,
            )
            claims = [self._take(task_of(row), worker, now) for row in rows]
            if claims:
                self._workers.record_claims(taskQueueId, worker, claims)
            return claims

    def claim(self, task: Task, runId: str, worker: Worker, now: datetime) -> Claim:
        """Claim one run for a worker. The worker may repeat the call, but not for a run from `claim_work`.

        Raises:
            ApiError: The run does not exist (ResourceNotFound), or the run is claimed by another worker, resolved, or
                past its deadline (RequestConflict).
        """
        run = task.run(runId)
        task.check_deadline(now, "claimed")
        if run is task.runs[-1] and run["state"] == "pending":
            with self._store.transaction():
                claim = self._take(task, worker, now, named=True)
                self._workers.record_activity(task.taskQueueId, worker, now)
                self._workers.record_claims(task.taskQueueId, worker, [claim])
            return claim
        if run["state"] == "running" and run.get("named") and (run["workerGroup"], run["workerId"]) == worker:
            return Claim(task, run["runId"], *worker, from_wire(run["takenUntil"]))
        raise ApiError("RequestConflict", f"Run {runId} was already claimed by another worker.")

    def _take(self, task: Task, worker: Worker, now: datetime, *, named: bool = False) -> Claim:
        until = self._until(now)
        task.take(worker, until, now, named=named)
        self._records.save(task)
        self._messages.running(task)
        return Claim(task, task.runs[-1]["runId"], *worker, until)

    def _until(self, now: datetime) -> datetime:
        until = later(now, self._claim_timeout)
        return until.replace(microsecond=until.microsecond // 1000 * 1000)

    def reclaim(self, taskId: str, runId: str, now: datetime) -> Claim:
        """Renew the claim of a running run.

        Raises:
            ApiError: The run does not exist (ResourceNotFound), or it is not running or past its deadline
                (RequestConflict).
        """
        task, run = self._with_run(taskId, runId)
        task.check_deadline(now, "reclaimed")
        if run is not task.runs[-1] or run["state"] != "running":
            raise _not_running(taskId, runId)
        until = self._until(now)
        run["takenUntil"] = to_wire(until)
        self._records.save(task)
        return Claim(task, run["runId"], run["workerGroup"], run["workerId"], until)

    def report(self, taskId: str, runId: str, outcome: str, now: datetime) -> Task:
        """Resolve a run as `completed` or `failed`. Repeating the call changes nothing.

        Raises:
            ApiError: The run does not exist (ResourceNotFound), or it is not running (RequestConflict).
        """
        task, run = self._with_run(taskId, runId)
        if run is not task.runs[-1]:
            raise _not_running(taskId, runId)
        if run["state"] == outcome:
            return task
        if run["state"] != "running":
            raise ApiError("RequestConflict", f"Run {runId} of task `{taskId}` is not running or {outcome}.")
        task.end_run(outcome, outcome, now)
        with self._store.transaction():
            self._transitions.resolve(task, now)
        return task

    def report_exception(self, taskId: str, runId: str, reason: str, now: datetime) -> Task:
        """Resolve a run as an exception; for some reasons the task is retried.

        Raises:
            ApiError: The run does not exist (ResourceNotFound), or it is not running (RequestConflict).
        """
        task, run = self._with_run(taskId, runId, "Are you sure it exists?")
        # A repeated call finds the run as the first one left it, and perhaps the next run of the task.
        if run["state"] == "exception" and run["reasonResolved"] == reason:
            return task
        if run is not task.runs[-1] or run["state"] != "running":
            raise _not_running(taskId, runId)
        with self._store.transaction():
            self._transitions.end_or_retry(task, reason, now)
        return task

    def end_runs(self, taskQueueId: str, worker: Worker, now: datetime) -> None:
        """End the running runs of a worker that was shut down, and retry their tasks."""
        with self._store.transaction():
            statement = f"SELECT {COLUMNS} FROM tasks WHERE taskQueueId = ? AND state = 'running' AND worker = ?"
            for row in self._store.all(statement, taskQueueId, "/".join(worker)):
                self._transitions.end_or_retry(task_of(row), "worker-shutdown", now)

    def _with_run(self, taskId: str, runId: str, otherwise: str = _NOT_THERE) -> tuple[Task, dict[str, Any]]:
        task = self._records.find(taskId)
        if task is None:
            raise ApiError("ResourceNotFound", f"Task `{taskId}` not found. {otherwise}")
        return task, task.run(runId)


def _not_running(taskId: str, runId: str) -> ApiError:
    return ApiError("RequestConflict", f"Run {runId} on task `{taskId}` is resolved or not running.")
