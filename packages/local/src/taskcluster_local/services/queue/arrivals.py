"""Let workers wait for tasks: wake them when a task of their queue becomes pending, and when their poll ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ...timestamps import Clock, later

__all__ = ["Arrivals", "Poll"]


@dataclass(frozen=True)
class Poll:
    """How long one call of claimWork may wait: until one of these times, whichever comes first."""

    end: float
    """By the event loop's clock."""
    limit: datetime
    """By the deployment's clock, which tests move."""


class Arrivals:
    """The waiting workers by task queue. Everything runs on one event loop.

    Args:
        poll: How long a call of claimWork waits for a task.
        clock: The deployment's time.
    """

    def __init__(self, poll: timedelta, clock: Clock) -> None:
        self._poll = poll
        self._clock = clock
        self._waiting: dict[str, dict[asyncio.Future[bool], datetime]] = {}
        self._closed = False

    @property
    def count(self) -> int:
        """How many workers wait for tasks."""
        return sum(map(len, self._waiting.values()))

    def poll(self) -> Poll:
        """Return the limits of a poll that begins now."""
        return Poll(asyncio.get_running_loop().time() + self._poll.total_seconds(), later(self._clock(), self._poll))

    def announce(self, taskQueueId: str) -> None:
        """Wake the workers that wait for tasks of a queue."""
        for waiting in self._waiting.get(taskQueueId, ()):
            _settle(waiting, True)

    def close(self) -> None:
        """Wake all workers, and let none wait from now on."""
        self._closed = True
        self.end_polls(datetime.max.replace(tzinfo=timezone.utc))

    def end_polls(self, now: datetime) -> None:
        """Wake the workers whose polls end by `now`, unless a task has woken them already."""
        for each in self._waiting.values():
            for waiting, limit in each.items():
                if limit <= now:
                    _settle(waiting, False)

    async def wait(self, taskQueueId: str, poll: Poll) -> bool:
        """Wait for a task; return whether one may be pending. It is False if the poll ends or the server stops."""
        loop = asyncio.get_running_loop()
        # A worker that was woken but got no task waits again: the deployment's time may have moved in the meantime.
        if self._closed or loop.time() >= poll.end or self._clock() >= poll.limit:
            return False
        # asyncio.wait_for can swallow a cancellation that coincides with a result, until Python 3.12: the task would go
        # to a worker that has disconnected.
        waiting: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_at(poll.end, _settle, waiting, False)
        others = self._waiting.setdefault(taskQueueId, {})
        others[waiting] = poll.limit
        try:
            return await waiting
        finally:
            timer.cancel()
            del others[waiting]
            if not others:
                self._waiting.pop(taskQueueId, None)


def _settle(waiting: asyncio.Future[bool], arrived: bool) -> None:
    if not waiting.done():
        waiting.set_result(arrived)
