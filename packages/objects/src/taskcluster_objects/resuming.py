"""Resume downloads: what to request, and whether a response is complete, the rest, or of another version. No I/O."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import NamedTuple

from taskcluster.plugins import Location
from taskcluster.retries import retryable
from taskcluster.timestamps import parse_date

__all__ = [
    "UNKNOWN_TYPE",
    "Held",
    "Verdict",
    "complete_length",
    "content_length",
    "content_type",
    "encoding",
    "has_expired",
    "judge",
    "range_headers",
    "strong_etag",
]

UNKNOWN_TYPE = "application/octet-stream"
"""The media type if storage returns none."""

# 18 digits: enough for any body, and int() raises if there are more than 4300.
_NUMBER = r"[0-9]{1,18}"
_CONTENT_RANGE = re.compile(rf"bytes ({_NUMBER})-({_NUMBER})/({_NUMBER}|\*)\s*", re.IGNORECASE)


class Held(NamedTuple):
    """The part of a body that was received before its connection broke."""

    received: int
    total: int | None
    etag: str
    encoding: str


class Verdict(enum.Enum):
    """What to do with a response."""

    COMPLETE = "read it from the first byte"
    REST = "continue with it"
    CHANGED = "restart: this is not the rest of what was received"
    EXPIRED = "request another URL"
    RETRY = "retry"
    FAILURE = "give up"


def judge(status: int, headers: Mapping[str, str], held: Held | None) -> Verdict:
    """Return what to do with a response. `held` is None if the complete body was requested."""
    if status == 200:
        return Verdict.COMPLETE
    if held is not None and status == 206:
        return Verdict.REST if _is_rest(headers, held) else Verdict.CHANGED
    if held is not None and status in (412, 416):
        return Verdict.CHANGED
    if status == 403:
        return Verdict.EXPIRED
    return Verdict.RETRY if retryable(status) else Verdict.FAILURE


def _is_rest(headers: Mapping[str, str], held: Held) -> bool:
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None:
        return False
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    length = content_length(headers)
    return (
        first == held.received
        and (total is None or last == total - 1)
        # Without a total length, the rest may be incomplete.
        and (total is not None if held.total is None else held.total in (total, last + 1))
        and (length is None or length == last - first + 1)
        and headers.get("ETag", "").strip() == held.etag
        and encoding(headers) == held.encoding
    )


def complete_length(headers: Mapping[str, str]) -> int | None:
    """Return the complete length in Content-Range, or None."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return None if found is None or found[3] == "*" else int(found[3])


def range_headers(held: Held | None) -> dict[str, str]:
    """Return the headers that request the rest, if the body has not changed."""
    return {} if held is None else {"Range": f"bytes={held.received}-", "If-Match": held.etag}


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """Return the ETag to resume with, or None."""
    etag = headers.get("ETag", "").strip()
    return etag if etag.startswith('"') and headers.get("Accept-Ranges", "").strip().lower() != "none" else None


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the Content-Length, or None if it is invalid."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch(_NUMBER, text) else None


def encoding(headers: Mapping[str, str]) -> str:
    """Return the Content-Encoding in lower case, or an empty string if there is none."""
    found = headers.get("Content-Encoding", "").strip().lower()
    return "" if found == "identity" else found


def content_type(headers: Mapping[str, str]) -> str:
    """Return the media type, without parameters."""
    found = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return found if found.count("/") == 1 else UNKNOWN_TYPE


def has_expired(location: Location, now: float) -> bool:
    """Return whether the location is known to have expired.

    Args:
        location: The location.
        now: Unix time in seconds.
    """
    if location.expires is None:
        return False
    try:
        return parse_date(location.expires).timestamp() <= now
    except ValueError:
        return False
