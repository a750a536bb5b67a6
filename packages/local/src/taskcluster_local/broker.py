"""Publish the messages of a deployment's outbox to a broker. Needs taskcluster-pulse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from pamqp import commands

from taskcluster_pulse.amqp import AmqpChannel, AmqpConnection, AmqpEnded
from taskcluster_pulse.broker_link import connected
from taskcluster_pulse.exceptions import PulseFailure
from taskcluster_pulse.publishing import confirming_channel, declare_exchange, json_properties
from taskcluster_pulse.refusals import explain
from taskcluster_pulse.settings import NOT_A_BROKER_URL, BrokerSettings, where
from taskcluster_pulse.supervisor import pause

from .pulse_outbox import PulseOutbox, Unpublished

__all__ = ["BrokerPublisher", "settings_of"]

_log = logging.getLogger("taskcluster.local")

_AT_ONCE = 200
"""How many messages may wait for the broker's confirmation."""
_PAUSE = 0.01
"""Seconds between two batches. A busy deployment publishes more at once, which takes half as long per message."""
_TOO_LARGE = (
    "a message stays unpublished until the next start, because the broker would close the connection: %s, routing key "
    "%s, %d routes: %s"
)
_ACCESS_REFUSED = 403


def settings_of(url: str) -> BrokerSettings:
    """Return the settings in a broker's URL.

    Raises:
        PulseFailure: The URL is invalid; the message does not contain it.
    """
    found = where(url=url, environ={}).broker
    if found is None:
        raise PulseFailure(NOT_A_BROKER_URL)
    return found


class BrokerPublisher:
    """Publishes messages in order, each until the broker has confirmed it. A message may be published twice.

    If the broker rejects messages of an exchange, all of that exchange wait, and no others.

    Args:
        settings: The broker.
        exchanges: The full names of all exchanges, which are declared on every connection.
        outbox: Opens the outbox, which may be another one after each call.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        exchanges: Collection[str],
        outbox: Callable[[], AbstractContextManager[PulseOutbox]],
    ) -> None:
        self._settings = settings
        self._exchanges = exchanges
        self._outbox = outbox
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failures = 0
        """How many connections in a row have failed before a batch was confirmed."""
        self._rejecting: dict[str, _Rejecting] = {}
        """The exchanges of messages that the broker has rejected."""

    def wake(self) -> None:
        """Note that there is something to publish."""
        self._news.set()

    def stop(self) -> None:
        """Let `run` return once the outbox is empty, or when the broker cannot be reached."""
        self._stopping.set()
        self._news.set()

    async def run(self) -> None:
        """Publish until stopped, and connect again if the connection is lost."""
        while not self._stopping.is_set():
            try:
                await self._publish_over_connection()
            except Exception as failure:
                self._failures += 1
                seconds = pause(self._failures, random.random())
                self._report(failure, seconds)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), seconds)

    def _report(self, failure: Exception, seconds: float) -> None:
        with self._outbox() as outbox:
            waiting = outbox.count()
        _log.warning(
            "%s; messages that wait to be published: %d; connecting again in %.0f seconds",
            failure,
            waiting,
            seconds,
            # Not of expected failures.
            exc_info=None if isinstance(failure, PulseFailure) else failure,
        )

    async def _publish_over_connection(self) -> None:
        """Publish until stopped.

        Raises:
            PulseFailure: The broker cannot be reached, or refuses something.
        """
        connection = await connected(self._settings, None)
        try:
            channel = await self._channel(connection)
            batches = _Batches(connection, channel)
            channel.ended.add_done_callback(lambda _: self._news.set())
            while not channel.ended.done():
                self._news.clear()
                if published := await self._publish_some(batches):
                    if published < _AT_ONCE:
                        await asyncio.sleep(_PAUSE)
                    continue
                if self._stopping.is_set():
                    return
                await self._wait_for_news()
            raise channel.ended.result()
        except AmqpEnded as ended:
            failure = self._failure(ended)
        finally:
            await connection.close()
        raise failure

    async def _wait_for_news(self) -> None:
        ends = [rejecting.until for rejecting in self._rejecting.values()]
        seconds = max(0.0, min(ends) - time.monotonic()) if ends else None
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def _failure(self, ended: AmqpEnded) -> PulseFailure:
        if ended.code != _ACCESS_REFUSED:
            return explain(ended.code, ended.text, self._settings)
        return PulseFailure(
            f"{self._settings.username!r} must be allowed to configure and write '^exchange/taskcluster-.*' at "
            f"{self._settings.address} ({ended.text})"
        )

    async def _channel(self, connection: AmqpConnection) -> AmqpChannel:
        channel = await confirming_channel(connection)
        with self._outbox() as outbox:
            # Those of plugins that are not installed any more, too.
            exchanges = {*self._exchanges, *outbox.exchanges()}
        for exchange in exchanges:
            await declare_exchange(channel, exchange)
        return channel

    async def _publish_some(self, batches: _Batches) -> int:
        """Publish the oldest messages, except of exchanges whose messages were just rejected; return how many."""
        now = time.monotonic()
        with self._outbox() as outbox:
            messages = outbox.first(_AT_ONCE, [name for name, each in self._rejecting.items() if each.until > now])
            if not messages:
                return 0
            sent = await batches.publish(messages)
            outbox.hold(sent.refused)
            outbox.remove(sent.stored)
        if not batches.have_ended:
            self._failures = 0
            self._note_rejected({message.exchange for message in messages}, sent.rejected)
        return len(messages)

    def _note_rejected(self, published: Collection[str], rejected: list[Unpublished]) -> None:
        """Let the exchanges of rejected messages pause, and no others."""
        numbers = Counter(message.exchange for message in rejected)
        for exchange in published:
            before = self._rejecting.pop(exchange, _Rejecting(0, 0.0))
            if not (number := numbers[exchange]):
                continue
            attempts = before.attempts + 1
            seconds = pause(attempts, random.random())
            self._rejecting[exchange] = _Rejecting(attempts, time.monotonic() + seconds)
            _log.warning(
                "the broker rejected %d messages of %s, as a queue may be full; publishing them again in %.0f seconds",
                number,
                exchange,
                seconds,
            )


class _Rejecting(NamedTuple):
    """An exchange whose messages the broker rejects."""

    attempts: int
    until: float
    """When to publish its messages again."""


class _Sent(NamedTuple):
    """What became of messages. Those in no list are not confirmed, because the connection has ended."""

    stored: list[Unpublished]
    rejected: list[Unpublished]
    refused: list[Unpublished]
    """Not sent, because they would end the connection."""


class _Batches:
    """Publishes messages over a channel, and waits for the broker's confirmations."""

    def __init__(self, connection: AmqpConnection, channel: AmqpChannel) -> None:
        self._connection = connection
        self._channel = channel
        self._unconfirmed: dict[int, Unpublished] = {}
        """By delivery tag, in order."""
        self._sent = _Sent([], [], [])
        self._confirmed: asyncio.Future[None]
        channel.on_confirm = self._confirm

    @property
    def have_ended(self) -> bool:
        """Whether the channel has ended."""
        return self._channel.ended.done()

    async def publish(self, messages: list[Unpublished]) -> _Sent:
        """Publish messages, and wait for the confirmations or the end of the channel."""
        self._sent = _Sent([], [], [])
        self._confirmed = self._connection.loop.create_future()
        for message in messages:
            try:
                self._publish(message)
            except AmqpEnded as reason:
                _log.error(_TOO_LARGE, message.exchange, message.routingKey, len(message.cc), reason)
                self._sent.refused.append(message)
        await self._connection.drain()
        if self._unconfirmed:
            either: list[asyncio.Future[Any]] = [self._confirmed, self._channel.ended]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._sent

    def _publish(self, message: Unpublished) -> None:
        tag = self._channel.publish(
            commands.Basic.Publish(exchange=message.exchange, routing_key=message.routingKey),
            json_properties({"CC": message.cc}),
            message.body,
        )
        self._unconfirmed[tag] = message

    def _confirm(self, tag: int, multiple: bool, stored: bool) -> None:
        for each in [each for each in self._unconfirmed if each <= tag] if multiple else [tag]:
            message = self._unconfirmed.pop(each)
            (self._sent.stored if stored else self._sent.rejected).append(message)
        if not self._unconfirmed and not self._confirmed.done():
            self._confirmed.set_result(None)
