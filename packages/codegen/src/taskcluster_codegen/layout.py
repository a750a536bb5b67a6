"""Format types, parameters and arguments as Python code, like ruff."""

from __future__ import annotations

import re

from .literals import WIDTH

__all__ = ["folded", "split", "typed"]

_SUBSCRIPT = re.compile(r"([\w.]+)\[(.*)\]")


def typed(prefix: str, text: str, suffix: str = "", indent: int = 0) -> str:
    """Return `prefix`, a type and `suffix`, on one line if they fit.

    Args:
        prefix: The code before the type, for example `state: `.
        text: The type, on one line.
        suffix: The code after the type.
        indent: The indentation of the line.
    """
    margin, inner = " " * indent, " " * (indent + 4)
    flat = f"{margin}{prefix}{text}{suffix}"
    if len(flat) <= WIDTH:
        return flat
    parts = split(text, " | ")
    if len(parts) > 1:
        whole = f"{inner}{text}"
        lines = (
            [whole]
            if len(whole) <= WIDTH
            else [f"{inner}{'| ' if number else ''}{part}" for number, part in enumerate(parts)]
        )
        return "\n".join([f"{margin}{prefix}(", *lines, f"{margin}){suffix}"])
    found = _SUBSCRIPT.fullmatch(text)
    if found is None:
        return flat
    arguments = split(found[2], ", ")
    if len(arguments) == 1:
        lines = [typed("", arguments[0], "", indent + 4)]
    elif len(inner) + len(found[2]) <= WIDTH:
        lines = [f"{inner}{found[2]}"]
    else:
        lines = [typed("", each, ",", indent + 4) for each in arguments]
    return "\n".join([f"{margin}{prefix}{found[1]}[", *lines, f"{margin}]{suffix}"])


def folded(start: str, parts: list[str], end: str, indent: int) -> str:
    """Return parameters or arguments between `start` and `end`: on that line, on one line below, or on one each.

    Args:
        start: The code before them, indented.
        parts: The parameters or arguments.
        end: The code after them.
        indent: The indentation of `start`.
    """
    joined, inner = ", ".join(parts), " " * (indent + 4)
    if "\n" not in joined and len(start) + len(joined) + len(end) <= WIDTH:
        return f"{start}{joined}{end}"
    if "\n" not in joined and len(inner) + len(joined) <= WIDTH:
        lines = f"{inner}{joined}\n"
    else:
        lines = "".join(f"{inner}{part},\n" for part in parts)
    return f"{start}\n{lines}{' ' * indent}{end}"


def split(text: str, separator: str) -> list[str]:
    """Split a type at separators outside brackets and quotes."""
    parts: list[str] = []
    depth, quoted, start, at = 0, False, 0, 0
    while at < len(text):
        character = text[at]
        if quoted and character == "\\":
            at += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted:
            depth += (character == "[") - (character == "]")
            if depth == 0 and text.startswith(separator, at):
                parts.append(text[start:at])
                start = at + len(separator)
                at = start - 1
        at += 1
    return [*parts, text[start:]]
