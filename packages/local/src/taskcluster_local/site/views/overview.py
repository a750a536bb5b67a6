"""The first page: running tasks, the latest groups, and the task queues."""

from __future__ import annotations

from typing import Any

from ..live import live, newest_event
from ..page import Outcome, PageRequest, Route

__all__ = ["ROUTES", "overview"]

_MOST_QUEUES = 200
_MOST_RUNNING = 50


async def overview(page: PageRequest) -> Outcome:
    """Show what is going on."""
    since = await newest_event(page)
    listed = await page.attempt("local", "listTaskQueues", query={"limit": str(_MOST_QUEUES)})
    queues: list[dict[str, Any]] | None = None if listed is None else listed["taskQueues"]
    groups = await page.attempt("local", "listTaskGroups")
    running = await _running(page, queues or [])
    return {
        "updates": live(page, since, (("", "#"),)),
        "status": await page.attempt("local", "status"),
        "queues": queues,
        "has_more_queues": listed is not None and "continuationToken" in listed,
        "running": running,
        "has_more_running": running is not None and len(running) == _MOST_RUNNING,
        "groups": None if groups is None else groups["taskGroups"],
    }


async def _running(page: PageRequest, queues: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Return running tasks, or None if the reader may list none."""
    found: list[dict[str, Any]] = []
    busy = [each["taskQueueId"] for each in queues if each["claimedTasks"]]
    is_refused = False
    for name in busy:
        limit = _MOST_RUNNING - len(found)
        if limit == 0:
            break
        claimed = await page.attempt("queue", "listClaimedTasks", {"taskQueueId": name}, query={"limit": str(limit)})
        is_refused = is_refused or claimed is None
        found += [] if claimed is None else claimed["tasks"]
    return None if is_refused and not found else found


ROUTES = (Route("GET", "/", overview, "overview.html", "Overview"),)
