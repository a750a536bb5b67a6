"""Tasks: reading, creating, scheduling, rerunning, canceling, and changing their priority.

`groups` is about task groups, `claims` about what workers do, `expiry` about what happens as time passes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Store
from ...timestamps import to_wire
from . import definition as definitions
from .claims import Claims
from .definition import PRIORITIES
from .dependencies import Dependencies
from .expiry import Expiry
from .groups import Groups
from .messages import QueueMessages
from .records import TaskRecords
from .schema import ACTIVE, COLUMNS
from .task import MOST_RUNS, Task
from .transitions import Transitions
from .workers import QueueWorkers

__all__ = ["Queue"]


class Queue:
    """All tasks of a deployment.

    Args:
        store: The deployment's database.
        claim_timeout: How long a claim lasts unless it is renewed.
        messages: Publishes changes.
        workers: The records of workers.
        on_pending: Called with the taskQueueId once a task of that queue is pending.
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
        self._messages = messages
        self._records = records = TaskRecords(store, on_pending)
        self._dependencies = Dependencies(store)
        self._transitions = transitions = Transitions(store, records, self._dependencies, messages)
        self.workers = workers
        self.groups = Groups(store, records, transitions, messages)
        self.claims = Claims(store, claim_timeout, records, transitions, messages, workers)
        self.expiry = Expiry(store, records, transitions, self._dependencies)

    # Reading

    def task(self, taskId: str, otherwise: str = "Are you sure this task has been submitted?") -> Task:
        """Return a task, or raise ApiError (ResourceNotFound)."""
        task = self.find(taskId)
        if task is None:
            raise ApiError("ResourceNotFound", f"`{taskId}` does not correspond to a task that exists.\n{otherwise}")
        return task

    def find(self, taskId: str) -> Task | None:
        """Return a task, or None."""
        return self._records.find(taskId)

    def tasks(self, taskIds: list[str], page: Page) -> Listing:
        """Return the existing tasks among `taskIds`, by taskId."""
        statement = f"SELECT {COLUMNS} FROM tasks WHERE taskId IN (SELECT value FROM json_each(?))"
        return page.read(self._store, statement, dumps(taskIds), names=("taskId",))

    def dependents(self, taskId: str, page: Page) -> Listing:
        """Return the tasks that depend on one, by taskId."""
        return self._dependencies.dependents(taskId, page)

    def counts(self, taskQueueId: str, now: datetime) -> tuple[int, int]:
        """Return how many tasks of a queue are pending, not past their deadline, and how many are claimed."""
        row = self._store.one("SELECT pending, claimed FROM queue_counts WHERE taskQueueId = ?", taskQueueId)
        if row is None:
            return (0, 0)
        # Found by deadline (the + disables other indexes): they are few, because they are resolved soon.
        late = self._store.one(
            f"SELECT count(*) AS number FROM tasks WHERE {ACTIVE} AND deadline < ? AND +state = 'pending'"
            " AND +taskQueueId = ?",
            to_wire(now),
            taskQueueId,
        )
        return int(row["pending"]) - (0 if late is None else int(late["number"])), int(row["claimed"])

    def queues(self, page: Page, now: datetime) -> Listing:
        """Return the ids of the task queues with pending or claimed tasks or known workers."""
        statement = (
            "SELECT taskQueueId FROM queue_counts WHERE pending > 0 OR claimed > 0"
            " UNION SELECT taskQueueId FROM task_queues WHERE expires > ?"
        )
        return page.read(self._store, statement, to_wire(now), names=("taskQueueId",))

    def totals(self) -> dict[str, int]:
        """Return how many tasks there are in all queues, and how many of them are pending and running."""
        row = self._store.one(
            "SELECT (SELECT count(*) FROM tasks) AS tasks, ifnull(sum(pending), 0) AS pending,"
            " ifnull(sum(claimed), 0) AS running FROM queue_counts"
        )
        assert row is not None
        return dict(row)

    def pending(self, taskQueueId: str, page: Page) -> Listing:
        """Return the pending tasks of a queue, in the order in which they are claimed."""
        statement = f"SELECT {COLUMNS} FROM tasks WHERE taskQueueId = ? AND state = 'pending'"
        return page.read(self._store, statement, taskQueueId, key=("urgency", "pendingSince"))

    def claimed(self, taskQueueId: str, page: Page) -> Listing:
        """Return the running tasks of a queue, by worker."""
        statement = f"SELECT {COLUMNS}, worker FROM tasks WHERE taskQueueId = ? AND state = 'running'"
        return page.read(self._store, statement, taskQueueId, key=("worker", "taskId"))

    # Creating and scheduling

    def create(self, taskId: str, definition: dict[str, Any], now: datetime, ahead: timedelta) -> Task:
        """Create a task from its complete definition. Repeating the call changes nothing.

        Args:
            taskId: Its taskId.
            definition: Its definition.
            now: The deployment's time.
            ahead: How far that is ahead of the client's clock.

        Raises:
            ApiError: The definition or its dependencies are invalid (InputError), or there is a task with this taskId
                and another definition, or the group does not accept the task (RequestConflict).
        """
        definitions.check(definition, now, ahead)
        with self._store.transaction():
            task, refusal = self._create(taskId, definition, now)
        # Outside the transaction, because the group stays even if the task is refused.
        if refusal is not None:
            raise refusal
        return task

    def _create(self, taskId: str, definition: dict[str, Any], now: datetime) -> tuple[Task, ApiError | None]:
        self.groups.join(definition)
        text = dumps(definition)
        existing = self.find(taskId)
        if existing is not None:
            if existing.defined != text:
                return existing, ApiError(
                    "RequestConflict",
                    f"taskId `{taskId}` is already used by another task.\nRepeat a call with the same definition only.",
                )
            self._publish_created(existing, existing.status())
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
            refusal = self._dependencies.refusal(task)
            if refusal is not None:
                return task, refusal
            ready = self._dependencies.add(task)
        status = task.status()
        if ready:
            task.add_run("scheduled", now)
        self._records.insert(task)
        self._publish_created(task, status)
        return task, None

    def _publish_created(self, task: Task, status: dict[str, Any]) -> None:
        self._messages.defined(task, status)
        if task.state == "pending":
            self._messages.pending(task)

    def schedule(self, task: Task, now: datetime) -> Task:
        """Make an unscheduled task pending, whatever it depends on; leave other tasks unchanged."""
        task.check_deadline(now, "scheduled")
        if not task.runs:
            with self._store.transaction():
                self._transitions.make_pending(task, "scheduled", now)
        return task

    def rerun(self, task: Task, now: datetime) -> Task:
        """Make a resolved or unscheduled task pending; leave other tasks unchanged."""
        task.check_deadline(now, "rescheduled")
        if task.state in ("pending", "running"):
            return task
        if len(task.runs) >= MOST_RUNS:
            raise ApiError("RequestConflict", f"Maximum number of runs reached ({MOST_RUNS}).")
        last = len(task.runs) - 1
        task.retriesLeft = min(task.definition["retries"], MOST_RUNS - last - 2)
        with self._store.transaction():
            self._transitions.make_pending(task, "rerun", now)
        return task

    def cancel(self, task: Task, now: datetime) -> Task:
        """Resolve an active task as canceled; leave other tasks unchanged."""
        task.check_deadline(now, "canceled")
        if task.is_active:
            with self._store.transaction():
                self._transitions.end_unresolved(task, "canceled", now)
        return task

    def change_priority(self, task: Task, priority: str, now: datetime) -> Task:
        """Change the priority of a task, even of a resolved one."""
        task.check_deadline(now, "reprioritized")
        with self._store.transaction():
            self._transitions.change_priority(task, priority)
        return task
