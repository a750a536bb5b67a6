"""Compile JSON schemas to code that is much faster than jsonschema, but only certain about values that are valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastjsonschema

from .encoding import is_object
from .formats import FORMATS, Pattern

__all__ = ["compiled"]

_DRAFT = "http://json-schema.org/draft-06/schema#"

_SUPPORTED = frozenset(
    {
        "type", "enum", "required", "minProperties", "maxProperties", "minLength", "maxLength", "minItems", "maxItems",
        "minimum", "maximum",
    }
)  # fmt: skip
"""The keywords that jsonschema and fastjsonschema implement identically."""
_WITHOUT_EFFECT = frozenset({"$id", "$schema", "title", "description", "default", "examples", "definitions"})
"""The keywords that have no effect on validation."""
_COMPARABLE = ("string", "object")
"""The types for which both libraries agree on equality; they do not for arrays of arrays."""

_Check = Callable[[Any], bool]
"""Returns whether a string is valid."""


class _Unsupported(Exception):
    """A schema uses something that the libraries may interpret differently."""


def compiled(schema: Any) -> Callable[[Any], bool] | None:
    """Return a function that returns whether a value matches a schema of draft 6 without references.

    It agrees with jsonschema with FORMATS and Pattern, except that False is not certain for very deeply nested values.
    Return None if the schema cannot be compiled.
    """
    checks: dict[str, _Check] = {}
    try:
        definition = _translated(schema, checks)
        validate = fastjsonschema.compile(
            {"$schema": _DRAFT, "allOf": [definition]}, formats=checks, use_default=False, detailed_exceptions=False
        )
    # A SyntaxError means that the code would be nested deeper than Python allows.
    except (_Unsupported, fastjsonschema.JsonSchemaDefinitionException, SyntaxError, RecursionError):
        return None

    def accepts(value: Any) -> bool:
        try:
            validate(value)
        except (fastjsonschema.JsonSchemaValueException, RecursionError):
            return False
        return True

    return accepts


def _translated(schema: Any, checks: dict[str, _Check]) -> Any:
    """Return a schema with patterns and formats replaced by names in `checks`, to which their checks are added.

    Raises:
        _Unsupported: The schema has an unknown keyword.
    """
    if isinstance(schema, bool):
        return schema
    if not is_object(schema):
        raise _Unsupported
    found: dict[str, Any] = {}
    added: list[_Check] = []
    for keyword, value in schema.items():
        if keyword in _SUPPORTED:
            found[keyword] = value
        elif keyword == "const":
            # fastjsonschema needs the details of exceptions for this keyword.
            found["enum"] = [value]
        elif keyword == "properties":
            found[keyword] = {name: _translated(below, checks) for name, below in value.items()}
        elif keyword in ("items", "additionalProperties"):
            found[keyword] = _translated(value, checks)
        elif keyword in ("anyOf", "oneOf"):
            found[keyword] = [_translated(each, checks) for each in value]
        elif keyword == "uniqueItems":
            found[keyword] = value
            if value and not (is_object(items := schema.get("items")) and items.get("type") in _COMPARABLE):
                raise _Unsupported
        elif keyword == "pattern":
            added.append(Pattern.of(value).matches)
        elif keyword == "format":
            added += [FORMATS.checkers[value][0]] if value in FORMATS.checkers else []
        elif keyword not in _WITHOUT_EFFECT:
            raise _Unsupported
    names = [f"{len(checks) + number}" for number in range(len(added))]
    checks.update(zip(names, added, strict=True))
    return {**found, "allOf": [{"format": name} for name in names]} if names else found
