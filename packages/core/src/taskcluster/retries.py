"""When a failed attempt is worth another, and how long to wait first. Nothing here waits."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from email.utils import parsedate
from typing import Any, NamedTuple

from .options import number_option

__all__ = ["DELAY_FACTOR", "MAX_DELAY", "MAX_RETRIES", "RANDOMIZATION_FACTOR", "Policy", "retry_after", "retryable"]

MAX_RETRIES = 5
DELAY_FACTOR = 0.1
RANDOMIZATION_FACTOR = 0.25
MAX_DELAY = 30


def retryable(status: int) -> bool:
    """Whether an answer of this status is worth another attempt: the server failed, or asks to slow down."""
    return status >= 500 or status == 429


class Policy(NamedTuple):
    """How often and after what delay to try again; times in seconds."""

    max_retries: int = MAX_RETRIES
    delay_factor: float = DELAY_FACTOR
    randomization_factor: float = RANDOMIZATION_FACTOR
    max_delay: float = MAX_DELAY

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Policy:
        """Return the policy that a client's options mean.

        Raises:
            TaskclusterFailure: One of them is no number, or out of range.
        """
        return cls(
            number_option(options, "maxRetries"),
            number_option(options, "delayFactor"),
            number_option(options, "randomizationFactor"),
            number_option(options, "maxDelay"),
        )

    def delay(self, retry: int, chance: float, asked: float | None = None) -> float | None:
        """Return the seconds to wait before the given retry, or None when there is to be none.

        Args:
            retry: 1 for the first retry.
            chance: A random number from 0 to 1, which places the delay in its range.
            asked: What the server asked for (Retry-After), in seconds; kept to the same cap.
        """
        if retry > self.max_retries:
            return None
        if asked is not None:
            return min(max(asked, 0.0), self.max_delay)
        spread = self.randomization_factor * (2 * chance - 1)
        # The exponent is bounded only to keep an absurd maxRetries from overflowing a float.
        delay = self.delay_factor * 2 ** min(retry - 1, 100) * (1 + spread)
        return float(min(delay, self.max_delay))


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or as an HTTP date; None if neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate(value)
        # HTTP dates are in GMT by definition.
        return None if date is None else max(calendar.timegm(date) - now, 0.0)
    except (ValueError, OverflowError, IndexError, TypeError):
        # email.utils lets some strings through that only look like dates, and raises on others.
        return None
