"""The methods of the purge-cache service."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...api import Handler, HandlerCall, Reply
from ...errors import ApiError
from ...pages import Page
from ...timestamps import from_wire
from ..context import ServiceContext
from .state import PurgeRequests, request_of

__all__ = ["build", "handlers"]

_LONGEST_NAME = 1000
"""Everyone may list the names, and sorting takes time for each character."""


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service."""
    requests = PurgeRequests(context.store)
    context.as_time_passes(lambda: requests.expire(context.clock()))
    return handlers(requests)


def handlers(requests: PurgeRequests) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def purgeCache(call: HandlerCall) -> Reply:
        cacheName = call.payload["cacheName"]
        call.authorize(cacheName=cacheName)
        if len(cacheName) > _LONGEST_NAME:
            raise ApiError("InputError", f"cacheName can have at most {_LONGEST_NAME} characters")
        requests.add(call.params["workerPoolId"], cacheName, call.now)
        return Reply(204)

    async def allPurgeRequests(call: HandlerCall) -> dict[str, Any]:
        return requests.of_all(Page.of(call.query), call.now).body("requests", request_of)

    async def purgeRequests(call: HandlerCall) -> dict[str, Any]:
        since = _date(call.query["since"]) if "since" in call.query else None
        return {"requests": requests.of_pool(call.params["workerPoolId"], since, call.now)}

    return {"purgeCache": purgeCache, "allPurgeRequests": allPurgeRequests, "purgeRequests": purgeRequests}


def _date(text: str) -> datetime:
    try:
        return from_wire(text)
    except ValueError:
        raise ApiError(
            "InvalidRequestArguments",
            f'Query-string parameter: since="{text}" must be a date such as 2030-12-31T23:59:59.000Z',
        ) from None
