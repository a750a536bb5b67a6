"""Plugins, loaded from fake entry points."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pluggy
import pytest

from taskcluster.client import BaseClient, BaseEvents
from taskcluster.entry_points import entry_points
from taskcluster.plugins import PluginError, PluginWarning, RequestEvent, Service, hookimpl
from taskcluster.registry import Registry

KEY = {"clientId": "x", "accessToken": "no-secret"}
EVENT = RequestEvent("queue", "task", 1, 200, 0.1, 0, 2, None)


@dataclass
class FakeEntryPoint:
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


STORE = FakeEntryPoint("widget-store", lambda: offering(WIDGETS))


def registry_of(*points: FakeEntryPoint) -> Registry:
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
def test_find_loads_only_the_owner_of_a_class(which: str, classes: Mapping[str, Any]) -> None:
    registry = registry_of(
        FakeEntryPoint("other", never("other")), FakeEntryPoint("widget-store", lambda: offering(WIDGETS))
    )
    name = "WidgetStoreEvents" if which == "events" else "WidgetStore"
    assert registry.find(which, name) is classes[which]


def test_a_found_class_stays_the_same_when_patched(classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_of(FakeEntryPoint("widget-store", lambda: offering(WIDGETS)))
    first = registry.find("client", "WidgetStore")
    monkeypatch.setattr(sys.modules["fake_widget-store"], "WidgetStore", object())
    assert registry.find("client", "WidgetStore") is first


def test_loads_a_plugin_once(classes: Mapping[str, Any]) -> None:
    loaded: list[int] = []

    def load() -> ModuleType:
        loaded.append(1)
        return offering(WIDGETS)

    registry = registry_of(FakeEntryPoint("widget-store", load))
    registry.find("client", "WidgetStore")
    registry.find("events", "WidgetStoreEvents")
    registry.services()
    assert loaded == [1]


def test_a_plugin_may_look_up_services_while_it_loads(classes: Mapping[str, Any]) -> None:
    def load() -> ModuleType:
        assert set(registry.services()) == {"widget-store"}
        return offering(service("gadgets", "Gadgets"))

    registry = registry_of(FakeEntryPoint("gadgets", load), STORE)
    assert set(registry.services()) == {"gadgets", "widget-store"}


@pytest.mark.parametrize("spelling", ["widget-store", "widget_store", "widgetStore", "widgetstore", "WidgetStore"])
def test_a_service_is_found_by_any_spelling_of_its_name(spelling: str) -> None:
    registry = registry_of(FakeEntryPoint("widget-store", lambda: offering(WIDGETS)))
    assert registry.service(spelling) is WIDGETS


def test_lists_services_and_class_names_of_all_plugins() -> None:
    registry = registry_of(
        FakeEntryPoint("widget-store", lambda: offering(WIDGETS)),
        FakeEntryPoint("gadgets", lambda: offering(service("gadgets", "Gadgets"))),
    )
    assert set(registry.services()) == {"widget-store", "gadgets"}
    assert registry.class_names("client") == ["Gadgets", "WidgetStore"]
    assert registry.class_names("client", "events") == ["Gadgets", "WidgetStore", "WidgetStoreEvents"]


@pytest.mark.parametrize(
    ("name", "distribution"), [("Auth", "auth"), ("PurgeCache", "purge-cache"), ("WorkerManager", "worker-manager")]
)
def test_error_says_what_to_install_for_a_missing_service(name: str, distribution: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"is not installed: install taskcluster-{distribution} ") as caught:
        registry_of().find("client", name)
    assert caught.value.name == f"taskcluster_{distribution}"
    with pytest.raises(ModuleNotFoundError, match=f"is not installed: install taskcluster-{distribution} "):
        registry_of().service(distribution)


def test_error_says_what_to_install_for_missing_events() -> None:
    with pytest.raises(ModuleNotFoundError, match="QueueEvents is not installed: install taskcluster-queue "):
        registry_of().find("events", "QueueEvents")


def test_error_suggests_the_nearest_name() -> None:
    registry = registry_of(FakeEntryPoint("widget-store", lambda: offering(WIDGETS)))
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
        (
            lambda: plugin(taskcluster_sevices=lambda: None),
            "failed to load: PluginError: unknown hook 'taskcluster_sevices'; did you mean 'taskcluster_services'",
        ),
        (
            lambda: plugin(weather=lambda: None),
            "failed to load: PluginError: unknown hook 'weather'; the hooks are taskcluster_credentials, ",
        ),
        (
            lambda: ModuleType("empty"),
            r"failed to load: PluginError: it implements no hook: mark a function with taskcluster\.plugins\.hookimpl",
        ),
        (lambda: plugin(taskcluster_credentials=lambda nonsense: None), "failed to load: PluginValidationError"),
        (
            lambda: plugin(taskcluster_services=lambda: 5),
            "failed to load: TypeError: taskcluster_services must return a list of .*Service, not of int",
        ),
        (
            lambda: plugin(taskcluster_services=lambda: [5]),
            "failed to load: TypeError: taskcluster_services must return a list of .*Service, not of int",
        ),
    ],
)
def test_warns_of_a_broken_plugin_and_loads_the_others(
    load: Callable[[], Any], why: str, classes: Mapping[str, Any]
) -> None:
    registry = registry_of(FakeEntryPoint("broken", load), FakeEntryPoint("widget-store", lambda: offering(WIDGETS)))
    with pytest.warns(PluginWarning, match=f"the plugin 'broken' of example-plugin {why}"):
        assert set(registry.services()) == {"widget-store"}
    assert registry.find("client", "WidgetStore") is classes["client"]
    with pytest.raises(PluginError, match=f"Broken is not available: the plugin 'broken' of example-plugin {why}"):
        registry.find("client", "Broken")


def test_a_name_conflict_is_an_error_that_names_both_owners() -> None:
    registry = registry_of(
        FakeEntryPoint("widget-store", lambda: offering(WIDGETS), "first"),
        FakeEntryPoint("widget-store", lambda: offering(WIDGETS), "second"),
    )
    message = "the plugin 'widget-store' comes from more than one distribution: first and second"
    with pytest.raises(PluginError, match=message):
        registry.find("client", "WidgetStore")


@pytest.mark.parametrize("order", [0, 1])
def test_two_spellings_of_one_name_conflict(order: int) -> None:
    hyphen = FakeEntryPoint("widget-store", lambda: offering(WIDGETS), "first")
    underscore = FakeEntryPoint("widget_store", lambda: offering(WIDGETS), "second")
    registry = in_both_orders(hyphen, underscore)[order]
    for ask in (lambda: registry.find("client", "WidgetStore"), lambda: registry.service("widgetStore")):
        with pytest.raises(PluginError, match=r"first.* second|second.* first") as caught:
            ask()
        assert "uninstall one" in str(caught.value)
        assert "TASKCLUSTER_DISABLE_PLUGINS" in str(caught.value)


def in_both_orders(*points: FakeEntryPoint) -> list[Registry]:
    return [registry_of(*points), registry_of(*reversed(points))]


UNOWNED = [
    service("other", "WidgetStore"),
    service("widget-store", "Other"),
    service("other", "Other", events="fake_other:WidgetStoreEvents"),
    service("other", "Other", events="fake_other:OtherMessages"),
]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("provided", UNOWNED, ids=["class", "service", "events", "events-suffix"])
def test_skips_a_plugin_that_provides_a_name_it_does_not_own(
    provided: Service, order: int, classes: Mapping[str, Any]
) -> None:
    other = FakeEntryPoint("other", lambda: offering(provided), "late")
    registry = in_both_orders(STORE, other)[order]
    with pytest.warns(
        PluginWarning, match=r"the plugin 'other' of late failed to load: .* name the entry point"
    ) as caught:
        assert registry.services() == {"widget-store": WIDGETS}
    assert len(caught) == 1
    for which, name in (("client", "WidgetStore"), ("events", "WidgetStoreEvents")):
        assert registry.find(which, name) is classes[which]
    with pytest.raises(
        PluginError, match=r"Other is not available: the plugin 'other' of late .* name the entry point"
    ):
        registry.find("client", "Other")


@pytest.mark.parametrize("second", [service("other", "Other"), WIDGETS], ids=["another", "twice"])
def test_skips_a_plugin_that_provides_two_services(second: Service) -> None:
    registry = registry_of(FakeEntryPoint("widget-store", lambda: offering(WIDGETS, second)))
    with pytest.raises(PluginError, match="the plugin 'widget-store' of example-plugin failed to load"):
        registry.service("widget-store")


def test_a_distribution_may_have_several_entry_points(classes: Mapping[str, Any]) -> None:
    registry = registry_of(STORE, FakeEntryPoint("gadgets", lambda: offering(service("gadgets", "Gadgets"))))
    assert registry.find("client", "WidgetStore") is classes["client"]
    assert registry.service("gadgets").class_name == "Gadgets"


def test_warns_of_a_conflict_once_and_skips_both() -> None:
    load = never("a plugin of a conflict")
    registry = registry_of(
        FakeEntryPoint("widget-store", load, "first"), FakeEntryPoint("widget_store", load, "second")
    )
    with pytest.warns(
        PluginWarning, match=r"the plugin 'widget-store' comes .* first and second \(as 'widget_store'\)"
    ) as caught:
        assert registry.services() == {}
    assert registry.observer() is None
    assert len(caught) == 1


@pytest.mark.parametrize("disabled", ["widget_store", "second:widget_store"])
def test_disabling_one_owner_resolves_a_conflict(
    disabled: str, classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", disabled)
    registry = registry_of(STORE, FakeEntryPoint("widget_store", never("a disabled plugin"), "second"))
    assert registry.find("client", "WidgetStore") is classes["client"]
    assert registry.service("widget-store") is WIDGETS


def test_the_hint_of_a_conflict_resolves_it(classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_of(STORE, FakeEntryPoint("widget-store", never("a disabled plugin"), "second"))
    with pytest.raises(PluginError, match="example-plugin and second") as caught:
        registry.find("client", "WidgetStore")
    monkeypatch.setenv(*str(caught.value).split()[-1].split("=", 1))
    assert registry.find("client", "WidgetStore") is classes["client"]
    assert registry.credentials("https://tc.example.com") is None


def test_other_threads_find_classes_during_an_import(
    classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    class WaitingModule(ModuleType):
        """Waits, while a class is looked up in it, for a thread that looks up another class."""

        def __getattr__(self, name: str) -> Any:
            other = threading.Thread(target=lambda: found.append(registry.find("client", "WidgetStore")), daemon=True)
            other.start()
            other.join(20)
            return classes["client"]

    monkeypatch.setitem(sys.modules, "fake_slow", WaitingModule("fake_slow"))
    registry = registry_of(STORE, FakeEntryPoint("slow", lambda: offering(service("slow", "Slow"))))
    assert registry.find("client", "Slow") is classes["client"]
    assert found == [classes["client"]]


def test_hooks_of_a_skipped_plugin_are_not_called() -> None:
    def credentials(rootUrl: str) -> dict[str, str]:
        raise AssertionError("asked")

    other = plugin(taskcluster_services=lambda: [service("x", "WidgetStore")], taskcluster_credentials=credentials)
    registry = registry_of(FakeEntryPoint("other", lambda: other), STORE)
    with pytest.warns(PluginWarning, match="'other'"):
        assert registry.credentials("https://tc.example.com") is None


GONE = Service("gadgets", "v1", "no_such_package:Gadgets", "fake_widget-store:Gadgets")


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("client", "no_such_package:Gadgets, which cannot be imported: ModuleNotFoundError: No module named"),
        ("async_client", "fake_widget-store:Gadgets, which cannot be imported: AttributeError: .* 'Gadgets'"),
    ],
)
@pytest.mark.usefixtures("classes")
def test_error_names_the_plugin_of_a_class_that_fails_to_import(which: str, why: str) -> None:
    registry = registry_of(FakeEntryPoint("gadgets", lambda: offering(GONE), "gadget-maker"))
    message = f"^Gadgets is not available: the plugin 'gadgets' of gadget-maker names {why}"
    with pytest.raises(PluginError, match=message) as caught:
        registry.find(which, "Gadgets")
    assert isinstance(caught.value.__cause__, ImportError | AttributeError)


@pytest.mark.usefixtures("classes")
def test_omits_classes_that_fail_to_import_with_a_warning() -> None:
    registry = registry_of(FakeEntryPoint("gadgets", lambda: offering(GONE), "gadget-maker"), STORE)
    assert registry.class_names("client", "events") == ["Gadgets", "WidgetStore", "WidgetStoreEvents"]
    with pytest.warns(PluginWarning, match="Gadgets is not available: the plugin 'gadgets' of gadget-maker"):
        found = registry.class_names("client", "events", importable=True)
    assert found == ["WidgetStore", "WidgetStoreEvents"]


def test_finds_the_class_after_a_patch_is_undone(classes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_of(STORE)
    mock = object()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["fake_widget-store"], "WidgetStore", mock)
        assert registry.find("client", "WidgetStore") is mock
    assert registry.find("client", "WidgetStore") is classes["client"]


def test_no_install_hint_for_events_of_an_installed_service() -> None:
    registry = registry_of(FakeEntryPoint("index", lambda: offering(service("index", "Index"))))
    with pytest.raises(LookupError, match="no installed service offers IndexEvents"):
        registry.find("events", "IndexEvents")


@pytest.mark.parametrize(
    "ask", [Registry.services, Registry.observer, Registry.transfer_methods, lambda registry: registry.credentials("x")]
)
def test_plugin_warnings_point_at_the_program(ask: Callable[[Registry], Any]) -> None:
    with pytest.warns(PluginWarning, match="'broken'") as caught:
        ask(registry_of(FakeEntryPoint("broken", broken)))
    assert [warning.filename for warning in caught] == [__file__]


def test_a_disabled_plugin_is_skipped_and_named_when_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "vault, widget-store")
    registry = registry_of(FakeEntryPoint("widget-store", never("a disabled plugin")))
    assert registry.services() == {}
    with pytest.raises(PluginError, match="'widget-store' is disabled by TASKCLUSTER_DISABLE_PLUGINS"):
        registry.find("client", "WidgetStore")


def test_a_plugin_is_disabled_by_its_complete_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "widget")
    assert registry_of(FakeEntryPoint("widget-store", lambda: offering(WIDGETS))).services() == {
        "widget-store": WIDGETS
    }


def test_first_credentials_that_are_not_none_win() -> None:
    asked: list[str] = []

    def empty(rootUrl: str) -> None:
        asked.append(rootUrl)

    registry = registry_of(
        FakeEntryPoint("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: {**KEY, "clientId": rootUrl})),
        FakeEntryPoint("empty", lambda: plugin(taskcluster_credentials=empty)),
    )
    assert registry.credentials("https://tc.example.com") == ({**KEY, "clientId": "https://tc.example.com"}, "full")
    assert asked == ["https://tc.example.com"]
    assert registry_of(FakeEntryPoint("empty", lambda: plugin(taskcluster_credentials=empty))).credentials("x") is None


def test_hooks_may_take_fewer_arguments() -> None:
    observed: list[str] = []
    registry = registry_of(
        FakeEntryPoint("vault", lambda: plugin(taskcluster_credentials=lambda: KEY)),
        FakeEntryPoint("count", lambda: plugin(taskcluster_request=lambda: observed.append("seen"))),
    )
    assert registry.credentials("https://tc.example.com") == (KEY, "vault")
    observer = registry.observer()
    assert observer is not None
    observer(EVENT)
    assert observed == ["seen"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("", "RuntimeError"),
        ("the vault is sealed", "RuntimeError: the vault is sealed"),
        ("the vault's token is no-secret", "RuntimeError: the vault's token is …"),
        ("rejected by the vault: s.CAESIJlU02GOgwdVM6hk", "RuntimeError: rejected by the vault: s.…"),
    ],
    ids=["empty", "harmless", "named", "random"],
)
def test_warns_of_failing_credentials_and_tries_the_next(message: str, shown: str) -> None:
    def fail(rootUrl: str) -> None:
        raise RuntimeError(message)

    registry = registry_of(
        FakeEntryPoint("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: KEY)),
        FakeEntryPoint("vault", lambda: plugin(taskcluster_credentials=fail)),
    )
    with pytest.warns(PluginWarning, match=f"^the plugin 'vault' failed to look for credentials: {shown}$"):
        assert registry.credentials("https://tc.example.com") == (KEY, "full")


def test_warns_of_malformed_credentials_without_showing_them() -> None:
    registry = registry_of(
        FakeEntryPoint("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: KEY)),
        FakeEntryPoint("vault", lambda: plugin(taskcluster_credentials=lambda rootUrl: "no-secret")),
    )
    with pytest.warns(PluginWarning, match="^the plugin 'vault' must return a mapping with .*, not str$") as caught:
        assert registry.credentials("https://tc.example.com") == (KEY, "full")
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("incomplete", "absent"),
    [
        ({"clientId": "c"}, "accessToken"),
        ({"accessToken": "no-secret", "clientId": ""}, "clientId"),
        ({"accesToken": "no-secret"}, "clientId and accessToken"),
    ],
    ids=["token", "client", "both"],
)
def test_warns_of_incomplete_credentials_and_tries_the_next(incomplete: dict[str, str], absent: str) -> None:
    registry = registry_of(
        FakeEntryPoint("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: KEY)),
        FakeEntryPoint("vault", lambda: plugin(taskcluster_credentials=lambda rootUrl: incomplete)),
    )
    with pytest.warns(PluginWarning, match=f"^the plugin 'vault' has credentials without {absent}$") as caught:
        assert registry.credentials("https://tc.example.com") == (KEY, "full")
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("unusable", "problem"),
    [
        ({**KEY, "accessToken": 12345678}, "accessToken must be a string or bytes, not int"),
        ({**KEY, "clientId": object()}, "clientId must be a string or bytes, not object"),
        ({**KEY, "accessToken": "no-secrét"}, "accessToken contains characters that are not ASCII"),
        ({**KEY, "certificate": {"version": 1}}, "certificate must be a string or bytes, not dict: pass json.dumps"),
        ({**KEY, "certificate": "no-secret"}, "the certificate of the credentials is not a JSON object"),
    ],
    ids=["token", "client", "ascii", "certificate", "json"],
)
def test_warns_of_unusable_credentials_and_tries_the_next(unusable: dict[str, Any], problem: str) -> None:
    registry = registry_of(
        FakeEntryPoint("full", lambda: plugin(taskcluster_credentials=lambda rootUrl: KEY)),
        FakeEntryPoint("vault", lambda: plugin(taskcluster_credentials=lambda rootUrl: unusable)),
    )
    with pytest.warns(PluginWarning, match=f"^the plugin 'vault' has unusable credentials: {problem}") as caught:
        assert registry.credentials("https://tc.example.com") == (KEY, "full")
    assert [warning.filename for warning in caught] == [__file__]
    shown = str(caught[0].message)
    assert "12345678" not in shown
    assert "no-secr" not in shown


def test_warns_of_an_async_observer_and_calls_the_others() -> None:
    async def observe(event: RequestEvent) -> None:
        raise AssertionError("never awaited")

    observed: list[RequestEvent] = []
    registry = registry_of(
        FakeEntryPoint("async", lambda: plugin(taskcluster_request=observe)),
        FakeEntryPoint("count", lambda: plugin(taskcluster_request=lambda event: observed.append(event))),
    )
    with pytest.warns(PluginWarning, match="^the plugin 'async' cannot observe requests: .* must be a plain function"):
        observer = registry.observer()
    assert observer is not None
    observer(EVENT)
    assert observed == [EVENT]


class Half:
    """Half of an upload method, and half of a download method."""

    name = "half"

    def propose(self, offer: Any) -> Any:
        return {}

    def accept(self) -> Any:
        return True


class Nameless(Half):
    name = None  # type: ignore[assignment]

    def source(self, response: Any) -> Any:
        return None


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        (["torrent"], "names a transfer method of the wrong type, str: it must be an object with name"),
        ([Half()], "names a transfer method of the wrong type, Half: "),
        ([Nameless()], "names a transfer method of the wrong type, Nameless: "),
        ([Half], "names a transfer method of the wrong type, the class Half itself: "),
        (None, "failed to return a list of transfer methods: TypeError: 'NoneType' object is not iterable"),
    ],
    ids=["string", "half", "nameless", "class", "none"],
)
def test_error_names_the_plugin_of_a_wrong_transfer_method(returned: Any, match: str) -> None:
    registry = registry_of(FakeEntryPoint("torrents", lambda: plugin(taskcluster_transfer_methods=lambda: returned)))
    with pytest.raises(PluginError, match=f"^the plugin 'torrents' {match}"):
        registry.transfer_methods()


def implementations(module: ModuleType, marker: Any, **options: Any) -> ModuleType:
    """Return the module, with an observer of requests that is marked so."""
    module.taskcluster_request = marker(**options)(lambda event: None)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("marker", [hookimpl, pluggy.HookimplMarker("taskcluster")], ids=["ours", "pluggy"])
def test_hooks_are_ordered_by_options(marker: Any) -> None:
    registry = registry_of(
        FakeEntryPoint("first", lambda: implementations(ModuleType("first"), marker, tryfirst=True)),
        FakeEntryPoint("last", lambda: implementations(ModuleType("last"), marker)),
    )
    assert [each.plugin_name for each in registry._implementations("taskcluster_request")] == ["first", "last"]


def test_plugins_marked_by_pluggy_itself_provide_services() -> None:
    module = ModuleType("example")
    module.taskcluster_services = pluggy.HookimplMarker("taskcluster")(lambda: [WIDGETS])  # type: ignore[attr-defined]
    registry = registry_of(FakeEntryPoint("widget-store", lambda: implementations(module, hookimpl)))
    assert registry.service("widget-store") is WIDGETS
    assert registry.observer() is not None


def test_hookimpl_rejects_unknown_options() -> None:
    with pytest.raises(TypeError, match="tryfrist"):
        hookimpl(tryfrist=True)(lambda: None)


def test_a_misspelt_hook_with_options_is_an_error_at_lookup() -> None:
    module = offering(WIDGETS)
    module.taskcluster_credntials = hookimpl(tryfirst=True)(lambda: None)  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match="taskcluster_credntials"):
        registry_of(FakeEntryPoint("widget-store", lambda: module)).service("widget-store")


def test_a_service_is_skipped_when_its_hooks_fail_later() -> None:
    """Hooks that pluggy marked are checked with all hooks, even if the service was found without pluggy."""
    module = offering(WIDGETS)
    module.taskcluster_weather = pluggy.HookimplMarker("taskcluster")(lambda: None)  # type: ignore[attr-defined]
    registry = registry_of(FakeEntryPoint("widget-store", lambda: module))
    assert registry.service("widget-store") is WIDGETS
    with pytest.warns(PluginWarning, match="'widget-store' of example-plugin failed to load: .*taskcluster_weather"):
        assert registry.observer() is None
    assert registry.services() == {}


def test_an_unknown_hook_does_not_affect_later_plugins() -> None:
    registry = registry_of(
        FakeEntryPoint("broken", lambda: plugin(taskcluster_weather=lambda: None)),
        FakeEntryPoint("count", lambda: plugin(taskcluster_request=lambda: None)),
    )
    with pytest.warns(PluginWarning, match="'broken'") as caught:
        assert registry.observer() is not None
    assert len(caught) == 1


def test_plugins_with_more_hooks_provide_their_own_services() -> None:
    def load(provided: Service) -> ModuleType:
        return implementations(offering(provided), hookimpl, tryfirst=True)

    gadgets = service("gadgets", "Gadgets")
    registry = registry_of(
        FakeEntryPoint("widget-store", lambda: load(WIDGETS)), FakeEntryPoint("gadgets", lambda: load(gadgets))
    )
    assert registry.services() == {"widget-store": WIDGETS, "gadgets": gadgets}


def test_hooks_are_not_called_once_their_plugin_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_of(FakeEntryPoint("vault", lambda: plugin(taskcluster_credentials=lambda: KEY)))
    assert registry.credentials("https://tc.example.com") == (KEY, "vault")
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "vault")
    assert registry.credentials("https://tc.example.com") is None


@pytest.mark.filterwarnings("error")
def test_no_warning_of_a_plugin_after_its_error() -> None:
    registry = registry_of(
        FakeEntryPoint("broken", broken),
        FakeEntryPoint("a-b", broken, "first"),
        FakeEntryPoint("a_b", broken, "second"),
    )
    for name in ("broken", "a-b"):
        with pytest.raises(PluginError):
            registry.service(name)
    assert registry.services() == {}


def test_observer_is_none_without_observers() -> None:
    assert registry_of(FakeEntryPoint("widget-store", lambda: offering(WIDGETS))).observer() is None


def test_finds_hooks_without_pluggy_if_plugins_have_services_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "taskcluster.hook_manager", None)
    registry = registry_of(STORE)
    assert registry.observer() is None
    assert registry.credentials("https://tc.example.com") is None
    assert registry.services() == {"widget-store": WIDGETS}


def test_finds_hooks_that_are_bound_methods() -> None:
    class Observer:
        @hookimpl
        def taskcluster_request(self) -> None: ...

    module = offering(WIDGETS)
    vars(module).update(taskcluster_request=Observer().taskcluster_request)
    registry = registry_of(FakeEntryPoint("widget-store", lambda: module))
    assert registry.service("widget-store") is WIDGETS
    assert registry.observer() is not None


def test_logs_an_observer_that_raises_and_calls_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    observed: list[RequestEvent] = []

    def fail(event: RequestEvent) -> None:
        raise RuntimeError("out of metrics")

    registry = registry_of(
        FakeEntryPoint("before", lambda: plugin(taskcluster_request=lambda event: observed.append(event))),
        FakeEntryPoint("broken", lambda: plugin(taskcluster_request=fail)),
        FakeEntryPoint("after", lambda: plugin(taskcluster_request=lambda event: observed.append(event))),
    )
    observer = registry.observer()
    assert observer is not None
    with caplog.at_level(logging.WARNING, "taskcluster"):
        observer(EVENT)
    assert observed == [EVENT, EVENT]
    assert [record.getMessage() for record in caplog.records] == ["the plugin 'broken' failed to observe a request"]
    assert caplog.records[0].exc_info


def test_a_replacement_of_a_service_may_observe_requests() -> None:
    observed: list[RequestEvent] = []
    replacement = plugin(taskcluster_request=lambda event: observed.append(event))
    observer = registry_of(FakeEntryPoint("queue", lambda: replacement)).observer()
    assert observer is not None
    observer(EVENT)
    assert observed == [EVENT]


def test_reads_entry_points_once_when_needed() -> None:
    reads: list[int] = []

    def find() -> dict[str, list[Any]]:
        reads.append(1)
        return {}

    registry = Registry(find)
    assert reads == []
    registry.services()
    registry.observer()
    assert reads == [1]


def test_threads_find_the_same_class(classes: Mapping[str, Any]) -> None:
    registry = registry_of(FakeEntryPoint("widget-store", lambda: offering(WIDGETS)))
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


def test_a_distribution_found_twice_does_not_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [FakeEntryPoint("widgets", list), FakeEntryPoint("widgets", list), FakeEntryPoint("widgets", list, "other")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: twice if group == "taskcluster" else [])
    assert [point.dist.name for point in entry_points()["widgets"]] == ["example-plugin", "other"]  # type: ignore[union-attr]


def test_one_distribution_may_conflict_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [SimpleNamespace(name="a", value=value, dist=SimpleNamespace(name="one")) for value in ("a.x", "a.y")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    assert entry_points() == {"a": points}


def test_reference_raises_without_a_spec() -> None:
    with pytest.raises(PluginError, match=r"widget-store.*has no spec"):
        WIDGETS.reference()


def test_a_service_without_exchanges_has_no_events_class() -> None:
    assert service("gadgets", "Gadgets").events_class_name is None
    assert WIDGETS.events_class_name == "WidgetStoreEvents"
