"""AMQP 0-9-1 on asyncio, as far as consuming and publishing need it. pamqp encodes and decodes the frames.

A connection or channel that ends resolves its `ended` with the reason. Nothing here reconnects.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pamqp import body as content_body
from pamqp import commands, exceptions, frame, header, heartbeat
from pamqp.base import Frame
from pamqp.constants import (
    FRAME_BODY,
    FRAME_END,
    FRAME_HEADER,
    FRAME_HEARTBEAT,
    FRAME_MAX_SIZE,
    FRAME_METHOD,
    REPLY_SUCCESS,
)

from .settings import BrokerSettings
from .version import VERSION

__all__ = ["FRAME_ERROR", "AmqpChannel", "AmqpConnection", "AmqpEnded", "Content", "open_connection"]

log = logging.getLogger("taskcluster")

F = TypeVar("F", bound=Frame)

_PROTOCOL_HEADER = frame.marshal(header.ProtocolHeader(), 0)
_HEARTBEAT_FRAME = frame.marshal(heartbeat.Heartbeat(), 0)
_FRAMES = (FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT)
_OVERHEAD = 8
"""Bytes of a frame besides its payload."""
_CLOSE_TIMEOUT = 2.0
FRAME_ERROR = 501
"""The reply code for a frame that is too large, and of messages that need one."""


class AmqpEnded(Exception):
    """A connection or channel has ended."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        """The broker's reply code; None if it gave no reason, because the connection was lost."""


class Content(NamedTuple):
    """A message that was delivered or returned."""

    method: commands.Basic.Deliver | commands.Basic.Return
    properties: commands.Basic.Properties | None
    """None if they cannot be decoded."""
    body: bytes


class AmqpChannel:
    """A channel. The callbacks are attributes, which its user sets before anything can arrive."""

    def __init__(self, connection: AmqpConnection, number: int) -> None:
        self._connection = connection
        self.number = number
        self.ended: asyncio.Future[AmqpEnded] = connection.loop.create_future()
        self.on_content: Callable[[Content], None] | None = None
        self.on_cancel: Callable[[], None] | None = None
        self.on_confirm: Callable[[int, bool, bool], None] | None = None
        """Called with the delivery tag, whether it includes all before, and whether the broker has the message."""
        self._replies: deque[asyncio.Future[Any]] = deque()
        self._method: commands.Basic.Deliver | commands.Basic.Return | None = None
        self._properties: commands.Basic.Properties | None = None
        self._body = bytearray()
        self._missing = 0
        self._published = 0

    async def call(self, method: Frame, reply: type[F]) -> F:
        """Send a method and return the broker's reply.

        Raises:
            AmqpEnded: The broker closed the channel or connection instead.
        """
        if self.ended.done():
            raise self.ended.result()
        future: asyncio.Future[Any] = self._connection.loop.create_future()
        self._replies.append(future)
        self.send(method)
        answered = await future
        if not isinstance(answered, reply):
            raise AmqpEnded(f"the broker replied to {method.name} with {answered.name}")
        return answered

    def send(self, method: Frame) -> None:
        """Send a method that has no reply; nothing is sent after the end."""
        if not self.ended.done():
            self._connection.write(frame.marshal(method, self.number))

    def publish(self, method: commands.Basic.Publish, properties: commands.Basic.Properties, body: bytes) -> int:
        """Send a message, and return its delivery tag, by which the broker confirms it."""
        size = self._connection.frame_max - _OVERHEAD
        head = frame.marshal(header.ContentHeader(0, len(body), properties), self.number)
        if len(head) > self._connection.frame_max:
            # The broker would close the connection.
            raise AmqpEnded(
                f"properties and headers take {len(head)} bytes, and the broker accepts {size}: use fewer routes",
                FRAME_ERROR,
            )
        parts = [frame.marshal(method, self.number), head]
        parts += [
            frame.marshal(content_body.ContentBody(body[start : start + size]), self.number)
            for start in range(0, len(body), size)
        ]
        self._connection.write(b"".join(parts))
        self._published += 1
        return self._published

    def receive(self, kind: int, payload: bytes, raw: bytes) -> None:
        """Process a frame."""
        if kind == FRAME_METHOD:
            self._receive_method(frame.unmarshal(raw)[2])
        elif kind == FRAME_HEADER and self._method is not None:
            # The size of the body is at a fixed place, and needed even if the properties cannot be decoded.
            self._missing = int.from_bytes(payload[4:12], "big")
            try:
                content_header: Any = frame.unmarshal(raw)[2]
                self._properties = content_header.properties
            except exceptions.UnmarshalingException:
                self._properties = None
            self._finish_content()
        elif kind == FRAME_BODY and self._method is not None:
            self._body += payload
            self._missing -= len(payload)
            self._finish_content()

    def _finish_content(self) -> None:
        if self._missing > 0 or self._method is None:
            return
        content = Content(self._method, self._properties, bytes(self._body))
        self._method, self._properties = None, None
        self._body.clear()
        if self.on_content is not None:
            self.on_content(content)

    def _receive_method(self, method: Any) -> None:
        match method:
            case commands.Basic.Deliver() | commands.Basic.Return():
                self._method = method
            case commands.Basic.Ack() | commands.Basic.Nack():
                if self.on_confirm is not None:
                    tag = method.delivery_tag or 0
                    self.on_confirm(tag, method.multiple, isinstance(method, commands.Basic.Ack))
            case commands.Basic.Cancel():
                if self.on_cancel is not None:
                    self.on_cancel()
            case commands.Channel.Close():
                self.send(commands.Channel.CloseOk())
                self.end(AmqpEnded(method.reply_text, method.reply_code))
            case _:
                if self._replies:
                    future = self._replies.popleft()
                    if not future.done():
                        future.set_result(method)

    def end(self, reason: AmqpEnded) -> None:
        """Resolve `ended`, and fail what waits for replies."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        for future in self._replies:
            if not future.done():
                future.set_exception(reason)
        self._replies.clear()


class AmqpConnection(asyncio.Protocol):
    """A connection, opened by `open_connection`."""

    def __init__(self, settings: BrokerSettings) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[AmqpEnded] = self.loop.create_future()
        self.opened: asyncio.Future[None] = self.loop.create_future()
        self.frame_max = FRAME_MAX_SIZE
        self._settings = settings
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._unsent: list[bytes] | None = None
        """What was written after something else since the event loop continued; None if nothing was."""
        self._channels: dict[int, AmqpChannel] = {}
        self._last_channel = 0
        self._closing: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] = self.loop.create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._missed_beats = 0
        self._beat_timer: asyncio.TimerHandle | None = None

    # What users call.

    async def channel(self) -> AmqpChannel:
        """Open a channel."""
        self._last_channel += 1
        channel = self._channels[self._last_channel] = AmqpChannel(self, self._last_channel)
        if self.ended.done():
            channel.end(self.ended.result())
        await channel.call(commands.Channel.Open(), commands.Channel.OpenOk)
        return channel

    async def drain(self) -> None:
        """Send what is pending, and wait while the buffer of the socket is full."""
        self._flush()
        await self._writable.wait()

    async def close(self) -> None:
        """Close the connection. What was sent before still arrives."""
        if not self.ended.done() and self.opened.done() and self._closing is None:
            self._closing = self.loop.create_future()
            self._write_method(commands.Connection.Close(REPLY_SUCCESS, "", 0, 0))
            await asyncio.wait([self._closing], timeout=_CLOSE_TIMEOUT)
        self.end(AmqpEnded("the connection was closed"))
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the socket of a connection that has ended is closed."""
        if self._transport is not None:
            await asyncio.wait([self._lost], timeout=_CLOSE_TIMEOUT)
            self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send bytes. If more are written before the event loop continues, those are sent together."""
        if self._transport is None or self.ended.done():
            return
        if self._unsent is not None:
            self._unsent.append(data)
            return
        # At once, so that a single acknowledgement is not lost if the process is killed.
        self._transport.write(data)
        self._unsent = []
        self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
        self._unsent = None

    def end(self, reason: AmqpEnded) -> None:
        """Resolve `ended`, and close the socket without waiting for the broker."""
        if self.ended.done():
            return
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        self._flush()
        if self._transport is not None:
            if _has_unsent(self._transport):
                # The broker does not read.
                self._transport.abort()
            else:
                self._transport.close()
        self.ended.set_result(reason)
        self._writable.set()
        if not self.opened.done():
            self.opened.set_exception(reason)
            # Nobody waits for it if connecting failed for another reason, and asyncio would log that.
            self.opened.exception()
        for channel in self._channels.values():
            channel.end(reason)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.ended.done():
            # Connecting was given up just now.
            transport.abort()
        self.write(_PROTOCOL_HEADER)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing is not None and not self._closing.done():
            self._closing.set_result(None)
        self._lost.set_result(None)
        self.end(AmqpEnded("the broker closed the connection" if exc is None else f"the connection was lost: {exc}"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._missed_beats = 0
        self._buffer += data
        try:
            self._receive_frames()
        except (exceptions.UnmarshalingException, ValueError, AmqpEnded) as exc:
            self.end(exc if isinstance(exc, AmqpEnded) else AmqpEnded(f"the broker sent an invalid frame: {exc}"))

    def _receive_frames(self) -> None:
        buffer, start = self._buffer, 0
        while len(buffer) - start >= _OVERHEAD and not self.ended.done():
            kind = buffer[start]
            if kind not in _FRAMES:
                raise AmqpEnded("what responds there is not an AMQP 0-9-1 broker; a port for TLS needs amqps")
            number = int.from_bytes(buffer[start + 1 : start + 3], "big")
            end = start + _OVERHEAD + int.from_bytes(buffer[start + 3 : start + 7], "big")
            if len(buffer) < end:
                break
            if buffer[end - 1] != FRAME_END:
                raise AmqpEnded("the broker sent an invalid frame")
            raw = bytes(buffer[start:end])
            start = end
            if kind == FRAME_HEARTBEAT:
                continue
            if number == 0:
                self._receive_method(frame.unmarshal(raw)[2])
            elif number in self._channels:
                self._channels[number].receive(kind, raw[7:-1], raw)
        del buffer[:start]

    def _receive_method(self, method: Any) -> None:
        settings = self._settings
        match method:
            case commands.Connection.Start():
                response = f"\0{settings.username}\0{settings.password}"
                self._write_method(commands.Connection.StartOk(_PROPERTIES, "PLAIN", response, "en_US"))
            case commands.Connection.Tune():
                self.frame_max = method.frame_max or self.frame_max
                self._write_method(commands.Connection.TuneOk(method.channel_max, self.frame_max, settings.heartbeat))
                self._write_method(commands.Connection.Open(settings.vhost))
            case commands.Connection.OpenOk():
                self._beat()
                self.opened.set_result(None)
            case commands.Connection.Close():
                self._write_method(commands.Connection.CloseOk())
                self.end(AmqpEnded(method.reply_text, method.reply_code))
            case commands.Connection.CloseOk():
                if self._closing is not None and not self._closing.done():
                    self._closing.set_result(None)
            case commands.Connection.Blocked():
                log.warning("the broker accepts no messages for now: %s", method.reason)
            case _:
                pass

    def _write_method(self, method: Frame) -> None:
        self.write(frame.marshal(method, 0))

    def _beat(self) -> None:
        """Send a heartbeat twice per interval, and end the connection if nothing arrived for two intervals."""
        # Beats are counted instead of seconds, because a blocked event loop receives nothing either.
        self._missed_beats += 1
        if self._missed_beats > 4:
            self.end(AmqpEnded(f"the broker was silent for {2 * self._settings.heartbeat} seconds"))
            return
        self.write(_HEARTBEAT_FRAME)
        self._beat_timer = self.loop.call_later(self._settings.heartbeat / 2, self._beat)


_PROPERTIES: Any = {
    "product": "taskcluster-pulse",
    "version": VERSION,
    "platform": "Python",
    "capabilities": {
        "authentication_failure_close": True,
        "basic.nack": True,
        "connection.blocked": True,
        "consumer_cancel_notify": True,
        "publisher_confirms": True,
    },
}


def _has_unsent(transport: asyncio.WriteTransport) -> bool:
    try:
        return transport.get_write_buffer_size() > 0
    except AttributeError:
        # In Python 3.10, a TLS connection that was lost has no buffer.
        return False


async def open_connection(settings: BrokerSettings, context: ssl.SSLContext | None = None) -> AmqpConnection:
    """Connect and log in.

    Args:
        settings: The broker and the account.
        context: For TLS; defaults to the system's certificates.

    Raises:
        AmqpEnded: The broker refused, or the connection was lost.
        OSError: There was no connection.
        asyncio.TimeoutError: There was none in time.
    """
    tls = (context or await asyncio.to_thread(ssl.create_default_context)) if settings.tls else None
    made: list[AmqpConnection] = []

    def protocol() -> AmqpConnection:
        made.append(AmqpConnection(settings))
        return made[-1]

    async def connect() -> AmqpConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(protocol, settings.hostname, settings.port, ssl=tls)
        await connection.opened
        return connection

    try:
        return await asyncio.wait_for(connect(), settings.connect_timeout)
    except BaseException:
        for connection in made:
            connection.end(AmqpEnded("connecting was given up"))
            await connection.wait_closed()
        raise
