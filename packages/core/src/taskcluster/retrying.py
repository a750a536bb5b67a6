"""Retry a program's own requests and functions: the procedures that sync and async code share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any

from .effects import Invoke, Sleep
from .retries import retryable

__all__ = ["call_again", "send_again"]

log = logging.getLogger("taskcluster")


def send_again(
    send: Callable[[], Any],
    status: Callable[[Any], int],
    errors: type[Exception] | tuple[type[Exception], ...],
    retries: int,
    delay: Callable[[int], float],
    rewind: Callable[[], object] | None = None,
) -> Generator[Invoke | Sleep, Any, Any]:
    """Send a request until there is a response that is not retried, and return the last response.

    Args:
        send: Sends the request.
        status: Returns a response's status.
        errors: The exceptions that `send` raises without a response.
        retries: How many retries there are at most.
        delay: Returns the seconds to wait before a retry, 1 being the first.
        rewind: Called before each retry.
    """
    for retry in range(1, retries + 2):
        try:
            response = yield Invoke(send)
            if not retryable(status(response)) or retry > retries:
                return response
        except errors:
            if retry > retries:
                raise
        if rewind is not None:
            rewind()
        seconds = delay(retry)
        log.debug("no response or a server error; next attempt in %.1f s", seconds)
        yield Sleep(seconds)
    raise AssertionError("retries must not be negative")


def call_again(
    function: Callable[[Callable[[Exception], Any]], Any], retries: int, delay: Callable[[int], float]
) -> Generator[Invoke | Sleep, Any, Any]:
    """Call a function until it passes no exception to its argument, and return its result.

    Args:
        function: Passes an exception to its argument to be called again.
        retries: How many times to call it again.
        delay: Returns the seconds to wait before a retry, 1 being the first.
    """
    retry = 0
    while True:
        failures: list[Exception] = []
        result = yield Invoke(function, (failures.append,))
        if not failures:
            return result
        retry += 1
        if retry > retries:
            raise failures[-1]
        yield Sleep(delay(retry))
