"""What a plugin can add to the client. This is the page a plugin's author reads.

A plugin is a module (or object) that implements some of the functions below and is named by an entry point in the
group `taskcluster`::

    # pyproject.toml
    [project.entry-points.taskcluster]
    widgets = "example_widgets.plugin"

    # example_widgets/plugin.py
    from taskcluster.plugins import Service, hookimpl

    @hookimpl
    def taskcluster_services():
        return [Service(
            name="widgets", api_version="v1",
            client="example_widgets.client:Widgets",
            async_client="example_widgets.aio:Widgets",
        )]

Name the entry point as its service is named in URLs (`widgets`, `widget-store`): naming a class (`taskcluster.Widgets`)
then loads that plugin and no other. Keep the module light and name classes by import strings, so that nothing else is
imported until someone uses it. The services that come with the client are plugins of exactly this kind.

A plugin that fails to load is named in a `PluginWarning` and left out. Two distributions with an entry point of one
name are an error as soon as that name is used. `TASKCLUSTER_DISABLE_PLUGINS=widgets,vault` leaves plugins out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, resources
from typing import Any

import pluggy

from .exceptions import TaskclusterFailure
from .messages import RequestEvent

__all__ = [
    "PluginError",
    "PluginWarning",
    "RequestEvent",
    "Service",
    "hookimpl",
    "taskcluster_credentials",
    "taskcluster_request",
    "taskcluster_services",
]

PROJECT = "taskcluster"
"""The pluggy project name, and the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as an implementation of one of the hooks on this page."""


class PluginError(TaskclusterFailure):
    """A plugin that is asked for by name cannot be used; the text names it and says why."""


class PluginWarning(UserWarning):
    """A plugin was left out; the text names it and says why."""


@dataclass(frozen=True)
class Service:
    """A service as data: where its classes are, by import strings of the form `module:attribute`."""

    name: str
    """As in URLs, such as `purge-cache`."""
    api_version: str
    """As in URLs, such as `v1`."""
    client: str
    """The sync client class; its name is what users find under `taskcluster`."""
    async_client: str
    """The async client class, of the same name, found under `taskcluster.aio`."""
    events: str | None = None
    """The events class, if the service has exchanges."""
    spec: str | None = None
    """The API's spec, `package:file.json`."""

    @property
    def class_name(self) -> str:
        """The name of both client classes."""
        return self.client.rpartition(":")[2]

    @property
    def events_class_name(self) -> str | None:
        """The name of the events class, if there is one."""
        return self.events.rpartition(":")[2] if self.events else None

    def load(self, which: str) -> Any:
        """Import and return what the field `which` (`client`, `async_client`, `events`) names."""
        module, _, attribute = getattr(self, which).partition(":")
        return getattr(import_module(module), attribute)

    def reference(self) -> dict[str, Any]:
        """Return the API's spec: methods, exchanges, scopes and JSON schemas.

        Raises:
            PluginError: The service's plugin names none.
        """
        if self.spec is None:
            raise PluginError(f"the service {self.name!r} comes without a spec")
        package, _, file = self.spec.partition(":")
        reference: dict[str, Any] = json.loads(resources.files(package).joinpath(file).read_text("utf-8"))
        return reference


@hookspec
def taskcluster_services() -> Sequence[Service]:
    """Return the services this plugin adds. Called once, when one of them is first looked for."""
    raise NotImplementedError


@hookspec(firstresult=True)
def taskcluster_credentials(rootUrl: str) -> Mapping[str, Any] | None:
    """Return credentials for a deployment, such as from a keyring or a vault, or None to pass.

    Called by `taskcluster.resolve_options` when credentials were neither given nor found in the environment, by the
    task's proxy, or in the configuration file. The first answer that is not None wins.

    Args:
        rootUrl: The deployment, without a trailing slash.

    Returns:
        A mapping with clientId, accessToken and, for temporary ones, certificate.
    """
    raise NotImplementedError


@hookspec
def taskcluster_request(event: RequestEvent) -> None:
    """Observe one attempt of a call, for metrics and tracing. Called after each, in the thread of the call.

    What this raises is logged and breaks nothing. In async code it runs on the event loop, so it must not block.
    """
    raise NotImplementedError
