"""Retries of a program's own requests, the published module `taskcluster.retry`."""

from __future__ import annotations

import logging
import time as time  # tests of programs replace its functions here
from collections.abc import Callable
from typing import Any, TypeVar

from . import plain_http
from .performer import perform
from .retrying import call_again
from .runner import run

__all__ = ["log", "retry"]


def __dir__() -> list[str]:
    return __all__


log = logging.getLogger(__name__)

T = TypeVar("T")


def retry(maxRetries: int, tryFn: Callable[[Callable[[Exception], Any]], T]) -> T:
    """Call a function until it succeeds, and return its result.

    Args:
        maxRetries: How many times to call it again.
        tryFn: Called with a function. To be called again, it passes an exception to that function and returns.

    Raises:
        Exception: Raised by `tryFn`, or passed by its last call.
    """
    result: T = run(call_again(tryFn, maxRetries, plain_http.calculateSleepTime), perform)
    return result
