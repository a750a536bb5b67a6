"""Awaitables in sync code, which cannot await them."""

from __future__ import annotations

import inspect
from typing import Any

from .exceptions import TaskclusterFailure

__all__ = ["plain"]


def plain(result: Any, otherwise: str) -> Any:
    """Return a result; raise TaskclusterFailure with the message `otherwise` if it is awaitable."""
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TaskclusterFailure(otherwise)
    return result
