"""Plugins found, loaded and asked. Entry points are read once; a plugin loads when something of it is needed."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pluggy

from . import plugins
from .messages import RequestEvent
from .plugins import PROJECT, DownloadMethod, PluginError, PluginWarning, Service, UploadMethod
from .suggestions import did_you_mean

__all__ = ["Registry", "registry", "services"]

log = logging.getLogger("taskcluster")

_OURS = (
    "auth", "github", "hooks", "index", "notify", "object",
    "purge-cache", "queue", "secrets", "web-server", "worker-manager",
)  # fmt: skip


def plain(name: str) -> str:
    """Return a service's name in the form that all its spellings share: `purge_cache`, `PurgeCache` → `purgecache`."""
    return re.sub(r"[-_]", "", name).lower()


def entry_points() -> dict[str, list[importlib.metadata.EntryPoint]]:
    """Return the installed entry points of our group, by name; more than one to a name are rivals."""
    found: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for point in importlib.metadata.entry_points(group=PROJECT):
        rivals = found.setdefault(point.name, [])
        # A distribution seen twice (an editable install and the tree it points to) is no rival of itself.
        if not any(_distribution(point) == _distribution(known) and point.value == known.value for known in rivals):
            rivals.append(point)
    return found


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"


class Registry:
    """The plugins of one set of entry points.

    Args:
        find: Returns the entry points by name; called once, when first needed.
    """

    def __init__(self, find: Callable[[], Mapping[str, list[importlib.metadata.EntryPoint]]] = entry_points) -> None:
        self._find = find
        self._lock = threading.RLock()
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(plugins)
        self._services: dict[str, Service] = {}
        self._outcomes: dict[str, str | None] = {}
        self._classes: dict[tuple[str, str], Any] = {}

    @functools.cached_property
    def _points(self) -> Mapping[str, list[importlib.metadata.EntryPoint]]:
        return self._find()

    def find(self, which: str, class_name: str) -> Any:
        """Return a class by the name users write.

        Args:
            which: `client`, `async_client` or `events`.
            class_name: Such as `Queue` or `QueueEvents`.

        Raises:
            ModuleNotFoundError: It is a service of ours that is not installed.
            PluginError: Its plugin is broken, disabled, or one of two of the same name.
            LookupError: Nobody offers it.
        """
        # Found once, a class stays the same object, whatever a program patches in the meantime.
        known = self._classes.get((which, class_name))
        if known is None:
            with self._lock:
                service = self._service_of(which, class_name)
                known = self._classes.setdefault((which, class_name), service.load(which))
        return known

    def services(self) -> dict[str, Service]:
        """Return every installed service by its name, all plugins loaded."""
        with self._lock:
            self._load_all()
            return dict(self._services)

    def service(self, name: str) -> Service:
        """Return a service by any spelling of its name: `purge-cache`, `purge_cache`, `purgeCache`, `purgecache`.

        Raises:
            ModuleNotFoundError, PluginError, LookupError: As `find`.
        """
        with self._lock:
            return self._matching(lambda service: plain(service.name) == plain(name), plain(name), name)

    def class_names(self, *which: str) -> list[str]:
        """Return the class names that `find` would find for any of `which`, sorted."""
        fields = {"client": "class_name", "async_client": "class_name", "events": "events_class_name"}
        found = {getattr(service, fields[kind]) for service in self.services().values() for kind in which}
        return sorted(name for name in found if name)

    def observer(self) -> Callable[[RequestEvent], None] | None:
        """Return what tells all observing plugins of an attempt, or None where there is none."""
        return self._observer

    @functools.cached_property
    def _observer(self) -> Callable[[RequestEvent], None] | None:
        with self._lock:
            self._load_all()
            implementations = self._manager.hook.taskcluster_request.get_hookimpls()
        return functools.partial(_tell, tuple(implementations)) if implementations else None

    def credentials(self, root_url: str) -> tuple[Mapping[str, Any], str] | None:
        """Return the first credentials a plugin has for a deployment, with the plugin's name; None where none has."""
        with self._lock:
            self._load_all()
            # One by one, as pluggy would: the answer's source is wanted too.
            for implementation in reversed(self._manager.hook.taskcluster_credentials.get_hookimpls()):
                arguments = {"rootUrl": root_url}
                try:
                    found: Any = implementation.function(*(arguments[name] for name in implementation.argnames))
                except Exception as exc:
                    # Not its text, which may hold what was meant to stay secret.
                    failed = f"the plugin {implementation.plugin_name!r} failed to look for credentials"
                    warnings.warn(f"{failed}: {type(exc).__name__}", PluginWarning, stacklevel=2)
                    continue
                if found is not None:
                    return found, implementation.plugin_name
        return None

    def transfer_methods(self) -> list[UploadMethod | DownloadMethod]:
        """Return the transfer methods of all plugins.

        Raises:
            PluginError: A plugin fails to say which it has.
        """
        with self._lock:
            self._load_all()
            found: list[UploadMethod | DownloadMethod] = []
            for implementation in reversed(self._manager.hook.taskcluster_transfer_methods.get_hookimpls()):
                try:
                    found.extend(cast("Iterable[UploadMethod | DownloadMethod]", implementation.function()))
                except Exception as exc:
                    raise PluginError(
                        f"the plugin {implementation.plugin_name!r} names no transfer methods: {exc}"
                    ) from exc
        return found

    def _service_of(self, which: str, class_name: str) -> Service:
        # The plugin of the service that the class is named after comes first, and usually is the one.
        stem = class_name.removesuffix("Events") if which == "events" else class_name
        field = "events_class_name" if which == "events" else "class_name"
        return self._matching(lambda service: getattr(service, field) == class_name, plain(stem), class_name)

    def _matching(self, wanted: Callable[[Service], bool], stem: str, asked: str) -> Service:
        likely = next((name for name in self._points if plain(name) == stem), None)
        if likely is not None:
            reason = self._load(likely)
            if reason is not None:
                raise PluginError(f"{asked} is not available: the plugin {likely!r} {reason}")
        for service in self._services.values():
            if wanted(service):
                return service
        ours = next((name for name in _OURS if plain(name) == stem), None)
        if ours is not None:
            raise ModuleNotFoundError(
                f"{asked} is not installed: pip install taskcluster-{ours}", name=f"taskcluster_{ours}"
            )
        for service in self.services().values():
            if wanted(service):
                return service
        raise LookupError(f"no installed service offers {asked}{did_you_mean(asked, [*self._services, *_OURS])}")

    def _load_all(self) -> None:
        for name in self._points:
            is_news = name not in self._outcomes
            reason = self._load(name)
            # Who asks for a plugin by name is told by an error; here nobody asked for this one.
            if is_news and name in self._outcomes and reason is not None:
                warnings.warn(f"the plugin {name!r} {reason}", PluginWarning, stacklevel=3)

    def _load(self, name: str) -> str | None:
        """Load and register one plugin, once; return why it is left out, or None where it is in."""
        if name in _disabled():
            return "is disabled by TASKCLUSTER_DISABLE_PLUGINS"
        if name not in self._outcomes:
            self._outcomes[name] = self._register(name)
        return self._outcomes[name]

    def _register(self, name: str) -> str | None:
        rivals = self._points[name]
        if len(rivals) > 1:
            return f"comes from more than one distribution: {' and '.join(map(_distribution, rivals))}"
        source = _distribution(rivals[0])
        try:
            plugin = rivals[0].load()
            self._manager.register(plugin, name)
            # Here, and not once for all: an unknown hook is the fault of the plugin that has just come.
            self._manager.check_pending()
            offered: list[Service] = []
            for implementation in self._manager.hook.taskcluster_services.get_hookimpls():
                if implementation.plugin_name == name:
                    offered.extend(cast("Iterable[Service]", implementation.function()))
        except Exception as exc:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            return f"of {source} failed to load: {type(exc).__name__}: {exc}"
        for service in offered:
            for known_name, known in self._services.items():
                if plain(known_name) == plain(service.name) or known.class_name == service.class_name:
                    self._manager.unregister(name=name)
                    return (
                        f"of {source} offers {service.name} ({service.client}), which is there already: {known.client}"
                    )
        self._services.update((service.name, service) for service in offered)
        return None


def _disabled() -> list[str]:
    # Read each time: a program's tests may patch the environment for a while.
    return [name.strip() for name in os.environ.get("TASKCLUSTER_DISABLE_PLUGINS", "").split(",")]


def _tell(observers: tuple[Any, ...], event: RequestEvent) -> None:
    for observer in observers:
        try:
            observer.function(*(event for _ in observer.argnames))
        except Exception:
            log.warning("the plugin %r failed to observe a request", observer.plugin_name, exc_info=True)


registry = Registry()
"""The plugins of this environment."""


def services() -> dict[str, Service]:
    """Return every installed service by its name."""
    return registry.services()
