"""The methods of the index service."""

from __future__ import annotations

from typing import Any

from ...api import Call, Handler
from ...pages import Page
from .state import Index

__all__ = ["handlers"]


def handlers(index: Index) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def insertTask(call: Call) -> dict[str, Any]:
        return index.insert(call.params["namespace"], call.payload)

    async def findTask(call: Call) -> dict[str, Any]:
        return index.find(call.params["indexPath"], call.now)

    async def findTasksAtIndex(call: Call) -> dict[str, Any]:
        paths = call.payload["indexes"]
        call.authorize(indexPaths=paths)
        page = Page.of(call.query)
        return page.body("tasks", index.find_all(paths)[page.offset : page.offset + page.limit + 1])

    async def deleteTask(call: Call) -> dict[str, Any]:
        index.delete(call.params["namespace"])
        return {}

    async def listTasks(call: Call) -> dict[str, Any]:
        page = Page.of(call.query)
        return page.body("tasks", index.tasks(call.params["namespace"], page, call.now))

    async def listNamespaces(call: Call) -> dict[str, Any]:
        page = Page.of(call.query)
        return page.body("namespaces", index.namespaces(call.params["namespace"], page, call.now))

    return {
        "insertTask": insertTask,
        "findTask": findTask,
        "findTasksAtIndex": findTasksAtIndex,
        "deleteTask": deleteTask,
        "listTasks": listTasks,
        "listNamespaces": listNamespaces,
    }
