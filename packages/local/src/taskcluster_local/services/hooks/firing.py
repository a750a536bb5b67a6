"""Fire hooks: render their templates and create the tasks."""

from __future__ import annotations

import logging
from typing import Any

from taskcluster.slugs import slugId

from ...api import InvokeBy
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
        directory: Expands the roles of hooks.
        client: The client of the hooks service.
        clock: The deployment's time.
    """

    def __init__(self, hooks: Hooks, invoke: InvokeBy, directory: Directory, client: Client, clock: Clock) -> None:
        self._hooks = hooks
        self._invoke = invoke
        self._directory = directory
        self._client = client
        self._clock = clock

    async def fire(
        self, hook: Hook, firedBy: str, payload: Any, taskId: str | None = None, **context: str
    ) -> str | None:
        """Fire a hook, and record the result.

        Args:
            hook: The hook.
            firedBy: The reason, in the API's words.
            payload: The payload for the template.
            taskId: The taskId to use; None for a new one.
            **context: Further values for the template.

        Returns:
            The taskId, or None if the template renders to no task.

        Raises:
            ApiError: The task cannot be created (InputError, InsufficientScopes).
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
        """Fire the hooks whose scheduled date has come, and those bound to messages received since last time.

        A message that does not match the triggerSchema of a hook does not fire it. If several scheduled dates of a hook
        have passed, it is fired once, as after a downtime of the scheduler.
        """
        for hook in self._hooks.due(self._clock()):
            await self._fire_and_notify(hook, "schedule", {})
        for hook, payload in self._hooks.take_queued():
            try:
                await check_payload(hook.definition["triggerSchema"], payload)
            except ApiError as error:
                _log.info("a message does not match the triggerSchema of the hook %s: %s", hook.name, error)
            else:
                await self._fire_and_notify(hook, "pulseMessage", payload)

    async def _fire_and_notify(self, hook: Hook, firedBy: str, payload: Any) -> None:
        try:
            await self.fire(hook, firedBy, payload)
        except ApiError as error:
            if hook.definition["metadata"]["emailOnError"]:
                await self._notify_owner(hook, error)
        except Exception:
            # The other hooks must be fired anyway.
            _log.exception("could not fire the hook %s", hook.name)

    async def _notify_owner(self, hook: Hook, error: ApiError) -> None:
        content = f"The hook `{hook.name}` was fired but no task was created.\n\n{error.message[:_LONGEST_ERROR]}"
        payload = {
            "address": hook.definition["metadata"]["owner"],
            "subject": f"Hook failed: {hook.name}"[:_LONGEST_SUBJECT],
            "content": content,
        }
        try:
            await self._invoke("notify", "email", {}, payload, self._own)
        except ApiError as refusal:
            _log.warning("could not notify the owner of the hook %s of its failure: %s", hook.name, refusal)

    @property
    def _own(self) -> Identity:
        scopes = self._client.scopes
        return Identity(self._client.clientId, scopes, ScopeSet(scopes), self._client.expires)

    async def task_state(self, taskId: str) -> str:
        """Return the state of a task, or `unknown` if it does not exist (any more)."""
        try:
            found: Any = await self._invoke("queue", "status", {"taskId": taskId}, {}, self._own)
        except ApiError:
            return "unknown"
        return str(found["status"]["state"])
