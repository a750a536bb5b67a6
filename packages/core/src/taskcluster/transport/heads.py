"""The connections of our own sessions: what they read is the response to what they sent, and nothing else.

http.client takes status 103 for a response, and leaves the real one to whoever uses the connection next. The same
becomes of bytes that follow a response. Here interim responses are skipped, and a connection on which more arrived
than its response is closed.

http.client also hands the headers to the `email` package, which takes a fifth of a whole call over loopback. Headers
that look as servers write them, and have arrived completely, are read here by one regular expression; all others are
left to http.client. Headers that break off are no response, while http.client takes the end of the connection for
that of the headers.
"""

from __future__ import annotations

import queue
import re
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, RemoteDisconnected
from io import BufferedReader
from typing import Any, cast

from urllib3 import HTTPConnectionPool, PoolManager

from ..causes import harmless
from .framing import MAX_INTERIM_RESPONSES, announces_body

__all__ = ["PlainResponse", "close_if_unread", "use_own_pools"]

_MOST_LINES = 1000
"""Lines that http.client is given to find a response in; by itself it skips any number of interim responses."""

_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([^\r\n]*)\r\n"
    # No more than http.client allows, which counts them.
    rb"((?:[!-9;-~]+:[^\r\n]*\r\n){1,99})"
    rb"\r\n"
)
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*([^\r\n]*)\r\n")


def use_own_pools(manager: PoolManager) -> None:
    """Have a manager use pools of this module from now on."""
    kinds: Any = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _own(kind) for scheme, kind in kinds.items()}


class PlainResponse(HTTPResponse):
    """A response whose headers mean what they mean to http.client, behind any interim responses."""

    # What http.client sets, and its types leave out.
    code: int
    chunked: bool
    chunk_left: int | None
    will_close: bool
    length: int | None
    _method: str
    _check_close: Callable[[], bool]

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def begin(self) -> None:
        """Read the headers, and leave the body.

        Raises:
            HTTPException: The server switches protocols, or sends interim responses without end.
        """
        if cast("HTTPMessage | None", self.headers) is not None:
            return
        for _ in range(MAX_INTERIM_RESPONSES):
            self._begin_one()
            if self.status == 101:
                raise harmless(
                    HTTPException("the server switches to another protocol (status 101), which was not requested")
                )
            if self.status >= 200:
                break
            # Makes http.client begin again.
            unread: Any = None
            self.headers = self.msg = unread
        else:
            raise harmless(HTTPException(f"the server sent {MAX_INTERIM_RESPONSES} interim responses and no other"))
        if self.length == 0 and announces_body(cast("Any", self.headers)):
            # If one follows nevertheless, it may arrive when the next request has been sent.
            self.will_close = True
        if not self.will_close:
            _watch(self, self._sock)

    def _begin_one(self) -> None:
        # Sockets that stand in for real ones, in tests, may have a file that cannot peek.
        peek = getattr(self.fp, "peek", None)
        found = None if peek is None or self.debuglevel > 0 else _HEAD.match(peek())
        if found is None:
            self._begin_whole()
            return
        self.fp.read(found.end())
        status, reason, fields = found.groups()
        self.code = self.status = int(status)
        self.reason = reason.decode("latin-1").strip()
        self.version = 11
        message = self.headers = self.msg = HTTPMessage()
        for name, value in _FIELD.findall(fields.decode("latin-1")):
            message.set_raw(name, value)
        message.set_payload("")
        self.chunked = message.get("transfer-encoding", "").lower() == "chunked"
        if self.chunked:
            self.chunk_left = None
        self.length = self._length(message)
        self.will_close = self._check_close() or (self.length is None and not self.chunked)

    def _begin_whole(self) -> None:
        file = self.fp
        self.fp = cast("BufferedReader", _WholeLines(file))
        try:
            super().begin()
        finally:
            # Unless it was closed.
            if cast("BufferedReader | None", self.fp) is not None:
                self.fp = file

    def _length(self, message: HTTPMessage) -> int | None:
        if self.status in (204, 304) or self._method == "HEAD":
            return 0
        try:
            length = -1 if self.chunked else int(message.get("content-length", ""))
        except ValueError:
            return None
        return None if length < 0 else length


class _WholeLines:
    """Gives the lines of headers, and refuses the end of the connection in their place."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._left = _MOST_LINES

    def readline(self, limit: int) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise harmless(HTTPException(f"the server sent {_MOST_LINES} lines of headers and no response"))
        line = self._file.readline(limit)
        if len(line) < limit and not line.endswith(b"\n"):
            # In the words of http.client, which has them for a head that never began.
            raise RemoteDisconnected("Remote end closed connection without response")
        return line

    def close(self) -> None:
        self._file.close()


def close_if_unread(response: HTTPResponse, connection: HTTPConnection | None) -> None:
    """Have the connection of a response closed after it if more arrives than the response.

    Args:
        response: Its headers are read, its body is not.
        connection: The one that it came over, or None if that is not kept.
    """
    sock = None if connection is None else connection.sock
    if connection is None or sock is None or isinstance(response, PlainResponse):
        return
    if response.length == 0 and announces_body(cast("Any", response.headers)):
        connection.close()
    else:
        _watch(response, sock)


def _watch(response: HTTPResponse, sock: socket.socket) -> None:
    if hasattr(response.fp, "peek"):
        response.fp = cast("BufferedReader", _Watched(response.fp, sock))


class _Watched:
    """The file of a response, which ends the connection if anything is left to read when the response is over.

    Otherwise what the file holds would be lost with it, and what follows would be read as the next response.
    """

    def __init__(self, file: BufferedReader, sock: socket.socket) -> None:
        self._file = file
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        if not self._file.closed and self._holds_more():
            # The pool sees the end of the connection, and makes another.
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        self._file.close()

    def _holds_more(self) -> bool:
        # Not what stands in for a socket in programs' tests.
        with suppress(AttributeError, OSError, ValueError):
            timeout = self._sock.gettimeout()
            self._sock.settimeout(0)
            try:
                return bool(self._file.peek())
            finally:
                self._sock.settimeout(timeout)
        return False


class _Idle:
    """The connections of a pool that wait for requests, the last used first; takes the place of queue.LifoQueue.

    An interrupt (Ctrl-C) in the middle of a method of LifoQueue can leave its lock locked for ever. Here are no locks:
    each operation of a deque is atomic.
    """

    def __init__(self, maxsize: int) -> None:
        self._most = maxsize
        self._connections: deque[Any] = deque()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        # Our pools do not block: beyond these, connections are made as they are needed.
        try:
            return self._connections.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, connection: Any, block: bool = True, timeout: float | None = None) -> None:
        if len(self._connections) >= self._most:
            raise queue.Full
        self._connections.append(connection)

    def qsize(self) -> int:
        return len(self._connections)


class _OwnPool(HTTPConnectionPool):
    QueueCls: Any = _Idle

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        # Other connections stand in for the network, in programs' tests; those answer in their own way.
        is_usual = type(connection).__module__.startswith("urllib3.")
        if is_usual and connection.response_class is HTTPConnection.response_class:
            connection.response_class = PlainResponse
        return connection


@lru_cache(maxsize=16)
def _own(kind: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    return type(kind.__name__, (_OwnPool, kind), {})
