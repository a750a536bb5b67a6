"""The sync functions that wait for what happens on the server, and read what tasks log."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import logs, waiting
from .dates import present
from .drive import lines_of, result_of

if TYPE_CHECKING:
    from taskcluster_index import Index
    from taskcluster_queue import Queue

__all__ = ["task_log_lines", "wait_for_artifact", "wait_for_indexed_task", "wait_for_task", "wait_for_task_group"]


def wait_for_task(
    queue: Queue,
    taskId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any]], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until a task is resolved, and return its status, whose `state` is `completed`, `failed` or `exception`.

    Args:
        queue: A `taskcluster.Queue`.
        taskId: The task.
        timeout: Seconds to wait at most, after which there is one last look, of up to 5 seconds. A call that takes
            longer is given up. None waits for ever.
        on_change: Called with what is seen at the first look and at each change.
        delay: Seconds before the second look; it doubles, with some chance in it, while nothing changes.
        max_delay: The most that it becomes.

    Raises:
        WaitTimeoutError: The time is over; its `last` is what was seen last.
        TaskclusterFailure: A call failed. Failures that may pass are waited out, up to ten looks in a row.
    """
    return result_of(waiting.task(queue, taskId, _pace(timeout, delay, max_delay, on_change)))


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
        taskGroupId: The task group. Tasks that are added once all others are resolved come too late.
        timeout: Seconds to wait at most, after which there is one last look, of up to 5 seconds. A call that takes
            longer is given up. None waits for ever.
        on_change: Called with what is seen at the first look and at each change.
        delay: Seconds before the second look; it doubles, with some chance in it, while nothing changes.
        max_delay: The most that it becomes.

    Raises:
        WaitTimeoutError: The time is over; its `last` is what was seen last.
        TaskclusterFailure: A call failed. Failures that may pass are waited out, up to ten looks in a row.
    """
    return result_of(waiting.group(queue, taskGroupId, _pace(timeout, delay, max_delay, on_change)))


def wait_for_indexed_task(
    index: Index,
    indexPath: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any] | None], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until the index has a task, and return what `index.findTask` says of it, its `taskId` among that.

    Args:
        index: A `taskcluster.Index`.
        indexPath: Where it is to appear, such as `project.builds.latest`.
        timeout: Seconds to wait at most, after which there is one last look, of up to 5 seconds. A call that takes
            longer is given up. None waits for ever.
        on_change: Called with what is seen at the first look and at each change; None stands for its not being there.
        delay: Seconds before the second look; it doubles, with some chance in it, while nothing changes.
        max_delay: The most that it becomes.

    Raises:
        WaitTimeoutError: The time is over; its `last` is what was seen last.
        TaskclusterFailure: A call failed. Failures that may pass are waited out, up to ten looks in a row.
    """
    return result_of(waiting.indexed_task(index, indexPath, _pace(timeout, delay, max_delay, on_change)))


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
    """Wait until a task has an artifact, and return what `queue.artifactInfo` says of it.

    Args:
        queue: A `taskcluster.Queue`.
        taskId: The task.
        name: The artifact's name.
        runId: The run; the latest, at each look, where left out.
        timeout: Seconds to wait at most, after which there is one last look, of up to 5 seconds. A call that takes
            longer is given up. None waits for ever.
        on_change: Called with what is seen at the first look and at each change; None stands for its not being there.
        delay: Seconds before the second look; it doubles, with some chance in it, while nothing changes.
        max_delay: The most that it becomes.

    Raises:
        ArtifactMissingError: The run has ended without it.
        WaitTimeoutError: The time is over; its `last` is what was seen last.
        TaskclusterFailure: A call failed. Failures that may pass are waited out, up to ten looks in a row.
    """
    return result_of(waiting.artifact(queue, taskId, name, runId, _pace(timeout, delay, max_delay, on_change)))


def task_log_lines(
    queue: Queue,
    taskId: str,
    runId: int | str | None = None,
    *,
    name: str | None = None,
    silence: float = 300.0,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> Iterator[str]:
    """Yield the lines of a run's log, without their ends; of a running task, as they come and to its end.

    The log is fetched without authentication from where the queue says it is, and the queue is asked with the client's
    credentials, so that private logs need the scope `queue:get-artifact:<name>` and no more. Broken connections are
    taken up again, and no line comes twice. Bytes that are not UTF-8 become `\ufffd`.

    Args:
        queue: A `taskcluster.Queue`.
        taskId: The task. One that is not running yet is waited for.
        runId: The run; the latest at the beginning where left out.
        name: The log's artifact, where that is neither in the task's payload (`log`, or `logs`) nor the usual
            `public/logs/live.log` and `public/logs/live_backing.log`.
        silence: Seconds without a byte after which the run is looked at, and its live log asked for again.
        delay: Seconds before the second look at a task that has no log yet; it doubles while nothing changes.
        max_delay: The most that it becomes.

    Raises:
        ArtifactMissingError: The run has ended and there is no log.
        TaskclusterFailure: A call failed. Failures that may pass are waited out, up to ten in a row.
    """
    pace = _pace(None, delay, max_delay, None)
    return lines_of(logs.follow(queue, taskId, runId, name, silence, pace))


def _pace(
    timeout: float | None, delay: float, max_delay: float, on_change: Callable[[Any], Any] | None
) -> waiting.Pace:
    return waiting.Pace(timeout, delay, max_delay, on_change, present, time.monotonic, random.random)
