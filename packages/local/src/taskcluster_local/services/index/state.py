"""The index: paths of dot-separated names that point to tasks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from ...encoding import dumps
from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import from_wire, later, normal, to_wire

__all__ = ["Index", "namespace_of", "task_of"]

_LARGEST_RANK = 2**53 - 1
_LONGEST_PATH = 255
_KEPT_EXPIRED = timedelta(days=1)

_TABLES = """
CREATE TABLE IF NOT EXISTS indexed_tasks (
    namespace TEXT NOT NULL, name TEXT NOT NULL,
    taskId TEXT NOT NULL, rank INTEGER NOT NULL, data TEXT NOT NULL, expires TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS indexed_tasks_by_path ON indexed_tasks (namespace || '.' || name);
CREATE INDEX IF NOT EXISTS indexed_tasks_listed ON indexed_tasks (namespace, by_name(name));
CREATE INDEX IF NOT EXISTS indexed_tasks_by_expiry ON indexed_tasks (expires);
CREATE TABLE IF NOT EXISTS namespaces (
    parent TEXT NOT NULL, name TEXT NOT NULL, expires TEXT NOT NULL,
    PRIMARY KEY (parent, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS namespaces_listed ON namespaces (parent, by_name(name));
CREATE INDEX IF NOT EXISTS namespaces_by_expiry ON namespaces (expires);
"""


class Index:
    """All indexed tasks of a deployment, and their namespaces."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(_TABLES)

    def insert(self, path: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Index a task at `path` unless the entry there has a higher rank and is not expired; return the entry."""
        rank = payload["rank"]
        if not isinstance(rank, int) or abs(rank) > _LARGEST_RANK:
            raise ApiError(
                "InputError", f"The rank must be an integer from -{_LARGEST_RANK} to {_LARGEST_RANK}, not {rank}."
            )
        if len(path) > _LONGEST_PATH:
            raise ApiError("InputError", f"The namespace is longer than {_LONGEST_PATH} characters.")
        namespace, name = _split(path)
        expires = normal(payload["expires"])
        with self._store.transaction():
            self._store.run(
                "INSERT INTO indexed_tasks VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET taskId = excluded.taskId, rank = excluded.rank, data = excluded.data, expires = excluded.expires"
                " WHERE rank <= excluded.rank OR expires <= ?",
                namespace,
                name,
                payload["taskId"],
                rank,
                dumps(payload["data"]),
                expires,
                to_wire(now),
            )
            self._keep_namespaces(namespace, expires)
        return self._read(path)

    def _keep_namespaces(self, namespace: str, expires: str) -> None:
        """Keep a namespace and its parents until the midnight after `expires`."""
        midnight = from_wire(expires).replace(hour=0, minute=0, second=0, microsecond=0)
        until = expires if to_wire(midnight) == expires else to_wire(later(midnight, timedelta(days=1)))
        while namespace:
            parent, name = _split(namespace)
            self._store.run(
                "INSERT INTO namespaces VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires)",
                parent,
                name,
                until,
            )
            namespace = parent

    def _read(self, path: str) -> dict[str, Any]:
        row = self._store.one("SELECT * FROM indexed_tasks WHERE namespace = ? AND name = ?", *_split(path))
        if row is None:
            raise ApiError("ResourceNotFound", "Indexed task not found")
        return task_of(row)

    def find(self, path: str, now: datetime) -> dict[str, Any]:
        """Return the entry at `path`, or raise ApiError if it does not exist or has expired (ResourceNotFound)."""
        task = self._read(path)
        if task["expires"] <= to_wire(now):
            raise ApiError("ResourceNotFound", "Indexed task not found")
        return task

    def find_all(self, paths: list[str], page: Page) -> Listing:
        """Return the entries at `paths` in that order, even expired ones. Paths without a dot are ignored."""
        wanted = dumps([path for path in dict.fromkeys(paths) if "." in path and len(path) <= _LONGEST_PATH])
        return page.read(
            self._store,
            "SELECT found.*, wanted.key AS position FROM json_each(?) AS wanted CROSS JOIN indexed_tasks AS found"
            " ON namespace || '.' || name = wanted.value",
            wanted,
            key=("position",),
        )

    def delete(self, path: str) -> None:
        """Delete the entry at `path`, if it exists."""
        self._store.run("DELETE FROM indexed_tasks WHERE namespace = ? AND name = ?", *_split(path))

    def tasks(self, namespace: str, page: Page, now: datetime) -> Listing:
        """Return the entries directly in a namespace that have not expired."""
        statement = "SELECT * FROM indexed_tasks WHERE namespace = ? AND expires > ?"
        return page.read(self._store, statement, namespace, to_wire(now), names=("name",))

    def namespaces(self, parent: str, page: Page, now: datetime) -> Listing:
        """Return the namespaces directly in another one that have not expired."""
        statement = "SELECT * FROM namespaces WHERE parent = ? AND expires > ?"
        return page.read(self._store, statement, parent, to_wire(now), names=("name",))

    def expire(self, now: datetime) -> None:
        """Delete the entries that expired a day ago or earlier; until then `find_all` returns them."""
        for table in ("indexed_tasks", "namespaces"):
            self._store.run(f"DELETE FROM {table} WHERE expires < ?", to_wire(now - _KEPT_EXPIRED))


def _split(path: str) -> tuple[str, str]:
    namespace, _, name = path.rpartition(".")
    return namespace, name


def _join(namespace: str, name: str) -> str:
    return f"{namespace}.{name}" if namespace else name


def namespace_of(row: Row) -> dict[str, Any]:
    """Return a namespace in the form of the API."""
    return {"namespace": _join(row["parent"], row["name"]), "name": row["name"], "expires": row["expires"]}


def task_of(row: Row) -> dict[str, Any]:
    """Return an indexed task in the form of the API."""
    return {
        "namespace": _join(row["namespace"], row["name"]),
        "taskId": row["taskId"],
        "rank": row["rank"],
        "data": json.loads(row["data"]),
        "expires": row["expires"],
    }
