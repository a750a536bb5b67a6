"""The methods of the github service."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from ...api import Handler, HandlerCall, Partial, Reply, Result, Text
from ...encoding import is_object
from ...errors import ApiError
from ...events import Events
from ...isolation import isolated
from ...pages import Page
from ...validation import ApiSchemas
from ..context import ServiceContext
from . import badge as badges
from .builds import Builder, watch
from .fake_events import DELIVERY, fake_event
from .rendering import render
from .state import Github, sanitized
from .webhooks import check_signature, described, publication

__all__ = ["build", "handlers"]

_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service. Its builds follow the states of their task groups."""
    shared, events, clock, root_url = context.shared, context.events, context.clock, context.root_url
    github = shared.github
    watch(events, github, shared.queue.groups.all_completed, clock)
    builder = Builder(github, events, context.invoke_by, shared.accounts, context.client, clock, root_url)
    schemas, secret = shared.interface.schemas, context.github_webhook_secret
    return handlers(github, events, schemas, builder, context.invoke, root_url, secret)


def handlers(
    github: Github,
    events: Events,
    schemas: ApiSchemas,
    builder: Builder,
    invoke: Callable[[str, str, dict[str, str]], Awaitable[Result]],
    root_url: str,
    webhook_secret: str | None,
) -> dict[str, Handler]:
    """Return the handlers, by method.

    Args:
        github: The repositories and builds.
        events: Publishes webhooks.
        schemas: The schemas of messages.
        builder: Creates the tasks of events.
        invoke: Calls a method (service, name, parameters) as this service.
        root_url: The root URL of the deployment.
        webhook_secret: The secret that webhooks are signed with; None to accept unsigned ones.
    """

    def at(call: HandlerCall) -> tuple[str, str]:
        return call.params["owner"], call.params["repo"]

    async def builds(call: HandlerCall) -> dict[str, Any]:
        query = call.query
        if "repository" in query and "organization" not in query:
            raise ApiError("InputError", "Must provide an organization if you provide a repository")
        if "sha" in query and "repository" not in query:
            raise ApiError("InputError", "Must provide an organization and a repository if you provide a sha")
        organization, repository = (query.get(name) for name in ("organization", "repository"))
        return github.builds(
            Page.of(query),
            organization=None if organization is None else sanitized(organization),
            repository=None if repository is None else sanitized(repository),
            sha=query.get("sha"),
            pullRequestNumber=_pull_request(query),
        )

    async def cancelBuilds(call: HandlerCall) -> dict[str, Any]:
        pull_request = _pull_request(call.query)
        groups = github.pending(*at(call), sha=call.query.get("sha"), pullRequestNumber=pull_request)
        cancelled: list[dict[str, Any]] = []
        for taskGroupId in groups:
            for method in ("sealTaskGroup", "cancelTaskGroup"):
                try:
                    await invoke("queue", method, {"taskGroupId": taskGroupId})
                except ApiError as error:
                    # A build may have been added without its tasks.
                    if error.code != "ResourceNotFound":
                        raise
            cancelled.append(github.cancelled(taskGroupId, call.now))
        return {"builds": cancelled}

    async def badge(call: HandlerCall) -> Reply:
        build = github.latest(*at(call), call.params["branch"])
        return Reply(200, Text(badges.svg(None if build is None else build["state"]), "image/svg+xml; charset=utf-8"))

    async def repository(call: HandlerCall) -> dict[str, Any]:
        return {"installed": github.installed(*at(call))}

    async def latest(call: HandlerCall) -> Reply:
        build = github.latest(*at(call), call.params["branch"])
        if build is None:
            raise ApiError("ResourceNotFound", "No build of this branch is known")
        return Reply(302, None, {"location": f"{root_url}/tasks/groups/{quote(build['taskGroupId'])}"})

    async def createStatus(call: HandlerCall) -> dict[str, Any]:
        github.add_status(*at(call), call.params["sha"], call.payload)
        return {}

    async def createComment(call: HandlerCall) -> dict[str, Any]:
        number = call.params["number"]
        if not _NUMBER.fullmatch(number):
            raise ApiError(
                "InvalidRequestArguments", f"number must be that of an issue or pull request, not {number!r}"
            )
        github.add_comment(*at(call), int(number), call.payload["body"])
        return {}

    async def renderTaskclusterYml(call: HandlerCall) -> dict[str, Any]:
        given, fake = call.payload, call.payload["fakeEvent"]
        organization, name = given.get("organization", "taskcluster"), given.get("repository", "testing-repository")
        kind, event = fake_event(fake, organization, name, call.now)
        payload = {**described(kind, DELIVERY, event).payload, "tasks_for": fake["type"]}
        rendered = await isolated(render, given["body"], payload, organization, name, root_url, call.now)
        return {key: rendered[key] for key in ("tasks", "scopes")}

    async def githubWebHookConsumer(call: HandlerCall) -> Reply:
        headers = call.request.headers
        if webhook_secret is not None:
            check_signature(webhook_secret, headers, call.request.body or b"")
        if not is_object(call.payload):
            raise ApiError("MalformedPayload", "Failed to parse JSON: Must be an object")
        found = publication(headers, call.payload)
        if found is not None:
            errors = schemas.schema(found.schema).errors(found.payload)
            if errors:
                raise ApiError("InputError", "\n".join(["The event cannot be published:", *errors]))
            events.publish("github", found.exchange, found.payload, **found.words)
            await builder.build(found)
        return Reply(204)

    return {
        "builds": builds,
        "cancelBuilds": cancelBuilds,
        "badge": badge,
        "repository": repository,
        "latest": latest,
        "createStatus": createStatus,
        "createComment": createComment,
        "renderTaskclusterYml": renderTaskclusterYml,
        "githubWebHookConsumer": Partial(
            githubWebHookConsumer,
            "tasks are created from the file added with the repository; comments are ignored, check runs are not"
            " repeated, and earlier builds of a branch are not cancelled",
        ),
    }


def _pull_request(query: dict[str, str]) -> int | None:
    return int(query["pullRequest"]) if "pullRequest" in query else None
