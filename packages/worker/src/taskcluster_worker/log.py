"""The log of one run: a file that the worker writes, and that readers follow while it grows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from typing import BinaryIO

from .log_lines import Level, line

__all__ = ["TaskLog"]

_CHUNK = 256 * 1024


class TaskLog:
    """A log.

    Args:
        file: Its file, which is empty. It needs no name: a task could replace or delete a file that has one.
        clock: Returns the date of lines.
    """

    def __init__(self, file: BinaryIO, clock: Callable[[], datetime]) -> None:
        self.file = file
        """The file, from which readers read at any position. The position of the file itself is the writer's."""
        self._clock = clock
        self._users = 1
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
                rest = rest[os.write(self.file.fileno(), rest) :]
        except OSError as error:
            self.error = error
        self._starts_line = data.endswith(b"\n")
        self._wake()

    def line(self, text: str, level: Level = "info") -> None:
        """Add a message of the worker, on a new line."""
        before = "" if self._starts_line else "\n"
        self.write((before + line(text, self._clock(), level)).encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """End the log, which can still be read."""
        if self._is_open:
            self._is_open = False
            self._wake()

    @property
    def size(self) -> int:
        """How many bytes have been written."""
        return os.fstat(self.file.fileno()).st_size

    @contextmanager
    def reading(self) -> Generator[None, None, None]:
        """Keep the file for the duration of the block, even if others call `release` meanwhile."""
        self._users += 1
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Close the file as soon as nobody reads it."""
        self._users -= 1
        if not self._users:
            self.file.close()

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    async def read(self, part: range) -> AsyncIterator[bytes]:
        """Yield a part of what has been written, by positions in bytes."""
        while part and (chunk := os.pread(self.file.fileno(), min(_CHUNK, len(part)), part.start)):
            yield chunk
            part = part[len(chunk) :]

    async def follow(self, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the log from a position in bytes, as it grows, until it is closed."""
        while True:
            is_open = self._is_open
            if chunk := os.pread(self.file.fileno(), _CHUNK, start):
                yield chunk
                start += len(chunk)
            elif not is_open:
                return
            else:
                # One event for all readers; created by the first that waits.
                changed = self._changed = self._changed or asyncio.Event()
                await changed.wait()
