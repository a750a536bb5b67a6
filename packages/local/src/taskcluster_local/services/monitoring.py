"""The methods that every service has, by which it is seen to be up."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version as version_of
from typing import Any

from ..api import Call, Handler

__all__ = ["handlers"]


def handlers(started: datetime) -> dict[str, Handler]:
    """Return the handlers.

    Args:
        started: When this deployment started.
    """

    async def ping(call: Call) -> dict[str, Any]:
        return {"alive": True, "uptime": (call.now - started).total_seconds()}

    async def heartbeat(call: Call) -> dict[str, Any]:
        return {}

    async def version(call: Call) -> dict[str, Any]:
        return {
            "version": version_of("taskcluster-local"),
            "commit": "local",
            "source": "taskcluster-local",
            "build": "local",
        }

    return {"ping": ping, "lbheartbeat": heartbeat, "heartbeat": heartbeat, "version": version}
