"""Requests to purge the caches of worker pools."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import to_wire

__all__ = ["PurgeRequests", "request_of"]

_KEPT = timedelta(days=1)

# Names of caches are stored as JSON, which can represent any string in a payload.
_TABLES = """
CREATE TABLE IF NOT EXISTS purge_requests (
    workerPoolId TEXT NOT NULL, cacheName TEXT NOT NULL, before TEXT NOT NULL,
    PRIMARY KEY (workerPoolId, cacheName)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS purge_requests_by_time ON purge_requests (before);
"""
# Sorted without the quotes of JSON.
_UNQUOTED = """trim(cacheName, '"') AS unquoted"""


class PurgeRequests:
    """All purge requests of a deployment, kept for a day."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_TABLES)

    def add(self, workerPoolId: str, cacheName: str, now: datetime) -> None:
        """Request the workers of a pool to purge a cache that was created before `now`."""
        self._store.run(
            "INSERT OR REPLACE INTO purge_requests VALUES (?, ?, ?)", workerPoolId, dumps(cacheName), to_wire(now)
        )

    def of_pool(self, workerPoolId: str, since: datetime | None, now: datetime) -> list[dict[str, Any]]:
        """Return the requests for a pool since a date."""
        rows = self._store.all(
            f"SELECT *, {_UNQUOTED} FROM purge_requests WHERE workerPoolId = ? AND before > ? AND before >= ?"
            " ORDER BY by_name(unquoted)",
            workerPoolId,
            to_wire(now - _KEPT),
            "" if since is None else to_wire(since),
        )
        return list(map(request_of, rows))

    def of_all(self, page: Page, now: datetime) -> Listing:
        """Return the requests for all pools."""
        statement = f"SELECT *, {_UNQUOTED} FROM purge_requests WHERE before > ?"
        return page.read(self._store, statement, to_wire(now - _KEPT), names=("workerPoolId", "unquoted"))

    def expire(self, now: datetime) -> None:
        """Delete the requests that are older than a day."""
        self._store.run("DELETE FROM purge_requests WHERE before <= ?", to_wire(now - _KEPT))


def request_of(row: Row) -> dict[str, Any]:
    """Return a purge request in the form of the API."""
    provisionerId, _, workerType = row["workerPoolId"].partition("/")
    return {
        "provisionerId": provisionerId,
        "workerType": workerType,
        "cacheName": json.loads(row["cacheName"]),
        "before": row["before"],
    }
