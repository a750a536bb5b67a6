"""The messages that a broker has not confirmed yet, in the deployment's database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .encoding import dumps
from .events import Message
from .store import Row, Store

__all__ = ["PulseOutbox", "Unpublished"]

_TABLES = """
CREATE TABLE IF NOT EXISTS pulse_outbox (
    id INTEGER PRIMARY KEY, exchange TEXT NOT NULL, routingKey TEXT NOT NULL, cc TEXT NOT NULL, payload TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A message to publish."""

    id: int
    exchange: str
    routingKey: str
    cc: list[str]
    body: bytes
    """The payload as JSON."""


class PulseOutbox:
    """The messages to publish, oldest first.

    Args:
        store: The deployment's database. A message is stored in the transaction of the change that it is about, so that
            none is lost if the process is killed before it has published it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: set[int] = set()
        self.on_added: Callable[[], None] | None = None
        """Called when a message was added and committed."""
        store.create(_TABLES)

    def add(self, message: Message) -> None:
        """Add a message."""
        self._store.run(
            "INSERT INTO pulse_outbox VALUES (NULL, ?, ?, ?, ?)",
            message.exchange,
            message.routingKey,
            dumps(message.routes),
            dumps(message.payload),
        )
        self._store.after_commit(self._added)

    def _added(self) -> None:
        if self.on_added is not None:
            self.on_added()

    def first(self, number: int, without: Iterable[str] = ()) -> list[Unpublished]:
        """Return at most `number` messages, none of the exchanges `without`."""
        rows = self._store.all(
            "SELECT * FROM pulse_outbox WHERE exchange NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
            json.dumps(list(without)),
            number + len(self._held),
        )
        return [_unpublished(row) for row in rows if row["id"] not in self._held][:number]

    def hold(self, messages: Iterable[Unpublished]) -> None:
        """Keep messages, but do not return them until the next start."""
        self._held |= {message.id for message in messages}

    def remove(self, messages: Iterable[Unpublished]) -> None:
        """Remove messages that were published."""
        ids = json.dumps([message.id for message in messages])
        self._store.run("DELETE FROM pulse_outbox WHERE id IN (SELECT value FROM json_each(?))", ids)

    def exchanges(self) -> list[str]:
        """Return the exchanges of the messages."""
        return [row["exchange"] for row in self._store.all("SELECT DISTINCT exchange FROM pulse_outbox")]

    def count(self) -> int:
        """Return how many messages there are."""
        row = self._store.one("SELECT count(*) AS number FROM pulse_outbox")
        return 0 if row is None else int(row["number"])


def _unpublished(row: Row) -> Unpublished:
    return Unpublished(
        row["id"], row["exchange"], row["routingKey"], json.loads(row["cc"]), row["payload"].encode("ascii")
    )
