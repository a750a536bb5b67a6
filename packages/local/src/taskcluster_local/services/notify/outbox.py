"""Where the notifications end that a deployment would send: mails, chat messages, Pulse messages."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...store import Store
from ...timestamps import to_wire

__all__ = ["Notification", "Outbox"]

_KEPT = timedelta(days=1)

_TABLES = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, notification TEXT NOT NULL, sent TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_by_time ON outbox (sent);
"""


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that would have been sent."""

    notificationType: str
    """`email`, `pulse`, `matrix-room` or `slack-channel`."""
    notificationAddress: str
    payload: dict[str, Any]
    """As the method that sends such notifications takes it."""


class Outbox:
    """All notifications of a deployment. Each is kept for a day, in which the same again is a duplicate."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_TABLES)

    def add(self, notification: Notification, now: datetime) -> bool:
        """Keep a notification; return False if it is a duplicate, which is not kept."""
        self.expire(now)
        kept = dumps([notification.notificationType, notification.notificationAddress, notification.payload])
        digest = hashlib.sha256(kept.encode()).hexdigest()
        return self._store.run("INSERT OR IGNORE INTO outbox VALUES (NULL, ?, ?, ?)", digest, kept, to_wire(now)) > 0

    def messages(self) -> list[Notification]:
        """Return the notifications, the oldest first."""
        rows = self._store.all("SELECT notification FROM outbox ORDER BY id")
        return [Notification(*json.loads(row["notification"])) for row in rows]

    def expire(self, now: datetime) -> None:
        """Forget the notifications of more than a day ago."""
        self._store.run("DELETE FROM outbox WHERE sent <= ?", to_wire(now - _KEPT))
