"""Check the arguments of LocalTaskcluster, so that mistakes raise before anything starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from taskcluster.shapes import is_mapping
from taskcluster.suggestions import did_you_mean

__all__ = ["checked", "checked_clock", "checked_list", "checked_port", "checked_roles", "seconds_of", "span_of"]

_UNITS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")


def checked(name: str, value: Any, kind: type | tuple[type, ...], expected: str) -> Any:
    """Return an argument; raise TypeError, which does not show the value, if it is of another type."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} must be {expected}, not {type(value).__name__}")
    return value


def checked_list(name: str, value: Any, kind: type, expected: str) -> tuple[Any, ...]:
    """Return the items of an argument; raise TypeError if it is not a list, or has items of another type."""
    if isinstance(value, str):
        raise TypeError(f"{name} must be a list of {expected}, not the string {value!r}")
    if is_mapping(value) or isinstance(value, bytes):
        fix = ": put it in brackets" if isinstance(value, kind) and kind is not object else ""
        raise TypeError(f"{name} must be a list of {expected}, not {type(value).__name__}{fix}")
    checked(name, value, Iterable, f"a list of {expected}")
    items = tuple(value)
    wrong = next((item for item in items if not isinstance(item, kind)), None)
    if wrong is not None:
        raise TypeError(f"{name} must be a list of {expected}, but one of them is of type {type(wrong).__name__}")
    return items


def checked_roles(roles: Any) -> dict[str, tuple[str, ...]]:
    """Return the scopes of roles by roleId."""
    checked("roles", roles, Mapping, "a mapping of roleIds to lists of scopes, such as {'repo:a': ['queue:*']}")
    return {
        checked("a roleId in roles", roleId, str, "a string"): checked_list(f"roles[{roleId!r}]", given, str, "scopes")
        for roleId, given in roles.items()
    }


def checked_clock(clock: Any) -> Any:
    """Return a clock; raise TypeError or ValueError unless it returns an aware datetime in UTC."""
    if not callable(clock):
        raise TypeError(f"clock must be a function that returns the time, not {type(clock).__name__}")
    now = checked("the result of clock", clock(), datetime, "a datetime")
    if now.utcoffset() != timedelta():
        raise ValueError(f"clock must return an aware datetime in UTC, such as datetime.now(timezone.utc), not {now!r}")
    return clock


def checked_port(port: Any) -> int:
    """Return a port, which may be a string of digits; raise TypeError or ValueError if it is invalid."""
    number: int = checked("port", int(port) if isinstance(port, str) and port.isdecimal() else port, int, "an integer")
    # The system would use the remainder of a division by 65536.
    if not 0 <= number < 2**16:
        raise ValueError(f"port must be between 0 and {2**16 - 1}, not {number}")
    return number


def seconds_of(name: str, seconds: Any) -> timedelta:
    """Return a time span; raise TypeError if it is not a number, ValueError if it is negative or not finite."""
    checked(name, seconds, (int, float), "a number of seconds")
    if not 0 <= seconds < timedelta.max.total_seconds():
        raise ValueError(f"{name} must be a number of seconds, at least 0 and finite: {seconds!r}")
    return timedelta(seconds=seconds)


def span_of(span: Any, units: Mapping[str, Any]) -> timedelta:
    """Return the time span that the arguments of `advance` describe; raise TypeError or ValueError if there is none."""
    if (span is None) == (not units):
        raise TypeError("advance: pass either a timedelta or its arguments, such as hours=1")
    if span is not None and not isinstance(span, timedelta):
        raise TypeError(f"advance: {span!r} has no unit: pass seconds={span!r}, minutes={span!r}, or a timedelta")
    for name, value in units.items():
        if name not in _UNITS:
            near = did_you_mean(f"{name}={value!r}", [f"{unit}={value!r}" for unit in _UNITS])
            raise TypeError(f"advance: unknown unit {name!r}{near or '; units are ' + ', '.join(_UNITS)}")
        if not math.isfinite(checked(f"advance: {name}", value, (int, float), "a number")):
            raise ValueError(f"advance: {name} must be finite, not {value!r}")
    try:
        return timedelta(**units) if span is None else span
    except OverflowError as error:
        raise ValueError(f"cannot advance that far: {error}") from None
