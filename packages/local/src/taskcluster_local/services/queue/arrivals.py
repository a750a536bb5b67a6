"""Workers that wait for tasks: each is woken when a task of its queue becomes pending, and when the server stops."""

from __future__ import annotations

import asyncio

__all__ = ["Arrivals"]


class Arrivals:
    """Who waits for which task queue. Everything happens on one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[bool]]] = {}
        self._closed = False

    def announce(self, taskQueueId: str) -> None:
        """Wake everyone who waits for tasks of a queue."""
        for waiting in self._waiting.get(taskQueueId, ()):
            _settle(waiting, True)

    def close(self) -> None:
        """Wake everyone, and let nobody wait any more."""
        self._closed = True
        for each in self._waiting.values():
            for waiting in each:
                _settle(waiting, False)

    async def wait(self, taskQueueId: str, seconds: float) -> bool:
        """Wait until a task may have arrived; return False if `seconds` have passed or the server stops first."""
        if self._closed or seconds <= 0:
            return False
        loop = asyncio.get_running_loop()
        # Not asyncio.wait_for, which until Python 3.12 can swallow a cancellation that comes together with a task: the
        # task would go to a worker that has gone away.
        waiting: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(seconds, _settle, waiting, False)
        others = self._waiting.setdefault(taskQueueId, set())
        others.add(waiting)
        try:
            return await waiting
        finally:
            timer.cancel()
            others.discard(waiting)
            if not others:
                self._waiting.pop(taskQueueId, None)


def _settle(waiting: asyncio.Future[bool], arrived: bool) -> None:
    if not waiting.done():
        waiting.set_result(arrived)
