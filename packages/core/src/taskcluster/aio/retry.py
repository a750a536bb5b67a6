"""Retries of a program's own requests, as programs find them in `taskcluster.aio.retry`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .. import plain_http

__all__ = ["log", "retry"]

log = logging.getLogger(__name__)

T = TypeVar("T")


async def retry(maxRetries: int, tryFn: Callable[[Callable[[Exception], Any]], Awaitable[T]]) -> T:
    """Await a function until it succeeds, and return its result; arguments as for `taskcluster.retry.retry`."""
    attempt = 0
    while True:
        failures: list[Exception] = []
        result = await tryFn(failures.append)
        if not failures:
            return result
        attempt += 1
        if attempt > maxRetries:
            raise failures[-1]
        await asyncio.sleep(plain_http.calculateSleepTime(attempt))
