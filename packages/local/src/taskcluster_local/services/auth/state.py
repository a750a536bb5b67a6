"""The clients and roles of a deployment, and the fixed client that the test methods know."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from taskcluster.scopes import satisfies

from ...authentication import ANONYMOUS, Client
from ...errors import ApiError
from ...roles import Roles, check_scopes
from ...scopes import ScopeSet
from ...timestamps import from_wire

__all__ = ["ANONYMOUS_SCOPES", "NEVER", "Accounts", "FixedAccounts", "client_of", "merged"]

NEVER = datetime(3000, 1, 1, tzinfo=timezone.utc)
"""When the clients of a deployment's configuration expire."""

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
)
"""What the role `anonymous`, hence everyone, may do unless configured otherwise: read what holds no secrets."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9!@/:.+|_-]+")


def client_of(given: Mapping[str, Any]) -> Client:
    """Return the client that a mapping with clientId, accessToken, scopes and perhaps expires describes.

    Raises:
        ApiError: It cannot be one (InputError).
    """
    unknown = given.keys() - {"clientId", "accessToken", "scopes", "expires"}
    lacking = {"clientId", "accessToken", "scopes"} - given.keys()
    if unknown or lacking:
        raise ApiError(
            "InputError",
            "a client needs clientId, accessToken and scopes and may have expires, "
            f"but here {sorted(lacking) or 'nothing'} is missing and {sorted(unknown) or 'nothing'} is unknown",
        )
    if not _CLIENT_ID.fullmatch(given["clientId"]):
        raise ApiError("InputError", f"{given['clientId']!r} is no clientId: only A-Z a-z 0-9 !@/:.+|_- can be in one")
    check_scopes(given["scopes"])
    expires = given.get("expires")
    if isinstance(expires, datetime):
        expires = expires.replace(tzinfo=timezone.utc) if expires.tzinfo is None else expires.astimezone(timezone.utc)
    elif expires is not None:
        expires = from_wire(expires)
    return Client(given["clientId"], given["accessToken"], tuple(given["scopes"]), expires or NEVER)


class Accounts:
    """Clients and roles; the directory that requests are authenticated by.

    Args:
        clients: The clients that the deployment is configured with.
        roles: The scopes of the roles it is configured with, by roleId.

    Raises:
        ApiError: A role is not possible, or two clients have one clientId (InputError).
    """

    def __init__(self, clients: Sequence[Client], roles: Mapping[str, Collection[str]]) -> None:
        self._clients = {client.clientId: client for client in clients}
        if len(self._clients) < len(clients):
            raise ApiError("InputError", "there are two clients of one clientId")
        self._roles = Roles(roles)

    def client(self, clientId: str) -> Client | None:
        """Return the client of that id, also a disabled or expired one."""
        return self._clients.get(clientId)

    def expand(self, scopes: Iterable[str]) -> ScopeSet:
        """Return `scopes` with everything that roles add."""
        return self._roles.expand(scopes)


class FixedAccounts:
    """The directory of the test methods: one client with a publicly known token, and no roles."""

    def __init__(self, scopes: Iterable[str]) -> None:
        self._tester = Client("tester", "no-secret", tuple(scopes), NEVER)

    def client(self, clientId: str) -> Client | None:
        """Return the tester, if it is meant."""
        return self._tester if clientId == self._tester.clientId else None

    def expand(self, scopes: Iterable[str]) -> ScopeSet:
        """Return `scopes` as they are."""
        return ScopeSet(scopes)


def merged(scopes: Sequence[str]) -> list[str]:
    """Return `scopes` with what everyone has, put in as if they were sorted, which they need not be.

    That is how the test methods put it: it decides where `assume:anonymous` is found in their answers.
    """
    if any(satisfies(scope, ANONYMOUS) for scope in scopes):
        return list(scopes)
    place = next((at for at, scope in enumerate(scopes) if scope > ANONYMOUS), len(scopes))
    return [*scopes[:place], ANONYMOUS, *scopes[place:]]
