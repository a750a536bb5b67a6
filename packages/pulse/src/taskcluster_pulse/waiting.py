"""The sync functions that wait for a task or a task group with messages instead of polling often."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from taskcluster.effects import Sleep
from taskcluster.runner import run
from taskcluster_helper.performer import HelperPerformer
from taskcluster_helper.procedures import waiting
from taskcluster_helper.waiting import pace_of

from .consumer import Consumer
from .settings import is_broker_named

if TYPE_CHECKING:
    from taskcluster_queue import Queue

    from taskcluster_helper.effects import Effect, Procedure

__all__ = [
    "POLL",
    "RaisesReconnected",
    "Reconnected",
    "connect_arguments",
    "group_bindings",
    "task_bindings",
    "wait_for_task",
    "wait_for_task_group",
]

T = TypeVar("T")

POLL = 300.0
"""Seconds between two polls without a message, because a message may be missing."""
_TASK = ("task-completed", "task-failed", "task-exception")


class Reconnected(Exception):
    """Raised out of `get` after a reconnection, before which messages may have been missed."""


class RaisesReconnected:
    """Ends `get` after each reconnection of a consumer; pass `connected` as its `on_connected`."""

    _is_connected = False

    def connected(self) -> None:
        """Note a connection; raise Reconnected unless it is the first."""
        was_connected, self._is_connected = self._is_connected, True
        if was_connected:
            raise Reconnected


def task_bindings(taskId: str) -> list[tuple[str, str]]:
    """Return the bindings of the messages about the end of a task's runs."""
    return [(f"exchange/taskcluster-queue/v1/{name}", f"primary.{taskId}.#") for name in _TASK]


def group_bindings(taskGroupId: str) -> list[tuple[str, str]]:
    """Return the binding of the message that all tasks of a group are resolved."""
    return [("exchange/taskcluster-queue/v1/task-group-resolved", f"primary.{taskGroupId}.#")]


def connect_arguments(queue: Any, broker: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a consumer: by default, those for the message stream of the client's deployment."""
    named = any(broker.get(name) for name in ("url", "hostname", "root_url"))
    if named or is_broker_named(os.environ):
        return dict(broker)
    options = queue.options
    return {"root_url": options["rootUrl"], "credentials": options.get("credentials"), **broker}


def wait_for_task(
    queue: Queue,
    taskId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any]], object] | None = None,
    poll: float = POLL,
    **broker: Any,
) -> dict[str, Any]:
    """Wait until a task is resolved, and return its status.

    The status is requested at the start, after each message about the end of a run, after a reconnection, and at the
    end, so that nothing is missed; and every few minutes, because a message may be missing.

    Args:
        queue: A `taskcluster.Queue`.
        taskId: The task.
        timeout: Seconds to wait; None waits forever.
        on_change: Called with the first status, and again whenever it changes.
        poll: Seconds between two requests without a message.
        **broker: Arguments of `Consumer`, e.g. `url`. Without any, and without variables that name a broker, the
            messages come from the stream of the client's deployment.

    Raises:
        WaitTimeoutError: The timeout is over; its `last` is the last status.
        TaskclusterFailure: A call or the connection failed.
    """
    procedure = waiting.task(queue, taskId, pace_of(timeout, poll, poll, on_change))
    return _wait(queue, task_bindings(taskId), procedure, broker)


def wait_for_task_group(
    queue: Queue,
    taskGroupId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[Counter[str]], object] | None = None,
    poll: float = POLL,
    **broker: Any,
) -> Counter[str]:
    """Wait until every task of a group is resolved, and return how many there are in each state.

    The group is listed at the start, when a message says that it is resolved, after a reconnection, every few minutes,
    and at the end.

    Args:
        queue: A `taskcluster.Queue`.
        taskGroupId: The task group.
        timeout: Seconds to wait; None waits forever.
        on_change: Called with the first counts, and again whenever they change.
        poll: Seconds between two listings without a message.
        **broker: As for `wait_for_task`.

    Raises:
        WaitTimeoutError: The timeout is over; its `last` has the last counts.
        TaskclusterFailure: A call or the connection failed.
    """
    procedure = waiting.group(queue, taskGroupId, pace_of(timeout, poll, poll, on_change))
    return _wait(queue, group_bindings(taskGroupId), procedure, broker)


def _wait(queue: Any, bindings: list[tuple[str, str]], procedure: Procedure[T], broker: Mapping[str, Any]) -> T:
    performer = _MessagePerformer(queue)
    arguments = connect_arguments(queue, broker)
    with Consumer(bindings, on_connected=performer.connected, **arguments) as performer.messages:
        return run(procedure, performer)


class _MessagePerformer(RaisesReconnected, HelperPerformer):
    """Waits for a message where the helper sleeps."""

    messages: Consumer[Any]

    def __call__(self, effect: Effect) -> Any:
        if not isinstance(effect, Sleep):
            return super().__call__(effect)
        try:
            self.messages.get(effect.seconds)
        except (TimeoutError, Reconnected):
            pass
        return None
