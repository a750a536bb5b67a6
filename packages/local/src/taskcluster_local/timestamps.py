"""Dates on the wire, and the clock. Nothing else in this package reads the time."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

__all__ = [
    "CLOCK_DRIFT",
    "Clock",
    "MovableClock",
    "from_wire",
    "later",
    "milliseconds",
    "normal",
    "system_clock",
    "to_wire",
]

Clock = Callable[[], datetime]
"""Returns the time as an aware datetime in UTC."""

CLOCK_DRIFT = timedelta(minutes=15)
"""How far the clocks of clients may differ from the deployment's."""

_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LATEST = datetime(2900, 1, 1, tzinfo=timezone.utc)
"""The latest time that a deployment can be moved to. Its own clients expire in the year 3000."""


def system_clock() -> datetime:
    """Return the time of the system's clock."""
    return datetime.now(timezone.utc)


class MovableClock:
    """A deployment's time: that of another clock plus the spans it was advanced by.

    Args:
        source: The other clock.
    """

    def __init__(self, source: Clock) -> None:
        self._source = source
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the time."""
        return self._source() + self._ahead

    @property
    def ahead(self) -> timedelta:
        """How far it was advanced."""
        return self._ahead

    def advance(self, span: timedelta) -> datetime:
        """Move the time forward, and return the new time.

        Raises:
            ValueError: `span` is negative, or leads beyond the year 2900; then nothing has changed.
        """
        if span < timedelta():
            raise ValueError("time can only be moved forward")
        present = self()
        if span > _LATEST - present:
            raise ValueError(
                f"cannot advance from {present:%Y-%m-%d} by {span}: time must stay before {_LATEST:%Y-%m-%d}"
            )
        self._ahead += span
        return self()


@functools.lru_cache(maxsize=256)
def from_wire(text: str) -> datetime:
    """Parse a date from a client, in UTC and truncated to milliseconds; one without a zone is in UTC.

    Raises:
        ValueError: It is not a date-time, or does not exist.
    """
    # Cached: a call parses the same dates for validation and for use.
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a date-time")
    *parts, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, parts)
    millisecond = int((fraction or "0")[:3].ljust(3, "0"))
    local = datetime(year, month, day, hour, minute, second, millisecond * 1000, timezone.utc)
    if sign is None:
        return local
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"{text!r} has no valid zone")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        return local - offset if sign == "+" else local + offset
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def to_wire(date: datetime) -> str:
    """Format a date in UTC as the services do. These strings sort like their dates."""
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def normal(text: str) -> str:
    """Convert a client's date to the format of the services."""
    return to_wire(from_wire(text))


def later(date: datetime, span: timedelta) -> datetime:
    """Return a date plus `span`, or the latest possible date."""
    last = datetime.max.replace(tzinfo=timezone.utc)
    return date + span if span < last - date else last


def milliseconds(date: datetime) -> int:
    """Return the unix time of a date in milliseconds."""
    return (date - _EPOCH) // timedelta(milliseconds=1)
