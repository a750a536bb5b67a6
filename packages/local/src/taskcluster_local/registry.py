"""Find the plugins of the local deployment by their entry points, load them and check them one by one."""

from __future__ import annotations

import functools
import importlib.metadata
import warnings
from collections.abc import Callable, Iterable
from typing import Any, cast

import pluggy

from taskcluster.entry_points import disabled_plugins, distribution_of
from taskcluster.ownership import is_disabled
from taskcluster.plugins import PluginWarning

from . import plugins
from .api import Interface
from .endpoints import references
from .plugins import PROJECT, LocalService

__all__ = ["LocalRegistry", "registry"]


def entry_points() -> Iterable[importlib.metadata.EntryPoint]:
    """Return the installed entry points of the group `taskcluster_local`."""
    return importlib.metadata.entry_points(group=PROJECT)


class LocalRegistry:
    """The plugins of a set of entry points; each is loaded once.

    Args:
        find: Returns the entry points; called once, when they are first needed.
    """

    def __init__(self, find: Callable[[], Iterable[importlib.metadata.EntryPoint]] = entry_points) -> None:
        self._find = find
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(plugins)
        self._points: dict[tuple[str, str], importlib.metadata.EntryPoint] | None = None
        self._loaded: dict[tuple[str, str], list[LocalService]] = {}

    def services(self) -> tuple[LocalService, ...]:
        """Return the services of all enabled plugins that work.

        A plugin that does not work is reported as a PluginWarning, once.
        """
        if self._points is None:
            # Keyed by name and value, because an editable install may be found twice.
            self._points = {(point.name, point.value): point for point in self._find()}
        disabled = disabled_plugins()
        enabled = [
            (name, value)
            for (name, value), point in self._points.items()
            if not is_disabled(name, functools.partial(distribution_of, point), disabled)
        ]
        for key in enabled:
            if key not in self._loaded:
                # Set before the warning, which may be raised as an error.
                self._loaded[key] = []
                try:
                    self._loaded[key] = self._load(self._points[key])
                except Exception as exc:
                    warnings.warn(
                        f"the plugin {key[0]!r} of {distribution_of(self._points[key])} adds no service to the local "
                        f"deployment: {type(exc).__name__}: {exc}",
                        PluginWarning,
                        stacklevel=3,
                    )
        return tuple(service for key in enabled for service in self._loaded[key])

    def _load(self, point: importlib.metadata.EntryPoint) -> list[LocalService]:
        name = f"{point.name}={point.value}"
        plugin: Any = point.load()
        self._manager.register(plugin, name)
        try:
            # After each plugin, so that an unknown hook is reported for the plugin that has it.
            self._manager.check_pending()
            found: list[LocalService] = []
            for implementation in self._manager.hook.taskcluster_local_services.get_hookimpls():
                if implementation.plugin_name == name:
                    found.extend(cast("Iterable[LocalService]", implementation.function()))
            taken = {*references(), *(service.name for each in self._loaded.values() for service in each)}
            for service in found:
                if service.name in taken:
                    raise ValueError(f"a service {service.name!r} is already registered")
                taken.add(service.name)
                # Raises here if the reference is invalid, so that only this plugin is skipped.
                Interface({service.name: service.reference})
        except Exception:
            self._manager.unregister(name=name)
            raise
        return found


registry = LocalRegistry()
"""The installed plugins."""
