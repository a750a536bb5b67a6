"""How to add the server side of a service to the local deployment. This is the page for plugin authors.

A plugin is a module (or object) that implements the function below. An entry point in the group `taskcluster_local`
names it::

    # pyproject.toml
    [project.entry-points.taskcluster_local]
    widgets = "example_widgets.local"

    # example_widgets/local.py
    from taskcluster_local.plugins import Context, Handler, HandlerCall, LocalService, Result, hookimpl

    def handlers(context: Context) -> dict[str, Handler]:
        async def get(call: HandlerCall) -> Result:
            return {"name": call.params["name"]}

        return {"get": get}

    @hookimpl
    def taskcluster_local_services() -> list[LocalService]:
        return [LocalService(reference=…, handlers=handlers)]

The reference is the file `reference.json` that `taskcluster-codegen` writes into the client's package. The deployment
provides, from the reference alone: routes, Hawk authentication, scope checks, validation of parameters and payloads
with defaults, error bodies, the documents under `/references/` and `/schemas/`, exchanges that tests can listen to, web
pages with forms to call the methods (`/services/<name>`), and the methods `ping`, `lbheartbeat`, `heartbeat` and
`version` if the reference has them. A method without a handler returns 400 (NotInLocalDeployment) after all these
checks.

If the required scopes depend on URL parameters only, they are checked before the handler is called. Otherwise the
handler calls `call.authorize(name=value)` as soon as it knows the other values. To return an error, a handler raises
`ApiError("ResourceNotFound", "There is no such widget")` with one of Taskcluster's error codes.

A plugin that fails to load or to build its handlers is reported as a `taskcluster.plugins.PluginWarning`, and so are
two plugins of one name; the others work without it. A handler that fails, or returns a wrong type, responds with 500,
and the message names the plugin; the log of `taskcluster.local` has the traceback.
`TASKCLUSTER_DISABLE_PLUGINS=widgets,vault` disables plugins by the names of their entry points.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import pluggy

from taskcluster.plugins import PluginWarning

from .api import Handler, HandlerCall, Reply, Result
from .errors import ApiError
from .events import Events
from .pages import Listing, Page
from .store import Row, Store
from .timestamps import Clock

__all__ = [
    "ApiError",
    "Call",
    "Context",
    "Handler",
    "HandlerCall",
    "Invoke",
    "InvokeMethod",
    "Job",
    "Listing",
    "LocalService",
    "Page",
    "PlainHandler",
    "PluginWarning",
    "Reply",
    "Result",
    "Row",
    "Store",
    "hookimpl",
    "taskcluster_local_services",
]

Call: TypeAlias = HandlerCall
"""The earlier name of `HandlerCall`, which plugins may keep using."""

PlainHandler: TypeAlias = Callable[[HandlerCall], Result]
"""A handler that awaits nothing, and is not a coroutine function."""

Job: TypeAlias = Callable[[], Awaitable[None] | None]
"""A periodic job of a service; it may be a coroutine function."""

PROJECT = "taskcluster_local"
"""The pluggy project name and entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as an implementation of the hook on this page."""


class InvokeMethod(Protocol):
    """Calls a method of any service as this service, which has the scope `*`.

    Every check of a request applies except the signature. It raises ApiError where a request would get an error.
    """

    def __call__(
        self, service: str, method: str, params: dict[str, str], payload: Any = None, query: str = ""
    ) -> Awaitable[Result]:
        """Call the method, with URL parameters that are not percent-encoded and a query string that is."""
        ...


Invoke: TypeAlias = InvokeMethod
"""The earlier name of `InvokeMethod`, which plugins may keep using."""


@dataclass(frozen=True)
class Context:
    """What a service gets from the deployment.

    Everything runs on the deployment's event loop: a handler that blocks keeps all other services waiting.
    """

    service: str
    """The service's name."""
    root_url: str
    store: Store
    """The deployment's SQLite database. All services share it, so prefix names of tables with the service's name."""
    clock: Clock
    """Returns the deployment's time, which tests can move forward; in a handler it is `call.now`."""
    events: Events
    """`events.publish(service, exchange, message, **words)` publishes a message once the open transaction is committed.

    A message that does not match the schema of its exchange raises ValueError.
    """
    invoke: InvokeMethod
    as_time_passes: Callable[[Job], None]
    """Registers a job to run about every second and whenever a test moves the clock, such as deleting expired rows."""


@dataclass(frozen=True, eq=False)
class LocalService:
    """The server side of one service."""

    reference: Mapping[str, Any] = field(repr=False)
    """The API reference, as `taskcluster.plugins.Service.reference` returns it."""
    handlers: Callable[[Context], Mapping[str, Handler | PlainHandler]]
    """Returns the handlers by method name. Called once for each deployment, when it starts."""

    @property
    def name(self) -> str:
        """The service's name in URLs, such as `widgets`."""
        return str(self.reference["serviceName"])


@hookspec
def taskcluster_local_services() -> Sequence[LocalService]:
    """Return the services that this plugin adds. Called once, before the first deployment starts."""
    raise NotImplementedError
