"""What a connection hands to a consumer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .exceptions import PulseFailure

__all__ = ["Connected", "Delivery", "Ended", "Item", "Link"]


class Link(Protocol):
    """A connection that receives messages. Its methods are called in the event loop's thread."""

    @property
    def is_open(self) -> bool:
        """Whether messages can still be acknowledged."""
        ...

    def settle(self, delivery: Delivery, *, ack: bool, requeue: bool) -> None:
        """Acknowledge or reject a message."""
        ...


@dataclass(slots=True, eq=False)
class Delivery:
    """A message as it arrived."""

    link: Link
    tag: int
    exchange: str
    routing_key: str
    routes: tuple[str, ...]
    """The entries of the header CC."""
    redelivered: bool
    body: bytes
    is_settled: bool = False

    def settle(self, *, ack: bool, requeue: bool = False) -> None:
        """Acknowledge or reject it, once; in the event loop's thread."""
        if not self.is_settled:
            self.is_settled = True
            self.link.settle(self, ack=ack, requeue=requeue)


@dataclass(frozen=True)
class Connected:
    """There is a new connection, and messages may have been missed before it."""


@dataclass(frozen=True)
class Ended:
    """No more messages will arrive: because of a failure, or because the consumer was stopped."""

    failure: PulseFailure | None


Item = Delivery | Connected | Ended
Emit = Callable[[Item], None]
