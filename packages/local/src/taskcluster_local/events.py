"""Publish messages to exchanges, as over Pulse, but within the process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .store import Store
from .topics import Topics
from .validation import ApiSchemas

__all__ = ["Binding", "Events", "Message", "Subscription"]

_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Message:
    """A published message."""

    service: str
    exchange: str
    """The full name, such as `exchange/taskcluster-queue/v1/task-pending`."""
    routingKey: str
    routes: tuple[str, ...]
    """Further routing keys (`route.<route>`) by which bindings may match it."""
    payload: dict[str, Any]

    @property
    def keys(self) -> tuple[str, ...]:
        """All routing keys by which bindings may match it."""
        return (self.routingKey, *self.routes)


class Binding:
    """Selects messages.

    Args:
        exchange: The full name of an exchange.
        routingKeyPattern: Words separated by `.`; `*` matches one word, `#` any number of words.
    """

    def __init__(self, exchange: str, routingKeyPattern: str) -> None:
        self.exchange = exchange
        self.routingKeyPattern = routingKeyPattern
        self._topics = Topics[bool]()
        self._topics.add(exchange, routingKeyPattern, True)

    def matches(self, message: Message) -> bool:
        """Return whether a message matches."""
        return bool(self._topics.find(message.exchange, message.keys))


@dataclass(frozen=True, slots=True)
class _Exchange:
    """The destination of messages of one kind."""

    name: str
    """The full name."""
    words: Mapping[str, str]
    """The words of a routing key by name, each with its default."""
    schema: str | None
    """The key of the messages' schema; None if it is unknown."""


class Subscription:
    """Receives messages until it is closed."""

    def __init__(
        self,
        number: int,
        bindings: Iterable[Binding],
        receive: Callable[[Message], None],
        close: Callable[[Subscription], None],
    ) -> None:
        self.number = number
        """Earlier subscriptions have lower numbers, and receive a message first."""
        self.bindings = tuple(bindings)
        self.receive = receive
        self._close = close

    def close(self) -> None:
        """Stop receiving. Closing twice does nothing."""
        self._close(self)


class Events:
    """Publishes the messages of all services of a deployment.

    Args:
        references: The API references, by service name.
        schemas: The schemas of messages.
        store: Messages published in one of its transactions are delivered once it is committed.
        keep: Called with each message, in the transaction that publishes it.
    """

    def __init__(
        self,
        references: Mapping[str, Mapping[str, Any]],
        schemas: ApiSchemas,
        store: Store,
        keep: Callable[[Message], None] | None = None,
    ) -> None:
        self._schemas = schemas
        self._store = store
        self._keep = keep
        self._exchanges = {
            (service, entry["name"]): _Exchange(
                reference["exchangePrefix"] + entry["exchange"],
                {word["name"]: word.get("constant", "_") for word in entry["routingKey"]},
                entry.get("schema"),
            )
            for service, reference in references.items()
            for entry in reference.get("exchanges", ())
        }
        self.exchanges = tuple(exchange.name for exchange in self._exchanges.values())
        """The full names of all exchanges."""
        # By exchange, because most reactions are to few exchanges.
        self._reactions: dict[str, list[tuple[Binding, Callable[[Message], None]]]] = {}
        self._subscriptions = Topics[Subscription]()
        self._subscribed = itertools.count()

    def publish(
        self, service: str, name: str, payload: dict[str, Any], /, *, routes: Iterable[str] = (), **words: Any
    ) -> None:
        """Publish a message.

        Args:
            service: The name of the publishing service.
            name: The name of the exchange in the API reference, such as `taskPending`.
            payload: The message.
            routes: The routes of the task that the message is about.
            **words: The words of the routing key; missing ones and None become `_`.

        Raises:
            ValueError: The payload does not match the schema of the exchange, or the routing key is invalid. If a
                handler does not catch it, the response is 500 (InternalServerError), as in a real deployment.
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
        # Registered before the messages of the reactions, which follow from this one.
        if self._keep is not None:
            self._keep(message)
        self._store.after_commit(lambda: self._deliver(message))
        for binding, react in self._reactions.get(exchange.name, ()):
            if binding.matches(message):
                react(message)

    def _deliver(self, message: Message) -> None:
        found = self._subscriptions.find(message.exchange, message.keys)
        for subscription in sorted(found, key=lambda each: each.number):
            subscription.receive(message)

    def react(self, binding: Binding, reaction: Callable[[Message], None]) -> None:
        """Call `reaction` with each matching message, in the transaction that publishes it."""
        self._reactions.setdefault(binding.exchange, []).append((binding, reaction))

    def subscribe(self, bindings: Iterable[Binding], receive: Callable[[Message], None]) -> Subscription:
        """Call `receive` once with each message that matches one of `bindings`, after the transaction is committed."""
        subscription = Subscription(next(self._subscribed), bindings, receive, self._unsubscribe)
        for binding in subscription.bindings:
            self._subscriptions.add(binding.exchange, binding.routingKeyPattern, subscription)
        return subscription

    def _unsubscribe(self, subscription: Subscription) -> None:
        for binding in subscription.bindings:
            self._subscriptions.discard(binding.exchange, binding.routingKeyPattern, subscription)
