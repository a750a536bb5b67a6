"""Results of functions that may or may not be async."""

from __future__ import annotations

import inspect
from typing import Any

from .exceptions import TaskclusterFailure

__all__ = ["awaited", "plain"]


def plain(result: Any, otherwise: str) -> Any:
    """Return a result; raise TaskclusterFailure with the message `otherwise` if it is awaitable."""
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TaskclusterFailure(otherwise)
    return result


async def awaited(result: Any) -> Any:
    """Return a result, awaited if it is awaitable."""
    return await result if inspect.isawaitable(result) else result
