"""Timeouts of calls, with one timer for all calls of an event loop.

aiohttp and asyncio set a timer for each call, and sorting the timers takes longer than signing the request. Here calls
share one timer, which is set again only if calls are running when it fires.
"""

from __future__ import annotations

import asyncio
import math
import sys
from operator import methodcaller
from types import TracebackType
from typing import Any

__all__ = ["Deadlines"]

if sys.version_info >= (3, 11):
    # Not asyncio.Task.cancelling: other kinds of tasks (nest_asyncio) reject it.
    _cancellations = methodcaller("cancelling")
else:

    def _cancellations(task: asyncio.Task[Any]) -> int:
        # asyncio does not count them.
        return 0


class Deadlines:
    """The running calls of one event loop that have a timeout."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._running: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def within(self, seconds: float) -> _Limit:
        """Return a context manager that cancels its task after a timeout.

        The timer is kept for the next call; if there is none, it fires once.

        Raises:
            asyncio.TimeoutError: On exit, if the timeout cancelled the task.
        """
        task = asyncio.current_task(self.loop)
        assert task is not None
        when = self._running[task] = self.loop.time() + seconds
        if when < self._next:
            self._set_timer(when)
        return _Limit(self, task, seconds)

    def end(self, task: asyncio.Task[Any]) -> bool:
        """Remove a task; return whether its timeout has passed."""
        del self._running[task]
        if task not in self._overdue:
            return False
        self._overdue.remove(task)
        return True

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next, self._timer = when, self.loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._next, self._timer = math.inf, None
        now = self.loop.time()
        waiting = {task: when for task, when in self._running.items() if task not in self._overdue}
        for task, when in waiting.items():
            if when <= now:
                # Later, so that a cancellation by the caller that is already scheduled comes first.
                self.loop.call_soon(self._cancel, task, when)
        later = [when for when in waiting.values() if when > now]
        if later:
            self._set_timer(min(later))

    def _cancel(self, task: asyncio.Task[Any], when: float) -> None:
        # The task may be in its next call by now.
        if self._running.get(task) == when:
            self._overdue.add(task)
            task.cancel()


class _Limit:
    __slots__ = ("_before", "_deadlines", "_seconds", "_task")

    def __init__(self, deadlines: Deadlines, task: asyncio.Task[Any], seconds: float) -> None:
        self._deadlines = deadlines
        self._task = task
        self._seconds = seconds
        self._before = _cancellations(task)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._deadlines.end(self._task):
            return
        # A cancellation by the caller takes precedence over the timeout.
        is_ours = kind is asyncio.CancelledError and _cancellations(self._task) <= self._before + 1
        if sys.version_info >= (3, 11):
            self._task.uncancel()
        if is_ours:
            raise asyncio.TimeoutError(f"it took more than {self._seconds:g} s") from exc
