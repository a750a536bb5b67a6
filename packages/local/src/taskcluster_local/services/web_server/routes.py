"""The methods of the web-server service."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from ...api import Handler, HandlerCall, Partial
from ...plugins import InvokeMethod
from ..context import ServiceContext
from .profiles import profile

__all__ = ["build", "handlers"]


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service."""
    return handlers(context.invoke, context.root_url)


def handlers(invoke: InvokeMethod, root_url: str) -> dict[str, Handler]:
    """Return the handlers, by method.

    Args:
        invoke: Calls a method as this service.
        root_url: The root URL of the deployment.
    """

    async def read(method: str, params: dict[str, str], query: str = "") -> dict[str, Any]:
        result = await invoke("queue", method, params, query=query)
        if not isinstance(result, dict):
            raise TypeError(f"queue.{method} did not return an object")
        return result

    async def taskGroupProfile(call: HandlerCall) -> dict[str, Any]:
        taskGroupId = call.params["taskGroupId"]
        members: list[dict[str, Any]] = []
        query = ""
        while True:
            page = await read("listTaskGroup", {"taskGroupId": taskGroupId}, query)
            members += page["tasks"]
            if "continuationToken" not in page:
                return profile(f"Task group {taskGroupId}", members, root_url, call.now)
            query = urlencode({"continuationToken": page["continuationToken"]})

    async def taskProfile(call: HandlerCall) -> dict[str, Any]:
        taskId = call.params["taskId"]
        status = await read("status", {"taskId": taskId})
        member = {**status, "task": await read("task", {"taskId": taskId})}
        return profile(f"Task {taskId}", [member], root_url, call.now)

    return {
        "taskGroupProfile": taskGroupProfile,
        "taskProfile": Partial(taskProfile, "it contains the runs only, without the details in the task's log"),
    }
