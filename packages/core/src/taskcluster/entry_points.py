"""The installed entry points that plugins register."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["disabled_plugins", "distribution_of", "entry_points"]


def entry_points(group: str = "taskcluster") -> dict[str, list[EntryPoint]]:
    """Return the entry points of a group by name; several for a name if several distributions register it."""
    # Importing it takes longer than everything else that a client needs.
    import importlib.metadata

    found: dict[str, list[EntryPoint]] = {}
    for point in importlib.metadata.entry_points(group=group):
        known = found.setdefault(point.name, [])
        # A distribution may be found twice: an editable install and the tree it points to.
        if not any(point.value == each.value and distribution_of(point) == distribution_of(each) for each in known):
            known.append(point)
    return found


def distribution_of(point: EntryPoint) -> str:
    """Return the name of the distribution that registers an entry point. This reads its metadata."""
    return point.dist.name if point.dist is not None else "an unknown distribution"


def disabled_plugins() -> frozenset[str]:
    """Return what TASKCLUSTER_DISABLE_PLUGINS lists; read each time, because tests patch the environment."""
    return frozenset(name.strip() for name in os.environ.get("TASKCLUSTER_DISABLE_PLUGINS", "").split(","))
