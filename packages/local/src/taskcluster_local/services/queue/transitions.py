"""Changes of a task's state and what follows: messages, retries, dependent tasks, resolved groups."""

from __future__ import annotations

from datetime import datetime

from ...store import Store
from .definition import PRIORITIES
from .dependencies import Dependencies
from .messages import QueueMessages
from .records import TaskRecords
from .schema import ACTIVE, group_of
from .task import Task

__all__ = ["Transitions"]


class Transitions:
    """Changes tasks. Every method must be called in a transaction.

    Args:
        store: The deployment's database.
        records: The tasks.
        dependencies: The dependencies between them.
        messages: Publishes the changes.
    """

    def __init__(self, store: Store, records: TaskRecords, dependencies: Dependencies, messages: QueueMessages) -> None:
        self._store = store
        self._records = records
        self._dependencies = dependencies
        self._messages = messages

    def make_pending(self, task: Task, reason: str, now: datetime) -> None:
        """Add a run to a task."""
        task.add_run(reason, now)
        self._records.save(task)
        self._messages.pending(task)

    def end_or_retry(self, task: Task, reason: str, now: datetime) -> None:
        """End the running run of a task as an exception, and retry the task if `reason` allows it."""
        run = task.runs[-1]
        task.end_run("exception", reason, now)
        if not task.retry(reason, now):
            self.resolve(task, now)
            return
        self._records.save(task)
        self._messages.resolved(task, run)
        self._messages.pending(task)

    def end_unresolved(self, task: Task, reason: str, now: datetime) -> None:
        """Resolve an active task as an exception; it is not retried."""
        if not task.runs:
            task.add_run("exception", now)
        task.end_run("exception", reason, now)
        self.resolve(task, now)

    def resolve(self, task: Task, now: datetime) -> None:
        """Save a task after its last run, and schedule the tasks that were waiting for it."""
        self._records.save(task)
        self._messages.resolved(task, task.runs[-1])
        for dependent in self._dependencies.satisfy(task):
            self.make_pending(dependent, "scheduled", now)
        statement = f"SELECT 1 AS it FROM tasks WHERE taskGroupId = ? AND {ACTIVE} LIMIT 1"
        if self._store.one(statement, task.taskGroupId) is None:
            [group] = self._store.all("SELECT * FROM task_groups WHERE taskGroupId = ?", task.taskGroupId)
            self._messages.group_resolved(group_of(group))

    def change_priority(self, task: Task, priority: str) -> None:
        """Change the priority of a task, if it differs."""
        before = task.priority
        if before == priority:
            return
        task.urgency = PRIORITIES.index(priority)
        self._store.run("UPDATE tasks SET urgency = ? WHERE taskId = ?", task.urgency, task.taskId)
        self._messages.priority_changed(task, before)
