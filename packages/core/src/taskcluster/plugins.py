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
name are an error as soon as that name is used. A service, or a name of a class, that two plugins offer belongs to the
one whose entry point bears that name, and the other is left out with a `PluginWarning`; where neither does, both are
left out, and using it is an error that names both. `TASKCLUSTER_DISABLE_PLUGINS=widgets,vault` leaves plugins out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module, resources
from typing import Any, NamedTuple, Protocol

import pluggy

from .effects import RequestEvent
from .exceptions import TaskclusterFailure

__all__ = [
    "DownloadMethod",
    "Location",
    "PluginError",
    "PluginWarning",
    "RequestEvent",
    "Service",
    "UploadMethod",
    "UploadOffer",
    "hookimpl",
    "taskcluster_credentials",
    "taskcluster_request",
    "taskcluster_services",
    "taskcluster_transfer_methods",
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


class UploadOffer(NamedTuple):
    """What an upload method is asked to carry."""

    contentType: str
    contentLength: int
    """Bytes."""
    data: bytes | None
    """The bytes themselves where they are few (up to 8 KiB)."""


@dataclass(frozen=True)
class Location:
    """Where the bytes of an object are fetched from or sent to, in one HTTP request."""

    url: str = field(repr=False)
    """Sent byte for byte; whoever has it may have access, so no log and no repr shows it."""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent exactly so; an upload's Content-Length is added where it is missing."""
    expires: str | None = None
    """When the URL ceases to hold, in ISO 8601; for attempts after that, the object service is asked for another."""
    hashes: Mapping[str, str] | None = None
    """Hexadecimal digests of a download's data by algorithm, sha256 or sha512 among them; None where none are stated,
    and then nothing is verified."""


class UploadMethod(Protocol):
    """A way to bring data to the object service, as negotiated by createUpload."""

    @property
    def name(self) -> str:
        """The method's name in the API, such as `putUrl`."""
        ...

    def propose(self, offer: UploadOffer) -> Any:
        """Return what createUpload is to be told of the method in `proposedUploadMethods`; None to leave it out."""
        ...

    def destination(self, answer: Any) -> Location | None:
        """Return where the data goes by the object service's answer under `uploadMethod`; None if it is stored."""
        ...


class DownloadMethod(Protocol):
    """A way to get data from the object service, as negotiated by startDownload."""

    @property
    def name(self) -> str:
        """The method's name in the API, such as `getUrl`."""
        ...

    def accept(self) -> Any:
        """Return what startDownload is to be told of the method in `acceptDownloadMethods`."""
        ...

    def source(self, answer: Mapping[str, Any]) -> Location:
        """Return where the data comes from by the object service's answer."""
        ...


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


@hookspec
def taskcluster_transfer_methods() -> Sequence[UploadMethod | DownloadMethod]:
    """Return further methods for uploads and downloads of objects, for deployments that know them.

    They are offered beside the client's own (`dataInline`, `putUrl`; `getUrl`, `simple`), and the object service
    chooses. A method only translates between the object service's answers and HTTP requests: the sending, retrying,
    resuming and verifying is the client's, sync and async alike. One that is named as another replaces it.
    """
    raise NotImplementedError
