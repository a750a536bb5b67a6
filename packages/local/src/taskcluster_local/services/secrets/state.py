"""Secrets, stored until they are removed or expire."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Store
from ...timestamps import normal, to_wire

__all__ = ["Secrets"]

_TABLES = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, secret TEXT NOT NULL, expires TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS secrets_listed ON secrets (by_name(name));
CREATE INDEX IF NOT EXISTS secrets_by_expiry ON secrets (expires);
"""


class Secrets:
    """All secrets of a deployment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_TABLES)

    def set(self, name: str, secret: dict[str, Any], expires: str) -> None:
        """Store a secret, replacing any of that name."""
        self._store.run("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?)", name, dumps(secret), normal(expires))

    def get(self, name: str, now: datetime) -> dict[str, Any]:
        """Return a secret and its expiry, or raise ApiError if it does not exist or has expired (ResourceNotFound)."""
        row = self._store.one("SELECT secret, expires FROM secrets WHERE name = ? AND expires > ?", name, to_wire(now))
        if row is None:
            raise ApiError("ResourceNotFound", "Secret not found")
        return {"secret": json.loads(row["secret"]), "expires": row["expires"]}

    def is_set(self, name: str) -> bool:
        """Return whether a secret exists, expired or not."""
        return self._store.one("SELECT 1 FROM secrets WHERE name = ?", name) is not None

    def remove(self, name: str) -> None:
        """Delete a secret, if it exists."""
        self._store.run("DELETE FROM secrets WHERE name = ?", name)

    def names(self, page: Page, now: datetime) -> Listing:
        """Return the names of the secrets that have not expired."""
        return page.read(self._store, "SELECT name FROM secrets WHERE expires > ?", to_wire(now), names=("name",))

    def expire(self, now: datetime) -> None:
        """Delete the secrets that have expired."""
        self._store.run("DELETE FROM secrets WHERE expires <= ?", to_wire(now))
