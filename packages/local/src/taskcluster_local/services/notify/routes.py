"""The methods of the notify service."""

from __future__ import annotations

from typing import Any

from ...api import Handler, HandlerCall, Partial, Reply, Text
from ...pages import Page
from ..context import ServiceContext
from . import task_routes
from .outbox import Notification
from .state import Notifier, address_of

__all__ = ["build", "handlers"]

_KINDS = {
    "email": ("email", "address"),
    "pulse": ("pulse", "routingKey"),
    "matrix": ("matrix-room", "roomId"),
    "slack": ("slack-channel", "channelId"),
}
"""By method: the type of its notifications, and the property of the payload that is the address."""


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service. It also sends the notifications in the routes of tasks."""
    outbox, notifier = context.shared.outbox, context.shared.notifier
    task_routes.watch(context.events, notifier, context.root_url, context.clock)
    context.as_time_passes(lambda: outbox.expire(context.clock()))
    return handlers(notifier)


def handlers(notifier: Notifier) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def send(call: HandlerCall) -> Reply:
        kind, field = _KINDS[call.endpoint.name]
        address = call.payload[field]
        call.authorize(**{field: address})
        sent = notifier.send(Notification(kind, address, call.payload), call.now)
        return Reply(200, Text("OK")) if sent else Reply(204)

    async def addDenylistAddress(call: HandlerCall) -> Reply:
        notifier.deny(call.payload["notificationType"], call.payload["notificationAddress"])
        return Reply(200, Text("OK"))

    async def deleteDenylistAddress(call: HandlerCall) -> Reply:
        notifier.allow(call.payload["notificationType"], call.payload["notificationAddress"])
        return Reply(200, Text("OK"))

    async def listDenylist(call: HandlerCall) -> dict[str, Any]:
        return notifier.denylist(Page.of(call.query)).body("addresses", address_of)

    kept = "is kept in the outbox and not sent"
    return {
        "email": Partial(send, kept),
        "pulse": send,
        "matrix": Partial(send, kept),
        "slack": Partial(send, kept),
        "addDenylistAddress": addDenylistAddress,
        "deleteDenylistAddress": deleteDenylistAddress,
        "listDenylist": listDenylist,
    }
