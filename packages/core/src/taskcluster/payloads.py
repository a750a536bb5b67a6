"""JSON as it is sent: compact, dates as ISO 8601, bytes as text."""

from __future__ import annotations

import datetime
import json
from typing import Any

from . import timestamps
from .exceptions import TaskclusterFailure

__all__ = ["dumpJson", "encode_payload"]


def dumpJson(obj: Any, **kwargs: Any) -> str:
    """Return `obj` as compact JSON; datetimes become ISO 8601 strings, bytes become text.

    Args:
        obj: What `json.dumps` takes, with datetimes and bytes among its values.
        **kwargs: For `json.dumps`.

    Raises:
        TypeError: `obj` holds something else.
    """
    return json.dumps(obj, separators=(",", ":"), default=_plain, **kwargs)


def encode_payload(method: str, payload: Any) -> bytes:
    """Return a payload as the body of a request; raise TaskclusterFailure where it is no JSON value."""
    if isinstance(payload, str | bytes):
        raise TaskclusterFailure(
            f"{method}: the payload must be a JSON object, such as a dict, not {type(payload).__name__} "
            "(JSON text is to be read with json.loads first)"
        )
    try:
        # NaN and Infinity are no JSON; Python would write them, and the server refuse the whole body.
        return dumpJson(payload, allow_nan=False).encode("ascii")
    except UnicodeError:
        problem = "it holds bytes that are not UTF-8"
    except (TypeError, ValueError, RecursionError) as exc:
        problem = str(exc)
    # Not chained: a UnicodeError holds the bytes.
    raise TaskclusterFailure(f"{method}: the payload cannot be written as JSON: {problem}")


def _plain(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return timestamps.stringDate(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"{type(value).__name__} is no JSON value; datetimes and bytes are converted, nothing else")
