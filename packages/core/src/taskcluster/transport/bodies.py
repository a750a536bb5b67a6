"""Response bodies: read into memory up to a limit, or in pieces as they arrive."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions
from urllib3.connection import HTTPConnection
from urllib3.response import BaseHTTPResponse

from ..causes import explain, safe_cause
from ..decompression import CollectedBody, too_large
from ..exceptions import TaskclusterConnectionError, TaskclusterFailure
from .error_mapping import ConnectionFailure, reading_error

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..effects import Request

__all__ = ["Body", "read_body"]

_PIECE = 64 * 1024
"""Bytes read at a time from a body of unknown length."""
_SMALL_PIECE = 4 * 1024
"""Bytes read at a time from a body that urllib3 decodes; before 2.6 it decodes them to any length at once."""


def read_body(raw: BaseHTTPResponse, limit: int) -> bytes:
    """Return the body of a response, decompressed.

    Raises:
        requests.RequestException: The body is incomplete, or not encoded as its headers say.
        TaskclusterFailure: The body is larger than `limit` bytes.
    """
    length = raw.length_remaining
    encoding = raw.headers.get("Content-Encoding", "")
    try:
        if not encoding and length is not None and length <= limit:
            return raw.read(decode_content=False)
        body = CollectedBody(encoding, limit)
        if not encoding and length is not None:
            raise too_large(limit)
        if body.is_decodable:
            while data := raw.read(_PIECE, decode_content=False):
                body.add(data)
        else:
            # urllib3 decodes it if a library for that is installed, and otherwise returns it encoded.
            while data := raw.read(_SMALL_PIECE, decode_content=True):
                body.add(data)
        return body.content()
    except zlib.error as exc:
        raw.close()
        raise requests.exceptions.ContentDecodingError(exc) from exc
    except TaskclusterFailure:
        raw.close()
        raise
    except urllib3.exceptions.HTTPError as exc:
        raise reading_error(exc) from exc


class Body:
    """A response whose body is read in pieces and not decoded.

    Args:
        request: The request.
        status: The HTTP status.
        headers: The response headers.
        raw: The response of urllib3, or a mock's.
        failure: Returns the exception to raise if the connection fails.
    """

    def __init__(
        self,
        request: Request,
        status: int,
        headers: Mapping[str, str],
        raw: Any,
        failure: ConnectionFailure = TaskclusterConnectionError,
    ) -> None:
        self._request = request
        self._failure = failure
        self.status = status
        self.headers = headers
        self._raw = raw
        # Mocks may have a plain file (httmock), or a response without read1 (vcrpy).
        self._options = {"decode_content": False} if hasattr(raw, "decode_content") else {}
        self._is_connected = isinstance(getattr(raw, "connection", None), HTTPConnection)
        self._error: TaskclusterConnectionError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer before the end or a failure of the connection, and b"" after the end.

        Raises:
            TaskclusterConnectionError: The connection failed or timed out before the end of the body.
        """
        pieces: list[bytes] = []
        left = size
        try:
            while left and (piece := self.read1(left)):
                pieces.append(piece)
                left -= len(piece)
        except TaskclusterConnectionError:
            if not pieces:
                raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int) -> bytes:
        """Return at most `size` bytes, as soon as there are any, and b"" after the end; raises as `read`."""
        if self._error is None:
            # urllib3's `read` would lose what it has received when it times out.
            read = self._raw.read1 if self._is_connected else self._raw.read
            try:
                data: bytes = read(size, **self._options)
                return data
            except (urllib3.exceptions.HTTPError, OSError) as exc:
                failed = "timed out" if isinstance(exc, urllib3.exceptions.TimeoutError | TimeoutError) else "broke off"
                message = explain(f"{self._request.described()}: the response {failed}", exc)
                self._error = self._failure(message, safe_cause(exc))
        # Outside the block, so that the library's exception is not its context.
        raise self._error from self._error.superExc

    def interrupt(self) -> None:
        """Make a read in another thread end as if the connection had failed; `close` would wait for that read."""
        # The body may have been read to its end meanwhile, or be a mock's.
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            if hasattr(self._raw, "shutdown"):
                self._raw.shutdown()
            else:
                # urllib3 before 2.3. There is no socket if the connection is not to be kept.
                self._raw.connection.sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close the connection, unless the body was read to its end: then it is kept for the next request."""
        self._raw.close()
        # Closed connections are released too: a pool that blocks would wait for them.
        if hasattr(self._raw, "release_conn"):
            self._raw.release_conn()
