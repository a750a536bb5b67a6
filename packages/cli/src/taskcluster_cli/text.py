"""Strings for people: times, durations, counts, and text from others made safe for a terminal."""

from __future__ import annotations

import re
from datetime import datetime

__all__ = ["ago", "coloured_only", "counted", "duration", "one_line", "safe", "safe_log", "size"]

# Patterns are compiled when they are used: most commands need none.
_CONTROLS = r"[\x00-\x08\x0a-\x1f\x7f-\x9f]"
_ESCAPES = (
    r"\x1b\[(?P<colour>[0-9;:]*)m"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def safe(text: str) -> str:
    """Return text without control characters, which could move a terminal's cursor or set its title."""
    return re.sub(_ESCAPES, "", text).replace("\n", " ").replace("\t", " ")


def safe_log(text: str) -> str:
    """Return a line of a log without control sequences other than colours, as a terminal would end up showing it."""
    # What precedes a carriage return is overwritten.
    return coloured_only(text.rstrip("\r").rpartition("\r")[2])


def coloured_only(text: str) -> str:
    """Return text without control characters and sequences other than colours, tabs and line feeds."""
    return re.sub(_ESCAPES, lambda found: found[0] if found["colour"] is not None else "", text)


def one_line(text: str) -> str:
    """Return text for a line of columns with tabs between them."""
    return re.sub(_CONTROLS, " ", text.replace("\t", " "))


def counted(number: int, noun: str) -> str:
    """Return a number with a noun, for example `3 tasks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, for example `3 h 20 min`."""
    rest = max(0, round(seconds))
    parts: list[str] = []
    for length, unit in _UNITS:
        number, rest = divmod(rest, length)
        if number or (parts and len(parts) < 2):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]).removesuffix(" 0 h").removesuffix(" 0 min").removesuffix(" 0 s") or "0 s"


def ago(moment: datetime, now: datetime) -> str:
    """Return a time relative to now, for example `5 min ago` or `in 3 d`."""
    seconds = (now - moment).total_seconds()
    largest = duration(abs(seconds)).split(" ")[:2]
    text = " ".join(largest)
    return "now" if text == "0 s" else f"{text} ago" if seconds > 0 else f"in {text}"


def size(number: float) -> str:
    """Return a number of bytes, for example `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
