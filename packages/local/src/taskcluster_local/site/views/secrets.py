"""Secrets. A value is only in the response to the form that reveals it."""

from __future__ import annotations

import json

from ...api import LARGEST_BODY
from ...errors import ApiError
from ..form_fields import date, document, refusal
from ..listing import table_rows
from ..page import Outcome, PageRequest, Redirect, Route, segment

__all__ = ["ROUTES", "secret", "secrets"]


async def secrets(page: PageRequest) -> Outcome:
    """List the names of secrets, or create a secret."""
    failure = None
    if page.form:
        try:
            return await _create(page)
        except ApiError as error:
            failure = error
    return {
        "secrets": await table_rows(page, "secrets", "list", "secrets"),
        "name": page.form.get("name", ""),
        "value": page.form.get("value", ""),
        "expires": page.form.get("expires", "1 year"),
        **refusal(failure),
    }


async def _create(page: PageRequest) -> Redirect:
    name = page.form.get("name", "")
    if not name:
        raise ApiError("InputError", "The name must not be empty.")
    if await page.attempt("secrets", "get", {"name": name}) is not None:
        raise ApiError("RequestConflict", f"The secret {name} exists already: change it on its own page.")
    return await _set(page, name)


async def _set(page: PageRequest, name: str) -> Redirect:
    value = await document(page.form.get("value", ""))
    payload = {"secret": value, "expires": date(page.form.get("expires", ""), page.now)}
    await page.call("secrets", "set", {"name": name}, payload)
    return Redirect(f"/secrets/{segment(name)}")


async def secret(page: PageRequest) -> Outcome:
    """Show a secret without its value, reveal the value, or change the secret."""
    name = page.params["name"]
    action = page.form.get("action")
    failure = None
    try:
        if action == "set":
            return await _set(page, name)
        if action == "remove":
            await page.call("secrets", "remove", {"name": name})
            return Redirect("/secrets")
    except ApiError as error:
        failure = error
    found, unreadable = None, ""
    try:
        found = await page.call("secrets", "get", {"name": name})
    except ApiError as error:
        # Without the scope to read a secret one may still change it.
        if error.code != "InsufficientScopes":
            raise
        unreadable = error.message
        if action == "reveal":
            failure = error
    revealed = json.dumps(found["secret"], indent=2, ensure_ascii=False) if found and action == "reveal" else ""
    return {
        "title": f"Secret {name}",
        "name": name,
        "found_expires": found["expires"] if found else None,
        "unreadable": unreadable,
        "revealed": revealed,
        "is_edited": action == "set",
        "value": page.form.get("value", revealed),
        "expires": page.form.get("expires", found["expires"] if found else ""),
        **refusal(failure),
    }


ROUTES = (
    Route("GET", "/secrets", secrets, "secrets.html", "Secrets"),
    Route("POST", "/secrets", secrets, "secrets.html", "Secrets", LARGEST_BODY),
    Route("GET", "/secrets/<name>", secret, "secret.html", "Secret"),
    Route("POST", "/secrets/<name>", secret, "secret.html", "Secret", LARGEST_BODY),
)
