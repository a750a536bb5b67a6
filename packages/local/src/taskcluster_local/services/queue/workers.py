"""The records of workers, and of the task queues and provisioners that they use. A worker in quarantine gets no tasks;
nothing else depends on them.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import from_wire, later, normal, to_wire
from .task import Claim, Worker

__all__ = ["QueueWorkers", "never_quarantined", "worker_of"]

_KEPT = timedelta(days=1)
"""How long a record is kept after the last activity."""
_MOST_RECENT_TASKS = 20
_NO_QUARANTINE = timedelta(days=10 * 365)
"""How long ago the quarantine of a worker that was never quarantined is said to have ended."""

_TABLES = """
CREATE TABLE IF NOT EXISTS provisioners (
    provisionerId TEXT PRIMARY KEY, expires TEXT NOT NULL, lastDateActive TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS provisioners_listed ON provisioners (by_name(provisionerId));
CREATE INDEX IF NOT EXISTS provisioners_by_expiry ON provisioners (expires);
CREATE TABLE IF NOT EXISTS task_queues (
    taskQueueId TEXT PRIMARY KEY, provisionerId TEXT NOT NULL, workerType TEXT NOT NULL,
    expires TEXT NOT NULL, lastDateActive TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS task_queues_listed ON task_queues (by_name(taskQueueId));
CREATE INDEX IF NOT EXISTS task_queues_of_provisioner ON task_queues (provisionerId, by_name(taskQueueId));
CREATE INDEX IF NOT EXISTS task_queues_by_expiry ON task_queues (expires);
CREATE TABLE IF NOT EXISTS queue_workers (
    taskQueueId TEXT NOT NULL, workerGroup TEXT NOT NULL, workerId TEXT NOT NULL,
    expires TEXT NOT NULL, firstClaim TEXT NOT NULL, lastDateActive TEXT NOT NULL,
    quarantineUntil TEXT, quarantineDetails TEXT NOT NULL DEFAULT '[]', recentTasks TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (taskQueueId, workerGroup, workerId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS queue_workers_listed
    ON queue_workers (taskQueueId, by_name(workerGroup), by_name(workerId));
CREATE INDEX IF NOT EXISTS queue_workers_by_expiry ON queue_workers (expires);
"""
_THIS = "WHERE taskQueueId = ? AND workerGroup = ? AND workerId = ?"
_PROPERTIES = (
    "taskQueueId, provisionerId, workerType, expires, lastDateActive, '' AS description, 'experimental' AS stability"
)


class QueueWorkers:
    """The records of all workers, task queues and provisioners. Expired records are ignored."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_TABLES)

    # Writing

    def record_activity(self, taskQueueId: str, worker: Worker, now: datetime) -> None:
        """Record that a worker has asked for tasks."""
        self._keep(taskQueueId, worker, later(now, _KEPT), now)

    def record_claims(self, taskQueueId: str, worker: Worker, claims: list[Claim]) -> None:
        """Record the tasks that a known worker has claimed."""
        row = self._store.one(f"SELECT recentTasks FROM queue_workers {_THIS}", taskQueueId, *worker)
        before: list[Any] = [] if row is None else json.loads(row["recentTasks"])
        recent = [*before, *({"taskId": claim.task.taskId, "runId": claim.runId} for claim in claims)]
        self._store.run(
            f"UPDATE queue_workers SET recentTasks = ? {_THIS}",
            dumps(recent[-_MOST_RECENT_TASKS:]),
            taskQueueId,
            *worker,
        )

    def declare(self, taskQueueId: str, worker: Worker, expires: str, now: datetime) -> dict[str, Any]:
        """Keep the record of a worker until `expires`, and return it, even if that date is past."""
        with self._store.transaction():
            self._keep(taskQueueId, worker, later(now, _KEPT), now)
            self._store.run(f"UPDATE queue_workers SET expires = ? {_THIS}", normal(expires), taskQueueId, *worker)
            return self._read(taskQueueId, worker)

    def quarantine(
        self, taskQueueId: str, worker: Worker, until: str, info: str, by: str, now: datetime
    ) -> dict[str, Any]:
        """Quarantine a worker until a date, and return its record.

        Args:
            taskQueueId: The task queue of the worker.
            worker: The worker.
            until: The end of the quarantine; a date in the past ends it now.
            info: The reason.
            by: The clientId of the caller.
            now: The deployment's time.

        Raises:
            ApiError: The worker is unknown (ResourceNotFound).
        """
        ends = from_wire(until)
        detail = {"clientId": by, "updatedAt": to_wire(now), "quarantineUntil": to_wire(ends), "quarantineInfo": info}
        with self._store.transaction():
            details = [*self.known(taskQueueId, worker, now)["quarantineDetails"], detail]
            # The record must be kept until the quarantine ends.
            self._store.run(
                "UPDATE queue_workers SET quarantineUntil = ?, quarantineDetails = ?, expires = max(expires, ?)"
                f" {_THIS}",
                to_wire(ends),
                dumps(details),
                to_wire(max(later(now, _KEPT), ends)),
                taskQueueId,
                *worker,
            )
            return self._read(taskQueueId, worker)

    def _keep(self, taskQueueId: str, worker: Worker, until: datetime, now: datetime) -> None:
        provisionerId, _, workerType = taskQueueId.partition("/")
        expires, seen = to_wire(until), to_wire(now)
        renew = "ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires), lastDateActive = ?"
        with self._store.transaction():
            self._store.run(f"INSERT INTO provisioners VALUES (?, ?, ?) {renew}", provisionerId, expires, seen, seen)
            self._store.run(
                f"INSERT INTO task_queues VALUES (?, ?, ?, ?, ?) {renew}",
                taskQueueId,
                provisionerId,
                workerType,
                expires,
                seen,
                seen,
            )
            self._store.run(
                "INSERT INTO queue_workers (taskQueueId, workerGroup, workerId, expires, firstClaim, lastDateActive)"
                f" VALUES (?, ?, ?, ?, ?, ?) {renew}",
                taskQueueId,
                *worker,
                expires,
                seen,
                seen,
                seen,
            )

    def expire(self, now: datetime) -> None:
        """Delete expired records."""
        for table in ("provisioners", "task_queues", "queue_workers"):
            self._store.run(f"DELETE FROM {table} WHERE expires <= ?", to_wire(now))

    # Reading

    def is_quarantined(self, taskQueueId: str, worker: Worker, now: datetime) -> bool:
        """Return whether a worker is in quarantine."""
        row = self._store.one(f"SELECT quarantineUntil FROM queue_workers {_THIS}", taskQueueId, *worker)
        until = None if row is None else row["quarantineUntil"]
        return until is not None and until > to_wire(now)

    def find(self, taskQueueId: str, worker: Worker, now: datetime) -> dict[str, Any] | None:
        """Return the record of a worker, or None.

        It has taskQueueId, workerGroup, workerId, expires, firstClaim, lastDateActive, recentTasks (at most 20, newest
        last), quarantineDetails, and optionally quarantineUntil and latestTask.
        """
        row = self._store.one(
            f"SELECT * FROM queue_workers {_THIS} AND expires > ?", taskQueueId, *worker, to_wire(now)
        )
        return None if row is None else worker_of(row)

    def known(self, taskQueueId: str, worker: Worker, now: datetime) -> dict[str, Any]:
        """Return the record of a worker, or raise ApiError (ResourceNotFound)."""
        found = self.find(taskQueueId, worker, now)
        if found is None:
            raise ApiError(
                "ResourceNotFound",
                f"Worker with workerId `{worker[1]}`, workerGroup `{worker[0]}`, and queue `{taskQueueId}` not found. "
                "It is known once it has asked for work.",
            )
        return found

    def _read(self, taskQueueId: str, worker: Worker) -> dict[str, Any]:
        [row] = self._store.all(f"SELECT * FROM queue_workers {_THIS}", taskQueueId, *worker)
        return worker_of(row)

    def workers(self, taskQueueId: str, quarantined: bool | None, page: Page, now: datetime) -> Listing:
        """Return the rows of a queue's workers, for `worker_of`: all, those in quarantine, or the others."""
        condition = {
            None: "",
            True: " AND coalesce(quarantineUntil, '') > ?",
            False: " AND coalesce(quarantineUntil, '') <= ?",
        }[quarantined]
        date = to_wire(now)
        return page.read(
            self._store,
            f"SELECT * FROM queue_workers WHERE taskQueueId = ? AND expires > ?{condition}",
            taskQueueId,
            date,
            *(() if quarantined is None else (date,)),
            names=("workerGroup", "workerId"),
        )

    def task_queue(self, taskQueueId: str, now: datetime) -> Row:
        """Return a task queue, or raise ApiError (ResourceNotFound)."""
        row = self._store.one(
            f"SELECT {_PROPERTIES} FROM task_queues WHERE taskQueueId = ? AND expires > ?", taskQueueId, to_wire(now)
        )
        if row is None:
            raise ApiError(
                "ResourceNotFound",
                f"Task queue `{taskQueueId}` not found. It is known once one of its workers has asked for work.",
            )
        return row

    def task_queues(self, page: Page, now: datetime, provisionerId: str | None = None) -> Listing:
        """Return all task queues, or those of a provisioner."""
        those, values = ("", ()) if provisionerId is None else (" AND provisionerId = ?", (provisionerId,))
        statement = f"SELECT {_PROPERTIES} FROM task_queues WHERE expires > ?{those}"
        return page.read(self._store, statement, to_wire(now), *values, names=("taskQueueId",))

    def provisioner(self, provisionerId: str, now: datetime) -> Row:
        """Return a provisioner, or raise ApiError (ResourceNotFound)."""
        row = self._store.one(
            "SELECT *, '' AS description, 'experimental' AS stability FROM provisioners"
            " WHERE provisionerId = ? AND expires > ?",
            provisionerId,
            to_wire(now),
        )
        if row is None:
            raise ApiError("ResourceNotFound", f"Provisioner `{provisionerId}` not found. Are you sure it was created?")
        return row

    def provisioners(self, page: Page, now: datetime) -> Listing:
        """Return all provisioners."""
        return page.read(
            self._store,
            "SELECT *, '' AS description, 'experimental' AS stability FROM provisioners WHERE expires > ?",
            to_wire(now),
            names=("provisionerId",),
        )


def worker_of(row: Row) -> dict[str, Any]:
    """Return the record of the worker in a row."""
    recent = json.loads(row["recentTasks"])
    record = {
        **{name: value for name, value in row.items() if value is not None},
        "recentTasks": recent,
        "quarantineDetails": json.loads(row["quarantineDetails"]),
    }
    return {**record, "latestTask": recent[-1]} if recent else record


def never_quarantined(now: datetime) -> str:
    """Return the quarantineUntil of a worker that was never quarantined."""
    return to_wire(now - _NO_QUARANTINE)
