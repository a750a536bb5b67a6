"""The async functions that wait for a state of the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from taskcluster.runner import run_async

from ..procedures import waiting
from ..waiting import pace_of
from .performer import AsyncHelperPerformer

if TYPE_CHECKING:
    from taskcluster_index.aio import Index
    from taskcluster_queue.aio import Queue

__all__ = ["wait_for_artifact", "wait_for_indexed_task", "wait_for_task", "wait_for_task_group"]


async def wait_for_task(
    queue: Queue,
    taskId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any]], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until a task is resolved, and return its status; its `state` is `completed`, `failed` or `exception`.

    Arguments and exceptions are those of `taskcluster.helper.wait_for_task`, with an async client.
    `on_change` may be a coroutine function.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return await run_async(waiting.task(queue, taskId, pace), AsyncHelperPerformer(queue))


async def wait_for_task_group(
    queue: Queue,
    taskGroupId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[Counter[str]], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> Counter[str]:
    """Wait until every task of a group is resolved, and return how many there are in each state.

    Arguments and exceptions are those of `taskcluster.helper.wait_for_task_group`, with an async client.
    `on_change` may be a coroutine function.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return await run_async(waiting.group(queue, taskGroupId, pace), AsyncHelperPerformer(queue))


async def wait_for_indexed_task(
    index: Index,
    indexPath: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any] | None], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until the index has a task, and return what `index.findTask` returns, including its `taskId`.

    Arguments and exceptions are those of `taskcluster.helper.wait_for_indexed_task`, with an async client.
    `on_change` may be a coroutine function.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return await run_async(waiting.indexed_task(index, indexPath, pace), AsyncHelperPerformer(index))


async def wait_for_artifact(
    queue: Queue,
    taskId: str,
    name: str,
    runId: int | str | None = None,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any] | None], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until a task has an artifact, and return what `queue.artifactInfo` returns.

    Arguments and exceptions are those of `taskcluster.helper.wait_for_artifact`, with an async client.
    `on_change` may be a coroutine function.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return await run_async(waiting.artifact(queue, taskId, name, runId, pace), AsyncHelperPerformer(queue))
