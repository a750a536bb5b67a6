"""Let something end although the caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["completely"]

_T = TypeVar("_T")


async def completely(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Await a coroutine to its end, even if this is cancelled meanwhile."""
    running = asyncio.create_task(coroutine)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
    result = running.result()
    if cancelled is not None:
        raise cancelled
    return result
