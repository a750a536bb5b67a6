"""When hooks fire on their own: cron expressions of six fields, seconds first, in UTC."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cronsim import CronSim, CronSimError

from ...errors import ApiError

__all__ = ["next_date"]


def next_date(schedule: Iterable[str], now: datetime) -> datetime | None:
    """Return the first date after `now` that any of some cron expressions means, or None where there is none.

    Raises:
        ApiError: One is no cron expression (InputError).
    """
    dates = [date for expression in schedule if (date := _next(expression, now)) is not None]
    return min(dates, default=None)


def _next(expression: str, now: datetime) -> datetime | None:
    try:
        return next(CronSim(expression, now), None)
    # The latter two come of expressions that nobody would write, such as `* * * * * 5L/2`.
    except (CronSimError, AssertionError, ValueError) as error:
        raise ApiError("InputError", f"{error or 'Bad expression'} in {expression}") from None
