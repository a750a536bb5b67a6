"""The plugins of an environment: finds their classes and calls their hooks. Each is loaded when it is needed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from .callers import OURS, warn_caller
from .entry_points import disabled_plugins, distribution_of, entry_points
from .exceptions import TaskclusterAuthFailure
from .ownership import Ownership, normalized, owners_of, unowned
from .plugins import HOOKIMPL, PROJECT, PluginError, PluginWarning, Service
from .shapes import is_mapping
from .suggestions import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .hook_manager import HookManager
    from .plugins import DownloadMethod, RequestEvent, UploadMethod

__all__ = ["Registry", "registry", "services"]

_REQUIRED = ("clientId", "accessToken")
_FIELDS = {"client": "class_name", "async_client": "class_name", "events": "events_class_name"}


class _Plugin:
    """An entry point, and the outcome of loading it."""

    def __init__(self, name: str, point: EntryPoint) -> None:
        self.name = name
        self.point = point
        self.is_loading = False
        self.module: Any = None
        self.is_registered = False
        self.services: list[Service] = []
        self.failure: str | None = None
        """Why the plugin is skipped."""

    @property
    def distribution(self) -> str:
        return distribution_of(self.point)

    @property
    def is_generated(self) -> bool:
        """Whether it is that of a service that comes with the client, and so has no other hook."""
        return self.name in OURS and self.point.value == f"taskcluster_{self.name.replace('-', '_')}.plugin"


class Registry:
    """The plugins of one set of entry points.

    Args:
        find: Returns the entry points by name; called once, when first needed.
    """

    def __init__(self, find: Callable[[], Mapping[str, list[EntryPoint]]] = entry_points) -> None:
        self._find = find
        self._lock = threading.RLock()
        self._reported: set[str] = set()
        self._classes: dict[tuple[str, str], Any] = {}

    @functools.cached_property
    def _plugins(self) -> list[_Plugin]:
        return [_Plugin(name, point) for name, points in self._find().items() for point in points]

    @functools.cached_property
    def _manager(self) -> HookManager:
        # pluggy takes 8 ms to import, and plugins that only provide services do not need it.
        from .hook_manager import HookManager

        return HookManager()

    def find(self, which: str, class_name: str) -> Any:
        """Return a class by the name that programs use.

        Args:
            which: `client`, `async_client` or `events`.
            class_name: For example `Queue` or `QueueEvents`.

        Raises:
            ModuleNotFoundError: It is the class of a Taskcluster service that is not installed.
            PluginError: Its plugin is broken or disabled, or several plugins claim its name.
            LookupError: No plugin provides it.
        """
        # Once found, a class stays the same object, whatever a program patches in the meantime.
        known = self._classes.get((which, class_name))
        if known is None:
            with self._lock:
                plugin, service = self._providing(which, class_name)
            # Without the lock: a module that is imported may wait for another thread that looks up a class.
            known = self._load_class(which, plugin, service)
            # A mock that is patched in is not kept.
            if isinstance(known, type):
                known = self._classes.setdefault((which, class_name), known)
        return known

    def services(self) -> dict[str, Service]:
        """Return every installed service by its name. This loads all plugins."""
        with self._lock:
            return {service.name: service for plugin in self._load_all() for service in plugin.services}

    def service(self, name: str) -> Service:
        """Return a service by any spelling of its name: `purge-cache`, `purge_cache`, `purgeCache`, `purgecache`.

        Raises:
            ModuleNotFoundError, PluginError, LookupError: As for `find`.
        """
        with self._lock:
            plugin = self._owner(normalized(name), name)
            if plugin is None or not plugin.services:
                raise LookupError(f"no installed service offers {name}{did_you_mean(name, [*self.services(), *OURS])}")
            return plugin.services[0]

    def class_names(self, *which: str, importable: bool = False) -> list[str]:
        """Return the class names that `find` finds for any of `which`, sorted.

        Args:
            *which: As for `find`.
            importable: Whether to omit classes that cannot be imported, with a warning; this imports all of them.
        """
        found: set[str] = set()
        for service in self.services().values():
            for kind in which:
                name = getattr(service, _FIELDS[kind])
                if name and (not importable or self._is_importable(kind, name)):
                    found.add(name)
        return sorted(found)

    def _is_importable(self, which: str, class_name: str) -> bool:
        try:
            self.find(which, class_name)
        except PluginError as exc:
            warn_caller(str(exc), PluginWarning)
            return False
        return True

    def observer(self) -> Callable[[RequestEvent], None] | None:
        """Return a function that calls all plugins that observe requests, or None if there is none."""
        return self._observer

    @functools.cached_property
    def _observer(self) -> Callable[[RequestEvent], None] | None:
        implementations = self._implementations("taskcluster_request")
        if not implementations:
            return None
        from inspect import iscoroutinefunction

        for each in implementations:
            if iscoroutinefunction(each.function):
                problem = "cannot observe requests: its taskcluster_request must be a plain function, without async"
                warn_caller(f"the plugin {each.plugin_name!r} {problem}", PluginWarning)
        usable = tuple(each for each in implementations if not iscoroutinefunction(each.function))
        return functools.partial(_observe, usable) if usable else None

    def credentials(self, root_url: str) -> tuple[Mapping[str, Any], str] | None:
        """Return the first credentials that a plugin has for a deployment, and the plugin's name; None if none has."""
        # Called one by one, as pluggy would: the plugin's name is needed too.
        for implementation in self._implementations("taskcluster_credentials"):
            arguments = {"rootUrl": root_url}
            found: Any = None
            # No value of the wrong type is shown: it may be a secret.
            try:
                found = implementation.function(*(arguments[name] for name in implementation.argnames))
                # A mapping may read its values only now.
                problem = _problem_with_credentials(found)
            except Exception as exc:
                from .plugin_checks import described

                problem = f"failed to look for credentials: {described(exc)}"
            if problem is not None:
                warn_caller(f"the plugin {implementation.plugin_name!r} {problem}", PluginWarning)
            elif found is not None:
                return found, implementation.plugin_name
        return None

    def transfer_methods(self) -> list[UploadMethod | DownloadMethod]:
        """Return the transfer methods of all plugins.

        Raises:
            PluginError: A plugin's hook raised, or returned something else.
        """
        from .plugin_checks import located
        from .transfer_methods import checked

        found: list[UploadMethod | DownloadMethod] = []
        for implementation in self._implementations("taskcluster_transfer_methods"):
            given: list[Any] = []
            problem = ""
            try:
                given.extend(implementation.function())
            except Exception as exc:
                problem = located(exc)
            if problem:
                # Not chained, like all that a plugin raises: it may hold secrets.
                raise PluginError(
                    f"the plugin {implementation.plugin_name!r} failed to return a list of transfer methods: {problem}"
                )
            for method in given:
                found += checked(implementation.plugin_name, method)
        return found

    def _implementations(self, hook: str) -> list[Any]:
        """Return the implementations of a hook by plugins that are not skipped, the latest plugin's first."""
        with self._lock:
            loaded = self._load_all(hooks=True)
            skipped = {plugin.name for plugin in self._plugins} - {plugin.name for plugin in loaded}
            if "_manager" not in vars(self):
                # No plugin has more than services.
                return []
            found: list[Any] = getattr(self._manager.hook, hook).get_hookimpls()
            return [each for each in reversed(found) if each.plugin_name not in skipped]

    def _owners(self) -> Ownership[_Plugin]:
        return owners_of(self._plugins, disabled_plugins())

    def _owner(self, name: str, wanted: str) -> _Plugin | None:
        """Return the loaded plugin that owns a normalized name, or None if none is installed.

        Args:
            name: The normalized name.
            wanted: What the program looks up, for errors.

        Raises:
            ModuleNotFoundError, PluginError: As for `find`.
        """
        found = self._owners()
        plugin = found.owners.get(name)
        if plugin is not None:
            self._load(plugin)
            registered, failure = plugin.name, plugin.failure
        elif name in found.conflicts:
            registered, failure = found.conflicts[name]
        elif name in found.disabled:
            registered, failure = found.disabled[name], "is disabled by TASKCLUSTER_DISABLE_PLUGINS"
        else:
            ours = next((each for each in OURS if normalized(each) == name), None)
            if ours is None:
                return None
            from .installation import how_to_install

            how = how_to_install(f"taskcluster-{ours}")
            raise ModuleNotFoundError(f"{wanted} is not installed: {how}", name=f"taskcluster_{ours}")
        if failure is not None:
            self._reported.add(registered)
            raise PluginError(f"{wanted} is not available: the plugin {registered!r} {failure}")
        return plugin

    def _providing(self, which: str, class_name: str) -> tuple[_Plugin, Service]:
        stem = class_name.removesuffix("Events") if which == "events" else class_name
        plugin = self._owner(normalized(stem), class_name)
        if plugin is not None:
            for service in plugin.services:
                if getattr(service, _FIELDS[which]) == class_name:
                    return plugin, service
        ours = [name.title().replace("-", "") for name in OURS]
        near = did_you_mean(class_name, [*self.class_names("client", "events"), *ours])
        raise LookupError(f"no installed service offers {class_name}{near}")

    def _load_class(self, which: str, plugin: _Plugin, service: Service) -> Any:
        try:
            return service.load(which)
        except Exception as exc:
            raise PluginError(
                f"{getattr(service, _FIELDS[which])} is not available: the plugin {plugin.name!r} of "
                f"{plugin.distribution} names {getattr(service, which)}, which cannot be imported: "
                f"{type(exc).__name__}: {exc}"
            ) from exc

    def _load_all(self, *, hooks: bool = False) -> list[_Plugin]:
        """Load all plugins that are not disabled; return those that work and warn of the others, once each.

        Args:
            hooks: Whether to load only those that may have other hooks than their services, and register these hooks.
        """
        found = self._owners()
        for plugin in found.owners.values():
            if not (hooks and plugin.is_generated):
                self._load(plugin, hooks=hooks)
        skipped = {plugin.name: plugin.failure for plugin in found.owners.values() if plugin.failure is not None}
        for name, reason in {**skipped, **dict(found.conflicts.values())}.items():
            # One that a program looked up by name has raised instead.
            if name not in self._reported:
                self._reported.add(name)
                warn_caller(f"the plugin {name!r} {reason}", PluginWarning)
        return [plugin for plugin in found.owners.values() if plugin.failure is None]

    def _load(self, plugin: _Plugin, *, hooks: bool = False) -> None:
        """Load a plugin and its services, once; register its other hooks, if it has some, if they are needed."""
        try:
            if not plugin.is_loading:
                # Not after loading: a plugin that is being loaded may itself look something up.
                plugin.is_loading = True
                module: Any = plugin.point.load()
                if _provides_only_services(module):
                    plugin.services = _services_of(plugin.name, [module.taskcluster_services])
                else:
                    self._register(plugin, module)
                    implementations = self._manager.hook.taskcluster_services.get_hookimpls()
                    own: list[Any] = [each.function for each in implementations if each.plugin is module]
                    plugin.services = _services_of(plugin.name, own)
                plugin.module = module
            is_usable = plugin.module is not None and plugin.failure is None
            if hooks and is_usable and not plugin.is_registered and _has_more_hooks(plugin.module):
                self._register(plugin, plugin.module)
        except Exception as exc:
            if plugin.is_registered:
                self._manager.unregister(name=plugin.name)
            plugin.failure = f"of {plugin.distribution} failed to load: {type(exc).__name__}: {exc}"

    def _register(self, plugin: _Plugin, module: Any) -> None:
        self._manager.register(module, plugin.name)
        plugin.is_registered = True
        from . import plugins
        from .plugin_checks import check_hooks

        check_hooks(self._manager, module, plugins)


def _provides_only_services(plugin: Any) -> bool:
    """Return whether a plugin is a module with one plain hook, so that pluggy has nothing to check or to order."""
    if not isinstance(plugin, ModuleType):
        return False
    marked = {
        name: getattr(value, HOOKIMPL)
        for name, value in vars(plugin).items()
        if isinstance(value, FunctionType) and hasattr(value, HOOKIMPL)
    }
    return marked == {"taskcluster_services": True}


def _has_more_hooks(plugin: Any) -> bool:
    """Return whether pluggy may find more hooks in a plugin than its services, for example by pluggy's own marker."""
    if not isinstance(plugin, ModuleType):
        return True
    marks = (HOOKIMPL, f"{PROJECT}_impl")
    return any(
        name != "taskcluster_services" and callable(value) and any(hasattr(value, mark) for mark in marks)
        for name, value in vars(plugin).items()
    )


def _services_of(entry_point: str, hooks: Iterable[Callable[[], Iterable[Service]]]) -> list[Service]:
    """Return a plugin's services; raise PluginError if its entry point does not own their names."""
    found: list[Any] = []
    for hook in hooks:
        returned: Any = hook()
        found += returned if isinstance(returned, Iterable) else [returned]
    wrong = [type(each).__name__ for each in found if not isinstance(each, Service)]
    if wrong:
        raise TypeError(f"taskcluster_services must return a list of taskcluster.plugins.Service, not of {wrong[0]}")
    for service in found:
        events = [] if service.events_class_name is None else [service.events_class_name]
        stems = [service.name, service.class_name, *(name.removesuffix("Events") for name in events)]
        if unowned(entry_point, stems):
            names = " and ".join([service.class_name, *events])
            raise PluginError(
                f"it provides the service {service.name!r} with {names}, but an entry point provides only the service "
                f"of its own name, with class names like it: name the entry point {service.name!r}, and give each "
                "service its own"
            )
    if len(found) > 1:
        raise PluginError(f"it provides the service {found[0].name!r} {len(found)} times")
    return found


def _problem_with_credentials(found: object) -> str | None:
    """Return what is wrong with the result of a plugin's hook, or None."""
    if found is None:
        return None
    if not is_mapping(found):
        return f"must return a mapping with clientId and accessToken as credentials, not {type(found).__name__}"
    absent = [name for name in _REQUIRED if not found.get(name)]
    if absent:
        return f"has credentials without {' and '.join(absent)}"
    from .credentials import signer

    try:
        signer(found, None)
    except TaskclusterAuthFailure as exc:
        return f"has unusable credentials: {str(exc).removeprefix('credentials: ')}"
    return None


def _observe(observers: tuple[Any, ...], event: RequestEvent) -> None:
    for observer in observers:
        try:
            observer.function(*(event for _ in observer.argnames))
        except Exception:
            import logging

            log = logging.getLogger("taskcluster")
            log.warning("the plugin %r failed to observe a request", observer.plugin_name, exc_info=True)


registry = Registry()
"""The plugins of this environment."""


def services() -> dict[str, Service]:
    """Return every installed service by its name."""
    return registry.services()
