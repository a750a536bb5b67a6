"""Prepare a task's definition to be created again."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.shapes import is_array, is_mapping
from taskcluster.timestamps import format_date

from .dates import parsed, present

if TYPE_CHECKING:
    from taskcluster_queue.types import CreateTaskRequest

__all__ = ["resubmittable"]


def resubmittable(definition: Mapping[str, Any], now: datetime.datetime | None = None) -> CreateTaskRequest:
    """Return a copy of a task's definition with its times moved so that it is created now.

    `created`, `deadline` and `expires` move by the same span, and so does every `expires` in `payload.artifacts`, be
    that a dict or a list. Everything else stays, for example the task group and the dependencies.

    Args:
        definition: As `queue.task` returns it; not changed. Dates may be datetimes.
        now: When the new task is created, an aware datetime. Defaults to the present.

    Raises:
        TaskclusterFailure: A date is missing or malformed.
    """
    moved: dict[str, Any] = copy.deepcopy(dict(definition))
    start = present() if now is None else now
    if start.tzinfo is None:
        raise TaskclusterFailure("resubmittable: now must be an aware datetime, e.g. datetime.now(timezone.utc)")
    span = start - _date("created", moved.get("created"))
    for name in ("created", "deadline", "expires"):
        # The queue sets `expires` if it is omitted.
        if name != "expires" or moved.get(name) is not None:
            moved[name] = format_date(_date(name, moved.get(name)) + span)
    payload = moved.get("payload")
    if is_mapping(payload) and "artifacts" in payload:
        _shift_expires(payload["artifacts"], span)
    return cast("CreateTaskRequest", moved)


def _date(name: str, value: Any) -> datetime.datetime:
    found = parsed(value)
    if found is None:
        raise TaskclusterFailure(f"resubmittable: the definition's {name} must be a date in ISO 8601, not {value!r}")
    return found


def _shift_expires(value: Any, span: datetime.timedelta) -> None:
    """Shift, in place, every `expires` that is a date."""
    if isinstance(value, dict):
        for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            date = parsed(inner) if name == "expires" else None
            if date is None:
                _shift_expires(inner, span)
            else:
                value[name] = format_date(date + span)
    elif is_array(value):
        for inner in value:
            _shift_expires(inner, span)
