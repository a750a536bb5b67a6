"""The notifications that a real deployment would have sent, and the addresses that get none."""

from __future__ import annotations

from typing import Any

from ...api import payload_of
from ...errors import ApiError
from ..listing import table_rows
from ..page import Outcome, PageRequest, Redirect, Route

__all__ = ["ROUTES", "add", "delete", "denylist", "outbox"]

_KINDS = ("email", "pulse", "matrix-room", "slack-channel")


async def outbox(page: PageRequest) -> Outcome:
    """Show the notifications of the last 24 hours, newest first."""
    found = await table_rows(page, "local", "listNotifications", "notifications", newestFirst="true")
    return {"notifications": found}


async def denylist(page: PageRequest) -> Outcome:
    """Show the addresses that get no notifications."""
    return await _denylist(page)


async def _denylist(page: PageRequest) -> dict[str, Any]:
    return {
        "addresses": await table_rows(page, "notify", "listDenylist", "addresses"),
        "kinds": _KINDS,
        "kind": page.form.get("kind", "email"),
        "address": page.form.get("address", ""),
        "failure": "",
    }


async def add(page: PageRequest) -> Outcome:
    """Add an address."""
    payload = {
        "notificationType": page.form.get("kind", ""),
        "notificationAddress": page.form.get("address", "").strip(),
    }
    try:
        await page.call("notify", "addDenylistAddress", payload=payload)
    except ApiError as error:
        return {**await _denylist(page), "failure": error.message, "status_code": error.status}
    return Redirect("/notify/denylist")


async def delete(page: PageRequest) -> Outcome:
    """Delete an address."""
    # JSON, because browsers change line ends in the fields of forms.
    await page.call("notify", "deleteDenylistAddress", payload=payload_of(page.form.get("entry", "")))
    return Redirect("/notify/denylist")


ROUTES = (
    Route("GET", "/notify", outbox, "outbox.html", "Notifications"),
    Route("GET", "/notify/denylist", denylist, "denylist.html", "Denylist"),
    Route("POST", "/notify/denylist", add, "denylist.html", "Denylist"),
    Route("POST", "/notify/denylist/delete", delete),
)
