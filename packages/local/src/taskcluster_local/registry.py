"""Find the plugins of the local deployment by their entry points, load them and check them one by one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from typing import Any

import pluggy

from taskcluster.entry_points import disabled_plugins, distribution_of
from taskcluster.entry_points import entry_points as entry_points_of
from taskcluster.ownership import owners_of
from taskcluster.plugin_checks import check_hooks, described
from taskcluster.plugins import PluginError, PluginWarning

from . import plugins
from .api import Interface
from .endpoints import references
from .plugin_services import checked
from .plugins import PROJECT, LocalService

__all__ = ["LocalRegistry", "registry"]


def entry_points() -> Iterable[EntryPoint]:
    """Return the installed entry points of the group `taskcluster_local`."""
    return [point for points in entry_points_of(PROJECT).values() for point in points]


class _LocalPlugin:
    """An entry point, and the services that it adds once it is loaded."""

    def __init__(self, point: EntryPoint) -> None:
        self.name = point.name
        self.point = point
        self.services: list[LocalService] | None = None

    @property
    def distribution(self) -> str:
        return distribution_of(self.point)

    def __str__(self) -> str:
        return f"the plugin {self.name!r} of {self.distribution}"


class LocalRegistry:
    """The plugins of a set of entry points; each is loaded once.

    Args:
        find: Returns the entry points; called once, when they are first needed.
    """

    def __init__(self, find: Callable[[], Iterable[EntryPoint]] = entry_points) -> None:
        self._find = find
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(plugins)
        self._owners: dict[str, _LocalPlugin] = {}
        """The plugins that have been loaded, by the names of their services."""
        self._reported: set[str] = set()

    @functools.cached_property
    def _plugins(self) -> list[_LocalPlugin]:
        return [_LocalPlugin(point) for point in self._find()]

    def services(self) -> tuple[LocalService, ...]:
        """Return the services of all enabled plugins that work.

        A plugin that does not work is reported as a PluginWarning, once; so are several plugins of one name.
        """
        found = owners_of(self._plugins, disabled_plugins())
        for name, reason in found.conflicts.values():
            if name not in self._reported:
                # Set before the warning, which may be raised as an error.
                self._reported.add(name)
                text = f"the plugin {name!r} adds no service to the local deployment: it {reason}"
                warnings.warn(text, PluginWarning, stacklevel=3)
        for plugin in found.owners.values():
            if plugin.services is None:
                plugin.services = []
                try:
                    plugin.services = self._load(plugin)
                except Exception as exc:
                    why = f"{type(exc).__name__}: {exc}" if isinstance(exc, ImportError) else described(exc)
                    text = f"{plugin} adds no service to the local deployment: {why}"
                    warnings.warn(text, PluginWarning, stacklevel=3)
        return tuple(service for plugin in found.owners.values() for service in plugin.services or ())

    def _load(self, plugin: _LocalPlugin) -> list[LocalService]:
        module: Any = plugin.point.load()
        self._manager.register(module, plugin.name)
        try:
            check_hooks(self._manager, module, plugins)
            found: list[Any] = []
            for implementation in self._manager.hook.taskcluster_local_services.get_hookimpls():
                if implementation.plugin is module:
                    returned: Any = implementation.function()
                    found += returned if isinstance(returned, Iterable) else [returned]
            self._check(plugin, found)
        except Exception:
            self._manager.unregister(name=plugin.name)
            raise
        self._owners.update(dict.fromkeys((service.name for service in found), plugin))
        return [checked(str(plugin), service) for service in found]

    def _check(self, plugin: _LocalPlugin, found: list[Any]) -> None:
        """Raise an exception unless these are services that a plugin can add."""
        taken: dict[str, object] = {**dict.fromkeys(references(), "the deployment itself"), **self._owners}
        for service in found:
            if not isinstance(service, LocalService):
                raise PluginError(
                    f"taskcluster_local_services must return a list of LocalService, not of {type(service).__name__}"
                )
            try:
                # Raises here if the reference is invalid, so that only this plugin is skipped.
                name = service.name
                Interface({name: service.reference})
            except Exception as exc:
                raise PluginError(
                    "the reference of a service is not what taskcluster-codegen writes into reference.json: "
                    f"{described(exc)}"
                ) from exc
            if name in taken:
                raise PluginError(
                    f"a service {name!r} is already registered, by {taken[name]}: rename this one, or uninstall or "
                    "disable one plugin, for example by TASKCLUSTER_DISABLE_PLUGINS"
                )
            if not callable(service.handlers):
                raise PluginError(
                    f"the service {name!r} must have a function as `handlers`, not {type(service.handlers).__name__}"
                )
            taken[name] = plugin


registry = LocalRegistry()
"""The installed plugins."""
