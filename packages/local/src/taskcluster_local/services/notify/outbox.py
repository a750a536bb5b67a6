"""The notifications that a real deployment would send: emails, chat messages, Pulse messages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import to_wire

__all__ = ["Notification", "Outbox", "notification_of"]

_KEPT = timedelta(days=1)

_TABLES = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, notification TEXT NOT NULL, sent TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_by_time ON outbox (sent);
CREATE INDEX IF NOT EXISTS outbox_by_address
    ON outbox (json_extract(notification, '$[0]'), json_extract(notification, '$[1]'));
"""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification."""

    notificationType: str
    """`email`, `pulse`, `matrix-room` or `slack-channel`."""
    notificationAddress: str
    payload: dict[str, Any]
    """In the form of the method that sends such notifications."""

    def shown(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


class Outbox:
    """The notifications of the last 24 hours. An identical one within that time is a duplicate.

    Args:
        store: The deployment's database.
        limit: How many an address may get in 24 hours; None for no limit.
    """

    def __init__(self, store: Store, limit: int | None = None) -> None:
        self._store = store
        self._limit = limit
        store.create(_TABLES)

    def add(self, notification: Notification, now: datetime) -> bool:
        """Store a notification; return False if it is a duplicate or exceeds the limit, and is not stored."""
        self.expire(now)
        if self._limit is not None and self._number(notification) >= self._limit:
            return False
        kept = dumps([notification.notificationType, notification.notificationAddress, notification.payload])
        digest = hashlib.sha256(kept.encode()).hexdigest()
        return self._store.run("INSERT OR IGNORE INTO outbox VALUES (NULL, ?, ?, ?)", digest, kept, to_wire(now)) > 0

    def messages(self) -> list[Notification]:
        """Return all notifications, oldest first."""
        return [*map(notification_of, self._store.all("SELECT notification FROM outbox ORDER BY id"))]

    def page(self, page: Page, *, newest_first: bool) -> Listing:
        """Return a page of notifications."""
        return page.read(self._store, "SELECT id, notification, sent FROM outbox", key=("id",), descending=newest_first)

    def _number(self, notification: Notification) -> int:
        # Compared as stored, in JSON, because an address may contain any character.
        address = dumps([notification.notificationType, notification.notificationAddress])
        row = self._store.one(
            "SELECT count(*) AS number FROM outbox WHERE json_extract(notification, '$[0]') = json_extract(?, '$[0]')"
            " AND json_extract(notification, '$[1]') = json_extract(?, '$[1]')",
            address,
            address,
        )
        return 0 if row is None else int(row["number"])

    def expire(self, now: datetime) -> None:
        """Delete the notifications that are older than 24 hours."""
        self._store.run("DELETE FROM outbox WHERE sent <= ?", to_wire(now - _KEPT))


def notification_of(row: Row) -> Notification:
    """Return the notification in a row."""
    return Notification(*json.loads(row["notification"]))
