"""Listen to messages: pass them from the server's thread to the program."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from typing import Any

from .encoding import dumps, is_object
from .events import Binding, Message

__all__ = ["AsyncMessages", "Inbox", "Messages", "bindings_of"]


def bindings_of(given: tuple[object, ...], known: Collection[str]) -> tuple[Binding, ...]:
    """Check bindings from the methods of events classes, and return them.

    Args:
        given: The bindings.
        known: The full names of all exchanges.

    Raises:
        TypeError: There are no bindings, or one is not a mapping with `exchange` and `routingKeyPattern`.
        ValueError: An exchange does not exist.
    """
    if not given:
        raise TypeError("no bindings: pass some, such as taskcluster.QueueEvents(options).taskCompleted()")
    return tuple(_binding(each, known) for each in given)


def _binding(given: object, known: Collection[str]) -> Binding:
    found: Mapping[str, Any] = given if is_object(given) else {}
    exchange, pattern = found.get("exchange"), found.get("routingKeyPattern")
    if not isinstance(exchange, str) or not isinstance(pattern, str):
        raise TypeError(
            f"{given!r} is not a binding: it must have exchange and routingKeyPattern, as the methods of events "
            "classes return them (taskcluster.QueueEvents(options).taskCompleted())"
        )
    if exchange not in known:
        raise ValueError(f"unknown exchange {exchange!r}")
    return Binding(exchange, pattern)


class Inbox:
    """Holds messages until the program takes them. The server's thread fills it.

    Args:
        bindings: The bindings of the messages.
        wake: Called in the server's thread when a message arrives, or when no more will.
    """

    def __init__(self, bindings: tuple[Binding, ...], wake: Callable[[], None]) -> None:
        self.bindings = bindings
        self.messages: deque[Message] = deque()
        self.ended = False
        self._wake = wake

    def receive(self, message: Message) -> None:
        """Add a copy of a message, which the program may change."""
        payload = json.loads(dumps(message.payload))
        own = Message(message.service, message.exchange, message.routingKey, message.routes, payload)
        self.messages.append(own)
        self._wake()

    def end(self) -> None:
        """Add no more messages, and wake the program."""
        self.ended = True
        self._wake()

    def drain(self) -> list[Message]:
        """Remove and return the messages received so far, without waiting."""
        found: list[Message] = []
        while self.messages:
            found.append(self.messages.popleft())
        return found


def _nothing_came(timeout: float) -> TimeoutError:
    return TimeoutError(f"no message was received within {timeout:g} seconds")


def _has_ended() -> EOFError:
    return EOFError("no more messages: the listen() block has ended, or the server has stopped")


class Messages:
    """Messages from a deployment. Iterating waits for each message, and ends when the server stops."""

    def __init__(self, bindings: tuple[Binding, ...]) -> None:
        self._changed = threading.Condition()
        self.inbox = Inbox(bindings, self._wake)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Message:
        """Return the next message, waiting if necessary.

        Args:
            timeout: How many seconds to wait; None for no limit.

        Raises:
            TimeoutError: No message was received in that time.
            EOFError: The server has stopped.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.inbox.messages or self.inbox.ended, timeout):
                raise _nothing_came(timeout or 0)
            if not self.inbox.messages:
                raise _has_ended()
            return self.inbox.messages.popleft()

    def drain(self) -> list[Message]:
        """Return the messages received so far, without waiting.

        Once a call has returned, the messages that it caused have been received.
        """
        return self.inbox.drain()

    def __iter__(self) -> Iterator[Message]:
        while True:
            try:
                message = self.get()
            except EOFError:
                return
            yield message


class AsyncMessages:
    """Messages from a deployment, for async code. It belongs to the event loop in which it was created."""

    def __init__(self, bindings: tuple[Binding, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.inbox = Inbox(bindings, self._wake)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:
            # The loop is closed, and its waiting tasks with it.
            pass

    async def get(self, timeout: float | None = None) -> Message:
        """Return the next message, waiting if necessary.

        Args:
            timeout: How many seconds to wait; None for no limit.

        Raises:
            TimeoutError: No message was received in that time.
            EOFError: The server has stopped.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self.inbox.messages:
            if self.inbox.ended:
                raise _has_ended()
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), None if until is None else until - time.monotonic())
            except asyncio.TimeoutError:
                raise _nothing_came(timeout or 0) from None
        return self.inbox.messages.popleft()

    def drain(self) -> list[Message]:
        """Return the messages received so far, without waiting.

        Once a call has returned, the messages that it caused have been received.
        """
        return self.inbox.drain()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            try:
                message = await self.get()
            except EOFError:
                return
            yield message
