"""What the events of GitHub make: tasks by the repository's `.taskcluster.yml`, and builds that follow them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...api import Invoke
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
    """Let builds follow their task groups from now on.

    Args:
        events: Where the queue tells of tasks.
        github: Has the builds.
        all_completed: Says whether all tasks of a group are completed.
        clock: Tells the present.
    """

    def resolved(message: Message) -> None:
        taskGroupId = message.payload["taskGroupId"]
        if github.is_build(taskGroupId):
            github.follow(taskGroupId, "success" if all_completed(taskGroupId) else "failure", clock())

    def changed(message: Message) -> None:
        status = message.payload["status"]
        # What is tried again, or rerun, is pending; what has failed is told before the others of the group have ended.
        state = "pending" if status["state"] == "pending" else "failure"
        github.follow(status["taskGroupId"], state, clock())

    events.react(Binding(f"{_QUEUE}task-group-resolved", "#"), resolved)
    for state in ("pending", "failed", "exception"):
        for route in ("statuses", "checks"):
            events.react(Binding(f"{_QUEUE}task-{state}", f"route.{route}"), changed)


class Builder:
    """Makes the tasks of events.

    Args:
        github: The repositories, their files and their builds.
        events: Where it is told that tasks were made.
        invoke: Calls methods of other services.
        directory: Says which scopes the roles of repositories have.
        client: What the service itself acts as.
        clock: Tells the present.
        root_url: Of the deployment.
    """

    def __init__(
        self,
        github: Github,
        events: Events,
        invoke: Invoke,
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
        """Create the tasks, and trigger the hooks, that a repository's file has for an event.

        An invalid file, or a pull request whose author may not have tasks, is reported as a deployment reports it at
        GitHub: by the status of the commit, and by a comment on the pull request.

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
                        message = "No tasks are made for this pull request: its author is no collaborator."
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
            self._tell(error, payload, organization, repository)

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
        """Trigger every hook, and then raise the first error if there is one."""
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
        self._github.follow(taskGroupId, "error", self._clock())

    def _tell(self, error: ApiError, payload: dict[str, Any], organization: str, repository: str) -> None:
        description = error.message if len(error.message) <= _LONGEST_DESCRIPTION else error.message[:139] + "…"
        status = {"state": "error", "context": "Taskcluster", "description": description}
        self._github.add_status(organization, repository, _sha(payload), status)
        number = payload["details"].get("event.pullNumber")
        if number is not None:
            self._github.add_comment(organization, repository, number, error.message)


def _sha(payload: dict[str, Any]) -> str:
    # Where a release has no commit of its own, GitHub says 0.
    return str(payload["details"].get("event.head.sha", "0" * 40))


def _allowed(rule: str, event: dict[str, Any]) -> str | None:
    """Return what the file is asked for by a pull request, None where it is not to have tasks."""
    trusted = event["pull_request"].get("author_association") in _COLLABORATORS
    if rule == "public" or trusted:
        return "github-pull-request"
    return "github-pull-request-untrusted" if rule == "public_restricted" else None
