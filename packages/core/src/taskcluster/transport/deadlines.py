"""Limits on how long calls take, kept by one timer for all calls of an event loop.

aiohttp and asyncio set a timer for each call, and sorting the timers takes longer than signing the request. Here calls
share one, which is set anew only when it has run out while others are running.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable
from typing import Any, TypeVar

__all__ = ["Deadlines"]

T = TypeVar("T")


class Deadlines:
    """The running calls of one event loop that have to end in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._running: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    async def within(self, seconds: float, doing: Awaitable[T]) -> T:
        """Await `doing` in the task of the caller.

        The timer stays for the next call; where none comes, it runs out once and that is all.

        Raises:
            asyncio.TimeoutError: It took longer, and was cancelled.
        """
        task: Any = asyncio.current_task()
        self._running[task] = when = self.loop.time() + seconds
        if when < self._next:
            self._set_timer(when)
        before = _cancellations(task)
        try:
            return await doing
        except asyncio.CancelledError as exc:
            # The caller's own cancellation goes before the time-out.
            if task in self._overdue and _cancellations(task) <= before + 1:
                raise asyncio.TimeoutError(f"it took more than {seconds:g} s") from exc
            raise
        finally:
            del self._running[task]
            if task in self._overdue:
                self._overdue.remove(task)
                if sys.version_info >= (3, 11):
                    task.uncancel()

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next, self._timer = when, self.loop.call_at(when, self._time_is_up)

    def _time_is_up(self) -> None:
        self._next, self._timer = math.inf, None
        now = self.loop.time()
        waiting = {task: when for task, when in self._running.items() if task not in self._overdue}
        for task, when in waiting.items():
            if when <= now:
                # Not at once: a cancellation of the caller's own that is on its way already goes first.
                self.loop.call_soon(self._cancel, task, when)
        later = [when for when in waiting.values() if when > now]
        if later:
            self._set_timer(min(later))

    def _cancel(self, task: asyncio.Task[Any], when: float) -> None:
        # By now the task may be in its next call.
        if self._running.get(task) == when:
            self._overdue.add(task)
            task.cancel()


def _cancellations(task: asyncio.Task[Any]) -> int:
    """Return how often a task has been asked to end; 0 before Python 3.11, which does not count."""
    if sys.version_info >= (3, 11):
        return task.cancelling()
    else:
        return 0
