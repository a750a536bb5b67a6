"""Where the notifications end that a deployment would send: mails, chat messages, Pulse messages."""

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
    """Something that would have been sent."""

    notificationType: str
    """`email`, `pulse`, `matrix-room` or `slack-channel`."""
    notificationAddress: str
    payload: dict[str, Any]
    """As the method that sends such notifications takes it."""

    def shown(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


class Outbox:
    """All notifications of a deployment. Each is kept for a day, in which the same again is a duplicate.

    Args:
        store: Where they are kept.
        limit: How many an address gets within a day; None for any number.
    """

    def __init__(self, store: Store, limit: int | None = None) -> None:
        self._store = store
        self._limit = limit
        store.create(_TABLES)

    def add(self, notification: Notification, now: datetime) -> bool:
        """Keep a notification; return False if it is a duplicate or one too many, which is not kept."""
        self.expire(now)
        if self._limit is not None and self._number(notification) >= self._limit:
            return False
        kept = dumps([notification.notificationType, notification.notificationAddress, notification.payload])
        digest = hashlib.sha256(kept.encode()).hexdigest()
        return self._store.run("INSERT OR IGNORE INTO outbox VALUES (NULL, ?, ?, ?)", digest, kept, to_wire(now)) > 0

    def messages(self) -> list[Notification]:
        """Return the notifications, the oldest first."""
        return [*map(notification_of, self._store.all("SELECT notification FROM outbox ORDER BY id"))]

    def page(self, page: Page) -> Listing:
        """Return the notifications, the oldest first."""
        return page.read(self._store, "SELECT id, notification FROM outbox", key=("id",))

    def _number(self, notification: Notification) -> int:
        # Compared as the table has them, whatever characters there are in an address.
        address = dumps([notification.notificationType, notification.notificationAddress])
        row = self._store.one(
            "SELECT count(*) AS number FROM outbox WHERE json_extract(notification, '$[0]') = json_extract(?, '$[0]')"
            " AND json_extract(notification, '$[1]') = json_extract(?, '$[1]')",
            address,
            address,
        )
        return 0 if row is None else int(row["number"])

    def expire(self, now: datetime) -> None:
        """Forget the notifications of more than a day ago."""
        self._store.run("DELETE FROM outbox WHERE sent <= ?", to_wire(now - _KEPT))


def notification_of(row: Row) -> Notification:
    """Return the notification that a row of the outbox holds."""
    return Notification(*json.loads(row["notification"]))
