"""Task groups: the tasks of one with their states, and sealing and canceling it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from ...timestamps import from_wire
from ..live import live, newest_event, patterns_of_group
from ..page import Outcome, PageRequest, Redirect, Route, segment
from .artifacts import log_name
from .tasks import id_in

__all__ = ["ROUTES", "cancel", "changes", "group", "groups", "seal"]

_STATES = ("unscheduled", "pending", "running", "completed", "failed", "exception")
_AT_ONCE = 100
"""How many tasks are read at once. Each is read with its definition."""
_MOST_CHANGED = 100


async def groups(page: PageRequest) -> Outcome:
    """Lead to a group by its id, or an address that has it, and show the latest ones."""
    entered = page.query.get("id", "").strip()
    found = id_in(entered)
    if found is not None:
        return Redirect(f"/tasks/groups/{found}")
    latest = await page.attempt("local", "listTaskGroups")
    return {"entered": entered, "groups": None if latest is None else latest["taskGroups"]}


async def group(page: PageRequest) -> Outcome:
    """Show a group. Its tasks are read while the page is sent, because there can be any number."""
    since = await newest_event(page)
    summary = await _summary(page)
    rows = GroupRows(page, page.query.get("state", ""), page.query.get("name", "").strip())
    taskGroupId = page.params["taskGroupId"]
    # The task that created the others, by convention.
    decision = await page.attempt("queue", "task", {"taskId": taskGroupId})
    return {
        **summary,
        "title": f"Group of {decision['metadata']['name']}" if decision else f"Group {taskGroupId}",
        "decision": decision,
        "names_of_states": _STATES,
        "updates": live(page, since, patterns_of_group(taskGroupId), f"{page.path}/changes"),
        "rows": rows,
    }


async def changes(page: PageRequest) -> Outcome:
    """Show what a script updates in the page of a group: everything above the list, and the rows of some tasks."""
    summary = await _summary(page)
    taskIds = [value for name, value in page.queries if name == "taskId"][:_MOST_CHANGED]
    return {**summary, "changed": await _rows(page, taskIds) if taskIds else []}


async def _rows(page: PageRequest, taskIds: list[str]) -> list[dict[str, Any]]:
    """Return the rows of those of some tasks that are in the group and that the reader may see."""
    states = await page.attempt("queue", "statuses", payload={"taskIds": taskIds})
    tasks = await page.attempt("queue", "tasks", payload={"taskIds": taskIds})
    if states is None or tasks is None:
        return []
    definitions = {each["taskId"]: each["task"] for each in tasks["tasks"]}
    return [
        _row(each["status"], definitions[each["taskId"]])
        for each in states["statuses"]
        if each["taskId"] in definitions and each["status"]["taskGroupId"] == page.params["taskGroupId"]
    ]


async def _summary(page: PageRequest) -> dict[str, Any]:
    """Return what is above the list."""
    found = await page.call("local", "taskGroup", query={"taskGroupId": page.params["taskGroupId"]})
    states = {name: found["states"][name] for name in _STATES if name in found["states"]}
    failure = found.get("firstFailure")
    return {
        "group": found,
        "sealed": found.get("sealed"),
        "states": states,
        "size": sum(states.values()),
        "is_active": any(name in states for name in _STATES[:3]),
        "failure": None if failure is None else {**failure, **await _about_failure(page, failure)},
    }


async def _about_failure(page: PageRequest, failure: dict[str, Any]) -> dict[str, Any]:
    task = await page.attempt("queue", "task", {"taskId": failure["taskId"]})
    of_run = {"taskId": failure["taskId"], "runId": str(failure["runId"])}
    listed = await page.attempt("queue", "listArtifacts", of_run)
    return {
        "name": task["metadata"]["name"] if task else failure["taskId"],
        "log": log_name(listed["artifacts"]) if listed else None,
    }


@dataclass
class GroupRows:
    """The tasks of a group that match a filter."""

    page: PageRequest
    state: str
    """Empty for all."""
    name: str
    """A part of the name; empty for all."""
    seen: int = 0
    """How many tasks were read."""
    shown: int = 0
    """How many of them match."""

    @property
    def is_filtered(self) -> bool:
        """Whether tasks can be left out."""
        return bool(self.state or self.name)

    async def __aiter__(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the rows of the table."""
        name = self.name.lower()
        listed = self.page.listed("queue", "listTaskGroup", "tasks", self.page.params, limit=str(_AT_ONCE))
        async for each in listed:
            self.seen += 1
            row = _row(each["status"], each["task"])
            if self.state in ("", row["state"]) and name in row["name"].lower():
                self.shown += 1
                yield row


def _row(status: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    runs = status["runs"]
    last: dict[str, Any] = runs[-1] if runs else {}
    has_both = "started" in last and "resolved" in last
    return {
        "taskId": status["taskId"],
        "name": task["metadata"]["name"],
        "state": status["state"],
        "runs": len(runs),
        "started": last.get("started") if status["state"] == "running" else None,
        "seconds": (from_wire(last["resolved"]) - from_wire(last["started"])).total_seconds() if has_both else None,
    }


async def seal(page: PageRequest) -> Outcome:
    """Seal the group."""
    await page.call("queue", "sealTaskGroup", page.params)
    return Redirect(f"/tasks/groups/{segment(page.params['taskGroupId'])}")


async def cancel(page: PageRequest) -> Outcome:
    """Cancel the tasks of the group that have not ended. Only sealed groups can be canceled."""
    await page.call("queue", "sealTaskGroup", page.params)
    await page.call("queue", "cancelTaskGroup", page.params)
    return Redirect(f"/tasks/groups/{segment(page.params['taskGroupId'])}")


ROUTES = (
    Route("GET", "/tasks/groups", groups, "groups.html", "Task groups"),
    Route("GET", "/tasks/groups/<taskGroupId>", group, "group.html"),
    Route("GET", "/tasks/groups/<taskGroupId>/changes", changes, "group_changes.html", "Changes"),
    Route("POST", "/tasks/groups/<taskGroupId>/seal", seal),
    Route("POST", "/tasks/groups/<taskGroupId>/cancel", cancel),
)
