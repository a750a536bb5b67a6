"""Tests of validating payloads against schemas."""

from __future__ import annotations

from typing import Any

import pytest

from taskcluster_local.endpoints import references
from taskcluster_local.formats import Pattern
from taskcluster_local.validation import ApiSchemas

TYPES: dict[str, Any] = {
    "s/v1/a.json": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2, "maxLength": 4},
            "count": {"type": "integer", "minimum": 1, "maximum": 3, "default": 2},
            "nested": {"$ref": "b.json#", "default": {}},
            "list": {"type": "array", "items": {"$ref": "b.json#"}, "uniqueItems": True, "maxItems": 2},
            "kind": {"enum": ["x", "y"]},
            "one": {"oneOf": [{"type": "string"}, {"type": "integer", "default": 7}]},
            "when": {"type": "string", "format": "date-time"},
            "word": {"type": "string", "pattern": "^[a-z]+$"},
            "a/b~c": {"type": "string"},
        },
        "additionalProperties": False,
        "required": ["name"],
    },
    "s/v1/b.json": {
        "type": "object",
        "properties": {"flag": {"$ref": "#/definitions/flag", "default": True}},
        "additionalProperties": {"type": "string"},
        "definitions": {"flag": {"type": "boolean"}},
    },
    "s/v1/unknown.json": None,
}
SCHEMAS = ApiSchemas(TYPES)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"name": "ab"}, []),
        ([], ["data must be object"]),
        ({}, ["data must have required property 'name'"]),
        ({"name": "ab", "x": 1}, ['data must NOT have additional properties: "x"']),
        ({"name": "a"}, ["data/name must NOT have fewer than 2 characters"]),
        ({"name": "abcde"}, ["data/name must NOT have more than 4 characters"]),
        ({"name": None}, ["data/name must be string"]),
        ({"name": "ab", "count": 0}, ["data/count must be >= 1"]),
        ({"name": "ab", "count": 4}, ["data/count must be <= 3"]),
        ({"name": "ab", "count": "2"}, ["data/count must be integer"]),
        ({"name": "ab", "kind": "z"}, ["data/kind must be equal to one of the allowed values"]),
        ({"name": "ab", "list": [{"flag": 1}]}, ["data/list/0/flag must be boolean"]),
        ({"name": "ab", "list": [{"other": 1}]}, ["data/list/0/other must be string"]),
        ({"name": "ab", "list": [{}, {}]}, ["data/list must NOT have duplicate items"]),
        ({"name": "ab", "list": [{}, {"a": "b"}, {"a": "c"}]}, ["data/list must NOT have more than 2 items"]),
        ({"name": "ab", "when": "2030-01-01"}, ['data/when must match format "date-time"']),
        ({"name": "ab", "word": "abc\n"}, ['data/word must match pattern "^[a-z]+$"']),
        ({"name": "ab", "a/b~c": 1}, ["data/a~1b~0c must be string"]),
        (
            {"name": "ab", "one": []},
            [
                "data/one must be string",
                "data/one must be integer",
                "data/one must match exactly one schema in oneOf",
            ],
        ),
        ({"count": 0, "kind": "z"}, 3),
    ],
)
def test_lists_errors(payload: Any, expected: Any) -> None:
    errors = SCHEMAS.schema("s/v1/a.json").errors(payload)
    assert errors == expected or len(errors) == expected


def test_adds_defaults_on_every_level() -> None:
    payload: Any = {"name": "ab", "list": [{}]}
    SCHEMAS.schema("s/v1/a.json").fill(payload)
    assert payload == {"name": "ab", "count": 2, "nested": {"flag": True}, "list": [{"flag": True}]}


def test_defaults_are_not_shared() -> None:
    first: Any = {}
    second: Any = {}
    SCHEMAS.schema("s/v1/a.json").fill(first)
    first["nested"]["more"] = 1
    SCHEMAS.schema("s/v1/a.json").fill(second)
    assert second["nested"] == {"flag": True}


def test_unknown_schema_accepts_any_object() -> None:
    schema = SCHEMAS.schema("s/v1/unknown.json")
    assert schema.errors({"any": 1}) == []
    assert schema.errors([]) == ["data must be object"]


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("date-time", ["2030-01-01T00:00:00Z", "2030-01-01T23:59:60Z"], ["2030-01-01", "2030-13-01T00:00:00Z"]),
        ("uri", ["https://example.com/a?b#c", "ssh:x"], ["example.com", "https://a b", "https://é"]),
        ("email", ["a.b@example.com"], ["a", "a@b", "a@b c.com"]),
        ("hostname", ["localhost", "tc.example.com", "127.0.0.1"], ["a_b", "", "-a", "a..b"]),
        ("ipv4", ["127.0.0.1"], ["256.0.0.1", "::1"]),
        ("ipv6", ["::1"], ["127.0.0.1"]),
        ("regex", ["^a+$"], ["("]),
    ],
)
def test_checks_formats(kind: str, right: list[str], wrong: list[str]) -> None:
    schema = ApiSchemas({"s/v1/f.json": {"format": kind}}).schema("s/v1/f.json")
    for value in (*right, 7):
        assert schema.errors(value) == []
    for value in wrong:
        assert schema.errors(value) == [f'data must match format "{kind}"']


def test_dollar_matches_end_only() -> None:
    assert Pattern.of("^a$").matches("a")
    assert not Pattern.of("^a$").matches("a\n")
    assert Pattern.of(r"a\$").matches("a$b")


def test_every_schema_is_usable() -> None:
    for reference in references().values():
        schemas = ApiSchemas(reference["types"])
        for key in reference["types"]:
            schemas.schema(key).errors({})
