"""Plugins, found among entry points that the tests make up."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from taskcluster import registry as module
from taskcluster.client import BaseClient, BaseEvents
from taskcluster.effects import RequestEvent
from taskcluster.plugins import PluginError, PluginWarning, Service, hookimpl
from taskcluster.registry import Registry, plain

EVENT = RequestEvent("queue", "task", 1, 200, 0.1, 0, 2, None)


@dataclass
class Point:
    """An entry point of a distribution that is not installed."""

    name: str
    load: Callable[[], Any]
    distribution: str = "example-plugin"

    @property
    def value(self) -> str:
        return f"{self.name}.plugin"

    @property
    def dist(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.distribution)


def plugin(**hooks: Callable[..., Any]) -> ModuleType:
    """Return a module that implements the hooks."""
    made = ModuleType("example_plugin")
    for name, function in hooks.items():
        setattr(made, name, hookimpl(function))
    return made


def offering(*services: Service) -> ModuleType:
    return plugin(taskcluster_services=lambda: list(services))


def service(name: str, class_name: str, **fields: Any) -> Service:
    return Service(name, "v1", f"fake_{name}:{class_name}", f"fake_{name}.aio:{class_name}", **fields)


WIDGETS = service("widget-store", "WidgetStore", events="fake_widget-store:WidgetStoreEvents")


STORE = Point("widget-store", lambda: offering(WIDGETS))


def registry_of(*points: Point) -> Registry:
    by_name: dict[str, list[Any]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    return Registry(lambda: by_name)


@pytest.fixture
def classes(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """The modules that WIDGETS names, importable."""
    sync, aio = ModuleType("fake_widget-store"), ModuleType("fake_widget-store.aio")
    found = {
        "client": type("WidgetStore", (BaseClient,), {}),
        "async_client": type("WidgetStore", (BaseClient,), {}),
        "events": type("WidgetStoreEvents", (BaseEvents,), {}),
    }
    sync.WidgetStore, sync.WidgetStoreEvents = found["client"], found["events"]  # type: ignore[attr-defined]
    aio.WidgetStore = found["async_client"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_widget-store", sync)
    monkeypatch.setitem(sys.modules, "fake_widget-store.aio", aio)
    return found


def never(what: str) -> Callable[[], Any]:
    def load() -> Any:
        raise AssertionError(f"{what} is loaded without need")

    return load


@pytest.mark.parametrize("which", ["client", "async_client", "events"])
def test_a_class_is_found_by_its_name_and_only_its_plugin_is_loaded(which: str, classes: Mapping[str, Any]) -> None:
    registry = registry_of(Point("other", never("other")), Point("widget-store", lambda: offering(WIDGETS)))
    name = "WidgetStoreEvents" if which == "events" else "WidgetStore"
    assert registry.find(which, name) is classes[which]


def test_a_class_found_once_stays_the_same_whatever_is_patched(
    classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = registry_of(Point("widget-store", lambda: offering(WIDGETS)))
    first = registry.find("client", "WidgetStore")
    monkeypatch.setattr(sys.modules["fake_widget-store"], "WidgetStore", object())
    assert registry.find("client", "WidgetStore") is first


def test_a_class_is_found_by_whatever_plugin_offers_it(classes: Mapping[str, Any]) -> None:
    registry = registry_of(Point("a-bundle", lambda: offering(service("x", "X"), WIDGETS)))
    assert registry.find("client", "WidgetStore") is classes["client"]


def test_no_plugin_is_loaded_twice(classes: Mapping[str, Any]) -> None:
    loaded: list[int] = []

    def load() -> ModuleType:
        loaded.append(1)
        return offering(WIDGETS)

    registry = registry_of(Point("widget-store", load))
    registry.find("client", "WidgetStore")
    registry.find("events", "WidgetStoreEvents")
    registry.services()
    assert loaded == [1]


def test_a_plugin_may_look_up_any_service_while_it_loads(classes: Mapping[str, Any]) -> None:
    def load() -> ModuleType:
        assert set(registry.services()) == {"widget-store"}
        return offering(service("gadgets", "Gadgets"))

    registry = registry_of(Point("gadgets", load), STORE)
    assert set(registry.services()) == {"gadgets", "widget-store"}


@pytest.mark.parametrize("spelling", ["widget-store", "widget_store", "widgetStore", "widgetstore", "WidgetStore"])
def test_a_service_is_found_by_any_spelling_of_its_name(spelling: str) -> None:
    registry = registry_of(Point("widget-store", lambda: offering(WIDGETS)))
    assert registry.service(spelling) is WIDGETS
    assert plain(spelling) == "widgetstore"


def test_services_and_class_names_are_those_of_all_plugins() -> None:
    registry = registry_of(
        Point("widget-store", lambda: offering(WIDGETS)),
        Point("gadgets", lambda: offering(service("gadgets", "Gadgets"))),
    )
    assert set(registry.services()) == {"widget-store", "gadgets"}
    assert registry.class_names("client") == ["Gadgets", "WidgetStore"]
    assert registry.class_names("client", "events") == ["Gadgets", "WidgetStore", "WidgetStoreEvents"]


@pytest.mark.parametrize(
    ("name", "distribution"), [("Auth", "auth"), ("PurgeCache", "purge-cache"), ("WorkerManager", "worker-manager")]
)
def test_a_service_of_ours_that_is_not_installed_says_what_to_install(name: str, distribution: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"pip install taskcluster-{distribution}$") as caught:
        registry_of().find("client", name)
    assert caught.value.name == f"taskcluster_{distribution}"
    with pytest.raises(ModuleNotFoundError, match=f"pip install taskcluster-{distribution}$"):
        registry_of().service(distribution)


def test_an_events_class_of_ours_that_is_not_installed_says_what_to_install() -> None:
    with pytest.raises(ModuleNotFoundError, match="QueueEvents is not installed: pip install taskcluster-queue"):
        registry_of().find("events", "QueueEvents")


def test_what_nobody_offers_is_told_with_the_nearest_service() -> None:
    registry = registry_of(Point("widget-store", lambda: offering(WIDGETS)))
    with pytest.raises(LookupError, match="no installed service offers WidgetStor; did you mean 'WidgetStore'"):
        registry.find("client", "WidgetStor")
    with pytest.raises(
        LookupError, match="no installed service offers WidgetStoreEvent; did you mean 'WidgetStoreEvents'"
    ):
        registry.find("client", "WidgetStoreEvent")
    with pytest.raises(LookupError, match="no installed service offers widgetstor; did you mean 'widget-store'"):
        registry.service("widgetstor")


def broken() -> Any:
    raise ImportError("no module named gears")


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (broken, "failed to load: ImportError: no module named gears"),
        (lambda: plugin(taskcluster_services=broken), "failed to load: ImportError: no module named gears"),
        (lambda: plugin(taskcluster_sevices=lambda: None), "failed to load: PluginValidationError"),
        (lambda: plugin(taskcluster_credentials=lambda nonsense: None), "failed to load: PluginValidationError"),
        (lambda: plugin(taskcluster_services=lambda: 5), "failed to load: TypeError"),
        (lambda: plugin(taskcluster_services=lambda: [5]), "failed to load: AttributeError"),
    ],
)
def test_a_broken_plugin_is_named_in_a_warning_and_the_others_work(
    load: Callable[[], Any], why: str, classes: Mapping[str, Any]
) -> None:
    registry = registry_of(Point("broken", load), Point("widget-store", lambda: offering(WIDGETS)))
    with pytest.warns(PluginWarning, match=f"the plugin 'broken' of example-plugin {why}"):
        assert set(registry.services()) == {"widget-store"}
    assert registry.find("client", "WidgetStore") is classes["client"]
    with pytest.raises(PluginError, match=f"Broken is not available: the plugin 'broken' of example-plugin {why}"):
        registry.find("client", "Broken")


def test_two_plugins_of_one_name_are_an_error_that_names_both() -> None:
    registry = registry_of(
        Point("widget-store", lambda: offering(WIDGETS), "first"),
        Point("widget-store", lambda: offering(WIDGETS), "second"),
    )
    told = "the plugin 'widget-store' comes from more than one distribution: first and second"
    with pytest.raises(PluginError, match=told):
        registry.find("client", "WidgetStore")


@pytest.mark.parametrize("order", [0, 1])
def test_two_spellings_of_one_name_conflict(order: int) -> None:
    hyphen = Point("widget-store", lambda: offering(WIDGETS), "first")
    underscore = Point("widget_store", lambda: offering(WIDGETS), "second")
    registry = in_both_orders(hyphen, underscore)[order]
    for ask in (lambda: registry.find("client", "WidgetStore"), lambda: registry.service("widgetStore")):
        with pytest.raises(PluginError, match=r"first.* second|second.* first") as caught:
            ask()
        assert "uninstall one" in str(caught.value)
        assert "TASKCLUSTER_DISABLE_PLUGINS" in str(caught.value)


RIVALS = [
    service("widgetStore", "Other"),
    service("other", "WidgetStore"),
    service("other", "Other", events="fake_other:WidgetStoreEvents"),
]


def in_both_orders(*points: Point) -> list[Registry]:
    return [registry_of(*points), registry_of(*reversed(points))]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("rival", RIVALS)
def test_a_name_that_two_plugins_claim_belongs_to_the_one_whose_entry_point_bears_it(
    rival: Service, order: int, classes: Mapping[str, Any]
) -> None:
    registry = in_both_orders(STORE, Point("rival", lambda: offering(rival), "late"))[order]
    told = (
        r"the plugin 'rival' of late offers .* and so does .*fake_widget.*'widget-store' of example-plugin\): uninstall"
    )
    with pytest.warns(PluginWarning, match=told) as caught:
        assert registry.services() == {"widget-store": WIDGETS}
    assert len(caught) == 1
    for which, name in (("client", "WidgetStore"), ("events", "WidgetStoreEvents")):
        assert registry.find(which, name) is classes[which]


@pytest.mark.parametrize("rival", RIVALS)
def test_who_owns_a_name_does_not_depend_on_which_plugin_is_asked_for_first(
    rival: Service, classes: Mapping[str, Any]
) -> None:
    registry = registry_of(Point("late", lambda: offering(rival, service("late", "Late"))), STORE)
    with pytest.raises(PluginError, match=r"Late is not available: the plugin 'late' .* and so does .*'widget-store'"):
        registry.find("client", "Late")
    assert registry.find("client", "WidgetStore") is classes["client"]
    assert registry.find("events", "WidgetStoreEvents") is classes["events"]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("by_name", [True, False])
def test_a_name_that_two_plugins_claim_and_neither_bears_is_an_error_that_names_both(by_name: bool, order: int) -> None:
    first, second = Point("a", lambda: offering(WIDGETS), "one"), Point("b", lambda: offering(WIDGETS), "two")
    registry = in_both_orders(first, second)[order]
    with pytest.warns(PluginWarning) as caught, nullcontext() if not by_name else pytest.raises(PluginError):
        _ = registry.find("client", "WidgetStore") if by_name else registry.services()
    assert registry.services() == {}
    assert {str(warning.message).partition(" offers")[0] for warning in caught} == {
        "the plugin 'a' of one",
        "the plugin 'b' of two",
    }
    for ask in (lambda: registry.find("client", "WidgetStore"), lambda: registry.service("widget-store")):
        with pytest.raises(PluginError, match=r"(of one .*of two|of two .*of one)\): uninstall one of them"):
            ask()


def test_a_disputed_name_stays_so_for_whoever_claims_it_later_and_disabling_the_others_settles_it(
    classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [Point(name, lambda: offering(WIDGETS)) for name in ("a", "b", "c")]
    with pytest.warns(PluginWarning):
        assert not registry_of(*points).services()
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "a,c")
    assert registry_of(*points).find("client", "WidgetStore") is classes["client"]


def test_disabling_the_plugin_that_bears_a_disputed_name_leaves_it_to_the_other(
    classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Point("widget-store", lambda: offering(service("widget-store", "WidgetStore", events="x:WidgetStoreEvents")))
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "widget-store")
    for registry in in_both_orders(own, Point("my-widgets", lambda: offering(WIDGETS))):
        assert registry.find("client", "WidgetStore") is classes["client"]
        assert registry.service("widgetStore") is WIDGETS


def test_a_class_is_imported_while_others_may_look_for_theirs(
    classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    class Slow(ModuleType):
        """Looks for a class in another thread, and waits for it, when it is asked for one itself."""

        def __getattr__(self, name: str) -> Any:
            other = threading.Thread(target=lambda: found.append(registry.find("client", "WidgetStore")), daemon=True)
            other.start()
            other.join(20)
            return classes["client"]

    monkeypatch.setitem(sys.modules, "fake_slow", Slow("fake_slow"))
    registry = registry_of(STORE, Point("slow", lambda: offering(service("slow", "Slow"))))
    assert registry.find("client", "Slow") is classes["client"]
    assert found == [classes["client"]]


def test_the_hooks_of_a_plugin_that_is_left_out_are_not_called() -> None:
    def credentials(rootUrl: str) -> dict[str, str]:
        raise AssertionError("asked")

    rival = plugin(taskcluster_services=lambda: [service("x", "WidgetStore")], taskcluster_credentials=credentials)
    registry = registry_of(Point("rival", lambda: rival), STORE)
    with pytest.warns(PluginWarning, match="'rival'"):
        assert registry.credentials("https://tc.example.com") is None


def test_a_service_that_a_bundle_offers_is_found_though_it_is_named_as_one_of_ours() -> None:
    registry = registry_of(Point("bundle", lambda: offering(service("queue", "Queue"))))
    assert registry.service("queue").client == "fake_queue:Queue"


GONE = Service("gadgets", "v1", "no_such_package:Gadgets", "fake_widget-store:Gadgets")


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("client", "no_such_package:Gadgets, which cannot be imported: ModuleNotFoundError: No module named"),
        ("async_client", "fake_widget-store:Gadgets, which cannot be imported: AttributeError: .* 'Gadgets'"),
    ],
)
@pytest.mark.usefixtures("classes")
def test_a_plugin_whose_class_cannot_be_imported_is_named_with_the_cause(which: str, why: str) -> None:
    registry = registry_of(Point("gadgets", lambda: offering(GONE), "gadget-maker"))
    told = f"^Gadgets is not available: the plugin 'gadgets' of gadget-maker names {why}"
    with pytest.raises(PluginError, match=told) as caught:
        registry.find(which, "Gadgets")
    assert isinstance(caught.value.__cause__, ImportError | AttributeError)


@pytest.mark.usefixtures("classes")
def test_names_whose_classes_can_be_imported_are_told_apart_with_a_warning() -> None:
    registry = registry_of(Point("gadgets", lambda: offering(GONE), "gadget-maker"), STORE)
    assert registry.class_names("client", "events") == ["Gadgets", "WidgetStore", "WidgetStoreEvents"]
    with pytest.warns(PluginWarning, match="Gadgets is not available: the plugin 'gadgets' of gadget-maker"):
        found = registry.class_names("client", "events", importable=True)
    assert found == ["WidgetStore", "WidgetStoreEvents"]


def test_a_class_first_asked_for_while_it_is_patched_is_found_when_the_patch_is_gone(
    classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = registry_of(STORE)
    mock = object()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["fake_widget-store"], "WidgetStore", mock)
        assert registry.find("client", "WidgetStore") is mock
    assert registry.find("client", "WidgetStore") is classes["client"]


def test_an_events_class_that_a_service_does_not_have_is_not_told_to_be_installed() -> None:
    registry = registry_of(Point("index", lambda: offering(service("index", "Index"))))
    with pytest.raises(LookupError, match="no installed service offers IndexEvents"):
        registry.find("events", "IndexEvents")


@pytest.mark.parametrize(
    "ask", [Registry.services, Registry.observer, Registry.transfer_methods, lambda registry: registry.credentials("x")]
)
def test_a_warning_about_a_plugin_points_at_the_program_and_not_at_the_client(ask: Callable[[Registry], Any]) -> None:
    with pytest.warns(PluginWarning, match="'broken'") as caught:
        ask(registry_of(Point("broken", broken)))
    assert [warning.filename for warning in caught] == [__file__]


def test_a_disabled_plugin_is_left_out_and_told_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "vault, widget-store")
    registry = registry_of(Point("widget-store", never("a disabled plugin")))
    assert registry.services() == {}
    with pytest.raises(PluginError, match="'widget-store' is disabled by TASKCLUSTER_DISABLE_PLUGINS"):
        registry.find("client", "WidgetStore")


def test_a_plugin_is_disabled_by_its_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "widget")
    assert registry_of(Point("widget-store", lambda: offering(WIDGETS))).services() == {"widget-store": WIDGETS}


def test_the_first_credentials_that_are_not_none_win_and_are_named() -> None:
    asked: list[str] = []

    def empty(rootUrl: str) -> None:
        asked.append(rootUrl)

    registry = registry_of(
        Point("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: {"clientId": rootUrl})),
        Point("empty", lambda: plugin(taskcluster_credentials=empty)),
    )
    assert registry.credentials("https://tc.example.com") == ({"clientId": "https://tc.example.com"}, "full")
    assert asked == ["https://tc.example.com"]
    assert registry_of(Point("empty", lambda: plugin(taskcluster_credentials=empty))).credentials("x") is None


def test_a_hook_may_take_fewer_arguments_than_there_are() -> None:
    told: list[str] = []
    registry = registry_of(
        Point("vault", lambda: plugin(taskcluster_credentials=lambda: {"clientId": "x"})),
        Point("count", lambda: plugin(taskcluster_request=lambda: told.append("seen"))),
    )
    assert registry.credentials("https://tc.example.com") == ({"clientId": "x"}, "vault")
    observer = registry.observer()
    assert observer is not None
    observer(EVENT)
    assert told == ["seen"]


def test_a_credentials_source_that_fails_is_named_and_the_next_is_asked() -> None:
    def fail(rootUrl: str) -> None:
        raise RuntimeError("the vault's token is no-secret")

    registry = registry_of(
        Point("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: {"clientId": "x"})),
        Point("vault", lambda: plugin(taskcluster_credentials=fail)),
    )
    with pytest.warns(PluginWarning, match="^the plugin 'vault' failed to look for credentials: RuntimeError$"):
        assert registry.credentials("https://tc.example.com") == ({"clientId": "x"}, "full")


def test_credentials_that_are_no_mapping_are_told_without_being_shown_and_the_next_source_is_asked() -> None:
    registry = registry_of(
        Point("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: {"clientId": "x"})),
        Point("vault", lambda: plugin(taskcluster_credentials=lambda rootUrl: "no-secret")),
    )
    with pytest.warns(
        PluginWarning, match="^the plugin 'vault' has credentials that are no mapping .*, but str$"
    ) as caught:
        assert registry.credentials("https://tc.example.com") == ({"clientId": "x"}, "full")
    assert [warning.filename for warning in caught] == [__file__]


def test_without_observers_there_is_nothing_to_tell() -> None:
    assert registry_of(Point("widget-store", lambda: offering(WIDGETS))).observer() is None


def test_every_observer_is_told_and_one_that_raises_is_logged_and_breaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[RequestEvent] = []

    def fail(event: RequestEvent) -> None:
        raise RuntimeError("out of metrics")

    registry = registry_of(
        Point("before", lambda: plugin(taskcluster_request=lambda event: told.append(event))),
        Point("broken", lambda: plugin(taskcluster_request=fail)),
        Point("after", lambda: plugin(taskcluster_request=lambda event: told.append(event))),
    )
    observer = registry.observer()
    assert observer is not None
    with caplog.at_level(logging.WARNING, "taskcluster"):
        observer(EVENT)
    assert told == [EVENT, EVENT]
    assert [record.getMessage() for record in caplog.records] == ["the plugin 'broken' failed to observe a request"]
    assert caplog.records[0].exc_info


def test_entry_points_are_read_once_and_not_before_they_are_needed() -> None:
    reads: list[int] = []

    def find() -> dict[str, list[Any]]:
        reads.append(1)
        return {}

    registry = Registry(find)
    assert reads == []
    registry.services()
    registry.observer()
    assert reads == [1]


def test_many_threads_that_ask_at_once_get_one_class(classes: Mapping[str, Any]) -> None:
    registry = registry_of(Point("widget-store", lambda: offering(WIDGETS)))
    found: list[Any] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        found.append(registry.find("client", "WidgetStore"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [classes["client"]] * 8


def test_a_distribution_that_is_seen_twice_is_no_rival_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [Point("widgets", list), Point("widgets", list), Point("widgets", list, "other")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: twice if group == "taskcluster" else [])
    assert [point.dist.name for point in module.entry_points()["widgets"]] == ["example-plugin", "other"]  # type: ignore[union-attr]


def test_a_service_without_a_spec_says_so() -> None:
    with pytest.raises(PluginError, match=r"widget-store.*without a spec"):
        WIDGETS.reference()


def test_a_service_without_exchanges_has_no_events_class() -> None:
    assert service("gadgets", "Gadgets").events_class_name is None
    assert WIDGETS.events_class_name == "WidgetStoreEvents"
