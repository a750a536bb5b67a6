"""Tests of JSON with JavaScript's numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskcluster_local.encoding import loads, pretty, without_surrogates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0", "1"),
        ("1.5", "1.5"),
        ("1e3", "1000"),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740993", "9007199254740992"),
        ("12345678901234567890", "12345678901234567000"),
        ("-12345678901234567890", "-12345678901234567000"),
        ("1" + "0" * 5000, None),
        ("1e999", None),
        ("NaN", None),
        ("[" * 100_000, None),
    ],
)
def test_parses_and_writes_numbers_like_javascript(text: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(ValueError):
            loads(text)
    else:
        assert pretty(loads(text)).decode() == expected


def test_indents_bodies_and_keeps_unicode() -> None:
    assert pretty({"a": ["é"]}).decode() == '{\n  "a": [\n    "é"\n  ]\n}'


@pytest.mark.parametrize(
    "value", [{}, [], None, "é", 1, 0.5, True, {"a": {}, "b": [[], {"c": [1, None, "x\n"]}], "d": {"e": {"f": False}}}]
)
def test_writes_same_as_json_dumps(value: Any) -> None:
    assert pretty(value).decode() == json.dumps(value, indent=2, ensure_ascii=False)


def test_replaces_unpaired_surrogates() -> None:
    value = loads(r'{"\ud800": ["a\udc00\ud800b", "\ud83d\ude00", 1]}')
    assert without_surrogates(value) == {"\ufffd": ["a\ufffd\ufffdb", "\U0001f600", 1]}
    whole = {"a": "\U0001f600"}
    assert without_surrogates(whole) is whole


def test_escapes_unpaired_surrogate() -> None:
    assert pretty(loads('"\\ud800"')) == b'"\\ud800"'
