"""Relative dates in Taskcluster's notation ("2 days 3 hours"), and dates in JSON."""

from __future__ import annotations

import datetime
import re

__all__ = ["format_date", "fromNow", "fromNowJSON", "parse_date", "stringDate"]


def __dir__() -> list[str]:
    return __all__


_DAYS = {"years": 365, "months": 30}
# Patterns are compiled when a date is parsed: calls need none.
# Matched without white space, so months precede minutes: `mo` must not match as `m`.
_OFFSET = r"""(?xia)
    (?P<sign>[+-])?
    (?:(?P<years>\d+)(?:years|year|yr|y))?
    (?:(?P<months>\d+)(?:months|month|mo))?
    (?:(?P<weeks>\d+)(?:weeks|week|w))?
    (?:(?P<days>\d+)(?:days|day|d))?
    (?:(?P<hours>\d+)(?:hours|hour|hr|h))?
    (?:(?P<minutes>\d+)(?:minutes|minute|min|m))?
    (?:(?P<seconds>\d+)(?:seconds|second|sec|s))?
"""
_DATE_TIME = r"(?a)(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-]\d\d)(?::?(\d\d))?)?"


def fromNow(offset: str, dateObj: datetime.datetime | None = None) -> datetime.datetime:
    """Return the date at an offset from now, or from `dateObj`.

    Args:
        offset: Units from years down to seconds, each optional, for example `1 year 2 mo 3 weeks 4d 5hr 6 min 7s`. A
            leading `-` goes into the past. A year is 365 days and a month 30. White space and case do not matter.
        dateObj: The date to start from. Defaults to the present, as an aware datetime in UTC.

    Raises:
        ValueError: `offset` does not parse.
    """
    match = re.fullmatch(_OFFSET, "".join(offset.split()))
    if match is None:
        raise ValueError(
            f"offset string {offset!r} does not parse: write units from years to seconds, for example '2 days 3 hours'"
        )
    units = {name: int(count) for name, count in match.groupdict(default="0").items() if name != "sign"}
    days = units.pop("days") + sum(units.pop(name) * length for name, length in _DAYS.items())
    try:
        delta = datetime.timedelta(days=days, **units)
        start = datetime.datetime.now(datetime.timezone.utc) if dateObj is None else dateObj
        return start - delta if match["sign"] == "-" else start + delta
    except OverflowError:
        raise ValueError(f"offset string {offset!r} exceeds the range of datetime") from None


def fromNowJSON(offset: str, dateObj: datetime.datetime | None = None) -> str:
    """Return what `fromNow` returns, as an ISO 8601 string ending in Z."""
    return stringDate(fromNow(offset, dateObj))


def stringDate(date: datetime.datetime) -> str:
    """Return a date as ISO 8601. One in UTC ends in Z, and one without a zone is taken as UTC."""
    text = date.isoformat()
    if date.tzinfo is None:
        return f"{text}Z"
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def format_date(date: datetime.datetime) -> str:
    """Return an aware date as the services write it: in UTC, with milliseconds."""
    return date.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_date(text: str) -> datetime.datetime:
    """Return a service's date as an aware datetime. One without a zone is in UTC.

    Args:
        text: A date and time in ISO 8601, with a fraction of any length, because services drop trailing zeros. Digits
            after microseconds are ignored.

    Raises:
        ValueError: It has another form, or the date does not exist.
    """
    match = re.fullmatch(_DATE_TIME, text)
    if match is None:
        raise ValueError(f"{text!r} is not a date and time like 2030-01-01T12:00:00.000Z")
    day, time, fraction, hours, minutes = match.groups(default="")
    # The one form that Python 3.10 reads too.
    return datetime.datetime.fromisoformat(f"{day} {time}.{fraction[:6]:0<6}{hours or '+00'}:{minutes or '00'}")
