"""Read and write JSON as the services do. They are written in JavaScript, so numbers behave as JavaScript's do."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, TypeGuard

from taskcluster.shapes import is_array

__all__ = ["MOST_VALUES", "as_string", "dumps", "exact", "has_more_values", "is_object", "loads",
           "number_text", "pretty", "without_surrogates"]  # fmt: skip

MOST_VALUES = 20_000
"""The most values that the JSON of a request may have; each takes more memory and time than its characters."""

_DEEPEST = 250
"""The deepest nesting allowed: reading, checking and writing recurse, and Python limits the recursion."""
_LARGEST_EXACT = 2**53
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|([,\[{])', re.DOTALL)


def loads(text: str) -> Any:
    """Parse JSON as JavaScript does: `1.0` is the integer 1, and integers beyond 2^53 lose digits.

    Raises:
        ValueError: It is not JSON, is nested too deeply, or has a number beyond JavaScript's range.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("[") + text.count("{") > _DEEPEST and _is_deeper(value, _DEEPEST):
        raise ValueError("nested too deeply")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    """Return whether arrays and objects in a JSON value are nested more than `depth` times."""
    level = [value]
    for _ in range(depth):
        level = [
            below
            for each in level
            if is_object(each) or is_array(each)
            for below in (each.values() if is_object(each) else each)
        ]
    return any(is_object(each) or is_array(each) for each in level)


def without_surrogates(value: Any) -> Any:
    """Return a JSON value with unpaired surrogates replaced by U+FFFD, because databases cannot store them."""
    text = _compact(value)
    halves = [each for each in set(text) if "\ud800" <= each <= "\udfff"]
    for half in halves:
        # One character at a time: an error handler of the codec would run for each of them and hold the GIL.
        text = text.replace(half, "\ufffd")
    return loads(text) if halves else value


def has_more_values(text: str, number: int) -> bool:
    """Return whether JSON, even if it is invalid, has more than `number` values."""
    # Nearly always this is certain without looking inside strings.
    if sum(map(text.count, ",[{")) <= number:
        return False
    found = 0
    for token in _TOKEN.finditer(text):
        found += token.lastindex == 1
        if found > number:
            return True
    return False


def dumps(value: Any) -> str:
    """Serialize `value` as compact ASCII JSON."""
    return _ascii(value)


def pretty(value: Any) -> bytes:
    """Serialize `value` for a response body, indented by two: like `json.dumps`, in a third of the time."""
    try:
        return _indented(value, "\n").encode()
    except UnicodeEncodeError:
        # JSON can escape an unpaired surrogate (`\ud800`), but UTF-8 cannot encode it.
        return json.dumps(value, indent=2).encode()


def _indented(value: Any, newline: str) -> str:
    # Most values and all names are strings, so they are checked first and written directly.
    if type(value) is str:
        return _quoted(value)
    inner = newline + "  "
    if value and is_object(value):
        members = [
            f"{_quoted(name) if type(name) is str else _compact(name)}: {_indented(member, inner)}"
            for name, member in value.items()
        ]
        return "{" + inner + ("," + inner).join(members) + newline + "}"
    if value and is_array(value):
        return "[" + inner + ("," + inner).join([_indented(item, inner) for item in value]) + newline + "]"
    return _compact(value)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a JSON value is an object; narrows the type for type checkers."""
    return isinstance(value, dict)


def exact(number: float) -> int | float:
    """Return a finite number as an int if JavaScript would write it as an integer, else unchanged."""
    if not number.is_integer() or abs(number) >= 1e21:
        return number
    # JavaScript writes the shortest digits that identify the number, then zeros.
    return int(number) if abs(number) < _LARGEST_EXACT else int(Decimal(repr(number)))


def number_text(number: float) -> str:
    """Return a number as JavaScript writes it in a string: `2`, `0.5`, `1e+21`, `NaN`."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign, significant, exponent = Decimal(float.__repr__(float(number))).normalize().as_tuple()
    digits = "".join(map(str, significant))
    point = len(digits) + int(exponent)  # how many digits are before the decimal point
    if 0 < point <= 21:
        whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
        text = f"{whole}.{fraction}" if fraction else whole
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
        text = f"{mantissa}e{point - 1:+d}"
    return f"-{text}" if sign else text


def as_string(value: Any) -> str:
    """Convert a JSON value to a string as JavaScript's `String` does: `null`, `true`, `1,2` for an array."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if is_array(value):
        return ",".join("" if item is None else as_string(item) for item in value)
    return "[object Object]" if is_object(value) else str(value)


def _integer(text: str) -> int | float:
    # The length first: Python refuses to parse very long integers, and those are far beyond 2^53 anyway.
    if len(text) < 16:
        return int(text)
    return _float(text)


def _float(text: str) -> int | float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]}... is out of range")
    return exact(number)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_ascii = json.JSONEncoder(separators=(",", ":")).encode
_compact = json.JSONEncoder(ensure_ascii=False).encode
_quoted = json.encoder.encode_basestring
_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)
