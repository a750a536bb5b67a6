"""The methods of the queue service."""

from __future__ import annotations

from typing import Any

from ...api import Handler, HandlerCall
from ...authentication import Client
from ...errors import ApiError
from ...pages import Page
from ...store import Row
from ...timestamps import Clock, to_wire
from ..context import ServiceContext
from . import artifact_routes, built_in, worker_routes
from .arrivals import Arrivals
from .artifacts import Artifacts
from .credentials import for_claim
from .definition import PRIORITIES, complete, with_queue
from .messages import QueueMessages
from .schema import task_of
from .state import Queue
from .task import Claim, Task

__all__ = ["build", "handlers"]


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service, with the workers that resolve the tasks of the `built-in` queues."""
    shared, clock = context.shared, context.clock
    queue = shared.queue
    artifacts = Artifacts(context.store, shared.storage, shared.objects, queue, QueueMessages(context.events))
    context.as_time_passes(lambda: queue.expiry.expire_claims(clock()))
    context.as_time_passes(lambda: queue.expiry.resolve_overdue(clock()))
    context.as_time_passes(lambda: built_in.resolve_tasks(queue, clock))
    context.as_time_passes(lambda: queue.expiry.delete_expired(clock()))
    context.as_time_passes(lambda: artifacts.expire(clock()))
    context.as_time_passes(lambda: queue.workers.expire(clock()))
    return handlers(queue, artifacts, shared.arrivals, context.client, clock)


def handlers(
    queue: Queue, artifacts: Artifacts, arrivals: Arrivals, issuer: Client, clock: Clock
) -> dict[str, Handler]:
    """Return the handlers, by method.

    Args:
        queue: The tasks.
        artifacts: Their artifacts.
        arrivals: Where workers wait for tasks.
        issuer: The client that issues the credentials of workers, and those for artifacts.
        clock: The deployment's time.
    """

    async def createTask(call: HandlerCall) -> dict[str, Any]:
        given = with_queue(call.payload)
        urgent_enough = PRIORITIES[: PRIORITIES.index(given["priority"]) + 1]
        call.authorize(**given, priorities=urgent_enough)
        definition = complete(call.params["taskId"], given)
        return _status(queue.create(call.params["taskId"], definition, call.now, call.ahead))

    async def task(call: HandlerCall) -> dict[str, Any]:
        return queue.task(call.params["taskId"]).definition

    async def status(call: HandlerCall) -> dict[str, Any]:
        return _status(queue.task(call.params["taskId"], "Are you sure this task exists?"))

    async def tasks(call: HandlerCall) -> dict[str, Any]:
        taskIds = call.payload["taskIds"]
        call.authorize(taskIds=taskIds)
        return queue.tasks(taskIds, Page.of(call.query)).body("tasks", _defined)

    async def statuses(call: HandlerCall) -> dict[str, Any]:
        taskIds = call.payload["taskIds"]
        call.authorize(taskIds=taskIds)
        return queue.tasks(taskIds, Page.of(call.query)).body("statuses", _stated)

    async def listDependentTasks(call: HandlerCall) -> dict[str, Any]:
        taskId = call.params["taskId"]
        if queue.find(taskId) is None:
            raise ApiError("ResourceNotFound", f"Task with taskId: `{taskId}` was not found")
        return queue.dependents(taskId, Page.of(call.query)).body("tasks", _member, taskId=taskId)

    async def getTaskGroup(call: HandlerCall) -> dict[str, Any]:
        return queue.groups.group(call.params["taskGroupId"])

    async def listTaskGroup(call: HandlerCall) -> dict[str, Any]:
        group = queue.groups.group(call.params["taskGroupId"])
        tasks = queue.groups.members(call.params["taskGroupId"], Page.of(call.query))
        return tasks.body("tasks", _member, **group)

    def authorized_group(call: HandlerCall) -> str:
        group = queue.groups.group(call.params["taskGroupId"])
        call.authorize(schedulerId=group["schedulerId"])
        return str(group["taskGroupId"])

    async def sealTaskGroup(call: HandlerCall) -> dict[str, Any]:
        return queue.groups.seal(authorized_group(call), call.now)

    async def cancelTaskGroup(call: HandlerCall) -> dict[str, Any]:
        return queue.groups.cancel(authorized_group(call), call.now)

    async def changeTaskGroupPriority(call: HandlerCall) -> dict[str, Any]:
        return queue.groups.change_priority(authorized_group(call), call.payload["newPriority"])

    def authorized(call: HandlerCall, otherwise: str = "Are you sure it was created?") -> Task:
        found = queue.find(call.params["taskId"])
        if found is None:
            raise ApiError("ResourceNotFound", f"Task `{call.params['taskId']}` not found. {otherwise}")
        call.authorize(
            schedulerId=found.schedulerId,
            taskGroupId=found.taskGroupId,
            projectId=found.projectId,
            taskQueueId=found.taskQueueId,
        )
        return found

    async def changeTaskPriority(call: HandlerCall) -> dict[str, Any]:
        return _status(queue.change_priority(authorized(call), call.payload["newPriority"], call.now))

    async def scheduleTask(call: HandlerCall) -> dict[str, Any]:
        return _status(queue.schedule(authorized(call, "Are you sure it exists?"), call.now))

    async def rerunTask(call: HandlerCall) -> dict[str, Any]:
        return _status(queue.rerun(authorized(call, "Are you sure it has been submitted before?"), call.now))

    async def cancelTask(call: HandlerCall) -> dict[str, Any]:
        return _status(queue.cancel(authorized(call), call.now))

    def kept(call: HandlerCall, claim: Claim) -> dict[str, Any]:
        return {
            "status": claim.task.status(),
            "runId": claim.runId,
            "workerGroup": claim.workerGroup,
            "workerId": claim.workerId,
            "takenUntil": to_wire(claim.takenUntil),
            "credentials": for_claim(issuer, claim, call.begun),
        }

    def handed_out(call: HandlerCall, claim: Claim) -> dict[str, Any]:
        # Only here and in taskRunning messages dates have this format, as in real deployments.
        until = to_wire(claim.takenUntil).replace("Z", "+00:00")
        return {**kept(call, claim), "takenUntil": until, "task": claim.task.definition}

    async def claimWork(call: HandlerCall) -> dict[str, Any]:
        name, given = call.params["taskQueueId"], call.payload
        worker = given["workerGroup"], given["workerId"]
        call.authorize(workerGroup=worker[0], workerId=worker[1])
        queue.workers.record_activity(name, worker, call.now)
        poll = arrivals.poll()
        while True:
            claims = queue.claims.claim_work(name, worker, given["tasks"], clock())
            if claims or not await arrivals.wait(name, poll):
                return {"tasks": [handed_out(call, claim) for claim in claims]}

    async def claimTask(call: HandlerCall) -> dict[str, Any]:
        found, given = queue.task(call.params["taskId"]), call.payload
        worker = given["workerGroup"], given["workerId"]
        provisionerId, _, workerType = found.taskQueueId.partition("/")
        call.authorize(provisionerId=provisionerId, workerType=workerType, workerGroup=worker[0], workerId=worker[1])
        return handed_out(call, queue.claims.claim(found, call.params["runId"], worker, call.now))

    async def reclaimTask(call: HandlerCall) -> dict[str, Any]:
        return kept(call, queue.claims.reclaim(call.params["taskId"], call.params["runId"], call.now))

    async def reportCompleted(call: HandlerCall) -> dict[str, Any]:
        # An older form of reportFailed.
        outcome = "failed" if call.payload == {"success": False} else "completed"
        return _status(queue.claims.report(call.params["taskId"], call.params["runId"], outcome, call.now))

    async def reportFailed(call: HandlerCall) -> dict[str, Any]:
        return _status(queue.claims.report(call.params["taskId"], call.params["runId"], "failed", call.now))

    async def reportException(call: HandlerCall) -> dict[str, Any]:
        reason = call.payload["reason"]
        return _status(queue.claims.report_exception(call.params["taskId"], call.params["runId"], reason, call.now))

    return {
        **artifact_routes.handlers(queue, artifacts, issuer),
        **worker_routes.handlers(queue, arrivals.announce),
        "createTask": createTask,
        "task": task,
        "tasks": tasks,
        "statuses": statuses,
        "listDependentTasks": listDependentTasks,
        "sealTaskGroup": sealTaskGroup,
        "cancelTaskGroup": cancelTaskGroup,
        "changeTaskGroupPriority": changeTaskGroupPriority,
        "changeTaskPriority": changeTaskPriority,
        "status": status,
        "getTaskGroup": getTaskGroup,
        "listTaskGroup": listTaskGroup,
        "scheduleTask": scheduleTask,
        "rerunTask": rerunTask,
        "cancelTask": cancelTask,
        "claimWork": claimWork,
        "claimTask": claimTask,
        "reclaimTask": reclaimTask,
        "reportCompleted": reportCompleted,
        "reportFailed": reportFailed,
        "reportException": reportException,
    }


def _status(task: Task) -> dict[str, Any]:
    return {"status": task.status()}


def _member(row: Row) -> dict[str, Any]:
    task = task_of(row)
    return {"status": task.status(), "task": task.definition}


def _defined(row: Row) -> dict[str, Any]:
    return {"taskId": row["taskId"], "task": task_of(row).definition}


def _stated(row: Row) -> dict[str, Any]:
    return {"taskId": row["taskId"], "status": task_of(row).status()}
