"""The API that only a local deployment has: notifications it would have sent, and repositories it knows.

It is like the other APIs (`/api/local/v1/…`, Hawk, scopes, payloads, pages), but not in the list of references, so that
clients that read the list find the services of a real deployment.
"""

from __future__ import annotations

import functools
from typing import Any

from .api import Handler, HandlerCall, Interface
from .isolation import isolated
from .pages import Page
from .services.github.rendering import policy
from .services.github.state import Github
from .services.notify.outbox import Outbox, notification_of

__all__ = ["REFERENCE", "handlers", "interface", "paths"]

_TEXT: dict[str, Any] = {"type": "string"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_ABOUT: dict[str, Any] = {"stability": "experimental", "category": "Local", "args": []}
_METHODS: list[dict[str, Any]] = [
    {
        **_ABOUT,
        "name": "listNotifications",
        "title": "List Notifications",
        "description": "Lists the notifications of the last 24 hours, oldest first. They are not delivered.",
        "method": "get",
        "route": "/notifications",
        "query": ["continuationToken", "limit"],
        "output": "local/v1/notifications.json",
        "scopes": "local:list-notifications",
    },
    {
        **_ABOUT,
        "name": "addRepository",
        "title": "Add Repository",
        "description": "Adds or changes a GitHub repository with its `.taskcluster.yml`.",
        "method": "put",
        "route": "/repository",
        "input": "local/v1/repository.json",
        "scopes": "local:add-repository:<organization>/<repository>",
    },
]

REFERENCE: dict[str, Any] = {
    "serviceName": "local",
    "apiVersion": "v1",
    "title": "Local Deployment",
    "description": "The methods that only a local deployment has.",
    "methods": _METHODS,
    "entries": [{"type": "function", **method} for method in _METHODS],
    "types": {
        "local/v1/notifications.json": _object(
            ["notifications"],
            continuationToken=_TEXT,
            notifications={
                "type": "array",
                "items": _object(
                    ["notificationType", "notificationAddress", "payload"],
                    notificationType=_TEXT,
                    notificationAddress=_TEXT,
                    payload={"type": "object"},
                ),
            },
        ),
        "local/v1/repository.json": _object(
            ["organization", "repository"],
            organization={"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,100}$"},
            repository={"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,100}$"},
            installed={"type": "boolean", "default": True},
            taskclusterYml=_TEXT,
        ),
    },
}


@functools.cache
def interface() -> Interface:
    """Return the parsed reference of this API, cached."""
    return Interface({"local": REFERENCE})


def paths() -> list[tuple[str, str]]:
    """Return the verb and path of each method."""
    return [(method["method"].upper(), f"/api/local/v1{method['route']}") for method in _METHODS]


def handlers(github: Github, outbox: Outbox) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def listNotifications(call: HandlerCall) -> dict[str, Any]:
        return outbox.page(Page.of(call.query)).body("notifications", lambda row: notification_of(row).shown())

    async def addRepository(call: HandlerCall) -> dict[str, Any]:
        organization, repository = call.payload["organization"], call.payload["repository"]
        call.authorize(organization=organization, repository=repository)
        text = call.payload.get("taskclusterYml")
        if text is not None:
            await isolated(policy, text)
        github.add_repository(
            organization,
            repository,
            installed=call.payload["installed"],
            taskclusterYml=text,
        )
        return {}

    return {"listNotifications": listNotifications, "addRepository": addRepository}
