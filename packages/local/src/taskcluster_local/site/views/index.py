"""The index: namespaces, the tasks in them, and what an indexed task has."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ...errors import ApiError
from ..listing import TableRows, table_rows
from ..page import Outcome, PageRequest, Redirect, Route, segment
from .artifacts import of_run

__all__ = ["ROUTES", "browse", "entry", "open_path"]


async def open_path(page: PageRequest) -> Outcome:
    """Lead to the path that was entered, or show the namespaces at the top."""
    path = page.query.get("path", "").strip().removeprefix("index.").strip(".")
    if not path:
        return await _browsed(page, "", None)
    try:
        found = await page.attempt("index", "findTask", {"indexPath": path})
    except ApiError as error:
        shown = await _browsed(page, "", None)
        return {**shown, "entered": path, "failure": error.message, "status_code": error.status}
    namespace, _, name = path.rpartition(".")
    if namespace and found is not None:
        return Redirect(f"/tasks/index/{segment(namespace)}/{segment(name)}")
    return Redirect(f"/tasks/index/{segment(path)}")


async def browse(page: PageRequest) -> Outcome:
    """Show a namespace; if a task is indexed at its path, that task, too."""
    path = page.params["namespace"]
    return await _browsed(page, path, await page.attempt("index", "findTask", {"indexPath": path}))


async def entry(page: PageRequest) -> Outcome:
    """Show an indexed task; if its path is also a namespace, that, too."""
    path = f"{page.params['namespace']}.{page.params['name']}"
    return await _browsed(page, path, await page.call("index", "findTask", {"indexPath": path}))


async def _browsed(page: PageRequest, path: str, found: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "title": path or "Index",
        "entered": path,
        "failure": "",
        "parents": _parents(path),
        "entry": found,
        "task": None if found is None else await _task(page, found["taskId"]),
        "namespaces": await _rows(page, "listNamespaces", "namespaces", path),
        "tasks": await _rows(page, "listTasks", "tasks", path),
    }


def _parents(path: str) -> list[dict[str, str]]:
    parts = path.split(".")[:-1]
    return [{"name": part, "path": ".".join(parts[: number + 1])} for number, part in enumerate(parts)]


def _rows(page: PageRequest, method: str, name: str, namespace: str) -> Awaitable[TableRows]:
    return table_rows(page, "index", method, name, {"namespace": namespace}, token=name)


async def _task(page: PageRequest, taskId: str) -> dict[str, Any]:
    """Return the variables of a task, which may have expired before its index entry."""
    status = await page.attempt("queue", "status", {"taskId": taskId})
    definition = await page.attempt("queue", "task", {"taskId": taskId})
    runs: list[Any] = status["status"]["runs"] if status is not None else []
    return {
        "name": definition["metadata"]["name"] if definition is not None else taskId,
        "state": status["status"]["state"] if status is not None else None,
        "runId": len(runs) - 1,
        "artifacts": await of_run(page, taskId, len(runs) - 1) if runs else TableRows(()),
    }


ROUTES = (
    Route("GET", "/tasks/index", open_path, "index.html", "Index"),
    Route("GET", "/tasks/index/<namespace>", browse, "index.html", "Index"),
    Route("GET", "/tasks/index/<namespace>/<name>", entry, "index.html", "Index"),
)
