"""Read parts of logs, which can be large and compressed, in constant memory.

A log is read once to count its lines. On the way, the state of the decompressor is copied every few megabytes, so that
any part can be read later from the nearest copy.
"""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..storage import StoredFile

__all__ = ["Lines", "LogIndex", "LogIndexes", "index_of"]

_BLOCK = 256 * 1024
_SPACING = 4 * 1024 * 1024
_MOST_POINTS = 64
_MOST_INDEXES = 8
_LARGEST = 4 * 1024**3
"""How much of a log is read, in bytes: few compressed bytes can stand for any number."""
_LONGEST_LINE = 10_000
"""How many bytes of a line are shown."""
_AT_ONCE = 200
"""How many lines are sent at once."""


class _Blocks:
    """The contents of a file from some position, decompressed, in blocks of limited size."""

    def __init__(self, file: BinaryIO, is_gzip: bool, position: int = 0, inflater: Any = None):
        self._file = file
        self._inflater = inflater if inflater is not None or not is_gzip else zlib.decompressobj(31)
        self._rest = b""
        file.seek(position)

    def state(self) -> tuple[int, Any]:
        """Return where the next block begins."""
        copy = None if self._inflater is None else self._inflater.copy()
        return self._file.tell() - len(self._rest), copy

    def read(self) -> bytes:
        """Return the next block; empty at the end, which for damaged files is where the damage begins."""
        if self._inflater is None:
            return self._file.read(_BLOCK)
        while True:
            if self._inflater.eof:
                # A file can consist of several compressed ones.
                self._rest = self._inflater.unused_data or self._rest
                self._inflater = zlib.decompressobj(31)
            self._rest = self._rest or self._file.read(_BLOCK)
            if not self._rest:
                return b""
            try:
                block = self._inflater.decompress(self._rest, 4 * _BLOCK)
            except zlib.error:
                return b""
            self._rest = self._inflater.unconsumed_tail
            if block:
                return block


@dataclass(frozen=True, slots=True)
class _Point:
    """A place in a file from which it can be read."""

    lines: int
    """How many line ends are before it."""
    position: int
    inflater: Any
    """A decompressor, whose type is private; None if the file is not compressed."""


@dataclass(frozen=True, slots=True)
class LogIndex:
    """The number of lines of a log, its size in bytes, and places to read it from."""

    lines: int
    size: int
    points: tuple[_Point, ...]
    is_cut: bool
    """Whether the log is longer than what is shown."""


class LogIndexes:
    """The indexes of the logs that were read last. The contents of a path never change, so they can be kept."""

    def __init__(self) -> None:
        self._made: OrderedDict[Path, LogIndex] = OrderedDict()
        self._being_made: dict[Path, asyncio.Task[LogIndex]] = {}

    async def get(self, stored: StoredFile) -> LogIndex:
        """Return the index of a log. It is made once, in a thread, however many readers wait for it."""
        path = stored.path
        if path in self._made:
            self._made.move_to_end(path)
            return self._made[path]
        if path not in self._being_made:
            making = self._being_made[path] = asyncio.create_task(self._make(stored))
            # asyncio would complain about an error that nobody waits for any more.
            making.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Readers may leave.
        return await asyncio.shield(self._being_made[path])

    async def _make(self, stored: StoredFile) -> LogIndex:
        try:
            self._made[stored.path] = made = await asyncio.to_thread(index_of, stored)
        finally:
            del self._being_made[stored.path]
        while len(self._made) > _MOST_INDEXES:
            self._made.popitem(last=False)
        return made


def index_of(stored: StoredFile) -> LogIndex:
    """Return the index of a log, which takes about a second for 200 MB."""
    points: list[_Point] = []
    lines = size = 0
    spacing, next_point = _SPACING, 0
    last = b"\n"
    with stored.path.open("rb") as file:
        blocks = _Blocks(file, stored.content_encoding == "gzip")
        while True:
            if size >= next_point:
                points.append(_Point(lines, *blocks.state()))
                next_point = size + spacing
                if len(points) > _MOST_POINTS:
                    del points[1::2]
                    spacing *= 2
            block = blocks.read()
            if not block or size > _LARGEST:
                break
            lines += block.count(b"\n")
            size += len(block)
            last = block[-1:]
    return LogIndex(lines + (last != b"\n"), size, tuple(points), size > _LARGEST)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a log."""

    stored: StoredFile
    index: LogIndex

    async def read(self, first: int, last: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield the numbers and texts of lines."""
        reading = self._read(first, last)
        while True:
            some = await asyncio.to_thread(lambda: list(itertools.islice(reading, _AT_ONCE)))
            for number, text in some:
                yield number, text
            if not some:
                return

    def _read(self, first: int, last: int) -> Generator[tuple[int, str], None, None]:
        if last < first:
            return
        # The line that a point is in began before it.
        points = self.index.points
        point = next((each for each in reversed(points) if each.lines <= first - 2), points[0])
        copy = None if point.inflater is None else point.inflater.copy()
        number, begun = point.lines + 1, b""
        with self.stored.path.open("rb") as file:
            blocks = _Blocks(file, self.stored.content_encoding == "gzip", point.position, copy)
            while block := blocks.read():
                count = block.count(b"\n")
                if number + count < first:
                    number += count
                    continue
                *ended, rest = block.split(b"\n")
                for text in ended:
                    if number >= first:
                        yield number, _shown(begun + text)
                    number, begun = number + 1, b""
                    if number > last:
                        return
                begun = (begun + rest)[: _LONGEST_LINE + 1]
            if begun:
                yield number, _shown(begun)


def _shown(line: bytes) -> str:
    """Return a line as text: of a line that was overwritten in place, the last state."""
    text = line[: _LONGEST_LINE + 1].rstrip(b"\r").rpartition(b"\r")[2]
    return text[:_LONGEST_LINE].decode(errors="replace") + (" … (cut)" if len(text) > _LONGEST_LINE else "")
