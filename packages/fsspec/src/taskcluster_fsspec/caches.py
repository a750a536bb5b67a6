"""The default cache of open files."""

from __future__ import annotations

from typing import Any

from .interface import BaseCache, register_cache

__all__ = ["AdaptiveCache"]

_LARGEST = 8 * 1024 * 1024


class AdaptiveCache(BaseCache):
    """Reads ahead only while a file is read sequentially, and then more and more.

    Formats with columns, such as Parquet, are read in parts: what was read ahead of them would be wasted. Text is read
    from beginning to end: each read doubles the next one, up to 8 MiB.
    """

    name = "adaptive"

    def __init__(self, blocksize: int, fetcher: Any, size: int) -> None:
        super().__init__(blocksize, fetcher, size)
        self._start = 0
        self._data = b""
        self._window = blocksize

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        start = start or 0
        stop = self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        end = self._start + len(self._data)
        if not self._start <= start <= end:
            self._window = self.blocksize
            return self._read(b"", start, stop)
        if stop <= end:
            return self._data[start - self._start : stop - self._start]
        self._window = min(2 * self._window, max(_LARGEST, self.blocksize))
        return self._read(self._data[start - self._start :], end, stop)

    def _read(self, held: bytes, start: int, stop: int) -> bytes:
        """Return `held` with the bytes from `start` to before `stop`, and keep what follows."""
        first = start - len(held)
        until = min(max(stop, start + self._window), self.size)
        data: bytes = held + self.fetcher(start, until)
        self._start, self._data = first, data
        return data[: stop - first]


register_cache(AdaptiveCache, clobber=True)
