"""A connection to a broker: declares a queue, binds it, and consumes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any, NamedTuple

from pamqp import commands

from taskcluster.causes import explain as because
from taskcluster.shapes import is_array

from .amqp import AmqpChannel, AmqpConnection, AmqpEnded, Content, open_connection
from .delivery import Delivery, Emit
from .exceptions import PulseConnectionError, PulseFailure
from .refusals import explain
from .settings import BrokerSettings
from .topology import Topology

__all__ = ["BrokerLink", "Reading", "connected", "is_stalled"]

log = logging.getLogger("taskcluster")

_GRACE = 30.0
"""Seconds in which handlers may acknowledge messages of a connection that is replaced."""


class Reading(NamedTuple):
    """What a check of a connection finds."""

    ready: int
    """How many messages wait in the queue."""
    delivered: int
    """How many messages this connection has received."""
    unsettled: int
    """How many of them are neither acknowledged nor rejected."""


def is_stalled(before: Reading, now: Reading, prefetch: int) -> bool:
    """Return whether the broker withheld messages between two checks, although it might have sent more."""
    could_receive = prefetch == 0 or max(before.unsettled, now.unsettled) < prefetch
    return could_receive and before.ready > 0 and now.ready > 0 and before.delivered == now.delivered


async def connected(settings: BrokerSettings, context: ssl.SSLContext | None) -> AmqpConnection:
    """Return a connection.

    Raises:
        PulseFailure: There is none; the message says why.
    """
    try:
        return await open_connection(settings, context)
    except AmqpEnded as exc:
        failure = explain(exc.code, exc.text, settings)
    except ssl.SSLCertVerificationError as exc:
        failure = PulseFailure(
            f"the certificate of {settings.address} is not trusted: {exc.verify_message}; pass an ssl_context with "
            "its CA"
        )
    except ssl.SSLError as exc:
        failure = PulseFailure(
            f"no TLS with {settings.address}: {exc.reason or exc}; if the port is one without TLS, pass amqps=False, "
            "set PULSE_AMQPS=false, or write amqp:// in the URL"
        )
    except asyncio.TimeoutError:
        failure = PulseConnectionError(f"no connection to {settings.address} in {settings.connect_timeout:g} seconds")
    except OSError as exc:
        failure = PulseConnectionError(because(f"no connection to {settings.address}", exc))
    raise failure


class BrokerLink:
    """A connection that consumes a queue.

    Args:
        settings: The connection.
        topology: The queue.
        emit: Called with each message.
        context: For TLS.
    """

    def __init__(
        self, settings: BrokerSettings, topology: Topology, emit: Emit, context: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._topology = topology
        self._emit = emit
        self._context = context
        self.failed: asyncio.Future[PulseConnectionError] = asyncio.get_running_loop().create_future()
        self.settled = 0
        """How many messages were acknowledged or rejected."""
        self._delivered = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection: AmqpConnection | None = None
        self._setup: AmqpChannel
        self._channel: AmqpChannel
        self._tag = "consumer"
        self._checks: asyncio.Task[None] | None = None
        self._is_retired = False
        self._early: list[Delivery] | None = []
        """Messages that arrive before `begin`."""

    @property
    def is_open(self) -> bool:
        """Whether messages can still be acknowledged."""
        return self._connection is not None and not self._connection.ended.done() and not self._channel.ended.done()

    async def open(self) -> None:
        """Connect, declare, bind and consume.

        Raises:
            PulseFailure: The message says why; PulseRefused if trying again is useless.
        """
        self._connection = await connected(self._settings, self._context)
        try:
            await asyncio.wait_for(self._consume(self._connection), self._settings.connect_timeout)
        except AmqpEnded as exc:
            failure = explain(exc.code, exc.text, self._settings)
        except asyncio.TimeoutError:
            # A quorum queue that was declared just before its broker was killed is damaged: it can be declared and
            # bound, and nothing else.
            failure = PulseConnectionError(
                f"the broker {self._settings.address} does not let the queue {self._topology.queue!r} be consumed in "
                f"{self._settings.connect_timeout:g} seconds; if that continues, delete the queue"
            )
        except BaseException:
            self._connection.end(AmqpEnded("given up"))
            raise
        else:
            return
        await self._connection.close()
        raise failure

    def begin(self) -> None:
        """Emit messages from now on."""
        early, self._early = self._early or [], None
        for delivery in early:
            self._emit(delivery)

    async def _consume(self, connection: AmqpConnection) -> None:
        topology = self._topology
        # Every error closes its channel, so binding has its own.
        self._setup = await connection.channel()
        await self._setup.call(
            commands.Queue.Declare(queue=topology.queue, durable=True, arguments=dict(topology.arguments)),
            commands.Queue.DeclareOk,
        )
        await self._bind()
        self._channel = await connection.channel()
        self._channel.on_content = self._receive
        self._channel.on_cancel = self._cancelled
        await self._channel.call(commands.Basic.Qos(prefetch_count=topology.prefetch), commands.Basic.QosOk)
        await self._channel.call(
            commands.Basic.Consume(queue=topology.queue, consumer_tag=self._tag), commands.Basic.ConsumeOk
        )
        for ended in (connection.ended, self._setup.ended, self._channel.ended):
            ended.add_done_callback(self._ended)
        self._checks = asyncio.create_task(self._check_regularly())

    async def _bind(self) -> None:
        for exchange, pattern in self._topology.bindings:
            await self._setup.call(
                commands.Queue.Bind(queue=self._topology.queue, exchange=exchange, routing_key=pattern),
                commands.Queue.BindOk,
            )

    def settle(self, delivery: Delivery, *, ack: bool, requeue: bool) -> None:
        """Acknowledge or reject a message; nothing happens if the connection has ended."""
        if ack:
            self._channel.send(commands.Basic.Ack(delivery.tag))
        else:
            self._channel.send(commands.Basic.Reject(delivery.tag, requeue=requeue))
        self.settled += 1
        self._stop_waiting_if_idle()

    def _stop_waiting_if_idle(self) -> None:
        if self.settled == self._delivered or not self.is_open:
            self._idle.set()

    async def retire(self) -> None:
        """Receive no more messages, let handlers acknowledge those received, and close the connection."""
        self._is_retired = True
        try:
            await self._channel.call(commands.Basic.Cancel(self._tag), commands.Basic.CancelOk)
            await asyncio.wait_for(self._idle.wait(), _GRACE)
        except (AmqpEnded, asyncio.TimeoutError):
            pass
        finally:
            await self.close()

    async def close(self, *, delete: bool = False) -> None:
        """Close the connection; the broker queues the messages again that are not acknowledged.

        Args:
            delete: Whether to delete the queue if it is ephemeral.
        """
        self._is_retired = True
        if self._checks is not None:
            self._checks.cancel()
        if self._connection is None:
            return
        if delete and self._topology.is_ephemeral and not self._connection.ended.done():
            with contextlib.suppress(AmqpEnded, asyncio.TimeoutError):
                deleted = self._setup.call(commands.Queue.Delete(queue=self._topology.queue), commands.Queue.DeleteOk)
                await asyncio.wait_for(deleted, 2)
        await self._connection.close()

    def _receive(self, content: Content) -> None:
        method, properties = content.method, content.properties
        headers: Any = properties.headers if properties is not None else None
        copies: object = headers.get("CC") if headers else None
        routes = tuple(each for each in copies if isinstance(each, str)) if is_array(copies) else ()
        self._delivered += 1
        self._idle.clear()
        assert isinstance(method, commands.Basic.Deliver)
        emit = self._emit if self._early is None else self._early.append
        emit(
            Delivery(
                self,
                method.delivery_tag or 0,
                method.exchange,
                method.routing_key or "",
                routes,
                method.redelivered,
                content.body,
            )
        )

    def _cancelled(self) -> None:
        self._fail(f"the broker cancelled the consumer: the queue {self._topology.queue!r} was deleted or moved")

    def _ended(self, ended: asyncio.Future[AmqpEnded]) -> None:
        self._fail(ended.result().text)
        self._stop_waiting_if_idle()

    def _fail(self, text: str) -> None:
        if not self._is_retired and not self.failed.done():
            self.failed.set_result(PulseConnectionError(f"the broker {self._settings.address}: {text}"))

    async def _check_regularly(self) -> None:
        """Look for reasons why nothing would arrive that the broker does not report."""
        before = Reading(0, 0, 0)
        while not self.failed.done():
            await asyncio.sleep(self._settings.heartbeat)
            try:
                now = await asyncio.wait_for(self._reading(), 2 * self._settings.heartbeat)
            except AmqpEnded:
                # Reported by `ended`.
                return
            except asyncio.TimeoutError:
                self._fail("no reply to a check of the queue")
                return
            if is_stalled(before, now, self._topology.prefetch):
                self._fail(f"the queue has {now.ready} messages, but none is delivered")
            before = now

    async def _reading(self) -> Reading:
        # A binding is lost without notice if its exchange is deleted, even if it is created again.
        await self._bind()
        declared = await self._setup.call(
            commands.Queue.Declare(queue=self._topology.queue, passive=True), commands.Queue.DeclareOk
        )
        return Reading(declared.message_count or 0, self._delivered, self._delivered - self.settled)
