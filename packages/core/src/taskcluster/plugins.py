"""What a plugin can add to the client. This page is for authors of plugins.

A plugin is a module (or object) that implements some of the functions below and is registered by an entry point in the
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

An entry point named N provides the service N, with class names that are N without its hyphens: `widget-store` provides
`WidgetStore` and `WidgetStoreEvents`. Case, hyphens and underscores make no difference. A distribution with several
services has an entry point, and a plugin module, for each. So the names of the entry points alone decide who owns a
service, and `taskcluster.Widgets` loads that plugin and no other. If two distributions register one name, using it is
an error that names both; uninstall one, or disable one.

A plugin that fails to load, or provides a service of another name, is skipped with a `PluginWarning`; looking up its
service raises `PluginError`. `TASKCLUSTER_DISABLE_PLUGINS=widgets,vault` disables plugins by name, and
`example-widgets:widgets` disables only that of the distribution `example-widgets`.

Keep the module light and name classes by import strings, so that nothing else is imported until it is used. The
services that come with the client are plugins of exactly this kind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, overload

from .exceptions import TaskclusterFailure

if TYPE_CHECKING:
    from .request_event import RequestEvent as RequestEvent

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


def __dir__() -> list[str]:
    return __all__


PROJECT = "taskcluster"
"""The pluggy project name, and the entry-point group."""
HOOKIMPL = "_taskcluster_hookimpl"
"""The attribute of marked functions: whether they are marked without options."""

F = TypeVar("F", bound=Callable[..., Any])


@overload
def hookimpl(function: F) -> F: ...
@overload
def hookimpl(**options: Any) -> Callable[[F], F]: ...
def hookimpl(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Mark a function as an implementation of one of the hooks on this page.

    Args:
        function: The function, if the decorator is used without options.
        **options: As for `pluggy.HookimplMarker`, for example `tryfirst=True`.
    """
    if function is None:
        return functools.partial(hookimpl, **options)
    if options:
        import pluggy

        pluggy.HookimplMarker(PROJECT)(function, **options)
    setattr(function, HOOKIMPL, not options)
    return function


class PluginError(TaskclusterFailure):
    """A plugin that a program needs cannot be used; the message names it and says why."""


class PluginWarning(UserWarning):
    """A plugin is skipped; the message names it and says why."""


class Service(NamedTuple):
    """A service as data: where its classes are, by import strings of the form `module:attribute`."""

    name: str
    """As in URLs, for example `purge-cache`."""
    api_version: str
    """As in URLs, for example `v1`."""
    client: str
    """The sync client class, which programs import from `taskcluster` by its name."""
    async_client: str
    """The async client class, which programs import from `taskcluster.aio` by the name of the sync one."""
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
            PluginError: The service has no spec.
        """
        if self.spec is None:
            raise PluginError(f"the service {self.name!r} has no spec")
        import json
        from importlib import resources

        package, _, file = self.spec.partition(":")
        reference: dict[str, Any] = json.loads(resources.files(package).joinpath(file).read_text("utf-8"))
        return reference


class UploadOffer(NamedTuple):
    """The data to upload."""

    contentType: str
    contentLength: int
    """Bytes."""
    data: bytes | None
    """The data itself if it is small (up to 8 KiB)."""


class Location(NamedTuple):
    """The HTTP request that downloads or uploads the data of an object."""

    url: str
    """Sent byte for byte. It may grant access, so no log and no repr shows it."""
    method: str = "GET"
    headers: Mapping[str, str] = MappingProxyType({})
    """Sent unchanged; an upload without Content-Length gets one."""
    expires: str | None = None
    """When the URL expires, in ISO 8601. Later attempts request a new one from the object service."""
    hashes: Mapping[str, str] | None = None
    """Hexadecimal hashes of a download by algorithm, including sha256 or sha512; if None, nothing is verified."""

    def __repr__(self) -> str:
        return f"Location(method={self.method!r}, expires={self.expires!r}, hashes={self.hashes!r})"


class UploadMethod(Protocol):
    """A way to upload data to the object service, as negotiated by createUpload."""

    @property
    def name(self) -> str:
        """The method's name in the API, for example `putUrl`."""
        ...

    def propose(self, offer: UploadOffer) -> Any:
        """Return the value for this method in `proposedUploadMethods` of createUpload; None omits the method."""
        ...

    def destination(self, response: Any, /) -> Location | None:
        """Return the request for the value in `uploadMethod` of the response; None if the data is already stored."""
        ...


class DownloadMethod(Protocol):
    """A way to download data from the object service, as negotiated by startDownload."""

    @property
    def name(self) -> str:
        """The method's name in the API, for example `getUrl`."""
        ...

    def accept(self) -> Any:
        """Return the value for this method in `acceptDownloadMethods` of startDownload."""
        ...

    def source(self, response: Mapping[str, Any], /) -> Location:
        """Return the request for the response of startDownload."""
        ...


def taskcluster_services() -> Sequence[Service]:
    """Return the service that this plugin adds, in a list. Called once, when the service is first needed."""
    raise NotImplementedError


def taskcluster_credentials(rootUrl: str) -> Mapping[str, Any] | None:
    """Return credentials for a deployment, for example from a keyring or a vault, or None.

    Called by `taskcluster.resolve_options` when credentials were neither given nor found in the environment, by the
    task's proxy, or in the configuration file. The first result that is not None wins.

    Args:
        rootUrl: The deployment, without a trailing slash.

    Returns:
        A mapping with clientId, accessToken and, for temporary ones, certificate.
    """
    raise NotImplementedError


def taskcluster_request(event: RequestEvent) -> None:
    """Observe one attempt of a call, for metrics and tracing. Called after each, in the thread of the call.

    Exceptions are logged and do not affect the call. In async code this runs on the event loop, so it must not block.
    """
    raise NotImplementedError


def taskcluster_transfer_methods() -> Sequence[UploadMethod | DownloadMethod]:
    """Return more methods for uploads and downloads of objects, for deployments that support them.

    The client offers them together with its own (`dataInline`, `putUrl`; `getUrl`, `simple`), and the object service
    chooses one. A method only translates responses of the object service into HTTP requests. The client sends,
    retries, resumes and verifies, in sync and async code. A method replaces another one of the same name.
    """
    raise NotImplementedError


if not TYPE_CHECKING:

    def __getattr__(name):
        # A dataclass: the module dataclasses takes 6 ms to import.
        if name == "RequestEvent":
            from .request_event import RequestEvent

            return RequestEvent
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
