"""Firing hooks: rendering their templates and having the queue create the tasks."""

from __future__ import annotations

import logging
from typing import Any

from taskcluster.slugs import slugId

from ...api import Invoke
from ...authentication import ANONYMOUS, Client, Directory, Identity
from ...errors import ApiError
from ...isolation import isolated
from ...scopes import ScopeSet
from ...timestamps import Clock
from .state import Hook, Hooks
from .template import render
from .trigger import check_payload

__all__ = ["Firing"]

_LONGEST_SUBJECT = 255
_LONGEST_ERROR = 100_000

_log = logging.getLogger("taskcluster.local")


class Firing:
    """Fires the hooks of a deployment.

    Args:
        hooks: The hooks.
        invoke: Calls methods of other services.
        directory: Says which scopes the roles of hooks have.
        client: What the service itself acts as.
        clock: Tells the present.
    """

    def __init__(self, hooks: Hooks, invoke: Invoke, directory: Directory, client: Client, clock: Clock) -> None:
        self._hooks = hooks
        self._invoke = invoke
        self._directory = directory
        self._client = client
        self._clock = clock

    async def fire(
        self, hook: Hook, firedBy: str, payload: Any, taskId: str | None = None, **context: str
    ) -> str | None:
        """Fire a hook, and record how it went.

        Args:
            hook: What to fire.
            firedBy: Why, in the API's words.
            payload: What comes with it.
            taskId: Of the task; None for a new one.
            **context: What else the template can refer to.

        Returns:
            The taskId, or None where the template says that there is to be no task.

        Raises:
            ApiError: There is no task (InputError, InsufficientScopes).
        """
        now = self._clock()
        taskId = taskId or slugId()
        try:
            known = {**context, "firedBy": firedBy, "payload": payload}
            task = await isolated(render, hook.definition["task"], known, taskId, now)
            if task is None:
                return None
            await self._create(hook, taskId, task)
        except ApiError as error:
            self._hooks.record(hook, taskId, firedBy, now, error.message)
            raise
        self._hooks.record(hook, taskId, firedBy, now, None)
        return taskId

    async def _create(self, hook: Hook, taskId: str, task: dict[str, Any]) -> None:
        role = f"hook-id:{hook.name}"
        granted = (f"assume:{role}",)
        scopes = self._directory.expand((*granted, ANONYMOUS))
        identity = Identity(self._client.clientId, granted, scopes, self._client.expires)
        try:
            await self._invoke("queue", "createTask", {"taskId": taskId}, task, identity)
        except ApiError as error:
            if error.code == "InsufficientScopes":
                message = f"The role `{role}` does not have sufficient scopes to create the task:\n\n{error.message}"
                raise ApiError("InsufficientScopes", message) from None
            raise ApiError("InputError", f"While calling createTask: {error.code}\n\n{error.message}") from None

    async def fire_due(self) -> None:
        """Fire what is due: hooks whose scheduled date has come, and those that messages have come for.

        A message that does not match the triggerSchema of a hook does not fire it.
        A hook whose dates have passed several times meanwhile is fired once, as by a scheduler that was down.
        """
        for hook in self._hooks.due(self._clock()):
            await self._fire_unattended(hook, "schedule", {})
        for hook, payload in self._hooks.take_messages():
            try:
                await check_payload(hook.definition["triggerSchema"], payload)
            except ApiError as error:
                _log.info("a message does not fire the hook %s, by its triggerSchema: %s", hook.name, error)
            else:
                await self._fire_unattended(hook, "pulseMessage", payload)

    async def _fire_unattended(self, hook: Hook, firedBy: str, payload: Any) -> None:
        try:
            await self.fire(hook, firedBy, payload)
        except ApiError as error:
            if hook.definition["metadata"]["emailOnError"]:
                await self._tell_owner(hook, error)
        except Exception:
            # The other hooks are to be fired all the same.
            _log.exception("could not fire the hook %s", hook.name)

    async def _tell_owner(self, hook: Hook, error: ApiError) -> None:
        content = f"The hook `{hook.name}` was fired but no task was created.\n\n{error.message[:_LONGEST_ERROR]}"
        payload = {
            "address": hook.definition["metadata"]["owner"],
            "subject": f"Hook failed: {hook.name}"[:_LONGEST_SUBJECT],
            "content": content,
        }
        try:
            await self._invoke("notify", "email", {}, payload, self._own)
        except ApiError as refusal:
            _log.warning("the owner of the hook %s was not told that it failed: %s", hook.name, refusal)

    @property
    def _own(self) -> Identity:
        scopes = self._client.scopes
        return Identity(self._client.clientId, scopes, ScopeSet(scopes), self._client.expires)

    async def task_state(self, taskId: str) -> str:
        """Return the state of a task, or `unknown` where there is none (any more)."""
        try:
            found: Any = await self._invoke("queue", "status", {"taskId": taskId}, {}, self._own)
        except ApiError:
            return "unknown"
        return str(found["status"]["state"])
