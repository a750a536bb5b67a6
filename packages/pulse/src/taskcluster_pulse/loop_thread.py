"""An event loop in its own thread, for sync code. It runs while handlers block, so heartbeats continue."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from .exceptions import PulseFailure

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """A thread that runs an event loop until `close`. It does not keep the process alive.

    Raises:
        OSError: There is no file descriptor left for the loop.
    """

    def __init__(self, name: str) -> None:
        self._process = os.getpid()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name=name, daemon=True)
        self._thread.start()
        started.result()

    @property
    def is_running(self) -> bool:
        """Whether the thread exists in this process; a forked one has none."""
        return os.getpid() == self._process

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return not self._thread.is_alive()

    def _run(self, started: Future[None]) -> None:
        main = self._main(started)
        try:
            asyncio.run(main)
        except BaseException as exc:
            if started.done():
                raise
            main.close()
            started.set_exception(exc)

    async def _main(self, started: Future[None]) -> None:
        self.loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        started.set_result(None)
        await self._ending.wait()
        # Sockets are closed in the iterations after their transports.
        for _ in range(3):
            await asyncio.sleep(0)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread and return its result; an interruption cancels it.

        Raises:
            PulseFailure: This is a forked process, or the thread has ended.
        """
        if not self.is_running:
            coroutine.close()
            raise PulseFailure("a connection cannot be used after a fork: make another one in the new process")
        if self.is_closed:
            coroutine.close()
            raise PulseFailure("the connection is closed: make another one")
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, function: Callable[[], object]) -> None:
        """Call a function in the thread. May be called in a signal handler."""
        self.loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End the thread; closing again does nothing."""
        if self.is_closed:
            return
        self.loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
