"""Publish messages in async code."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pamqp import commands

from ..amqp import FRAME_ERROR, AmqpChannel, AmqpConnection, AmqpEnded
from ..broker_link import connected
from ..exceptions import PulseConnectionError, PulseFailure, PulseRefused
from ..names import checked, checked_exchange
from ..publishing import confirming_channel, declare_exchange, json_properties
from ..refusals import explain
from ..settings import where
from ..supervisor import pause
from ..topology import routing_keys

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Publisher"]

_TIMEOUT = 30.0


class Publisher:
    """Publish messages to exchanges of the account, each confirmed by the broker.

        async with Publisher(url=url) as publisher:
            exchange = await publisher.declare_exchange("builds")
            await publisher.publish(exchange, "primary.linux", {"build": 1}, routes=["index.linux"])

    Args:
        credentials: `username` and `password` of the Pulse account.
        url: The broker; this and the following arguments and their defaults are those of consumers.
        hostname: The broker's host.
        port: The broker's port.
        vhost: The virtual host.
        amqps: Whether to use TLS.
        ssl_context: For TLS.

    Raises:
        PulseFailure: An argument is missing or invalid.
    """

    def __init__(
        self,
        credentials: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        hostname: str | None = None,
        port: int | None = None,
        vhost: str | None = None,
        amqps: bool | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        found = where(credentials=credentials, url=url, hostname=hostname, port=port, vhost=vhost, amqps=amqps)
        if found.broker is None:
            raise PulseFailure("only a broker accepts messages: pass url='amqps://…', or set PULSE_URL")
        self._broker = found.broker
        self._context = ssl_context
        self._connection: AmqpConnection | None = None
        self._channel: AmqpChannel | None = None
        self._unconfirmed: dict[int, asyncio.Future[bool]] = {}
        self._opening: asyncio.Lock | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._broker.username} at {self._broker.address}>"

    async def __aenter__(self) -> Self:
        if self._opening is not None:
            raise PulseFailure("a publisher can be used once only: make another one")
        self._opening = asyncio.Lock()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._is_closed = True
        if self._connection is not None:
            await self._connection.close()

    async def declare_exchange(self, name: str) -> str:
        """Create an exchange of the account unless it exists, durable and of type topic; return its full name.

        Args:
            name: The name; `exchange/<user>/` is put before it unless it begins with `exchange/`.

        Raises:
            PulseFailure: The name is too long, or not valid in AMQP.
            PulseRefused: It is not the account's, or exists with other properties.
            PulseConnectionError: The connection failed.
        """
        checked("exchange", name)
        full = checked_exchange(name if name.startswith("exchange/") else f"exchange/{self._broker.username}/{name}")
        async with self._lock():
            connection = await self._connected()
        try:
            channel = await connection.channel()
            await declare_exchange(channel, full)
            await channel.call(commands.Channel.Close(200, "", 0, 0), commands.Channel.CloseOk)
        except AmqpEnded as exc:
            failure = explain(exc.code, exc.text, self._broker)
        else:
            return full
        raise failure

    async def publish(
        self, exchange: str, routing_key: str, payload: Any, *, routes: Iterable[str] = (), timeout: float = _TIMEOUT
    ) -> None:
        """Publish a message, and return when the broker has stored it.

        After a lost connection it is published again, and so may arrive twice.

        Args:
            exchange: The full name of the exchange.
            routing_key: At most 255 bytes.
            payload: What can be serialized as JSON; bytes are sent as they are.
            routes: Also publish for `route.<route>` each.
            timeout: Seconds to keep trying.

        Raises:
            PulseFailure: A name, key or route is too long, or not valid in AMQP.
            PulseRefused: The exchange does not exist, or is not the account's.
            PulseConnectionError: The broker has not confirmed in time.
        """
        # Raises outside the block and after it. The loop below would try again.
        self._lock()
        checked_exchange(exchange)
        copies = routing_keys(routing_key, routes)
        body = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
        properties = json_properties({"CC": copies} if copies else {})
        method = commands.Basic.Publish(exchange=exchange, routing_key=routing_key)
        until = time.monotonic() + timeout
        attempts = 0
        while True:
            failure: PulseFailure
            try:
                return await self._publish_once(method, properties, body, until - time.monotonic())
            except AmqpEnded as exc:
                failure = explain(exc.code, exc.text, self._broker)
                # Another message's exchange may be why the channel was closed.
                is_final = isinstance(failure, PulseRefused) and (exchange in exc.text or exc.code == FRAME_ERROR)
            except asyncio.TimeoutError:
                failure = PulseConnectionError(f"no confirmation from the broker {self._broker.address}")
                is_final = True
            except PulseFailure as exc:
                # A certificate that is not trusted is a mistake at the start. Later it is renewed sooner or later.
                is_temporary = isinstance(exc, PulseConnectionError) or self._connection is not None
                failure, is_final = exc, isinstance(exc, PulseRefused) or not is_temporary
            attempts += 1
            seconds = pause(attempts, random.random())
            if is_final or time.monotonic() + seconds > until:
                raise failure
            await asyncio.sleep(seconds)

    async def _publish_once(
        self, method: commands.Basic.Publish, properties: commands.Basic.Properties, body: bytes, seconds: float
    ) -> None:
        connection, channel = await self._opened()
        confirmed = connection.loop.create_future()
        self._unconfirmed[channel.publish(method, properties, body)] = confirmed
        await connection.drain()
        if not await asyncio.wait_for(confirmed, seconds):
            raise AmqpEnded("the broker could not store the message")

    async def _connected(self) -> AmqpConnection:
        if self._connection is None or self._connection.ended.done():
            self._connection = await connected(self._broker, self._context)
        return self._connection

    def _lock(self) -> asyncio.Lock:
        if self._opening is None:
            raise PulseFailure("connect first: async with Publisher(…) as publisher")
        if self._is_closed:
            raise PulseFailure("the publisher is closed: make another one")
        return self._opening

    async def _opened(self) -> tuple[AmqpConnection, AmqpChannel]:
        async with self._lock():
            connection = await self._connected()
            if self._channel is None or self._channel.ended.done():
                channel = await confirming_channel(connection)
                channel.on_confirm = self._confirm
                channel.ended.add_done_callback(self._fail)
                self._channel = channel
            return connection, self._channel

    def _confirm(self, tag: int, multiple: bool, stored: bool) -> None:
        tags = [each for each in self._unconfirmed if each <= tag] if multiple else [tag]
        for each in tags:
            confirmed = self._unconfirmed.pop(each, None)
            if confirmed is not None and not confirmed.done():
                confirmed.set_result(stored)

    def _fail(self, ended: asyncio.Future[AmqpEnded]) -> None:
        failed, self._unconfirmed = self._unconfirmed, {}
        for confirmed in failed.values():
            if not confirmed.done():
                confirmed.set_exception(ended.result())
