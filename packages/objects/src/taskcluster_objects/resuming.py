"""What an answer of storage means: the whole, the rest, something that has changed, or a failure. No I/O."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.plugins import Location
from taskcluster.retries import retryable

__all__ = [
    "Held",
    "Verdict",
    "content_length",
    "content_type",
    "has_expired",
    "judge",
    "range_headers",
    "redirect",
    "strong_etag",
    "wire_url",
]

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\s*", re.IGNORECASE)
_REDIRECTS = (301, 302, 303, 307, 308)


class Held(NamedTuple):
    """What is there already of a body that broke off."""

    received: int
    total: int | None
    etag: str
    encoding: str


class Verdict(enum.Enum):
    """What to do with an answer."""

    WHOLE = "take it from the first byte"
    REST = "go on with it"
    CHANGED = "start over: this is not the rest of what is there"
    EXPIRED = "ask for another URL"
    RETRY = "try again"
    FAILURE = "give up"


def judge(status: int, headers: Mapping[str, str], held: Held | None) -> Verdict:
    """Return what an answer means, given what is held; None where the whole was asked for."""
    if status == 200:
        return Verdict.WHOLE
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
        and (held.total is None or held.total in (total, last + 1))
        and (length is None or length == last - first + 1)
        and headers.get("ETag", held.etag) == held.etag
        and encoding(headers) == held.encoding
    )


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
    return int(text) if text.isascii() and text.isdigit() else None


def encoding(headers: Mapping[str, str]) -> str:
    """Return the Content-Encoding, in lower case, empty where there is none."""
    return headers.get("Content-Encoding", "").strip().lower()


def content_type(headers: Mapping[str, str]) -> str:
    """Return the media type, without parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() or "application/binary"


def redirect(status: int, headers: Mapping[str, str], url: str) -> str | None:
    """Return where an answer redirects to, or None where it does not."""
    target = headers.get("Location")
    return wire_url(urljoin(url, target)) if status in _REDIRECTS and target else None


def wire_url(url: str) -> str:
    """Return a URL as it can be sent: with a path, without a fragment, nothing in it quoted twice.

    Raises:
        TaskclusterFailure: It is no HTTP URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise TaskclusterFailure(
            f"data is said to be at an address that is no http or https URL ({parts.scheme or '?'}:)"
        )
    return quote(parts._replace(path=parts.path or "/", fragment="").geturl(), safe="!#$%&'()*+,/:;=?@[]~")


def has_expired(location: Location, now: float) -> bool:
    """Whether a location has ceased to hold, as far as is known.

    Args:
        location: The location.
        now: Unix time in seconds.
    """
    if location.expires is None:
        return False
    try:
        # Python 3.10 does not read the Z.
        date = datetime.datetime.fromisoformat(location.expires.replace("Z", "+00:00"))
    except ValueError:
        return False
    return date.replace(tzinfo=date.tzinfo or datetime.timezone.utc).timestamp() <= now
