"""What the effects that need no connection do in async code."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from ..effects import Invoke, Sleep

__all__ = ["perform"]


async def perform(effect: Invoke | Sleep) -> Any:
    """Sleep, or call a function and return its result, awaited if it is awaitable."""
    if isinstance(effect, Sleep):
        return await asyncio.sleep(effect.seconds)
    result = effect.function(*effect.arguments, **effect.keywords)
    return (await result) if inspect.isawaitable(result) else result
