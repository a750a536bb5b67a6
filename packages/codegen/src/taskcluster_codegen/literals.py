"""Format JSON values as Python literals, like ruff."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["WIDTH", "literal", "printable", "text"]

WIDTH = 120
"""The maximum length of a line."""


Value = None | bool | int | float | str | list[Any] | dict[str, Any]


def literal(value: Value, prefix: str = "", indent: int = 0, after: int = 1) -> str:
    """Return a literal, with one line per key of a dict, and lists on one line if they fit.

    Args:
        value: A JSON value.
        prefix: The code before it on its line, to compute the available width.
        indent: The indentation of the line.
        after: The number of characters after it on the last line.
    """
    inner = " " * (indent + 4)
    if isinstance(value, dict) and value:
        lines: list[str] = []
        for key, item in value.items():
            start = f"{inner}{text(key)}: "
            lines.append(f"{start}{literal(item, start, indent + 4)},\n")
        return "{\n" + "".join(lines) + " " * indent + "}"
    if isinstance(value, list) and value:
        flat = "[" + ", ".join(literal(item) for item in value) + "]"
        if "\n" not in flat and len(prefix) + len(flat) + after <= WIDTH:
            return flat
        return "[\n" + "".join(f"{inner}{literal(item, inner, indent + 4)},\n" for item in value) + " " * indent + "]"
    return text(value) if isinstance(value, str) else repr(value)


def text(value: str) -> str:
    """Return a string literal, in double quotes unless single quotes need fewer escapes."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    body = printable(json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"'))
    return quote + body.replace(quote, "\\" + quote) + quote


def printable(source: str) -> str:
    """Return the source code of a string with unprintable characters except line breaks escaped."""
    if source.replace("\n", "").isprintable():
        return source
    return "".join(each if each.isprintable() or each == "\n" else _escape(each) for each in source)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
