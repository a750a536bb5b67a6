"""`taskcluster.aio.reader_writer`: async readers and writers, for reader and writer factories."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import BinaryIO, Protocol

from .. import bodies
from ..hashing import ACCEPTABLE_HASHES

__all__ = [
    "BufferReader",
    "BufferWriter",
    "FileReader",
    "FileWriter",
    "HashingReader",
    "HashingWriter",
    "streamingCopy",
]


def __dir__() -> list[str]:
    return __all__


class _Reader(Protocol):
    def read(self, max_size: int, /) -> Awaitable[bytes]: ...


class _Writer(Protocol):
    def write(self, chunk: bytes, /) -> Awaitable[object]: ...


class BufferReader:
    """Reads from bytes.

    Args:
        data: The bytes.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._reader = bodies.MemoryReader(data)

    async def read(self, max_size: int = -1) -> bytes:
        """Return the next bytes, at most `max_size`, or no bytes at the end."""
        return self._reader.read(max_size)


class BufferWriter:
    """Collects in memory."""

    def __init__(self) -> None:
        self._writer = bodies.MemoryWriter()

    async def write(self, chunk: bytes) -> None:
        """Add bytes."""
        self._writer.write(chunk)

    def getbuffer(self) -> memoryview:
        """Return the bytes written so far."""
        return self._writer.getbuffer()


class FileReader:
    """Reads from a file, from its current position, in a thread.

    Args:
        file: Open for reading bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def read(self, max_size: int = -1) -> bytes:
        """Return the next bytes, at most `max_size`, or no bytes at the end."""
        return await asyncio.to_thread(self._file.read, max_size)


class FileWriter:
    """Writes to a file, at its current position, in a thread.

    Args:
        file: Open for writing bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._writer = bodies.OpenFileWriter(file)

    async def write(self, chunk: bytes) -> None:
        """Write all of the bytes."""
        await asyncio.to_thread(self._writer.write, chunk)


class _Hashing:
    def __init__(self) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in ACCEPTABLE_HASHES}
        self._size = 0

    def update(self, chunk: bytes) -> None:
        """Hash bytes."""
        self._size += len(chunk)
        for each in self._hashes.values():
            each.update(chunk)

    def _hexdigests(self) -> dict[str, str]:
        return {name: each.hexdigest() for name, each in self._hashes.items()}


class HashingReader(_Hashing):
    """Hashes the bytes of another reader.

    Args:
        inner: The other reader.
    """

    def __init__(self, inner: _Reader) -> None:
        super().__init__()
        self._inner = inner

    async def read(self, max_size: int = -1) -> bytes:
        """Return the next bytes of the other reader, hashed."""
        chunk = await self._inner.read(max_size)
        self.update(chunk)
        return chunk

    def hashes(self, contentLength: int) -> dict[str, str]:
        """Return the hexadecimal hashes by algorithm; raise RuntimeError unless `contentLength` bytes were read."""
        if contentLength != self._size:
            raise RuntimeError(f"hashed {self._size} bytes but content length is {contentLength}")
        return self._hexdigests()


class HashingWriter(_Hashing):
    """Hashes bytes and writes them to another writer.

    Args:
        inner: The other writer.
    """

    def __init__(self, inner: _Writer) -> None:
        super().__init__()
        self._inner = inner

    async def write(self, chunk: bytes) -> None:
        """Hash bytes, and write them to the other writer."""
        self.update(chunk)
        await self._inner.write(chunk)

    def hashes(self) -> dict[str, str]:
        """Return the hexadecimal hashes by algorithm."""
        return self._hexdigests()


async def streamingCopy(reader: _Reader, writer: _Writer) -> None:
    """Copy all bytes of a reader to a writer."""
    while chunk := await reader.read(bodies.CHUNK):
        await writer.write(chunk)
