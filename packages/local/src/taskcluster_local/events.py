"""What services publish: messages on exchanges, as over Pulse. Here they stay in the process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .store import Store
from .validation import ApiSchemas

__all__ = ["Binding", "Events", "Message", "Subscription"]

_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Message:
    """One message, as it was published."""

    service: str
    exchange: str
    """The full name, such as `exchange/taskcluster-queue/v1/task-pending`."""
    routingKey: str
    routes: tuple[str, ...]
    """Further routing keys (`route.<route>`) that it can be found by."""
    payload: dict[str, Any]


class Binding:
    """What a subscription is bound to.

    Args:
        exchange: The full name of an exchange.
        routingKeyPattern: Words with `.` between them; `*` stands for one word, `#` for any number of them.
    """

    def __init__(self, exchange: str, routingKeyPattern: str) -> None:
        self.exchange = exchange
        self._pattern = re.compile(_regular_expression(routingKeyPattern), re.DOTALL)

    def matches(self, message: Message) -> bool:
        """Whether it lets a message through."""
        if message.exchange != self.exchange:
            return False
        return any(self._pattern.fullmatch(f".{key}") for key in (message.routingKey, *message.routes))


def _regular_expression(pattern: str) -> str:
    """Return what a routing key with a dot before it matches."""
    parts = [""]
    for word in pattern.split("."):
        if word == "#":
            parts.append("")
        else:
            parts[-1] += r"\.[^.]*" if word == "*" else r"\." + re.escape(word)
    first, *rest = parts
    if not rest:
        return first
    # Each part is where it is found first, for good: trying all places of several parts could take forever.
    settled = "".join(
        rf"(?=((?:\.[^.]*)*?{part}(?![^.])))\{number}" for number, part in enumerate(filter(None, rest[:-1]), start=1)
    )
    return rf"{first}{settled}(?:\.[^.]*)*{rest[-1]}"


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Where messages of one kind go."""

    name: str
    """The full name."""
    words: Mapping[str, str]
    """The names of the words of a routing key, each with what it is if it is not given."""
    schema: str | None
    """The key of the schema of its messages; None if it is not known."""


class Subscription:
    """Receives messages until it is closed."""

    def __init__(self, bindings: Iterable[Binding], receive: Callable[[Message], None], close: Callable[[Any], None]):
        self.bindings = tuple(bindings)
        self.receive = receive
        self._close = close

    def close(self) -> None:
        """Receive no more. Closing twice is no error."""
        self._close(self)


class Events:
    """Where all services of a deployment publish.

    Args:
        references: The APIs as data, by the service's name.
        schemas: The schemas of messages.
        store: Messages published within a transaction of it are delivered when, and only if, it is kept.
    """

    def __init__(self, references: Mapping[str, Mapping[str, Any]], schemas: ApiSchemas, store: Store) -> None:
        self._schemas = schemas
        self._store = store
        self._exchanges = {
            (service, entry["name"]): _Exchange(
                reference["exchangePrefix"] + entry["exchange"],
                {word["name"]: word.get("constant", "_") for word in entry["routingKey"]},
                entry.get("schema"),
            )
            for service, reference in references.items()
            for entry in reference.get("exchanges", ())
        }
        # By exchange, as most messages are nothing to most of them.
        self._reactions: dict[str, list[tuple[Binding, Callable[[Message], None]]]] = {}
        self._subscriptions: dict[Subscription, None] = {}

    def publish(
        self, service: str, name: str, payload: dict[str, Any], /, *, routes: Iterable[str] = (), **words: Any
    ) -> None:
        """Publish a message.

        Args:
            service: Who publishes.
            name: Of the exchange as the API has it, such as `taskPending`.
            payload: The message.
            routes: Of the task that it is about.
            **words: Of the routing key; one that is left out or None becomes `_`.

        Raises:
            ValueError: The payload does not match the schema of the exchange, or the routing key is not possible. A
                handler that lets it through returns 500 (InternalServerError), as a deployment does.
        """
        exchange = self._exchanges[service, name]
        if not words.keys() <= exchange.words.keys():
            raise ValueError(
                f"the routing key of {service}.{name} has no {sorted(words.keys() - exchange.words.keys())}"
            )
        given = {word: str(value) for word, value in words.items() if value is not None}
        key = ".".join({**exchange.words, **given}.values())
        if len(key.encode()) > _LONGEST_KEY:
            raise ValueError(f"the routing key of {service}.{name} is longer than {_LONGEST_KEY} bytes")
        errors = [] if exchange.schema is None else self._schemas.schema(exchange.schema).errors(payload)
        if errors:
            raise ValueError(f"{service}.{name} does not match {exchange.schema}: {'; '.join(errors)}")
        message = Message(service, exchange.name, key, tuple(f"route.{route}" for route in routes), payload)
        # Before those of the reactions, which follow from it.
        self._store.after_commit(lambda: self._deliver(message))
        for binding, react in self._reactions.get(exchange.name, ()):
            if binding.matches(message):
                react(message)

    def _deliver(self, message: Message) -> None:
        for subscription in list(self._subscriptions):
            if any(binding.matches(message) for binding in subscription.bindings):
                subscription.receive(message)

    def react(self, binding: Binding, reaction: Callable[[Message], None]) -> None:
        """Let a service do what follows from a message, within the transaction that the message is published in."""
        self._reactions.setdefault(binding.exchange, []).append((binding, reaction))

    def subscribe(self, bindings: Iterable[Binding], receive: Callable[[Message], None]) -> Subscription:
        """Let `receive` have every message that one of `bindings` lets through, once, when it has come to stay."""
        subscription = Subscription(bindings, receive, lambda closed: self._subscriptions.pop(closed, None))
        self._subscriptions[subscription] = None
        return subscription
