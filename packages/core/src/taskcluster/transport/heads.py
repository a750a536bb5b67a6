"""Answer heads without the parser of e-mails.

http.client hands every head to the `email` package, which takes a fifth of a whole call over loopback. A head that
looks as servers write them, and has arrived whole, is read here by one regular expression; any other is left to
http.client, so that what is odd is understood, or refused, as ever. But for one thing: a head that breaks off is no
answer, where http.client takes the end of the connection for that of the head, and the body for empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, RemoteDisconnected
from io import BufferedReader
from typing import TYPE_CHECKING, Any, cast

import urllib3.connection
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection, BaseHTTPSConnection

__all__ = ["PlainResponse", "read_plain_heads"]

_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([^\r\n]*)\r\n"
    # No more than http.client allows, which counts them.
    rb"((?:[!-9;-~]+:[^\r\n]*\r\n){1,99})"
    rb"\r\n"
)
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*([^\r\n]*)\r\n")
_CONNECTIONS = (urllib3.connection.HTTPConnection, urllib3.connection.HTTPSConnection)


def read_plain_heads(manager: PoolManager) -> None:
    """Have the pools that a manager makes from now on read plain heads so."""
    pools: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}
    manager.pool_classes_by_scheme = pools


class PlainResponse(HTTPResponse):
    """An answer whose head `begin` understands as http.client's does."""

    # What http.client sets, and its types leave out.
    code: int
    chunked: bool
    chunk_left: int | None
    will_close: bool
    length: int | None
    _method: str
    _check_close: Callable[[], bool]

    def begin(self) -> None:
        """Read the head, and leave the body."""
        # Sockets that stand in for real ones, in tests, may have a file that cannot peek.
        peek = getattr(self.fp, "peek", None)
        begun = cast("HTTPMessage | None", self.headers) is not None
        found = None if begun or peek is None or self.debuglevel > 0 else _HEAD.match(peek())
        if found is None:
            if not begun:
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
    """Gives the lines of a head, and refuses the end of the connection in their place."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        if len(line) < limit and not line.endswith(b"\n"):
            # In the words of http.client, which has them for a head that never began.
            raise RemoteDisconnected("Remote end closed connection without response")
        return line

    def close(self) -> None:
        self._file.close()


def _read_plainly(connection: object) -> None:
    # Another type is a stand-in for the network, or a tunnel of a third party's; those answer in their own way.
    if type(connection) in _CONNECTIONS:
        plain = cast("HTTPConnection", connection)
        if plain.response_class is HTTPConnection.response_class:
            plain.response_class = PlainResponse


class _HTTPPool(HTTPConnectionPool):
    def _new_conn(self) -> BaseHTTPConnection:
        connection = super()._new_conn()
        _read_plainly(connection)
        return connection


class _HTTPSPool(HTTPSConnectionPool):
    def _new_conn(self) -> BaseHTTPSConnection:
        connection = super()._new_conn()
        _read_plainly(connection)
        return connection
