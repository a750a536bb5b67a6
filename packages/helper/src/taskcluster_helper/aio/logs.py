"""The async function that reads what tasks log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from taskcluster.runner import iterate_async

from ..effects import LogProcedure
from ..procedures import logs
from ..waiting import pace_of
from .performer import AsyncHelperPerformer

if TYPE_CHECKING:
    from taskcluster_queue.aio import Queue

__all__ = ["task_log_lines"]


def task_log_lines(
    queue: Queue,
    taskId: str,
    runId: int | str | None = None,
    *,
    name: str | None = None,
    silence: float = 300.0,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> AsyncIterator[str]:
    """Yield the lines of a run's log, without their line ends; of a running task, as they are written and to its end.

    Arguments and exceptions are those of `taskcluster.helper.task_log_lines`, with an async client.
    """
    pace = pace_of(None, delay, max_delay, None)
    return _lines(logs.follow(queue, taskId, runId, name, silence, pace), AsyncHelperPerformer(queue))


async def _lines(procedure: LogProcedure[None], performer: AsyncHelperPerformer) -> AsyncIterator[str]:
    try:
        async with aclosing(iterate_async(procedure, performer)) as lines:
            async for line in lines:
                yield line
    finally:
        await performer.close()
