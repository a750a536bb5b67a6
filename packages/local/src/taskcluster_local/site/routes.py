"""The table of pages, and the entries of the sidebar."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from urllib.parse import unquote

from .page import Route
from .views import (
    access,
    account,
    actions,
    artifacts,
    caches,
    create,
    groups,
    hooks,
    index,
    messages,
    notifications,
    overview,
    secrets,
    services,
    tasks,
    worker_pools,
)

__all__ = ["ROUTES", "SIDEBAR", "find"]

_VIEWS = (
    overview,
    index,
    create,
    actions,
    artifacts,
    groups,
    tasks,
    worker_pools,
    caches,
    notifications,
    account,
    access,
    hooks,
    secrets,
    messages,
    services,
)
"""The modules with pages. The first route that matches counts."""

ROUTES: Sequence[Route] = tuple(chain.from_iterable(view.ROUTES for view in _VIEWS))

SIDEBAR: Sequence[tuple[str, str]] = (
    ("Overview", "/"),
    ("Create task", "/tasks/create"),
    ("Task", "/tasks"),
    ("Index", "/tasks/index"),
    ("Task groups", "/tasks/groups"),
    ("Clients", "/auth/clients"),
    ("Roles", "/auth/roles"),
    ("Scopes", "/auth/scopes"),
    ("Worker pools and queues", "/worker-manager"),
    ("Purge caches", "/purge-caches"),
    ("Hooks", "/hooks"),
    ("Secrets", "/secrets"),
    ("Live events", "/pulse-messages"),
    ("Notifications", "/notify"),
    ("Services", "/services"),
)
"""Label and path, in the order in which they are shown. Only pages that exist."""

_PATTERNS = [(route, route.pattern) for route in ROUTES]


def find(verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a percent-encoded path and its decoded parameters, or None."""
    for route, pattern in _PATTERNS:
        match = pattern.fullmatch(path) if route.verb == verb else None
        if match is not None:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None
