"""Follow the log of a task's run: which artifacts hold it, how to resume, and how bytes become lines."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from taskcluster.arguments import api_method
from taskcluster.decompression import Decoder
from taskcluster.effects import Close, Emit, Opened, Request, Sleep
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.options import DEFAULT_TIMEOUT
from taskcluster.redirects import open_response
from taskcluster.shapes import is_mapping

from ..effects import LogProcedure, ReadSome
from ..exceptions import ArtifactMissingError
from .waiting import (
    MAX_FAILURES,
    RESOLVED,
    Pace,
    found_or_none,
    invoke,
    is_temporary,
    may_still_appear,
    run_of,
    task_status,
)

__all__ = ["LogNames", "Splitter", "follow", "log_names"]

log = logging.getLogger("taskcluster")

_LIVE = "public/logs/live.log"
_BACKING = "live_backing.log"


class LogNames(NamedTuple):
    """The artifacts that hold a run's log."""

    live: str
    """While the task runs."""
    finished: tuple[str, ...]
    """After its end: the first of these that exists."""


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
    """Splits bytes into lines as they arrive."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that end in `data`, without their line ends."""
        if b"\n" not in data:
            self._rest.append(data)
            return []
        *complete, rest = b"".join([*self._rest, data]).split(b"\n")
        self._rest = [rest]
        return [_decoded(line) for line in complete]

    def end(self) -> list[str]:
        """Return what follows the last line end, if anything does."""
        rest = b"".join(self._rest)
        self._rest = []
        return [_decoded(rest)] if rest else []


def _decoded(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


class _Follower:
    """Follows one run's log, from any artifact that has it, and emits each line once.

    What a worker streams and what it stores at the end are the same bytes. So after a broken connection, or the end of
    the live log, reading resumes at the same position.
    """

    def __init__(self, queue: Any, taskId: str, runId: int | str | None, silence: float, pace: Pace) -> None:
        self._queue = queue
        self._taskId = taskId
        self._runId = runId
        self._silence = silence
        self._pace = pace
        self._splitter = Splitter()
        self._position = 0

    def follow(self, name: str | None) -> LogProcedure[None]:
        names = None if name is None else LogNames(name, (name,))
        polls = failures = 0
        while True:
            before = self._position
            try:
                if names is None:
                    names = log_names(
                        (yield invoke(api_method(self._queue, "task", "queue", "Queue"), self._taskId))["payload"]
                    )
                if (yield from self._poll(names)):
                    return
                failures = 0
            except TaskclusterFailure as exc:
                failures = 1 if self._position > before else failures + 1
                if not is_temporary(exc) or failures > MAX_FAILURES:
                    raise
                log.warning("the log of task %s: %s, resuming", self._taskId, type(exc).__name__)
            polls = 1 if self._position > before else polls + 1
            yield Sleep(self._pace.pause(polls))

    def _poll(self, names: LogNames) -> LogProcedure[bool]:
        """Emit the lines that exist now; return whether the log is complete."""
        status = yield from task_status(self._queue, self._taskId)
        run = run_of(status, self._runId)
        if run is None or run["state"] not in (*RESOLVED, "running"):
            if run is None and status["state"] in RESOLVED:
                raise ArtifactMissingError(f"task {self._taskId} is {status['state']} and has no such run: no log")
            return False
        # From now on this run, even if there are later ones.
        self._runId = int(run["runId"])
        if run["state"] == "running":
            yield from self._read_live(names.live)
            return False
        for each in names.finished:
            if (yield from self._read(each)):
                yield Emit(self._splitter.end())
                return True
        if may_still_appear(status, self._runId, self._pace.now()):
            return False
        how = run.get("reasonResolved", run["state"])
        raise ArtifactMissingError(
            f"run {self._runId} of task {self._taskId} has ended ({how}) and left no log: "
            f"it has no artifact {' or '.join(names.finished)}"
        )

    def _read_live(self, name: str) -> LogProcedure[None]:
        try:
            yield from self._read(name, live=True)
        except TaskclusterConnectionError as exc:
            # The worker may be gone with its log; the next poll returns the run's state.
            log.debug("the live log of task %s: %s", self._taskId, type(exc).__name__)

    def _read(self, name: str, *, live: bool = False) -> LogProcedure[bool]:
        """Emit the lines of an artifact that were not emitted yet; return whether the artifact exists."""
        found = yield from found_or_none(invoke(self._queue.getArtifact, self._taskId, str(self._runId), name))
        if found is None:
            return False
        try:
            yield from self._read_url(found["url"])
        except TaskclusterRestFailure as exc:
            if live:
                # After the worker is gone, its proxy may return any status.
                raise TaskclusterConnectionError(str(exc), exc) from exc
            raise
        return True

    def _read_url(self, url: str) -> LogProcedure[None]:
        request = Request("GET", url, {}, None, (DEFAULT_TIMEOUT[0], self._silence))
        opened = yield from open_response(request, {"Accept-Encoding": "gzip, deflate"})
        try:
            if not 200 <= opened.status < 300:
                message = f"GET at {urlsplit(url).hostname} failed with status {opened.status}"
                raise TaskclusterRestFailure(message, None, status_code=opened.status)
            yield from self._read_body(opened)
        finally:
            yield Close(opened)

    def _read_body(self, opened: Opened) -> LogProcedure[None]:
        encoding = opened.headers.get("Content-Encoding", "")
        decoder = Decoder(encoding)
        if not decoder.is_decodable:
            raise TaskclusterFailure(f"the log is encoded as {encoding}, which is not supported (gzip, deflate)")
        skip = self._position
        while data := (yield ReadSome(opened)):
            try:
                for piece in decoder.decoded(data):
                    new = piece[skip:]
                    skip -= len(piece) - len(new)
                    if new:
                        self._position += len(new)
                        yield Emit(self._splitter.feed(new))
            except zlib.error as exc:
                raise TaskclusterConnectionError(f"the log is not encoded as {encoding}: {exc}", exc) from exc


def follow(
    queue: Any, taskId: str, runId: int | str | None, name: str | None, silence: float, pace: Pace
) -> LogProcedure[None]:
    """Emit the lines of a run's log until it ends.

    Args:
        queue: A Queue client.
        taskId: The task.
        runId: The run; None for the latest.
        name: The artifact, if it is not the one that the task's definition names.
        silence: Seconds without a byte after which the live log is requested again.
        pace: How often to poll while there is nothing new.
    """
    if not silence > 0:
        raise TaskclusterFailure(f"silence must be a number of seconds above 0, not {silence!r}")
    return _Follower(queue, taskId, runId, silence, pace).follow(name)
