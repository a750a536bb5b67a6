"""Worker pools, task queues with or without a pool, and workers."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

from taskcluster.timestamps import fromNowJSON

from ...errors import ApiError
from ...timestamps import to_wire
from ..form_fields import LONGEST_DATE
from ..listing import table_rows
from ..page import Outcome, PageRequest, Redirect, Route, segment
from .tasks import task_rows

__all__ = [
    "ROUTES", "claimed_tasks", "pending_tasks", "pool", "pool_errors", "pool_workers", "pools", "quarantine",
    "task_queue", "worker",
]  # fmt: skip

_QUEUE = "/provisioners/<provisionerId>/worker-types/<workerType>"
_WORKER = f"{_QUEUE}/workers/<workerGroup>/<workerId>"


async def pools(page: PageRequest) -> Outcome:
    """Show the worker pools and the task queues, of which few have a pool in a local deployment."""
    return {
        "pools": await table_rows(page, "worker-manager", "listWorkerPools", "workerPools", token="pools"),
        "queues": await table_rows(page, "local", "listTaskQueues", "taskQueues", token="queues"),
    }


async def pool(page: PageRequest) -> Outcome:
    """Show a worker pool."""
    found = await _pool(page)
    return _queue_of(page) if found is None else {"title": found["workerPoolId"], "pool": found}


async def pool_workers(page: PageRequest) -> Outcome:
    """Show the workers of a pool that the worker manager knows."""
    if await _pool(page) is None:
        return _queue_of(page)
    named = {"workerPoolId": page.params["workerPoolId"]}
    workers = await table_rows(page, "worker-manager", "listWorkersForWorkerPool", "workers", named)
    return {"title": f"Workers of {named['workerPoolId']}", **named, "workers": workers}


async def pool_errors(page: PageRequest) -> Outcome:
    """Show the errors that workers of a pool have reported, newest first."""
    if await _pool(page) is None:
        return _queue_of(page)
    named = {"workerPoolId": page.params["workerPoolId"]}
    errors = await table_rows(page, "worker-manager", "listWorkerPoolErrors", "workerPoolErrors", named)
    return {"title": f"Errors of {named['workerPoolId']}", **named, "errors": errors}


async def _pool(page: PageRequest) -> dict[str, Any] | None:
    """Return the pool, or None if there is none of this name."""
    try:
        found: dict[str, Any] = await page.call("worker-manager", "workerPool", dict(page.params))
    except ApiError as error:
        # Names of task queues can have characters that those of pools cannot have.
        if error.code not in ("ResourceNotFound", "InvalidRequestArguments") or "/" not in page.params["workerPoolId"]:
            raise
        return None
    return found


def _queue_of(page: PageRequest) -> Redirect:
    provisionerId, _, workerType = page.params["workerPoolId"].partition("/")
    return Redirect(f"/provisioners/{segment(provisionerId)}/worker-types/{segment(workerType)}")


async def task_queue(page: PageRequest) -> Outcome:
    """Show a task queue and its workers."""
    name = _name(page)
    quarantined = page.query.get("quarantined", "")
    narrowed = {"quarantined": quarantined} if quarantined in ("true", "false") else {}
    workers = await table_rows(page, "worker-manager", "listWorkers", "workers", page.params, **narrowed)
    has_pool = False
    with contextlib.suppress(ApiError):
        await page.call("worker-manager", "workerPool", {"workerPoolId": name})
        has_pool = True
    return {
        "title": name,
        "name": name,
        "here": page.path,
        "counts": await page.attempt("queue", "taskQueueCounts", {"taskQueueId": name}),
        "has_pool": has_pool,
        "workers": workers,
        "quarantined": quarantined,
        "now": page.now,
        "is_quarantined": _is_quarantined,
    }


async def pending_tasks(page: PageRequest) -> Outcome:
    """Show the pending tasks of a queue, in the order in which workers get them."""
    name = _name(page)
    tasks = await table_rows(page, "queue", "listPendingTasks", "tasks", {"taskQueueId": name})
    return {"title": f"Pending tasks of {name}", "name": name, "tasks": tasks, "claimed": False}


async def claimed_tasks(page: PageRequest) -> Outcome:
    """Show the running tasks of a queue."""
    name = _name(page)
    tasks = await table_rows(page, "queue", "listClaimedTasks", "tasks", {"taskQueueId": name})
    return {"title": f"Claimed tasks of {name}", "name": name, "tasks": tasks, "claimed": True}


def _name(page: PageRequest) -> str:
    return f"{page.params['provisionerId']}/{page.params['workerType']}"


async def worker(page: PageRequest) -> Outcome:
    """Show a worker and its latest tasks."""
    return await _worker(page)


async def _worker(page: PageRequest) -> dict[str, Any]:
    name = _name(page)
    found = await page.attempt("worker-manager", "getWorker", page.params)
    if found is None:
        # Workers that have not asked for tasks are known to the worker manager only.
        key = {"workerPoolId": name, **{part: page.params[part] for part in ("workerGroup", "workerId")}}
        with contextlib.suppress(ApiError):
            found = await page.call("worker-manager", "worker", key)
    if found is None:
        found = await page.call("queue", "getWorker", page.params)
    runs = found.get("recentTasks", [])[::-1]
    tasks = {each["taskId"]: each for each in await task_rows(page, list({run["taskId"]: None for run in runs}))}
    return {
        "title": f"Worker {found['workerId']}",
        "name": name,
        "worker": found,
        "runs": [(run, tasks[run["taskId"]]) for run in runs],
        "is_quarantined": _is_quarantined(found, page.now),
        "here": page.path,
        "until": page.form.get("until", "1 day"),
        "reason": page.form.get("reason", ""),
        "failure": "",
    }


def _is_quarantined(worker: dict[str, Any], now: datetime) -> bool:
    return bool(worker.get("quarantineUntil", "") > to_wire(now))


async def quarantine(page: PageRequest) -> Outcome:
    """Put a worker into quarantine, or end that."""
    until = page.form.get("until", "").strip()
    # Anything else is left to the method, which accepts dates.
    with contextlib.suppress(ValueError):
        until = fromNowJSON(until, page.now) if 0 < len(until) <= LONGEST_DATE else until
    payload = {"quarantineUntil": until, "quarantineInfo": page.form.get("reason", "")}
    try:
        await page.call("queue", "quarantineWorker", page.params, payload)
    except ApiError as error:
        return {**await _worker(page), "failure": error.message, "status_code": error.status}
    return Redirect(page.path)


ROUTES = (
    Route("GET", "/worker-manager", pools, "worker_pools.html", "Worker pools and queues"),
    Route("GET", "/worker-manager/<workerPoolId>", pool, "worker_pool.html", "Worker pool"),
    Route("GET", "/worker-manager/<workerPoolId>/workers", pool_workers, "pool_workers.html", "Workers"),
    Route("GET", "/worker-manager/<workerPoolId>/errors", pool_errors, "pool_errors.html", "Errors"),
    Route("GET", _QUEUE, task_queue, "task_queue.html", "Task queue"),
    Route("GET", f"{_QUEUE}/pending-tasks", pending_tasks, "queue_tasks.html", "Pending tasks"),
    Route("GET", f"{_QUEUE}/claimed-tasks", claimed_tasks, "queue_tasks.html", "Claimed tasks"),
    Route("GET", _WORKER, worker, "worker.html", "Worker"),
    Route("POST", _WORKER, quarantine, "worker.html", "Worker"),
)
