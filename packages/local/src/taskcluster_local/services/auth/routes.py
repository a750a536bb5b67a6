"""The methods of the auth service."""

from __future__ import annotations

from typing import Any

from ...api import Handler, HandlerCall, Reply, require
from ...authentication import SignedRequest, authenticate
from ...errors import ApiError
from ...pages import Page
from ...scopes import AllOf
from ...timestamps import to_wire
from ..context import ServiceContext
from . import credentials
from .audit import Audit
from .state import Accounts, FixedAccounts, merged

__all__ = ["build", "handlers"]

_EVERYTHING = 2**62
_TEST_GET_SCOPES = ("test:*", "auth:create-client:test:*")


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service."""
    accounts = context.shared.accounts
    context.as_time_passes(lambda: accounts.delete_expired(context.clock()))
    return handlers(accounts, context.shared.audit)


def handlers(accounts: Accounts, audit: Audit) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def listClients(call: HandlerCall) -> dict[str, Any]:
        return accounts.clients(call.query.get("prefix", ""), Page.of(call.query))

    async def client(call: HandlerCall) -> dict[str, Any]:
        return accounts.show_client(call.params["clientId"])

    async def createClient(call: HandlerCall) -> dict[str, Any]:
        call.authorize(scopes=call.payload.get("scopes", []))
        return accounts.create_client(call.params["clientId"], call.payload, call.identity, call.now)

    async def updateClient(call: HandlerCall) -> dict[str, Any]:
        clientId, given = call.params["clientId"], call.payload
        call.authorize(scopesAdded=accounts.scopes_added(clientId, given.get("scopes", [])))
        return accounts.update_client(clientId, given, call.identity, call.now)

    async def resetAccessToken(call: HandlerCall) -> dict[str, Any]:
        return accounts.reset_client(call.params["clientId"], call.identity, call.now)

    async def enableClient(call: HandlerCall) -> dict[str, Any]:
        return accounts.disable_client(call.params["clientId"], False, call.identity, call.now)

    async def disableClient(call: HandlerCall) -> dict[str, Any]:
        return accounts.disable_client(call.params["clientId"], True, call.identity, call.now)

    async def deleteClient(call: HandlerCall) -> Reply:
        accounts.delete_client(call.params["clientId"], call.identity)
        return Reply(204)

    async def getEntityHistory(call: HandlerCall) -> dict[str, Any]:
        return audit.of_entity(call.params["entityType"], call.params["entityId"], Page.of(call.query))

    async def listAuditHistory(call: HandlerCall) -> dict[str, Any]:
        return audit.of_client(call.params["clientId"], Page.of(call.query))

    async def listRoles(call: HandlerCall) -> list[Any]:
        return accounts.all_roles()

    async def listRoles2(call: HandlerCall) -> dict[str, Any]:
        return accounts.roles(_page_or_all(call))

    async def listRoleIds(call: HandlerCall) -> dict[str, Any]:
        return accounts.role_ids(_page_or_all(call))

    async def role(call: HandlerCall) -> dict[str, Any]:
        return accounts.show_role(call.params["roleId"])

    async def createRole(call: HandlerCall) -> dict[str, Any]:
        call.authorize(scopes=call.payload["scopes"])
        return accounts.create_role(call.params["roleId"], call.payload, call.identity, call.now)

    async def updateRole(call: HandlerCall) -> dict[str, Any]:
        roleId, given = call.params["roleId"], call.payload
        call.authorize(scopesAdded=accounts.role_scopes_added(roleId, given["scopes"]))
        return accounts.update_role(roleId, given, call.identity, call.now)

    async def deleteRole(call: HandlerCall) -> Reply:
        accounts.delete_role(call.params["roleId"], call.identity)
        return Reply(204)

    async def currentScopes(call: HandlerCall) -> dict[str, Any]:
        return {"scopes": list(call.identity.scopes.scopes)}

    async def expandScopes(call: HandlerCall) -> dict[str, Any]:
        return {"scopes": list(accounts.expand(call.payload["scopes"]).scopes)}

    async def authenticateHawk(call: HandlerCall) -> dict[str, Any]:
        given = call.payload
        verb, host, port = given["method"].upper(), given["host"].lower(), str(given["port"])
        request = SignedRequest(verb, given["resource"], host, port, given.get("authorization"))
        try:
            identity = authenticate(request, accounts, call.now, call.received)
        except ApiError as error:
            return {"status": "auth-failed", "message": error.message}
        scopes, expires = list(identity.scopes.scopes), to_wire(identity.expires)
        if not identity.has_credentials:
            return {"status": "no-auth", "scheme": "none", "scopes": scopes, "expires": expires}
        signed_hash = {} if identity.hash is None else {"hash": identity.hash}
        return {
            "status": "auth-success",
            "scheme": "hawk",
            "clientId": identity.clientId,
            "scopes": scopes,
            "expires": expires,
            **signed_hash,
        }

    async def testAuthenticate(call: HandlerCall) -> dict[str, Any]:
        return _tested(call, call.payload["clientScopes"], call.payload["requiredScopes"])

    async def testAuthenticateGet(call: HandlerCall) -> dict[str, Any]:
        return _tested(call, _TEST_GET_SCOPES, ["test:authenticate-get"])

    return {
        **credentials.handlers(),
        "listClients": listClients,
        "client": client,
        "createClient": createClient,
        "updateClient": updateClient,
        "resetAccessToken": resetAccessToken,
        "enableClient": enableClient,
        "disableClient": disableClient,
        "deleteClient": deleteClient,
        "getEntityHistory": getEntityHistory,
        "listAuditHistory": listAuditHistory,
        "listRoles": listRoles,
        "listRoles2": listRoles2,
        "listRoleIds": listRoleIds,
        "role": role,
        "createRole": createRole,
        "updateRole": updateRole,
        "deleteRole": deleteRole,
        "currentScopes": currentScopes,
        "expandScopes": expandScopes,
        "authenticateHawk": authenticateHawk,
        "testAuthenticate": testAuthenticate,
        "testAuthenticateGet": testAuthenticateGet,
    }


def _tested(call: HandlerCall, client_scopes: Any, required: list[str]) -> dict[str, Any]:
    identity = call.authenticate(FixedAccounts(client_scopes))
    require(AllOf(tuple(required)), identity)
    return {"clientId": identity.clientId, "scopes": merged(identity.granted)}


def _page_or_all(call: HandlerCall) -> Page:
    """Return the requested page; without a limit, all roles."""
    page = Page.of(call.query)
    return page if "limit" in call.query and page.limit > 0 else Page(_EVERYTHING)
