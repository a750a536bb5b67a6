"""What responses of storage show, and which bytes to request next. No I/O."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import NamedTuple

from taskcluster_objects.resuming import content_length, encoding, strong_etag

__all__ = ["FIRST", "Part", "Stored", "first_bytes", "judge_part", "part_headers", "stored"]

FIRST = 64 * 1024
"""How many bytes to request first of a file of unknown size."""
_SMALL = 4 * 1024 * 1024
"""Files of at most this size are requested completely at once."""
_NUMBER = r"[0-9]{1,18}"
_CONTENT_RANGE = re.compile(rf"bytes (?:({_NUMBER})-({_NUMBER})|\*)/({_NUMBER}|\*)\s*", re.IGNORECASE)


class Stored(NamedTuple):
    """How storage has a file, as the first response shows it."""

    size: int | None
    """The number of stored bytes, if known."""
    encoding: str
    """The Content-Encoding; empty for none."""
    etag: str | None
    """A strong one, or None."""
    received: int | None
    """How many bytes, from the first one, the body of this response has; None if that is not known."""
    modified: str | None
    """The Last-Modified header."""

    @property
    def has_ranges(self) -> bool:
        """Whether any part of the content can be requested."""
        return self.size is not None and self.received is not None and not self.encoding


def first_bytes(size: int | None) -> int:
    """Return how many bytes to request first.

    Args:
        size: The size, if known.
    """
    return size if size is not None and 0 < size <= _SMALL else FIRST


def stored(status: int, headers: Mapping[str, str]) -> Stored | None:
    """Return what the response to a request for the first bytes shows, or None if it does not hold them.

    Args:
        status: 200 (everything, although a part was requested), 206, or 416 (there are no bytes).
        headers: The response's headers.
    """
    kind = encoding(headers)
    etag, modified = strong_etag(headers), headers.get("Last-Modified")
    if status == 200:
        return Stored(content_length(headers), kind, etag, None, modified)
    found = _content_range(headers)
    if found is None:
        # Not all servers send Content-Range with 416.
        return Stored(0, kind, etag, 0, modified) if status == 416 else None
    first, last, size = found
    if status == 416:
        return Stored(0, "", etag, 0, modified) if size == 0 else None
    return Stored(size, kind, etag, last + 1, modified) if first == 0 and last is not None else None


def _content_range(headers: Mapping[str, str]) -> tuple[int | None, int | None, int | None] | None:
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None:
        return None
    first, last, size = (None if part in (None, "*") else int(part) for part in found.groups())
    return first, last, size


def part_headers(start: int, end: int | None, etag: str | None) -> dict[str, str]:
    """Return the headers that request bytes from `start` to before `end`, if the file is still the same."""
    last = "" if end is None else end - 1
    return {"Range": f"bytes={start}-{last}"} | ({} if etag is None else {"If-Match": etag})


class Part(enum.Enum):
    """What to do with the response to a request for a part."""

    READ = "read it"
    SKIP = "read it after skipping the bytes before the requested ones"
    CHANGED = "fail, because it is of another version"
    BROKEN = "retry"


def judge_part(status: int, headers: Mapping[str, str], start: int, known: Stored) -> Part:
    """Return what to do with a response with status 200, 206, 412 or 416.

    Args:
        status: The status.
        headers: The response's headers.
        start: The position of the first requested byte.
        known: What the first response showed.
    """
    if (
        status in (412, 416)
        or (known.etag is not None and headers.get("ETag", known.etag).strip() != known.etag)
        or encoding(headers) != known.encoding
    ):
        return Part.CHANGED
    if status == 200:
        length = content_length(headers)
        return Part.CHANGED if known.size is not None and length not in (None, known.size) else Part.SKIP
    found = _content_range(headers)
    if found is None or found[0] != start:
        return Part.BROKEN
    return Part.CHANGED if found[2] is not None and known.size is not None and found[2] != known.size else Part.READ
