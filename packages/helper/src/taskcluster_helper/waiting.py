"""Waiting for something to come about on the server: what is looked at, how often, and when it is there."""

from __future__ import annotations

import datetime
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.pages import continuation, with_continuation
from taskcluster.retries import Policy, retryable

from .dates import parsed
from .effects import Ask, Asking, Invoke, Procedure, Sleep
from .exceptions import ArtifactMissingError, WaitTimeoutError

__all__ = [
    "PATIENCE",
    "RESOLVED",
    "Pace",
    "artifact",
    "found_or_none",
    "group",
    "indexed_task",
    "may_still_come",
    "passing",
    "run_of",
    "task",
    "task_status",
]

log = logging.getLogger("taskcluster")

T = TypeVar("T")

RESOLVED = frozenset({"completed", "failed", "exception"})
"""The states in which nothing happens to a task or run any more, unless someone reruns it."""
PATIENCE = 10
"""How many looks in a row may fail, each after the client's own retries, before the failure is the caller's."""
_LAST_LOOK = 5.0
"""Seconds that the last look may take, where the whole time is not shorter itself."""
_GRACE = datetime.timedelta(minutes=25)
"""For how long after an exception a worker may still create artifacts."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look and for how long, in seconds, and by which clocks."""

    timeout: float | None
    """None waits for ever."""
    delay: float
    """Before the second look; it doubles while nothing changes."""
    max_delay: float
    on_change: Callable[[Any], Any] | None
    now: Callable[[], datetime.datetime]
    monotonic: Callable[[], float]
    random: Callable[[], float]

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout >= 0:
            raise TaskclusterFailure(f"timeout must be a number of seconds that is not negative, not {self.timeout!r}")
        if not 0 < self.delay <= self.max_delay:
            raise TaskclusterFailure(
                f"delay must be above 0 and at most max_delay: delay={self.delay!r}, max_delay={self.max_delay!r}"
            )

    def pause(self, looks: int) -> float:
        """Return how long to wait after that many looks without a change."""
        seconds = Policy(sys.maxsize, self.delay, 0.25, self.max_delay).delay(looks, self.random())
        assert seconds is not None
        return seconds


def _wait(
    what: str, look: Callable[[Asking], Procedure[T]], mark: Callable[[T], Any], done: Callable[[T], bool], pace: Pace
) -> Procedure[T]:
    """Look until what is seen is what was waited for, and return it.

    Args:
        what: What is waited for, for errors and logs.
        look: Looks once, asking by what it is given.
        mark: Returns that by which two looks are told apart.
        done: Whether what is seen ends the waiting.
        pace: How often, and for how long.
    """
    deadline = until = None if pace.timeout is None else pace.monotonic() + pace.timeout

    def ask(call: partial[Any]) -> Ask:
        # A little is left for each page of a listing, or none could be asked for.
        return Ask(call, None if until is None else max(until - pace.monotonic(), 0.1))

    looks = failures = 0
    marked: Any = None
    last: T | None = None
    failure: TaskclusterFailure | None = None
    while True:
        started = pace.monotonic()
        if deadline is not None:
            until = max(deadline, started + min(pace.timeout or _LAST_LOOK, _LAST_LOOK))
        try:
            last = yield from look(ask)
        except TaskclusterFailure as exc:
            failures += 1
            if not passing(exc) or failures > PATIENCE:
                raise
            failure = exc
            log.warning("waiting for %s: no answer (%s), which is asked for again", what, type(exc).__name__)
        else:
            failures, failure = 0, None
            # In a tuple, so that a mark of None differs from there being none.
            if marked != (mark(last),):
                marked, looks = (mark(last),), 0
                if pace.on_change is not None:
                    yield Invoke(pace.on_change, (last,))
            if done(last):
                return last
        looks += 1
        ended = pace.monotonic()
        # Where a look is much work for the server, looks are as far apart.
        pause = max(pace.pause(looks), ended - started)
        if deadline is not None:
            if ended >= deadline:
                raise WaitTimeoutError(f"{what}: not within {pace.timeout:g} seconds", last) from failure
            pause = min(pause, deadline - ended)
        yield Sleep(pause)


def passing(failure: TaskclusterFailure) -> bool:
    """Whether a failure may be gone at the next look: no answer, the server failed, or it asks to slow down."""
    if isinstance(failure, TaskclusterConnectionError):
        return True
    return isinstance(failure, TaskclusterRestFailure) and retryable(failure.status_code)


def found_or_none(call: partial[Any], ask: Asking = Ask) -> Procedure[Any]:
    """Call a method and return its answer, or None where the server says 404."""
    try:
        return (yield ask(call))
    except TaskclusterRestFailure as exc:
        if exc.status_code != 404:
            raise
        return None


def task_status(queue: Any, taskId: str, ask: Asking = Ask) -> Procedure[dict[str, Any]]:
    """Return a task's status."""
    answer = yield ask(partial(queue.status, taskId))
    status: dict[str, Any] = answer["status"]
    return status


def task(queue: Any, taskId: str, pace: Pace) -> Procedure[dict[str, Any]]:
    """Wait for a task to resolve."""

    def mark(status: dict[str, Any]) -> Any:
        return status["state"], [run["state"] for run in status.get("runs", [])]

    return _wait(
        f"task {taskId} to resolve",
        partial(task_status, queue, taskId),
        mark,
        lambda status: status["state"] in RESOLVED,
        pace,
    )


def group(queue: Any, taskGroupId: str, pace: Pace) -> Procedure[Counter[str]]:
    """Wait for every task of a group to resolve."""

    def look(ask: Asking) -> Procedure[Counter[str]]:
        states: Counter[str] = Counter()
        token: str | None = None
        while True:
            page = yield ask(partial(queue.listTaskGroup, taskGroupId, **with_continuation({}, token)))
            states.update(each["status"]["state"] for each in page["tasks"])
            token = continuation(page)
            if token is None:
                return states

    def mark(states: Counter[str]) -> Any:
        return dict(states)

    return _wait(f"task group {taskGroupId} to finish", look, mark, lambda states: states.keys() <= RESOLVED, pace)


def indexed_task(index: Any, indexPath: str, pace: Pace) -> Procedure[Any]:
    """Wait for the index to have a task."""
    look = partial(found_or_none, partial(index.findTask, indexPath))
    return _wait(
        f"a task at {indexPath} in the index", look, lambda found: found, lambda found: found is not None, pace
    )


def artifact(queue: Any, taskId: str, name: str, runId: int | str | None, pace: Pace) -> Procedure[Any]:
    """Wait for an artifact to exist."""
    if runId is None:
        info = partial(queue.latestArtifactInfo, taskId, name)
    else:
        info = partial(queue.artifactInfo, taskId, str(runId), name)

    def look(ask: Asking) -> Procedure[Any]:
        # In this order: what is not there after the end of the run does not come any more.
        status = yield from task_status(queue, taskId, ask)
        found = yield from found_or_none(info, ask)
        if found is None and not may_still_come(status, runId, pace.now()):
            raise ArtifactMissingError(
                f"task {taskId} is resolved ({status['state']}) and has no artifact {name!r}; it has ended "
                "without creating it, or the name is another"
            )
        return found

    what = f"artifact {name!r} of task {taskId}"
    return _wait(what, look, lambda found: found, lambda found: found is not None, pace)


def run_of(status: Mapping[str, Any], runId: int | str | None) -> dict[str, Any] | None:
    """Return a run of a task, the latest where none is named; None where there is no such run yet."""
    runs: list[dict[str, Any]] = status.get("runs", [])
    number = len(runs) - 1 if runId is None else int(runId)
    return runs[number] if 0 <= number < len(runs) else None


def may_still_come(status: Mapping[str, Any], runId: int | str | None, now: datetime.datetime) -> bool:
    """Whether a run may get an artifact that it does not have now.

    Args:
        status: The task's.
        runId: The run; the latest where it is None.
        now: The present.
    """
    run = run_of(status, runId)
    if run is None:
        return status["state"] not in RESOLVED
    if run["state"] not in RESOLVED:
        return True
    ended = parsed(run.get("resolved"))
    # A run that no worker has claimed gets none.
    return run["state"] == "exception" and "started" in run and ended is not None and now < ended + _GRACE
