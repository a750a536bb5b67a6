"""The two ends of a transfer: sources that are read and sinks that are written, and the usual readers and writers.

Sources and sinks count, check, decode and hash what passes through them; the drivers do the reading and the writing.
"""

from __future__ import annotations

import errno
import io
import os
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, BinaryIO, Protocol, cast

from taskcluster.decompression import Inflater
from taskcluster.exceptions import TaskclusterFailure

from .hashing import Digests, HashThreads

__all__ = [
    "CHUNK",
    "AnyReader",
    "AnyReaderFactory",
    "AnyWriter",
    "AnyWriterFactory",
    "BufferReader",
    "BufferWriter",
    "FileReader",
    "FileWriter",
    "Reader",
    "ReaderFactory",
    "Sink",
    "Source",
    "Writer",
    "WriterFactory",
    "writing_to",
]

CHUNK = 1024 * 1024
"""Bytes that a reader is asked for, and decoded, at a time."""


class Reader(Protocol):
    """Gives the bytes of an upload."""

    def read(self, max_size: int = -1, /) -> bytes:
        """Return 1 to `max_size` bytes, or none at the end."""
        ...


class AsyncReader(Protocol):
    """Gives the bytes of an upload, awaited."""

    def read(self, max_size: int = -1, /) -> Awaitable[bytes]:
        """Return 1 to `max_size` bytes, or none at the end."""
        ...


class Writer(Protocol):
    """Takes the bytes of a download."""

    def write(self, data: bytes, /) -> object:
        """Write all of `data`."""
        ...


ReaderFactory = Callable[[], Reader]
WriterFactory = Callable[[], Writer]
AnyReader = Reader | AsyncReader
AnyWriter = Writer
"""Whatever `write` returns is awaited in async functions if it can be."""
AnyReaderFactory = Callable[[], AnyReader] | Callable[[], Awaitable[AnyReader]]
AnyWriterFactory = Callable[[], AnyWriter] | Callable[[], Awaitable[AnyWriter]]


class Source:
    """The bytes of an upload, which must be exactly so many.

    Args:
        reader: Where they come from.
        length: How many there must be.
        digests: Hashes to run beside.
    """

    def __init__(self, reader: Any, length: int, digests: Digests) -> None:
        self.reader = reader
        self.length = length
        self.digests = digests
        self.taken = 0
        self.sent = 0
        self.begun = False
        """Whether anyone has begun to read it."""
        self.complete = False
        self.failure: BaseException | None = None
        """What the reader raised, or is blamed for; HTTP libraries wrap it in errors of their own."""

    def wanted(self) -> int:
        """Return how much to read next; one byte past the end, to see that nothing follows."""
        self.begun = True
        return min(CHUNK, self.length - self.taken) or 1

    def accept(self, given: Any, threads: HashThreads) -> bytes:
        """Take what was read; return it as bytes, none at the end.

        Raises:
            TaskclusterFailure: It is less or more than was promised.
            TypeError: It is no bytes.
        """
        # A reader may use the memory of any other kind again, before the bytes are hashed and sent.
        data = given if isinstance(given, bytes) else memoryview(given or b"").tobytes()
        if not data:
            if self.taken < self.length:
                raise TaskclusterFailure(
                    f"the reader gave {self.taken} bytes and then no more; contentLength is {self.length}"
                )
            self.complete = True
            return b""
        if self.taken + len(data) > self.length:
            raise TaskclusterFailure(f"the reader gives more bytes than contentLength, which is {self.length}")
        self.taken += len(data)
        self.digests.update(data, threads)
        return data


class Sink:
    """Where the bytes of a download go, over as many connections as it takes.

    Args:
        writer: Written with what is decoded.
        digests: Hashes to run beside.
        encoding: The answer's Content-Encoding.
        total: How many bytes come over the wire, if it is known.
        etag: The strong ETag by which the rest may be asked for, if there is one.

    Raises:
        TaskclusterFailure: The encoding is not known.
    """

    def __init__(self, writer: Any, digests: Digests, encoding: str, total: int | None, etag: str | None) -> None:
        self.writer = writer
        self.digests = digests
        self.encoding = encoding
        self.total = total
        self.etag = etag
        self.received = 0
        """Bytes off the wire."""
        self.failure: BaseException | None = None
        """What the writer raised, or who is told of progress; it gets out, even where it looks like a broken body."""
        self._decoder: Inflater | None = None
        if encoding not in ("", "identity"):
            try:
                self._decoder = Inflater(encoding, CHUNK)
            except KeyError:
                raise TaskclusterFailure(
                    f"what is stored is encoded as {encoding!r}, which cannot be decoded here"
                ) from None

    def pieces(self, data: bytes, threads: HashThreads) -> Iterator[bytes]:
        """Yield what is to be written for bytes off the wire, hashed or being hashed.

        Raises:
            TaskclusterFailure: They are not encoded as was said.
        """
        self.received += len(data)
        for piece in [data] if self._decoder is None else self._decoded(self._decoder, data):
            self.digests.update(piece, threads)
            yield piece

    def finish(self) -> None:
        """Check that the end of the body is the end of what is encoded; raise TaskclusterFailure where it is not."""
        if self._decoder is not None and not self._decoder.eof and self.received:
            raise TaskclusterFailure(f"the stored data ends in the middle of its {self.encoding} encoding")

    def _decoded(self, decoder: Inflater, data: bytes) -> Iterator[bytes]:
        try:
            yield from decoder.pieces(data)
        except zlib.error as exc:
            raise TaskclusterFailure(f"the stored data is not {self.encoding}, as it is said to be: {exc}") from exc


class BufferReader:
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


class FileReader:
    """Reads from a file, from its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self._file = file

    def read(self, max_size: int = -1, /) -> bytes:
        """Return the next bytes."""
        return self._file.read(max_size)


class BufferWriter:
    """Collects in memory."""

    def __init__(self) -> None:
        # No BytesIO: garbage collection closes one while its buffer is still lent, which is an error.
        self._buffer = bytearray()

    def write(self, data: bytes, /) -> None:
        """Add bytes."""
        self._buffer += data

    def getbuffer(self) -> memoryview:
        """Return what was collected."""
        return memoryview(self._buffer)


class FileWriter:
    """Writes into a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes, /) -> None:
        """Write all of the bytes; files without a buffer take them bit by bit.

        Raises:
            OSError: The file takes none of them.
        """
        view = memoryview(data)
        while view:
            taken = cast("int | None", self._file.write(view))
            if taken is None and not isinstance(self._file, io.RawIOBase):
                # Of those that write in their own way, many do not say what they return: it is all of it.
                return
            if not taken:
                raise OSError(errno.EIO, "the file takes no bytes")
            view = view[taken:]


def writing_to(file: BinaryIO) -> WriterFactory:
    """Return a factory of writers into a file, each from its beginning, cutting off what it held before.

    A pipe, which has no beginning to go back to, can be written by one alone.
    """
    begun = False

    def writer() -> FileWriter:
        nonlocal begun
        if file.seekable():
            # Devices can be rewound and have no length to be cut.
            if file.seek(0, os.SEEK_END):
                file.seek(0)
                file.truncate()
        elif begun:
            raise TaskclusterFailure("the download has to start over, and its file cannot be rewound")
        begun = True
        return FileWriter(file)

    return writer
