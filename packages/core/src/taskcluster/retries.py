"""Which failed attempts are retried, and after what delay. Nothing here waits."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from email.utils import parsedate
from typing import Any, NamedTuple, Protocol

from .exceptions import TaskclusterFailure
from .options import DEFAULTS, number_option

__all__ = [
    "DELAY_FACTOR",
    "MAX_DELAY",
    "MAX_RETRIES",
    "RANDOMIZATION_FACTOR",
    "Attempts",
    "Policy",
    "retry_after",
    "retryable",
]

MAX_RETRIES: int = DEFAULTS["maxRetries"]
DELAY_FACTOR: float = DEFAULTS["delayFactor"]
RANDOMIZATION_FACTOR: float = DEFAULTS["randomizationFactor"]
MAX_DELAY: float = DEFAULTS["maxDelay"]


def retryable(status: int) -> bool:
    """Return whether a response with this status is retried: a server failure, or 429 (too many requests)."""
    return status >= 500 or status == 429


class HasStatus(Protocol):
    """A response."""

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        ...


class Policy(NamedTuple):
    """How many retries there are, and their delays in seconds."""

    max_retries: int = MAX_RETRIES
    delay_factor: float = DELAY_FACTOR
    randomization_factor: float = RANDOMIZATION_FACTOR
    max_delay: float = MAX_DELAY

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Policy:
        """Return the policy that a client's options set.

        Raises:
            TaskclusterFailure: An option is not a number, or out of range.
        """
        return cls(
            number_option(options, "maxRetries"),
            number_option(options, "delayFactor"),
            number_option(options, "randomizationFactor"),
            number_option(options, "maxDelay"),
        )

    def delay(self, retry: int, chance: float, requested: float | None = None) -> float | None:
        """Return the seconds to wait before a retry, or None if no retries are left.

        Args:
            retry: 1 for the first retry.
            chance: A random number from 0 to 1, which selects the delay within its range.
            requested: The delay that the server requested (Retry-After), limited to `max_delay`.
        """
        if retry > self.max_retries:
            return None
        if requested is not None:
            return min(max(requested, 0.0), self.max_delay)
        spread = self.randomization_factor * (2 * chance - 1)
        # The exponent is bounded so that a huge maxRetries does not overflow a float.
        delay = self.delay_factor * 2 ** min(retry - 1, 100) * (1 + spread)
        return float(min(delay, self.max_delay))


class Attempts:
    """Counts the failed attempts of one operation.

    Args:
        policy: How many retries there are.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._count = 0

    def delay(self, failure: TaskclusterFailure, chance: float, now: float, response: HasStatus | None = None) -> float:
        """Return the seconds to wait before the next attempt; raise `failure` if no retries are left.

        Args:
            failure: Why this attempt failed.
            chance: A random number from 0 to 1.
            now: Unix time in seconds.
            response: The response, whose Retry-After is followed.
        """
        self._count += 1
        requested = None if response is None else retry_after(response.status, response.headers, now)
        delay = self._policy.delay(self._count, chance, requested)
        if delay is None:
            raise failure
        return delay


def retry_after(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait that Retry-After requests with status 429 or 503, or None.

    Args:
        status: The response's status.
        headers: The response's headers. Retry-After holds seconds or an HTTP date; anything else is ignored.
        now: Unix time in seconds.
    """
    value: Any = headers.get("Retry-After") if status in (429, 503) else None
    # A mock's headers may be mocks.
    if not isinstance(value, str):
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate(value)
        # HTTP dates are in GMT by definition.
        return None if date is None else max(calendar.timegm(date) - now, 0.0)
    except (ValueError, OverflowError, IndexError, TypeError):
        # email.utils accepts some strings that are not dates, and raises on others.
        return None
