"""A message as programs see it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, cast

from .delivery import Delivery
from .exceptions import MessageFormatError
from .routing import layout_of, parse_routing_key

__all__ = ["PayloadT", "PulseMessage", "ReceivedMessage"]

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    PayloadT = TypeVar("PayloadT", default=dict[str, Any])
else:
    from typing import TypeVar

    PayloadT = TypeVar("PayloadT")

_ROUTE = "route."


class ReceivedMessage(Generic[PayloadT]):
    """The contents of a message; sync and async code differ in how it is acknowledged."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    def __str__(self) -> str:
        return f"message of {self.exchange} with {self.routing_key}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.exchange}, {self.routing_key}>"

    @property
    def exchange(self) -> str:
        """The exchange that the message was published to."""
        return self.delivery.exchange

    @property
    def routing_key(self) -> str:
        """The primary routing key, even if only a route matched the binding."""
        return self.delivery.routing_key

    @property
    def redelivered(self) -> bool:
        """Whether the broker delivered the message before: to this consumer or another, handled or not."""
        return self.delivery.redelivered

    @property
    def body(self) -> bytes:
        """The body as it arrived."""
        return self.delivery.body

    @functools.cached_property
    def payload(self) -> PayloadT:
        """The body, decoded.

        Raises:
            MessageFormatError: The body is not JSON in UTF-8.
        """
        try:
            return cast("PayloadT", json.loads(self.delivery.body.decode("utf-8")))
        except (ValueError, RecursionError):
            # Not chained: the exception holds the body.
            pass
        raise MessageFormatError(f"the body of the {self} is not JSON in UTF-8")

    @functools.cached_property
    def routes(self) -> tuple[str, ...]:
        """The task's routes, which the message was also published for, without the `route.` of their routing keys."""
        return tuple(each.removeprefix(_ROUTE) for each in self.delivery.routes if each.startswith(_ROUTE))

    @functools.cached_property
    def routing(self) -> dict[str, str]:
        """The words of the routing key by name, e.g. `taskId`; `_` if a word does not apply.

        Empty if no installed service has the exchange, or the key does not have the exchange's layout.
        """
        return parse_routing_key(self.routing_key, layout_of(self.exchange))


class PulseMessage(ReceivedMessage[PayloadT]):
    """A message in sync code."""

    def __init__(self, delivery: Delivery, settle: Callable[[Delivery, bool, bool], Any]) -> None:
        super().__init__(delivery)
        self._settle = settle

    def ack(self) -> None:
        """Acknowledge the message, which removes it from the queue.

        If its connection was lost meanwhile, the broker delivers it again.
        """
        self._settle(self.delivery, True, False)

    def reject(self, *, requeue: bool = False) -> None:
        """Reject the message: it is dropped, or dead-lettered if the queue has a dead letter exchange.

        Args:
            requeue: Whether the broker shall deliver it again instead.
        """
        self._settle(self.delivery, False, requeue)
