"""Payloads as JSON, and conversions of strings."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcluster.encodings import encodeStringForB64Header, makeB64UrlSafe, makeB64UrlUnsafe, toStr
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.payloads import dumpJson, encode_payload

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_reading_a_sent_payload_returns_it(payload: dict[str, Any]) -> None:
    assert json.loads(encode_payload("m", payload)) == payload


def test_json_is_compact() -> None:
    payload = {"a": [1, 2], "b": {"c": None}}
    assert encode_payload("m", payload) == b'{"a":[1,2],"b":{"c":null}}'
    assert dumpJson(payload) == '{"a":[1,2],"b":{"c":null}}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime.datetime(2024, 1, 2, 3, 4, 5, 6), '"2024-01-02T03:04:05.000006Z"'),
        (datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), '"2024-01-02T00:00:00Z"'),
        (b"text", '"text"'),
    ],
)
def test_dates_and_bytes_become_strings(value: Any, text: str) -> None:
    assert dumpJson({"x": [value]}) == f'{{"x":[{text}]}}'
    assert encode_payload("m", {"x": [value]}) == f'{{"x":[{text}]}}'.encode()


def test_dump_json_passes_keywords_on() -> None:
    assert dumpJson({"b": 1, "a": 2}, sort_keys=True) == '{"a":2,"b":1}'


def test_dump_json_rejects_other_values() -> None:
    with pytest.raises(TypeError, match="set is not a JSON type"):
        dumpJson({"x": {1}})


def nested() -> list[Any]:
    payload: list[Any] = []
    payload.append(payload)
    return payload


@pytest.mark.parametrize("payload", ['{"a":1}', b"{}"])
def test_raises_for_a_json_string_as_payload(payload: Any) -> None:
    with pytest.raises(TaskclusterFailure, match=r"m: .*json\.loads"):
        encode_payload("m", payload)


@pytest.mark.parametrize(
    "payload", [{"x": {1}}, {"x": object()}, {"x": float("nan")}, {("a",): 1}, {"x": b"\xff"}, nested()]
)
def test_error_for_an_invalid_payload_names_the_method(payload: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="m: the payload cannot be written as JSON"):
        encode_payload("m", payload)


def test_str_and_bytes_become_str() -> None:
    assert toStr("ä") == toStr("ä".encode()) == "ä"
    assert toStr(b"\xe4", "latin-1") == "ä"


@given(st.binary())
def test_converts_base64_to_url_safe_and_back(raw: bytes) -> None:
    header = encodeStringForB64Header(raw)
    assert b"\n" not in header
    safe = makeB64UrlSafe(header)
    assert not set(safe) & set(b"+/")
    assert makeB64UrlUnsafe(safe) == makeB64UrlUnsafe(safe.decode()) == header
    assert makeB64UrlSafe(header.decode()) == safe


def test_strings_are_encoded_for_a_header_as_utf8() -> None:
    assert encodeStringForB64Header("ä") == b"w6Q="
