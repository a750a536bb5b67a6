"""What a page needs to be kept up to date by its script.

The script reads the deployment's messages. Whenever one matches, it loads the page again and replaces its parts: the
elements with `data-part` and an id.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from ..timestamps import to_wire
from .page import PageRequest

__all__ = ["STREAM", "Live", "live", "newest_event", "patterns_of_group"]

STREAM = "/pulse-messages/stream"
"""The path of the messages."""


@dataclass(frozen=True, slots=True)
class Live:
    """How the script of a page keeps it up to date."""

    stream: str
    """The address of the messages; empty if the reader may not read them."""
    refresh: str
    """The address that has the parts of the page; empty if only states change."""
    at: str
    """When the page was made."""


async def newest_event(page: PageRequest) -> str:
    """Return where the messages that a page has not considered begin; empty if the reader may not read them.

    Call it before reading what the page shows.
    """
    found = await page.attempt("local", "listMessages", query={"limit": "0"})
    return "" if found is None else str(found["lastEventId"])


def patterns_of_group(taskGroupId: str) -> tuple[tuple[str, str], ...]:
    """Return the bindings for messages about a group and its tasks."""
    return ("", f"primary.*.*.*.*.*.*.*.{taskGroupId}.#"), ("", f"primary.{taskGroupId}.#")


def live(page: PageRequest, since: str, bindings: tuple[tuple[str, str], ...], refresh: str | None = None) -> Live:
    """Return the variable `updates` of a page.

    Args:
        page: The request for the page.
        since: The result of `newest_event`.
        bindings: Exchanges and routing key patterns of the messages; an empty exchange means each of them.
        refresh: The address that has the parts of the page; by default its own. Empty if only states change.
    """
    fields = [(name, value) for each in bindings for name, value in zip(("exchange", "pattern"), each, strict=True)]
    own = f"{page.path}?{urlencode(page.queries)}" if page.queries else page.path
    stream = f"{STREAM}?{urlencode([*fields, ('lastEventId', since)])}" if since else ""
    return Live(stream, own if refresh is None else refresh, to_wire(page.now))
