"""Check strings as the schemas of the APIs require: with JavaScript's patterns, and formats."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

from jsonschema import FormatChecker

from .timestamps import from_wire

__all__ = ["FORMATS", "Pattern"]

_FASTER = {"^[1-9]*[0-9]+$": "^[0-9]+$"}
"""Patterns of the APIs that take quadratic time, and equivalent patterns that do not."""


class Pattern(NamedTuple):
    """A regular expression with the meaning that it has in JavaScript."""

    text: str
    compiled: re.Pattern[str]

    @classmethod
    @functools.cache
    def of(cls, text: str) -> Pattern:
        """Return the compiled pattern of a string, cached."""
        # In JavaScript `$` matches only at the end, in Python also before a trailing newline.
        return cls(text, re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", _FASTER.get(text, text)), re.ASCII))

    def matches(self, value: str) -> bool:
        """Return whether `value` contains a match, which is what schemas require."""
        return self.compiled.search(value) is not None


FORMATS = FormatChecker(formats=())
"""The formats that are checked; others accept everything."""

_URI_CHARACTERS = r"[a-z0-9\-._~:/?#\[\]@!$&'()*+,;=]"
_URI = re.compile(
    rf"[a-z][a-z0-9+.-]*:(?=.){_URI_CHARACTERS}*(?:%[0-9a-f]{{2}}{_URI_CHARACTERS}*)*", re.IGNORECASE | re.ASCII
)
_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_HOST_LABEL}(?:\.{_HOST_LABEL})*", re.IGNORECASE | re.ASCII)
_EMAIL = re.compile(rf"[a-z0-9!#$%&'*+/=?^_`{{|}}~.-]+@{_HOST_LABEL}(?:\.{_HOST_LABEL})+", re.IGNORECASE | re.ASCII)
# A leap second passes here and fails where the date is parsed, as in a real deployment.
_LEAP_SECOND = re.compile(r"(?<=[0-9]:[0-9][0-9]:)60")


@FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    if isinstance(value, str):
        try:
            from_wire(_LEAP_SECOND.sub("59", value, count=1))
        except ValueError:
            return False
    return True


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or pattern.fullmatch(value) is not None


FORMATS.checks("uri")(_matches(_URI))
FORMATS.checks("hostname")(_matches(_HOSTNAME))
FORMATS.checks("email")(_matches(_EMAIL))


def _parses_with(parse: Callable[[str], object], *failures: type[Exception]) -> Callable[[object], bool]:
    def passes(value: object) -> bool:
        if isinstance(value, str):
            try:
                parse(value)
            except failures:
                return False
        return True

    return passes


FORMATS.checks("ipv4")(_parses_with(ipaddress.IPv4Address, ValueError))
FORMATS.checks("ipv6")(_parses_with(ipaddress.IPv6Address, ValueError))
FORMATS.checks("regex")(_parses_with(re.compile, re.error, RecursionError, OverflowError))
