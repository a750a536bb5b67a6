"""Cron expressions as in cron-parser 5: up to six fields, seconds first, in UTC.

See https://github.com/harrisiirak/cron-parser.
"""

from __future__ import annotations

import re
import zlib
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Cron"]

_NAMED = {
    "": "0 * * * * *",
    "@secondly": "* * * * * *",
    "@minutely": "0 * * * * *",
    "@hourly": "0 0 * * * *",
    "@daily": "0 0 0 * * *",
    "@weekly": "0 0 0 * * 0",
    "@monthly": "0 0 0 1 * *",
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@weekdays": "0 0 0 * * 1-5",
    "@weekends": "0 0 0 * * 0,6",
}
_OMITTED = ("0", "*", "*", "*", "*", "*")
_HASHED = re.compile(r"H(?:\((\d{1,9})-(\d{1,9})\))?(?:/(\d{1,9}))?", re.ASCII)
# The next 29th of February can be 8 years away, and one on a certain weekday 40 years.
_MOST_YEARS = 50


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    special: str = ""
    """The letters that may occur in it."""
    aliases: str = ""
    """The names of its values, starting at `low`."""


_SECOND, _MINUTE, _HOUR = _Field("second", 0, 59), _Field("minute", 0, 59), _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31, "L")
_MONTH = _Field("month", 1, 12, aliases="jan feb mar apr may jun jul aug sep oct nov dec")
_WEEKDAY = _Field("day of week", 0, 7, "L", "sun mon tue wed thu fri sat")
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


class Cron:
    """A cron expression.

    Args:
        expression: A name such as `@daily`, or six fields: second, minute, hour, day of month, month and day of week.
            The first fields may be omitted.

    Raises:
        ValueError: It is invalid, or matches no date.
    """

    def __init__(self, expression: str) -> None:
        # JavaScript's white space, which is nearly Python's.
        given = re.split(r"\s+", _NAMED.get(expression, expression).strip())
        if len(given) > len(_FIELDS):
            raise ValueError("Invalid cron expression, too many fields")
        texts = [*_OMITTED[: len(_FIELDS) - len(given)], *given]
        self._occurrence, texts[5] = _occurrence(texts[5])
        found = [_values(field, text) for field, text in zip(_FIELDS, texts, strict=True)]
        # Seeded, so that the values of `H` are the same every time, and drawn in a fixed order of fields.
        self._seconds, self._minutes, self._hours, days, self._months, weekdays = map(sorted, map(_numbers, found))
        self._days, self._on_last_day = frozenset(days), "L" in found[3]
        self._weekdays = frozenset(weekdays)
        self._last_weekdays = {int(item[0]) % 7 for item in found[5] if isinstance(item, str)}
        self._any_day = texts[3] in ("*", "?")
        self._any_weekday = texts[5] in ("*", "?") and not self._occurrence
        if self._any_weekday and not self._on_last_day:
            # The length in a leap year.
            longest = max(monthrange(2000, month)[1] for month in self._months)
            if min(self._days) > longest:
                raise ValueError("Invalid explicit day of month definition")

    def after(self, date: datetime) -> datetime | None:
        """Return the first matching date after another one, or None if there is none in the next decades."""
        start = date.replace(microsecond=0)
        try:
            start += timedelta(seconds=1)
        except OverflowError:
            return None
        for day in self._days_from(start):
            earliest = (start.hour, start.minute, start.second) if day.date() == start.date() else (0, 0, 0)
            for hour in self._hours:
                if hour < earliest[0]:
                    continue
                for minute in self._minutes:
                    if (hour, minute) < earliest[:2]:
                        continue
                    for second in self._seconds:
                        if (hour, minute, second) >= earliest:
                            return day.replace(hour=hour, minute=minute, second=second)
        return None

    def _days_from(self, start: datetime) -> Iterator[datetime]:
        """Yield the matching days, from that of `start` on."""
        for year in range(start.year, min(start.year + _MOST_YEARS, datetime.max.year + 1)):
            for month in self._months:
                if (year, month) < (start.year, start.month):
                    continue
                monday, last = monthrange(year, month)
                earliest = start.day if (year, month) == (start.year, start.month) else 1
                for day in range(earliest, last + 1):
                    if self._is_meant(day, (monday + day) % 7, last):
                        yield start.replace(year=year, month=month, day=day)

    def _is_meant(self, day: int, weekday: int, last: int) -> bool:
        by_day = day in self._days or (self._on_last_day and day == last)
        if self._any_weekday:
            return by_day
        by_weekday = (weekday in self._weekdays or (day > last - 7 and weekday in self._last_weekdays)) and (
            self._occurrence in (0, (day + 6) // 7)
        )
        return by_weekday if self._any_day else by_day or by_weekday


def _occurrence(text: str) -> tuple[int, str]:
    """Return which weekday of a month a field means (`1#2` is the second Monday), 0 for all, and the rest of it."""
    weekday, found, number = text.partition("#")
    if not found:
        return 0, text
    if set(text) & set(",/-"):
        raise ValueError("Constraint error, `#` cannot stand beside `,`, `/` or `-`")
    if not re.fullmatch("0*[1-5]", number):
        raise ValueError("Constraint error, the number after `#` must be from 1 to 5")
    return int(number), weekday


def _values(field: _Field, text: str) -> list[int | str]:
    """Return the numbers in a field, and items that end with `L` unchanged."""
    aliases = field.aliases.split()

    def number_of(match: re.Match[str]) -> str:
        name = match[0].lower()
        if name not in aliases:
            raise ValueError(f"Validation error, cannot resolve alias {name!r} in the {field.name}")
        return str(aliases.index(name) + field.low)

    if aliases:
        text = re.sub("[A-Za-z]{3}", number_of, text)
    if not re.fullmatch(rf"[?,*0-9H()/{field.special}-]+", text):
        raise ValueError(f"Invalid characters, got value {text!r} for the {field.name}")
    text = _HASHED.sub(lambda match: _hashed(field, match), text)
    found = [value for item in text.split(",") for value in _item(field, item)]
    if len(set(found)) < len(found):
        raise ValueError(f"Validation error, duplicate values for the {field.name}: {text}")
    return found


def _hashed(field: _Field, match: re.Match[str]) -> str:
    """Return the value of `H`: any value in a range, but always the same for the same field."""
    low, high = (int(match[1]), min(int(match[2]), field.high)) if match[1] else (field.low, field.high)
    if low > high:
        raise ValueError(f"Invalid range: {low}-{high}, min > max")
    # No day that some months lack.
    most = min(high - low + 1, 28, max(1, int(match[3] or 28)))
    value = low + zlib.crc32(field.name.encode()) % most
    return f"{value}-{high}/{match[3]}" if match[3] else str(value)


def _item(field: _Field, text: str) -> list[int | str]:
    """Return the values of one item of a list."""
    if not text:
        raise ValueError(f"Invalid list value format for the {field.name}")
    if (text == "L" and field is _DAY) or (re.fullmatch("[0-7]L", text) and field is _WEEKDAY):
        return [f"{int(text[0]) % 7}L" if field is _WEEKDAY else text]
    bounds, stepping, interval = text.partition("/")
    step = _number(field, interval, 0, 10**9) if stepping else 1
    if step == 0:
        raise ValueError("Constraint error, cannot repeat at every 0 time")
    if bounds in ("*", "?"):
        low, high = field.low, field.high
    else:
        first, ranging, last = bounds.partition("-")
        low = _number(field, first, field.low, field.high)
        high = _number(field, last, field.low, field.high) if ranging else field.high if stepping else low
    if low > high:
        raise ValueError(f"Invalid range for the {field.name}: {text}, {low} > {high}")
    values = range(low, high + 1, step)
    return list(dict.fromkeys(value % 7 for value in values) if field is _WEEKDAY else values)


def _number(field: _Field, text: str, low: int, high: int) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise ValueError(f"Constraint error, got {text!r} for the {field.name}, expected range {low}-{high}")
    return int(text)


def _numbers(values: list[int | str]) -> list[int]:
    return [value for value in values if isinstance(value, int)]
