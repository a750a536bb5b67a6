"""Wait for a state of the server: what to poll, how often, and when to stop."""

from __future__ import annotations

import datetime
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from taskcluster.arguments import api_method
from taskcluster.effects import Invoke, Sleep
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.pages import continuation, with_continuation
from taskcluster.retries import Policy, retryable

from ..dates import parsed
from ..effects import Procedure, ReportChange
from ..exceptions import ArtifactMissingError, WaitTimeoutError

__all__ = [
    "MAX_FAILURES",
    "RESOLVED",
    "Invoker",
    "Pace",
    "artifact",
    "found_or_none",
    "group",
    "indexed_task",
    "invoke",
    "is_temporary",
    "may_still_appear",
    "run_of",
    "task",
    "task_status",
]

log = logging.getLogger("taskcluster")

T = TypeVar("T")

RESOLVED = frozenset({"completed", "failed", "exception"})
"""The states in which a task or run stays unless someone reruns the task."""
MAX_FAILURES = 10
"""How many polls in a row may fail, each after the client's own retries, before the failure is raised."""
_LAST_POLL = 5.0
"""Seconds for the last poll, or the complete timeout if that is shorter."""
_GRACE = datetime.timedelta(minutes=25)
"""How long after an exception a worker may still create artifacts."""

Invoker = Callable[..., Invoke]
"""Makes an effect of a method and its arguments."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long to poll, in seconds, and the clocks to use."""

    timeout: float | None
    """None waits forever."""
    delay: float
    """Before the second poll; it doubles while nothing changes."""
    max_delay: float
    on_change: Callable[[Any], Any] | None
    now: Callable[[], datetime.datetime]
    monotonic: Callable[[], float]
    random: Callable[[], float]

    def __post_init__(self) -> None:
        times: dict[str, object] = {"timeout": self.timeout or 0, "delay": self.delay, "max_delay": self.max_delay}
        for name, value in times.items():
            if not isinstance(value, int | float):
                raise TaskclusterFailure(f"{name} must be a number of seconds, not {type(value).__name__}")
        if self.timeout is not None and not self.timeout >= 0:
            raise TaskclusterFailure(f"timeout must be a number of seconds that is not negative, not {self.timeout!r}")
        if not 0 < self.delay <= self.max_delay:
            raise TaskclusterFailure(
                f"delay must be above 0 and at most max_delay: delay={self.delay!r}, max_delay={self.max_delay!r}"
            )

    def pause(self, polls: int) -> float:
        """Return the seconds to wait after that many polls without a change."""
        seconds = Policy(sys.maxsize, self.delay, 0.25, self.max_delay).delay(polls, self.random())
        assert seconds is not None
        return seconds


def _wait(
    goal: str, poll: Callable[[Invoker], Procedure[T]], key: Callable[[T], Any], done: Callable[[T], bool], pace: Pace
) -> Procedure[T]:
    """Poll until `done`, and return what the last poll returned.

    Args:
        goal: What is awaited, for errors and logs.
        poll: Polls once, with the effects that its argument makes.
        key: Returns what differs between two polls if something has changed.
        done: Returns whether to stop.
        pace: How often, and how long.
    """
    deadline = until = None if pace.timeout is None else pace.monotonic() + pace.timeout

    def invoke_in_time(method: Callable[..., Any], *arguments: Any, **keywords: Any) -> Invoke:
        # At least 0.1 seconds for each page of a listing, which otherwise could not be requested.
        seconds = None if until is None else max(until - pace.monotonic(), 0.1)
        return Invoke(method, arguments, keywords, seconds)

    polls = failures = 0
    known: Any = None
    last: T | None = None
    failure: TaskclusterFailure | None = None
    while True:
        started = pace.monotonic()
        if deadline is not None:
            until = max(deadline, started + min(pace.timeout or _LAST_POLL, _LAST_POLL))
        try:
            last = yield from poll(invoke_in_time)
        except TaskclusterFailure as exc:
            failures += 1
            if not is_temporary(exc) or failures > MAX_FAILURES:
                raise
            failure = exc
            log.warning("waiting for %s: %s, polling again", goal, type(exc).__name__)
        else:
            failures, failure = 0, None
            # A tuple, so that a key of None differs from no key.
            if known != (key(last),):
                known, polls = (key(last),), 0
                if pace.on_change is not None:
                    yield ReportChange(pace.on_change, last)
            if done(last):
                return last
        polls += 1
        ended = pace.monotonic()
        # If a poll is much work for the server, polls are that far apart.
        pause = max(pace.pause(polls), ended - started)
        if deadline is not None:
            if ended >= deadline:
                raise WaitTimeoutError(f"{goal}: not within {pace.timeout:g} seconds", last) from failure
            pause = min(pause, deadline - ended)
        yield Sleep(pause)


def is_temporary(failure: TaskclusterFailure) -> bool:
    """Return whether a later call may succeed: no response, a server error, or status 429."""
    if isinstance(failure, TaskclusterConnectionError):
        return True
    return isinstance(failure, TaskclusterRestFailure) and retryable(failure.status_code)


def invoke(method: Callable[..., Any], *arguments: Any, **keywords: Any) -> Invoke:
    """Return the effect of calling a client's method, for as long as the client allows."""
    return Invoke(method, arguments, keywords)


def found_or_none(call: Invoke) -> Procedure[Any]:
    """Return what a method returns, or None if it fails with status 404."""
    try:
        return (yield call)
    except TaskclusterRestFailure as exc:
        if exc.status_code != 404:
            raise
        return None


def task_status(queue: Any, taskId: str, invoke: Invoker = invoke) -> Procedure[dict[str, Any]]:
    """Return a task's status."""
    response = yield invoke(api_method(queue, "status", "queue", "Queue"), taskId)
    status: dict[str, Any] = response["status"]
    return status


def task(queue: Any, taskId: str, pace: Pace) -> Procedure[dict[str, Any]]:
    """Wait until a task is resolved."""

    def poll(invoke: Invoker) -> Procedure[dict[str, Any]]:
        return task_status(queue, taskId, invoke)

    def key(status: dict[str, Any]) -> Any:
        return status["state"], [run["state"] for run in status.get("runs", [])]

    return _wait(f"task {taskId} to resolve", poll, key, lambda status: status["state"] in RESOLVED, pace)


def group(queue: Any, taskGroupId: str, pace: Pace) -> Procedure[Counter[str]]:
    """Wait until every task of a group is resolved."""

    def poll(invoke: Invoker) -> Procedure[Counter[str]]:
        method = api_method(queue, "listTaskGroup", "queue", "Queue")
        states: Counter[str] = Counter()
        token: str | None = None
        while True:
            page = yield invoke(method, taskGroupId, **with_continuation({}, token))
            states.update(each["status"]["state"] for each in page["tasks"])
            token = continuation(page)
            if token is None:
                return states

    def key(states: Counter[str]) -> Any:
        return dict(states)

    return _wait(f"task group {taskGroupId} to finish", poll, key, lambda states: states.keys() <= RESOLVED, pace)


def indexed_task(index: Any, indexPath: str, pace: Pace) -> Procedure[Any]:
    """Wait until the index has a task."""

    def poll(invoke: Invoker) -> Procedure[Any]:
        return found_or_none(invoke(api_method(index, "findTask", "index", "Index"), indexPath))

    return _wait(f"a task at {indexPath} in the index", poll, _itself, _is_found, pace)


def artifact(queue: Any, taskId: str, name: str, runId: int | str | None, pace: Pace) -> Procedure[Any]:
    """Wait until a task has an artifact."""

    def poll(invoke: Invoker) -> Procedure[Any]:
        # In this order: an artifact that does not exist after the end of the run will not be created.
        status = yield from task_status(queue, taskId, invoke)
        if runId is None:
            info = invoke(queue.latestArtifactInfo, taskId, name)
        else:
            info = invoke(queue.artifactInfo, taskId, str(runId), name)
        found = yield from found_or_none(info)
        if found is None and not may_still_appear(status, runId, pace.now()):
            raise ArtifactMissingError(
                f"task {taskId} is resolved ({status['state']}) and has no artifact {name!r}; it has ended "
                "without creating it, or the name is another"
            )
        return found

    return _wait(f"artifact {name!r} of task {taskId}", poll, _itself, _is_found, pace)


def _itself(found: T) -> T:
    return found


def _is_found(found: object) -> bool:
    return found is not None


def run_of(status: Mapping[str, Any], runId: int | str | None) -> dict[str, Any] | None:
    """Return a run of a task, by default the latest, or None if it does not exist yet."""
    runs: list[dict[str, Any]] = status.get("runs", [])
    number = len(runs) - 1 if runId is None else int(runId)
    return runs[number] if 0 <= number < len(runs) else None


def may_still_appear(status: Mapping[str, Any], runId: int | str | None, now: datetime.datetime) -> bool:
    """Return whether a run may get an artifact that it does not have now.

    Args:
        status: The task's status.
        runId: The run; None for the latest.
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
