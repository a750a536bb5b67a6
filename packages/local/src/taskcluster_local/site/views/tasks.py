"""A task, its runs, its artifacts and its logs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ...errors import ApiError
from ...parameters import SLUG
from ...storage import PREFIX, Refusal, StoredFile
from ..listing import TableRows
from ..live import live, newest_event, patterns_of_group
from ..logs import Lines, LogIndex
from ..page import Allowed, Outcome, PageRequest, Redirect, Route, name_path, segment
from ..sessions import PageCredentials
from .actions import offered
from .artifacts import log_name, of_run, run_of

__all__ = ["ROUTES", "artifact", "definition", "id_in", "log", "open_task", "task", "task_rows"]

_MOST_LISTED = 1000
"""How many dependencies are shown."""
_AT_ONCE = 100
"""How many tasks are read at once, each with its definition, while other requests wait."""
_LINES = 1000
"""How many lines of a log are shown at once."""
_SLUG = re.compile(SLUG)
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?=[/?#]|$)")
"""An origin without characters that mean something in a content security policy."""


async def open_task(page: PageRequest) -> Outcome:
    """Lead to a task by its id, or an address that has it."""
    entered = page.query.get("id", "").strip()
    found = id_in(entered)
    return {"entered": entered} if found is None else Redirect(f"/tasks/{found}")


def id_in(text: str) -> str | None:
    """Return the first taskId or taskGroupId in a text, such as an address."""
    return next(filter(_SLUG.fullmatch, re.split(r"[^A-Za-z0-9_-]+", text)), None)


async def task(page: PageRequest) -> Outcome:
    """Show a task and one of its runs, by default the latest."""
    named = {"taskId": page.params["taskId"]}
    since = await newest_event(page)
    status = (await page.call("queue", "status", named))["status"]
    definition = await page.attempt("queue", "task", named)
    runs = status["runs"]
    run = run_of(page, runs)
    artifacts = TableRows(()) if run is None else await of_run(page, status["taskId"], run["runId"])
    dependents = await page.attempt("queue", "listDependentTasks", named, query=_part_of_list(page, "dependents"))
    return {
        "title": definition["metadata"]["name"] if definition else status["taskId"],
        "updates": live(page, since, patterns_of_group(status["taskGroupId"])),
        "status": status,
        "definition": definition,
        "run": run,
        "artifacts": artifacts,
        "log_name": log_name(artifacts.rows or ()),
        "actions": offered(status, page.now),
        "dependencies": await _dependencies(page, definition),
        "more_dependencies": max(0, len(definition["dependencies"]) - _MOST_LISTED) if definition else 0,
        "dependents": None if dependents is None else [_row(each) for each in dependents["tasks"]],
        "more_dependents": None if dependents is None else dependents.get("continuationToken"),
    }


def _part_of_list(page: PageRequest, name: str) -> dict[str, str]:
    token = page.query.get(name)
    return {"limit": str(_AT_ONCE), **({"continuationToken": token} if token else {})}


async def _dependencies(page: PageRequest, definition: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [] if definition is None else await task_rows(page, definition["dependencies"][:_MOST_LISTED])


async def task_rows(page: PageRequest, names: list[str]) -> list[dict[str, Any]]:
    """Return the name and state of each of these tasks, as far as the reader may see them."""
    starts = range(0, len(names), _AT_ONCE)
    return [row for start in starts for row in await _rows(page, names[start : start + _AT_ONCE])]


async def _rows(page: PageRequest, names: list[str]) -> list[dict[str, Any]]:
    statuses = await page.attempt("queue", "statuses", payload={"taskIds": names}) or {"statuses": ()}
    tasks = await page.attempt("queue", "tasks", payload={"taskIds": names}) or {"tasks": ()}
    states: dict[str, str] = {each["taskId"]: each["status"]["state"] for each in statuses["statuses"]}
    titles: dict[str, str] = {each["taskId"]: each["task"]["metadata"]["name"] for each in tasks["tasks"]}
    return [{"taskId": name, "name": titles.get(name, name), "state": states.get(name, "unknown")} for name in names]


def _row(each: dict[str, Any]) -> dict[str, Any]:
    status = each["status"]
    return {"taskId": status["taskId"], "name": each["task"]["metadata"]["name"], "state": status["state"]}


async def definition(page: PageRequest) -> Outcome:
    """Show a task's definition."""
    named = {"taskId": page.params["taskId"]}
    return {"taskId": named["taskId"], "definition": await page.call("queue", "task", named)}


async def artifact(page: PageRequest) -> Outcome:
    """Lead to an artifact's contents, which have no access to the page's origin."""
    found = await page.call("queue", "artifact", dict(page.params))
    return Redirect(await _address(page, found))


async def _address(page: PageRequest, found: dict[str, Any]) -> str:
    """Return where the contents of an artifact are."""
    if found["storageType"] == "error":
        raise ApiError("ResourceNotFound", f"{found['reason']}: {found['message']}")
    if found["storageType"] != "object":
        return _web(str(found["url"]))
    issued = found["credentials"]
    by = page.authenticate(PageCredentials(issued["clientId"], issued["accessToken"], issued.get("certificate")))
    method = {"acceptDownloadMethods": {"simple": True}}
    download = await page.call("object", "startDownload", {"name": found["name"]}, method, by=by)
    return _web(str(download["url"]))


def _web(url: str) -> str:
    # The worker determines it.
    if not _ORIGIN.match(url) or not re.fullmatch(r"[!-~]+", url):
        raise ApiError("InputError", "The artifact refers to an address that a browser cannot open safely.")
    return url


def _stored(page: PageRequest, address: str) -> StoredFile | None:
    """Return the file of an address, if it is in this deployment."""
    target = address.removeprefix(page.root_url)
    if target == address or not target.startswith(PREFIX):
        return None
    try:
        found = page.storage.find(page.storage.allowed("GET", target, {}))
    except Refusal as refusal:
        raise ApiError("ResourceNotFound", f"The artifact cannot be read: {refusal.reason}.") from None
    if found is None:
        raise ApiError("ResourceNotFound", "The worker has not uploaded this artifact.")
    return found


async def log(page: PageRequest) -> Outcome:
    """Show the end of a log, or the lines `from` and after."""
    taskId, runId = page.params["taskId"], page.params["runId"]
    name = _name(page.params["name"])
    since = await newest_event(page)
    status = (await page.call("queue", "status", {"taskId": taskId}))["status"]
    definition = await page.attempt("queue", "task", {"taskId": taskId})
    found = await page.call("queue", "artifact", {"taskId": taskId, "runId": runId, "name": name})
    address = await _address(page, found)
    stored = _stored(page, address)
    base, path = f"/tasks/{segment(taskId)}/runs/{segment(runId)}", name_path(name)
    task_name = definition["metadata"]["name"] if definition else taskId
    variables: dict[str, Any] = {
        "title": f"{name.rpartition('/')[2]} of {task_name}",
        "task_name": task_name,
        "status": status,
        "updates": live(page, since, patterns_of_group(status["taskGroupId"]), refresh=""),
        "runId": runId,
        "name": name,
        "raw": f"{base}/{path}",
        "here": f"{base}/logs/{path}",
        "live": "",
        "load": None,
        "step": _LINES,
    }
    if stored is None:
        origin = _ORIGIN.match(address)
        assert origin is not None
        return Allowed({**variables, "live": address}, connect=origin[0])
    is_end = "from" not in page.query

    async def load() -> dict[str, Any]:
        # Called when the beginning of the page has been sent: counting lines can take a second.
        index = await page.log_indexes.get(stored)
        first, last = _part(page.query.get("from", ""), page.query.get("to", ""), index)
        lines = Lines(stored, index).read(first, last)
        return {"index": index, "lines": lines, "first": first, "last": last, "is_end": is_end}

    return {**variables, "load": load}


def _name(given: str) -> str:
    """Return the name of an artifact. Links of older clients have a complete URL, which ends with the name."""
    if not given.startswith(("http://", "https://")):
        return given
    return unquote(given.partition("?")[0].partition("/artifacts/")[2])


def _part(start: str, end: str, index: LogIndex) -> tuple[int, int]:
    """Return the first and the last line to show."""
    if start.isdecimal() and start.isascii() and len(start) < 12:
        first = max(1, min(int(start), max(1, index.lines)))
        wanted = int(end) if end.isdecimal() and end.isascii() and len(end) < 12 else first + _LINES - 1
        return first, min(index.lines, wanted, first + 10 * _LINES)
    return max(1, index.lines - _LINES + 1), index.lines


ROUTES = (
    Route("GET", "/tasks", open_task, "open.html", "Task"),
    Route("GET", "/tasks/<taskId>", task, "task.html", "Task"),
    Route("GET", "/tasks/<taskId>/definition", definition, "definition.html", "Definition"),
    Route("GET", "/tasks/<taskId>/runs/<runId>", task, "task.html", "Task"),
    Route("GET", "/tasks/<taskId>/runs/<runId>/logs/live/<name…>", log, "log.html", "Log"),
    Route("GET", "/tasks/<taskId>/runs/<runId>/logs/<name…>", log, "log.html", "Log"),
    Route("GET", "/tasks/<taskId>/runs/<runId>/<name…>", artifact),
)
