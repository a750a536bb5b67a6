"""The methods of the worker-manager service."""

from __future__ import annotations

import logging
from typing import Any

from ...api import Handler, HandlerCall
from ...authentication import Client
from ...errors import ApiError
from ...pages import Page
from ...timestamps import to_wire
from ..context import ServiceContext
from ..notify.outbox import Notification
from ..notify.state import Notifier
from ..queue.worker_routes import WorkerRecords, task_queue_of
from .credentials import for_worker
from .pools import Pools, error_of, launch_config_of
from .providers import PROVIDERS
from .workers import PoolWorkers, Registration, worker_of

__all__ = ["build", "handlers"]

_log = logging.getLogger("taskcluster.local")


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service. Changes of worker pools are recorded in the audit history."""
    shared, clock = context.shared, context.clock
    pools = Pools(context.store, context.events)
    workers = PoolWorkers(context.store, pools, WorkerRecords(shared.queue, clock))
    context.as_time_passes(lambda: workers.expire(clock()))
    context.as_time_passes(lambda: pools.purge(clock()))
    named = handlers(pools, workers, context.client, shared.notifier)
    actions = {"createWorkerPool": "created", "updateWorkerPool": "updated", "deleteWorkerPool": "deleted"}
    return named | {
        method: shared.audit.recorded(named[method], "worker-pool", action, "workerPoolId")
        for method, action in actions.items()
    }


def handlers(pools: Pools, workers: PoolWorkers, issuer: Client, notifier: Notifier) -> dict[str, Handler]:
    """Return the handlers, by method.

    Args:
        pools: The worker pools.
        workers: Their workers.
        issuer: The client that issues the credentials of workers.
        notifier: Sends the emails about errors.
    """

    async def listProviders(call: HandlerCall) -> dict[str, Any]:
        return {"providers": [{"providerId": name, "providerType": kind} for name, kind in PROVIDERS.items()]}

    async def createWorkerPool(call: HandlerCall) -> dict[str, Any]:
        call.authorize(providerId=call.payload["providerId"])
        return pools.create(call.params["workerPoolId"], call.payload, call.now)

    async def updateWorkerPool(call: HandlerCall) -> dict[str, Any]:
        pools.providerId(call.params["workerPoolId"])
        call.authorize(providerId=call.payload["providerId"])
        return pools.update(call.params["workerPoolId"], call.payload, call.now)

    async def deleteWorkerPool(call: HandlerCall) -> dict[str, Any]:
        return pools.delete(call.params["workerPoolId"], call.now)

    async def workerPool(call: HandlerCall) -> dict[str, Any]:
        return pools.pool(call.params["workerPoolId"])

    async def listWorkerPools(call: HandlerCall) -> dict[str, Any]:
        return pools.pools(Page.of(call.query)).body("workerPools", pools.shown)

    async def listWorkerPoolsStats(call: HandlerCall) -> dict[str, Any]:
        return pools.pools(Page.of(call.query)).body("workerPoolsStats", pools.shown_stats)

    async def workerPoolStats(call: HandlerCall) -> dict[str, Any]:
        return {"launchConfigStats": pools.launch_config_stats(call.params["workerPoolId"])}

    async def listWorkerPoolLaunchConfigs(call: HandlerCall) -> dict[str, Any]:
        archived = call.query.get("includeArchived") == "true"
        found = pools.launch_configs(call.params["workerPoolId"], Page.of(call.query), archived=archived)
        return found.body("workerPoolLaunchConfigs", launch_config_of)

    async def reportWorkerError(call: HandlerCall) -> dict[str, Any]:
        call.authorize(workerGroup=call.payload["workerGroup"], workerId=call.payload["workerId"])
        workerPoolId = call.params["workerPoolId"]
        error = pools.report(workerPoolId, call.payload, call.now)
        pool = pools.pool(workerPoolId)
        if pool["emailOnError"]:
            try:
                notifier.send(_mail(pool["owner"], error), call.now)
            except ApiError as refusal:
                _log.warning("could not notify the owner of the worker pool %s of an error: %s", workerPoolId, refusal)
        return error

    async def listWorkerPoolErrors(call: HandlerCall) -> dict[str, Any]:
        query = call.query
        found = pools.errors(
            call.params["workerPoolId"], Page.of(query), query.get("launchConfigId"), query.get("errorId")
        )
        return found.body("workerPoolErrors", error_of)

    async def workerPoolErrorStats(call: HandlerCall) -> dict[str, Any]:
        workerPoolId = call.query.get("workerPoolId")
        # Statistics of all pools require the scope for all pools.
        call.authorize(workerPoolId=workerPoolId or "*")
        return {"workerPoolId": workerPoolId or "", "totals": pools.error_totals(workerPoolId, call.now)}

    async def listWorkersForWorkerPool(call: HandlerCall) -> dict[str, Any]:
        query = call.query
        found = workers.workers(
            call.params["workerPoolId"],
            Page.of(query),
            state=query.get("state"),
            launchConfigId=query.get("launchConfigId"),
        )
        return found.body("workers", worker_of)

    async def listWorkersForWorkerGroup(call: HandlerCall) -> dict[str, Any]:
        params = call.params
        found = workers.workers_of_group(params["workerPoolId"], params["workerGroup"], Page.of(call.query))
        return found.body("workers", worker_of)

    async def worker(call: HandlerCall) -> dict[str, Any]:
        return workers.worker(_key(call))

    async def createWorker(call: HandlerCall) -> dict[str, Any]:
        return workers.create(_key(call), call.payload, call.now)

    async def updateWorker(call: HandlerCall) -> dict[str, Any]:
        return workers.update(_key(call), call.payload, call.now)

    async def removeWorker(call: HandlerCall) -> dict[str, Any]:
        workers.remove(_key(call), call.now)
        return {}

    async def shouldWorkerTerminate(call: HandlerCall) -> dict[str, Any]:
        return workers.should_terminate(_key(call))

    def registered(call: HandlerCall, registration: Registration) -> dict[str, Any]:
        return {
            "expires": to_wire(registration.expires),
            "credentials": for_worker(issuer, registration.worker, call.begun, registration.expires),
            "secret": registration.secret,
        }

    async def registerWorker(call: HandlerCall) -> dict[str, Any]:
        registration = workers.register(call.payload, call.now)
        return {**registered(call, registration), "workerConfig": registration.config.get("workerConfig", {})}

    async def reregisterWorker(call: HandlerCall) -> dict[str, Any]:
        call.authorize(**{name: call.payload[name] for name in ("workerPoolId", "workerGroup", "workerId")})
        return registered(call, workers.reregister(call.payload, call.now))

    async def listWorkers(call: HandlerCall) -> dict[str, Any]:
        query = call.query
        quarantined = query.get("quarantined")
        found = workers.all_joined(
            task_queue_of(call),
            Page.of(query),
            call.now,
            quarantined=None if quarantined is None else quarantined == "true",
            state=query.get("workerState"),
            launchConfigId=query.get("launchConfigId"),
        )
        return found.body("workers", lambda row: row)

    async def getWorker(call: HandlerCall) -> dict[str, Any]:
        params = call.params
        found = workers.joined(task_queue_of(call), params["workerGroup"], params["workerId"])
        return {"provisionerId": params["provisionerId"], "workerType": params["workerType"], **found}

    return {
        "listProviders": listProviders,
        "createWorkerPool": createWorkerPool,
        "updateWorkerPool": updateWorkerPool,
        "deleteWorkerPool": deleteWorkerPool,
        "workerPool": workerPool,
        "listWorkerPools": listWorkerPools,
        "listWorkerPoolsStats": listWorkerPoolsStats,
        "workerPoolStats": workerPoolStats,
        "listWorkerPoolLaunchConfigs": listWorkerPoolLaunchConfigs,
        "reportWorkerError": reportWorkerError,
        "listWorkerPoolErrors": listWorkerPoolErrors,
        "workerPoolErrorStats": workerPoolErrorStats,
        "listWorkersForWorkerPool": listWorkersForWorkerPool,
        "listWorkersForWorkerGroup": listWorkersForWorkerGroup,
        "worker": worker,
        "createWorker": createWorker,
        "updateWorker": updateWorker,
        "removeWorker": removeWorker,
        "shouldWorkerTerminate": shouldWorkerTerminate,
        "registerWorker": registerWorker,
        "reregisterWorker": reregisterWorker,
        "listWorkers": listWorkers,
        "getWorker": getWorker,
    }


def _mail(owner: str, error: dict[str, Any]) -> Notification:
    content = f"{error['description']}\n\n* error: `{error['errorId']}`\n* kind: `{error['kind']}`"
    payload = {
        "address": owner,
        "subject": f"Error in worker pool {error['workerPoolId']}: {error['title']}",
        "content": content,
        "template": "simple",
    }
    return Notification("email", owner, payload)


def _key(call: HandlerCall) -> tuple[str, str, str]:
    return call.params["workerPoolId"], call.params["workerGroup"], call.params["workerId"]
