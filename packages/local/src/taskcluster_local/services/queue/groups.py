"""Task groups: joining, sealing, canceling, and changing the priority of all tasks of a group."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Store
from ...timestamps import from_wire, later, to_wire
from .definition import PRIORITIES
from .messages import QueueMessages
from .records import TaskRecords
from .schema import ACTIVE, COLUMNS, group_of, task_of
from .transitions import Transitions

__all__ = ["Groups"]

_OUTLIVES_TASKS = timedelta(hours=1)
_LATEST_TASKS = 20_000
_LATEST_GROUPS = 10
_FAILURE = ("runId", "state", "reasonResolved", "resolved")


class Groups:
    """All task groups of a deployment.

    Args:
        store: The deployment's database.
        records: The tasks.
        transitions: Changes the tasks.
        messages: Publishes changes of groups.
    """

    def __init__(self, store: Store, records: TaskRecords, transitions: Transitions, messages: QueueMessages) -> None:
        self._store = store
        self._records = records
        self._transitions = transitions
        self._messages = messages

    def group(self, taskGroupId: str) -> dict[str, Any]:
        """Return a task group, or raise ApiError (ResourceNotFound)."""
        row = self._store.one("SELECT * FROM task_groups WHERE taskGroupId = ?", taskGroupId)
        if row is None:
            raise ApiError("ResourceNotFound", f"No task-group with taskGroupId: `{taskGroupId}`")
        return group_of(row)

    def members(self, taskGroupId: str, page: Page) -> Listing:
        """Return the tasks of a group, by taskId."""
        statement = f"SELECT {COLUMNS} FROM tasks WHERE taskGroupId = ?"
        return page.read(self._store, statement, taskGroupId, names=("taskId",))

    def latest(self) -> list[dict[str, Any]]:
        """Return the groups of the tasks created last, latest first."""
        # Bounded: a group can have any number of tasks.
        rows = self._store.all(
            "SELECT taskGroupId, max(number) FROM (SELECT taskGroupId, rowid AS number FROM tasks ORDER BY rowid DESC"
            " LIMIT ?) GROUP BY taskGroupId ORDER BY 2 DESC LIMIT ?",
            _LATEST_TASKS,
            _LATEST_GROUPS,
        )
        return [self.group(row["taskGroupId"]) for row in rows]

    def counts(self, taskGroupId: str) -> dict[str, int]:
        """Return how many tasks of a group are in each state that occurs."""
        statement = "SELECT state, count(*) AS number FROM tasks WHERE taskGroupId = ? GROUP BY state"
        return {row["state"]: row["number"] for row in self._store.all(statement, taskGroupId)}

    def first_failure(self, taskGroupId: str) -> dict[str, Any] | None:
        """Return the failure that came first of those that no later run made up for. Canceling is none."""
        row = self._store.one(
            "SELECT taskId, json_extract(runs, '$[#-1]') AS run FROM tasks"
            " WHERE taskGroupId = ? AND state IN ('failed', 'exception')"
            " AND json_extract(runs, '$[#-1].reasonResolved') <> 'canceled'"
            " ORDER BY json_extract(runs, '$[#-1].resolved') LIMIT 1",
            taskGroupId,
        )
        if row is None:
            return None
        run = json.loads(row["run"])
        return {"taskId": row["taskId"], **{name: run[name] for name in _FAILURE}}

    def all_completed(self, taskGroupId: str) -> bool:
        """Return whether all tasks of a group are completed."""
        statement = "SELECT 1 FROM tasks WHERE taskGroupId = ? AND state <> 'completed' LIMIT 1"
        return self._store.one(statement, taskGroupId) is None

    def join(self, definition: dict[str, Any]) -> None:
        """Create the group of a new task, or extend its expiry.

        Raises:
            ApiError: The group is sealed or has another schedulerId (RequestConflict).
        """
        group_id, scheduler_id = definition["taskGroupId"], definition["schedulerId"]
        expires = to_wire(later(from_wire(definition["expires"]), _OUTLIVES_TASKS))
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

    def seal(self, taskGroupId: str, now: datetime) -> dict[str, Any]:
        """Seal a group against new tasks, if it is not sealed yet, and return it."""
        with self._store.transaction():
            changed = self._store.run(
                "UPDATE task_groups SET sealed = ? WHERE taskGroupId = ? AND sealed IS NULL", to_wire(now), taskGroupId
            )
            group = self.group(taskGroupId)
            if changed:
                self._messages.group_sealed(group)
        return group

    def cancel(self, taskGroupId: str, now: datetime) -> dict[str, Any]:
        """Cancel the active tasks of a sealed group, and return which tasks were canceled.

        Raises:
            ApiError: The group does not exist (ResourceNotFound), or it is not sealed (RequestConflict).
        """
        if "sealed" not in self.group(taskGroupId):
            raise ApiError(
                "RequestConflict", f"Cannot cancel unsealed task group: `{taskGroupId}`. Call sealTaskGroup first."
            )
        canceled: list[str] = []
        with self._store.transaction():
            members = f"SELECT taskId FROM tasks WHERE taskGroupId = ? AND {ACTIVE} ORDER BY by_name(taskId)"
            for task in self._records.still_active(self._store.all(members, taskGroupId)):
                self._transitions.end_unresolved(task, "canceled", now)
                canceled.append(task.taskId)
        size = self._store.one("SELECT count(*) AS size FROM tasks WHERE taskGroupId = ?", taskGroupId)
        return {
            "taskGroupId": taskGroupId,
            "taskGroupSize": 0 if size is None else size["size"],
            "taskIds": canceled,
            "cancelledCount": len(canceled),
        }

    def change_priority(self, taskGroupId: str, priority: str) -> dict[str, Any]:
        """Change the priority of all tasks of a group, and return which tasks had a different one."""
        group = self.group(taskGroupId)
        statement = f"SELECT {COLUMNS} FROM tasks WHERE taskGroupId = ? AND urgency <> ? ORDER BY by_name(taskId)"
        with self._store.transaction():
            rows = self._store.all(statement, taskGroupId, PRIORITIES.index(priority))
            changed = [task_of(row) for row in rows]
            for task in changed:
                self._transitions.change_priority(task, priority)
            self._messages.group_priority_changed(group, priority, len(changed))
        return {
            "taskGroupId": taskGroupId,
            "schedulerId": group["schedulerId"],
            "newPriority": priority,
            "tasksAffected": len(changed),
            "taskIds": [task.taskId for task in changed],
        }
