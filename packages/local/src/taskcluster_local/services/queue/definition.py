"""Task definitions: complete and check what clients send to createTask. No state in here."""

from __future__ import annotations

from datetime import MAXYEAR, datetime, timedelta
from typing import Any

from taskcluster.shapes import is_array

from ...encoding import is_object
from ...errors import ApiError
from ...roles import check_scopes
from ...timestamps import CLOCK_DRIFT, from_wire, to_wire

__all__ = ["PRIORITIES", "check", "complete", "with_queue"]

PRIORITIES = ("highest", "very-high", "high", "medium", "low", "very-low", "lowest")
"""From highest to lowest."""

_LONGEST = timedelta(days=5)
_MOVED = timedelta(seconds=1)
"""From here on, the deployment's time must have been moved: the clocks are not read at the same instant."""
_FIELDS = (
    "provisionerId", "workerType", "taskQueueId", "schedulerId", "projectId", "taskGroupId", "dependencies", "requires",
    "routes", "priority", "retries", "created", "deadline", "expires", "scopes", "payload", "metadata", "tags", "extra",
)  # fmt: skip
_FREE_FIELDS = ("payload", "metadata", "tags", "extra")


def with_queue(given: dict[str, Any]) -> dict[str, Any]:
    """Return `given` with all of provisionerId, workerType and taskQueueId, some of which clients may omit.

    Raises:
        ApiError: They contradict each other, or too many are missing (InputError).
    """
    queue = given.get("taskQueueId")
    provisioner, worker_type = given.get("provisionerId"), given.get("workerType")
    pair = None if provisioner is None or worker_type is None else f"{provisioner}/{worker_type}"
    if queue is None and pair is None:
        raise ApiError("InputError", "either taskQueueId, or both provisionerId and workerType are required")
    name = str(queue or pair)
    first, _, second = name.partition("/")
    if provisioner not in (None, first) or worker_type not in (None, second):
        raise ApiError("InputError", 'taskQueueId must match "provisionerId/workerType"')
    return {**given, "provisionerId": first, "workerType": second, "taskQueueId": name}


def complete(taskId: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the stored form of a definition: complete, with dates in one format and properties in a fixed order."""
    deadline = from_wire(given["deadline"])
    expires = from_wire(given["expires"]) if "expires" in given else _year_after(deadline)
    found = {
        **given,
        "taskGroupId": given.get("taskGroupId", taskId),
        "created": to_wire(from_wire(given["created"])),
        "deadline": to_wire(deadline),
        "expires": to_wire(expires),
        **{field: _as_stored(given[field]) for field in _FREE_FIELDS},
    }
    return {field: found[field] for field in _FIELDS}


def check(definition: dict[str, Any], now: datetime, ahead: timedelta) -> None:
    """Raise ApiError (InputError) unless a complete definition is valid at this time.

    Args:
        definition: The definition.
        now: The deployment's time.
        ahead: How far that is ahead of the client's clock.
    """
    created, deadline = definition["created"], definition["deadline"]
    wrong = None
    if created < to_wire(now - CLOCK_DRIFT):
        wrong = "`created` cannot be in the past (max 15min drift)"
    elif created > to_wire(now + CLOCK_DRIFT):
        wrong = "`created` cannot be in the future (max 15min drift)"
    elif created > deadline:
        wrong = "`deadline` cannot be before `created`"
    elif deadline < to_wire(now):
        wrong = "`deadline` cannot be in the past"
    elif deadline > to_wire(now + _LONGEST + CLOCK_DRIFT):
        wrong = "`deadline` cannot be more than 5 days into the future"
    elif definition["expires"] < deadline:
        wrong = "`expires` cannot be before `deadline`"
    if wrong is not None:
        raise ApiError("InputError", f"{wrong}{_time_hint(now) if ahead > _MOVED else ''}")
    check_scopes(definition["scopes"])


def _time_hint(now: datetime) -> str:
    return (
        f"\nThe time of this local deployment was moved forward, to {to_wire(now)}. Use it for dates: `local.now()`, "
        "or `taskcluster_local.now()` with the pytest fixture."
    )


def _year_after(date: datetime) -> datetime:
    if (date.month, date.day) == (2, 29):
        date = date.replace(month=3, day=1)
    return date.replace(year=min(date.year + 1, MAXYEAR))


def _as_stored(value: Any) -> Any:
    """Return a JSON value as a real deployment's database returns it: keys sorted by length, then bytes."""
    if is_object(value):
        keys = sorted(value, key=lambda key: (len(encoded := key.encode(errors="surrogatepass")), encoded))
        return {key: _as_stored(value[key]) for key in keys}
    if is_array(value):
        return [_as_stored(item) for item in value]
    return value
