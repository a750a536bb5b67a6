"""JSON schemas as compiled code, which takes a fraction of the time, and is certain only of what fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastjsonschema

from .encoding import is_object
from .formats import FORMATS, Pattern

__all__ = ["compiled"]

_DRAFT = "http://json-schema.org/draft-06/schema#"

_SAME = frozenset(
    {
        "type", "enum", "required", "minProperties", "maxProperties", "minLength", "maxLength", "minItems", "maxItems",
        "minimum", "maximum",
    }
)  # fmt: skip
"""The keywords that mean the same to both libraries."""
_SILENT = frozenset({"$id", "$schema", "title", "description", "default", "examples", "definitions"})
"""The keywords that allow and forbid nothing."""
_UNIQUE = ("string", "object")
"""The types of which both libraries agree whether two are the same, as they do not about arrays of arrays."""

_Check = Callable[[Any], bool]
"""Whether a text passes."""


class _Unsure(Exception):
    """A schema has something that both libraries may not mean the same by."""


def compiled(schema: Any) -> Callable[[Any], bool] | None:
    """Return what tells whether a value fits a schema of draft 6 that holds no references.

    It tells what jsonschema does with FORMATS and Pattern, but for values nested so deeply that only False is certain.
    Returns None for a schema that is beyond it.
    """
    checks: dict[str, _Check] = {}
    try:
        definition = _translated(schema, checks)
        validate = fastjsonschema.compile(
            {"$schema": _DRAFT, "allOf": [definition]}, formats=checks, use_default=False, detailed_exceptions=False
        )
    # Python's own limits to how deeply code may be nested give a SyntaxError.
    except (_Unsure, fastjsonschema.JsonSchemaDefinitionException, SyntaxError, RecursionError):
        return None

    def accepts(value: Any) -> bool:
        try:
            validate(value)
        except (fastjsonschema.JsonSchemaValueException, RecursionError):
            return False
        return True

    return accepts


def _translated(schema: Any, checks: dict[str, _Check]) -> Any:
    """Return a schema in which patterns and formats are names of `checks`, to which they are added.

    Raises:
        _Unsure: It has a keyword that is not known here.
    """
    if isinstance(schema, bool):
        return schema
    if not is_object(schema):
        raise _Unsure
    found: dict[str, Any] = {}
    asked: list[_Check] = []
    for keyword, value in schema.items():
        if keyword in _SAME:
            found[keyword] = value
        elif keyword == "const":
            # It cannot be compiled without details of exceptions.
            found["enum"] = [value]
        elif keyword == "properties":
            found[keyword] = {name: _translated(below, checks) for name, below in value.items()}
        elif keyword in ("items", "additionalProperties"):
            found[keyword] = _translated(value, checks)
        elif keyword in ("anyOf", "oneOf"):
            found[keyword] = [_translated(each, checks) for each in value]
        elif keyword == "uniqueItems":
            found[keyword] = value
            if value and not (is_object(items := schema.get("items")) and items.get("type") in _UNIQUE):
                raise _Unsure
        elif keyword == "pattern":
            asked.append(Pattern.of(value).matches)
        elif keyword == "format":
            asked += [FORMATS.checkers[value][0]] if value in FORMATS.checkers else []
        elif keyword not in _SILENT:
            raise _Unsure
    names = [f"{len(checks) + number}" for number in range(len(asked))]
    checks.update(zip(names, asked, strict=True))
    return {**found, "allOf": [{"format": name} for name in names]} if names else found
