"""The services of plugins, with checks of what their functions return and errors that name the plugin."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from taskcluster.awaitables import awaited, plain
from taskcluster.plugin_checks import described, located
from taskcluster.plugins import PluginError
from taskcluster.shapes import is_mapping
from taskcluster.suggestions import near_misses

from .api import Handler, PluginHandler
from .plugins import Context, Job, LocalService

__all__ = ["checked"]


def checked(origin: str, service: LocalService) -> LocalService:
    """Return a service whose handlers and jobs raise PluginError if they fail.

    Args:
        origin: The plugin, for messages.
        service: The service as the plugin returned it.
    """
    return LocalService(service.reference, functools.partial(_handlers, origin, service))


def _handlers(origin: str, service: LocalService, context: Context) -> dict[str, Handler]:
    """Return the handlers of a service for a deployment; raise PluginError if it fails to build them."""

    def as_time_passes(job: Job) -> None:
        if not callable(job):
            raise PluginError(f"as_time_passes needs a function, not {type(job).__name__}")
        context.as_time_passes(functools.partial(_run_job, origin, service.name, job))

    try:
        built: object = plain(
            service.handlers(replace(context, as_time_passes=as_time_passes)),
            "`handlers` must be a plain function that returns a mapping; only the handlers may be coroutine functions",
        )
        found = _checked_handlers(built, {entry["name"] for entry in service.reference["methods"]})
    except Exception as exc:
        raise PluginError(f"{origin}: {located(exc)}") from exc
    return {name: PluginHandler(handler, origin) for name, handler in found.items()}


def _checked_handlers(built: object, methods: set[str]) -> Mapping[str, Any]:
    if not is_mapping(built):
        raise PluginError(f"`handlers` must return a mapping of handlers by method name, not {type(built).__name__}")
    unknown = sorted(map(str, built.keys() - methods))
    if unknown:
        near = near_misses(unknown, methods)
        raise PluginError(f"there are handlers for {', '.join(unknown)}, which are not methods of its reference{near}")
    for name, handler in built.items():
        if not callable(handler):
            raise PluginError(f"the handler of {name} must be a function, not {type(handler).__name__}")
    return built


async def _run_job(origin: str, service: str, job: Job) -> None:
    try:
        await awaited(job())
    except Exception as exc:
        raise PluginError(f"{origin} failed in a periodic job of the service {service!r}: {described(exc)}") from exc
