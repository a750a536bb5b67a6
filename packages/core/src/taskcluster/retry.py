"""Retries of a program's own requests, as programs find them in `taskcluster.retry`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from . import plain_http

__all__ = ["log", "retry"]

log = logging.getLogger(__name__)

T = TypeVar("T")


def retry(maxRetries: int, tryFn: Callable[[Callable[[Exception], Any]], T]) -> T:
    """Call a function until it succeeds, and return its result.

    Args:
        maxRetries: How many more times to call it at most.
        tryFn: Called with a function. To have another attempt, it passes an exception to that function and returns.

    Raises:
        Exception: What `tryFn` raised, or what it passed on in the last attempt.
    """
    attempt = 0
    while True:
        failures: list[Exception] = []
        result = tryFn(failures.append)
        if not failures:
            return result
        attempt += 1
        if attempt > maxRetries:
            raise failures[-1]
        time.sleep(plain_http.calculateSleepTime(attempt))
