"""The methods of the hooks service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...api import Handler, HandlerCall, Result
from ...errors import ApiError
from ...formats import Pattern
from ...pages import Page
from ...parameters import SLUG
from ...store import Row
from ..context import ServiceContext
from .firing import Firing
from .state import Hook, Hooks
from .trigger import check_payload, check_schema

__all__ = ["build", "handlers"]

_FIELDS = ("metadata", "task", "schedule", "triggerSchema", "bindings")


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service. Changes of hooks are recorded in the audit history."""
    shared = context.shared
    hooks = Hooks(context.store, context.events, shared.interface.exchanges)
    firing = Firing(hooks, context.invoke_by, shared.accounts, context.client, context.clock)
    context.as_time_passes(lambda: hooks.expire(context.clock()))
    context.in_background(firing.fire_due)
    named = handlers(hooks, firing)

    def recorded(method: str, action: str) -> Handler:
        return shared.audit.recorded(named[method], "hook", action, "hookGroupId", "hookId")

    return {
        **named,
        # The check waits for another process, so it must come before the transaction of the audit history.
        "createHook": _checked(recorded("createHook", "created")),
        "updateHook": _checked(recorded("updateHook", "updated")),
        "removeHook": recorded("removeHook", "deleted"),
    }


def handlers(hooks: Hooks, firing: Firing) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def listHookGroups(call: HandlerCall) -> dict[str, Any]:
        return {"groups": hooks.groups()}

    async def listHooks(call: HandlerCall) -> dict[str, Any]:
        return {"hooks": hooks.group(call.params["hookGroupId"])}

    async def hook(call: HandlerCall) -> dict[str, Any]:
        return hooks.hook(*_ids(call)).definition

    async def createHook(call: HandlerCall) -> dict[str, Any]:
        return hooks.create(_definition(call), call.now, repeatable="bindings" in call.payload).definition

    async def updateHook(call: HandlerCall) -> dict[str, Any]:
        return hooks.update(_definition(call), call.now).definition

    async def removeHook(call: HandlerCall) -> dict[str, Any]:
        hooks.remove(*_ids(call))
        return {}

    async def fired(call: HandlerCall, found: Hook, by: str, **context: str) -> dict[str, Any]:
        await check_payload(found.definition["triggerSchema"], call.payload)
        given = call.payload.get("taskId")
        wanted = given if isinstance(given, str) and Pattern.of(SLUG).matches(given) else None
        taskId = await firing.fire(found, by, call.payload, wanted, **context)
        return {} if taskId is None else {"taskId": taskId, "status": {"taskId": taskId}}

    async def triggerHook(call: HandlerCall) -> dict[str, Any]:
        return await fired(call, hooks.hook(*_ids(call)), "triggerHook", clientId=call.identity.clientId)

    async def triggerHookWithToken(call: HandlerCall) -> dict[str, Any]:
        return await fired(call, hooks.by_token(*_ids(call), call.params["token"]), "triggerHookWithToken")

    async def getTriggerToken(call: HandlerCall) -> dict[str, Any]:
        return {"token": hooks.hook(*_ids(call)).token}

    async def resetTriggerToken(call: HandlerCall) -> dict[str, Any]:
        return {"token": hooks.reset_token(*_ids(call))}

    async def listLastFires(call: HandlerCall) -> dict[str, Any]:
        found = hooks.last_fires(*_ids(call), Page.of(call.query))
        created = [row["taskId"] for row in found.rows if row["error"] is None]
        states = {taskId: await firing.task_state(taskId) for taskId in created}
        return found.body("lastFires", lambda row: _fire(row, states))

    async def getHookStatus(call: HandlerCall) -> dict[str, Any]:
        found = hooks.hook(*_ids(call))
        planned = {} if found.nextScheduledDate is None else {"nextScheduledDate": found.nextScheduledDate}
        return {"lastFire": _outcome(hooks.last_fire(found)), **planned}

    return {
        "listHookGroups": listHookGroups,
        "listHooks": listHooks,
        "hook": hook,
        "createHook": createHook,
        "updateHook": updateHook,
        "removeHook": removeHook,
        "triggerHook": triggerHook,
        "triggerHookWithToken": triggerHookWithToken,
        "getTriggerToken": getTriggerToken,
        "resetTriggerToken": resetTriggerToken,
        "listLastFires": listLastFires,
        "getHookStatus": getHookStatus,
    }


def _checked(handler: Handler) -> Handler:
    """Return a handler that checks the triggerSchema of its payload before it runs `handler`."""

    async def checking(call: HandlerCall) -> Result:
        await check_schema(call.payload["triggerSchema"])
        return await handler(call)

    return checking


def _ids(call: HandlerCall) -> tuple[str, str]:
    return call.params["hookGroupId"], call.params["hookId"]


def _definition(call: HandlerCall) -> dict[str, Any]:
    """Return the complete definition in a payload, or raise ApiError if its ids differ from the URL's (InputError)."""
    given, ids = call.payload, {"hookGroupId": call.params["hookGroupId"], "hookId": call.params["hookId"]}
    if {**ids, **given} != {**given, **ids}:
        raise ApiError("InputError", "Hook Ids do not match those of the URL")
    return {**ids, "bindings": [], **{field: given[field] for field in _FIELDS if field in given}}


def _fire(row: Row, states: Mapping[str, str]) -> dict[str, Any]:
    failed = row["error"] is not None
    return {
        "hookGroupId": row["hookGroupId"],
        "hookId": row["hookId"],
        "taskId": row["taskId"],
        "firedBy": row["firedBy"],
        "taskCreateTime": row["taskCreateTime"],
        "result": "error" if failed else "success",
        "taskState": "unknown" if failed else states[row["taskId"]],
        "error": row["error"] or "",
    }


def _outcome(row: Row | None) -> dict[str, Any]:
    if row is None:
        return {"result": "no-fire"}
    if row["error"] is not None:
        return {"result": "error", "error": {"message": row["error"]}, "time": row["taskCreateTime"]}
    return {"result": "success", "taskId": row["taskId"], "time": row["taskCreateTime"]}
