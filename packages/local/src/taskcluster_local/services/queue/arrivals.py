"""Let workers wait for tasks: wake them when a task of their queue becomes pending, and when the server stops."""

from __future__ import annotations

import asyncio

__all__ = ["Arrivals"]


class Arrivals:
    """The waiting workers by task queue. Everything runs on one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[bool]]] = {}
        self._closed = False

    def announce(self, taskQueueId: str) -> None:
        """Wake the workers that wait for tasks of a queue."""
        for waiting in self._waiting.get(taskQueueId, ()):
            _settle(waiting, True)

    def close(self) -> None:
        """Wake all workers, and let none wait from now on."""
        self._closed = True
        for each in self._waiting.values():
            for waiting in each:
                _settle(waiting, False)

    async def wait(self, taskQueueId: str, seconds: float) -> bool:
        """Wait for a task; return whether one may be pending. It is False after `seconds` or if the server stops."""
        if self._closed or seconds <= 0:
            return False
        loop = asyncio.get_running_loop()
        # asyncio.wait_for can swallow a cancellation that coincides with a result, until Python 3.12: the task would go
        # to a worker that has disconnected.
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
