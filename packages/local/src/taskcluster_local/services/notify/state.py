"""Send notifications, and keep the denylist."""

from __future__ import annotations

import json
from datetime import datetime

from ...encoding import dumps
from ...errors import ApiError
from ...events import Events
from ...pages import Listing, Page
from ...store import Row, Store
from .outbox import Notification, Outbox

__all__ = ["Notifier", "address_of"]

_LONGEST_ROUTING_KEY = 255

# Addresses are stored as JSON, which can represent any string in a payload.
_TABLES = """
CREATE TABLE IF NOT EXISTS denylist (type TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (type, address))
WITHOUT ROWID;
"""


class Notifier:
    """Sends notifications to the outbox.

    Args:
        store: The deployment's database.
        outbox: Stores the notifications.
        events: Publishes the Pulse messages among them.
    """

    def __init__(self, store: Store, outbox: Outbox, events: Events) -> None:
        self._store = store
        self._outbox = outbox
        self._events = events
        store.create(_TABLES)

    def send(self, notification: Notification, now: datetime) -> bool:
        """Send a notification; return False if it is a duplicate or exceeds the limit of its address.

        Raises:
            ApiError: The address is on the denylist (DenylistedAddress), or is an invalid routing key (InputError).
        """
        kind, address = notification.notificationType, notification.notificationAddress
        if self._store.one("SELECT 1 FROM denylist WHERE type = ? AND address = ?", kind, dumps(address)) is not None:
            raise ApiError("DenylistedAddress", f"The {kind} address {address} is on the denylist.")
        if kind == "pulse":
            _check_routing_key(address)
        with self._store.transaction():
            is_new = self._outbox.add(notification, now)
            if is_new and kind == "pulse":
                message = {"message": notification.payload["message"], "version": 1}
                self._events.publish("notify", "notify", message, routes=(address,), topic=address)
        return is_new

    def deny(self, kind: str, address: str) -> None:
        """Add an address to the denylist."""
        self._store.run("INSERT OR IGNORE INTO denylist VALUES (?, ?)", kind, dumps(address))

    def allow(self, kind: str, address: str) -> None:
        """Remove an address from the denylist."""
        self._store.run("DELETE FROM denylist WHERE type = ? AND address = ?", kind, dumps(address))

    def denylist(self, page: Page) -> Listing:
        """Return the denylist."""
        # Sorted without the quotes of JSON.
        statement = """SELECT *, trim(address, '"') AS unquoted FROM denylist"""
        return page.read(self._store, statement, names=("type", "unquoted"))


def address_of(row: Row) -> dict[str, str]:
    """Return an address on the denylist in the form of the API."""
    return {"notificationType": row["type"], "notificationAddress": json.loads(row["address"])}


def _check_routing_key(topic: str) -> None:
    if len(f"primary.{topic}".encode(errors="surrogatepass")) > _LONGEST_ROUTING_KEY:
        raise ApiError(
            "InputError", f"The routing key `primary.<routingKey>` is longer than {_LONGEST_ROUTING_KEY} bytes."
        )
    if any("\ud800" <= character <= "\udfff" for character in topic):
        raise ApiError("InputError", "The routing key contains an unpaired surrogate.")
