"""The schedules of hooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...errors import ApiError
from .cron import Cron

__all__ = ["next_date"]

_MOST_EXPRESSIONS = 100
"""Limit for one hook: each expression takes up to half a millisecond, during which no request is served."""
_LONGEST_EXPRESSION = 1000
"""In characters; six fields that name each of their values have about 400."""


def next_date(schedule: Sequence[str], now: datetime) -> datetime | None:
    """Return the first date after `now` that matches one of the cron expressions, or None.

    Raises:
        ApiError: An expression is invalid or too long, or there are too many (InputError).
    """
    if len(schedule) > _MOST_EXPRESSIONS:
        raise ApiError("InputError", f"a schedule can have at most {_MOST_EXPRESSIONS} cron expressions")
    if any(len(expression) > _LONGEST_EXPRESSION for expression in schedule):
        raise ApiError("InputError", f"a cron expression can have at most {_LONGEST_EXPRESSION} characters")
    dates = [date for expression in schedule if (date := _next(expression, now)) is not None]
    return min(dates, default=None)


def _next(expression: str, now: datetime) -> datetime | None:
    try:
        return Cron(expression).after(now)
    except ValueError as error:
        raise ApiError("InputError", f"{error} in {expression}") from None
