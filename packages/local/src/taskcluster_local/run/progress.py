"""The state of the tasks of a run, as messages of the queue report it. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..timestamps import from_wire

__all__ = ["FAILED", "RESOLVED", "Progress", "TaskProgress"]

FAILED = ("failed", "exception")
RESOLVED = ("completed", *FAILED)


@dataclass
class TaskProgress:
    """The state of one task."""

    taskId: str
    taskGroupId: str
    name: str
    dependencies: tuple[str, ...]
    needs_completed: bool
    """Whether its dependencies must be completed, not only resolved."""
    state: str = "unscheduled"
    reason: str = ""
    """Why it is in the state `exception`."""
    runs: int = 0
    started: datetime | None = None
    resolved: datetime | None = None
    is_skipped: bool = False
    """Whether it was not selected."""
    is_blocked: bool = False
    """Whether it cannot run, because a dependency was not completed."""

    @property
    def is_resolved(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in RESOLVED or self.is_blocked

    @property
    def is_failed(self) -> bool:
        """Whether it was not completed, though it was selected."""
        return self.is_resolved and self.state != "completed" and not self.is_skipped

    def seconds(self, now: datetime) -> float | None:
        """Return how long its latest run has taken so far; None if it has not started."""
        if self.started is None:
            return None
        return max(0.0, ((self.resolved or now) - self.started).total_seconds())


@dataclass
class Progress:
    """The tasks of a run, in the order of their creation."""

    tasks: dict[str, TaskProgress] = field(default_factory=dict[str, TaskProgress])

    def __iter__(self) -> Iterator[TaskProgress]:
        return iter([task for task in self.tasks.values() if not task.is_skipped])

    def add(self, taskId: str, definition: Mapping[str, Any]) -> TaskProgress:
        """Add a task that was created."""
        task = TaskProgress(
            taskId,
            definition["taskGroupId"],
            definition["metadata"]["name"],
            tuple(definition["dependencies"]),
            definition["requires"] == "all-completed",
        )
        self.tasks[taskId] = task
        task.is_blocked = self._is_blocked(task)
        return task

    def update(self, status: Mapping[str, Any]) -> TaskProgress | None:
        """Note the status of a task that a message contains, and return the task if its state has changed."""
        task = self.tasks.get(status["taskId"])
        if task is None:
            return None
        before = (task.state, task.runs)
        runs: list[Mapping[str, Any]] = status["runs"]
        task.state, task.runs = status["state"], len(runs)
        task.is_blocked = task.is_blocked and task.state == "unscheduled"
        if runs:
            latest = runs[-1]
            task.reason = latest.get("reasonResolved", "") if task.state == "exception" else ""
            task.started = _date(latest.get("started"))
            task.resolved = _date(latest.get("resolved"))
        if task.state in FAILED or before[0] in FAILED:
            # Dependencies are created first, so one pass is enough.
            for each in self.tasks.values():
                each.is_blocked = self._is_blocked(each)
        return task if (task.state, task.runs) != before else None

    def names(self) -> dict[str, str]:
        """Return the names of all tasks, by taskId."""
        return {task.taskId: task.name for task in self.tasks.values()}

    def dependencies(self) -> dict[str, Collection[str]]:
        """Return the dependencies of all tasks, by taskId."""
        return {task.taskId: task.dependencies for task in self.tasks.values()}

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        # The last tasks are usually the last to be resolved.
        return all(task.is_resolved for task in reversed(self.tasks.values()))

    @property
    def is_successful(self) -> bool:
        """Whether all tasks were completed."""
        return all(task.state == "completed" for task in self)

    def counts(self) -> dict[str, int]:
        """Return the number of tasks by state, most advanced first; tasks that cannot run count as `blocked`."""
        found = Counter("blocked" if task.is_blocked else task.state for task in self)
        states = ("completed", "failed", "exception", "blocked", "running", "pending", "unscheduled")
        return {state: found[state] for state in states if found[state]}

    def _is_blocked(self, task: TaskProgress) -> bool:
        needed = [self.tasks[each] for each in task.dependencies if each in self.tasks]
        return task.state == "unscheduled" and any(
            each.is_blocked or (task.needs_completed and each.state in FAILED) for each in needed
        )


def _date(text: str | None) -> datetime | None:
    return None if text is None else from_wire(text)
