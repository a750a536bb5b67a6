"""Tests of JSON-e with JavaScript's numbers. The expected values are those of json-e for Node.js."""

from __future__ import annotations

import math
import pickle
from typing import Any

import jsone
import pytest

from taskcluster_local.encoding import number_text
from taskcluster_local.templates import TemplateError, render

CONTEXT = {
    "now": "2030-01-01T00:00:00.000Z",
    "two": 2.0,
    "big": 10**21,
    "zero": -0.0,
    "items": [1.0, 2],
    "text": "a",
}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2.0, "2"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-1.5, "-1.5"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (123456789012345680000, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.25e300, "1.25e+300"),
        (5e-324, "5e-324"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_writes_numbers_like_javascript(number: float, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("10/5", "2"),
        ("two", "2"),
        ("zero", "0"),
        ("1/3", "0.3333333333333333"),
        ("big", "1e+21"),
        ("10000000000 * 10000000000", "100000000000000000000"),
        ("2**53 + 1", "9007199254740992"),
        ("9**9**9", "Infinity"),
        ("0 - 9**9**9", "-Infinity"),
        ("9**9**9 - 9**9**9", "NaN"),
        ("(0-8)**(1/3)", "NaN"),
        ("(0-9)**999", "-Infinity"),
        ("0**(0-1)", "Infinity"),
        ("1**number('Infinity')", "NaN"),
        ("9" * 5000, "Infinity"),
        ("sqrt(0-1)", "NaN"),
        ("ceil(0-0.5)", "0"),
        ("floor(9**9**9)", "Infinity"),
        ("min(two)", "2"),
        ("max(1, number('x'))", "NaN"),
        ("number('')", "0"),
        ("number(' 1e3 ')", "1000"),
        ("number('0x10')", "16"),
        ("number('1_0')", "NaN"),
        ("number('inf')", "NaN"),
        ("str(10/5)", "2"),
        ("join([1.0, 10/4, 'a', null, true, [1, 2]], '-')", "1-2.5-a--true-1,2"),
        ("join(['a', 'b'], 4/2)", "a2b"),
        ("split('a2b', 4/2)[1]", "b"),
        ("[1, 2, 3][4/2]", "3"),
        ("'abc'[1.0:]", "bc"),
        ("len(range(0, 4/2))", "2"),
        ("range(0, 3.0)[2]", "2"),
        ("typeof(10/5)", "number"),
        ("1.5 < 2", "true"),
        ("4/2 == 2", "true"),
        ("true == 1", "false"),
        ("[true] == [1]", "false"),
        ("{a: 1} == {a: 1.0}", "true"),
        ("1 in [true]", "false"),
        ("{a: 1} in [{a: 1}]", "true"),
        ("'toString' in {a: 1}", "false"),
        ("null in [null]", "true"),
        ("strip('\u00a0\ufeffa\u001c')", "a\u001c"),
    ],
)
def test_interpolates_like_javascript(expression: str, text: str) -> None:
    assert render("${" + expression + "}", CONTEXT) == text


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ({"$eval": "10/5"}, 2),
        ({"$eval": "1/2"}, 0.5),
        ({"$eval": "9**9**9"}, None),
        ({"$eval": "10**21"}, 1e21),
        ({"a": 2.0, "b": [1e20]}, {"a": 2, "b": [10**20]}),
        ({"$eval": "items"}, [1, 2]),
        (
            {"$json": {"b": {"$eval": "10/5"}, "a": [0.5, 1e21, 1e-7, None, True]}},
            '{"a":[0.5,1e+21,1e-7,null,true],"b":2}',
        ),
        ({"$json": {"10": 1, "9": 2, "é\u0001\ud800": 3}}, '{"10":1,"9":2,"é\\u0001\\ud800":3}'),
        ({"$json": {"$eval": "9**9**9"}}, "null"),
        ({"$sort": [3, 1.5, {"$eval": "4/2"}]}, [1.5, 2, 3]),
        ({"$sort": [2, 1], "by(x)": "x/2"}, [1, 2]),
        ({"$map": ["a"], "each(x, i)": "${x}${i/1}"}, ["a0"]),
        ({"$map": {"a": 1.0}, "each(v, k)": {"${k}${v}": 1}}, {"a1": 1}),
        ({"$reduce": [1, 2], "initial": 0, "each(a, b)": {"$eval": "(a + b)/1"}}, 3),
        ({"$find": [1, 2.0], "each(x)": "x == 4/2"}, 2),
        ({"$match": {"true == 1": "a", "two == 2": "b"}}, ["b"]),
        ({"$fromNow": "1 Hour", "from": "2020-01-01T00:00:00Z"}, "2020-01-01T01:00:00.000Z"),
        ({"$fromNow": "1 day", "from": "2020-01-01T00:00:00+01:00"}, "2020-01-01T23:00:00.000Z"),
        ({"$fromNow": "1 day", "from": "2020-01-01"}, "2020-01-02T00:00:00.000Z"),
        ({"$fromNow": ""}, "2030-01-01T00:00:00.000Z"),
        ({"$eval": "fromNow('1 day')"}, "2030-01-02T00:00:00.000Z"),
        ({"$if": "zero", "then": 1, "else": 2.0}, 2),
        ({"$if": "false", "then": 1}, None),
    ],
)
def test_evaluates_like_javascript(template: Any, rendered: Any) -> None:
    found = render(template, CONTEXT)
    assert (found, type(found)) == (rendered, type(rendered))


@pytest.mark.parametrize(
    "expression",
    [
        "1/0",
        "'abc'[1/2]",
        "[1][0:1.5]",
        "range(0, 2.5)",
        "'a' < 1",
        "true + 1",
        "1 in 'a'",
        "1 in {}",
        "'a'**2",
        "number(1)",
        "min()",
        "join(1, '')",
        "strip(1)",
        "len(1)",
        "fromNow(1)",
        "text()",
        "x.y",
        "as_slugid('a')",
        "str",
    ],
)
def test_invalid_expression_raises(expression: str) -> None:
    with pytest.raises(TemplateError):
        render({"$eval": expression}, CONTEXT)


def test_invalid_template_raises() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for template, context in (
        (deep, {}),
        ({}, {"a-b": 1}),
        ({"$fromNow": "1 day"}, {}),
        ({"$fromNow": "9999 years"}, CONTEXT),
    ):
        with pytest.raises(TemplateError) as caught:
            render(template, context)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_as_slugid_returns_one_id_per_label() -> None:
    template = [{"$eval": f"as_slugid({label})"} for label in ("'a'", "'a'", "'1'", "10/10", "'b'")]
    first, again, text, number, other = render(template, {}, slugids=True)
    assert (first, text) == (again, number)
    assert len({first, text, other}) == 3


def test_does_not_patch_json_e() -> None:
    assert (jsone.render("${10/5}", {}), render("${10/5}", {})) == ("2.0", "2")
