"""Dates on the wire, and the clock everything here is told the time by. Nothing else in this package reads the time."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

__all__ = ["Clock", "MovableClock", "from_wire", "later", "milliseconds", "normal", "system_clock", "to_wire"]

Clock = Callable[[], datetime]
"""Returns the present as an aware datetime in UTC."""

_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LATEST = datetime(2900, 1, 1, tzinfo=timezone.utc)
"""How far a deployment's time can be moved. Its own clients expire in the year 3000."""


def system_clock() -> datetime:
    """Return the present by the system's clock."""
    return datetime.now(timezone.utc)


class MovableClock:
    """The present of a deployment: that of another clock, and what it has been moved forward by.

    Args:
        source: The clock that it is moved against.
    """

    def __init__(self, source: Clock) -> None:
        self._source = source
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the present."""
        return self._source() + self._ahead

    def advance(self, span: timedelta) -> None:
        """Move the present forward.

        Raises:
            ValueError: `span` is negative, or leads beyond the year 2900; then nothing has changed.
        """
        if span < timedelta():
            raise ValueError("time can be moved forward only")
        present = self()
        if span > _LATEST - present:
            raise ValueError(
                f"cannot advance from {present:%Y-%m-%d} by {span}: time must stay before {_LATEST:%Y-%m-%d}"
            )
        self._ahead += span


@functools.lru_cache(maxsize=256)
def from_wire(text: str) -> datetime:
    """Return the date that a client wrote, in UTC and cut to milliseconds; one without a zone is in UTC.

    Raises:
        ValueError: It is no date-time, or does not exist.
    """
    # Remembered: one call reads the same dates where they are validated, and again where they are used.
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
    """Return a date in UTC as the services write it. Such texts sort as their dates do."""
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def normal(text: str) -> str:
    """Return a client's date in the form the services write."""
    return to_wire(from_wire(text))


def later(date: datetime, span: timedelta) -> datetime:
    """Return the date that lies `span` after another, or the last there is."""
    last = datetime.max.replace(tzinfo=timezone.utc)
    return date + span if span < last - date else last


def milliseconds(date: datetime) -> int:
    """Return the unix time of a date, in milliseconds."""
    return (date - _EPOCH) // timedelta(milliseconds=1)
