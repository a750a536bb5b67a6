"""Hooks: their definitions, schedules and firings."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from ...api import LARGEST_BODY
from ...errors import ApiError
from ..form_fields import document, refusal
from ..listing import TableRows, table_rows
from ..page import Outcome, PageRequest, Redirect, Route, segment

__all__ = ["ROUTES", "hook", "hooks"]

_FIELDS = ("metadata", "task", "schedule", "triggerSchema", "bindings")


async def hooks(page: PageRequest) -> Outcome:
    """List the hooks of all groups."""
    try:
        groups = (await page.call("hooks", "listHookGroups"))["groups"]
    except ApiError as error:
        return {"hooks": [], "failure": error.message}
    return {"hooks": _rows(page, groups), "failure": ""}


async def _rows(page: PageRequest, groups: Sequence[str]) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the hooks of all groups, read while they are shown; without an id for a group that may not be listed."""
    for group in groups:
        found = await page.attempt("hooks", "listHooks", {"hookGroupId": group})
        for each in found["hooks"] if found else ():
            yield {**each, "status": await _status(page, _ids(each))}
        if not found:
            yield {"hookGroupId": group, "hookId": None}


def _ids(source: Any) -> dict[str, str]:
    return {name: source[name] for name in ("hookGroupId", "hookId")}


async def _status(page: PageRequest, named: dict[str, str]) -> Any:
    return await page.attempt("hooks", "getHookStatus", named)


async def hook(page: PageRequest) -> Outcome:
    """Show a hook, or act on it."""
    named = _ids(page.params)
    failure = None
    if page.form:
        try:
            return await _act(page, named)
        except ApiError as error:
            failure = error
    found = await page.call("hooks", "hook", named)
    entered: Mapping[str, str] = page.form if failure else {}
    return {
        "title": f"Hook {named['hookGroupId']}/{named['hookId']}",
        "hook": found,
        "status": await _status(page, named),
        "fires": await _fires(page, named),
        "is_fired": list(page.query) == ["fired"],
        "payload": entered.get("payload", "{}"),
        "is_edited": "definition" in entered,
        "entered": entered.get("definition", _editable(found)),
        **refusal(failure),
    }


def _editable(found: dict[str, Any]) -> str:
    return json.dumps({name: found[name] for name in _FIELDS if name in found}, indent=2, ensure_ascii=False)


async def _fires(page: PageRequest, named: dict[str, str]) -> TableRows:
    # The API reports a hook that was never fired as not found.
    status = await _status(page, named)
    if status and status["lastFire"]["result"] == "no-fire":
        return TableRows([])
    return await table_rows(page, "hooks", "listLastFires", "lastFires", named)


async def _act(page: PageRequest, named: dict[str, str]) -> Redirect:
    here = f"/hooks/{segment(named['hookGroupId'])}/{segment(named['hookId'])}"
    action = page.form.get("action")
    if action == "trigger":
        text = page.form.get("payload", "")
        payload: Any = await document(text) if text.strip() else {}
        fired = await page.call("hooks", "triggerHook", named, payload)
        # A template can render to no task, and then there is no taskId.
        return Redirect(f"/tasks/{segment(fired['taskId'])}" if fired.get("taskId") else f"{here}?fired=")
    if action == "update":
        await page.call("hooks", "updateHook", named, await document(page.form.get("definition", "")))
        return Redirect(here)
    if action == "remove":
        await page.call("hooks", "removeHook", named)
        return Redirect("/hooks")
    raise ApiError("InputError", "This form has no such action.")


ROUTES = (
    Route("GET", "/hooks", hooks, "hooks.html", "Hooks"),
    Route("GET", "/hooks/<hookGroupId>/<hookId>", hook, "hook.html", "Hook"),
    Route("POST", "/hooks/<hookGroupId>/<hookId>", hook, "hook.html", "Hook", LARGEST_BODY),
)
