"""Connections on which each request gets its own response.

http.client takes an interim response, such as 103 (Early Hints), for the response; the final one is then read as the
response to the connection's next request. The same happens to bytes that a server sends after a response. If the
connection ends within the headers, http.client takes them for complete.
"""

from __future__ import annotations

import queue
import re
from collections import deque
from contextlib import suppress
from functools import lru_cache
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from io import BufferedReader
from typing import Any, cast

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

from ..causes import harmless
from .framing import MAX_INTERIM_RESPONSES, announces_body

__all__ = ["Adapter", "FinalResponse", "close_if_followed"]

_POOL_SIZE = 100
"""Connections kept to one host, so that as many threads can share a client without reconnecting."""
_MAX_HEADERS = 100
"""Headers accepted in an interim response, as http.client limits them in a final one."""
_MAX_LINES = 1000
"""Lines that http.client may read after interim responses; it also skips any number with status 0100, or of HTTP/2."""

_INTERIM = re.compile(rb"HTTP/1\.\S*\s+1(?!01)\d\d\s")
"""The status line of an interim response. 101 is a final one: it ends HTTP on the connection."""


class FinalResponse(HTTPResponse):
    """A response that skips interim responses and requires complete headers."""

    def begin(self) -> None:
        """Read the status and the headers.

        Raises:
            HTTPException: The headers are incomplete, the server switches protocols, or interim responses do not end.
        """
        file = self.fp
        self.fp = cast("BufferedReader", _FinalHeaders(file))
        try:
            super().begin()
        finally:
            # http.client sets it to None after closing it.
            if cast("object", self.fp) is not None:
                self.fp = file
        if self.status < 200:
            message = f"the server switches to another protocol (status {self.status}), which was not requested"
            raise harmless(HTTPException(message))


class _FinalHeaders:
    """The lines from a connection's status line to the end of the headers, without those of interim responses."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._is_started = False
        self._left = _MAX_LINES

    def __getattr__(self, name: str) -> Any:
        # Ctrl-C may leave this object in the response, which http.client then flushes and closes.
        return getattr(self._file, name)

    def readline(self, limit: int) -> bytes:
        if self._is_started:
            self._left -= 1
            if self._left < 0:
                raise harmless(HTTPException(f"the server sent {_MAX_LINES} lines of headers and no response"))
            return self._line(limit)
        self._is_started = True
        for _ in range(MAX_INTERIM_RESPONSES):
            line = self._line(limit)
            if not _INTERIM.match(line):
                return line
            if all(self._line(limit).strip() for _ in range(_MAX_HEADERS + 1)):
                raise harmless(HTTPException(f"an interim response has more than {_MAX_HEADERS} headers"))
        raise harmless(HTTPException(f"the server sent {MAX_INTERIM_RESPONSES} interim responses and no other"))

    def _line(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        if len(line) < limit and not line.endswith(b"\n"):
            # As http.client reports a connection that ends before the status line.
            raise RemoteDisconnected("Remote end closed connection without response")
        return line


def close_if_followed(raw: object) -> None:
    """Have a response's connection closed at the end of the response if more bytes than the response arrived.

    Args:
        raw: The response of urllib3, its body unread. Anything else, as mocks have it, is left alone.
    """
    connection = getattr(raw, "connection", None)
    # urllib3 has no public name for the response of http.client; requests reads this one for cookies.
    response = getattr(raw, "_original_response", None)
    if not isinstance(connection, HTTPConnection) or connection.sock is None or not isinstance(response, HTTPResponse):
        return
    if response.length == 0 and announces_body(cast("Any", response.headers)):
        # If a body follows nevertheless, it may arrive after the next request was sent.
        connection.close()
    elif isinstance(cast("object", response.fp), BufferedReader):
        response.fp = cast("BufferedReader", _WatchedFile(response.fp, connection))


class _WatchedFile:
    """A response's file, which http.client closes at the end of the response."""

    def __init__(self, file: BufferedReader, connection: HTTPConnection) -> None:
        self._file = file
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int | None = None) -> bytes:
        return self._file.read(_checked(size))

    def read1(self, size: int) -> bytes:
        return self._file.read1(_checked(size))

    def close(self) -> None:
        if not self._file.closed and self._holds_more():
            self._connection.close()
        self._file.close()

    def _holds_more(self) -> bool:
        # A fake socket may have no timeout.
        with suppress(AttributeError, OSError, ValueError):
            sock = self._connection.sock
            timeout = sock.gettimeout()
            sock.settimeout(0)
            try:
                return bool(self._file.peek())
            finally:
                sock.settimeout(timeout)
        return False


def _checked(size: int | None) -> int:
    if size is None:
        return -1
    if size < 0:
        # http.client takes the size of a chunk as it is, and -1 would read to the end of the connection.
        raise harmless(HTTPException("a chunk has a negative size"))
    return size


class _IdleConnections(deque[Any]):
    """A pool's idle connections, the last used first.

    An interrupt (Ctrl-C) within a method of queue.LifoQueue can leave its lock locked forever. A deque needs no lock:
    each of its operations is atomic.
    """

    def __init__(self, maxsize: int) -> None:
        super().__init__()
        self._maxsize = maxsize

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        # Pools of requests do not block: if none is idle, a new connection is opened.
        try:
            return self.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, connection: Any, block: bool = True, timeout: float | None = None) -> None:
        if len(self) >= self._maxsize:
            raise queue.Full
        self.append(connection)

    def qsize(self) -> int:
        return len(self)


class _Pool(HTTPConnectionPool):
    QueueCls: Any = _IdleConnections

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]
        # Read for each connection, because programs' tests replace it, and their connections respond in their own way.
        kind: Any = super().ConnectionCls
        return _connection_class(kind) if kind.__module__.startswith("urllib3.") else kind


@lru_cache(maxsize=16)
def _connection_class(kind: Any) -> Any:
    return type(kind.__name__, (kind,), {"response_class": FinalResponse})


@lru_cache(maxsize=16)
def _pool_class(kind: Any) -> Any:
    return type(kind.__name__, (_Pool, kind), {})


class Adapter(HTTPAdapter):
    """The adapter of a session whose connections give each request its own response."""

    def __init__(self) -> None:
        super().__init__(pool_connections=4, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        # Also called when the adapter is copied or unpickled. requests leaves its methods untyped.
        adapter: Any = super()
        adapter.init_poolmanager(*args, **kwargs)
        _use_own_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **arguments: Any) -> Any:
        adapter: Any = super()
        is_known = proxy in self.proxy_manager
        manager = adapter.proxy_manager_for(proxy, **arguments)
        if not is_known:
            _use_own_pools(manager)
        return manager

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        response = super().send(request, *args, **kwargs)
        close_if_followed(response.raw)
        return response

    def close(self) -> None:
        # urllib3 closes a pool when it is no longer referenced, and a kept response or exception references it.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - urllib3's container cannot be iterated over
                manager.pools[key].close()
        super().close()


def _use_own_pools(manager: PoolManager) -> None:
    kinds: Any = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _pool_class(kind) for scheme, kind in kinds.items()}
