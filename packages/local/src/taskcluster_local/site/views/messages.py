"""The messages of all services, as over Pulse."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from itertools import zip_longest
from typing import Any

from ...api import EventStream
from ...errors import ApiError
from ..live import STREAM, live, newest_event
from ..page import Outcome, PageRequest, PageStream, Route

__all__ = ["ROUTES", "messages", "stream"]

_EVERYTHING = (("", "#"),)


def _bindings(page: PageRequest) -> tuple[tuple[str, str], ...]:
    """Return the exchanges and patterns in a query. An empty exchange means each of them."""
    exchanges = (value for name, value in page.queries if name == "exchange")
    patterns = (value.strip() for name, value in page.queries if name == "pattern")
    pairs = zip_longest(exchanges, patterns, fillvalue="")
    return tuple((exchange, pattern or "#") for exchange, pattern in pairs if exchange or pattern) or _EVERYTHING


def _as_api_has_them(bindings: tuple[tuple[str, str], ...], exchanges: list[str]) -> str:
    return json.dumps(
        [
            {"exchange": each, "routingKeyPattern": pattern}
            for exchange, pattern in bindings
            for each in ([exchange] if exchange else exchanges)
        ]
    )


async def messages(page: PageRequest) -> Outcome:
    """Show the latest messages that match."""
    since = await newest_event(page)
    bindings = _bindings(page)
    exchanges: list[str] = (await page.call("local", "listMessages", query={"limit": "0"}))["exchanges"]
    variables: dict[str, Any] = {
        "exchanges": exchanges,
        # One more, to be filled in.
        "fields": [*(() if bindings == _EVERYTHING else bindings), ("", "")],
        "failure": "",
        "messages": [],
        "updates": live(page, since, bindings),
    }
    try:
        found = await page.call("local", "listMessages", query={"bindings": _as_api_has_them(bindings, exchanges)})
    except ApiError as error:
        return {**variables, "failure": error.message, "status_code": error.status, "updates": None}
    return {**variables, "messages": found["messages"]}


async def stream(page: PageRequest) -> Outcome:
    """Send the messages that match, as the deployment's /events does, until the session ends."""
    exchanges: list[str] = (await page.call("local", "listMessages", query={"limit": "0"}))["exchanges"]
    # A browser that connects again sends the header; the query has the id with which it began.
    last_id = page.headers.get("last-event-id") or page.query.get("lastEventId")
    query = {"bindings": _as_api_has_them(_bindings(page), exchanges)}
    opened = await page.call("local", "events", query={**query, "lastEventId": last_id} if last_id else query)
    assert isinstance(opened, EventStream)
    credentials = page.sessions.credentials(page.session_id)

    async def events() -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(opened.open()) as chunks:
            async for chunk in chunks:
                if page.sessions.credentials(page.session_id) != credentials:
                    return
                yield chunk

    return PageStream(events)


ROUTES = (
    Route("GET", "/pulse-messages", messages, "messages.html", "Live events"),
    Route("GET", STREAM, stream),
)
