"""The contents of files, which all open files of one process share."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Generator
from contextlib import closing

from taskcluster.effects import Opened
from taskcluster_objects.bodies import Sink
from taskcluster_objects.hashing import Digests, hash_threads, hashes_to_verify, verify

from .responses import Stored
from .storage import Remote

__all__ = ["Content", "Contents", "DecodedContent", "StoredContent", "open_content"]

_IN_MEMORY = 1024 * 1024
"""Decoded contents of more bytes are in a temporary file."""
_MAX_MEMORY = 64 * 1024 * 1024
"""Bytes of all unused contents in memory."""
_MAX_DESCRIPTORS = 128
"""Temporary files and connections of all unused contents; macOS allows 256 in a process."""
_MAX_KEPT = 1000


class Content:
    """The content of a file. Threads may share it.

    Args:
        stored: How storage has it.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self._users = 1
        self._users_lock = threading.Lock()

    @property
    def size(self) -> int:
        """The size in bytes, decoded."""
        raise NotImplementedError

    @property
    def known_size(self) -> int | None:
        """The size, if it is known without reading."""
        raise NotImplementedError

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        raise NotImplementedError

    @property
    def disk(self) -> int:
        """Bytes in a temporary file."""
        return 0

    @property
    def descriptors(self) -> int:
        """Open temporary files and connections."""
        return 0

    def read(self, start: int, end: int | None) -> bytes:
        """Return the bytes from `start` to before `end`, by default all; fewer at the end of the file."""
        raise NotImplementedError

    def acquire(self) -> bool:
        """Keep it open for another user; return whether it still was."""
        with self._users_lock:
            self._users += self._users > 0
            return self._users > 0

    def release(self) -> None:
        """Close it, unless it has other users."""
        with self._users_lock:
            self._users -= 1
            is_unused = self._users == 0
        if is_unused:
            self._close()

    def _close(self) -> None:
        raise NotImplementedError


class StoredContent(Content):
    """A content of which storage returns any part."""

    def __init__(self, remote: Remote, stored: Stored, head: bytes) -> None:
        super().__init__(stored)
        self._remote = remote
        self._head = head

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.stored.size or 0

    @property
    def known_size(self) -> int:
        """The size in bytes."""
        return self.size

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        return len(self._head)

    def read(self, start: int, end: int | None) -> bytes:
        """Return the bytes from `start` to before `end`."""
        end = self.size if end is None else min(end, self.size)
        if start >= end:
            return b""
        held = self._head[start:end]
        if start + len(held) >= end:
            return held
        return held + self._remote.part(start + len(held), end, self.stored)

    def _close(self) -> None:
        # The connections are the storage's.
        pass


class DecodedContent(Content):
    """A content that is read once from its beginning, decoded into a temporary file, as far as it is requested.

    Args:
        remote: The file.
        stored: What the response showed.
        opened: The response, whose body is read first.
        name: The name, for errors.
    """

    def __init__(self, remote: Remote, stored: Stored, opened: Opened, name: str) -> None:
        super().__init__(stored)
        self._remote = remote
        self._name = name
        self._lock = threading.Lock()
        # Anonymous where the system allows it, so that nothing stays if the process is killed.
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._filled = 0
        self._is_complete = False
        self._unread: Opened | None = opened
        self._pieces: Generator[bytes, None, None] | None = self._decoded(opened)

    @property
    def size(self) -> int:
        """The size in bytes; all is read for it."""
        with self._lock:
            self._fill(None)
            return self._filled

    @property
    def known_size(self) -> int | None:
        """The size in bytes, if all was read."""
        return self._filled if self._is_complete else None

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        return 0 if self.disk else self._filled

    @property
    def disk(self) -> int:
        """Bytes in a temporary file."""
        return self._filled if self._filled > _IN_MEMORY else 0

    @property
    def descriptors(self) -> int:
        """Open temporary files and connections."""
        return (self.disk > 0) + (self._pieces is not None)

    def read(self, start: int, end: int | None) -> bytes:
        """Return the bytes from `start` to before `end`, and read the file as far as there."""
        with self._lock:
            self._fill(end)
            self._file.seek(start)
            return self._file.read(-1 if end is None else max(end - start, 0))

    def _fill(self, end: int | None) -> None:
        while not self._is_complete and (end is None or self._filled < end):
            if self._pieces is None:
                self._restart()
            try:
                self._advance()
            except BaseException:
                # For example KeyboardInterrupt: the end of the iterator would look like the end of the file.
                self._stop()
                raise

    def _restart(self) -> None:
        # In a new file, because KeyboardInterrupt can leave one that is half moved from memory to disk.
        self._file.close()
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._filled = 0
        self._pieces = self._decoded(None)

    def _advance(self) -> None:
        assert self._pieces is not None
        self._file.seek(self._filled)
        piece = next(self._pieces, None)
        self._unread = None
        if piece is None:
            self._is_complete = True
            self._stop()
        else:
            self._file.write(piece)
            self._filled += len(piece)

    def _decoded(self, opened: Opened | None) -> Generator[bytes, None, None]:
        stated = self._remote.hashes
        hashes = {} if stated is None else hashes_to_verify(self._name, stated)
        known = self.stored
        sink = Sink(None, Digests(hashes), known.encoding, known.size, known.etag)
        with hash_threads(2) as hashing, closing(self._remote.pieces(0, None, known, opened)) as pieces:
            for data in pieces:
                yield from sink.pieces(data, hashing)
            sink.finish()
            verify(self._name, hashes, sink.digests.hexdigests())

    def _stop(self) -> None:
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.close()
        if self._unread is not None:
            self._unread.native.close()

    def _close(self) -> None:
        with self._lock:
            self._stop()
            self._file.close()


def open_content(remote: Remote, name: str, size: int | None) -> Content:
    """Request the first bytes of a file, and return its content.

    Args:
        remote: The file.
        name: The name, for errors.
        size: Its size, if known.
    """
    stored, opened = remote.first(size)
    try:
        if stored.has_ranges:
            head = b"".join(remote.pieces(0, stored.received, stored, opened))
            return StoredContent(remote, stored, head)
        return DecodedContent(remote, stored, opened, name)
    except BaseException:
        opened.native.close()
        raise


class Contents:
    """Keeps contents that no file has open, because many readers open a file several times.

    Args:
        max_disk: How many bytes of them may be in temporary files.
    """

    def __init__(self, max_disk: int) -> None:
        self._max_disk = max_disk
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Content] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}

    def opening(self, key: str) -> threading.Lock:
        """Return the lock to hold while a file is opened, so that threads do not fetch it twice."""
        return self._opening.setdefault(key, threading.Lock())

    def get(self, key: str) -> Content | None:
        """Return a content for another user, who releases it."""
        with self._lock:
            content = self._kept.get(key)
            if content is None or not content.acquire():
                return None
            self._kept.move_to_end(key)
            return content

    def keep(self, key: str, content: Content) -> None:
        """Keep a content, instead of another one of the same file."""
        content.acquire()
        with self._lock:
            dropped = [self._kept.pop(key)] if key in self._kept else []
            self._kept[key] = content
        for each in dropped:
            each.release()

    def trim(self) -> None:
        """Drop those that were not used recently, down to the limits."""
        dropped: list[Content] = []
        with self._lock:
            memory = sum(each.memory for each in self._kept.values())
            disk = sum(each.disk for each in self._kept.values())
            descriptors = sum(each.descriptors for each in self._kept.values())
            while self._kept and (
                memory > _MAX_MEMORY
                or disk > self._max_disk
                or descriptors > _MAX_DESCRIPTORS
                or len(self._kept) > _MAX_KEPT
            ):
                key, content = self._kept.popitem(last=False)
                self._opening.pop(key, None)
                memory, disk = memory - content.memory, disk - content.disk
                descriptors -= content.descriptors
                dropped.append(content)
        for each in dropped:
            each.release()

    def clear(self) -> None:
        """Drop all."""
        with self._lock:
            dropped = list(self._kept.values())
            self._kept.clear()
            self._opening.clear()
        for each in dropped:
            each.release()
