"""Properties of resuming that hold for any headers: only the missing bytes of the same body are appended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from taskcluster_objects.resuming import (
    Held,
    Verdict,
    complete_length,
    content_length,
    judge,
    range_headers,
    strong_etag,
)

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

BODY = bytes(range(256))
ETAG = '"a"'


@st.composite
def helds(draw: Any) -> Held:
    """Return the part of BODY that was received when the connection broke."""
    received = draw(st.integers(1, len(BODY) - 1))
    return Held(received, draw(st.sampled_from([None, len(BODY)])), ETAG, draw(st.sampled_from(["", "gzip"])))


def response(held: Held, first: int, last: int, total: int | None, **changed: str | None) -> dict[str, str]:
    """Return the headers of a 206 with the given range, everything else as a correct server sends it."""
    headers = {
        "Content-Range": f"bytes {first}-{last}/{'*' if total is None else total}",
        "Content-Length": str(last - first + 1),
        "ETag": held.etag,
        "Content-Encoding": held.encoding,
        **changed,
    }
    return {name: value for name, value in headers.items() if value is not None}


numbers = st.one_of(st.integers(0, 300), st.sampled_from([0, 1, len(BODY) - 1, len(BODY), len(BODY) + 1]))


@given(helds(), numbers, numbers, st.one_of(st.none(), numbers))
def test_appends_exactly_the_missing_bytes(held: Held, first: int, last: int, total: int | None) -> None:
    verdict = judge(206, response(held, first, last, total), held)
    missing = first == held.received and last == len(BODY) - 1
    total_known = total == len(BODY) or (total is None and held.total is not None)
    if held.total is not None or total == len(BODY):
        assert verdict is (Verdict.REST if missing and total_known else Verdict.CHANGED)
    elif verdict is Verdict.REST:
        # No earlier response said how long the body is: this one must, and must end there.
        assert (first, last + 1) == (held.received, total)


@given(helds(), st.integers(1, 300))
def test_rejects_a_206_that_starts_elsewhere(held: Held, distance: int) -> None:
    for first in (held.received - distance, held.received + distance):
        if 0 <= first < len(BODY):
            headers = response(held, first, len(BODY) - 1, len(BODY))
            assert judge(206, headers, held) is Verdict.CHANGED


@given(
    helds(),
    st.sampled_from(["ETag", "Content-Encoding", "Content-Range", "Content-Length"]),
    st.one_of(st.none(), st.text(max_size=8), st.sampled_from(['W/"a"', '"b"', "gzip", "br", "bytes 0-255/256"])),
)
def test_rejects_a_206_with_another_header(held: Held, name: str, value: str | None) -> None:
    whole = response(held, held.received, len(BODY) - 1, len(BODY))
    assert judge(206, whole, held) is Verdict.REST
    changed = (value or "").strip()
    assume(changed.lower() != whole[name].lower())
    # An omitted or malformed length is ignored; any other must match the range.
    if name == "Content-Length":
        assume(changed.isascii() and changed.isdigit() and int(changed) != int(whole[name]))
    changed_headers = response(held, held.received, len(BODY) - 1, len(BODY), **{name: value})
    assert judge(206, changed_headers, held) is Verdict.CHANGED


@given(st.integers(100, 599), st.dictionaries(st.text(), st.text()), st.one_of(st.none(), helds()))
def test_never_appends_for_another_status(status: int, headers: Mapping[str, str], held: Held | None) -> None:
    verdict = judge(status, headers, held)
    if verdict is Verdict.REST:
        assert held is not None
        assert status == 206
    assert (verdict is Verdict.COMPLETE) == (status == 200)
    if held is None:
        assert verdict is not Verdict.CHANGED


@given(helds(), st.one_of(st.integers(200, 210), st.integers(100, 599)))
def test_appends_only_for_206(held: Held, status: int) -> None:
    """Even if all headers are those of the missing bytes."""
    verdict = judge(status, response(held, held.received, len(BODY) - 1, len(BODY)), held)
    assert (verdict is Verdict.REST) == (status == 206)


@given(helds())
def test_requests_what_a_correct_server_returns(held: Held) -> None:
    requested = range_headers(held)
    first = int(requested["Range"].removeprefix("bytes=").removesuffix("-"))
    assert requested["If-Match"] == held.etag
    assert BODY[: held.received] + BODY[first:] == BODY


@given(st.text())
def test_any_header_value_is_read(value: str) -> None:
    headers = dict.fromkeys(("Content-Range", "Content-Length", "ETag", "Accept-Ranges", "Content-Encoding"), value)
    assert (content_length(headers) or 0) >= 0
    assert (complete_length(headers) or 0) >= 0
    assert strong_etag(headers) is None or value.strip().startswith('"')
