"""What every method of every service responds with and publishes: one table with at least one row for each method.

Whatever is published, by set-ups too, must be what its exchange's schema says. (Order has its table in test_collation.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from taskcluster_local.deployment import ROOT_CLIENT
from taskcluster_local.endpoints import references
from taskcluster_local.events import Binding, Message

# The clock of a site stands at 2030-03-01T12:00:00.123Z.
TOMORROW = "2030-03-02T12:00:00.123Z"
API = references()
METHODS = {(service, method["name"]): method for service, spec in API.items() for method in spec["methods"]}
EXCHANGES = {
    spec["exchangePrefix"] + exchange["exchange"]: (f"{service}.{exchange['name']}", exchange["schema"])
    for service, spec in API.items()
    for exchange in spec.get("exchanges", ())
}

WITHOUT_ROWS = {
    "github",
    "hooks",
    "worker-manager",
    "index",
    "notify",
    "object",
    "purge-cache",
    "queue",
    "secrets",
    "web-server",
}
"""The services whose methods, apart from HOUSEKEEPING, have no rows yet."""
HOUSEKEEPING = {"ping", "lbheartbeat", "heartbeat", "version"}


@dataclass(frozen=True)
class Row:
    """One call and what comes of it."""

    method: str
    """Such as `auth.client`."""
    params: str = ""
    """Of the URL, in their order, with a space between them; with a query after `?`."""
    payload: Any = None
    status: int = 200
    body: Any = None
    """Of a success, its shape: for objects their keys, each with a shape; for arrays the shape of all items (there must
    be one if that is an object); a type, also of objects and arrays whose content is free; a value that must be equal.
    Of an error its code."""
    publishes: str = ""
    """The exchanges that messages go to, in their order, such as `auth.clientCreated`."""
    after: tuple[Row, ...] = ()
    """What is called before; it must succeed."""
    by: str | Mapping[str, str] | None = ROOT_CLIENT

    def __str__(self) -> str:
        return f"{self.method}-{self.status}"


def call(site: Any, row: Row) -> Any:
    method = METHODS[tuple(row.method.split(".", 1))]
    params, _, query = row.params.partition("?")
    route = method["route"]
    for name, value in zip(method["args"], params.split(), strict=True):
        route = route.replace(f"<{name}>", quote(value, safe=""))
    target = f"/api/{row.method.partition('.')[0]}/v1{route}" + (f"?{query}" if query else "")
    return site.call(method["method"].upper(), target, row.payload, by=row.by)


def differences(found: Any, shape: Any, where: str = "body") -> list[str]:
    """Return how a body differs from a shape."""
    if isinstance(shape, type):
        return [] if type(found) is shape else [f"{where} is {found!r}, not {shape.__name__}"]
    if isinstance(shape, dict) and isinstance(found, dict):
        if found.keys() != shape.keys():
            return [f"{where} has the keys {sorted(found)}, not {sorted(shape)}"]
        return [text for key in shape for text in differences(found[key], shape[key], f"{where}.{key}")]
    if (
        isinstance(shape, list)
        and isinstance(found, list)
        and len(shape) == 1
        and (found or isinstance(shape[0], type))
    ):
        return [text for at, item in enumerate(found) for text in differences(item, shape[0], f"{where}[{at}]")]
    return [] if found == shape else [f"{where} is {found!r}, not {shape!r}"]


# auth

GIVEN_CLIENT = {"expires": TOMORROW, "description": "d", "scopes": ["a:1", "a:1*"]}
CLIENT = {
    "clientId": str, "description": str, "expires": str, "created": str, "lastModified": str, "lastDateUsed": str,
    "lastRotated": str, "deleteOnExpiration": bool, "scopes": [str], "expandedScopes": [str], "disabled": bool,
}  # fmt: skip
NEW_CLIENT = Row("auth.createClient", "c", GIVEN_CLIENT)
GIVEN_ROLE = {"scopes": ["a:1", "a:1*"], "description": "d"}
ROLE = {
    "roleId": str, "scopes": ["a:1*", "a:1"], "description": str, "created": str, "lastModified": str,
    "expandedScopes": ["a:1*", "a:1", "assume:r"],
}  # fmt: skip
ANY_ROLE = {**ROLE, "scopes": [str], "expandedScopes": [str]}
NEW_ROLE = Row("auth.createRole", "r", GIVEN_ROLE)
HISTORY = {"auditHistory": [{"clientId": str, "actionType": str, "created": str, "entityId": str, "entityType": str}]}
HAWK = {"method": "get", "resource": "/", "host": "h", "port": 80}
TESTER = {"clientId": "tester", "accessToken": "no-secret"}
NOT_HERE = {"status": 400, "body": "NotInLocalDeployment"}
AUTH = [
    Row("auth.listClients", body={"clients": [CLIENT]}, after=(NEW_CLIENT,)),
    Row("auth.client", "c", body={**CLIENT, "scopes": ["a:1*", "a:1"]}, after=(NEW_CLIENT,)),
    Row("auth.client", "c", status=404, body="ResourceNotFound"),
    Row("auth.createClient", "c", GIVEN_CLIENT, body={**CLIENT, "accessToken": str}, publishes="auth.clientCreated"),
    Row("auth.createClient", "c", {**GIVEN_CLIENT, "description": "e"}, 409, "RequestConflict", after=(NEW_CLIENT,)),
    Row("auth.createClient", "static/c", GIVEN_CLIENT, 400, "InputError"),
    Row("auth.createClient", "c", {**GIVEN_CLIENT, "expires": None}, 400, "InputValidationError"),
    Row("auth.createClient", "c", GIVEN_CLIENT, 403, "InsufficientScopes", by=None),
    Row("auth.updateClient", "c", GIVEN_CLIENT, body=CLIENT, publishes="auth.clientUpdated", after=(NEW_CLIENT,)),
    Row("auth.updateClient", "c", GIVEN_CLIENT, 404, "ResourceNotFound"),
    Row(
        "auth.resetAccessToken", "c", body={**CLIENT, "accessToken": str}, publishes="auth.clientUpdated",
        after=(NEW_CLIENT,),
    ),
    Row("auth.resetAccessToken", "c", status=404, body="ResourceNotFound"),
    Row("auth.enableClient", "c", body=CLIENT, publishes="auth.clientUpdated", after=(NEW_CLIENT,)),
    Row("auth.enableClient", "c", status=404, body="ResourceNotFound"),
    Row(
        "auth.disableClient", "c", body={**CLIENT, "disabled": True}, publishes="auth.clientUpdated",
        after=(NEW_CLIENT,),
    ),
    Row("auth.disableClient", "c", status=404, body="ResourceNotFound"),
    Row("auth.deleteClient", "c", status=204, publishes="auth.clientDeleted", after=(NEW_CLIENT,)),
    Row("auth.deleteClient", "c", status=204, publishes="auth.clientDeleted"),
    Row("auth.getEntityHistory", "client c", body=HISTORY, after=(NEW_CLIENT,)),
    Row("auth.getEntityHistory", "task c", status=400, body="InputError"),
    Row("auth.listAuditHistory", ROOT_CLIENT, body=HISTORY, after=(NEW_CLIENT,)),
    Row("auth.listAuditHistory", "c", body={"auditHistory": []}),
    Row("auth.listRoles", body=[ANY_ROLE]),
    Row("auth.listRoles2", "?limit=1", body={"roles": [ANY_ROLE], "continuationToken": str}, after=(NEW_ROLE,)),
    Row("auth.listRoles2", body={"roles": [ANY_ROLE]}),
    Row("auth.listRoleIds", body={"roleIds": ["anonymous", "r"]}, after=(NEW_ROLE,)),
    Row("auth.role", "r", body=ROLE, after=(NEW_ROLE,)),
    Row("auth.role", "r", status=404, body="ResourceNotFound"),
    Row("auth.createRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleCreated"),
    Row("auth.createRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleCreated", after=(NEW_ROLE,)),
    Row("auth.createRole", "r", {"scopes": [], "description": "d"}, 409, "RequestConflict", after=(NEW_ROLE,)),
    Row("auth.createRole", "r", {"scopes": ["a*"], "description": "d"}, 400, "InputError"),
    Row("auth.updateRole", "r", GIVEN_ROLE, body=ROLE, publishes="auth.roleUpdated", after=(NEW_ROLE,)),
    Row("auth.updateRole", "r", {"scopes": ["*"], "description": "d"}, 400, "InputError", after=(NEW_ROLE,)),
    Row("auth.updateRole", "r", GIVEN_ROLE, 404, "ResourceNotFound"),
    Row("auth.deleteRole", "r", status=204, publishes="auth.roleDeleted", after=(NEW_ROLE,)),
    Row("auth.deleteRole", "r", status=204, publishes="auth.roleDeleted"),
    Row("auth.expandScopes", "", {"scopes": ["b", "a:1", "a:1*"]}, body={"scopes": ["a:1*", "a:1", "b"]}),
    Row("auth.currentScopes", body={"scopes": ["*"]}),
    Row("auth.currentScopes", body={"scopes": [str]}, by=None),
    Row(
        "auth.authenticateHawk", "", HAWK,
        body={"status": "no-auth", "scheme": "none", "scopes": [str], "expires": str},
    ),
    Row("auth.authenticateHawk", "", {**HAWK, "authorization": "x"}, body={"status": "auth-failed", "message": str}),
    Row("auth.testAuthenticate", "", {"clientScopes": ["a"]}, body={"clientId": str, "scopes": [str]}, by=TESTER),
    Row("auth.testAuthenticate", "", {"requiredScopes": ["a"]}, 403, "InsufficientScopes", by=TESTER),
    Row("auth.testAuthenticateGet", body={"clientId": str, "scopes": [str]}, by=TESTER),
    Row("auth.awsS3Credentials", "read-only b p", **NOT_HERE),
    Row("auth.awsS3Credentials", "all b p", status=400, body="InvalidRequestArguments"),
    Row("auth.sentryDSN", "p", **NOT_HERE),
    Row("auth.websocktunnelToken", "a c", **NOT_HERE),
    Row("auth.gcpCredentials", "p a", **NOT_HERE),
    Row("auth.githubRepoToken", "a o", {"repositories": ["r"], "permissions": {"contents": "read"}}, **NOT_HERE),
    Row("auth.azureAccounts", **NOT_HERE),
    Row("auth.azureTables", "a", **NOT_HERE),
    Row("auth.azureTableSAS", "a t read-only", **NOT_HERE),
    Row("auth.azureContainers", "a", **NOT_HERE),
    Row("auth.azureContainerSAS", "a c read-only", **NOT_HERE),
]  # fmt: skip

OF_ALL = [
    Row(f"{service}.{method}", body=body, by=None)
    for service in API
    for method, body in (
        ("ping", {"alive": True, "uptime": float}),
        ("lbheartbeat", {}),
        ("heartbeat", {}),
        ("version", {"version": str, "commit": str, "source": str, "build": str}),
    )
    if (service, method) in METHODS
]
ROWS = [*OF_ALL, *AUTH]


def test_every_method_has_a_row() -> None:
    expected = {
        f"{service}.{method}" for service, method in METHODS if service not in WITHOUT_ROWS or method in HOUSEKEEPING
    }
    assert {row.method for row in ROWS} == expected


@pytest.mark.once
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_response_and_what_is_published(site: Any, row: Row) -> None:
    published: list[Message] = []
    subscription = site.deployment.events.subscribe([Binding(name, "#") for name in EXCHANGES], published.append)
    for before in row.after:
        assert call(site, before).status < 300, before
    asyncio.run(site.deployment.pass_time())
    earlier = len(published)
    answer = call(site, row)
    subscription.close()
    assert answer.status == row.status, answer.content
    if row.status >= 400:
        assert answer.json.keys() == {"code", "message", "requestInfo"}
        assert answer.code == row.body
    elif row.status == 204:
        assert answer.content == b""
    else:
        assert not differences(answer.json, row.body)
    assert [EXCHANGES[message.exchange][0] for message in published[earlier:]] == row.publishes.split()
    for message in published:
        assert not site.deployment.api.schemas.schema(EXCHANGES[message.exchange][1]).errors(message.payload)
