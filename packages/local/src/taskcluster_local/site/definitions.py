"""Definitions of tasks as people write them: in YAML, with dates relative to the creation. No state in here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import MAXYEAR, datetime, timedelta
from typing import Any

from taskcluster.shapes import is_array
from taskcluster.timestamps import fromNow

from .. import yaml_core
from ..encoding import is_object
from ..errors import ApiError
from ..timestamps import from_wire, to_wire
from .form_fields import parsed

__all__ = ["LONGEST", "as_text", "first_definition", "parse", "problems", "retriggered"]

LONGEST = 1_000_000
"""The most characters of a definition. In a form each takes up to nine bytes, which fits into the largest body."""

_DATES = ("created", "deadline", "expires")
_SCHEMA_ERROR = re.compile(r"^  \* data(?P<pointer>(?:/.*?)?) (?P<rule>must .*)$", re.MULTILINE)
_UNKNOWN_KEY = re.compile(r'must NOT have additional properties: "(.*)"')
_NAMED_KEY = re.compile(r"`(\w+)`", re.ASCII)

_FIRST = """\
# A date can be relative to when the task is created.
taskQueueId: {queue}
created: {{$fromNow: 0 seconds}}
deadline: {{$fromNow: 2 hours}}
expires: {{$fromNow: 7 days}}
{payload}
metadata:
  name: Example
  description: Created on the page of the local deployment
  owner: you@example.com
  source: {root_url}/tasks/create
"""
_COMMAND = """\
payload:
  command:
    - [sh, -c, echo "This is task $TASK_ID"]
  maxRunTime: 600"""
_NOTHING = """\
# This queue resolves its tasks at once. Those of built-in/fail fail.
payload: {}"""


def first_definition(queue: str | None, root_url: str) -> str:
    """Return a definition to start from.

    Args:
        queue: The task queue of a worker that runs commands, or None.
        root_url: The root URL of the deployment.
    """
    payload = _NOTHING if queue is None else _COMMAND
    return _FIRST.format(queue=queue or "built-in/succeed", payload=payload, root_url=root_url)


def parse(text: str, now: datetime) -> dict[str, Any]:
    """Return the payload of createTask in a YAML or JSON document.

    Args:
        text: The document.
        now: When the task is created.

    Raises:
        ApiError: It is neither YAML nor JSON, or not a mapping, or has something that JSON has not, or an invalid
            relative date (InputError).
    """
    definition = parsed(text)
    if not is_object(definition):
        raise ApiError("InputError", "The definition must be a mapping, with taskQueueId, payload, metadata and dates.")
    return _dated(definition, now)


def as_text(definition: dict[str, Any]) -> str:
    """Return a task's definition as YAML, with relative dates, to create a similar task from."""
    shown = _relative(definition)
    # They repeat the taskQueueId.
    for name in ("provisionerId", "workerType"):
        shown.pop(name, None)
    return yaml_core.dump(shown)


def retriggered(definition: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return the payload of createTask for a task like another one, without its routes and dependencies.

    A route would let the index point to the new task; a dependency may have failed or expired.
    """
    made = _dated(_relative(definition), now)
    return {name: value for name, value in made.items() if name not in ("routes", "dependencies")}


def _relative(definition: dict[str, Any]) -> dict[str, Any]:
    """Replace dates by `{$fromNow: …}`, counted from the task's creation."""
    created = from_wire(definition["created"])

    def convert(value: Any) -> Any:
        try:
            date = from_wire(value) if isinstance(value, str) else None
        except ValueError:
            return None
        # A later task's could be out of range.
        return None if date is None or date.year == MAXYEAR else {"$fromNow": _span(date - created)}

    return _with_dates(definition, convert)


def _span(span: timedelta) -> str:
    seconds = span // timedelta(seconds=1)
    sign = "-" if seconds < 0 else ""
    minutes, second = divmod(abs(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    units = {"day": day, "hour": hour, "minute": minute, "second": second}
    parts = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in units.items() if count]
    return sign + (" ".join(parts) or "0 seconds")


def _dated(definition: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Replace `{$fromNow: …}` by dates."""

    def convert(value: Any) -> Any:
        if not is_object(value) or list(value) != ["$fromNow"] or not isinstance(value["$fromNow"], str):
            return None
        try:
            return to_wire(fromNow(value["$fromNow"], now))
        except ValueError as error:
            raise ApiError("InputError", f"$fromNow: {error}") from None

    return _with_dates(definition, convert)


def _with_dates(definition: dict[str, Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
    """Convert a definition's own dates, and those when its artifacts expire.

    Args:
        definition: The definition; not changed.
        convert: Returns the new value; None for a value that is not a date.
    """
    found = dict(definition)
    for name in _DATES:
        if name in found:
            found[name] = convert(found[name]) or found[name]
    payload = found.get("payload")
    if is_object(payload) and "artifacts" in payload:
        found["payload"] = {**payload, "artifacts": _with_expires(payload["artifacts"], convert)}
    return found


def _with_expires(value: Any, convert: Callable[[Any], Any]) -> Any:
    if is_array(value):
        return [_with_expires(each, convert) for each in value]
    if not is_object(value):
        return value
    return {
        name: (name == "expires" and convert(below)) or _with_expires(below, convert) for name, below in value.items()
    }


def problems(text: str, message: str) -> list[dict[str, Any]]:
    """Return the errors of a definition, each a `message` with the `line` that it is about, if that is known.

    Args:
        text: The definition, which could be parsed.
        message: The message of an error that the API has reported for it.
    """
    found: list[tuple[list[str], str]] = []
    for error in _SCHEMA_ERROR.finditer(message):
        path = [part.replace("~1", "/").replace("~0", "~") for part in error["pointer"].split("/")[1:]]
        unknown = _UNKNOWN_KEY.fullmatch(error["rule"])
        where = ".".join(path) or "the definition"
        found.append(([*path, unknown[1]] if unknown else path, f"{where} {error['rule']}"))
    if not found:
        key = _NAMED_KEY.search(message)
        found = [([key[1]] if key else [], message)]
    lines = yaml_core.lines_of(text, [path for path, _ in found])
    return [{"line": line, "message": message} for line, (_, message) in zip(lines, found, strict=True)]
