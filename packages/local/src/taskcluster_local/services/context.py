"""What the deployment hands to each of its own services when it starts: what plugins get, and state shared by services.

A service that needs the state of another finds it in `SharedState`; all other state belongs to one service only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..api import Handler, Interface, Invoke
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
    """State of a deployment that several of its services, or its server, use. It exists before any service is built."""

    interface: Interface
    storage: Storage
    audit: Audit
    """Who did what, in all services."""
    accounts: Accounts
    github: Github
    outbox: Outbox
    """The notifications sent so far; the deployment does not send them anywhere else."""
    notifier: Notifier
    objects: Objects
    arrivals: Arrivals
    """The workers waiting for tasks."""
    queue: Queue


@dataclass(frozen=True)
class ServiceContext(Context):
    """What the deployment hands to one of its own services."""

    shared: SharedState
    client: Client
    """The client that the service acts as and issues credentials with."""
    invoke_by: Invoke
    """Calls a method of any service as a given identity."""
    in_background: Callable[[Callable[[], Awaitable[None]]], None]
    """Like `as_time_passes`, for a job that may take long: the other jobs do not wait for it."""
    github_webhook_secret: str | None


Build: TypeAlias = Callable[[ServiceContext], Mapping[str, Handler]]
"""Builds a service: registers its periodic jobs and reactions to messages, and returns its handlers by method.

Plugins have the same function in `LocalService.handlers`.
"""
