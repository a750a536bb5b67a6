"""The methods of the auth service."""

from __future__ import annotations

from typing import Any

from ...api import Call, Handler, require
from ...authentication import SignedRequest, authenticate
from ...errors import ApiError
from ...scopes import AllOf
from ...timestamps import to_wire
from .state import Accounts, FixedAccounts, merged

__all__ = ["handlers"]

_TEST_GET_SCOPES = ("test:*", "auth:create-client:test:*")


def handlers(accounts: Accounts) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def currentScopes(call: Call) -> dict[str, Any]:
        return {"scopes": list(call.identity.scopes.scopes)}

    async def expandScopes(call: Call) -> dict[str, Any]:
        return {"scopes": list(accounts.expand(call.payload["scopes"]).scopes)}

    async def authenticateHawk(call: Call) -> dict[str, Any]:
        given = call.payload
        verb, host, port = given["method"].upper(), given["host"].lower(), str(given["port"])
        request = SignedRequest(verb, given["resource"], host, port, given.get("authorization"))
        try:
            identity = authenticate(request, accounts, call.now)
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

    async def testAuthenticate(call: Call) -> dict[str, Any]:
        return _tested(call, call.payload["clientScopes"], call.payload["requiredScopes"])

    async def testAuthenticateGet(call: Call) -> dict[str, Any]:
        return _tested(call, _TEST_GET_SCOPES, ["test:authenticate-get"])

    return {
        "currentScopes": currentScopes,
        "expandScopes": expandScopes,
        "authenticateHawk": authenticateHawk,
        "testAuthenticate": testAuthenticate,
        "testAuthenticateGet": testAuthenticateGet,
    }


def _tested(call: Call, client_scopes: Any, required: list[str]) -> dict[str, Any]:
    identity = call.authenticate(FixedAccounts(client_scopes))
    require(AllOf(tuple(required)), identity)
    return {"clientId": identity.clientId, "scopes": merged(identity.granted)}
