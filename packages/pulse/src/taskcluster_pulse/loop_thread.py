"""An event loop in a thread of its own, for sync code. It runs while handlers block, and so heartbeats go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """A thread that runs an event loop until `close`. It does not keep the process alive."""

    def __init__(self, name: str) -> None:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name=name, daemon=True)
        self._thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        asyncio.run(self._main(started))

    async def _main(self, started: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        started.set()
        await self._ending.wait()
        # Sockets are closed in the iterations after their transports.
        for _ in range(3):
            await asyncio.sleep(0)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread and return its result; an interruption cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function in the thread. May be called in a signal handler."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """End the thread."""
        self.loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
