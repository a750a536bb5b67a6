"""The methods of the secrets service."""

from __future__ import annotations

from typing import Any

from ...api import Handler, HandlerCall
from ...pages import Page
from ..context import ServiceContext
from .state import Secrets

__all__ = ["build", "handlers"]


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service. Changes of secrets are recorded in the audit history."""
    secrets = Secrets(context.store)
    context.as_time_passes(lambda: secrets.expire(context.clock()))
    named, recorded = handlers(secrets), context.shared.audit.recorded

    def action(call: HandlerCall) -> str:
        return "updated" if secrets.is_set(call.params["name"]) else "created"

    return {
        **named,
        "set": recorded(named["set"], "secret", action, "name"),
        "remove": recorded(named["remove"], "secret", "deleted", "name"),
    }


def handlers(secrets: Secrets) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def set_(call: HandlerCall) -> dict[str, Any]:
        secrets.set(call.params["name"], call.payload["secret"], call.payload["expires"])
        return {}

    async def get(call: HandlerCall) -> dict[str, Any]:
        return secrets.get(call.params["name"], call.now)

    async def remove(call: HandlerCall) -> dict[str, Any]:
        secrets.remove(call.params["name"])
        return {}

    async def list_(call: HandlerCall) -> dict[str, Any]:
        return secrets.names(Page.of(call.query), call.now).body("secrets", lambda row: row["name"])

    return {"set": set_, "get": get, "remove": remove, "list": list_}
