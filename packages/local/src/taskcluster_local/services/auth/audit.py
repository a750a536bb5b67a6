"""The audit history: who did what to clients, roles, secrets, hooks and worker pools."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from ...api import Handler, HandlerCall, Result
from ...authentication import Identity
from ...errors import ApiError
from ...pages import Page
from ...store import Row, Store
from ...timestamps import Clock, to_wire

__all__ = ["ENTITY_TYPES", "Audit"]

ENTITY_TYPES = ("client", "role", "secret", "hook", "worker-pool")

_TABLES = """
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, clientId TEXT NOT NULL, entityType TEXT NOT NULL, entityId TEXT NOT NULL,
    actionType TEXT NOT NULL, created TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_by_entity ON audit (entityType, entityId, id);
CREATE INDEX IF NOT EXISTS audit_by_client ON audit (clientId, id);
"""


class Audit:
    """The audit history of all services, oldest first."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        store.create(_TABLES)

    def record(self, identity: Identity, entityType: str, entityId: str, actionType: str) -> None:
        """Record an action. To be called in the transaction that performs it.

        Args:
            identity: Who performed it.
            entityType: One of ENTITY_TYPES.
            entityId: The entity, such as the name of a secret or `<hookGroupId>/<hookId>`.
            actionType: The action: `created`, `updated`, `deleted`, `client disabled`, `client enabled` or
                `access token reset`.
        """
        if entityType not in ENTITY_TYPES:
            raise ValueError(f"{entityType!r} is not one of {ENTITY_TYPES}")
        self._store.run(
            "INSERT INTO audit (clientId, entityType, entityId, actionType, created) VALUES (?, ?, ?, ?, ?)",
            identity.clientId,
            entityType,
            entityId,
            actionType,
            to_wire(self._clock()),
        )

    def recorded(
        self, handler: Handler, entityType: str, actionType: str | Callable[[HandlerCall], str], *parameters: str
    ) -> Handler:
        """Return a handler that records its action, in the transaction that performs it.

        Args:
            handler: The handler that performs it. It must not await anything.
            entityType: One of ENTITY_TYPES.
            actionType: The action, or a function that returns it and is called before the handler.
            *parameters: The URL parameters that identify the entity, joined by `/`.
        """

        async def recording(call: HandlerCall) -> Result:
            with self._store.transaction():
                action = actionType if isinstance(actionType, str) else actionType(call)
                result = _run_without_waiting(handler(call))
                self.record(call.identity, entityType, "/".join(call.params[name] for name in parameters), action)
            return result

        return recording

    def of_entity(self, entityType: str, entityId: str, page: Page) -> dict[str, Any]:
        """Return the history of an entity in the form of the API.

        Raises:
            ApiError: The entityType does not exist (InputError).
        """
        if entityType not in ENTITY_TYPES:
            raise ApiError("InputError", f"entityType must be one of {', '.join(ENTITY_TYPES)}, not {entityType!r}")
        statement = "SELECT * FROM audit WHERE entityType = ? AND entityId = ?"
        found = page.read(self._store, statement, entityType, entityId, key=("id",))
        return found.body("auditHistory", _shown)

    def of_client(self, clientId: str, page: Page) -> dict[str, Any]:
        """Return the actions of a client in the form of the API."""
        statement = "SELECT * FROM audit WHERE clientId = ?"
        return page.read(self._store, statement, clientId, key=("id",)).body("auditHistory", _shown)


def _run_without_waiting(running: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a coroutine that must not wait, because other calls would write into its transaction."""
    try:
        running.send(None)
    except StopIteration as finished:
        return cast("Result", finished.value)
    running.close()
    raise RuntimeError("a recorded handler must not wait")


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("clientId", "actionType", "created", "entityId", "entityType")}
