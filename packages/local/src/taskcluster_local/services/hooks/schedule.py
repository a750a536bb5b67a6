"""When hooks fire on their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ...errors import ApiError
from .cron import Cron

__all__ = ["next_date"]


def next_date(schedule: Iterable[str], now: datetime) -> datetime | None:
    """Return the first date after `now` that any of some cron expressions means, or None if there is none.

    Raises:
        ApiError: One is no cron expression (InputError).
    """
    dates = [date for expression in schedule if (date := _next(expression, now)) is not None]
    return min(dates, default=None)


def _next(expression: str, now: datetime) -> datetime | None:
    try:
        return Cron(expression).after(now)
    except ValueError as error:
        raise ApiError("InputError", f"{error} in {expression}") from None
