"""Index completed tasks by their routes `index.<path>`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ...encoding import is_object
from ...errors import ApiError
from ...events import Binding, Events, Message
from ...formats import Pattern
from ...parameters import parameter_pattern
from ...timestamps import Clock, from_wire
from .state import Index

__all__ = ["watch"]

_EXCHANGE = "exchange/taskcluster-queue/v1/task-completed"
_PREFIX = "route.index."
_PATH = Pattern.of(parameter_pattern("index", "namespace") or "")

_log = logging.getLogger("taskcluster.local")


def watch(events: Events, index: Index, definition: Callable[[str], Mapping[str, Any]], clock: Clock) -> None:
    """Index tasks when they complete.

    Args:
        events: Delivers the queue's messages.
        index: The index.
        definition: Returns the definition of a task by its taskId.
        clock: The deployment's time.
    """

    def react(message: Message) -> None:
        taskId = message.payload["status"]["taskId"]
        payload = _entry(taskId, definition(taskId))
        for route in message.routes:
            if not route.startswith(_PREFIX):
                continue
            # An invalid entry must not prevent the task from completing.
            try:
                _insert(index, route.removeprefix(_PREFIX), payload, clock())
            except ApiError as error:
                _log.warning("task %s was not indexed by %s: %s", taskId, route, error.message)

    events.react(Binding(_EXCHANGE, f"{_PREFIX}#"), react)


def _insert(index: Index, path: str, payload: dict[str, Any], now: datetime) -> None:
    if not _PATH.matches(path):
        raise ApiError("InputError", f"the path must match {_PATH.text}")
    if not is_object(payload["data"]):
        raise ApiError("InputError", "extra.index.data must be an object")
    try:
        from_wire(payload["expires"])
    except (TypeError, ValueError):
        raise ApiError("InputError", "extra.index.expires must be a date") from None
    index.insert(path, payload, now)


def _entry(taskId: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    wanted = definition["extra"].get("index")
    given = wanted if is_object(wanted) else {}
    return {
        "taskId": taskId,
        "rank": given.get("rank") or 0,
        "data": given.get("data") or {},
        "expires": given.get("expires") or definition["expires"],
    }
