"""An API's reference as help: its methods, the scopes that each needs, and the shape of its payload."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from taskcluster.shapes import is_array, is_mapping

__all__ = ["ApiMethod", "Reference", "scopes_text", "shape"]

_DEEPEST = 2


class ApiMethod(NamedTuple):
    """A method of an API."""

    name: str
    verb: str
    route: str
    args: tuple[str, ...]
    query: tuple[str, ...]
    input: str | None
    """The key of the payload's schema; None if there is no payload."""
    title: str
    description: str
    scopes: Any
    removed_before: str | None

    @property
    def is_paginated(self) -> bool:
        """Whether it returns pages."""
        return "continuationToken" in self.query


class Reference:
    """The methods of one service.

    Args:
        content: The reference of a service's plugin, or `funcinfo` of a class under `methods`.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.title: str = content.get("title") or content.get("serviceName", "")
        self.description: str = content.get("description", "")
        self._types: Mapping[str, Any] = content.get("types", {})
        self.methods = {entry["name"]: _method(entry) for entry in content.get("methods", ())}

    def payload(self, method: ApiMethod) -> list[str]:
        """Return lines that describe a method's payload; none if nothing is known of it."""
        key = method.input or ""
        return list(shape(self._types, key, self._types[key])) if key in self._types else []


def _method(entry: Mapping[str, Any]) -> ApiMethod:
    return ApiMethod(
        entry["name"],
        entry["method"].upper(),
        entry["route"],
        tuple(entry["args"]),
        tuple(entry.get("query", ())),
        entry.get("input"),
        entry.get("title") or entry["name"],
        entry.get("description", ""),
        entry.get("scopes"),
        entry.get("removedBefore"),
    )


def scopes_text(scopes: Any) -> str:
    """Return a scope expression on one line."""
    if scopes is None:
        return "none"
    if isinstance(scopes, str):
        return scopes
    if "each" in scopes:
        return f"{scopes['each']} for each {scopes['for']} of {scopes['in']}"
    if "if" in scopes:
        return f"if {scopes['if']}: {scopes_text(scopes['then'])}"
    word = "AnyOf" if "AnyOf" in scopes else "AllOf"
    parts = [scopes_text(each) if isinstance(each, str) else f"({scopes_text(each)})" for each in scopes.get(word, ())]
    return (" or " if word == "AnyOf" else " and ").join(parts) or "none"


def shape(types: Mapping[str, Any], key: str, schema: Any, depth: int = 0) -> Iterator[str]:
    """Yield a line for each key of an object: name, type, whether it is required, and allowed values.

    Args:
        types: All schemas by key.
        key: The key of the schema that `schema` is in, for references.
        schema: The JSON schema.
        depth: How deep the object is.
    """
    key, schema = _followed(types, key, schema)
    if not is_mapping(schema):
        return
    required = schema.get("required", ())
    for name, value in sorted(schema.get("properties", {}).items(), key=lambda each: each[0] not in required):
        where, value = _followed(types, key, value)
        notes = [_type(types, where, value)]
        if name in required and "default" not in value:
            notes.append("required")
        yield f"{'  ' * depth}{name}: {', '.join(notes)}"
        if depth < _DEEPEST:
            inner = value["items"] if value.get("type") == "array" and "items" in value else value
            yield from shape(types, where, inner, depth + 1)


def _followed(types: Mapping[str, Any], key: str, schema: Any) -> tuple[str, Any]:
    for _ in range(8):
        if not is_mapping(schema) or "$ref" not in schema:
            break
        file, _, pointer = schema["$ref"].partition("#")
        key = posixpath.normpath(posixpath.join(posixpath.dirname(key), file)) if file else key
        schema = types.get(key) or {}
        for part in filter(None, pointer.split("/")):
            schema = schema.get(part, {}) if is_mapping(schema) else {}
    return key, schema if is_mapping(schema) else {}


def _type(types: Mapping[str, Any], key: str, schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    if schema.get("format") == "date-time":
        return "date"
    if schema.get("type") == "array":
        return f"list of {_type(types, *_followed(types, key, schema.get('items', {})))}"
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_type(types, *_followed(types, key, each)) for each in schema[word]))
    kind = schema.get("type", "any")
    return " or ".join(kind) if is_array(kind) else str(kind)
