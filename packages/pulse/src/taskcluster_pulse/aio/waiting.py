"""The async functions that wait for a task or a task group with messages; arguments as for the sync functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from taskcluster.effects import Sleep
from taskcluster.runner import run_async
from taskcluster_helper.aio.performer import AsyncHelperPerformer
from taskcluster_helper.procedures import waiting
from taskcluster_helper.waiting import pace_of

from ..waiting import POLL, RaisesReconnected, Reconnected, connect_arguments, group_bindings, task_bindings
from .consumer import Consumer

if TYPE_CHECKING:
    from taskcluster_queue.aio import Queue

    from taskcluster_helper.effects import Effect, Procedure

__all__ = ["wait_for_task", "wait_for_task_group"]

T = TypeVar("T")


async def wait_for_task(
    queue: Queue,
    taskId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any]], object] | None = None,
    poll: float = POLL,
    **broker: Any,
) -> dict[str, Any]:
    """Wait until a task is resolved, and return its status; as the sync function."""
    procedure = waiting.task(queue, taskId, pace_of(timeout, poll, poll, on_change))
    return await _wait(queue, task_bindings(taskId), procedure, broker)


async def wait_for_task_group(
    queue: Queue,
    taskGroupId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[Counter[str]], object] | None = None,
    poll: float = POLL,
    **broker: Any,
) -> Counter[str]:
    """Wait until every task of a group is resolved, and return the number in each state; as the sync function."""
    procedure = waiting.group(queue, taskGroupId, pace_of(timeout, poll, poll, on_change))
    return await _wait(queue, group_bindings(taskGroupId), procedure, broker)


async def _wait(queue: Any, bindings: list[tuple[str, str]], procedure: Procedure[T], broker: Mapping[str, Any]) -> T:
    performer = _AsyncMessagePerformer(queue)
    arguments = connect_arguments(queue, broker)
    async with Consumer(bindings, on_connected=performer.connected, **arguments) as performer.messages:
        return await run_async(procedure, performer)


class _AsyncMessagePerformer(RaisesReconnected, AsyncHelperPerformer):
    """Waits for a message where the helper sleeps."""

    messages: Consumer[Any]

    async def __call__(self, effect: Effect) -> Any:
        if not isinstance(effect, Sleep):
            return await super().__call__(effect)
        try:
            await self.messages.get(effect.seconds)
        except (TimeoutError, Reconnected):
            pass
        return None
