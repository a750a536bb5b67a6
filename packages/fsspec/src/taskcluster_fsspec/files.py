"""Open files."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, cast

from .connection import os_errors
from .contents import Content, StoredContent
from .exceptions import replaced
from .interface import AbstractBufferedFile, BaseCache, Info

__all__ = ["CompressedFile", "ReadFile", "TextFile", "WriteFile"]

_log = logging.getLogger(__name__)
_IN_MEMORY = 8 * 1024 * 1024
"""A larger file is written to disk before it is uploaded."""


class ReadFile(AbstractBufferedFile):
    """A file that is open for reading.

    Args:
        fs: The filesystem.
        path: The path, which may name the latest run; this file stays with the run that it was opened with.
        reopen: Returns the content; called again in a forked process.
        details: The info, except for the size.
        block_size: How many bytes to read at least.
        cache_type: The name of a cache of fsspec.
        cache_options: Its options.
    """

    def __init__(
        self,
        fs: Any,
        path: str,
        reopen: Callable[[], Content],
        details: Info,
        block_size: int,
        cache_type: str,
        cache_options: Mapping[str, Any] | None,
    ) -> None:
        self._reopen = reopen
        self._content: Content | None = reopen()
        self._pid = os.getpid()
        self._info = details
        known = self._content if isinstance(self._content, StoredContent) else None
        # To learn the size of others, everything is read.
        self._is_sized = known is not None
        options = (cache_type, cache_options, known.size) if known is not None else ("none", None, 0)
        super().__init__(fs, path, "rb", block_size, True, *options)
        self._is_sized = True
        self._arguments = (fs, path, reopen, details, block_size, cache_type, cache_options)
        self._has_cache = known is not None
        if known is None:
            # Without the reference to this file: garbage collection may delete a temporary file before what uses it.
            self.cache = BaseCache(0, None, 0)

    def __reduce__(self) -> Any:
        # The latest run may be another one by now, so the path alone does not name this file.
        return type(self), self._arguments, (self.etag, self.loc)

    def __setstate__(self, state: tuple[str | None, int]) -> None:
        etag, self.loc = state
        self._check_version(etag)

    @property
    def size(self) -> int:
        """The size in bytes, decoded."""
        if not self._is_sized:
            # fsspec's constructor gets it.
            return 0
        with os_errors(self.path):
            return self._current().size

    @size.setter
    def size(self, size: int) -> None:
        # fsspec sets what it was given.
        pass

    @property
    def details(self) -> Info:
        """The info of the file."""
        return {**self._info, "size": self.size}

    @property
    def etag(self) -> str | None:
        """The ETag of the stored data, or None."""
        return self._current().stored.etag

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.read_at(start, end)

    def read_at(self, start: int, end: int | None) -> bytes:
        """Return the bytes from `start` to before `end`."""
        with os_errors(self.path):
            return self._current().read(start, end)

    def read(self, length: int | None = -1) -> bytes:
        """Return `length` bytes, or all that follow; fewer at the end of the file."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        end = None if length is None or length < 0 else self.loc + length
        data = self._cached(end)
        self.loc += len(data)
        return data

    def peek(self, size: int = 1) -> bytes:
        """Return bytes that follow, without changing the position. `readline` reads them at once."""
        return self._cached(self.loc + max(size, 8192))

    def _cached(self, end: int | None) -> bytes:
        if not self._has_cache:
            return self.read_at(self.loc, end)
        # The method that every cache implements.
        return self.cache._fetch(self.loc, end)  # pyright: ignore[reportPrivateUsage]

    def _current(self) -> Content:
        if self._content is None:
            raise ValueError("I/O operation on closed file.")
        if self._pid != os.getpid():
            # Its connection and its temporary file are also the parent's.
            known = self._content.stored.etag
            self._content, self._pid = self._reopen(), os.getpid()
            self._check_version(known)
        return self._content

    def _check_version(self, etag: str | None) -> None:
        if self.etag != etag:
            self.close()
            raise replaced(self.path)

    def close(self) -> None:
        """Close the file."""
        # Also called if the constructor raised.
        content, self._content = getattr(self, "_content", None), None
        if content is not None and self._pid == os.getpid():
            content.release()
        super().close()


class WriteFile(io.BufferedIOBase):
    """A file that is open for writing. It is uploaded when it is closed, because uploads need the size beforehand.

    It is not uploaded if an exception that was raised after it was opened is being handled when it is closed. The
    `__exit__` of others, for example of `fsspec.open` and pandas, closes it without passing the exception.

    Args:
        path: The path.
        mode: `wb` or `xb`.
        upload: Uploads a file.
        autocommit: Whether closing uploads it; otherwise `commit` does.
    """

    def __init__(self, path: str, mode: str, upload: Callable[[BinaryIO], None], autocommit: bool) -> None:
        self.path = path
        self.mode = mode
        self._upload = upload
        self._autocommit = autocommit
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._is_dropped = False
        # A file may be written in an exception handler.
        self._handled = sys.exc_info()[1]

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Add bytes, and return their number."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return self._file.write(data)

    def tell(self) -> int:
        """Return the number of written bytes."""
        return self._file.tell()

    def __exit__(self, *exc_info: Any) -> None:
        """Upload the file, but not after an exception."""
        if exc_info[0] is not None:
            self.drop()
        self.close()

    def close(self) -> None:
        """Upload the file, unless it belongs to a transaction."""
        if self.closed:
            return
        super().close()
        raised, handled, self._handled = sys.exc_info()[1], self._handled, None
        if raised is not None and raised is not handled and not self._is_dropped:
            _log.warning("%s is not uploaded, because of a %s", self.path, type(raised).__name__)
            self.drop()
        if self._is_dropped:
            self._file.close()
        elif self._autocommit:
            self.commit()

    def commit(self) -> None:
        """Upload the file, unless it was dropped."""
        if self._is_dropped:
            return
        with self._file, os_errors(self.path):
            self._upload(cast("BinaryIO", self._file))

    def drop(self) -> None:
        """Upload nothing when the file is closed."""
        self._is_dropped = True

    def discard(self) -> None:
        """Upload nothing."""
        self.drop()
        self.close()
        self._file.close()

    def __del__(self) -> None:
        # A file that the program did not close may be incomplete.
        self.drop()
        if not self.closed:
            self.close()


class CompressedFile(io.BufferedIOBase):
    """A file whose content is compressed as it is written. Compressors do not close the file that they write to.

    Args:
        compressor: Writes to `file`.
        file: The file.
    """

    def __init__(self, compressor: Any, file: WriteFile) -> None:
        self._compressor = compressor
        self._file = file

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Add bytes, and return their number."""
        return int(self._compressor.write(data))

    def __exit__(self, *exc_info: Any) -> None:
        """Upload the file, but not after an exception."""
        if exc_info[0] is not None:
            self.drop()
        self.close()

    def close(self) -> None:
        """Upload the file."""
        if not self.closed:
            super().close()
            if not self._file.closed:
                self._compressor.close()
                self._file.close()

    def drop(self) -> None:
        """Upload nothing when the file is closed."""
        self._file.drop()

    def __del__(self) -> None:
        # The base class closes it.
        self.drop()
        super().__del__()


class TextFile(io.TextIOWrapper):
    """A file that is open for writing strings.

    Args:
        file: The file to write the bytes to.
        **options: `encoding`, `errors` and `newline`.
    """

    def __init__(self, file: WriteFile | CompressedFile, **options: Any) -> None:
        self._file = file
        super().__init__(cast("BinaryIO", file), **options)

    def __exit__(self, *exc_info: Any) -> None:
        """Upload the file, but not after an exception."""
        if exc_info[0] is not None:
            self._file.drop()
        self.close()

    def __del__(self) -> None:
        # The base class closes it.
        self._file.drop()
        super().__del__()
