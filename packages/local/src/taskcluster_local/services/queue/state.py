"""Tasks and their runs: who may do what with them when, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Page
from ...store import Row, Store
from ...timestamps import from_wire, later, to_wire
from . import definition as definitions

__all__ = ["MOST_RUNS", "Claim", "Queue", "Task"]

MOST_RUNS = 50

_DEADLINE_LAG = timedelta(minutes=1)
_GROUP_OUTLIVES_TASKS = timedelta(hours=1)
_RETRY_REASONS = {"claim-expired": "retry", "worker-shutdown": "retry", "intermittent-task": "task-retry"}
"""Why a run can end that its task survives, and why the next run then is created."""

_TABLES = """
CREATE TABLE IF NOT EXISTS tasks (
    taskId TEXT PRIMARY KEY, taskGroupId TEXT NOT NULL, taskQueueId TEXT NOT NULL,
    priority INTEGER NOT NULL, deadline TEXT NOT NULL, retriesLeft INTEGER NOT NULL,
    state TEXT NOT NULL, takenUntil TEXT, pendingSince INTEGER,
    runs TEXT NOT NULL, definition TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tasks_by_queue ON tasks (taskQueueId, state, priority DESC, pendingSince);
CREATE INDEX IF NOT EXISTS tasks_by_group ON tasks (taskGroupId, taskId);
CREATE INDEX IF NOT EXISTS tasks_by_deadline ON tasks (state, deadline);
CREATE INDEX IF NOT EXISTS tasks_by_claim ON tasks (takenUntil) WHERE takenUntil IS NOT NULL;
CREATE TABLE IF NOT EXISTS dependencies (
    requiredTaskId TEXT NOT NULL, taskId TEXT NOT NULL, PRIMARY KEY (requiredTaskId, taskId)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_groups (
    taskGroupId TEXT PRIMARY KEY, schedulerId TEXT NOT NULL, expires TEXT NOT NULL, sealed TEXT
) WITHOUT ROWID;
"""
_RUN_FIELDS = (
    "runId", "state", "reasonCreated", "reasonResolved", "workerGroup", "workerId", "takenUntil",
    "scheduled", "started", "resolved",
)  # fmt: skip
_COLUMNS = "taskId, retriesLeft, runs, definition, pendingSince"


@dataclass(slots=True)
class Task:
    """A task as it is now."""

    taskId: str
    definition: dict[str, Any]
    retriesLeft: int
    runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    pendingSince: int | None = None

    @property
    def state(self) -> str:
        """The state of the latest run, or `unscheduled`."""
        return str(self.runs[-1]["state"]) if self.runs else "unscheduled"

    def status(self) -> dict[str, Any]:
        """Return what APIs call the status of a task."""
        given = self.definition
        return {
            "taskId": self.taskId,
            "provisionerId": given["provisionerId"],
            "workerType": given["workerType"],
            "taskQueueId": given["taskQueueId"],
            "schedulerId": given["schedulerId"],
            "projectId": given["projectId"],
            "taskGroupId": given["taskGroupId"],
            "priority": given["priority"],
            "deadline": given["deadline"],
            "expires": given["expires"],
            "retriesLeft": self.retriesLeft,
            "state": self.state,
            "runs": [{name: run[name] for name in _RUN_FIELDS if name in run} for run in self.runs],
        }

    def add_run(self, reason: str, now: datetime) -> None:
        """Make the task pending."""
        self.runs.append(
            {"runId": len(self.runs), "state": "pending", "reasonCreated": reason, "scheduled": to_wire(now)}
        )

    def end_run(self, state: str, reason: str, now: datetime) -> None:
        """Resolve the latest run."""
        self.runs[-1].update(state=state, reasonResolved=reason, resolved=to_wire(now))


@dataclass(frozen=True, slots=True)
class Claim:
    """A run in the hands of a worker."""

    task: Task
    runId: int
    workerGroup: str
    workerId: str
    takenUntil: datetime


class Queue:
    """All tasks of a deployment.

    Args:
        store: Where they are kept.
        claim_timeout: How long a claim holds.
        on_pending: Told the taskQueueId whenever a task of that queue becomes pending.
    """

    def __init__(self, store: Store, claim_timeout: timedelta, on_pending: Callable[[str], None]) -> None:
        self._store = store
        self._claim_timeout = claim_timeout
        self._on_pending = on_pending
        store.create(_TABLES)
        latest = store.one("SELECT coalesce(max(pendingSince), 0) AS number FROM tasks")
        self._order = 0 if latest is None else int(latest["number"])

    # Reading

    def task(self, taskId: str, otherwise: str = "Are you sure this task has been submitted?") -> Task:
        """Return a task, or raise ApiError (ResourceNotFound)."""
        task = self._find(taskId)
        if task is None:
            raise ApiError("ResourceNotFound", f"`{taskId}` does not correspond to a task that exists.\n{otherwise}")
        return task

    def _find(self, taskId: str) -> Task | None:
        row = self._store.one(f"SELECT {_COLUMNS} FROM tasks WHERE taskId = ?", taskId)
        return None if row is None else _task(row)

    def group(self, taskGroupId: str) -> dict[str, Any]:
        """Return what is known of a task group, or raise ApiError (ResourceNotFound)."""
        row = self._store.one("SELECT * FROM task_groups WHERE taskGroupId = ?", taskGroupId)
        if row is None:
            raise ApiError("ResourceNotFound", f"No task-group with taskGroupId: `{taskGroupId}`")
        return {name: value for name, value in row.items() if value is not None}

    def group_members(self, taskGroupId: str, page: Page) -> list[Task]:
        """Return the tasks of a group by taskId, one more than the page's limit."""
        rows = self._store.all(
            f"SELECT {_COLUMNS} FROM tasks WHERE taskGroupId = ? ORDER BY taskId LIMIT ? OFFSET ?",
            taskGroupId,
            page.limit + 1,
            page.offset,
        )
        return [_task(row) for row in rows]

    # Creating and scheduling

    def create(self, taskId: str, definition: dict[str, Any], now: datetime) -> Task:
        """Create a task from its complete definition. The same again is no error and changes nothing."""
        definitions.check(definition, now)
        self._join_group(definition)
        existing = self._find(taskId)
        if existing is not None:
            if existing.definition != definition:
                raise ApiError(
                    "RequestConflict",
                    f"taskId `{taskId}` is already used by another task.\nRepeat a call with the same definition only.",
                )
            return existing
        task = Task(taskId, definition, definition["retries"])
        with self._store.transaction():
            self._check_dependencies(task)
            for required in definition["dependencies"]:
                self._store.run("INSERT INTO dependencies VALUES (?, ?)", required, taskId)
            if self._dependencies_satisfied(task):
                task.add_run("scheduled", now)
            self._save(task)
        return task

    def _join_group(self, definition: dict[str, Any]) -> None:
        group_id, scheduler_id = definition["taskGroupId"], definition["schedulerId"]
        expires = to_wire(later(from_wire(definition["expires"]), _GROUP_OUTLIVES_TASKS))
        # The group stays, even if nothing comes of the task.
        self._store.run("INSERT OR IGNORE INTO task_groups VALUES (?, ?, ?, NULL)", group_id, scheduler_id, expires)
        group = self.group(group_id)
        if group["schedulerId"] != scheduler_id:
            raise ApiError(
                "RequestConflict",
                f"Task group `{group_id}` contains tasks with a schedulerId other than `{scheduler_id}`.\n"
                "All tasks of a group must have the same schedulerId.",
            )
        if "sealed" in group:
            raise ApiError("RequestConflict", f"Task group `{group_id}` is sealed and does not accept new tasks.")
        self._store.run("UPDATE task_groups SET expires = max(expires, ?) WHERE taskGroupId = ?", expires, group_id)

    def _check_dependencies(self, task: Task) -> None:
        missing: list[str] = []
        expiring: list[str] = []
        for taskId in task.definition["dependencies"]:
            required = task if taskId == task.taskId else self._find(taskId)
            if required is None:
                missing.append(taskId)
            elif required.definition["expires"] < task.definition["deadline"]:
                expiring.append(taskId)
        if missing or expiring:
            lines = [f" * {taskId} does not exist" for taskId in missing]
            lines += [f" * {taskId} expires before the deadline of this task" for taskId in expiring]
            raise ApiError("InputError", "\n".join(["`dependencies` cannot be relied upon:", *lines]))

    def _dependencies_satisfied(self, task: Task) -> bool:
        enough = ("completed", "failed", "exception")[: 1 if task.definition["requires"] == "all-completed" else 3]
        return all(
            taskId != task.taskId and self._state(taskId) in enough for taskId in task.definition["dependencies"]
        )

    def _state(self, taskId: str) -> str | None:
        row = self._store.one("SELECT state FROM tasks WHERE taskId = ?", taskId)
        return None if row is None else str(row["state"])

    def schedule(self, task: Task, now: datetime) -> Task:
        """Make an unscheduled task pending, whatever it depends on; leave others as they are."""
        _check_deadline(task, now, "scheduled")
        if not task.runs:
            task.add_run("scheduled", now)
            self._save(task)
        return task

    def rerun(self, task: Task, now: datetime) -> Task:
        """Make a task that is resolved, or was never scheduled, pending once more; leave others as they are."""
        _check_deadline(task, now, "rescheduled")
        if task.state in ("pending", "running"):
            return task
        if len(task.runs) >= MOST_RUNS:
            raise ApiError("RequestConflict", f"Maximum number of runs reached ({MOST_RUNS}).")
        last = len(task.runs) - 1
        task.retriesLeft = min(task.definition["retries"], MOST_RUNS - last - 2)
        task.add_run("rerun", now)
        self._save(task)
        return task

    def cancel(self, task: Task, now: datetime) -> Task:
        """Resolve a task that is not resolved yet as canceled."""
        _check_deadline(task, now, "canceled")
        self._end_unresolved(task, "canceled", now)
        return task

    def _end_unresolved(self, task: Task, reason: str, now: datetime) -> None:
        if task.state not in ("unscheduled", "pending", "running"):
            return
        if not task.runs:
            task.add_run("exception", now)
        task.end_run("exception", reason, now)
        self._resolved(task, now)

    # Working

    def claim_work(self, taskQueueId: str, worker: tuple[str, str], count: int, now: datetime) -> list[Claim]:
        """Hand up to `count` pending tasks to a worker: highest priority first, then those that have waited longest.

        Args:
            taskQueueId: Where the worker looks for tasks.
            worker: Its workerGroup and workerId.
            count: How many it wants.
            now: The present.
        """
        with self._store.transaction():
            rows = self._store.all(
                f"SELECT {_COLUMNS} FROM tasks"
                " WHERE taskQueueId = ? AND state = 'pending' AND deadline > ?"
                " ORDER BY priority DESC, pendingSince LIMIT ?",
                taskQueueId,
                to_wire(now),
                count,
            )
            return [self._take(_task(row), worker, now) for row in rows]

    def claim(self, task: Task, runId: str, worker: tuple[str, str], now: datetime) -> Claim:
        """Hand one certain run to a worker. The same worker may ask again."""
        run = _run(task, runId)
        _check_deadline(task, now, "claimed")
        if run is task.runs[-1] and run["state"] == "pending":
            return self._take(task, worker, now)
        if run["state"] == "running" and (run["workerGroup"], run["workerId"]) == worker:
            return Claim(task, run["runId"], *worker, from_wire(run["takenUntil"]))
        raise ApiError("RequestConflict", f"Run {runId} was already claimed by another worker.")

    def _take(self, task: Task, worker: tuple[str, str], now: datetime) -> Claim:
        group, worker_id = worker
        until = self._until(now)
        run = task.runs[-1]
        run.update(
            state="running", workerGroup=group, workerId=worker_id, takenUntil=to_wire(until), started=to_wire(now)
        )
        self._save(task)
        return Claim(task, run["runId"], group, worker_id, until)

    def _until(self, now: datetime) -> datetime:
        until = now + self._claim_timeout
        return until.replace(microsecond=until.microsecond // 1000 * 1000)

    def reclaim(self, taskId: str, runId: str, now: datetime) -> Claim:
        """Let a worker keep a run for longer."""
        task, run = self._with_run(taskId, runId)
        _check_deadline(task, now, "reclaimed")
        if run is not task.runs[-1] or run["state"] != "running":
            raise _not_running(taskId, runId)
        until = self._until(now)
        run["takenUntil"] = to_wire(until)
        self._save(task)
        return Claim(task, run["runId"], run["workerGroup"], run["workerId"], until)

    def report(self, taskId: str, runId: str, outcome: str, now: datetime) -> Task:
        """Resolve a run as `completed` or `failed`. Saying the same again is no error."""
        task, run = self._with_run(taskId, runId)
        if run is not task.runs[-1]:
            raise _not_running(taskId, runId)
        if run["state"] == outcome:
            return task
        if run["state"] != "running":
            raise ApiError("RequestConflict", f"Run {runId} of task `{taskId}` is not running or {outcome}.")
        task.end_run(outcome, outcome, now)
        self._resolved(task, now)
        return task

    def report_exception(self, taskId: str, runId: str, reason: str, now: datetime) -> Task:
        """Resolve a run as one that could not be finished; for some reasons the task is tried again at once."""
        task, run = self._with_run(taskId, runId, "Are you sure it exists?")
        # A repeated call finds the run as it was left, the task perhaps already in its next one.
        if run["state"] == "exception" and run["reasonResolved"] == reason:
            return task
        if run is not task.runs[-1] or run["state"] != "running":
            raise _not_running(taskId, runId)
        self._end_or_retry(task, reason, now)
        return task

    def _end_or_retry(self, task: Task, reason: str, now: datetime) -> None:
        task.end_run("exception", reason, now)
        if reason in _RETRY_REASONS and task.retriesLeft > 0 and len(task.runs) < MOST_RUNS:
            task.retriesLeft -= 1
            task.add_run(_RETRY_REASONS[reason], now)
            self._save(task)
        else:
            self._resolved(task, now)

    def _resolved(self, task: Task, now: datetime) -> None:
        """Save a task that has just been resolved for good, and schedule those that have waited for it."""
        with self._store.transaction():
            self._save(task)
            waiting = self._store.all(
                f"SELECT {_COLUMNS} FROM dependencies JOIN tasks USING (taskId)"
                " WHERE requiredTaskId = ? AND state = 'unscheduled'",
                task.taskId,
            )
            for dependent in map(_task, waiting):
                if self._dependencies_satisfied(dependent):
                    dependent.add_run("scheduled", now)
                    self._save(dependent)

    def resolve_overdue(self, now: datetime) -> None:
        """End the claims that were not renewed in time, and the tasks whose deadline has passed."""
        expired = self._store.all(f"SELECT {_COLUMNS} FROM tasks WHERE takenUntil < ?", to_wire(now))
        for task in map(_task, expired):
            self._end_or_retry(task, "claim-expired", now)
        late = self._store.all(
            f"SELECT {_COLUMNS} FROM tasks WHERE state IN ('unscheduled', 'pending', 'running') AND deadline < ?",
            to_wire(now - _DEADLINE_LAG),
        )
        for task in map(_task, late):
            self._end_unresolved(task, "deadline-exceeded", now)

    # Keeping

    def _with_run(
        self, taskId: str, runId: str, otherwise: str = "Are you sure it was created?"
    ) -> tuple[Task, dict[str, Any]]:
        task = self._find(taskId)
        if task is None:
            raise ApiError("ResourceNotFound", f"Task `{taskId}` not found. {otherwise}")
        return task, _run(task, runId)

    def _save(self, task: Task) -> None:
        state = task.state
        if state != "pending":
            task.pendingSince = None
        elif task.pendingSince is None:
            self._order += 1
            task.pendingSince = self._order
        given = task.definition
        self._store.run(
            "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            task.taskId,
            given["taskGroupId"],
            given["taskQueueId"],
            definitions.PRIORITIES.index(given["priority"]),
            given["deadline"],
            task.retriesLeft,
            state,
            task.runs[-1]["takenUntil"] if state == "running" else None,
            task.pendingSince,
            dumps(task.runs),
            dumps(given),
        )
        if state == "pending":
            self._on_pending(given["taskQueueId"])


def _task(row: Row) -> Task:
    return Task(
        row["taskId"], json.loads(row["definition"]), row["retriesLeft"], json.loads(row["runs"]), row["pendingSince"]
    )


def _run(task: Task, runId: str) -> dict[str, Any]:
    # The length first: no run has a number that long.
    if len(runId) < 9 and int(runId) < len(task.runs):
        return task.runs[int(runId)]
    raise ApiError("ResourceNotFound", f"Run {runId} not found on task `{task.taskId}`.")


def _check_deadline(task: Task, now: datetime, what: str) -> None:
    deadline = task.definition["deadline"]
    if deadline < to_wire(now):
        raise ApiError("RequestConflict", f"Task `{task.taskId}` can't be {what} past its deadline of {deadline}.")


def _not_running(taskId: str, runId: str) -> ApiError:
    return ApiError("RequestConflict", f"Run {runId} on task `{taskId}` is resolved or not running.")
