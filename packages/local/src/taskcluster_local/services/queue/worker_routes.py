"""The methods of the queue service for workers, task queues and provisioners."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ...api import Handler, HandlerCall, Refused
from ...pages import Listing, Page
from ...store import Row
from ...timestamps import Clock
from .schema import task_of
from .state import Queue
from .workers import never_quarantined, worker_of

__all__ = ["WorkerRecords", "handlers", "task_queue_of"]

_REMOVED = Refused("this method was removed from the API, and its payload is unknown")
_UNKNOWN = Refused("the payload and result of this method are unknown: call taskQueueCounts for each task queue")


def handlers(queue: Queue, on_release: Callable[[str], None]) -> dict[str, Handler]:
    """Return the handlers, by method.

    Args:
        queue: The tasks and the records of workers.
        on_release: Called with the taskQueueId when a worker's quarantine was changed.
    """
    workers = queue.workers

    async def listProvisioners(call: HandlerCall) -> dict[str, Any]:
        return workers.provisioners(Page.of(call.query), call.now).body("provisioners", dict)

    async def getProvisioner(call: HandlerCall) -> dict[str, Any]:
        return workers.provisioner(call.params["provisionerId"], call.now)

    async def listWorkerTypes(call: HandlerCall) -> dict[str, Any]:
        found = workers.task_queues(Page.of(call.query), call.now, call.params["provisionerId"])
        return found.body("workerTypes", dict)

    async def getWorkerType(call: HandlerCall) -> dict[str, Any]:
        return workers.task_queue(task_queue_of(call), call.now)

    async def listTaskQueues(call: HandlerCall) -> dict[str, Any]:
        return workers.task_queues(Page.of(call.query), call.now).body("taskQueues", _as_queue)

    async def getTaskQueue(call: HandlerCall) -> dict[str, Any]:
        return _as_queue(workers.task_queue(call.params["taskQueueId"], call.now))

    async def listWorkers(call: HandlerCall) -> dict[str, Any]:
        wanted = {"true": True, "false": False}.get(call.query.get("quarantined", ""))
        found = workers.workers(task_queue_of(call), wanted, Page.of(call.query), call.now)
        return found.body("workers", _as_item)

    async def getWorker(call: HandlerCall) -> dict[str, Any]:
        return _as_worker(workers.known(task_queue_of(call), _worker_of(call), call.now), call.now)

    async def quarantineWorker(call: HandlerCall) -> dict[str, Any]:
        taskQueueId, given = task_queue_of(call), call.payload
        found = workers.quarantine(
            taskQueueId,
            _worker_of(call),
            given["quarantineUntil"],
            given.get("quarantineInfo", ""),
            call.identity.clientId,
            call.now,
        )
        on_release(taskQueueId)
        return _as_worker(found, call.now)

    async def declareWorker(call: HandlerCall) -> dict[str, Any]:
        call.authorize(properties=list(call.payload))
        found = workers.declare(task_queue_of(call), _worker_of(call), call.payload["expires"], call.now)
        return _as_worker(found, call.now)

    async def pendingTasks(call: HandlerCall) -> dict[str, Any]:
        pending, _ = queue.counts(call.params["taskQueueId"], call.now)
        return {**_named(call.params["taskQueueId"]), "pendingTasks": pending}

    async def taskQueueCounts(call: HandlerCall) -> dict[str, Any]:
        pending, claimed = queue.counts(call.params["taskQueueId"], call.now)
        return {**_named(call.params["taskQueueId"]), "pendingTasks": pending, "claimedTasks": claimed}

    async def listPendingTasks(call: HandlerCall) -> dict[str, Any]:
        return queue.pending(call.params["taskQueueId"], Page.of(call.query)).body("tasks", _as_pending)

    async def listClaimedTasks(call: HandlerCall) -> dict[str, Any]:
        return queue.claimed(call.params["taskQueueId"], Page.of(call.query)).body("tasks", _as_claimed)

    return {
        "listProvisioners": listProvisioners,
        "getProvisioner": getProvisioner,
        "declareProvisioner": _REMOVED,
        "listWorkerTypes": listWorkerTypes,
        "getWorkerType": getWorkerType,
        "declareWorkerType": _REMOVED,
        "listTaskQueues": listTaskQueues,
        "getTaskQueue": getTaskQueue,
        "listWorkers": listWorkers,
        "getWorker": getWorker,
        "quarantineWorker": quarantineWorker,
        "declareWorker": declareWorker,
        "pendingTasks": pendingTasks,
        "taskQueueCounts": taskQueueCounts,
        "taskQueueCountsBatch": _UNKNOWN,
        "listPendingTasks": listPendingTasks,
        "listClaimedTasks": listClaimedTasks,
    }


class WorkerRecords:
    """The records of workers for the worker manager.

    Args:
        queue: The tasks and the records of workers.
        clock: The deployment's time.
    """

    def __init__(self, queue: Queue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock

    def worker(self, taskQueueId: str, workerGroup: str, workerId: str) -> dict[str, Any] | None:
        """Return a worker as getWorker does, with its quarantineDetails, or None."""
        now = self._clock()
        found = self._queue.workers.find(taskQueueId, (workerGroup, workerId), now)
        return None if found is None else {**_as_worker(found, now), "quarantineDetails": found["quarantineDetails"]}

    def workers(self, taskQueueId: str, page: Page, now: datetime, *, quarantined: bool | None) -> Listing:
        """Return workers of a queue as listWorkers does, always with quarantineUntil."""
        found = self._queue.workers.workers(taskQueueId, quarantined, page, now)
        never = never_quarantined(now)
        return Listing([{"quarantineUntil": never, **_as_item(row)} for row in found.rows], found.token)

    def worker_removed(self, workerPoolId: str, workerGroup: str, workerId: str, now: datetime) -> None:
        """End the runs of a worker that was removed."""
        self._queue.claims.end_runs(workerPoolId, (workerGroup, workerId), now)


def task_queue_of(call: HandlerCall) -> str:
    """Return the taskQueueId of a route with provisionerId and workerType."""
    return f"{call.params['provisionerId']}/{call.params['workerType']}"


def _worker_of(call: HandlerCall) -> tuple[str, str]:
    return call.params["workerGroup"], call.params["workerId"]


def _named(taskQueueId: str) -> dict[str, str]:
    provisionerId, _, workerType = taskQueueId.partition("/")
    return {"provisionerId": provisionerId, "workerType": workerType, "taskQueueId": taskQueueId}


def _as_queue(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("provisionerId", "workerType")}


def _as_item(row: Row) -> dict[str, Any]:
    """Return a worker in the form of listWorkers."""
    worker = worker_of(row)
    shown = ("workerGroup", "workerId", "firstClaim", "lastDateActive", "latestTask", "quarantineUntil")
    return {name: worker[name] for name in shown if name in worker}


def _as_worker(worker: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return a worker in the form of getWorker."""
    shown = ("workerGroup", "workerId", "recentTasks", "expires", "firstClaim", "lastDateActive")
    return {
        **_named(worker["taskQueueId"]),
        **{name: worker[name] for name in shown},
        "quarantineUntil": worker.get("quarantineUntil", never_quarantined(now)),
    }


def _as_pending(row: Row) -> dict[str, Any]:
    task = task_of(row)
    run = task.runs[-1]
    return {"taskId": task.taskId, "runId": run["runId"], "task": task.definition, "inserted": run["scheduled"]}


def _as_claimed(row: Row) -> dict[str, Any]:
    task = task_of(row)
    run = task.runs[-1]
    return {
        "taskId": task.taskId,
        "runId": run["runId"],
        "workerGroup": run["workerGroup"],
        "workerId": run["workerId"],
        "claimed": run["started"],
        "task": task.definition,
    }
