"""The sync functions that wait for a state of the server."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from taskcluster.runner import run

from .dates import present
from .performer import HelperPerformer
from .procedures import waiting

if TYPE_CHECKING:
    from taskcluster_index import Index
    from taskcluster_queue import Queue

__all__ = ["pace_of", "wait_for_artifact", "wait_for_indexed_task", "wait_for_task", "wait_for_task_group"]


def wait_for_task(
    queue: Queue,
    taskId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any]], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until a task is resolved, and return its status; its `state` is `completed`, `failed` or `exception`.

    Args:
        queue: A `taskcluster.Queue`.
        taskId: The task.
        timeout: Seconds to wait, after which there is one last poll of up to 5 seconds. A call that takes longer is
            cancelled. None waits forever.
        on_change: Called with the result of the first poll, and again whenever it changes.
        delay: Seconds before the second poll; it doubles, randomized, while nothing changes.
        max_delay: The longest delay.

    Raises:
        WaitTimeoutError: The timeout is over; its `last` is the result of the last poll.
        TaskclusterFailure: A call failed, or ten polls in a row failed with errors that may be temporary.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return run(waiting.task(queue, taskId, pace), HelperPerformer(queue))


def wait_for_task_group(
    queue: Queue,
    taskGroupId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[Counter[str]], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> Counter[str]:
    """Wait until every task of a group is resolved, and return how many there are in each state.

    Args:
        queue: A `taskcluster.Queue`.
        taskGroupId: The task group. Tasks that are added after all others are resolved are not waited for.
        timeout: Seconds to wait, after which there is one last poll of up to 5 seconds. A call that takes longer is
            cancelled. None waits forever.
        on_change: Called with the result of the first poll, and again whenever it changes.
        delay: Seconds before the second poll; it doubles, randomized, while nothing changes.
        max_delay: The longest delay.

    Raises:
        WaitTimeoutError: The timeout is over; its `last` is the result of the last poll.
        TaskclusterFailure: A call failed, or ten polls in a row failed with errors that may be temporary.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return run(waiting.group(queue, taskGroupId, pace), HelperPerformer(queue))


def wait_for_indexed_task(
    index: Index,
    indexPath: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any] | None], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until the index has a task, and return what `index.findTask` returns, including its `taskId`.

    Args:
        index: A `taskcluster.Index`.
        indexPath: The path in the index, e.g. `project.builds.latest`.
        timeout: Seconds to wait, after which there is one last poll of up to 5 seconds. A call that takes longer is
            cancelled. None waits forever.
        on_change: Called with the result of the first poll, and again whenever it changes; None if there is none yet.
        delay: Seconds before the second poll; it doubles, randomized, while nothing changes.
        max_delay: The longest delay.

    Raises:
        WaitTimeoutError: The timeout is over; its `last` is the result of the last poll.
        TaskclusterFailure: A call failed, or ten polls in a row failed with errors that may be temporary.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return run(waiting.indexed_task(index, indexPath, pace), HelperPerformer(index))


def wait_for_artifact(
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

    Args:
        queue: A `taskcluster.Queue`.
        taskId: The task.
        name: The artifact's name.
        runId: The run. Defaults to the run that is the latest at each poll.
        timeout: Seconds to wait, after which there is one last poll of up to 5 seconds. A call that takes longer is
            cancelled. None waits forever.
        on_change: Called with the result of the first poll, and again whenever it changes; None if there is none yet.
        delay: Seconds before the second poll; it doubles, randomized, while nothing changes.
        max_delay: The longest delay.

    Raises:
        ArtifactMissingError: The run has ended without it.
        WaitTimeoutError: The timeout is over; its `last` is the result of the last poll.
        TaskclusterFailure: A call failed, or ten polls in a row failed with errors that may be temporary.
    """
    pace = pace_of(timeout, delay, max_delay, on_change)
    return run(waiting.artifact(queue, taskId, name, runId, pace), HelperPerformer(queue))


def pace_of(
    timeout: float | None, delay: float, max_delay: float, on_change: Callable[[Any], Any] | None
) -> waiting.Pace:
    """Return the pace of these arguments, by the clocks of this machine."""
    return waiting.Pace(timeout, delay, max_delay, on_change, present, time.monotonic, random.random)
