"""Payloads as compact JSON, with dates as ISO 8601 and bytes as strings."""

from __future__ import annotations

import datetime
import json
from typing import Any

from . import timestamps
from .exceptions import TaskclusterFailure

__all__ = ["dumpJson", "encode_payload"]


def dumpJson(obj: Any, **kwargs: Any) -> str:
    """Return `obj` as compact JSON; datetimes become ISO 8601 strings, bytes become strings.

    Args:
        obj: A value for `json.dumps`, which may contain datetimes and bytes.
        **kwargs: For `json.dumps`.

    Raises:
        TypeError: `obj` contains a value of another type.
    """
    return json.dumps(obj, separators=(",", ":"), default=_plain, **kwargs)


def encode_payload(method: str, payload: Any) -> bytes:
    """Return a payload as the body of a request; raise TaskclusterFailure if it is not a JSON value."""
    if isinstance(payload, str | bytes):
        raise TaskclusterFailure(
            f"{method}: the payload must be a JSON object, for example a dict, not {type(payload).__name__}; "
            "parse JSON with json.loads first"
        )
    try:
        # Python writes NaN and Infinity, which are not JSON, and the server rejects them.
        return dumpJson(payload, allow_nan=False).encode("ascii")
    except UnicodeError:
        problem = "it contains bytes that are not UTF-8"
    except (TypeError, ValueError, RecursionError) as exc:
        problem = str(exc)
    # Not chained, because a UnicodeError holds the bytes.
    raise TaskclusterFailure(f"{method}: the payload cannot be written as JSON: {problem}")


def _plain(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return timestamps.stringDate(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"{type(value).__name__} is not a JSON type; only datetimes and bytes are converted")
