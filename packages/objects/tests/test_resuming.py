"""What an answer of storage means."""

from __future__ import annotations

import pytest

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.plugins import Location
from taskcluster_objects.resuming import (
    Held,
    Verdict,
    content_type,
    has_expired,
    judge,
    range_headers,
    redirect,
    strong_etag,
    wire_url,
)

HELD = Held(received=10, total=100, etag='"a"', encoding="")
REST = {"Content-Range": "bytes 10-99/100", "Content-Length": "90", "ETag": '"a"'}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.WHOLE),
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
        (206, {"Content-Range": "bytes 10-98/100"}, Verdict.CHANGED),
        (206, {"Content-Range": "bytes 10-109/110", "Content-Length": "100"}, Verdict.CHANGED),
        (206, {"Content-Range": "items 10-99/100"}, Verdict.CHANGED),
        (206, {"Content-Range": ""}, Verdict.CHANGED),
        (206, {"Content-Length": "91"}, Verdict.CHANGED),
        (206, {"ETag": '"b"'}, Verdict.CHANGED),
        (206, {"Content-Encoding": "gzip"}, Verdict.CHANGED),
        (200, {}, Verdict.WHOLE),
        (412, {}, Verdict.CHANGED),
        (416, {}, Verdict.CHANGED),
        (403, {}, Verdict.EXPIRED),
        (404, {}, Verdict.FAILURE),
    ],
)
def test_when_the_rest_was_asked_for(status: int, headers: dict[str, str], verdict: Verdict) -> None:
    assert judge(status, {**REST, **headers}, HELD) is verdict


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
    assert content_type({}) == "application/binary"


def test_redirects_are_told_from_other_answers() -> None:
    assert redirect(303, {"Location": "/b c?d=%2F#e"}, "http://h/a?x") == "http://h/b%20c?d=%2F"
    assert redirect(301, {"Location": "https://other"}, "http://h/a") == "https://other/"
    assert redirect(302, {}, "http://h/a") is None
    assert redirect(200, {"Location": "/b"}, "http://h/a") is None


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://h/x", "x", "http:///x"])
def test_data_is_fetched_over_http_alone(url: str) -> None:
    with pytest.raises(TaskclusterFailure, match="no http or https URL"):
        wire_url(url)


def test_a_location_expires_when_its_time_is_over() -> None:
    location = Location("http://h/", expires="1970-01-01T00:01:40.000Z")
    assert [has_expired(location, now) for now in (99.0, 100.0)] == [False, True]
    assert not has_expired(Location("http://h/"), 1e12)
    assert not has_expired(Location("http://h/", expires="soon"), 1e12)
