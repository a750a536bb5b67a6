"""Hooks, the history of their firings, and the messages for which they are still to be fired."""

from __future__ import annotations

import functools
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from taskcluster.slugs import slugId

from ...encoding import dumps
from ...errors import ApiError
from ...events import Binding, Events, Message
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import to_wire
from .schedule import next_date

__all__ = ["Hook", "Hooks"]

_FIRES_KEPT = timedelta(days=365)
_MESSAGES_AT_ONCE = 1000
_DENYLIST = frozenset({"exchange/taskcluster-queue/v1/task-created"})
"""The exchanges that hooks must not be bound to, as in real deployments."""
_MOST_BINDINGS = 100
"""Limit for one hook: each message of an exchange is compared with all of them."""
_LONGEST_PATTERN = 255
"""In bytes, as limited by AMQP."""
_KNOWN_BINDINGS = 10_000

_TABLES = """
CREATE TABLE IF NOT EXISTS hooks (
    hookGroupId TEXT NOT NULL, hookId TEXT NOT NULL,
    definition TEXT NOT NULL, token TEXT NOT NULL, nextScheduledDate TEXT,
    PRIMARY KEY (hookGroupId, hookId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hooks_by_schedule ON hooks (nextScheduledDate) WHERE nextScheduledDate IS NOT NULL;
CREATE TABLE IF NOT EXISTS hook_bindings (
    exchange TEXT NOT NULL, routingKeyPattern TEXT NOT NULL, hookGroupId TEXT NOT NULL, hookId TEXT NOT NULL,
    PRIMARY KEY (exchange, routingKeyPattern, hookGroupId, hookId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hook_bindings_by_hook ON hook_bindings (hookGroupId, hookId);
CREATE TABLE IF NOT EXISTS hook_messages (
    id INTEGER PRIMARY KEY, hookGroupId TEXT NOT NULL, hookId TEXT NOT NULL, payload TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS last_fires (
    id INTEGER PRIMARY KEY, hookGroupId TEXT NOT NULL, hookId TEXT NOT NULL,
    taskId TEXT NOT NULL, firedBy TEXT NOT NULL, taskCreateTime TEXT NOT NULL, error TEXT
);
CREATE INDEX IF NOT EXISTS last_fires_by_hook ON last_fires (hookGroupId, hookId, id);
CREATE INDEX IF NOT EXISTS last_fires_by_time ON last_fires (taskCreateTime);
"""


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook."""

    hookGroupId: str
    hookId: str
    definition: dict[str, Any]
    """The definition in the form of the API."""
    token: str
    nextScheduledDate: str | None

    @property
    def name(self) -> str:
        """The name in scopes and messages."""
        return f"{self.hookGroupId}/{self.hookId}"


class Hooks:
    """All hooks of a deployment.

    Args:
        store: The deployment's database.
        events: Publishes changes of hooks, and the messages that they are bound to.
        exchanges: The full names of the exchanges that hooks may be bound to.
    """

    def __init__(self, store: Store, events: Events, exchanges: Iterable[str]) -> None:
        self._store = store
        self._events = events
        store.create(_TABLES)
        for exchange in exchanges:
            events.react(Binding(exchange, "#"), self._queue_hooks)

    # Definitions

    def groups(self) -> list[str]:
        """Return the ids of all hook groups."""
        rows = self._store.all("SELECT DISTINCT hookGroupId FROM hooks ORDER BY by_name(hookGroupId)")
        return [row["hookGroupId"] for row in rows]

    def group(self, hookGroupId: str) -> list[dict[str, Any]]:
        """Return the definitions of a group's hooks, or raise ApiError if there are none (ResourceNotFound)."""
        rows = self._store.all(
            "SELECT definition FROM hooks WHERE hookGroupId = ? ORDER BY by_name(hookId)", hookGroupId
        )
        if not rows:
            raise ApiError("ResourceNotFound", "No such group")
        return [json.loads(row["definition"]) for row in rows]

    def hook(self, hookGroupId: str, hookId: str) -> Hook:
        """Return a hook, or raise ApiError (ResourceNotFound)."""
        found = self._find(hookGroupId, hookId)
        if found is None:
            raise ApiError("ResourceNotFound", "No such hook")
        return found

    def _find(self, hookGroupId: str, hookId: str) -> Hook | None:
        row = self._store.one("SELECT * FROM hooks WHERE hookGroupId = ? AND hookId = ?", hookGroupId, hookId)
        return None if row is None else _hook_of(row)

    def create(self, definition: dict[str, Any], now: datetime, *, repeatable: bool) -> Hook:
        """Create a hook from its complete definition.

        Args:
            definition: The definition.
            now: The deployment's time.
            repeatable: Whether the call may be repeated.

        Raises:
            ApiError: The schedule or a binding is invalid (InputError), or the hook exists (RequestConflict).
        """
        hook = _checked(definition, slugId(), now)
        existing = self._find(hook.hookGroupId, hook.hookId)
        if existing is not None:
            if repeatable and existing.definition == definition:
                return existing
            raise ApiError("RequestConflict", f"hook `{hook.name}` already exists.")
        self._save(hook, "hookCreated")
        return hook

    def update(self, definition: dict[str, Any], now: datetime) -> Hook:
        """Replace the definition of a hook, and restart its schedule.

        Raises:
            ApiError: The schedule or a binding is invalid (InputError), or the hook does not exist (ResourceNotFound).
        """
        existing = self.hook(definition["hookGroupId"], definition["hookId"])
        hook = _checked(definition, existing.token, now)
        self._save(hook, "hookUpdated")
        return hook

    def _save(self, hook: Hook, change: str) -> None:
        ids = hook.hookGroupId, hook.hookId
        with self._store.transaction():
            self._store.run(
                "INSERT OR REPLACE INTO hooks VALUES (?, ?, ?, ?, ?)",
                *ids,
                dumps(hook.definition),
                hook.token,
                hook.nextScheduledDate,
            )
            self._store.run("DELETE FROM hook_bindings WHERE hookGroupId = ? AND hookId = ?", *ids)
            for binding in hook.definition["bindings"]:
                # Stored as JSON, which can represent any string in a payload.
                exchange, pattern = dumps(binding["exchange"]), dumps(binding["routingKeyPattern"])
                self._store.run("INSERT INTO hook_bindings VALUES (?, ?, ?, ?)", exchange, pattern, *ids)
            self._publish(change, *ids)

    def _publish(self, change: str, hookGroupId: str, hookId: str) -> None:
        self._events.publish("hooks", change, {"hookGroupId": hookGroupId, "hookId": hookId})

    def remove(self, hookGroupId: str, hookId: str) -> None:
        """Delete a hook and the history of its firings, if it exists."""
        with self._store.transaction():
            ids = hookGroupId, hookId
            existed = self._store.run("DELETE FROM hooks WHERE hookGroupId = ? AND hookId = ?", *ids)
            self._store.run("DELETE FROM hook_bindings WHERE hookGroupId = ? AND hookId = ?", *ids)
            self._store.run("DELETE FROM last_fires WHERE hookGroupId = ? AND hookId = ?", *ids)
            self._store.run("DELETE FROM hook_messages WHERE hookGroupId = ? AND hookId = ?", *ids)
            if existed:
                self._publish("hookDeleted", *ids)

    # Tokens

    def reset_token(self, hookGroupId: str, hookId: str) -> str:
        """Reset the token of a hook, and return the new one."""
        self.hook(hookGroupId, hookId)
        token = slugId()
        self._store.run("UPDATE hooks SET token = ? WHERE hookGroupId = ? AND hookId = ?", token, hookGroupId, hookId)
        return token

    def by_token(self, hookGroupId: str, hookId: str, token: str) -> Hook:
        """Return a hook if the token is its own, or raise ApiError (ResourceNotFound, AuthenticationFailed)."""
        found = self.hook(hookGroupId, hookId)
        if not hmac.compare_digest(found.token.encode(), token.encode()):
            raise ApiError("AuthenticationFailed", "invalid hook token")
        return found

    # Schedules and messages

    def due(self, now: datetime) -> list[Hook]:
        """Return the hooks whose scheduled date has come, and set their next dates.

        A hook for which several dates have passed is returned once.
        """
        with self._store.transaction():
            rows = self._store.all("SELECT * FROM hooks WHERE nextScheduledDate <= ?", to_wire(now))
            found = list(map(_hook_of, rows))
            for hook in found:
                self._store.run(
                    "UPDATE hooks SET nextScheduledDate = ? WHERE hookGroupId = ? AND hookId = ?",
                    _wire_or_none(next_date(hook.definition["schedule"], now)),
                    hook.hookGroupId,
                    hook.hookId,
                )
        return found

    def _queue_hooks(self, message: Message) -> None:
        """Queue the hooks that a message fires. They are fired later, so that the publisher does not see errors."""
        rows = self._store.all("SELECT * FROM hook_bindings WHERE exchange = ?", dumps(message.exchange))
        bound = {
            (row["hookGroupId"], row["hookId"]): None
            for row in rows
            if _binding(message.exchange, json.loads(row["routingKeyPattern"])).matches(message)
        }
        for ids in bound:
            self._store.run("INSERT INTO hook_messages VALUES (NULL, ?, ?, ?)", *ids, dumps(message.payload))

    def take_queued(self) -> list[tuple[Hook, dict[str, Any]]]:
        """Return the queued hooks with their messages, in order, and empty the queue."""
        with self._store.transaction():
            rows = self._store.all("SELECT * FROM hook_messages ORDER BY id LIMIT ?", _MESSAGES_AT_ONCE)
            if not rows:
                return []
            self._store.run("DELETE FROM hook_messages WHERE id <= ?", rows[-1]["id"])
            found = [(self._find(row["hookGroupId"], row["hookId"]), json.loads(row["payload"])) for row in rows]
            return [(hook, payload) for hook, payload in found if hook is not None]

    # Firings

    def record(self, hook: Hook, taskId: str, firedBy: str, now: datetime, error: str | None) -> None:
        """Record a firing; `error` is None if it succeeded."""
        self._store.run(
            "INSERT INTO last_fires VALUES (NULL, ?, ?, ?, ?, ?, ?)",
            hook.hookGroupId,
            hook.hookId,
            taskId,
            firedBy,
            to_wire(now),
            None if error is None else dumps(error),
        )

    def last_fire(self, hook: Hook) -> Row | None:
        """Return the latest firing, or None."""
        found = self._fires(hook, Page(1)).rows
        return found[0] if found else None

    def last_fires(self, hookGroupId: str, hookId: str, page: Page) -> Listing:
        """Return the firings of a hook, newest first, or raise ApiError if there are none (ResourceNotFound)."""
        hook = self._find(hookGroupId, hookId)
        if hook is None or self.last_fire(hook) is None:
            raise ApiError("ResourceNotFound", "No such hook or never fired")
        return self._fires(hook, page)

    def _fires(self, hook: Hook, page: Page) -> Listing:
        statement = "SELECT * FROM last_fires WHERE hookGroupId = ? AND hookId = ?"
        listing = page.read(self._store, statement, hook.hookGroupId, hook.hookId, key=("id",), descending=True)
        for row in listing.rows:
            row["error"] = None if row["error"] is None else json.loads(row["error"])
        return listing

    def expire(self, now: datetime) -> None:
        """Delete old records of firings."""
        self._store.run("DELETE FROM last_fires WHERE taskCreateTime < ?", to_wire(now - _FIRES_KEPT))


@functools.lru_cache(_KNOWN_BINDINGS)
def _binding(exchange: str, routingKeyPattern: str) -> Binding:
    return Binding(exchange, routingKeyPattern)


def _checked(definition: dict[str, Any], token: str, now: datetime) -> Hook:
    if len(definition["bindings"]) > _MOST_BINDINGS:
        raise ApiError("InputError", f"a hook can have at most {_MOST_BINDINGS} bindings")
    for binding in definition["bindings"]:
        if len(binding["routingKeyPattern"].encode(errors="replace")) > _LONGEST_PATTERN:
            raise ApiError("InputError", f"a routingKeyPattern can have at most {_LONGEST_PATTERN} bytes")
        if binding["exchange"] in _DENYLIST:
            raise ApiError("InputError", f"hooks cannot be bound to {binding['exchange']}: choose another exchange")
    date = _wire_or_none(next_date(definition["schedule"], now))
    return Hook(definition["hookGroupId"], definition["hookId"], definition, token, date)


def _hook_of(row: Row) -> Hook:
    return Hook(**{**row, "definition": json.loads(row["definition"])})


def _wire_or_none(date: datetime | None) -> str | None:
    return None if date is None else to_wire(date)
