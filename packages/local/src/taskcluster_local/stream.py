"""Send messages to HTTP clients as server-sent events, from a bounded backlog. No sockets in here.

An id is an epoch and a number. Each start and each reset begins an epoch, so that ids from before are recognised.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass, field
from typing import Any, NoReturn

from taskcluster.shapes import is_array
from taskcluster.suggestions import did_you_mean

from .encoding import dumps, is_object
from .errors import ApiError
from .events import Binding, Events, Message, Subscription
from .topics import Topics

__all__ = ["Feed", "bindings_in"]

_LONGEST_PATTERN = 255
"""In bytes, as in AMQP."""
_MOST_MESSAGES = 10_000
_MOST_BYTES = 32 * 1024 * 1024
_PING_SECONDS = 5.0
_RETRY_MILLISECONDS = 1000
"""After how long a browser connects again."""
_CHUNK = 64 * 1024
"""About how many bytes are sent at once."""
_COMPARED_AT_ONCE = 200
"""How many messages of the backlog are compared with bindings before others run."""
_TOO_SLOW = (
    "This stream was read more slowly than messages were published. Connect again, with narrower bindings or a faster "
    "reader; messages may be missing."
)
_EXAMPLE = '[{"exchange": "exchange/taskcluster-queue/v1/task-completed", "routingKeyPattern": "primary.#"}]'


def bindings_in(text: str | None, known: Collection[str]) -> tuple[Binding, ...]:
    """Return the bindings in a query parameter.

    Args:
        text: The parameter's value, a JSON array; None if it is missing.
        known: The full names of all exchanges.

    Raises:
        ApiError: They are malformed, or an exchange does not exist (InvalidRequestArguments).
    """
    if text is None:
        _refuse(f"bindings is missing; pass {_EXAMPLE}")
    try:
        given: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(f"bindings is not JSON: {error}; pass {_EXAMPLE}")
    if not is_array(given) or not given:
        _refuse(f"bindings must be an array with at least one object, such as {_EXAMPLE}")
    found = [_binding(f"bindings[{index}]", each, known) for index, each in enumerate(given)]
    return tuple({(each.exchange, each.routingKeyPattern): each for each in found}.values())


def _binding(where: str, given: object, known: Collection[str]) -> Binding:
    if not is_object(given):
        _refuse(f"{where} must be an object with exchange and routingKeyPattern, such as {_EXAMPLE[1:-1]}")
    for key in ("exchange", "routingKeyPattern"):
        if key not in given:
            _refuse(f"{where}.{key} is missing")
        if not isinstance(given[key], str):
            _refuse(f"{where}.{key} must be a string")
    exchange, pattern = given["exchange"], given["routingKeyPattern"]
    if exchange not in known:
        _refuse(f"{where}.exchange: unknown exchange {exchange!r}{did_you_mean(exchange, known)}")
    if len(pattern.encode(errors="surrogatepass")) > _LONGEST_PATTERN:
        _refuse(f"{where}.routingKeyPattern is longer than {_LONGEST_PATTERN} bytes")
    return Binding(exchange, pattern)


def _compiled(bindings: tuple[Binding, ...]) -> Topics[bool]:
    topics = Topics[bool]()
    for binding in bindings:
        topics.add(binding.exchange, binding.routingKeyPattern, True)
    return topics


def _refuse(reason: str) -> NoReturn:
    raise ApiError("InvalidRequestArguments", f"Query-string parameter: {reason}")


def _event(name: str, data: str = "{}", *, position: str | None = None) -> bytes:
    identified = "" if position is None else f"id: {position}\n"
    return f"{identified}event: {name}\ndata: {data}\n\n".encode()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A message in the backlog."""

    number: int
    exchange: str
    keys: tuple[str, ...]
    event: bytes


@dataclass(slots=True, eq=False)
class _Reader:
    """An open stream."""

    bindings: tuple[Binding, ...]
    position: int
    """The number of the newest message that was sent, or does not match."""
    lost: bool
    """Whether to report that messages may be missing."""
    live: bool = False
    """Whether new messages are put into `pending`; before, the reader compares those in the backlog itself."""
    slow: bool = False
    """Whether it has fallen behind the backlog."""
    pending: deque[_Entry] = field(default_factory=deque[_Entry])
    waiting: asyncio.Future[bool] | None = None

    def wake(self, is_news: bool = True) -> None:
        """End the current wait."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(is_news)

    async def wait(self, seconds: float) -> bool:
        """Return True when woken, False if that does not happen in time."""
        loop = asyncio.get_running_loop()
        self.waiting = loop.create_future()
        timer = loop.call_later(seconds, self.wake, False)
        try:
            return await self.waiting
        finally:
            timer.cancel()
            self.waiting = None


class Feed:
    """The messages of a deployment as server-sent events. It belongs to one event loop.

    Each message is serialized once. Streams share the messages of the backlog, so the memory does not depend on their
    number; one that falls behind the backlog ends with an error.

    Args:
        most_messages: How many messages the backlog may have.
        most_bytes: How many bytes, of their events, the backlog may have.
        ping: After how many seconds without other events a ping is sent.
    """

    def __init__(
        self, *, most_messages: int = _MOST_MESSAGES, most_bytes: int = _MOST_BYTES, ping: float = _PING_SECONDS
    ) -> None:
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._ping = ping
        self._readers: set[_Reader] = set()
        self._topics = Topics[_Reader]()
        self._backlog: deque[_Entry] = deque()
        self._bytes = 0
        self._newest = 0
        self._epoch = secrets.token_hex(8)
        self._events: Events
        self._subscription: Subscription | None = None
        self._closed = False

    def attach(self, events: Events) -> None:
        """Send the messages of a new deployment from now on. Open streams continue, and report the loss."""
        self._events = events
        self._epoch = secrets.token_hex(8)
        self._backlog.clear()
        self._bytes = self._newest = 0
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
            self._subscribe()
        for reader in self._readers:
            reader.pending.clear()
            reader.position = 0
            reader.lost = True
            self._go_live(reader)
            reader.wake()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for reader in self._readers:
            reader.wake()

    async def latest(self, bindings: tuple[Binding, ...], limit: int) -> tuple[str, list[dict[str, Any]]]:
        """Return the id after which a stream continues without a gap, and the latest messages, newest first.

        Messages are kept only once someone has called this or opened a stream.

        Args:
            bindings: The bindings of the messages.
            limit: How many messages to return at most.
        """
        self._subscribe()
        position = self._id(self._newest)
        topics = _compiled(bindings)
        found: list[dict[str, Any]] = []
        # A copy: messages can be published meanwhile.
        for number, entry in enumerate(list(reversed(self._backlog)) if limit else ()):
            if number % _COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if topics.find(entry.exchange, entry.keys):
                found.append(json.loads(entry.event.partition(b"\ndata: ")[2]))
            if len(found) == limit:
                break
        return position, found

    async def stream(self, bindings: tuple[Binding, ...], last_id: str | None) -> AsyncGenerator[bytes, None]:
        """Yield the events of a new stream, several at once.

        Args:
            bindings: The bindings of its messages.
            last_id: The id after which it continues; None for new messages only.
        """
        reader = self._open(bindings, last_id)
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n".encode() + _event("ready", position=self._id(reader.position))
            while not self._closed:
                chunk = self._next(reader)
                if chunk:
                    yield chunk
                elif not reader.live:
                    await asyncio.sleep(0)
                elif reader.slow:
                    yield _event("error", dumps({"code": "TooSlow", "message": _TOO_SLOW}))
                    return
                elif not await reader.wait(self._ping):
                    # With the newest id, so that a stream without messages does not fall behind.
                    yield _event("ping", position=self._id(self._newest))
        finally:
            self._readers.discard(reader)
            self._unbind(reader)

    def _open(self, bindings: tuple[Binding, ...], last_id: str | None) -> _Reader:
        # Not before: nobody has an id of this epoch yet.
        self._subscribe()
        position = None if last_id is None else self._position(last_id)
        lost = last_id is not None and position is None
        reader = _Reader(bindings, self._newest if position is None else position, lost)
        self._readers.add(reader)
        if reader.position == self._newest:
            self._go_live(reader)
        return reader

    def _subscribe(self) -> None:
        if self._subscription is None:
            everything = [Binding(exchange, "#") for exchange in self._events.exchanges]
            self._subscription = self._events.subscribe(everything, self._receive)

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"

    def _position(self, last_id: str) -> int | None:
        """Return the number in an id, or None unless all messages after it are in the backlog."""
        epoch, _, number = last_id.rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdecimal() and len(number) <= 15):
            return None
        return int(number) if self._newest - len(self._backlog) <= int(number) <= self._newest else None

    def _go_live(self, reader: _Reader) -> None:
        reader.live = True
        for binding in reader.bindings:
            self._topics.add(binding.exchange, binding.routingKeyPattern, reader)

    def _unbind(self, reader: _Reader) -> None:
        for binding in reader.bindings:
            self._topics.discard(binding.exchange, binding.routingKeyPattern, reader)

    def _receive(self, message: Message) -> None:
        self._newest += 1
        content = {
            "exchange": message.exchange,
            "routingKey": message.routingKey,
            "routes": message.routes,
            "redelivered": False,
            "payload": message.payload,
        }
        event = _event("message", dumps(content), position=self._id(self._newest))
        entry = _Entry(self._newest, message.exchange, message.keys, event)
        self._backlog.append(entry)
        self._bytes += len(event)
        while len(self._backlog) > self._most_messages or (self._bytes > self._most_bytes and len(self._backlog) > 1):
            self._bytes -= len(self._backlog.popleft().event)
        for reader in self._topics.find(message.exchange, message.keys):
            reader.pending.append(entry)
            if reader.pending[0].number < self._backlog[0].number:
                self._give_up(reader)
            reader.wake()

    def _give_up(self, reader: _Reader) -> None:
        reader.slow = reader.live = True
        reader.pending.clear()
        self._unbind(reader)

    def _next(self, reader: _Reader) -> bytes:
        """Return the next events of a stream; empty if there are none now."""
        if reader.lost:
            reader.lost = False
            return _event("lost", position=self._id(reader.position))
        if not reader.live:
            return self._compare(reader)
        if reader.slow:
            return b""
        chunk: list[bytes] = []
        size = 0
        while reader.pending and size < _CHUNK:
            entry = reader.pending.popleft()
            chunk.append(entry.event)
            size += len(entry.event)
        return b"".join(chunk)

    def _compare(self, reader: _Reader) -> bytes:
        """Return those of the next messages of the backlog that match."""
        skipped = reader.position - (self._newest - len(self._backlog))
        if skipped < 0:
            self._give_up(reader)
            return b""
        topics = _compiled(reader.bindings)
        chunk: list[bytes] = []
        size = 0
        for entry in itertools.islice(self._backlog, skipped, skipped + _COMPARED_AT_ONCE):
            if topics.find(entry.exchange, entry.keys):
                chunk.append(entry.event)
                size += len(entry.event)
            reader.position = entry.number
            if size > _CHUNK:
                break
        if reader.position == self._newest:
            self._go_live(reader)
        return b"".join(chunk)
