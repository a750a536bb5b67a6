"""What an answer of storage means."""

from __future__ import annotations

import pytest

from taskcluster.plugins import Location
from taskcluster_objects.resuming import (
    Held,
    Verdict,
    complete_length,
    content_length,
    content_type,
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
def test_when_the_whole_was_asked_for(status: int, verdict: Verdict) -> None:
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
        (412, {}, Verdict.CHANGED),
        (416, {}, Verdict.CHANGED),
        (403, {}, Verdict.EXPIRED),
        (404, {}, Verdict.FAILURE),
    ],
)
def test_when_the_rest_was_asked_for(status: int, headers: dict[str, str], verdict: Verdict) -> None:
    assert judge(status, {**REST, **headers}, HELD) is verdict


def test_a_rest_that_does_not_say_of_what_it_is_the_rest_is_none() -> None:
    unnamed = {name: text for name, text in REST.items() if name != "ETag"}
    assert judge(206, unnamed, HELD) is Verdict.CHANGED
    assert judge(206, {**REST, "ETag": 'W/"a"'}, HELD) is Verdict.CHANGED


def test_the_end_of_the_rest_is_known_from_the_first_answer_or_from_this() -> None:
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
def test_ignores_numbers_that_no_body_has(number: str) -> None:
    assert content_length({"Content-Length": number}) is None
    assert complete_length({"Content-Range": f"bytes 0-1/{number}"}) is None
    assert judge(206, {**REST, "Content-Range": f"bytes 10-{number}/100"}, HELD) is Verdict.CHANGED


def test_the_rest_is_asked_for_on_condition_that_it_is_the_same() -> None:
    assert range_headers(HELD) == {"Range": "bytes=10-", "If-Match": '"a"'}
    assert range_headers(None) == {}


def test_only_a_strong_etag_identifies_bytes() -> None:
    assert strong_etag({"ETag": '"a"'}) == '"a"'
    assert strong_etag({"ETag": 'W/"a"'}) is None
    assert strong_etag({}) is None
    assert strong_etag({"ETag": '"a"', "Accept-Ranges": "none"}) is None


def test_the_content_type_is_the_media_type() -> None:
    assert content_type({"Content-Type": "Text/Plain; charset=x"}) == "text/plain"
    for said in ({}, {"Content-Type": ""}, {"Content-Type": "nonsense"}):
        assert content_type(said) == "application/octet-stream"


def test_a_location_expires_when_its_time_is_over() -> None:
    for expires in ("1970-01-01T00:01:40.000Z", "1970-01-01T00:01:39.9+00:00", "1970-01-01T00:01:39.98765432Z"):
        location = Location("http://h/", expires=expires)
        assert [has_expired(location, now) for now in (99.0, 100.0)] == [False, True]
    assert not has_expired(Location("http://h/"), 1e12)
    assert not has_expired(Location("http://h/", expires="soon"), 1e12)
