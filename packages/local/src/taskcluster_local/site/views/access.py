"""Clients, roles and scopes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from taskcluster.scopes import satisfies

from ...errors import ApiError
from ..form_fields import date, lines, refusal
from ..listing import TableRows, table_rows
from ..page import Outcome, PageRequest, Redirect, Route, segment

__all__ = ["ROUTES", "client", "clients", "expansions", "role", "roles", "scope", "scopes"]

_SCANNED = "100"
"""How many clients or roles are read at once when a page goes through all of them."""


# Clients

_NEW_CLIENT = {"clientId": "", "description": "", "scopes": "", "expires": "1 day", "deleteOnExpiration": ""}


async def clients(page: PageRequest) -> Outcome:
    """List clients, or create one and show its access token once."""
    failure, created = None, None
    if page.form:
        try:
            created = await page.call(
                "auth", "createClient", {"clientId": page.form.get("clientId", "")}, _client_in(page)
            )
        except ApiError as error:
            failure = error
    prefix = page.query.get("prefix", "")
    query = {"prefix": prefix} if prefix else {}
    try:
        found = await table_rows(page, "auth", "listClients", "clients", None, **query)
    except ApiError as error:
        found, failure = TableRows([]), failure or error
    fields: Mapping[str, str] = page.form if failure else {}
    return {
        "prefix": prefix,
        "clients": found,
        "issued": created,
        "entered": {**_NEW_CLIENT, **fields},
        **refusal(failure),
    }


def _client_in(page: PageRequest) -> dict[str, Any]:
    return {
        "description": page.form.get("description", ""),
        "scopes": lines(page.form.get("scopes", "")),
        "expires": date(page.form.get("expires", ""), page.now),
        "deleteOnExpiration": "deleteOnExpiration" in page.form,
    }


_CLIENT_METHODS = {"enable": "enableClient", "disable": "disableClient"}


async def client(page: PageRequest) -> Outcome:
    """Show a client, or act on it. A new access token is shown once."""
    named = {"clientId": page.params["clientId"]}
    failure, issued = None, None
    action = page.form.get("action", "")
    here = f"/auth/clients/{segment(named['clientId'])}"
    try:
        if action == "update":
            await page.call("auth", "updateClient", named, _client_in(page))
            return Redirect(here)
        if action in _CLIENT_METHODS:
            await page.call("auth", _CLIENT_METHODS[action], named)
            return Redirect(here)
        if action == "delete":
            await page.call("auth", "deleteClient", named)
            return Redirect("/auth/clients")
        if action == "reset":
            issued = await page.call("auth", "resetAccessToken", named)
    except ApiError as error:
        failure = error
    found = await page.call("auth", "client", named)
    typed = {"deleteOnExpiration": "", **page.form} if action == "update" else {}
    return {
        "title": f"Client {found['clientId']}",
        "client": found,
        "issued": issued,
        "is_edited": action == "update",
        "entered": {**_fields(found), **typed},
        **refusal(failure),
    }


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "scopes": "\n".join(found["scopes"])}


# Roles


async def roles(page: PageRequest) -> Outcome:
    """List roles, or create one."""
    failure = None
    roleId = page.form.get("roleId", "")
    if page.form:
        try:
            await page.call("auth", "createRole", {"roleId": roleId}, _role_in(page))
            return Redirect(f"/auth/roles/{segment(roleId)}")
        except ApiError as error:
            failure = error
    return {
        "roles": await table_rows(page, "auth", "listRoles2", "roles"),
        "entered": {"roleId": "", "description": "", "scopes": "", **page.form},
        **refusal(failure),
    }


def _role_in(page: PageRequest) -> dict[str, Any]:
    return {"description": page.form.get("description", ""), "scopes": lines(page.form.get("scopes", ""))}


async def role(page: PageRequest) -> Outcome:
    """Show a role, or act on it."""
    named = {"roleId": page.params["roleId"]}
    failure = None
    action = page.form.get("action", "")
    try:
        if action == "update":
            await page.call("auth", "updateRole", named, _role_in(page))
            return Redirect(f"/auth/roles/{segment(named['roleId'])}")
        if action == "delete":
            await page.call("auth", "deleteRole", named)
            return Redirect("/auth/roles")
    except ApiError as error:
        failure = error
    found = await page.call("auth", "role", named)
    typed: Mapping[str, str] = page.form if action == "update" else {}
    return {
        "title": f"Role {found['roleId']}",
        "role": found,
        "is_edited": action == "update",
        "entered": {**_fields(found), **typed},
        **refusal(failure),
    }


# Scopes


async def scopes(page: PageRequest) -> Outcome:
    """Show the reader's scopes, or lead to the page of a scope."""
    wanted = page.query.get("scope", "").strip()
    if wanted:
        return Redirect(f"/auth/scopes/{segment(wanted)}")
    held = await page.attempt("auth", "currentScopes")
    return {"held": held["scopes"] if held else None}


async def scope(page: PageRequest) -> Outcome:
    """Show who has a scope."""
    wanted = page.params["scope"]
    return {
        "title": f"Scope {wanted}",
        "scope": wanted,
        "roles": await _holders(page, wanted, "listRoles2", "roles", "roleId"),
        "clients": await _holders(page, wanted, "listClients", "clients", "clientId"),
    }


async def _holders(
    page: PageRequest, wanted: str, method: str, name: str, key: str
) -> AsyncGenerator[dict[str, Any], None] | None:
    """Return all clients or roles that have a scope, read while they are shown; None if they may not be listed."""
    if await page.attempt("auth", method, query={"limit": "1"}) is None:
        return None

    async def found() -> AsyncGenerator[dict[str, Any], None]:
        async for each in page.listed("auth", method, name, limit=_SCANNED):
            # Each can have thousands of scopes.
            await asyncio.sleep(0)
            direct = next((held for held in each["scopes"] if satisfies(held, wanted)), None)
            by = direct or next((held for held in each["expandedScopes"] if satisfies(held, wanted)), None)
            if by is not None:
                yield {"id": each[key], "by": by, "is_direct": direct is not None}

    return found()


async def expansions(page: PageRequest) -> Outcome:
    """Show the scopes to which some scopes expand."""
    failure, expanded = None, None
    entered = page.form.get("scopes", "")
    if page.form:
        try:
            expanded = (await page.call("auth", "expandScopes", payload={"scopes": lines(entered)}))["scopes"]
        except ApiError as error:
            failure = error
    return {"entered": entered, "expanded": expanded, **refusal(failure)}


ROUTES = (
    Route("GET", "/auth/clients", clients, "clients.html", "Clients"),
    Route("POST", "/auth/clients", clients, "clients.html", "Clients"),
    Route("GET", "/auth/clients/<clientId>", client, "client.html", "Client"),
    Route("POST", "/auth/clients/<clientId>", client, "client.html", "Client"),
    Route("GET", "/auth/roles", roles, "roles.html", "Roles"),
    Route("POST", "/auth/roles", roles, "roles.html", "Roles"),
    Route("GET", "/auth/roles/<roleId>", role, "role.html", "Role"),
    Route("POST", "/auth/roles/<roleId>", role, "role.html", "Role"),
    Route("GET", "/auth/scopes", scopes, "scopes.html", "Scopes"),
    Route("GET", "/auth/scopes/expansions", expansions, "expansions.html", "Expand scopes"),
    Route("POST", "/auth/scopes/expansions", expansions, "expansions.html", "Expand scopes"),
    Route("GET", "/auth/scopes/<scope>", scope, "scope.html", "Scope"),
)
