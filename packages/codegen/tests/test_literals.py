"""Test that literals evaluate to their values and are formatted like ruff's."""

import ast

import pytest

from taskcluster_codegen.literals import WIDTH, literal, text

VALUES = [
    None,
    True,
    "",
    "plain",
    'a "quoted" word',
    "it's",
    """both ' and " and "more\"""",
    "back\\slash",
    'back\\"slash',
    "…",
    [],
    {},
    ["a", "b"],
    [["nested"], []],
    {"a": {}, "b": {"c": ["d"]}},
    {"list": [{"a": True}, {"b": None}]},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_literal_evaluates_to_the_value(value):
    assert ast.literal_eval(literal(value)) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('a "quoted" word', "'a \"quoted\" word'"),
        ("""one ' and two \"\"""", "'one \\' and two \"\"'"),
        ("""one " and one '""", '"one \\" and one \'"'),
        ("…", '"…"'),
    ],
)
def test_quotes_with_fewer_escapes(value, written):
    assert text(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": ["b", "c"]}, '{\n    "a": ["b", "c"],\n}'),
        ({"a": []}, '{\n    "a": [],\n}'),
        ({"a": [{"b": True}]}, '{\n    "a": [\n        {\n            "b": True,\n        },\n    ],\n}'),
    ],
)
def test_dicts_have_one_key_per_line(value, written):
    assert literal(value) == written


@pytest.mark.parametrize(("spare", "lines"), [(0, 3), (-1, 6)])
def test_long_list_has_one_item_per_line(spare, lines):
    room = WIDTH - len('    "k": ["", ""],') - spare
    written = literal({"k": ["x" * (room - 1), "x"]})
    assert len(written.splitlines()) == lines
    assert max(map(len, written.splitlines())) <= WIDTH
