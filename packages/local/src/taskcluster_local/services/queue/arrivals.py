"""Workers that wait for tasks: each is woken when a task of its queue becomes pending, and when the server stops."""

from __future__ import annotations

import asyncio

__all__ = ["Arrivals"]


class Arrivals:
    """Who waits for which task queue. Everything happens on one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    def announce(self, taskQueueId: str) -> None:
        """Wake everyone who waits for tasks of a queue."""
        for event in self._waiting.get(taskQueueId, ()):
            event.set()

    def close(self) -> None:
        """Wake everyone, and let nobody wait any more."""
        self._closed = True
        for taskQueueId in self._waiting:
            self.announce(taskQueueId)

    async def wait(self, taskQueueId: str, seconds: float) -> bool:
        """Wait until a task may have arrived; return False if `seconds` have passed or the server stops first."""
        if self._closed:
            return False
        event = asyncio.Event()
        waiting = self._waiting.setdefault(taskQueueId, set())
        waiting.add(event)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(taskQueueId, None)
        return not self._closed
