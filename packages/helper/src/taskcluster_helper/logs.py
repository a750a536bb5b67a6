"""The log of a task's run: which artifacts hold it, how it is followed, and how bytes become lines."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.options import user_agent_of
from taskcluster.shapes import is_mapping

from .effects import Ask, Fetch, Lines, Procedure, Read, Sleep
from .exceptions import ArtifactMissingError
from .waiting import PATIENCE, RESOLVED, Pace, found_or_none, may_still_come, passing, run_of, task_status

__all__ = ["LogNames", "Splitter", "follow", "log_names"]

log = logging.getLogger("taskcluster")

_LIVE = "public/logs/live.log"
_BACKING = "live_backing.log"


class LogNames(NamedTuple):
    """The artifacts that hold a run's log."""

    live: str
    """While it runs."""
    finished: tuple[str, ...]
    """Once it has ended: the first of these that there is."""


def log_names(payload: Any) -> LogNames:
    """Return the names of the artifacts that hold a log.

    Workers write `public/logs/live.log` and `public/logs/live_backing.log`, unless the task's payload has other names:
    `log`, or `logs` with `live` and `backing`.

    Args:
        payload: The payload of the task's definition.
    """
    given: Mapping[str, Any] = payload if is_mapping(payload) else {}
    logs: Any = given.get("logs")
    named: Mapping[str, Any] = logs if is_mapping(logs) else {}
    live = str(named.get("live") or given.get("log") or _LIVE)
    backing = str(named.get("backing") or f"{live.rpartition('/')[0]}/{_BACKING}".lstrip("/"))
    return LogNames(live, (backing, live))


class Splitter:
    """Cuts bytes into lines of text, as they come."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that end in `data`, without their ends."""
        if b"\n" not in data:
            self._rest.append(data)
            return []
        *whole, rest = b"".join([*self._rest, data]).split(b"\n")
        self._rest = [rest]
        return [_text(line) for line in whole]

    def end(self) -> list[str]:
        """Return what came after the last line's end, if anything did."""
        rest = b"".join(self._rest)
        self._rest = []
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


class _Follower:
    """Follows one run's log, from wherever it can be had, and never hands out a byte twice.

    What a worker streams and what it stores at the end are the same bytes, so after a broken connection, or the end of
    the live log, the reading goes on where it was.
    """

    def __init__(self, queue: Any, taskId: str, runId: int | str | None, silence: float, pace: Pace) -> None:
        self._queue = queue
        self._taskId = taskId
        self._runId = runId
        self._silence = silence
        self._pace = pace
        self._user_agent = _user_agent(queue)
        self._splitter = Splitter()
        self._position = 0

    def follow(self, name: str | None) -> Procedure[None]:
        names = None if name is None else LogNames(name, (name,))
        looks = failures = 0
        while True:
            before = self._position
            try:
                if names is None:
                    names = log_names((yield Ask(partial(self._queue.task, self._taskId)))["payload"])
                if (yield from self._look(names)):
                    return
                failures = 0
            except TaskclusterFailure as exc:
                failures = 1 if self._position > before else failures + 1
                if not passing(exc) or failures > PATIENCE:
                    raise
                log.warning("the log of task %s: broken off (%s), taken up again", self._taskId, type(exc).__name__)
            looks = 1 if self._position > before else looks + 1
            yield Sleep(self._pace.pause(looks))

    def _look(self, names: LogNames) -> Procedure[bool]:
        """Hand out what there is now; return whether that was all."""
        status = yield from task_status(self._queue, self._taskId)
        run = run_of(status, self._runId)
        if run is None or run["state"] not in (*RESOLVED, "running"):
            if run is None and status["state"] in RESOLVED:
                raise ArtifactMissingError(f"task {self._taskId} is {status['state']} and has no such run: no log")
            return False
        # From now on it is this run, whatever comes after it.
        self._runId = int(run["runId"])
        if run["state"] == "running":
            yield from self._read_live(names.live)
            return False
        for each in names.finished:
            if (yield from self._read(each)):
                yield Lines(self._splitter.end())
                return True
        if may_still_come(status, self._runId, self._pace.now()):
            return False
        how = run.get("reasonResolved", run["state"])
        raise ArtifactMissingError(
            f"run {self._runId} of task {self._taskId} has ended ({how}) and left no log: "
            f"it has no artifact {' or '.join(names.finished)}"
        )

    def _read_live(self, name: str) -> Procedure[None]:
        try:
            yield from self._read(name, live=True)
        except TaskclusterConnectionError as exc:
            # The worker may be gone, with the log that it served: the run's state will tell.
            log.debug("the live log of task %s: %s", self._taskId, type(exc).__name__)

    def _read(self, name: str, *, live: bool = False) -> Procedure[bool]:
        """Hand out what an artifact holds beyond what was handed out already; return whether it exists."""
        found = yield from found_or_none(partial(self._queue.getArtifact, self._taskId, str(self._runId), name))
        if found is None:
            return False
        try:
            yield Fetch(found["url"], self._silence, self._user_agent)
        except TaskclusterRestFailure as exc:
            # Whatever stands before a worker that is gone answers as it likes.
            if live or passing(exc):
                raise TaskclusterConnectionError(str(exc), exc) from exc
            raise
        known = self._position
        while data := (yield Read()):
            new = data[known:]
            known -= len(data) - len(new)
            if new:
                self._position += len(new)
                yield Lines(self._splitter.feed(new))
        return True


def _user_agent(queue: Any) -> str:
    options: Any = getattr(queue, "options", None)
    return user_agent_of(options if is_mapping(options) else {})


def follow(
    queue: Any, taskId: str, runId: int | str | None, name: str | None, silence: float, pace: Pace
) -> Procedure[None]:
    """Hand out the lines of a run's log until it ends.

    Args:
        queue: A Queue client.
        taskId: The task.
        runId: The run; the latest where it is None.
        name: The artifact, where it is another than the task's definition says.
        silence: Seconds without a byte after which the live log is asked for again.
        pace: How often to look where there is nothing new.
    """
    if not silence > 0:
        raise TaskclusterFailure(f"silence must be a number of seconds above 0, not {silence!r}")
    return _Follower(queue, taskId, runId, silence, pace).follow(name)
