"""The methods of the queue service."""

from __future__ import annotations

import asyncio
from typing import Any

from ...api import Call, Handler
from ...authentication import Client
from ...pages import Page
from ...timestamps import Clock, to_wire
from .arrivals import Arrivals
from .credentials import for_claim
from .definition import PRIORITIES, complete, with_queue
from .state import Claim, Queue, Task

__all__ = ["handlers"]

_POLL_SECONDS = 20.0


def handlers(queue: Queue, arrivals: Arrivals, issuer: Client, clock: Clock) -> dict[str, Handler]:
    """Return the handlers, by method.

    Args:
        queue: The tasks.
        arrivals: Where workers wait for them.
        issuer: The client that issues the credentials of workers.
        clock: Tells the time to those who have waited.
    """

    async def createTask(call: Call) -> dict[str, Any]:
        given = with_queue(call.payload)
        urgent_enough = PRIORITIES[PRIORITIES.index(given["priority"]) :]
        call.authorize(**given, priorities=urgent_enough)
        return _status(queue.create(call.params["taskId"], complete(call.params["taskId"], given), call.now))

    async def task(call: Call) -> dict[str, Any]:
        return queue.task(call.params["taskId"]).definition

    async def status(call: Call) -> dict[str, Any]:
        return _status(queue.task(call.params["taskId"], "Are you sure this task exists?"))

    async def getTaskGroup(call: Call) -> dict[str, Any]:
        return queue.group(call.params["taskGroupId"])

    async def listTaskGroup(call: Call) -> dict[str, Any]:
        group, page = queue.group(call.params["taskGroupId"]), Page.of(call.query)
        tasks = queue.group_members(call.params["taskGroupId"], page)
        return {**group, **page.body("tasks", [{"status": each.status(), "task": each.definition} for each in tasks])}

    def authorized(call: Call) -> Task:
        found = queue.task(call.params["taskId"])
        call.authorize(**{name: found.definition[name] for name in ("schedulerId", "taskGroupId", "projectId")})
        return found

    async def scheduleTask(call: Call) -> dict[str, Any]:
        return _status(queue.schedule(authorized(call), call.now))

    async def rerunTask(call: Call) -> dict[str, Any]:
        return _status(queue.rerun(authorized(call), call.now))

    async def cancelTask(call: Call) -> dict[str, Any]:
        return _status(queue.cancel(authorized(call), call.now))

    def kept(claim: Claim) -> dict[str, Any]:
        return {
            "status": claim.task.status(),
            "runId": claim.runId,
            "workerGroup": claim.workerGroup,
            "workerId": claim.workerId,
            "takenUntil": to_wire(claim.takenUntil),
            "credentials": for_claim(issuer, claim, clock()),
        }

    def handed_out(claim: Claim) -> dict[str, Any]:
        # Another form of date than everywhere else, as in a deployment.
        until = to_wire(claim.takenUntil).replace("Z", "+00:00")
        return {**kept(claim), "takenUntil": until, "task": claim.task.definition}

    async def claimWork(call: Call) -> dict[str, Any]:
        name, given = call.params["taskQueueId"], call.payload
        worker = given["workerGroup"], given["workerId"]
        call.authorize(workerGroup=worker[0], workerId=worker[1])
        loop = asyncio.get_running_loop()
        end = loop.time() + _POLL_SECONDS
        while True:
            claims = queue.claim_work(name, worker, given["tasks"], clock())
            if claims or not await arrivals.wait(name, end - loop.time()):
                return {"tasks": [handed_out(claim) for claim in claims]}

    async def claimTask(call: Call) -> dict[str, Any]:
        found, given = queue.task(call.params["taskId"]), call.payload
        worker = given["workerGroup"], given["workerId"]
        call.authorize(
            provisionerId=found.definition["provisionerId"],
            workerType=found.definition["workerType"],
            workerGroup=worker[0],
            workerId=worker[1],
        )
        return handed_out(queue.claim(found, call.params["runId"], worker, call.now))

    async def reclaimTask(call: Call) -> dict[str, Any]:
        return kept(queue.reclaim(call.params["taskId"], call.params["runId"], call.now))

    async def reportCompleted(call: Call) -> dict[str, Any]:
        # An older way to say what reportFailed says.
        outcome = "failed" if call.payload == {"success": False} else "completed"
        return _status(queue.report(call.params["taskId"], call.params["runId"], outcome, call.now))

    async def reportFailed(call: Call) -> dict[str, Any]:
        return _status(queue.report(call.params["taskId"], call.params["runId"], "failed", call.now))

    async def reportException(call: Call) -> dict[str, Any]:
        reason = call.payload["reason"]
        return _status(queue.report_exception(call.params["taskId"], call.params["runId"], reason, call.now))

    return {
        "createTask": createTask,
        "task": task,
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
