"""The log of one run: a file that the worker writes, and that readers follow while it grows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

from .log_lines import Level, line

__all__ = ["TaskLog"]

_CHUNK = 256 * 1024


class TaskLog:
    """A log.

    Args:
        path: Its file, which is created.
        clock: Returns the date of lines.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self.path = path
        self._clock = clock
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._starts_line = True
        self._is_open = True
        self._changed: asyncio.Event | None = None
        self.error: OSError | None = None
        """The first error of writing, such as a full disk; later output is lost."""

    def write(self, data: bytes) -> None:
        """Add output, unchanged. Nothing is added after `close`."""
        if not self._is_open or self.error is not None or not data:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self.error = error
        self._starts_line = data.endswith(b"\n")
        self._wake()

    def line(self, text: str, level: Level = "info") -> None:
        """Add a message of the worker, on a new line."""
        before = "" if self._starts_line else "\n"
        self.write((before + line(text, self._clock(), level)).encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """End the log."""
        if self._is_open:
            self._is_open = False
            os.close(self._file)
            self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    async def read(self, part: range) -> AsyncIterator[bytes]:
        """Yield a part of what has been written, by positions in bytes."""
        with self.path.open("rb") as file:
            file.seek(part.start)
            left = len(part)
            while left and (chunk := file.read(min(_CHUNK, left))):
                yield chunk
                left -= len(chunk)

    async def follow(self, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the log from a position in bytes, as it grows, until it is closed."""
        with self.path.open("rb") as file:
            file.seek(start)
            while True:
                is_open = self._is_open
                if chunk := file.read(_CHUNK):
                    yield chunk
                elif not is_open:
                    return
                else:
                    # One event for all readers; created by the first that waits.
                    changed = self._changed = self._changed or asyncio.Event()
                    await changed.wait()
