"""Tests of loading YAML. The expected values are those of js-yaml 4, except timestamps, which it converts to dates."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest
import yaml

from taskcluster_local.encoding import loads
from taskcluster_local.yaml_core import YamlError, dump, lines_of, load

STRINGS = """
22:22 1:30:00 190:20:30.15 yes no on off Yes NO y n tRue nUll 0O17 0X1F 0B11 0o8 0xg 0b2 1_000 1_ 0x_1 1_0.5 -.5 +.5
.iNf inf Infinity nan -.nan . +. - e3 1e 1E+ 1e400 -1e400 1,000 1.2.3 0x 2020-01-01 2020-01-01T00:00:00Z = <<
"""
VALUES: dict[str, Any] = {
    **dict.fromkeys(("~", "null", "Null", "NULL", ""), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    "0": 0,
    "-0": 0,
    "017": 17,
    "09": 9,
    "+1": 1,
    "-1": -1,
    "0o17": 15,
    "-0o17": -15,
    "0x1F": 31,
    "+0b11": 3,
    "1e3": 1000,
    "1E+3": 1000,
    "1e-3": 0.001,
    "1.0": 1,
    "5.": 5,
    ".5": 0.5,
    ".5e1": 5,
    "+12e03": 12000,
    "-0.0": 0,
    "12345678901234567890": 12345678901234567000,
    "1e21": 1e21,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "!!str 1": "1",
    "!!int '1'": 1,
    "!!float 1": 1,
    "!!map {}": {},
    "!!set {b}": {"b": None},
    "!!seq []": [],
    "'1'": "1",
    '"yes"': "yes",
    "x # c": "x",
    "x#c": "x#c",
    "{b:1}": {"b:1": None},
    "http://x:80": "http://x:80",
}


@pytest.mark.parametrize("around", ["a: %s", "- %s", "{a: [%s ]}", "? %s\n: 1"])
def test_plain_scalars_have_types_of_core_schema(around: str) -> None:
    def scalar(text: str) -> Any:
        document = load(around % text)
        if around.startswith("?"):
            return document.popitem()[0]
        while isinstance(document, (dict, list)) and len(document) == 1:
            document = document["a"] if isinstance(document, dict) else document[0]
        return document

    expected = {text: text for text in STRINGS.split() if text != "-" and not (text == "<<" and around.startswith("?"))}
    found = {text: scalar(text) for text in expected if "," not in text or "[" not in around}
    assert {text: value for text, value in found.items() if value != text} == {}


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_values_match_js_yaml(text: str, value: Any) -> None:
    found = load(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# c", None),
        ("%YAML 1.1\n---\na: yes\n...\n", {"a": "yes"}),
        ("a: &x {b: 1, c: 1}\nd: {<<: *x, b: 2}", {"a": {"b": 1, "c": 1}, "d": {"b": 2, "c": 1}}),
        ("a: {b: 2, <<: [{b: 1, c: 1}, {c: 2, d: 2}]}", {"a": {"b": 2, "c": 1, "d": 2}}),
        ("a: {<<: {b: 1}, <<: {b: 2, c: 2}}", {"a": {"b": 1, "c": 2}}),
        ("<<: []\n'<<': 1", {"<<": 1}),
        ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
        (
            "1: a\n1.50: b\ntrue: c\n~: d\n0x10: e\n1e3: f",
            {"1": "a", "1.5": "b", "true": "c", "null": "d", "16": "e", "1000": "f"},
        ),
        ("? [1, 2]\n: 2", {"1,2": 2}),
        ("a:\t1\t# c\nb: 2", {"a": 1, "b": 2}),
        (
            "$if: 'x == \"y\"'\nthen: ${b}\neach(x): {$eval: x}",
            {"$if": 'x == "y"', "then": "${b}", "each(x)": {"$eval": "x"}},
        ),
    ],
)
def test_documents_match_js_yaml(text: str, value: Any) -> None:
    assert load(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "duplicate key 'a'"),
        ("a: {b: 1, b: 2}", "duplicate key 'b'"),
        ("1: a\n'1': b", "duplicate key '1'"),
        ("a: {<<: 1}", "only mappings can be merged"),
        ("a: {<<: [1]}", "only mappings can be merged"),
        ("a: {<<: ~}", "only mappings can be merged"),
        ("a: &x [*x]", "contains itself"),
        ("a: *x", "undefined alias"),
        ("!!binary aGk=", "binary"),
        ("!!timestamp 2020-01-01", "timestamp"),
        ("!!python/object/apply:os.getcwd []", "is unknown"),
        ("!foo x", "!foo"),
        ("!!str [1]", "is unknown"),
        ("!!bool yes", "'yes' cannot have the tag"),
        ("!!int 1.5", "cannot have the tag"),
        ("a: [1", "flow sequence"),
        ("a: 1\n---\nb: 2", "single document"),
        ("\ta: 1", "cannot start any token"),
        ("a: \x01", "not allowed"),
        (r'a: "\Uffffffff"', "too large|not in range"),
        (r'a: "\U00110000"', "not in range"),
        ("[" * 2000, "nested too deeply"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=False)),
            "values",
        ),
    ],
)
def test_rejects_same_as_js_yaml(text: str, message: str) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        load(text)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_does_not_patch_pyyaml() -> None:
    assert yaml.safe_load("a: yes") == {"a": True}
    assert yaml.safe_dump("1e3") == "1e3\n...\n"


@pytest.mark.parametrize("reader", [load, yaml.safe_load], ids=["core", "yaml-1.1"])
def test_dumps_what_it_loads(reader: Any) -> None:
    written = [
        *STRINGS.split(),
        *VALUES,
        "",
        " a ",
        "a\nb",
        "a\nb\n\n",
        " a\nb",
        "a\r\nb",
        "a\x85b",
        "\u2028\n",
        "a\tb\n",
        "\ufeff",
        "\u202e",
        "\x00",
        "é",
        "😀",
        "x" * 300,
        "- a",
        "a: b",
        "# a",
        "%a",
        "---",
        "...",
    ]
    document = loads(json.dumps([{text: text for text in written}, [], {}, 1, 1.5, 1e21, 1e-7, True, None]))
    assert reader(dump([document, document])) == [document, document]


def test_dumps_text_in_lines() -> None:
    assert dump({"b": "x\ny\n", "a": [["z"]]}) == "b: |\n  x\n  y\na:\n- - z\n"


def test_lines_of_values() -> None:
    text = "# comment\na: 1\nb:\n  - x\n  -\n    c: {d: &d 2,\n      e: [3,\n 4]}\nf: *d\n? [1]\n: 1"
    paths = {(): None, ("a",): 2, ("a", "x"): 2, ("b", "0"): 4, ("b", "1", "c"): 6, ("b", "1", "c", "e", "1"): 8,
             ("b", "2"): 3, ("b", "x"): 3, ("f",): 9, ("g",): None}  # fmt: skip
    assert lines_of(text, list(paths)) == list(paths.values())
    assert lines_of("", [("a",)]) == [None]
    assert lines_of('{\n\t"a": 1}', [("a",)]) == [None]
