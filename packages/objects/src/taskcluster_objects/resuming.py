"""What an answer of storage means: the whole, the rest, something that has changed, or a failure. No I/O."""

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
    "has_expired",
    "judge",
    "range_headers",
    "strong_etag",
]

UNKNOWN_TYPE = "application/octet-stream"
"""What is said of a body of which storage does not say what it is."""

# 18 digits: enough for any body, and int() raises if there are more than 4300.
_NUMBER = r"[0-9]{1,18}"
_CONTENT_RANGE = re.compile(rf"bytes ({_NUMBER})-({_NUMBER})/({_NUMBER}|\*)\s*", re.IGNORECASE)


class Held(NamedTuple):
    """What is there already of a body that broke off."""

    received: int
    total: int | None
    etag: str
    encoding: str


class Verdict(enum.Enum):
    """What to do with an answer."""

    COMPLETE = "take it from the first byte"
    REST = "go on with it"
    CHANGED = "start over: this is not the rest of what is there"
    EXPIRED = "ask for another URL"
    RETRY = "try again"
    FAILURE = "give up"


def judge(status: int, headers: Mapping[str, str], held: Held | None) -> Verdict:
    """Return what an answer means, given what is held; None where the whole was asked for."""
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
        # Where nobody says where the whole ends, nobody knows whether this is all of the rest.
        and (total is not None if held.total is None else held.total in (total, last + 1))
        and (length is None or length == last - first + 1)
        and headers.get("ETag", "").strip() == held.etag
        and encoding(headers) == held.encoding
    )


def complete_length(headers: Mapping[str, str]) -> int | None:
    """Return how long the whole is of which Content-Range tells a part, if it says so."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return None if found is None or found[3] == "*" else int(found[3])


def range_headers(held: Held | None) -> dict[str, str]:
    """Return the headers that ask for what is missing, on condition that it is still the same."""
    return {} if held is None else {"Range": f"bytes={held.received}-", "If-Match": held.etag}


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """Return the ETag by which the rest may be asked for later, if there is such a one."""
    etag = headers.get("ETag", "").strip()
    return etag if etag.startswith('"') and headers.get("Accept-Ranges", "").strip().lower() != "none" else None


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the Content-Length, if there is a sound one."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if re.fullmatch(_NUMBER, text) else None


def encoding(headers: Mapping[str, str]) -> str:
    """Return the Content-Encoding, in lower case, empty where there is none."""
    return headers.get("Content-Encoding", "").strip().lower()


def content_type(headers: Mapping[str, str]) -> str:
    """Return the media type, without parameters."""
    found = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return found if found.count("/") == 1 else UNKNOWN_TYPE


def has_expired(location: Location, now: float) -> bool:
    """Whether a location has ceased to hold, as far as is known.

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
