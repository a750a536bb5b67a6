"""Dates in the format of the queue, and the present."""

from __future__ import annotations

import datetime
from typing import Any

from taskcluster.timestamps import parse_date

__all__ = ["parsed", "present"]


def present() -> datetime.datetime:
    """Return the present, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def parsed(value: Any) -> datetime.datetime | None:
    """Return an ISO 8601 date as an aware datetime, in UTC if it has no zone, or None if it is not a date."""
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=datetime.timezone.utc)
    try:
        return parse_date(value) if isinstance(value, str) else None
    except ValueError:
        return None
