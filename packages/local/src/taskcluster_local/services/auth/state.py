"""The clients and roles of a deployment, and the fixed client of the test methods."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from taskcluster.scopes import satisfies
from taskcluster.slugs import slugId

from ...arguments import checked, checked_list
from ...authentication import ANONYMOUS, Client, Identity
from ...encoding import dumps
from ...errors import ApiError
from ...events import Events
from ...pages import Page
from ...roles import Roles, assumes_everything, check_scopes, dependency_cycle
from ...scopes import ScopeSet, in_order, valid_scope
from ...store import Row, Store, StoreFull
from ...timestamps import from_wire, later, normal, to_wire
from .audit import Audit

__all__ = [
    "ANONYMOUS_SCOPES",
    "NEVER",
    "Accounts",
    "FixedAccounts",
    "check_accounts",
    "client_of",
    "merged",
    "new_token",
]

NEVER = datetime(3000, 1, 1, tzinfo=timezone.utc)
"""The expiry of configured clients."""

ANONYMOUS_SCOPES = (
    "auth:current-scopes",
    "auth:expand-scopes",
    "auth:get-client:*",
    "auth:get-role:*",
    "auth:list-clients",
    "auth:list-roles",
    "hooks:get:*",
    "hooks:list-hooks:*",
    "hooks:list-last-fires:*",
    "hooks:status:*",
    "index:find-task:*",
    "index:list-namespaces:*",
    "index:list-tasks:*",
    "local:status",
    "purge-cache:all-purge-requests",
    "purge-cache:purge-requests::*",
    "queue:get-artifact:public/*",
    "queue:get-task-queue:*",
    "queue:get-task:*",
    "queue:list-artifacts:*",
    "queue:list-dependent-tasks:*",
    "queue:list-task-group:*",
    "queue:list-task-queues",
    "queue:pending-count:*",
    "queue:claimed-count:*",
    "queue:status:*",
    "web:read-pulse",
)
"""The default scopes of the role `anonymous`, which everyone has: reading what holds no secrets."""

_STATIC = "static/"
_REPEATABLE = timedelta(minutes=15)
_USED_SPAN = timedelta(hours=6)
_MOST_KNOWN = 10_000

_TABLES = """
CREATE TABLE IF NOT EXISTS clients (
    clientId TEXT PRIMARY KEY, accessToken TEXT NOT NULL, description TEXT NOT NULL, scopes TEXT NOT NULL,
    expires TEXT NOT NULL, created TEXT NOT NULL, lastModified TEXT NOT NULL, lastDateUsed TEXT NOT NULL,
    lastRotated TEXT NOT NULL, deleteOnExpiration INTEGER NOT NULL, disabled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS clients_to_delete ON clients (expires) WHERE deleteOnExpiration = 1;
CREATE INDEX IF NOT EXISTS clients_listed ON clients (by_name(clientId));
CREATE TABLE IF NOT EXISTS roles (
    roleId TEXT PRIMARY KEY, scopes TEXT NOT NULL, description TEXT NOT NULL,
    created TEXT NOT NULL, lastModified TEXT NOT NULL
) WITHOUT ROWID;
"""
# Descriptions are stored as JSON, which can represent any string, even with unpaired surrogates.
_CONFIGURED = dumps("From the configuration")
_COLUMNS = (
    "clientId, accessToken, description, scopes, expires, created, lastModified, lastDateUsed, lastRotated,"
    " deleteOnExpiration, disabled"
)

_CLIENT_ID = re.compile(r"[A-Za-z0-9!@/:.+|_-]+")


def client_of(given: Mapping[str, Any]) -> Client:
    """Return the client that a mapping with clientId, accessToken, scopes and optionally expires describes.

    Raises:
        ApiError: The mapping is invalid (InputError).
        TypeError: A value has the wrong type.
    """
    unknown = given.keys() - {"clientId", "accessToken", "scopes", "expires"}
    lacking = {"clientId", "accessToken", "scopes"} - given.keys()
    if unknown or lacking:
        raise ApiError(
            "InputError",
            "a client must have clientId, accessToken and scopes and may have expires, but here "
            f"{sorted(lacking) or 'nothing'} is missing and {sorted(map(str, unknown)) or 'nothing'} is unknown",
        )
    clientId = checked("clientId of a client", given["clientId"], str, "a string")
    if not _CLIENT_ID.fullmatch(clientId):
        raise ApiError("InputError", f"{clientId!r} is not a clientId: use A-Z a-z 0-9 !@/:.+|_- only")
    if not checked(f"accessToken of {clientId}", given["accessToken"], str, "a string"):
        raise ApiError("InputError", f"the accessToken of {clientId} is empty")
    scopes = checked_list(f"scopes of {clientId}", given["scopes"], object, "scopes")
    check_scopes(scopes)
    expires = checked(f"expires of {clientId}", given.get("expires"), (str, datetime, type(None)), "a date")
    if isinstance(expires, datetime):
        expires = expires.replace(tzinfo=timezone.utc) if expires.tzinfo is None else expires.astimezone(timezone.utc)
    elif expires is not None:
        expires = from_wire(_date(expires))
    return Client(clientId, given["accessToken"], scopes, expires or NEVER)


class Accounts:
    """Clients and roles; the directory that authenticates requests.

    Configured clients and roles are reset whenever the deployment starts. Clients called `static/...` cannot be changed
    through the API.

    Args:
        store: The deployment's database.
        events: Publishes changes.
        audit: Records who made them.
        now: When the deployment starts.
        clients: The configured clients, including those of the services.
        roles: The scopes of the configured roles, by roleId.

    Raises:
        ApiError: A role is invalid, or two clients have the same clientId (InputError).
    """

    def __init__(
        self,
        store: Store,
        events: Events,
        audit: Audit,
        now: datetime,
        clients: Sequence[Client],
        roles: Mapping[str, Collection[str]],
    ) -> None:
        check_accounts(clients, roles)
        self._store = store
        self._events = events
        self._audit = audit
        self._known: dict[str, Client] = {}
        self._unused_until: dict[str, datetime] = {}
        store.create(_TABLES)
        with store.transaction():
            configured = [client for client in clients if client.clientId.startswith(_STATIC)]
            marks = ", ".join("?" * len(configured))
            store.run(
                f"DELETE FROM clients WHERE clientId >= '{_STATIC}' AND clientId < '{_STATIC}~'"
                f" AND clientId NOT IN ({marks})",
                *(client.clientId for client in configured),
            )
            for client in clients:
                self._configure_client(client, now)
            for roleId, scopes in roles.items():
                self._configure_role(roleId, scopes, now)
            self._roles = Roles(self._stored_roles())

    def _configure_client(self, client: Client, now: datetime) -> None:
        self._store.run(
            f"INSERT INTO clients ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)"
            " ON CONFLICT DO UPDATE SET accessToken = excluded.accessToken, scopes = excluded.scopes,"
            " description = excluded.description, expires = excluded.expires, disabled = excluded.disabled,"
            " deleteOnExpiration = 0",
            client.clientId,
            client.accessToken,
            _CONFIGURED,
            dumps(client.scopes),
            to_wire(client.expires),
            *[to_wire(now)] * 4,
            client.disabled,
        )

    def _configure_role(self, roleId: str, scopes: Collection[str], now: datetime) -> None:
        self._store.run(
            "INSERT INTO roles VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET scopes = excluded.scopes, description = excluded.description",
            roleId,
            dumps(in_order(scopes)),
            _CONFIGURED,
            *[to_wire(now)] * 2,
        )

    def _stored_roles(self) -> dict[str, list[str]]:
        return {row["roleId"]: json.loads(row["scopes"]) for row in self._store.all("SELECT * FROM roles")}

    # The directory, used by every request

    def client(self, clientId: str) -> Client | None:
        """Return the client with this clientId, even if it is disabled or expired."""
        known = self._known.get(clientId)
        if known is None:
            row = self._store.one("SELECT * FROM clients WHERE clientId = ?", clientId)
            if row is None:
                return None
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[clientId] = Client(
                clientId,
                row["accessToken"],
                tuple(json.loads(row["scopes"])),
                from_wire(row["expires"]),
                bool(row["disabled"]),
            )
        return known

    def expand(self, scopes: Iterable[str]) -> ScopeSet:
        """Return `scopes` with everything that roles add to them."""
        return self._roles.expand(scopes)

    def used(self, clientId: str, now: datetime) -> None:
        """Record that a client was used, at most once every few hours."""
        until = self._unused_until.get(clientId)
        if until is not None and now < until:
            return
        if len(self._unused_until) >= _MOST_KNOWN:
            self._unused_until.clear()
        self._unused_until[clientId] = later(now, _USED_SPAN)
        # A request that only reads need not fail because the disk is full.
        with contextlib.suppress(StoreFull):
            self._store.run(
                "UPDATE clients SET lastDateUsed = ? WHERE clientId = ? AND lastDateUsed <= ?",
                to_wire(now),
                clientId,
                to_wire(now - _USED_SPAN),
            )

    # Clients

    def show_client(self, clientId: str) -> dict[str, Any]:
        """Return a client in the form of the API, without its access token.

        Raises:
            ApiError: The client does not exist (ResourceNotFound).
        """
        return self._shown(self._client_row(clientId))

    def clients(self, prefix: str, page: Page) -> dict[str, Any]:
        """Return the clients with this prefix in the form of the API."""
        statement = "SELECT * FROM clients WHERE clientId >= ? AND clientId < ?"
        found = page.read(self._store, statement, prefix, f"{prefix}\U0010ffff", names=("clientId",))
        return found.body("clients", self._shown)

    def add(self, client: Client, now: datetime) -> None:
        """Add or change a client that the deployment itself creates, like a configured one."""
        with self._changing(client.clientId):
            self._configure_client(client, now)

    def create_client(self, clientId: str, given: Mapping[str, Any], by: Identity, now: datetime) -> dict[str, Any]:
        """Create a client and return it with its access token. The call can be repeated within 15 minutes.

        Args:
            clientId: The clientId.
            given: expires, description, scopes and deleteOnExpiration.
            by: Who creates it.
            now: The deployment's time.

        Raises:
            ApiError: It is invalid (InputError), or another client has this clientId (RequestConflict).
        """
        _check_not_static(clientId)
        scopes, expires, description = given.get("scopes", []), _date(given["expires"]), dumps(given["description"])
        check_scopes(scopes)
        with self._changing(clientId):
            row = self._store.one("SELECT * FROM clients WHERE clientId = ?", clientId)
            if row is None:
                values = (clientId, new_token(), description, dumps(scopes), expires, *[to_wire(now)] * 4)
                marks = ", ".join("?" * len(values))
                on_expiration = given["deleteOnExpiration"]
                self._store.run(f"INSERT INTO clients ({_COLUMNS}) VALUES ({marks}, ?, 0)", *values, on_expiration)
            elif (
                row["disabled"]
                or from_wire(row["created"]) < now - _REPEATABLE
                or (row["description"], row["scopes"], row["expires"]) != (description, dumps(scopes), expires)
            ):
                raise ApiError("RequestConflict", "Client already exists")
            self._audit.record(by, "client", clientId, "created")
            self._publish_client("clientCreated", clientId)
            row = self._client_row(clientId)
        return {**self._shown(row), "accessToken": row["accessToken"]}

    def scopes_added(self, clientId: str, scopes: Iterable[str]) -> list[str]:
        """Return the items of `scopes` that a client does not have.

        Raises:
            ApiError: The client does not exist (ResourceNotFound), or it cannot be changed (InputError).
        """
        _check_not_static(clientId)
        held = set(json.loads(self._client_row(clientId)["scopes"]))
        return [scope for scope in scopes if scope not in held]

    def update_client(self, clientId: str, given: Mapping[str, Any], by: Identity, now: datetime) -> dict[str, Any]:
        """Change a client and return it. Without scopes in `given` its scopes stay.

        Raises:
            ApiError: The client does not exist (ResourceNotFound), or the change is invalid (InputError).
        """
        values = {
            "description": dumps(given["description"]),
            "deleteOnExpiration": given["deleteOnExpiration"],
            "expires": _date(given["expires"]),
        }
        if "scopes" in given:
            check_scopes(given["scopes"])
            values["scopes"] = dumps(given["scopes"])
        return self._shown(self._change_client(clientId, "updated", by, now, **values))

    def reset_client(self, clientId: str, by: Identity, now: datetime) -> dict[str, Any]:
        """Reset the access token of a client; return the client with the new one."""
        row = self._change_client(
            clientId, "access token reset", by, now, accessToken=new_token(), lastRotated=to_wire(now)
        )
        return {**self._shown(row), "accessToken": row["accessToken"]}

    def disable_client(self, clientId: str, disabled: bool, by: Identity, now: datetime) -> dict[str, Any]:
        """Disable or enable a client, and return it."""
        action = "client disabled" if disabled else "client enabled"
        return self._shown(self._change_client(clientId, action, by, now, disabled=disabled))

    def delete_client(self, clientId: str, by: Identity) -> None:
        """Delete a client, if it exists."""
        _check_not_static(clientId)
        with self._changing(clientId):
            if self._store.run("DELETE FROM clients WHERE clientId = ?", clientId):
                self._audit.record(by, "client", clientId, "deleted")
            self._publish_client("clientDeleted", clientId)

    def delete_expired(self, now: datetime) -> None:
        """Delete the expired clients that have deleteOnExpiration."""
        statement = "SELECT clientId FROM clients WHERE deleteOnExpiration = 1 AND expires < ?"
        for row in self._store.all(statement, to_wire(now)):
            with self._changing(row["clientId"]):
                self._store.run("DELETE FROM clients WHERE clientId = ?", row["clientId"])
                self._publish_client("clientDeleted", row["clientId"])

    def _change_client(self, clientId: str, action: str, by: Identity, now: datetime, **values: Any) -> Row:
        _check_not_static(clientId)
        with self._changing(clientId):
            columns = ", ".join(f"{name} = ?" for name in values)
            self._store.run(
                f"UPDATE clients SET {columns}, lastModified = ? WHERE clientId = ?",
                *values.values(),
                to_wire(now),
                clientId,
            )
            row = self._client_row(clientId)
            self._audit.record(by, "client", clientId, action)
            self._publish_client("clientUpdated", clientId)
        return row

    @contextlib.contextmanager
    def _changing(self, clientId: str) -> Generator[None, None, None]:
        """Open a transaction that changes a client, and drop the client from the cache when it is committed."""
        with self._store.transaction():
            yield
            self._store.after_commit(lambda: self._forget(clientId))

    def _forget(self, clientId: str) -> None:
        self._known.pop(clientId, None)
        self._unused_until.pop(clientId, None)

    def _publish_client(self, name: str, clientId: str) -> None:
        self._events.publish("auth", name, {"clientId": clientId, "version": 1})

    def _client_row(self, clientId: str) -> Row:
        row = self._store.one("SELECT * FROM clients WHERE clientId = ?", clientId)
        if row is None:
            raise ApiError("ResourceNotFound", "Client not found")
        return row

    def _shown(self, row: Row) -> dict[str, Any]:
        scopes = json.loads(row["scopes"])
        dates = ("expires", "created", "lastModified", "lastDateUsed", "lastRotated")
        return {
            "clientId": row["clientId"],
            "description": json.loads(row["description"]),
            **{name: row[name] for name in dates},
            "deleteOnExpiration": bool(row["deleteOnExpiration"]),
            "scopes": in_order(scopes),
            "expandedScopes": list(self.expand(scopes).scopes),
            "disabled": bool(row["disabled"]),
        }

    # Roles

    def show_role(self, roleId: str) -> dict[str, Any]:
        """Return a role in the form of the API.

        Raises:
            ApiError: The role does not exist (ResourceNotFound).
        """
        row = self._store.one("SELECT * FROM roles WHERE roleId = ?", roleId)
        if row is None:
            raise ApiError("ResourceNotFound", "Role not found")
        return self._shown_role(row)

    def all_roles(self) -> list[dict[str, Any]]:
        """Return all roles in the form of the API."""
        return [self._shown_role(row) for row in self._store.all("SELECT * FROM roles ORDER BY by_name(roleId)")]

    def roles(self, page: Page) -> dict[str, Any]:
        """Return a page of roles in the form of the API."""
        found = page.read(self._store, "SELECT * FROM roles", names=("roleId",))
        return found.body("roles", self._shown_role)

    def role_ids(self, page: Page) -> dict[str, Any]:
        """Return a page of roleIds."""
        return page.read(self._store, "SELECT roleId FROM roles", names=("roleId",)).body(
            "roleIds", lambda row: row["roleId"]
        )

    def create_role(self, roleId: str, given: Mapping[str, Any], by: Identity, now: datetime) -> dict[str, Any]:
        """Create a role and return it. The call can be repeated.

        Raises:
            ApiError: It is malformed or leads back to itself (InputError); or another role has this roleId
                (RequestConflict).
        """
        scopes, description = dumps(in_order(given["scopes"])), dumps(given["description"])
        changed = self._with_role(roleId, given["scopes"])
        with self._store.transaction():
            row = self._store.one("SELECT * FROM roles WHERE roleId = ?", roleId)
            if row is None:
                values = (roleId, scopes, description, *[to_wire(now)] * 2)
                self._store.run("INSERT INTO roles VALUES (?, ?, ?, ?, ?)", *values)
            elif (row["scopes"], row["description"]) != (scopes, description):
                raise ApiError("RequestConflict", f"Role with roleId '{roleId}' already exists")
            self._audit.record(by, "role", roleId, "created")
            self._publish_role("roleCreated", roleId)
            self._store.after_commit(lambda: self._take_effect(changed))
        return self.show_role(roleId)

    def role_scopes_added(self, roleId: str, scopes: Iterable[str]) -> list[str]:
        """Return the items of `scopes` that a role does not give already.

        Raises:
            ApiError: The role does not exist (ResourceNotFound).
        """
        self._check_role(roleId)
        held = self.expand([f"assume:{roleId}"])
        return [scope for scope in scopes if not held.satisfies(scope)]

    def update_role(self, roleId: str, given: Mapping[str, Any], by: Identity, now: datetime) -> dict[str, Any]:
        """Change a role and return it.

        Raises:
            ApiError: The role does not exist (ResourceNotFound), or is malformed or leads back to itself (InputError).
        """
        self._check_role(roleId)
        changed = self._with_role(roleId, given["scopes"])
        with self._store.transaction():
            self._store.run(
                "UPDATE roles SET scopes = ?, description = ?, lastModified = ? WHERE roleId = ?",
                dumps(in_order(given["scopes"])),
                dumps(given["description"]),
                to_wire(now),
                roleId,
            )
            self._audit.record(by, "role", roleId, "updated")
            self._publish_role("roleUpdated", roleId)
            self._store.after_commit(lambda: self._take_effect(changed))
        return self.show_role(roleId)

    def delete_role(self, roleId: str, by: Identity) -> None:
        """Delete a role, if it exists."""
        changed = Roles({name: scopes for name, scopes in self._roles.scopes.items() if name != roleId})
        with self._store.transaction():
            if self._store.run("DELETE FROM roles WHERE roleId = ?", roleId):
                self._audit.record(by, "role", roleId, "deleted")
            self._publish_role("roleDeleted", roleId)
            self._store.after_commit(lambda: self._take_effect(changed))

    def _with_role(self, roleId: str, scopes: Sequence[str]) -> Roles:
        # Only a configured role may have all scopes; one from the API would assume itself.
        if any(map(assumes_everything, scopes)):
            raise dependency_cycle([roleId, roleId])
        return Roles({**self._roles.scopes, roleId: scopes})

    def _take_effect(self, roles: Roles) -> None:
        self._roles = roles

    def _check_role(self, roleId: str) -> None:
        if roleId not in self._roles.scopes:
            raise ApiError("ResourceNotFound", f"Role with roleId '{roleId}' not found")

    def _publish_role(self, name: str, roleId: str) -> None:
        self._events.publish("auth", name, {"roleId": roleId, "version": 1})

    def _shown_role(self, row: Row) -> dict[str, Any]:
        return {
            "roleId": row["roleId"],
            "scopes": json.loads(row["scopes"]),
            "description": json.loads(row["description"]),
            "created": row["created"],
            "lastModified": row["lastModified"],
            "expandedScopes": list(self.expand([f"assume:{row['roleId']}"]).scopes),
        }


def check_accounts(clients: Sequence[Client], roles: Mapping[str, Collection[str]]) -> None:
    """Raise ApiError (InputError) unless these clients and roles are valid."""
    if len({client.clientId for client in clients}) < len(clients):
        raise ApiError("InputError", "two clients have the same clientId")
    for roleId in roles:
        if not roleId or not valid_scope(roleId):
            raise ApiError("InputError", f"{roleId!r} is not a roleId: it must consist of printable ASCII characters")
    Roles(roles)


def _check_not_static(clientId: str) -> None:
    if clientId.startswith(_STATIC):
        raise ApiError(
            "InputError",
            f'clientId "{clientId}" starts with "{_STATIC}", which is reserved for clients of the configuration: '
            "change them there",
        )


def _date(text: str) -> str:
    try:
        return normal(text)
    except ValueError as error:
        raise ApiError("InputError", f"expires: {error}") from None


def new_token() -> str:
    """Return a random access token, 44 characters long."""
    return slugId() + slugId()


class FixedAccounts:
    """The directory of the test methods: one client with a publicly known token, and no roles."""

    def __init__(self, scopes: Iterable[str]) -> None:
        self._tester = Client("tester", "no-secret", tuple(scopes), NEVER)

    def client(self, clientId: str) -> Client | None:
        """Return the client `tester`, or None."""
        return self._tester if clientId == self._tester.clientId else None

    def expand(self, scopes: Iterable[str]) -> ScopeSet:
        """Return `scopes` unchanged."""
        return ScopeSet(scopes)

    def used(self, clientId: str, now: datetime) -> None:
        """Do nothing."""


def merged(scopes: Sequence[str]) -> list[str]:
    """Return `scopes` with `assume:anonymous`, inserted as if they were sorted, which they may not be.

    The test methods of the real service insert it in the same place.
    """
    if any(satisfies(scope, ANONYMOUS) for scope in scopes):
        return list(scopes)
    place = next((at for at, scope in enumerate(scopes) if scope > ANONYMOUS), len(scopes))
    return [*scopes[:place], ANONYMOUS, *scopes[place:]]
