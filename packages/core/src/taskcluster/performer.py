"""What the effects that need no connection do in sync code."""

from __future__ import annotations

import time
from typing import Any

from .effects import Invoke, Sleep

__all__ = ["perform"]


def perform(effect: Invoke | Sleep) -> Any:
    """Sleep, or call a function and return its result."""
    if isinstance(effect, Sleep):
        return time.sleep(effect.seconds)
    return effect.function(*effect.arguments, **effect.keywords)
