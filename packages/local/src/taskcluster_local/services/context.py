"""What each of the deployment's own services is built from: the context that plugins get, and state shared by services.

A service that uses the state of another finds it in `SharedState`; all other state belongs to one service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..api import Handler, Interface, InvokeBy
from ..authentication import Client
from ..plugins import Context
from ..storage import Storage
from .auth.audit import Audit
from .auth.state import Accounts
from .github.state import Github
from .notify.outbox import Outbox
from .notify.state import Notifier
from .object.state import Objects
from .queue.arrivals import Arrivals
from .queue.state import Queue

__all__ = ["Build", "ServiceContext", "SharedState"]


@dataclass(frozen=True)
class SharedState:
    """The state that several services, or the server, use. It exists before any service is built."""

    interface: Interface
    storage: Storage
    audit: Audit
    """The audit history of all services."""
    accounts: Accounts
    github: Github
    outbox: Outbox
    """The notifications sent so far; a local deployment does not deliver them."""
    notifier: Notifier
    objects: Objects
    arrivals: Arrivals
    """The workers that wait for tasks."""
    queue: Queue


@dataclass(frozen=True)
class ServiceContext(Context):
    """The context for one of the deployment's own services."""

    shared: SharedState
    client: Client
    """The client that the service acts as and issues credentials with."""
    invoke_by: InvokeBy
    """Calls a method of any service as a given identity."""
    in_background: Callable[[Callable[[], Awaitable[None]]], None]
    """Like `as_time_passes`, but the other jobs do not wait for this one."""
    github_webhook_secret: str | None


Build: TypeAlias = Callable[[ServiceContext], Mapping[str, Handler]]
"""Builds a service: registers its periodic jobs and its reactions to messages, and returns its handlers by method.

Plugins have the same function in `LocalService.handlers`.
"""
