"""The methods of the object service."""

from __future__ import annotations

from typing import Any

from ...api import Handler, HandlerCall, Reply, Text
from ..context import ServiceContext
from .state import Objects

__all__ = ["build", "handlers"]


def build(context: ServiceContext) -> dict[str, Handler]:
    """Build the service."""
    objects = context.shared.objects
    context.as_time_passes(lambda: objects.purge(context.clock()))
    return handlers(objects)


def handlers(objects: Objects) -> dict[str, Handler]:
    """Return the handlers, by method."""

    async def createUpload(call: HandlerCall) -> dict[str, Any]:
        given = call.payload
        call.authorize(projectId=given["projectId"])
        method = objects.create(call.params["name"], given, call.now)
        # The date as it was sent, not as it is stored.
        return {**{key: given[key] for key in ("projectId", "uploadId", "expires")}, "uploadMethod": method}

    async def finishUpload(call: HandlerCall) -> dict[str, Any]:
        call.authorize(projectId=call.payload["projectId"])
        objects.finish(call.params["name"], call.payload)
        return {}

    async def startDownload(call: HandlerCall) -> dict[str, Any]:
        return objects.start_download(call.params["name"], call.payload["acceptDownloadMethods"], call.now)

    async def object_(call: HandlerCall) -> dict[str, Any]:
        return objects.metadata(call.params["name"])

    async def download(call: HandlerCall) -> Reply:
        url = objects.simple_url(call.params["name"], call.now)
        return Reply(303, Text(f"See Other. Redirecting to {url}"), {"location": url})

    return {
        "createUpload": createUpload,
        "finishUpload": finishUpload,
        "startDownload": startDownload,
        "object": object_,
        "download": download,
    }
