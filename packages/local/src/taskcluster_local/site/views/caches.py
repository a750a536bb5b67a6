"""Requests to purge the caches of workers."""

from __future__ import annotations

from ...errors import ApiError
from ..listing import table_rows
from ..page import Outcome, PageRequest, Redirect, Route

__all__ = ["ROUTES", "purge_caches"]


async def purge_caches(page: PageRequest) -> Outcome:
    """Show the open requests, or add one."""
    given = page.form or page.query
    entered = {"queue": given.get("queue", "").strip(), "cache": given.get("cache", "")}
    failure = {}
    if page.form:
        try:
            await page.call(
                "purge-cache", "purgeCache", {"workerPoolId": entered["queue"]}, {"cacheName": entered["cache"]}
            )
        except ApiError as error:
            failure = {"failure": error.message, "status_code": error.status}
        else:
            return Redirect("/purge-caches")
    return {
        "requests": await table_rows(page, "purge-cache", "allPurgeRequests", "requests"),
        "queues": (await table_rows(page, "local", "listTaskQueues", "taskQueues", token="queues")).rows or [],
        "failure": "",
        **entered,
        **failure,
    }


ROUTES = (
    Route("GET", "/purge-caches", purge_caches, "purge_caches.html", "Purge caches"),
    Route("POST", "/purge-caches", purge_caches, "purge_caches.html", "Purge caches"),
)
