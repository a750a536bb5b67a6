"""The queue of a consumer, and its bindings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from pamqp import commands, frame

from taskcluster.shapes import is_mapping
from taskcluster.slugs import slugId

from .exceptions import PulseFailure
from .names import checked, checked_exchange, checked_name

__all__ = ["Topology", "bindings_of", "queue_of", "queue_topology", "routing_keys"]

EXPIRES = 300.0
"""Seconds after which the broker deletes an ephemeral queue that nobody consumes."""
_EXAMPLE = "pass what a method of an events class returns, e.g. taskcluster.QueueEvents(options).taskCompleted()"


@dataclass(frozen=True)
class Topology:
    """A queue, its bindings, and how it is consumed."""

    queue: str
    arguments: Mapping[str, Any]
    bindings: tuple[tuple[str, str], ...]
    """Exchanges and routing key patterns."""
    prefetch: int
    is_ephemeral: bool
    """Whether the queue is deleted when the consumer stops."""


def bindings_of(given: Any) -> tuple[tuple[str, str], ...]:
    """Return the exchange and routing key pattern of each binding, without duplicates.

    Args:
        given: A binding or several: what events classes return, or a tuple of exchange and pattern.

    Raises:
        PulseFailure: There is none, or one is invalid.
    """
    listed = [given] if is_mapping(given) or _is_pair(given) else given
    if isinstance(listed, str) or not _is_iterable(listed):
        raise PulseFailure(f"bindings must be a binding or a list of them, not {type(given).__name__}: {_EXAMPLE}")
    found = tuple(dict.fromkeys(map(_binding, listed)))
    if not found:
        raise PulseFailure(f"there are no bindings: {_EXAMPLE}")
    return found


def _binding(given: object) -> tuple[str, str]:
    exchange: object = None
    pattern: object = None
    if is_mapping(given):
        exchange, pattern = given.get("exchange"), given.get("routingKeyPattern")
    elif _is_pair(given):
        exchange, pattern = given
    if not isinstance(exchange, str) or not exchange or not isinstance(pattern, str):
        raise PulseFailure(f"{given!r} is not a binding with an exchange and a routing key pattern: {_EXAMPLE}")
    return checked_exchange(exchange), checked("routing key pattern", pattern)


def _is_pair(value: object) -> TypeGuard[tuple[str, str]]:
    return isinstance(value, tuple | list) and [type(each) for each in cast("Iterable[object]", value)] == [str, str]


def _is_iterable(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, Iterable)


def routing_keys(routing_key: str, routes: Iterable[str]) -> list[str]:
    """Return the routing keys of the routes of a message.

    Raises:
        PulseFailure: The message's own routing key or one of them is invalid, or `routes` is a string.
    """
    if isinstance(routes, str):
        raise PulseFailure(f"routes must be a list of strings, not the string {routes!r}")
    checked("routing key", routing_key)
    return [checked("routing key", f"route.{route}") for route in routes]


def queue_of(name: str | None, username: str) -> str:
    """Return the name of a queue on the broker; without a name, a new unique one.

    Raises:
        PulseFailure: It is the name of another user's queue, too long, or not valid in AMQP.
    """
    prefix = f"queue/{username}/"
    if name is None:
        return checked_name("name of the queue", prefix + slugId())
    full = name if name.startswith("queue/") else prefix + name
    if not full.startswith(prefix) or full == prefix:
        raise PulseFailure(
            f"the queue {name!r} is not one of {username!r}: names must begin with {prefix!r}, which is added if you "
            "pass the rest only"
        )
    return checked_name("name of the queue", full)


def queue_topology(
    bindings: tuple[tuple[str, str], ...],
    *,
    username: str,
    queue: str | None,
    queue_type: str,
    queue_arguments: Mapping[str, Any] | None,
    prefetch: int,
) -> Topology:
    """Return the queue of a consumer: a durable one with the name `queue`, or an ephemeral one.

    Raises:
        PulseFailure: The name or an argument is invalid.
    """
    if queue is None:
        # Not exclusive, which would lose what arrives between two connections.
        arguments: dict[str, Any] = {"x-expires": int(EXPIRES * 1000)}
    else:
        arguments = {"x-queue-type": queue_type} if queue_type != "classic" else {}
    arguments.update(queue_arguments or {})
    name = queue_of(queue, username)
    try:
        frame.marshal(commands.Queue.Declare(queue=name, arguments=arguments), 1)
    except (TypeError, ValueError) as exc:
        raise PulseFailure(f"the queue {name!r} cannot be declared, because its arguments are invalid: {exc}") from None
    return Topology(name, arguments, bindings, prefetch, queue is None)
