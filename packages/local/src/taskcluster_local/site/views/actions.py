"""What can be done to a task: cancel, rerun, schedule and retrigger it, and change its priority."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from taskcluster.slugs import slugId

from ...services.queue.definition import PRIORITIES
from ...services.queue.task import MOST_RUNS
from ...timestamps import to_wire
from ..definitions import retriggered
from ..page import Outcome, PageRequest, Redirect, Route, segment

__all__ = ["ROUTES", "offered"]

_METHODS = {"cancel": "cancelTask", "rerun": "rerunTask", "schedule": "scheduleTask"}
"""The API methods that need no payload, by action."""


def offered(status: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return which actions on a task itself make sense in its state, and which priorities it can get."""
    state = status["state"]
    in_time = status["deadline"] >= to_wire(now)
    is_active = state in ("unscheduled", "pending", "running")
    return {
        "cancel": in_time and is_active,
        "rerun": in_time and not is_active and len(status["runs"]) < MOST_RUNS,
        "schedule": in_time and state == "unscheduled",
        "priorities": PRIORITIES if in_time and is_active else (),
    }


def _view(method: str) -> Callable[[PageRequest], Awaitable[Outcome]]:
    async def act(page: PageRequest) -> Outcome:
        await page.call("queue", method, page.params)
        return _task(page.params["taskId"])

    return act


async def _change_priority(page: PageRequest) -> Outcome:
    await page.call("queue", "changeTaskPriority", page.params, {"newPriority": page.form.get("priority", "")})
    return _task(page.params["taskId"])


async def _retrigger(page: PageRequest) -> Outcome:
    """Create a similar task."""
    definition = await page.call("queue", "task", page.params)
    taskId = slugId()
    await page.call("queue", "createTask", {"taskId": taskId}, retriggered(definition, page.now))
    return _task(taskId)


def _task(taskId: str) -> Redirect:
    return Redirect(f"/tasks/{segment(taskId)}")


ROUTES = (
    *(Route("POST", f"/tasks/<taskId>/{action}", _view(method)) for action, method in _METHODS.items()),
    Route("POST", "/tasks/<taskId>/priority", _change_priority),
    Route("POST", "/tasks/<taskId>/retrigger", _retrigger),
)
