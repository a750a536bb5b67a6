"""Handle Ctrl-C and SIGTERM: the first asks to stop, and the second ends everything at once."""

from __future__ import annotations

import asyncio
import signal
from types import TracebackType

__all__ = ["Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Handles signals for the duration of a `with` block, in a coroutine of the main thread."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        """Set by the first signal."""
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> Interrupts:
        self._task = asyncio.current_task()
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._interrupted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _interrupted(self) -> None:
        if self.first.is_set() and self._task is not None:
            self._task.cancel()
        self.first.set()
