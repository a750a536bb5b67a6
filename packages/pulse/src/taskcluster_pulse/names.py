"""The limits of AMQP for names, patterns and accounts. A broker ends the connection without a reason beyond them."""

from __future__ import annotations

import re

from .exceptions import PulseFailure

__all__ = ["LONGEST", "checked", "checked_exchange", "checked_name"]

LONGEST = 255
"""Bytes of a short string."""
_LONGEST_EXCHANGE = 127
_NAME = re.compile(r"[a-zA-Z0-9-_.:@#,/> ]*")
_SHOWN = 60


def checked(what: str, value: object, longest: int = LONGEST, *, secret: bool = False) -> str:
    """Return a string that AMQP can send.

    Args:
        what: What it is, for errors.
        value: The string.
        longest: How many bytes it may have.
        secret: Whether errors must not contain it.

    Raises:
        PulseFailure: It is too long, not encodable, has a NUL character, or is not a string.
    """
    if not isinstance(value, str):
        raise PulseFailure(f"the {what} must be a string, not {type(value).__name__}")
    shown = "" if secret else f": {value!r}" if len(value) <= _SHOWN else f": {value[:_SHOWN]!r}…"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise PulseFailure(f"the {what} has a lone surrogate, which is not valid in UTF-8{shown}") from None
    if "\0" in value:
        raise PulseFailure(f"the {what} has a NUL character{shown}")
    if size > longest:
        raise PulseFailure(f"the {what} is longer than {longest} bytes{shown}")
    return value


def checked_name(what: str, value: object, longest: int = LONGEST) -> str:
    """Return a string that is a name of an exchange or a queue.

    Raises:
        PulseFailure: It is too long, or has characters that AMQP does not allow.
    """
    name = checked(what, value, longest)
    if not _NAME.fullmatch(name):
        raise PulseFailure(f"the {what} may only have ASCII letters, digits, spaces and - _ . : @ # , / >: {name!r}")
    return name


def checked_exchange(value: object) -> str:
    """Return a string that is a name of an exchange.

    Raises:
        PulseFailure: It is too long, or has characters that AMQP does not allow.
    """
    return checked_name("exchange", value, _LONGEST_EXCHANGE)
