"""What the effects that need no connection do in async code."""

from __future__ import annotations

import asyncio
from typing import Any

from ..awaitables import awaited
from ..effects import Invoke, Sleep

__all__ = ["perform"]


async def perform(effect: Invoke | Sleep) -> Any:
    """Sleep, or call a function and return its result, awaited if it is awaitable."""
    if isinstance(effect, Sleep):
        return await asyncio.sleep(effect.seconds)
    return await awaited(effect.function(*effect.arguments, **effect.keywords))
