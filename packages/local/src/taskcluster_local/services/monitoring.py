"""The health methods that every service has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..api import Handler, HandlerCall
from ..documents import version

__all__ = ["METHODS", "handlers"]

METHODS = frozenset({"ping", "lbheartbeat", "heartbeat", "version"})
"""The names of these methods."""


def handlers(started: datetime) -> dict[str, Handler]:
    """Return the handlers.

    Args:
        started: When the deployment started.
    """

    async def ping(call: HandlerCall) -> dict[str, Any]:
        return {"alive": True, "uptime": (call.now - started).total_seconds()}

    async def heartbeat(call: HandlerCall) -> dict[str, Any]:
        return {}

    async def version_(call: HandlerCall) -> dict[str, Any]:
        return version()

    return {"ping": ping, "lbheartbeat": heartbeat, "heartbeat": heartbeat, "version": version_}
