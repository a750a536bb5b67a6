"""Python literals of JSON values, laid out as ruff lays them out."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["WIDTH", "literal", "printable", "text"]

WIDTH = 120
"""The longest line that is written."""


Value = None | bool | int | float | str | list[Any] | dict[str, Any]


def literal(value: Value, prefix: str = "", indent: int = 0, after: int = 1) -> str:
    """Return a literal: dicts that are not empty one key a line, lists on one line where they fit.

    Args:
        value: None, a truth value, a number, text, or a list or dict of such.
        prefix: What stands before it on its line, only to know what fits.
        indent: The column at which the line begins.
        after: How many characters follow on the last line.
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
    """Return a string literal, in double quotes unless single ones need fewer escapes."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    body = printable(json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"'))
    return quote + body.replace(quote, "\\" + quote) + quote


def printable(source: str) -> str:
    """Return source code of a string with escapes in place of what editors do not show or a file cannot hold.

    Line breaks stay.
    """
    if source.replace("\n", "").isprintable():
        return source
    return "".join(each if each.isprintable() or each == "\n" else _escape(each) for each in source)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
