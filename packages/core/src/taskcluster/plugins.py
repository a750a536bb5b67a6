"""What a plugin can add to the client. This is the page a plugin's author reads.

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
    from .effects import RequestEvent as RequestEvent

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
    """A plugin that is asked for by name cannot be used; the text names it and says why."""


class PluginWarning(UserWarning):
    """A plugin was left out; the text names it and says why."""


class Service(NamedTuple):
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
        import json
        from importlib import resources

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


class Location(NamedTuple):
    """Where the bytes of an object are fetched from or sent to, in one HTTP request."""

    url: str
    """Sent byte for byte; whoever has it may have access, so no log and no repr shows it."""
    method: str = "GET"
    headers: Mapping[str, str] = MappingProxyType({})
    """Sent exactly so; an upload's Content-Length is added where it is missing."""
    expires: str | None = None
    """When the URL ceases to hold, in ISO 8601; for attempts after that, the object service is asked for another."""
    hashes: Mapping[str, str] | None = None
    """Hexadecimal digests of a download's data by algorithm, sha256 or sha512 among them; None where none are stated,
    and then nothing is verified."""

    def __repr__(self) -> str:
        return f"Location(method={self.method!r}, expires={self.expires!r}, hashes={self.hashes!r})"


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


def taskcluster_services() -> Sequence[Service]:
    """Return the services this plugin adds. Called once, when one of them is first looked for."""
    raise NotImplementedError


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


def taskcluster_request(event: RequestEvent) -> None:
    """Observe one attempt of a call, for metrics and tracing. Called after each, in the thread of the call.

    What this raises is logged and breaks nothing. In async code it runs on the event loop, so it must not block.
    """
    raise NotImplementedError


def taskcluster_transfer_methods() -> Sequence[UploadMethod | DownloadMethod]:
    """Return further methods for uploads and downloads of objects, for deployments that know them.

    They are offered beside the client's own (`dataInline`, `putUrl`; `getUrl`, `simple`), and the object service
    chooses. A method only translates between the object service's answers and HTTP requests: the sending, retrying,
    resuming and verifying is the client's, sync and async alike. One that is named as another replaces it.
    """
    raise NotImplementedError


if not TYPE_CHECKING:

    def __getattr__(name):
        # It is a dataclass, whose module takes as long to import as everything else here.
        if name == "RequestEvent":
            from .effects import RequestEvent

            return RequestEvent
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
