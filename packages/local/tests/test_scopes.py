"""Tests of scope sets and scope expressions."""

from __future__ import annotations

from typing import Any

import pytest

from taskcluster_local.scopes import ScopeSet, as_json, instantiate, missing, parse, valid_scope, variables


@pytest.mark.parametrize(
    ("held", "required", "expected"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "a", True),
        ("a*", "ab", True),
        ("a*", "ab*", True),
        ("ab*", "a*", False),
        ("*", "anything", True),
        ("a*b", "axb", False),
        ("a*b", "a*b", True),
        ("", "", True),
    ],
)
def test_satisfies_scopes(held: str, required: str, expected: bool) -> None:
    assert ScopeSet([held]).satisfies(required) is expected


def test_normalises_scope_set() -> None:
    scopes = ["b", "ab", "a*", "a", "b", "B", "c/*", "c"]
    assert ScopeSet(scopes).scopes == ("B", "a*", "a", "b", "c", "c/*")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("", True), (" ~", True), ("\x1f", False), ("\x7f", False), ("é", False), (None, False), ("a\n", False)],
)
def test_valid_scope_is_printable_ascii(scope: object, expected: bool) -> None:
    assert valid_scope(scope) is expected


VALUES = {"x": "1", "names": ["a", "b"], "none": [], "yes": True, "no": False}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("s:<x>", "s:1"),
        ({"AllOf": ["s:<x>", "t"]}, {"AllOf": ["s:1", "t"]}),
        ({"AllOf": [{"for": "n", "in": "names", "each": "s:<x>:<n>"}, "t"]}, {"AllOf": ["s:1:a", "s:1:b", "t"]}),
        ({"AnyOf": [{"for": "n", "in": "none", "each": "s:<n>"}]}, {"AnyOf": []}),
        ({"if": "yes", "then": "a", "else": "b"}, "a"),
        ({"if": "no", "then": "a", "else": "b"}, "b"),
        ({"AllOf": [{"if": "no", "then": "a"}]}, {"AllOf": []}),
        ({"if": "no", "then": "a"}, {"AllOf": []}),
    ],
)
def test_instantiates_templates(template: Any, expected: Any) -> None:
    assert as_json(instantiate(parse(template), VALUES)) == expected


def test_lists_variables_of_template() -> None:
    template = {
        "AllOf": ["<a>", {"for": "n", "in": "names", "each": "<n>:<b>"}, {"if": "c", "then": "<d>", "else": "<e>"}]
    }
    assert variables(parse(template)) == {"a", "b", "names", "c", "d", "e"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a", None),
        ("x", "x"),
        ({"AllOf": []}, None),
        ({"AnyOf": []}, {"AnyOf": []}),
        ({"AllOf": ["a", "b"]}, None),
        ({"AllOf": ["a", "x"]}, "x"),
        ({"AllOf": ["a", "x", "y"]}, {"AllOf": ["x", "y"]}),
        ({"AnyOf": ["a", "x"]}, None),
        ({"AnyOf": ["x"]}, "x"),
        ({"AnyOf": ["x", "y"]}, {"AnyOf": ["x", "y"]}),
        ({"AllOf": ["a", {"AnyOf": ["b", "x"]}, {"AnyOf": ["x", "y"]}]}, {"AnyOf": ["x", "y"]}),
        ({"AnyOf": ["x", {"AllOf": ["a", "y"]}]}, {"AnyOf": ["x", "y"]}),
    ],
)
def test_missing_part_is_minimal(expression: Any, expected: Any) -> None:
    lacking = missing(parse(expression), ScopeSet(["a", "b"]).satisfies)
    assert (None if lacking is None else as_json(lacking)) == expected
