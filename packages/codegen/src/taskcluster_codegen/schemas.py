"""Validate JSON schemas, walk their subschemas, and normalise them for comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from taskcluster.shapes import is_array, is_mapping

__all__ = ["bare", "problem"]

_WITH_SCHEMA = ("additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then")
"""Keywords with a schema as value."""
_WITH_SCHEMA_LIST = ("allOf", "anyOf", "oneOf")
"""Keywords with a list of schemas."""
_WITH_NAMED_SCHEMAS = ("$defs", "definitions", "patternProperties", "properties")
"""Keywords with schemas by name."""
_ANNOTATIONS = ("$comment", "$id", "$schema", "description", "examples", "title")
"""Keywords without effect on validation."""
_UNORDERED = ("enum", "required", "type")


def problem(schema: Any) -> str | None:
    """Return why a value is not a JSON schema that can be converted to types, or None."""
    left: list[tuple[str, Any]] = [("", schema)]
    while left:
        place, found = left.pop()
        if isinstance(found, bool):
            continue
        if not is_mapping(found):
            return f"{_place(place)} must be a JSON schema, which is an object or a boolean, not {_shown(found)}"
        for keyword, value in found.items():
            wrong = _expected(keyword, value)
            if wrong is not None:
                return f"{_place(f'{place}/{keyword}')} must be {wrong}, not {_shown(value)}"
            left += [(f"{place}/{keyword}{step}", below) for step, below in _subschemas(keyword, value)]
    return None


def _expected(keyword: str, value: Any) -> str | None:
    if keyword in _WITH_NAMED_SCHEMAS or keyword == "dependencies":
        return None if is_mapping(value) else "a JSON object"
    if keyword in _WITH_SCHEMA_LIST or keyword == "enum":
        return None if is_array(value) and value else "a list that is not empty"
    if keyword == "required":
        return None if _is_strings(value) else "a list of strings"
    if keyword == "type":
        return None if isinstance(value, str) or (_is_strings(value) and value) else "a string or a list of strings"
    if keyword in ("$ref", "format"):
        return None if isinstance(value, str) else "a string"
    return None


def _is_strings(value: Any) -> bool:
    return is_array(value) and all(isinstance(each, str) for each in value)


def _subschemas(keyword: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the subschemas of a keyword, each with its path below the keyword."""
    if is_array(value) and keyword in (*_WITH_SCHEMA_LIST, "items"):
        yield from ((f"/{number}", each) for number, each in enumerate(value))
    elif is_mapping(value) and keyword in (*_WITH_NAMED_SCHEMAS, "dependencies"):
        yield from ((f"/{name}", each) for name, each in value.items() if not _is_names(keyword, each))
    elif keyword in (*_WITH_SCHEMA, "items"):
        yield "", value


def _is_names(keyword: str, value: Any) -> bool:
    """Return whether a value below `dependencies` is a list of required properties."""
    return keyword == "dependencies" and is_array(value)


def _place(place: str) -> str:
    return place or "it"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def bare(schema: Any, key: str) -> Any:
    """Return a schema without wording, normalised for comparison.

    Args:
        schema: A schema for which `problem` returns None.
        key: The name of its file, the base of its references.
    """
    if not is_mapping(schema):
        return schema
    return {keyword: _bare(keyword, value, key) for keyword, value in schema.items() if keyword not in _ANNOTATIONS}


def _bare(keyword: str, value: Any, key: str) -> Any:
    if keyword == "$ref":
        return urljoin(f"/schemas/{key}", value).removesuffix("#")
    if keyword in _UNORDERED and is_array(value):
        return sorted(map(_sortable, value))
    if is_array(value) and keyword in (*_WITH_SCHEMA_LIST, "items"):
        return [bare(each, key) for each in value]
    if is_mapping(value) and keyword in (*_WITH_NAMED_SCHEMAS, "dependencies"):
        return {name: each if _is_names(keyword, each) else bare(each, key) for name, each in value.items()}
    return bare(value, key) if keyword in (*_WITH_SCHEMA, "items") else value


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
