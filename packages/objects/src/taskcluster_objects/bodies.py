"""Sources of uploads, sinks of downloads, and the readers and writers that they use for memory and files.

Sources and sinks count, check, decode and hash the bytes; performers do the reading and writing.
"""

from __future__ import annotations

import errno
import io
import os
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, BinaryIO, Protocol, cast

from taskcluster.decompression import Inflater
from taskcluster.exceptions import TaskclusterFailure

from .hashing import Digests

__all__ = [
    "CHUNK",
    "AnyReader",
    "AnyReaderFactory",
    "AnyWriter",
    "AnyWriterFactory",
    "MemoryReader",
    "MemoryWriter",
    "OpenFileReader",
    "OpenFileWriter",
    "Reader",
    "ReaderFactory",
    "Sink",
    "Source",
    "Writer",
    "WriterFactory",
    "keep_freed_memory",
    "writing_to",
]

CHUNK = 1024 * 1024
"""The most bytes to read or decode at a time."""


_FREED = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Have glibc keep 8 MiB of freed memory for new buffers, instead of returning it to the system each time.

    It keeps twice as much as the largest block freed so far. Otherwise half of the pages of a download are returned
    and paged in again, which takes 7 % of its CPU time.
    """
    bytes(_FREED)


class Reader(Protocol):
    """Returns the bytes of an upload."""

    def read(self, max_size: int = -1, /) -> bytes:
        """Return 1 to `max_size` bytes, or no bytes at the end."""
        ...


class AsyncReader(Protocol):
    """Returns the bytes of an upload, awaitable."""

    def read(self, max_size: int = -1, /) -> Awaitable[bytes]:
        """Return 1 to `max_size` bytes, or no bytes at the end."""
        ...


class Writer(Protocol):
    """Writes the bytes of a download."""

    def write(self, data: bytes, /) -> object:
        """Write all of `data`."""
        ...


ReaderFactory = Callable[[], Reader]
WriterFactory = Callable[[], Writer]
AnyReader = Reader | AsyncReader
AnyWriter = Writer
"""Async functions await the result of `write` if it is awaitable."""
AnyReaderFactory = Callable[[], AnyReader] | Callable[[], Awaitable[AnyReader]]
AnyWriterFactory = Callable[[], AnyWriter] | Callable[[], Awaitable[AnyWriter]]


class Source:
    """The bytes of an upload.

    Args:
        reader: Returns them.
        length: Their exact number.
        digests: The hashes to compute.
    """

    def __init__(self, reader: Any, length: int, digests: Digests) -> None:
        self.reader = reader
        self.length = length
        self.digests = digests
        self.taken = 0
        self.sent = 0
        self.started = False
        """Whether the first read was requested."""
        self.complete = False
        self.failure: BaseException | None = None
        """The exception of the reader or of progress, which HTTP libraries wrap in their errors."""

    def wanted(self) -> int:
        """Return how much to read next. It is one byte at the end, to check that nothing follows."""
        self.started = True
        return min(CHUNK, self.length - self.taken) or 1

    def accept(self, given: Any, hashing: Sequence[Executor]) -> bytes:
        """Return the result of a read as bytes, and no bytes at the end.

        Raises:
            TaskclusterFailure: The reader returned fewer or more bytes than contentLength.
            TypeError: The result is not bytes-like.
        """
        # A reader may reuse any other buffer before the bytes are hashed and sent.
        data = given if isinstance(given, bytes) else memoryview(given or b"").tobytes()
        if not data:
            if self.taken < self.length:
                raise TaskclusterFailure(
                    f"the reader returned {self.taken} bytes and then no more; contentLength is {self.length}"
                )
            self.complete = True
            return b""
        if self.taken + len(data) > self.length:
            raise TaskclusterFailure(f"the reader returned more bytes than contentLength, which is {self.length}")
        self.taken += len(data)
        self.digests.update(data, hashing)
        return data


class Sink:
    """The destination of a download, over one or more connections.

    Args:
        writer: Writes the decoded bytes.
        digests: The hashes to compute.
        encoding: The Content-Encoding of the response.
        total: The number of encoded bytes, if known.
        etag: The strong ETag to resume with, or None.

    Raises:
        TaskclusterFailure: The encoding is not supported.
    """

    def __init__(self, writer: Any, digests: Digests, encoding: str, total: int | None, etag: str | None) -> None:
        self.writer = writer
        self.digests = digests
        self.encoding = encoding
        self.total = total
        self.etag = etag
        self.received = 0
        """Encoded bytes so far."""
        self.failure: BaseException | None = None
        """The exception of the writer or of progress. It is raised to the program, even if it is a connection error."""
        self._decoder: Inflater | None = None
        if encoding not in ("", "identity"):
            try:
                self._decoder = Inflater(encoding, CHUNK)
            except KeyError:
                raise TaskclusterFailure(f"the stored data has the unsupported Content-Encoding {encoding!r}") from None

    def pieces(self, data: bytes, hashing: Sequence[Executor]) -> Iterator[bytes]:
        """Yield the decoded bytes to write for encoded ones.

        Raises:
            TaskclusterFailure: They do not have the encoding of the response headers.
        """
        self.received += len(data)
        for piece in [data] if self._decoder is None else self._decoded(self._decoder, data):
            self.digests.update(piece, hashing)
            yield piece

    def finish(self) -> None:
        """Raise TaskclusterFailure if the encoded data is incomplete at the end of the body."""
        if self._decoder is not None and not self._decoder.eof and self.received:
            raise TaskclusterFailure(f"the stored data ends in the middle of its {self.encoding} encoding")

    def _decoded(self, decoder: Inflater, data: bytes) -> Iterator[bytes]:
        try:
            yield from decoder.pieces(data)
        except zlib.error as exc:
            raise TaskclusterFailure(
                f"the stored data is not {self.encoding}, contrary to its Content-Encoding: {exc}"
            ) from exc


class MemoryReader:
    """Reads from bytes."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).cast("B")
        self._position = 0

    def read(self, max_size: int = -1, /) -> bytes:
        """Return the next bytes."""
        end = None if max_size < 0 else self._position + max_size
        piece = bytes(self._data[self._position : end])
        self._position += len(piece)
        return piece


class OpenFileReader:
    """Reads from a file, from its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self._file = file

    def read(self, max_size: int = -1, /) -> bytes:
        """Return the next bytes."""
        return self._file.read(max_size)


class MemoryWriter:
    """Collects in memory."""

    def __init__(self) -> None:
        # Not BytesIO: garbage collection would close it while its buffer is exported, which is an error.
        self._buffer = bytearray()

    def write(self, data: bytes, /) -> None:
        """Add bytes."""
        self._buffer += data

    def getbuffer(self) -> memoryview:
        """Return the collected bytes."""
        return memoryview(self._buffer)


class OpenFileWriter:
    """Writes into a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes, /) -> None:
        """Write all of the bytes. Unbuffered files may need several writes.

        Raises:
            OSError: The file accepts no bytes.
        """
        view = memoryview(data)
        while view:
            taken = cast("int | None", self._file.write(view))
            if taken is None and not isinstance(self._file, io.RawIOBase):
                # Many file-like objects return nothing, and have written everything.
                return
            if not taken:
                raise OSError(errno.EIO, "the file accepts no bytes")
            view = view[taken:]


def writing_to(file: BinaryIO) -> WriterFactory:
    """Return a factory of writers into a file. Each writer truncates it and writes from its beginning.

    A pipe cannot be rewound, so it allows only one writer.
    """
    started = False

    def writer() -> OpenFileWriter:
        nonlocal started
        if file.seekable():
            # Devices can be rewound, but not truncated.
            if file.seek(0, os.SEEK_END):
                file.seek(0)
                file.truncate()
        elif started:
            raise TaskclusterFailure("the download must restart, and its file cannot be rewound")
        started = True
        return OpenFileWriter(file)

    return writer
