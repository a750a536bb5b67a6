"""Create tasks for GitHub events from `.taskcluster.yml`, and update the builds as the tasks are resolved."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...api import InvokeBy
from ...authentication import ANONYMOUS, Client, Directory, Identity
from ...errors import ApiError
from ...events import Binding, Events, Message
from ...isolation import isolated
from ...scopes import ScopeSet
from ...timestamps import Clock
from .rendering import policy, render
from .state import Github
from .webhooks import Publication

__all__ = ["Builder", "watch"]

_QUEUE = "exchange/taskcluster-queue/v1/"
_COLLABORATORS = ("OWNER", "MEMBER", "COLLABORATOR")
_LONGEST_DESCRIPTION = 140
_log = logging.getLogger("taskcluster.local")


def watch(events: Events, github: Github, all_completed: Callable[[str], bool], clock: Clock) -> None:
    """Update builds when their task groups change.

    Args:
        events: Delivers the queue's messages.
        github: The builds.
        all_completed: Returns whether all tasks of a group are completed.
        clock: The deployment's time.
    """

    def resolved(message: Message) -> None:
        taskGroupId = message.payload["taskGroupId"]
        if github.is_build(taskGroupId):
            github.set_state(taskGroupId, "success" if all_completed(taskGroupId) else "failure", clock())

    def changed(message: Message) -> None:
        status = message.payload["status"]
        # Retried and rerun tasks are pending. A failure is reported before the other tasks of the group are resolved.
        state = "pending" if status["state"] == "pending" else "failure"
        github.set_state(status["taskGroupId"], state, clock())

    events.react(Binding(f"{_QUEUE}task-group-resolved", "#"), resolved)
    for state in ("pending", "failed", "exception"):
        for route in ("statuses", "checks"):
            events.react(Binding(f"{_QUEUE}task-{state}", f"route.{route}"), changed)


class Builder:
    """Creates tasks for events.

    Args:
        github: The repositories with their files and builds.
        events: Publishes that tasks were created.
        invoke: Calls methods of other services.
        directory: Expands the roles of repositories.
        client: The client of the github service.
        clock: The deployment's time.
        root_url: The root URL of the deployment.
    """

    def __init__(
        self,
        github: Github,
        events: Events,
        invoke: InvokeBy,
        directory: Directory,
        client: Client,
        clock: Clock,
        root_url: str,
    ) -> None:
        self._github = github
        self._events = events
        self._invoke = invoke
        self._directory = directory
        self._client = client
        self._clock = clock
        self._root_url = root_url

    async def build(self, publication: Publication) -> None:
        """Create the tasks and trigger the hooks that a repository's file specifies for an event.

        If the file is invalid, or the author of a pull request is not allowed to create tasks, this is reported as real
        deployments report it to GitHub: as a status of the commit, and as a comment on the pull request.

        Args:
            publication: The message about the event.
        """
        organization, repository = publication.organization, publication.repository
        text = self._github.taskcluster_yml(organization, repository)
        payload = publication.payload
        if text is None or "branch" not in payload:
            return
        event = payload["body"]
        try:
            if payload["tasks_for"] == "github-pull-request":
                rule = await isolated(policy, text)
                allowed = _allowed(rule, event)
                if allowed is None:
                    if rule == "collaborators":
                        message = "No tasks are created for this pull request: its author is not a collaborator."
                        self._github.add_comment(organization, repository, event["number"], message)
                    return
                payload = {**payload, "tasks_for": allowed}
            rendered = await isolated(render, text, payload, organization, repository, self._root_url, self._clock())
            scopes = tuple(rendered["scopes"])
            expanded = self._directory.expand((*scopes, ANONYMOUS))
            by = Identity(self._client.clientId, scopes, expanded, self._client.expires)
            await self._create(rendered["tasks"], publication, by)
            await self._trigger(rendered["hooks"], by)
        except ApiError as error:
            _log.warning("%s/%s: %s", organization, repository, error.message)
            self._report_error(error, payload, organization, repository)

    async def _create(self, tasks: list[dict[str, Any]], publication: Publication, by: Identity) -> None:
        groups: dict[str, list[str]] = {}
        try:
            for each in tasks:
                taskId, taskGroupId = each["taskId"], each["task"]["taskGroupId"]
                await self._invoke("queue", "createTask", {"taskId": taskId}, each["task"], by)
                if taskGroupId not in groups:
                    groups[taskGroupId] = []
                    self._add_build(publication, taskGroupId)
                groups[taskGroupId].append(taskId)
                # Thousands of tasks must not hold the event loop.
                await asyncio.sleep(0)
        except (ApiError, asyncio.CancelledError):
            for taskGroupId, created in groups.items():
                await self._abandon(taskGroupId, created)
            raise
        names = {name: publication.words[name] for name in ("organization", "repository")}
        for taskGroupId in groups:
            message = {"taskGroupId": taskGroupId, **names, "version": 1}
            self._events.publish("github", "taskGroupCreationRequested", message, **names)

    async def _trigger(self, hooks: list[dict[str, Any]], by: Identity) -> None:
        """Trigger all hooks, then raise the first error, if any."""
        failure: ApiError | None = None
        for hook in hooks:
            params = {name: hook[name] for name in ("hookGroupId", "hookId")}
            try:
                await self._invoke("hooks", "triggerHook", params, hook["payload"], by)
            except ApiError as error:
                name = "/".join(params.values())
                failure = failure or ApiError(error.code, f"The hook {name} was not triggered: {error.message}")
        if failure is not None:
            raise failure

    def _add_build(self, publication: Publication, taskGroupId: str) -> None:
        payload = publication.payload
        self._github.add_build(
            publication.organization,
            publication.repository,
            _sha(payload),
            taskGroupId,
            branch=payload["branch"],
            eventType=payload["details"]["event.type"],
            eventId=payload["eventId"],
            pullRequestNumber=payload["details"].get("event.pullNumber"),
        )

    async def _abandon(self, taskGroupId: str, created: list[str]) -> None:
        """Seal a group whose other tasks cannot be created, and cancel the tasks that were created."""
        own = Identity(self._client.clientId, self._client.scopes, ScopeSet(self._client.scopes), self._client.expires)
        await self._invoke("queue", "sealTaskGroup", {"taskGroupId": taskGroupId}, {}, own)
        for taskId in created:
            # One at a time: cancelTaskGroup would hold the event loop for all of them.
            with suppress(ApiError):
                await self._invoke("queue", "cancelTask", {"taskId": taskId}, {}, own)
            await asyncio.sleep(0)
        self._github.set_state(taskGroupId, "error", self._clock())

    def _report_error(self, error: ApiError, payload: dict[str, Any], organization: str, repository: str) -> None:
        description = error.message if len(error.message) <= _LONGEST_DESCRIPTION else error.message[:139] + "…"
        status = {"state": "error", "context": "Taskcluster", "description": description}
        self._github.add_status(organization, repository, _sha(payload), status)
        number = payload["details"].get("event.pullNumber")
        if number is not None:
            self._github.add_comment(organization, repository, number, error.message)


def _sha(payload: dict[str, Any]) -> str:
    # The event of a release has no commit. GitHub's null commit stands for it.
    return str(payload["details"].get("event.head.sha", "0" * 40))


def _allowed(rule: str, event: dict[str, Any]) -> str | None:
    """Return the `tasks_for` of a pull request, or None if it must not create tasks."""
    trusted = event["pull_request"].get("author_association") in _COLLABORATORS
    if rule == "public" or trusted:
        return "github-pull-request"
    return "github-pull-request-untrusted" if rule == "public_restricted" else None
