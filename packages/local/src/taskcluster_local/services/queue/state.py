"""Tasks and task groups: who may do what with them when, and what follows from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import from_wire, later, to_wire
from . import definition as definitions
from .definition import PRIORITIES
from .messages import QueueMessages
from .task import MOST_RUNS, Claim, Task, Worker
from .workers import QueueWorkers

__all__ = ["EXPIRED_FOR", "Queue", "task_of"]

EXPIRED_FOR = timedelta(days=1)
"""How long tasks and artifacts are still there once they have expired; deployments too delete them now and then."""

_DEADLINE_LAG = timedelta(minutes=1)
_GROUP_OUTLIVES_TASKS = timedelta(hours=1)
_BATCH = 100
"""How many tasks are dealt with before requests have their turn."""

_ACTIVE = "state IN ('unscheduled', 'pending', 'running')"
_TABLES = f"""
CREATE TABLE IF NOT EXISTS tasks (
    taskId TEXT PRIMARY KEY, taskGroupId TEXT NOT NULL, taskQueueId TEXT NOT NULL,
    schedulerId TEXT NOT NULL, projectId TEXT NOT NULL, urgency INTEGER NOT NULL,
    deadline TEXT NOT NULL, expires TEXT NOT NULL, retriesLeft INTEGER NOT NULL, state TEXT NOT NULL,
    pendingSince INTEGER, worker TEXT, takenUntil TEXT, runs TEXT NOT NULL, definition TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS tasks_pending ON tasks (taskQueueId, urgency, pendingSince) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS tasks_claimed ON tasks (taskQueueId, worker, taskId) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS tasks_by_claim ON tasks (takenUntil) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS tasks_by_deadline ON tasks (deadline) WHERE {_ACTIVE};
CREATE INDEX IF NOT EXISTS tasks_of_group ON tasks (taskGroupId, by_name(taskId));
CREATE INDEX IF NOT EXISTS tasks_active ON tasks (taskGroupId) WHERE {_ACTIVE};
CREATE INDEX IF NOT EXISTS tasks_by_expiry ON tasks (expires);
CREATE TABLE IF NOT EXISTS dependencies (
    requiredTaskId TEXT NOT NULL, taskId TEXT NOT NULL, anyOutcome INTEGER NOT NULL, satisfied INTEGER NOT NULL,
    PRIMARY KEY (requiredTaskId, taskId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dependents_listed ON dependencies (requiredTaskId, by_name(taskId));
CREATE INDEX IF NOT EXISTS dependencies_unsatisfied ON dependencies (taskId) WHERE NOT satisfied;
CREATE TABLE IF NOT EXISTS task_groups (
    taskGroupId TEXT PRIMARY KEY, schedulerId TEXT NOT NULL, expires TEXT NOT NULL, sealed TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS task_groups_by_expiry ON task_groups (expires);
CREATE TABLE IF NOT EXISTS queue_counts (
    taskQueueId TEXT PRIMARY KEY, pending INTEGER NOT NULL, claimed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS count_created AFTER INSERT ON tasks WHEN new.state = 'pending' BEGIN
    INSERT INTO queue_counts VALUES (new.taskQueueId, 1, 0)
    ON CONFLICT (taskQueueId) DO UPDATE SET pending = pending + 1;
END;
CREATE TRIGGER IF NOT EXISTS count_changed AFTER UPDATE OF state ON tasks WHEN new.state <> old.state BEGIN
    INSERT INTO queue_counts VALUES (new.taskQueueId, new.state = 'pending', new.state = 'running')
    ON CONFLICT (taskQueueId) DO UPDATE SET
        pending = pending + (new.state = 'pending') - (old.state = 'pending'),
        claimed = claimed + (new.state = 'running') - (old.state = 'running');
END;
CREATE TRIGGER IF NOT EXISTS count_deleted AFTER DELETE ON tasks WHEN old.state IN ('pending', 'running') BEGIN
    UPDATE queue_counts SET pending = pending - (old.state = 'pending'), claimed = claimed - (old.state = 'running')
    WHERE taskQueueId = old.taskQueueId;
END;
"""
_COLUMNS = (
    "tasks.taskId, taskGroupId, taskQueueId, schedulerId, projectId, urgency, deadline, expires, retriesLeft,"
    " definition, runs, pendingSince"
)
_NOT_THERE = "Are you sure it was created?"


class Queue:
    """All tasks of a deployment.

    Args:
        store: Where they are kept.
        claim_timeout: How long a claim holds.
        messages: Tells what happens.
        workers: Who has asked for tasks.
        on_pending: Told the taskQueueId when a task of that queue has become pending, or may be claimed again.
    """

    def __init__(
        self,
        store: Store,
        claim_timeout: timedelta,
        messages: QueueMessages,
        workers: QueueWorkers,
        on_pending: Callable[[str], None],
    ) -> None:
        self._store = store
        self._claim_timeout = claim_timeout
        self._messages = messages
        self._on_pending = on_pending
        self.workers = workers
        """What is known of the workers."""
        store.create(_TABLES)
        latest = store.one("SELECT max(pendingSince) AS number FROM tasks WHERE state = 'pending'")
        self._order = 0 if latest is None or latest["number"] is None else int(latest["number"])

    # Reading

    def task(self, taskId: str, otherwise: str = "Are you sure this task has been submitted?") -> Task:
        """Return a task, or raise ApiError (ResourceNotFound)."""
        task = self.find(taskId)
        if task is None:
            raise ApiError("ResourceNotFound", f"`{taskId}` does not correspond to a task that exists.\n{otherwise}")
        return task

    def find(self, taskId: str) -> Task | None:
        """Return a task, or None where there is none."""
        row = self._store.one(f"SELECT {_COLUMNS} FROM tasks WHERE taskId = ?", taskId)
        return None if row is None else task_of(row)

    def tasks(self, taskIds: list[str], page: Page) -> Listing:
        """Return those of some tasks that there are, by taskId."""
        statement = f"SELECT {_COLUMNS} FROM tasks WHERE taskId IN (SELECT value FROM json_each(?))"
        return page.read(self._store, statement, dumps(taskIds), names=("taskId",))

    def dependents(self, taskId: str, page: Page) -> Listing:
        """Return the tasks that depend on one, by taskId."""
        # The taskId of the dependencies, as these are in that order already.
        columns = _COLUMNS.replace("tasks.taskId", "dependencies.taskId")
        statement = f"SELECT {columns} FROM dependencies JOIN tasks USING (taskId) WHERE requiredTaskId = ?"
        return page.read(self._store, statement, taskId, names=("taskId",))

    def group(self, taskGroupId: str) -> dict[str, Any]:
        """Return what is known of a task group, or raise ApiError (ResourceNotFound)."""
        row = self._store.one("SELECT * FROM task_groups WHERE taskGroupId = ?", taskGroupId)
        if row is None:
            raise ApiError("ResourceNotFound", f"No task-group with taskGroupId: `{taskGroupId}`")
        return {name: value for name, value in row.items() if value is not None}

    def group_members(self, taskGroupId: str, page: Page) -> Listing:
        """Return the tasks of a group by taskId."""
        statement = f"SELECT {_COLUMNS} FROM tasks WHERE taskGroupId = ?"
        return page.read(self._store, statement, taskGroupId, names=("taskId",))

    def all_completed(self, taskGroupId: str) -> bool:
        """Whether all tasks of a group are completed."""
        statement = "SELECT 1 FROM tasks WHERE taskGroupId = ? AND state <> 'completed' LIMIT 1"
        return self._store.one(statement, taskGroupId) is None

    def counts(self, taskQueueId: str, now: datetime) -> tuple[int, int]:
        """Return how many tasks of a queue are pending, not past their deadline, and how many are claimed."""
        row = self._store.one("SELECT pending, claimed FROM queue_counts WHERE taskQueueId = ?", taskQueueId)
        if row is None:
            return (0, 0)
        # Found by their deadline (the + keeps other indexes out): they are few, as they are resolved soon.
        late = self._store.one(
            f"SELECT count(*) AS number FROM tasks WHERE {_ACTIVE} AND deadline < ? AND +state = 'pending'"
            " AND +taskQueueId = ?",
            to_wire(now),
            taskQueueId,
        )
        return int(row["pending"]) - (0 if late is None else int(late["number"])), int(row["claimed"])

    def pending(self, taskQueueId: str, page: Page) -> Listing:
        """Return the tasks of a queue that wait for a worker, in the order that they are handed out."""
        statement = f"SELECT {_COLUMNS} FROM tasks WHERE taskQueueId = ? AND state = 'pending'"
        return page.read(self._store, statement, taskQueueId, key=("urgency", "pendingSince"))

    def claimed(self, taskQueueId: str, page: Page) -> Listing:
        """Return the tasks of a queue that are being worked on, by their workers."""
        statement = f"SELECT {_COLUMNS}, worker FROM tasks WHERE taskQueueId = ? AND state = 'running'"
        return page.read(self._store, statement, taskQueueId, key=("worker", "taskId"))

    # Creating and scheduling

    def create(self, taskId: str, definition: dict[str, Any], now: datetime) -> Task:
        """Create a task from its complete definition. The same again is no error and changes nothing."""
        definitions.check(definition, now)
        with self._store.transaction():
            task, refusal = self._create(taskId, definition, now)
        # Only now, as the group stays, even if nothing comes of the task.
        if refusal is not None:
            raise refusal
        return task

    def _create(self, taskId: str, definition: dict[str, Any], now: datetime) -> tuple[Task, ApiError | None]:
        self._join_group(definition)
        text = dumps(definition)
        existing = self.find(taskId)
        if existing is not None:
            if existing.defined != text:
                return existing, ApiError(
                    "RequestConflict",
                    f"taskId `{taskId}` is already used by another task.\nRepeat a call with the same definition only.",
                )
            self._tell_created(existing, existing.status())
            return existing, None
        task = Task(
            taskId,
            definition["taskGroupId"],
            definition["taskQueueId"],
            definition["schedulerId"],
            definition["projectId"],
            PRIORITIES.index(definition["priority"]),
            definition["deadline"],
            definition["expires"],
            definition["retries"],
            text,
            _definition=definition,
        )
        ready = True
        if definition["dependencies"]:
            refusal = self._unreliable(task)
            if refusal is not None:
                return task, refusal
            ready = self._depend(task)
        status = task.status()
        if ready:
            task.add_run("scheduled", now)
        self._insert(task)
        self._tell_created(task, status)
        return task, None

    def _tell_created(self, task: Task, status: dict[str, Any]) -> None:
        self._messages.defined(task, status)
        if task.state == "pending":
            self._messages.pending(task)

    def _join_group(self, definition: dict[str, Any]) -> None:
        group_id, scheduler_id = definition["taskGroupId"], definition["schedulerId"]
        expires = to_wire(later(from_wire(definition["expires"]), _GROUP_OUTLIVES_TASKS))
        group = self._store.one("SELECT * FROM task_groups WHERE taskGroupId = ?", group_id)
        if group is None:
            self._store.run("INSERT INTO task_groups VALUES (?, ?, ?, NULL)", group_id, scheduler_id, expires)
            return
        if group["schedulerId"] != scheduler_id:
            raise ApiError(
                "RequestConflict",
                f"Task group `{group_id}` contains tasks with a schedulerId other than `{scheduler_id}`.\n"
                "All tasks of a group must have the same schedulerId.",
            )
        if group["sealed"] is not None:
            raise ApiError("RequestConflict", f"Task group `{group_id}` is sealed and does not accept new tasks.")
        if group["expires"] < expires:
            self._store.run("UPDATE task_groups SET expires = ? WHERE taskGroupId = ?", expires, group_id)

    def _unreliable(self, task: Task) -> ApiError | None:
        """Return what is wrong with the dependencies of a new task."""
        dependencies = task.definition["dependencies"]
        found = self._store.all(
            "SELECT taskId, expires FROM tasks WHERE taskId IN (SELECT value FROM json_each(?))", dumps(dependencies)
        )
        expires = {row["taskId"]: row["expires"] for row in found} | {task.taskId: task.expires}
        lines = [f" * {taskId} does not exist" for taskId in dependencies if taskId not in expires]
        lines += [
            f" * {taskId} expires before the deadline of this task"
            for taskId in dependencies
            if taskId in expires and expires[taskId] < task.deadline
        ]
        if not lines:
            return None
        return ApiError("InputError", "\n".join(["`dependencies` cannot be relied upon:", *lines]))

    def _depend(self, task: Task) -> bool:
        """Note what a new task depends on; return whether it need not wait for any of it."""
        any_outcome = task.definition["requires"] == "all-resolved"
        enough = ["completed", "failed", "exception"] if any_outcome else ["completed"]
        self._store.run(
            "INSERT INTO dependencies SELECT value, ?, ?, EXISTS (SELECT 1 FROM tasks WHERE taskId = value"
            " AND state IN (SELECT value FROM json_each(?))) FROM json_each(?)",
            task.taskId,
            any_outcome,
            dumps(enough),
            dumps(task.definition["dependencies"]),
        )
        waits = self._store.one("SELECT 1 AS it FROM dependencies WHERE taskId = ? AND NOT satisfied", task.taskId)
        return waits is None

    def schedule(self, task: Task, now: datetime) -> Task:
        """Make an unscheduled task pending, whatever it depends on; leave others as they are."""
        _check_deadline(task, now, "scheduled")
        if not task.runs:
            with self._store.transaction():
                self._make_pending(task, "scheduled", now)
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
        with self._store.transaction():
            self._make_pending(task, "rerun", now)
        return task

    def _make_pending(self, task: Task, reason: str, now: datetime) -> None:
        task.add_run(reason, now)
        self._save(task)
        self._messages.pending(task)

    def cancel(self, task: Task, now: datetime) -> Task:
        """Resolve a task that is not resolved yet as canceled."""
        _check_deadline(task, now, "canceled")
        if task.is_active:
            with self._store.transaction():
                self._end_unresolved(task, "canceled", now)
        return task

    def _end_unresolved(self, task: Task, reason: str, now: datetime) -> None:
        if not task.runs:
            task.add_run("exception", now)
        task.end_run("exception", reason, now)
        self._resolved(task, now)

    def change_priority(self, task: Task, priority: str, now: datetime) -> Task:
        """Give a task another priority, even if it is resolved."""
        _check_deadline(task, now, "reprioritized")
        with self._store.transaction():
            self._change_priority(task, priority)
        return task

    def _change_priority(self, task: Task, priority: str) -> None:
        before = task.priority
        if before == priority:
            return
        task.urgency = PRIORITIES.index(priority)
        self._store.run("UPDATE tasks SET urgency = ? WHERE taskId = ?", task.urgency, task.taskId)
        self._messages.priority_changed(task, before)

    # Groups

    def seal_group(self, taskGroupId: str, now: datetime) -> dict[str, Any]:
        """Close a group to new tasks, and return it. The first time counts."""
        with self._store.transaction():
            changed = self._store.run(
                "UPDATE task_groups SET sealed = ? WHERE taskGroupId = ? AND sealed IS NULL", to_wire(now), taskGroupId
            )
            group = self.group(taskGroupId)
            if changed:
                self._messages.group_sealed(group)
        return group

    def cancel_group(self, taskGroupId: str, now: datetime) -> dict[str, Any]:
        """Cancel what is not resolved in a sealed group; say which tasks these were."""
        if "sealed" not in self.group(taskGroupId):
            raise ApiError(
                "RequestConflict", f"Cannot cancel unsealed task group: `{taskGroupId}`. Call sealTaskGroup first."
            )
        canceled: list[str] = []
        with self._store.transaction():
            members = f"SELECT taskId FROM tasks WHERE taskGroupId = ? AND {_ACTIVE} ORDER BY by_name(taskId)"
            for task in self._active_still(self._store.all(members, taskGroupId)):
                self._end_unresolved(task, "canceled", now)
                canceled.append(task.taskId)
        size = self._store.one("SELECT count(*) AS size FROM tasks WHERE taskGroupId = ?", taskGroupId)
        return {
            "taskGroupId": taskGroupId,
            "taskGroupSize": 0 if size is None else size["size"],
            "taskIds": canceled,
            "cancelledCount": len(canceled),
        }

    def change_group_priority(self, taskGroupId: str, priority: str) -> dict[str, Any]:
        """Give another priority to all tasks of a group; return which tasks had a different one."""
        group = self.group(taskGroupId)
        statement = f"SELECT {_COLUMNS} FROM tasks WHERE taskGroupId = ? AND urgency <> ? ORDER BY by_name(taskId)"
        with self._store.transaction():
            rows = self._store.all(statement, taskGroupId, PRIORITIES.index(priority))
            changed = [task_of(row) for row in rows]
            for task in changed:
                self._change_priority(task, priority)
            self._messages.group_priority_changed(group, priority, len(changed))
        return {
            "taskGroupId": taskGroupId,
            "schedulerId": group["schedulerId"],
            "newPriority": priority,
            "tasksAffected": len(changed),
            "taskIds": [task.taskId for task in changed],
        }

    # Working

    def claim_work(self, taskQueueId: str, worker: Worker, count: int, now: datetime) -> list[Claim]:
        """Hand up to `count` pending tasks to a worker: highest priority first, then those that have waited longest.

        Args:
            taskQueueId: Where the worker looks for tasks.
            worker: Its workerGroup and workerId. One in quarantine gets nothing.
            count: How many it wants.
            now: The present.
        """
        if self.workers.is_quarantined(taskQueueId, worker, now):
            return []
        # Finding and taking are one transaction, and nothing else runs meanwhile: a task goes to one worker.
        with self._store.transaction():
            rows = self._store.all(
                f"SELECT {_COLUMNS} FROM tasks WHERE taskQueueId = ? AND state = 'pending' AND +deadline > ?"
                " ORDER BY urgency, pendingSince LIMIT ?",
                taskQueueId,
                to_wire(now),
                count,
            )
            claims = [self._take(task_of(row), worker, now) for row in rows]
            if claims:
                self.workers.note_claims(taskQueueId, worker, claims)
            return claims

    def claim(self, task: Task, runId: str, worker: Worker, now: datetime) -> Claim:
        """Hand one certain run to a worker. The same worker may call again, but not for a run from claim_work."""
        run = _run(task, runId)
        _check_deadline(task, now, "claimed")
        if run is task.runs[-1] and run["state"] == "pending":
            with self._store.transaction():
                claim = self._take(task, worker, now, named=True)
                self.workers.see(task.taskQueueId, worker, now)
                self.workers.note_claims(task.taskQueueId, worker, [claim])
            return claim
        if run["state"] == "running" and run.get("named") and (run["workerGroup"], run["workerId"]) == worker:
            return Claim(task, run["runId"], *worker, from_wire(run["takenUntil"]))
        raise ApiError("RequestConflict", f"Run {runId} was already claimed by another worker.")

    def _take(self, task: Task, worker: Worker, now: datetime, *, named: bool = False) -> Claim:
        until = self._until(now)
        task.take(worker, until, now, named=named)
        self._save(task)
        self._messages.running(task)
        return Claim(task, task.runs[-1]["runId"], *worker, until)

    def _until(self, now: datetime) -> datetime:
        until = later(now, self._claim_timeout)
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
        with self._store.transaction():
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
        with self._store.transaction():
            self._end_or_retry(task, reason, now)
        return task

    def end_runs(self, taskQueueId: str, worker: Worker, now: datetime) -> None:
        """End whatever a worker is doing as one that was shut down; its tasks are tried again."""
        with self._store.transaction():
            statement = f"SELECT {_COLUMNS} FROM tasks WHERE taskQueueId = ? AND state = 'running' AND worker = ?"
            for row in self._store.all(statement, taskQueueId, _joined(worker)):
                self._end_or_retry(task_of(row), "worker-shutdown", now)

    def _end_or_retry(self, task: Task, reason: str, now: datetime) -> None:
        run = task.runs[-1]
        task.end_run("exception", reason, now)
        if not task.retry(reason, now):
            self._resolved(task, now)
            return
        self._save(task)
        self._messages.resolved(task, run)
        self._messages.pending(task)

    def _resolved(self, task: Task, now: datetime) -> None:
        """Save a task that has just been resolved for good, and schedule those that have waited for it."""
        self._save(task)
        self._messages.resolved(task, task.runs[-1])
        satisfied = self._store.run(
            "UPDATE dependencies SET satisfied = 1 WHERE requiredTaskId = ? AND NOT satisfied AND (anyOutcome OR ?)",
            task.taskId,
            task.state == "completed",
        )
        if satisfied:
            waiting = self._store.all(
                f"SELECT {_COLUMNS} FROM dependencies JOIN tasks USING (taskId)"
                " WHERE requiredTaskId = ? AND state = 'unscheduled' AND NOT EXISTS"
                " (SELECT 1 FROM dependencies AS other WHERE other.taskId = tasks.taskId AND NOT other.satisfied)",
                task.taskId,
            )
            for dependent in map(task_of, waiting):
                self._make_pending(dependent, "scheduled", now)
        statement = f"SELECT 1 AS it FROM tasks WHERE taskGroupId = ? AND {_ACTIVE} LIMIT 1"
        if self._store.one(statement, task.taskGroupId) is None:
            self._messages.group_resolved(self.group(task.taskGroupId))

    # Time passing

    async def resolve_overdue(self, now: datetime) -> None:
        """End the claims that were not renewed in time, and the tasks whose deadline has passed."""
        expired = (
            f"SELECT taskId FROM tasks WHERE state = 'running' AND takenUntil < ? ORDER BY takenUntil LIMIT {_BATCH}"
        )
        while rows := self._store.all(expired, to_wire(now)):
            with self._store.transaction():
                for task in self._active_still(rows):
                    self._end_or_retry(task, "claim-expired", now)
            await asyncio.sleep(0)
        late = f"SELECT taskId FROM tasks WHERE {_ACTIVE} AND deadline < ? ORDER BY deadline LIMIT {_BATCH}"
        while rows := self._store.all(late, to_wire(now - _DEADLINE_LAG)):
            with self._store.transaction():
                for task in self._active_still(rows):
                    self._end_unresolved(task, "deadline-exceeded", now)
            await asyncio.sleep(0)

    def _active_still(self, rows: Iterable[Row]) -> Iterator[Task]:
        """Return the tasks of `rows`, each as it is when its turn comes: what became of one may have changed others."""
        for row in rows:
            task = self.find(row["taskId"])
            if task is not None and task.is_active:
                yield task

    async def expire(self, now: datetime) -> None:
        """Delete the tasks and groups that have expired."""
        before = to_wire(now - EXPIRED_FOR)
        expired = f"SELECT taskId, definition FROM tasks WHERE expires < ? LIMIT {_BATCH}"
        while rows := self._store.all(expired, before):
            with self._store.transaction():
                for row in rows:
                    self._delete(row["taskId"], json.loads(row["definition"])["dependencies"])
            await asyncio.sleep(0)
        self._store.run("DELETE FROM task_groups WHERE expires < ?", before)

    def _delete(self, taskId: str, dependencies: list[str]) -> None:
        self._store.run("DELETE FROM tasks WHERE taskId = ?", taskId)
        self._store.run("DELETE FROM dependencies WHERE requiredTaskId = ?", taskId)
        self._store.run(
            "DELETE FROM dependencies WHERE taskId = ? AND requiredTaskId IN (SELECT value FROM json_each(?))",
            taskId,
            dumps(dependencies),
        )

    # Keeping

    def _with_run(self, taskId: str, runId: str, otherwise: str = _NOT_THERE) -> tuple[Task, dict[str, Any]]:
        task = self.find(taskId)
        if task is None:
            raise ApiError("ResourceNotFound", f"Task `{taskId}` not found. {otherwise}")
        return task, _run(task, runId)

    def _insert(self, task: Task) -> None:
        self._line_up(task)
        self._store.run(
            "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)",
            task.taskId,
            task.taskGroupId,
            task.taskQueueId,
            task.schedulerId,
            task.projectId,
            task.urgency,
            task.deadline,
            task.expires,
            task.retriesLeft,
            task.state,
            task.pendingSince,
            dumps(task.runs),
            task.defined,
        )

    def _save(self, task: Task) -> None:
        self._line_up(task)
        worker = task.worker
        self._store.run(
            "UPDATE tasks SET retriesLeft = ?, state = ?, pendingSince = ?, worker = ?, takenUntil = ?, runs = ?"
            " WHERE taskId = ?",
            task.retriesLeft,
            task.state,
            task.pendingSince,
            None if worker is None else _joined(worker),
            None if worker is None else task.runs[-1]["takenUntil"],
            dumps(task.runs),
            task.taskId,
        )

    def _line_up(self, task: Task) -> None:
        """Give a task its place among the pending ones, if it is one."""
        if task.state != "pending":
            task.pendingSince = None
        elif task.pendingSince is None:
            self._order += 1
            task.pendingSince = self._order
            self._store.after_commit(lambda: self._on_pending(task.taskQueueId))


def task_of(row: Row) -> Task:
    """Return a task as it was read."""
    return Task(
        row["taskId"],
        row["taskGroupId"],
        row["taskQueueId"],
        row["schedulerId"],
        row["projectId"],
        row["urgency"],
        row["deadline"],
        row["expires"],
        row["retriesLeft"],
        row["definition"],
        json.loads(row["runs"]),
        row["pendingSince"],
    )


def _joined(worker: Worker) -> str:
    return "/".join(worker)


def _run(task: Task, runId: str) -> dict[str, Any]:
    # The length first: no run has a number that long.
    if len(runId) < 9 and int(runId) < len(task.runs):
        return task.runs[int(runId)]
    raise ApiError("ResourceNotFound", f"Run {runId} not found on task `{task.taskId}`.")


def _check_deadline(task: Task, now: datetime, what: str) -> None:
    if task.deadline < to_wire(now):
        raise ApiError("RequestConflict", f"Task `{task.taskId}` can't be {what} past its deadline of {task.deadline}.")


def _not_running(taskId: str, runId: str) -> ApiError:
    return ApiError("RequestConflict", f"Run {runId} on task `{taskId}` is resolved or not running.")
