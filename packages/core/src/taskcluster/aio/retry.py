"""Retries of a program's own requests, as programs find them in `taskcluster.aio.retry`."""

from __future__ import annotations

import asyncio as asyncio  # tests of programs replace its functions here
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .. import plain_http
from ..retrying import call_again
from ..runner import run_async
from .performer import perform

__all__ = ["log", "retry"]


def __dir__() -> list[str]:
    return __all__


log = logging.getLogger(__name__)

T = TypeVar("T")


async def retry(maxRetries: int, tryFn: Callable[[Callable[[Exception], Any]], Awaitable[T]]) -> T:
    """Await a function until it succeeds, and return its result; arguments as for `taskcluster.retry.retry`."""
    return await run_async(call_again(tryFn, maxRetries, plain_http.calculateSleepTime), perform)
