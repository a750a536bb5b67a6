"""The recent part of a log: its last lines, or those since a time."""

from __future__ import annotations

import collections
import queue
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime

from taskcluster.timestamps import parse_date

__all__ = ["recent", "time_of"]

_PAUSE = 1.0
"""Seconds without a line after which the lines so far are the log's past."""
_AHEAD = 10_000
"""How many lines may be read before they are used."""
_TIME = re.compile(r"(?:\[(?:[\w:./-]{1,40} )?)?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z)\b", re.ASCII)


def time_of(line: str) -> datetime | None:
    """Return the time at the beginning of a line, as workers write it: `[taskcluster 2030-01-01T12:00:00.000Z]`."""
    found = _TIME.match(line)
    try:
        return None if found is None else parse_date(found[1])
    except ValueError:
        return None


def recent(
    lines: Iterator[str], tail: int | None, since: datetime | None, warn: Callable[[str], object]
) -> Iterator[str]:
    """Yield the recent ones of the lines that are there now, and then the others as they arrive.

    Args:
        lines: The log.
        tail: How many of the lines that are there now.
        since: From which time, an aware datetime. A line without a time belongs to the line before it.
        warn: Called if no line has a time.
    """
    arrived: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
    # Only a bound lets a reader of a long log end early.
    slots = threading.Semaphore(_AHEAD)
    stopped = threading.Event()

    def read() -> None:
        try:
            for line in lines:
                slots.acquire()
                if stopped.is_set():
                    return
                arrived.put(line)
            arrived.put(None)
        except BaseException as exc:
            arrived.put(exc)

    threading.Thread(target=read, daemon=True).start()
    past: collections.deque[str] | None = collections.deque(maxlen=tail)
    is_old = since is not None
    has_lines = has_times = False
    try:
        while True:
            try:
                found = arrived.get(timeout=_PAUSE if has_lines and past is not None else None)
            except queue.Empty:
                yield from past or ()
                past = None
                continue
            slots.release()
            if isinstance(found, str):
                has_lines = True
                if is_old and (moment := time_of(found)) is not None:
                    has_times = True
                    is_old = since is not None and moment < since
                if past is None or (tail is None and not is_old):
                    yield found
                elif not is_old:
                    past.append(found)
                continue
            yield from past or ()
            if found is not None:
                raise found
            if past is not None and is_old and has_lines and not has_times:
                warn("no line of the log begins with a time, so none is known to be recent enough")
            return
    finally:
        stopped.set()
        slots.release()
