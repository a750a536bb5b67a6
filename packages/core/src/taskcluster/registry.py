"""Plugins found, loaded and asked. Entry points are read once; a plugin loads when something of it is needed."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import pluggy

from . import plugins
from .callers import OURS, warn_caller
from .effects import RequestEvent
from .plugins import PROJECT, DownloadMethod, PluginError, PluginWarning, Service, UploadMethod
from .shapes import is_mapping
from .suggestions import did_you_mean

__all__ = ["Registry", "registry", "services"]

log = logging.getLogger("taskcluster")

_FIELDS = {"client": "class_name", "async_client": "class_name", "events": "events_class_name"}


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


class _Claim(NamedTuple):
    """A name that only one service can have: its own, or that of one of its classes."""

    field: str
    name: str
    stem: str

    def is_borne_by(self, plugin: str) -> bool:
        return self.stem == plain(plugin)


class _Offer(NamedTuple):
    """A service, and whose it is."""

    service: Service
    plugin: str
    """The name of the plugin's entry point."""
    source: str
    """The plugin's distribution."""

    def claims(self) -> Iterator[_Claim]:
        """Yield the names that the service claims, the one that matters most first."""
        name, class_name, events = self.service.name, self.service.class_name, self.service.events_class_name
        yield _Claim("name", plain(name), plain(name))
        yield _Claim("class_name", class_name, plain(class_name))
        if events is not None:
            yield _Claim("events_class_name", events, plain(events.removesuffix("Events")))


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
        self._outcomes: dict[str, str | None] = {}
        self._told: set[str] = set()
        self._offers: dict[str, list[_Offer]] = {}
        self._claims: dict[_Claim, list[_Offer]] = {}
        self._lost: dict[str, str] = {}
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
            PluginError: Its plugin is broken, disabled, or one of two that offer the same.
            LookupError: Nobody offers it.
        """
        # Found once, a class stays the same object, whatever a program patches in the meantime.
        known = self._classes.get((which, class_name))
        if known is None:
            with self._lock:
                service = self._service_of(which, class_name)
            # Without the lock: what is imported may be waiting, in another thread, for a class of ours.
            known = self._class_of(which, service)
            # What stands in a class's place for a while, such as a mock, is not kept.
            if isinstance(known, type):
                known = self._classes.setdefault((which, class_name), known)
        return known

    def services(self) -> dict[str, Service]:
        """Return every installed service by its name, all plugins loaded."""
        with self._lock:
            self._load_all()
            standing = [offer for name, offers in self._offers.items() if name not in self._lost for offer in offers]
            return {offer.service.name: offer.service for offer in standing}

    def service(self, name: str) -> Service:
        """Return a service by any spelling of its name: `purge-cache`, `purge_cache`, `purgeCache`, `purgecache`.

        Raises:
            ModuleNotFoundError, PluginError, LookupError: As `find`.
        """
        with self._lock:
            found = self._matching(lambda service: plain(service.name) == plain(name), plain(name), name)
            if found is None:
                raise LookupError(f"no installed service offers {name}{did_you_mean(name, [*self.services(), *OURS])}")
            return found

    def class_names(self, *which: str, importable: bool = False) -> list[str]:
        """Return the class names that `find` would find for any of `which`, sorted.

        Args:
            *which: As for `find`.
            importable: Whether to leave out classes that cannot be imported, with a warning; all are imported to see.
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
        """Return what tells all observing plugins of an attempt, or None where there is none."""
        return self._observer

    @functools.cached_property
    def _observer(self) -> Callable[[RequestEvent], None] | None:
        implementations = self._implementations("taskcluster_request")
        return functools.partial(_tell, tuple(implementations)) if implementations else None

    def credentials(self, root_url: str) -> tuple[Mapping[str, Any], str] | None:
        """Return the first credentials a plugin has for a deployment, with the plugin's name; None where none has."""
        # One by one, as pluggy would: the answer's source is wanted too.
        for implementation in self._implementations("taskcluster_credentials"):
            arguments = {"rootUrl": root_url}
            # Neither an error's text nor what is no credentials is shown: it may hold what was meant to stay secret.
            try:
                found: Any = implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as exc:
                failed = f"the plugin {implementation.plugin_name!r} failed to look for credentials"
                warn_caller(f"{failed}: {type(exc).__name__}", PluginWarning)
                continue
            if is_mapping(found):
                return found, implementation.plugin_name
            if found is not None:
                warn_caller(
                    f"the plugin {implementation.plugin_name!r} has credentials that are no mapping with clientId and "
                    f"accessToken, but {type(found).__name__}",
                    PluginWarning,
                )
        return None

    def transfer_methods(self) -> list[UploadMethod | DownloadMethod]:
        """Return the transfer methods of all plugins.

        Raises:
            PluginError: A plugin fails to say which it has.
        """
        found: list[UploadMethod | DownloadMethod] = []
        for implementation in self._implementations("taskcluster_transfer_methods"):
            try:
                found.extend(cast("Iterable[UploadMethod | DownloadMethod]", implementation.function()))
            except Exception as exc:
                raise PluginError(
                    f"the plugin {implementation.plugin_name!r} names no transfer methods: {exc}"
                ) from exc
        return found

    def _implementations(self, hook: str) -> list[Any]:
        """Return what implements a hook, the latest plugin's first, of the plugins that are not left out."""
        with self._lock:
            self._load_all()
            found: list[Any] = getattr(self._manager.hook, hook).get_hookimpls()
            return [
                each
                for each in reversed(found)
                if each.plugin_name not in self._points or self._load(each.plugin_name) is None
            ]

    def _service_of(self, which: str, class_name: str) -> Service:
        stem = class_name.removesuffix("Events") if which == "events" else class_name
        found = self._matching(lambda service: getattr(service, _FIELDS[which]) == class_name, plain(stem), class_name)
        if found is None:
            ours = [name.title().replace("-", "") for name in OURS]
            near = did_you_mean(class_name, [*self.class_names("client", "events"), *ours])
            raise LookupError(f"no installed service offers {class_name}{near}")
        return found

    def _class_of(self, which: str, service: Service) -> Any:
        try:
            return service.load(which)
        except Exception as exc:
            owner = next(offer for offers in self._offers.values() for offer in offers if offer.service is service)
            raise PluginError(
                f"{getattr(service, _FIELDS[which])} is not available: the plugin {owner.plugin!r} of {owner.source} "
                f"names {getattr(service, which)}, which cannot be imported: {type(exc).__name__}: {exc}"
            ) from exc

    def _matching(self, wanted: Callable[[Service], bool], stem: str, asked: str) -> Service | None:
        # The plugin of the service that is asked for by name comes first, and usually is the one.
        named = [name for name in self._points if plain(name) == stem]
        left_out = [name for name in named if self._load(name) is not None]
        found = None
        # One that is disabled makes room for another that offers the same.
        if len(left_out) < len(named) or set(left_out) <= set(_disabled()):
            found = self._standing(wanted)
            if found is None:
                self._load_all()
                found = self._standing(wanted)
                lost = [name for name in self._lost if any(wanted(offer.service) for offer in self._offers[name])]
                left_out = lost or left_out
        if found is None and left_out:
            self._told.add(left_out[0])
            raise PluginError(f"{asked} is not available: the plugin {left_out[0]!r} {self._load(left_out[0])}")
        ours = next((name for name in OURS if plain(name) == stem), None)
        if found is None and ours is not None and not named:
            raise ModuleNotFoundError(
                f"{asked} is not installed: pip install taskcluster-{ours}", name=f"taskcluster_{ours}"
            )
        return found

    def _standing(self, wanted: Callable[[Service], bool]) -> Service | None:
        out = {*self._lost, *_disabled()}
        offers = (offer for name, offers in self._offers.items() if name not in out for offer in offers)
        return next((offer.service for offer in offers if wanted(offer.service)), None)

    def _load_all(self) -> None:
        for name in self._points:
            self._load(name)
        # Only now all rivals are known.
        for name in self._points:
            reason = self._load(name)
            # Who asks for a plugin by name is told by an error; here nobody asked for this one.
            if reason is not None and name not in self._told and name not in _disabled():
                self._told.add(name)
                warn_caller(f"the plugin {name!r} {reason}", PluginWarning)

    def _load(self, name: str) -> str | None:
        """Load and register one plugin, once; return why it is left out, or None where it is in."""
        if name in _disabled():
            return "is disabled by TASKCLUSTER_DISABLE_PLUGINS"
        if name not in self._outcomes:
            # While it loads it counts as in: it may itself look something up.
            self._outcomes[name] = None
            self._outcomes[name] = self._register(name)
            # Whom a name belongs to must not depend on who is asked for first. One that the plugin bears itself can be
            # disputed only by a plugin that bears it too.
            claims = [claim for offer in self._offers.get(name, ()) for claim in offer.claims()]
            bears_all = all(claim.is_borne_by(name) for claim in claims)
            for other in self._points:
                if not bears_all or plain(other) == plain(name):
                    self._load(other)
        return self._outcomes[name] or self._lost.get(name)

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
            offered: list[_Offer] = []
            for implementation in self._manager.hook.taskcluster_services.get_hookimpls():
                if implementation.plugin_name == name:
                    services = cast("Iterable[Service]", implementation.function())
                    offered.extend(_Offer(service, name, source) for service in services)
            claims = [(claim, offer) for offer in offered for claim in offer.claims()]
        except Exception as exc:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            return f"of {source} failed to load: {type(exc).__name__}: {exc}"
        self._offers[name] = offered
        for claim, offer in claims:
            self._claims.setdefault(claim, []).append(offer)
        self._settle()
        return None

    def _settle(self) -> None:
        """Decide anew which plugins are in, by what all that are loaded offer, in whatever order they came."""
        self._lost = {
            name: reason
            for name, offers in self._offers.items()
            if (reason := self._reason_against(offers)) is not None
        }

    def _reason_against(self, offers: Iterable[_Offer]) -> str | None:
        """Return which name a plugin loses to another one, or None where it keeps all it claims.

        A name that two plugins claim belongs to the one whose entry point bears it, and where that says nothing, to
        neither.
        """
        for offer in offers:
            decided = [offer]
            for claim in offer.claims():
                for rival in self._claims[claim]:
                    if rival in decided:
                        continue
                    decided.append(rival)
                    if not claim.is_borne_by(offer.plugin) or claim.is_borne_by(rival.plugin):
                        return (
                            f"of {offer.source} offers {getattr(offer.service, claim.field)} ({offer.service.client}), "
                            f"and so does another ({rival.service.client}, the plugin {rival.plugin!r} of "
                            f"{rival.source}): uninstall one of them, or name one in TASKCLUSTER_DISABLE_PLUGINS"
                        )
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
