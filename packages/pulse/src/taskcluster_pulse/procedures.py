"""What a consumer does with what arrives, as procedures for core's runner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from taskcluster.effects import Invoke

from .delivery import Connected, Delivery, Ended, Item
from .exceptions import ConsumerStopped, MessageFormatError
from .message import ReceivedMessage

__all__ = ["Callbacks", "Effect", "Settle", "Take", "finish", "handle", "next_message"]

log = logging.getLogger("taskcluster")

M = TypeVar("M", bound=ReceivedMessage[Any])


class Take(NamedTuple):
    """Return what arrives next, or None if nothing does in time."""

    seconds: float | None


class Settle(NamedTuple):
    """Acknowledge or reject a message, unless that was done."""

    delivery: Delivery
    ack: bool
    requeue: bool = False


Effect = Take | Settle | Invoke


class Callbacks(NamedTuple):
    """The functions of the program that a consumer calls."""

    on_connected: Callable[[], Any] | None
    on_failure: Callable[[Any, Exception], Any] | None


def next_message(
    make: Callable[[Delivery], M], callbacks: Callbacks, timeout: float | None, monotonic: Callable[[], float]
) -> Generator[Effect, Any, M]:
    """Return the next message that can be handled.

    Raises:
        TimeoutError: None was received in time.
        ConsumerStopped: The consumer was stopped.
        PulseFailure: The connection was refused for good.
    """
    until = None if timeout is None else monotonic() + timeout
    while True:
        item: Item | None = yield Take(None if until is None else max(until - monotonic(), 0.0))
        match item:
            case Delivery():
                # The broker delivers those of a lost connection again.
                if item.link.is_open:
                    message = make(item)
                    problem = _problem(message)
                    if problem is None:
                        return message
                    yield from _given_up(message, problem, callbacks)
            case Connected():
                if callbacks.on_connected is not None:
                    yield Invoke(callbacks.on_connected)
            case Ended(failure):
                raise ConsumerStopped("the consumer was stopped") if failure is None else failure
            case None:
                raise TimeoutError(f"no message was received within {timeout or 0:g} seconds")


def handle(
    message: ReceivedMessage[Any], handler: Callable[[Any], Any], callbacks: Callbacks, *, manual_ack: bool
) -> Generator[Effect, Any, None]:
    """Let a handler handle a message, and acknowledge or reject it."""
    try:
        yield Invoke(handler, (message,))
    except BaseException as exc:
        yield from finish(message, exc, callbacks, manual_ack=manual_ack)
        if not isinstance(exc, Exception):
            raise
    else:
        yield from finish(message, None, callbacks, manual_ack=manual_ack)


def finish(
    message: ReceivedMessage[Any], exc: BaseException | None, callbacks: Callbacks, *, manual_ack: bool
) -> Generator[Effect, Any, None]:
    """Acknowledge a message, or reject it because of an exception.

    A message that is delivered for the first time is queued again. One that was delivered before is not, and
    `on_failure` is called. An interruption, which the message did not cause, always queues it again.
    """
    delivery = message.delivery
    if exc is None:
        if not manual_ack:
            yield Settle(delivery, ack=True)
    elif not isinstance(exc, Exception):
        yield Settle(delivery, ack=False, requeue=True)
    elif delivery.is_settled or delivery.redelivered:
        yield from _given_up(message, exc, callbacks)
    else:
        log.warning("%s failed and is retried once: %s", message, type(exc).__name__, exc_info=exc)
        yield Settle(delivery, ack=False, requeue=True)


def _given_up(message: ReceivedMessage[Any], exc: Exception, callbacks: Callbacks) -> Generator[Effect, Any, None]:
    log.error("%s failed and is dropped or dead-lettered: %s", message, type(exc).__name__, exc_info=exc)
    yield Settle(message.delivery, ack=False, requeue=False)
    if callbacks.on_failure is not None:
        yield Invoke(callbacks.on_failure, (message, exc))


def _problem(message: ReceivedMessage[Any]) -> MessageFormatError | None:
    try:
        message.payload  # noqa: B018
    except MessageFormatError as exc:
        return exc
    return None
