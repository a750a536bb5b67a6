"""Signing in and out, and creating a client for a program such as `taskcluster signin`."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

from ...errors import ApiError
from ...scopes import ScopeSet
from ..form_fields import date, lines
from ..page import Allowed, Outcome, PageRequest, Redirect, Route
from ..sessions import PageCredentials

__all__ = ["ROUTES", "create_client", "sign_in", "sign_out"]

_CALLBACK = re.compile(r"https?://localhost(?::[0-9]{1,5})?(?:/[!-~]*)?", re.ASCII)
"""Where the credentials of a new client may be sent: only to a program on the same machine."""


async def sign_in(page: PageRequest) -> Outcome:
    """Show the form, or open a session."""
    back = (page.form or page.query).get("back", "/")
    # Another site must not use this page to lead people to itself.
    back = back if re.match(r"/(?![/\\])", back) and not re.search(r"[\x00-\x20\x7f\\]", back) else "/"
    code = (page.form or page.query).get("code", "")
    clientId = page.form.get("clientId", "").strip()
    variables = {"back": back, "entered": clientId, "failure": "", "code": ""}
    if code and not page.sessions.has_code(code):
        failure = "This address was used already, or it belongs to another deployment."
        return {**variables, "failure": failure, "status_code": 401}
    if not page.form:
        return {**variables, "code": code}
    credentials = page.sessions.use_code(code) or PageCredentials(
        clientId, page.form.get("accessToken", "").strip(), page.form.get("certificate", "").strip() or None
    )
    try:
        page.authenticate(credentials)
    except ApiError as error:
        return {**variables, "failure": error.message, "status_code": error.status}
    page.sessions.sign_out(page.session_id)
    return Redirect(back, page.sessions.sign_in(credentials))


async def sign_out(page: PageRequest) -> Outcome:
    """End the session."""
    page.sessions.sign_out(page.session_id)
    return Redirect("/", "")


async def create_client(page: PageRequest) -> Outcome:
    """Show the form, or create a client and hand its credentials to the program that waits for them."""
    given = page.form or page.query
    callback = given.get("callback_url", "")
    wanted = page.form.get("scopes", "") if page.form else "\n".join(v for n, v in page.queries if n == "scope")
    scopes = lines(wanted)
    # In a thread, because there can be thousands.
    held = await asyncio.to_thread(_held, page, scopes)
    known = set(held)
    variables: dict[str, Any] = {
        "callback": callback,
        "name": given.get("name", ""),
        "expires": given.get("expires", "1d"),
        "description": given.get("description", ""),
        "scopes": scopes,
        "prefix": _prefix(page),
        "created": None,
        "failure": "",
        "refused": [scope for scope in scopes if scope not in known],
        "held": sorted(known.difference(scopes)),
    }
    if callback and not _CALLBACK.fullmatch(callback):
        raise ApiError("InputError", "callback_url must be an address of this machine: http://localhost:PORT/PATH.")
    if page.form:
        try:
            made = await _create(page, variables["prefix"] + variables["name"], held)
        except ApiError as error:
            variables |= {"failure": error.message, "status_code": error.status}
        else:
            if callback:
                # Unencoded: programs split it so, and clientIds cannot have characters that end a header.
                return Redirect(f"{callback}?clientId={made['clientId']}&accessToken={made['accessToken']}")
            variables["created"] = made
    parts = urlsplit(callback)
    return Allowed(variables, form=f"{parts.scheme}://{parts.netloc}" if callback else "")


def _prefix(page: PageRequest) -> str:
    """Return the beginning of the names of a user's clients. Clients called `static/…` cannot be created."""
    return f"{page.identity.clientId.removeprefix('static/')}/"


def _held(page: PageRequest, wanted: list[str]) -> list[str]:
    """Return those of the wanted scopes that the user has; of `a:*`, the user's scopes that begin with `a:`."""
    held, all_wanted = page.identity.scopes, ScopeSet(wanted)
    whole = [scope for scope in wanted if held.satisfies(scope)]
    known = ScopeSet(whole)
    parts = [scope for scope in held.scopes if all_wanted.satisfies(scope) and not known.satisfies(scope)]
    return whole + parts


async def _create(page: PageRequest, clientId: str, held: list[str]) -> dict[str, str]:
    # `taskcluster signout` deletes the client with its own credentials.
    delete = f"auth:delete-client:{clientId}"
    if page.identity.scopes.satisfies(delete):
        held = [*held, delete]
    payload = {
        "scopes": held,
        "expires": date(page.form.get("expires", ""), page.now),
        "description": page.form.get("description") or "Created on the web page",
        "deleteOnExpiration": True,
    }
    made: dict[str, str] = await page.call("auth", "createClient", {"clientId": clientId}, payload)
    return made


ROUTES = (
    Route("GET", "/auth/clients/create", create_client, "client_create.html", "Create a client"),
    Route("POST", "/auth/clients/create", create_client, "client_create.html", "Create a client"),
    Route("GET", "/signin", sign_in, "signin.html", "Sign in"),
    Route("POST", "/signin", sign_in, "signin.html", "Sign in"),
    Route("POST", "/signout", sign_out),
)
