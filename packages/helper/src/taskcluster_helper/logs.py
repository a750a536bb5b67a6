"""The sync function that reads what tasks log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from taskcluster.runner import iterate

from .effects import LogProcedure
from .performer import HelperPerformer
from .procedures import logs
from .waiting import pace_of

if TYPE_CHECKING:
    from taskcluster_queue import Queue

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
) -> Iterator[str]:
    """Yield the lines of a run's log, without their line ends; of a running task, as they are written and to its end.

    The queue is called with the client's credentials, so that private logs need the scope `queue:get-artifact:<name>`.
    The log itself is fetched without authentication, from the URL that the queue returns. After a broken connection,
    reading resumes at the same position. Bytes that are not UTF-8 become `\ufffd`.

    Args:
        queue: A `taskcluster.Queue`.
        taskId: The task. If it is not running yet, wait for it.
        runId: The run. Defaults to the latest one at the first poll.
        name: The log's artifact. Defaults to the one in the task's payload (`log`, or `logs`), or to
            `public/logs/live.log` and `public/logs/live_backing.log`.
        silence: Seconds without a byte after which to poll the run, and request its live log again.
        delay: Seconds before the second poll of a task that has no log yet; it doubles while nothing changes.
        max_delay: The longest delay.

    Raises:
        ArtifactMissingError: The run has ended and there is no log.
        TaskclusterFailure: A call failed, or ten in a row failed with errors that may be temporary.
    """
    pace = pace_of(None, delay, max_delay, None)
    return _lines(logs.follow(queue, taskId, runId, name, silence, pace), HelperPerformer(queue))


def _lines(procedure: LogProcedure[None], performer: HelperPerformer) -> Iterator[str]:
    with closing(performer):
        yield from iterate(procedure, performer)
