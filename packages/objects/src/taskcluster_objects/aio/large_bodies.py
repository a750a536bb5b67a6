"""Receives large response bodies without aiohttp's parser and buffer, which take a tenth of a download's CPU time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from taskcluster.transport.aiohttp import broken_response

__all__ = ["LargeBody"]

_LARGE = 64 * 1024 * 1024
"""The fewest missing bytes that are worth closing a connection: aiohttp does not see the end of the body."""
_AHEAD = 2 * 1024 * 1024
"""Bytes to read ahead, and then to write at a time. Each time wakes a thread."""


class LargeBody(asyncio.Protocol):
    """Receives the rest of a response body in place of aiohttp's protocol.

    Args:
        response: The response. Only this object may read its body from now on.
        transport: The transport of its connection.
        connection_lost: The method of aiohttp's protocol.
        idle_timeout: The most seconds to wait for bytes.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        transport: asyncio.Transport,
        connection_lost: Callable[[Exception | None], None],
        idle_timeout: float,
    ) -> None:
        self._response = response
        self._transport = transport
        self._connection_lost = connection_lost
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._arrived = self._loop.create_future()
        self._is_lost = False
        self._size = 0
        self._pieces = list(iter(response.content.read_nowait, b""))
        self._missing = (response.content_length or 0) - response.content.total_bytes
        # uvloop reads on as for the old protocol unless it is paused.
        transport.pause_reading()
        transport.set_protocol(self)
        transport.resume_reading()

    @classmethod
    def of(cls, response: aiohttp.ClientResponse, idle_timeout: float) -> LargeBody | None:
        """Return the body of a response, which aiohttp must not decode; None if it is small or chunked."""
        connection, length, content = response.connection, response.content_length, response.content
        if connection is None or connection.protocol is None or connection.transport is None:
            return None
        if length is None or length - content.total_bytes < _LARGE or "Transfer-Encoding" in response.headers:
            return None
        if connection.transport.is_closing() or content.exception() is not None:
            return None
        return cls(response, connection.transport, connection.protocol.connection_lost, idle_timeout)

    async def read(self) -> list[bytes]:
        """Return the next bytes as soon as there are any, in the pieces that arrived; an empty list at the end.

        Raises:
            TaskclusterConnectionError: The connection broke before the end, or was idle for too long.
        """
        if not self._pieces and self._missing and not self._is_lost:
            self._arrived = self._loop.create_future()
            timer = self._loop.call_later(self._idle_timeout, self._wake)
            try:
                await self._arrived
            finally:
                timer.cancel()
        if not self._pieces and self._missing:
            failure = broken_response(
                aiohttp.ClientPayloadError(f"the connection was closed {self._missing} bytes before the end")
                if self._is_lost
                else aiohttp.SocketTimeoutError("Timeout on reading data from socket"),
                self._response,
            )
            raise failure from failure.superExc
        pieces, self._pieces, self._size = self._pieces, [], 0
        if self._missing:
            self._transport.resume_reading()
        return pieces

    def data_received(self, data: bytes) -> None:
        """Keep bytes of the body, and ignore those after its end."""
        data = data[: self._missing]
        self._missing -= len(data)
        self._size += len(data)
        if data:
            self._pieces.append(data)
        if self._size >= _AHEAD or not self._missing:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the reader, and aiohttp's connector if that waits for the end of the connection."""
        self._is_lost = True
        self._wake()
        self._connection_lost(exc)

    def _wake(self) -> None:
        if not self._arrived.done():
            self._arrived.set_result(None)
