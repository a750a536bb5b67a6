"""Dependencies between tasks: which tasks a new one may depend on, and which become pending when one is resolved."""

from __future__ import annotations

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Store
from .schema import COLUMNS, task_of
from .task import Task

__all__ = ["Dependencies"]


class Dependencies:
    """The dependencies of all tasks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def refusal(self, task: Task) -> ApiError | None:
        """Return the error for a new task with dependencies that do not exist or expire too early, or None."""
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

    def add(self, task: Task) -> bool:
        """Store the dependencies of a new task; return whether all of them are satisfied already."""
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

    def satisfy(self, resolved: Task) -> list[Task]:
        """Note that a task is resolved; return the unscheduled tasks that have no unsatisfied dependency left."""
        satisfied = self._store.run(
            "UPDATE dependencies SET satisfied = 1 WHERE requiredTaskId = ? AND NOT satisfied AND (anyOutcome OR ?)",
            resolved.taskId,
            resolved.state == "completed",
        )
        if not satisfied:
            return []
        ready = self._store.all(
            f"SELECT {COLUMNS} FROM dependencies JOIN tasks USING (taskId)"
            " WHERE requiredTaskId = ? AND state = 'unscheduled' AND NOT EXISTS"
            " (SELECT 1 FROM dependencies AS other WHERE other.taskId = tasks.taskId AND NOT other.satisfied)",
            resolved.taskId,
        )
        return list(map(task_of, ready))

    def dependents(self, taskId: str, page: Page) -> Listing:
        """Return the tasks that depend on one, by taskId."""
        # The column of the dependencies, because their index has the right order.
        columns = COLUMNS.replace("tasks.taskId", "dependencies.taskId")
        statement = f"SELECT {columns} FROM dependencies JOIN tasks USING (taskId) WHERE requiredTaskId = ?"
        return page.read(self._store, statement, taskId, names=("taskId",))

    def delete(self, taskId: str, required: list[str]) -> None:
        """Delete the dependencies of a task, which are `required`, and those of other tasks on it."""
        self._store.run("DELETE FROM dependencies WHERE requiredTaskId = ?", taskId)
        self._store.run(
            "DELETE FROM dependencies WHERE taskId = ? AND requiredTaskId IN (SELECT value FROM json_each(?))",
            taskId,
            dumps(required),
        )
