"""The methods of the secrets service."""

from __future__ import annotations

from typing import Any

from ...api import Handler, HandlerCall
from ...pages import Page
from .state import Secrets

__all__ = ["handlers"]


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
