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
from threading import Lock
from typing import Any, BinaryIO

from ..storage import StoredFile

__all__ = ["Lines", "LogIndex", "indexed"]

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


_indexes: OrderedDict[Path, LogIndex] = OrderedDict()
_lock = Lock()


def indexed(stored: StoredFile) -> LogIndex:
    """Return the index of a file. The contents of a path never change, so that indexes are kept."""
    with _lock:
        index = _indexes.get(stored.path)
        if index is None:
            index = _indexes[stored.path] = _index(stored)
        _indexes.move_to_end(stored.path)
        while len(_indexes) > _MOST_INDEXES:
            _indexes.popitem(last=False)
    return index


def _index(stored: StoredFile) -> LogIndex:
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
