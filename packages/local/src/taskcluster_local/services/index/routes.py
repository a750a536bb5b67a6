"""The methods of the index service."""

from __future__ import annotations

from typing import Any

from ...api import Handler, HandlerCall, Reply, Text
from ...pages import Page
from ..context import ServiceContext
from . import task_routes
from .artifacts import IndexedArtifacts
from .state import Index, namespace_of, task_of

__all__ = ["build", "handlers"]


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service. It also indexes completed tasks by their routes."""
    shared, clock = context.shared, context.clock
    index = Index(context.store)
    artifacts = IndexedArtifacts(context.invoke_by, shared.accounts, context.client, context.root_url)
    task_routes.watch(context.events, index, lambda taskId: shared.queue.task(taskId).definition, clock)
    context.as_time_passes(lambda: index.expire(clock()))
    return handlers(index, artifacts)


def handlers(index: Index, artifacts: IndexedArtifacts) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def insertTask(call: HandlerCall) -> dict[str, Any]:
        return index.insert(call.params["namespace"], call.payload, call.now)

    async def findTask(call: HandlerCall) -> dict[str, Any]:
        return index.find(call.params["indexPath"], call.now)

    async def findTasksAtIndex(call: HandlerCall) -> dict[str, Any]:
        paths = call.payload["indexes"]
        call.authorize(indexPaths=paths)
        return index.find_all(paths, Page.of(call.query)).body("tasks", task_of)

    async def deleteTask(call: HandlerCall) -> dict[str, Any]:
        index.delete(call.params["namespace"])
        return {}

    async def listTasks(call: HandlerCall) -> dict[str, Any]:
        return index.tasks(call.params["namespace"], Page.of(call.query), call.now).body("tasks", task_of)

    async def listNamespaces(call: HandlerCall) -> dict[str, Any]:
        found = index.namespaces(call.params["namespace"], Page.of(call.query), call.now)
        return found.body("namespaces", namespace_of)

    async def findArtifactFromTask(call: HandlerCall) -> Reply:
        task = index.find(call.params["indexPath"], call.now)
        url = await artifacts.url(task["taskId"], call.params["name"], call.now)
        return Reply(303, Text(f"See Other. Redirecting to {url}"), {"location": url})

    return {
        "insertTask": insertTask,
        "findTask": findTask,
        "findTasksAtIndex": findTasksAtIndex,
        "deleteTask": deleteTask,
        "listTasks": listTasks,
        "listNamespaces": listNamespaces,
        "findArtifactFromTask": findArtifactFromTask,
    }
