"""Decode compressed bodies in pieces of limited size, because a few bytes may expand to gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from .exceptions import TaskclusterFailure

__all__ = ["CollectedBody", "Decoder", "Inflater", "too_large"]

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The encodings, and zlib's names for them."""
_PIECE = 256 * 1024


class Inflater:
    """Decodes gzip and deflate.

    Args:
        encoding: `gzip`, `x-gzip` or `deflate`.
        piece: How many bytes to return at a time, at most.

    Raises:
        KeyError: It is another encoding.
    """

    def __init__(self, encoding: str, piece: int = _PIECE) -> None:
        self._window = _WINDOWS[encoding]
        self._piece = piece
        self._start = b""
        self._decoder = zlib.decompressobj(self._window)
        self._begun = self._window != _WINDOWS["deflate"]
        self.members = 0
        """How many complete streams were decoded."""

    @property
    def eof(self) -> bool:
        """Whether the last bytes were the end of a stream."""
        return self._decoder.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what some bytes decode to.

        Raises:
            zlib.error: They are not of this encoding.
        """
        if not self._begun:
            self._start = data = self._start + data
            if len(data) < 2:
                return
            self._begun = True
            # Some servers call it deflate and send it without the header of zlib.
            if data[0] & 15 != 8 or int.from_bytes(data[:2], "big") % 31:
                self._window = -15
                self._decoder = zlib.decompressobj(self._window)
        while True:
            if self._decoder.eof and data:
                self._decoder = zlib.decompressobj(self._window)
            piece = self._decoder.decompress(data, self._piece)
            if self._decoder.eof:
                self.members += 1
            data = self._decoder.unconsumed_tail or self._decoder.unused_data
            if piece:
                yield piece
            if not data and len(piece) < self._piece:
                return


class Decoder:
    """Decodes a body, which may be encoded several times.

    Args:
        encoding: The Content-Encoding header; empty for a body that is not encoded.
    """

    def __init__(self, encoding: str) -> None:
        names = [name for name in map(str.strip, encoding.lower().split(",")) if name not in ("", "identity")]
        self.is_decodable = all(name in _WINDOWS for name in names)
        """Whether this module knows the encodings; otherwise the body stays encoded."""
        # The last encoding was applied last.
        self._inflaters = [Inflater(name) for name in reversed(names)] if self.is_decodable else []

    def decoded(self, data: bytes) -> Iterator[bytes]:
        """Yield what some bytes decode to.

        Raises:
            zlib.error: The body is not encoded as was announced.
        """
        return self._decoded(data, self._inflaters)

    def _decoded(self, data: bytes, inflaters: list[Inflater]) -> Iterator[bytes]:
        if not inflaters:
            yield data
            return
        first, *others = inflaters
        pieces = first.pieces(data)
        while True:
            try:
                piece = next(pieces, None)
            except zlib.error:
                # Some servers pad complete data with other bytes, which HTTP libraries ignore.
                if first.members:
                    return
                raise
            if piece is None:
                return
            yield from self._decoded(piece, others)


class CollectedBody(Decoder):
    """A body that is collected in memory, decoded, up to a limit.

    Args:
        encoding: The Content-Encoding header; empty if the pieces are decoded already.
        limit: How many bytes it may have.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        super().__init__(encoding)
        self._limit = limit
        self._pieces: list[bytes] = []
        self._length = 0

    def add(self, data: bytes) -> None:
        """Add bytes as they were received.

        Raises:
            TaskclusterFailure: The body is larger than the limit.
            zlib.error: The body is not encoded as was announced.
        """
        for piece in self.decoded(data):
            self._length += len(piece)
            if self._length > self._limit:
                raise too_large(self._limit)
            self._pieces.append(piece)

    def content(self) -> bytes:
        """Return the collected bytes."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def too_large(limit: int) -> TaskclusterFailure:
    """Return the error for a response of more than `limit` bytes."""
    return TaskclusterFailure(
        f"the response has more than {limit} bytes when decompressed, and was not read any further: "
        "if such a response is expected, set the option maxResponseSize (bytes) to more"
    )
