"""The stored tasks, and the order in which pending tasks are claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...encoding import dumps
from ...store import Row, Store
from .schema import COLUMNS, TABLES, task_of
from .task import Task

__all__ = ["TaskRecords"]


class TaskRecords:
    """The stored tasks. Changes must be made in a transaction.

    Args:
        store: The deployment's database.
        on_pending: Called with the taskQueueId once a task of that queue is pending.
    """

    def __init__(self, store: Store, on_pending: Callable[[str], None]) -> None:
        self._store = store
        self._on_pending = on_pending
        store.create(TABLES)
        latest = store.one("SELECT max(pendingSince) AS number FROM tasks WHERE state = 'pending'")
        self._order = 0 if latest is None or latest["number"] is None else int(latest["number"])

    def find(self, taskId: str) -> Task | None:
        """Return a task, or None."""
        row = self._store.one(f"SELECT {COLUMNS} FROM tasks WHERE taskId = ?", taskId)
        return None if row is None else task_of(row)

    def still_active(self, rows: Iterable[Row]) -> Iterator[Task]:
        """Yield the tasks of `rows` that are not resolved, each read only now: resolving one may change others."""
        for row in rows:
            task = self.find(row["taskId"])
            if task is not None and task.is_active:
                yield task

    def insert(self, task: Task) -> None:
        """Store a new task."""
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

    def save(self, task: Task) -> None:
        """Store the runs and the state of a task."""
        self._line_up(task)
        worker = task.worker
        self._store.run(
            "UPDATE tasks SET retriesLeft = ?, state = ?, pendingSince = ?, worker = ?, takenUntil = ?, runs = ?"
            " WHERE taskId = ?",
            task.retriesLeft,
            task.state,
            task.pendingSince,
            None if worker is None else "/".join(worker),
            None if worker is None else task.runs[-1]["takenUntil"],
            dumps(task.runs),
            task.taskId,
        )

    def _line_up(self, task: Task) -> None:
        """Put a task that has become pending behind those that are pending already."""
        if task.state != "pending":
            task.pendingSince = None
        elif task.pendingSince is None:
            self._order += 1
            task.pendingSince = self._order
            self._store.after_commit(lambda: self._on_pending(task.taskQueueId))
