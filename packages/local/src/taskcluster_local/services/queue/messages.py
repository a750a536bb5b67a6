"""The messages of the queue."""

from __future__ import annotations

from typing import Any

from ...events import Events
from .task import Task

__all__ = ["QueueMessages"]


class QueueMessages:
    """Publishes the queue's messages, each within the transaction of the change it is about."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def defined(self, task: Task, status: dict[str, Any]) -> None:
        """Publish that a task was created; `status` is that before it was scheduled."""
        self._about_task("taskDefined", task, status, task={"tags": task.definition["tags"]})

    def pending(self, task: Task) -> None:
        """Publish that the latest run is pending."""
        self._about_run("taskPending", task, task.runs[-1], with_worker=False)

    def running(self, task: Task) -> None:
        """Publish that the latest run was claimed."""
        run = task.runs[-1]
        # Only here and in claimWork dates have this format, as in real deployments.
        self._about_run("taskRunning", task, run, takenUntil=run["takenUntil"].replace("Z", "+00:00"))

    def resolved(self, task: Task, run: dict[str, Any]) -> None:
        """Publish that a run has ended."""
        name = {"completed": "taskCompleted", "failed": "taskFailed", "exception": "taskException"}[run["state"]]
        self._about_run(name, task, run)

    def priority_changed(self, task: Task, before: str) -> None:
        """Publish that the priority of a task has changed from `before`."""
        self._about_task("taskPriorityChanged", task, task.status(), oldPriority=before, newPriority=task.priority)

    def artifact_created(self, task: Task, run: dict[str, Any], artifact: dict[str, Any]) -> None:
        """Publish that an artifact of a run was created."""
        worker = {name: run[name] for name in ("workerGroup", "workerId")}
        self._about_task(
            "artifactCreated", task, task.status(), run=run, runId=run["runId"], **worker, artifact=artifact
        )

    def group_resolved(self, group: dict[str, Any]) -> None:
        """Publish that a group has no active tasks left."""
        self._about_group("taskGroupResolved", group)

    def group_sealed(self, group: dict[str, Any]) -> None:
        """Publish that a group was sealed."""
        self._about_group("taskGroupSealed", group)

    def group_priority_changed(self, group: dict[str, Any], priority: str, affected: int) -> None:
        """Publish that the priority of a group's tasks was changed."""
        known = {name: group[name] for name in ("taskGroupId", "schedulerId")}
        self._about_group("taskGroupPriorityChanged", {**known, "newPriority": priority, "tasksAffected": affected})

    def _about_run(
        self, name: str, task: Task, run: dict[str, Any], *, with_worker: bool = True, **fields: Any
    ) -> None:
        worker = {key: run[key] for key in ("workerGroup", "workerId") if with_worker and key in run}
        tags = {"tags": task.definition["tags"]}
        self._about_task(name, task, task.status(), run=run, runId=run["runId"], **worker, **fields, task=tags)

    def _about_task(
        self, exchange: str, about: Task, status: dict[str, Any], *, run: dict[str, Any] | None = None, **fields: Any
    ) -> None:
        known = run or {}
        provisionerId, _, workerType = about.taskQueueId.partition("/")
        self._events.publish(
            "queue",
            exchange,
            {"status": status, **fields, "version": 1},
            routes=about.definition["routes"],
            taskId=about.taskId,
            runId=known.get("runId"),
            workerGroup=known.get("workerGroup"),
            workerId=known.get("workerId"),
            provisionerId=provisionerId,
            workerType=workerType,
            schedulerId=about.schedulerId,
            taskGroupId=about.taskGroupId,
        )

    def _about_group(self, exchange: str, payload: dict[str, Any]) -> None:
        self._events.publish(
            "queue",
            exchange,
            {**payload, "version": 1},
            taskGroupId=payload["taskGroupId"],
            schedulerId=payload["schedulerId"],
        )
