"""Periods from now that options take, such as `--expires '1 day'`."""

from __future__ import annotations

from datetime import datetime, timezone

from taskcluster.timestamps import fromNow, fromNowJSON

from .errors import Failure

__all__ = ["date_of", "lifetime_of", "seconds_of"]


def date_of(option: str, period: str) -> str:
    """Return the date at the end of a period, in ISO 8601; raise Failure, which names the option, if it is not one."""
    try:
        return fromNowJSON(period)
    except ValueError as exc:
        raise Failure(f"{option}: {exc}") from None


def seconds_of(option: str, period: str) -> float:
    """Return the length of a period; raise Failure, which names the option, if it is not one."""
    now = datetime.now(timezone.utc)
    try:
        return (fromNow(period, now) - now).total_seconds()
    except ValueError as exc:
        raise Failure(f"{option}: {exc}") from None


def lifetime_of(option: str, period: str) -> float:
    """Return the length of a period for which something will be valid; raise Failure as `seconds_of` does."""
    seconds = seconds_of(option, period)
    if seconds <= 0:
        raise Failure(f"{option}: {period!r} is not in the future")
    return seconds
