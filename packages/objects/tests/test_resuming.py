"""Decisions about responses of storage."""

from __future__ import annotations

import pytest

from taskcluster.plugins import Location
from taskcluster_objects.resuming import (
    Held,
    Verdict,
    complete_length,
    content_length,
    content_type,
    encoding,
    has_expired,
    judge,
    range_headers,
    strong_etag,
)

HELD = Held(received=10, total=100, etag='"a"', encoding="")
REST = {"Content-Range": "bytes 10-99/100", "Content-Length": "90", "ETag": '"a"'}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.COMPLETE),
        (206, Verdict.FAILURE),
        (304, Verdict.FAILURE),
        (403, Verdict.EXPIRED),
        (404, Verdict.FAILURE),
        (412, Verdict.FAILURE),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (503, Verdict.RETRY),
    ],
)
def test_judges_response_to_complete_request(status: int, verdict: Verdict) -> None:
    assert judge(status, {}, None) is verdict


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (206, {}, Verdict.REST),
        (206, {"Content-Range": "bytes 10-99/*"}, Verdict.REST),
        (206, {"Content-Range": "bytes 11-99/100"}, Verdict.CHANGED),
        (206, {"Content-Range": "bytes 9-99/100", "Content-Length": "91"}, Verdict.CHANGED),
        (206, {"Content-Range": "bytes 0-99/100", "Content-Length": "100"}, Verdict.CHANGED),
        (206, {"Content-Range": "bytes 10-98/100"}, Verdict.CHANGED),
        (206, {"Content-Range": "bytes 10-109/110", "Content-Length": "100"}, Verdict.CHANGED),
        (206, {"Content-Range": "items 10-99/100"}, Verdict.CHANGED),
        (206, {"Content-Range": ""}, Verdict.CHANGED),
        (206, {"Content-Length": "91"}, Verdict.CHANGED),
        (206, {"ETag": '"b"'}, Verdict.CHANGED),
        (206, {"Content-Encoding": "gzip"}, Verdict.CHANGED),
        (200, {}, Verdict.COMPLETE),
        (205, {}, Verdict.FAILURE),
        (207, {}, Verdict.FAILURE),
        (412, {}, Verdict.CHANGED),
        (416, {}, Verdict.CHANGED),
        (403, {}, Verdict.EXPIRED),
        (404, {}, Verdict.FAILURE),
    ],
)
def test_judges_response_to_range_request(status: int, headers: dict[str, str], verdict: Verdict) -> None:
    assert judge(status, {**REST, **headers}, HELD) is verdict


def test_rejects_rest_without_strong_etag() -> None:
    unnamed = {name: text for name, text in REST.items() if name != "ETag"}
    assert judge(206, unnamed, HELD) is Verdict.CHANGED
    assert judge(206, {**REST, "ETag": 'W/"a"'}, HELD) is Verdict.CHANGED


def test_checks_end_of_rest_by_either_total() -> None:
    held = HELD._replace(total=None)
    assert judge(206, REST, held) is Verdict.REST
    assert judge(206, {**REST, "Content-Range": "bytes 10-99/*"}, held) is Verdict.CHANGED
    assert complete_length(REST) == 100
    assert complete_length({"Content-Range": "bytes 10-99/*"}) is complete_length({}) is None


@pytest.mark.parametrize(
    "number",
    ["9" * 19, "9" * 5000, "\N{ARABIC-INDIC DIGIT ONE}", "-1", "+1", ""],
    ids=["19 digits", "5000 digits", "not ASCII", "negative", "signed", "empty"],
)
def test_ignores_impossible_lengths(number: str) -> None:
    assert content_length({"Content-Length": number}) is None
    assert complete_length({"Content-Range": f"bytes 0-1/{number}"}) is None
    assert judge(206, {**REST, "Content-Range": f"bytes 10-{number}/100"}, HELD) is Verdict.CHANGED


def test_requests_rest_of_unchanged_body_only() -> None:
    assert range_headers(HELD) == {"Range": "bytes=10-", "If-Match": '"a"'}
    assert range_headers(None) == {}


def test_only_a_strong_etag_identifies_bytes() -> None:
    assert strong_etag({"ETag": '"a"'}) == '"a"'
    assert strong_etag({"ETag": 'W/"a"'}) is None
    assert strong_etag({}) is None
    assert strong_etag({"ETag": '"a"', "Accept-Ranges": "none"}) is None


def test_ignores_whitespace_and_case_of_header_values() -> None:
    assert content_length({"Content-Length": " 90 "}) == 90
    assert strong_etag({"ETag": ' "a" ', "Accept-Ranges": " bytes "}) == '"a"'
    assert strong_etag({"ETag": '"a"', "Accept-Ranges": " None "}) is None
    assert encoding({"Content-Encoding": " GZIP "}) == "gzip"
    assert content_type({"Content-Type": " text/plain "}) == "text/plain"
    padded = {name: f" {value} " for name, value in REST.items()}
    assert judge(206, padded, HELD) is Verdict.REST


def test_content_type_is_the_media_type() -> None:
    assert content_type({"Content-Type": "Text/Plain; charset=x"}) == "text/plain"
    for said in ({}, {"Content-Type": ""}, {"Content-Type": "nonsense"}):
        assert content_type(said) == "application/octet-stream"


def test_location_expires_at_its_time() -> None:
    for expires in ("1970-01-01T00:01:40.000Z", "1970-01-01T00:01:39.9+00:00", "1970-01-01T00:01:39.98765432Z"):
        location = Location("http://h/", expires=expires)
        assert [has_expired(location, now) for now in (99.0, 100.0)] == [False, True]
    assert not has_expired(Location("http://h/"), 1e12)
    assert not has_expired(Location("http://h/", expires="soon"), 1e12)
