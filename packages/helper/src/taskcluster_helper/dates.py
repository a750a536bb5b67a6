"""Dates as the queue writes them, and the present."""

from __future__ import annotations

import datetime
import re
from typing import Any

__all__ = ["parsed", "present"]


def present() -> datetime.datetime:
    """Return the present, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def parsed(value: Any) -> datetime.datetime | None:
    """Return an ISO 8601 date as an aware datetime, one without a zone taken as UTC; None where it is no date."""
    if isinstance(value, datetime.datetime):
        found = value
    elif isinstance(value, str):
        # Python 3.10 reads neither a Z nor fractions of other lengths than three and six digits.
        text = re.sub(r"\.(\d+)", lambda match: f".{match[1][:6]:0<6}", value)
        try:
            found = datetime.datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
        except ValueError:
            return None
    else:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.timezone.utc)
