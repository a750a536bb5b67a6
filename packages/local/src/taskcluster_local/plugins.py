"""How a service of yours gets its server side in the local deployment. This is the page a plugin's author reads.

A plugin is a module (or object) that implements the function below and is named by an entry point in the group
`taskcluster_local`::

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

The reference is what `taskcluster-codegen` puts into the client's package as `reference.json`. From it the service
gets, without code of its own: routes, Hawk authentication, scope checks, validation of parameters and payloads with
defaults filled in, error bodies, the documents under `/references/` and `/schemas/`, exchanges that tests can listen
to, and the methods `ping`, `lbheartbeat`, `heartbeat` and `version` where it has them. A method without a handler
answers 400 (NotInLocalDeployment), once all of that has been checked.

Scopes that depend on parameters of the URL alone are checked before the handler is called. Where the expression names
anything else, the handler calls `call.authorize(name=value)` as soon as it knows the value. A handler refuses by
`raise ApiError("ResourceNotFound", "There is no such widget")`, with one of Taskcluster's error codes.

A plugin that fails is named in a `taskcluster.plugins.PluginWarning`, and the others are there without it.
`TASKCLUSTER_DISABLE_PLUGINS=widgets,vault` leaves plugins out, by the names of their entry points.
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
    "Job",
    "Listing",
    "LocalService",
    "Page",
    "PluginWarning",
    "Reply",
    "Result",
    "Row",
    "Store",
    "hookimpl",
    "taskcluster_local_services",
]

Call: TypeAlias = HandlerCall
"""The name that `HandlerCall` had before; plugins may keep it."""

Job: TypeAlias = Callable[[], Awaitable[None] | None]
"""What a service does from time to time; it may be a coroutine function."""

PROJECT = "taskcluster_local"
"""The pluggy project name, and the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as an implementation of the hook on this page."""


class Invoke(Protocol):
    """Calls a method of any service as this service, which may do everything.

    It meets every check that a request would meet but the signature, and raises ApiError as the caller would be told.
    """

    def __call__(
        self, service: str, method: str, params: dict[str, str], payload: Any = None, query: str = ""
    ) -> Awaitable[Result]:
        """Call it, with the parameters of the URL as they are and the query string encoded."""
        ...


@dataclass(frozen=True)
class Context:
    """What a service finds in the deployment that it is part of.

    Everything belongs to the deployment's event loop: a handler that blocks keeps all other services waiting.
    """

    service: str
    """The service's own name."""
    root_url: str
    store: Store
    """The deployment's SQLite database; tables are shared with everyone, so begin their names with the service's."""
    clock: Clock
    """Tells the present, which tests move; a handler has it as `call.now`."""
    events: Events
    """`events.publish(service, exchange, message, **words)` publishes a message, once the open transaction is kept.

    A message that does not match the schema of its exchange raises ValueError.
    """
    invoke: Invoke
    as_time_passes: Callable[[Job], None]
    """Has something done from time to time and whenever a test moves the clock, such as forgetting what has expired."""


@dataclass(frozen=True, eq=False)
class LocalService:
    """The server side of one service."""

    reference: Mapping[str, Any] = field(repr=False)
    """The API as data, as `taskcluster.plugins.Service.reference` returns it."""
    handlers: Callable[[Context], Mapping[str, Handler]]
    """Returns the code of each method by the method's name. Called once for each deployment, when it starts."""

    @property
    def name(self) -> str:
        """As in URLs, such as `widgets`."""
        return str(self.reference["serviceName"])


@hookspec
def taskcluster_local_services() -> Sequence[LocalService]:
    """Return the services that this plugin adds. Called once, before the first deployment starts."""
    raise NotImplementedError
