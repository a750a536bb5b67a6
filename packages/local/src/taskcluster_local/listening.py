"""Messages that a program listens to: how they come from the server's thread to where it waits for them."""

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
    """Return what the methods of events classes return as bindings.

    Args:
        given: What they return.
        known: The full names of all exchanges.

    Raises:
        TypeError: One is no mapping with `exchange` and `routingKeyPattern`, or there is none.
        ValueError: There is no such exchange, so that nothing would ever come.
    """
    if not given:
        raise TypeError("listen to what? Give bindings, such as taskcluster.QueueEvents(options).taskCompleted()")
    return tuple(_binding(each, known) for each in given)


def _binding(given: object, known: Collection[str]) -> Binding:
    found: Mapping[str, Any] = given if is_object(given) else {}
    exchange, pattern = found.get("exchange"), found.get("routingKeyPattern")
    if not isinstance(exchange, str) or not isinstance(pattern, str):
        raise TypeError(
            f"{given!r} is no binding: it needs exchange and routingKeyPattern, as the methods of events classes give "
            "them (taskcluster.QueueEvents(options).taskCompleted())"
        )
    if exchange not in known:
        raise ValueError(f"there is no exchange {exchange!r}")
    return Binding(exchange, pattern)


class Inbox:
    """Where messages lie until they are taken. The server's thread fills it.

    Args:
        bindings: Which messages it is for.
        wake: Called, on the server's thread, when something has changed.
    """

    def __init__(self, bindings: tuple[Binding, ...], wake: Callable[[], None]) -> None:
        self.bindings = bindings
        self.messages: deque[Message] = deque()
        self.ended = False
        self._wake = wake

    def receive(self, message: Message) -> None:
        """Add a message, as a copy that the program may change."""
        payload = json.loads(dumps(message.payload))
        own = Message(message.service, message.exchange, message.routingKey, message.routes, payload)
        self.messages.append(own)
        self._wake()

    def end(self) -> None:
        """Let nobody wait for more."""
        self.ended = True
        self._wake()

    def drain(self) -> list[Message]:
        """Return the messages that are there, without waiting, and remove them."""
        found: list[Message] = []
        while self.messages:
            found.append(self.messages.popleft())
        return found


def _nothing_came(timeout: float) -> TimeoutError:
    return TimeoutError(f"no message came within {timeout:g} seconds")


def _has_ended() -> EOFError:
    return EOFError("there will be no more messages: the block of listen() is over, or the server has stopped")


class Messages:
    """Messages as they come. Iterating over them waits for each, and ends when the server stops."""

    def __init__(self, bindings: tuple[Binding, ...]) -> None:
        self._changed = threading.Condition()
        self.inbox = Inbox(bindings, self._wake)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> Message:
        """Return the next message, and wait for it if need be.

        Args:
            timeout: How long to wait, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: None came in that time.
            EOFError: No more will come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.inbox.messages or self.inbox.ended, timeout):
                raise _nothing_came(timeout or 0)
            if not self.inbox.messages:
                raise _has_ended()
            return self.inbox.messages.popleft()

    def drain(self) -> list[Message]:
        """Return the messages that are there, without waiting.

        When a call is answered, the messages that follow from it are there.
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
    """Messages as they come, for async code. Belongs to the event loop that it was made on."""

    def __init__(self, bindings: tuple[Binding, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.inbox = Inbox(bindings, self._wake)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:
            # The loop is closed, and whoever waited is gone with it.
            pass

    async def get(self, timeout: float | None = None) -> Message:
        """Return the next message, and wait for it if need be.

        Args:
            timeout: How long to wait, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: None came in that time.
            EOFError: No more will come.
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
        """Return the messages that are there, without waiting.

        When a call is answered, the messages that follow from it are there.
        """
        return self.inbox.drain()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            try:
                message = await self.get()
            except EOFError:
                return
            yield message
