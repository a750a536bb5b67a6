"""Tests of plugins that add services, and of broken plugins."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import requests

import taskcluster
from taskcluster.client import BaseClient, createApiClient
from taskcluster_local import LocalTaskcluster
from taskcluster_local import registry as registry_module
from taskcluster_local.plugins import (
    ApiError,
    Call,
    Context,
    HandlerCall,
    Invoke,
    InvokeMethod,
    LocalService,
    Page,
    PluginWarning,
    hookimpl,
)
from taskcluster_local.registry import LocalRegistry


def a_method(name: str, route: str, verb: str = "get", **more: Any) -> dict[str, Any]:
    args = [piece.partition(">")[0] for piece in route.split("<")[1:]]
    prose = {"title": name, "description": name, "stability": "stable", "category": "Widgets"}
    return {"name": name, "method": verb, "route": route, "args": args, **prose, **more}


def a_reference(service: str = "widgets") -> dict[str, Any]:
    word = {"name": "name", "summary": "Its name", "multipleWords": False, "required": True}
    return {
        "serviceName": service,
        "apiVersion": "v1",
        "className": service.title(),
        "title": service.title(),
        "description": f"Keeps {service}.",
        "methods": [
            a_method("ping", "/ping"),
            a_method("set", "/<name>", "put", input=f"{service}/v1/widget.json", scopes=f"{service}:set:<name>"),
            a_method("list", "/", query=["limit", "continuationToken"], scopes=f"{service}:list"),
            a_method("task", "/<name>/task"),
            a_method("paint", "/<name>/paint", scopes=f"{service}:paint:<colour>"),
            a_method("melt", "/<name>/melt"),
        ],
        "eventsClassName": f"{service.title()}Events",
        "eventsDescription": "Announces.",
        "exchangePrefix": f"exchange/{service}/v1/",
        "exchanges": [
            {"name": "made", "title": "Made", "description": "Made.", "exchange": "made", "routingKey": [word]}
        ],
        "types": {
            f"{service}/v1/widget.json": {
                "type": "object",
                "properties": {"size": {"type": "integer"}, "colour": {"type": "string", "default": "red"}},
                "required": ["size"],
                "additionalProperties": False,
            }
        },
    }


def handlers(context: Context) -> dict[str, Any]:
    context.store.create("CREATE TABLE IF NOT EXISTS widgets (name TEXT PRIMARY KEY, size INTEGER, colour TEXT)")

    def break_unlucky_ones() -> None:
        context.store.run("DELETE FROM widgets WHERE size = 13")

    context.as_time_passes(break_unlucky_ones)

    async def set_(call: HandlerCall) -> dict[str, Any]:
        with context.store.transaction():
            values = (call.params["name"], call.payload["size"], call.payload["colour"])
            context.store.run("INSERT OR REPLACE INTO widgets VALUES (?, ?, ?)", *values)
            context.events.publish("widgets", "made", {"size": call.payload["size"]}, name=call.params["name"])
        return call.payload

    async def list_(call: HandlerCall) -> dict[str, Any]:
        found = Page.of(call.query).read(context.store, "SELECT * FROM widgets", names=("name",))
        return found.body("widgets", lambda row: row)

    async def task(call: HandlerCall) -> Any:
        return await context.invoke("queue", "status", {"taskId": call.params["name"]})

    async def melt(call: HandlerCall) -> dict[str, Any]:
        raise ApiError("TooHot", "It is too hot")

    async def paint(call: HandlerCall) -> dict[str, Any]:
        call.authorize(colour="blue")
        return {"by": call.identity.clientId, "at": context.root_url}

    return {"set": set_, "list": list_, "task": task, "paint": paint, "melt": melt}


Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Creates modules with the hook and entry points for them, and hides all others."""
    points: list[EntryPoint] = []

    def add(name: str, *services: LocalService, **more: Any) -> None:
        module = types.ModuleType(f"plugin_of_{name}")

        @hookimpl
        def taskcluster_local_services() -> list[LocalService]:
            return list(services)

        for attribute, value in {"taskcluster_local_services": taskcluster_local_services, **more}.items():
            setattr(module, attribute, value)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        points.append(EntryPoint(name, module.__name__, "taskcluster_local"))

    monkeypatch.setattr(registry_module, "registry", LocalRegistry(lambda: points))
    monkeypatch.setattr("taskcluster_local.local.registry", registry_module.registry)
    monkeypatch.delenv("TASKCLUSTER_DISABLE_PLUGINS", raising=False)
    return add


def a_client(
    local: LocalTaskcluster, scopes: list[str] | None = None, reference: Mapping[str, Any] | None = None
) -> Any:
    api = reference or a_reference()
    entries = [{**entry, "type": "function"} for entry in api["methods"]]
    made: type[BaseClient] = createApiClient("Widgets", {"reference": {**api, "entries": entries}})
    return made({**local.options(scopes), "maxRetries": 0})


def refusal(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
        call()
    return caught.value.status_code, caught.value.code or "", str(caught.value)


def test_earlier_names_are_aliases() -> None:
    assert (Call, Invoke) == (HandlerCall, InvokeMethod)


def test_plugin_service_handles_requests(install: Install) -> None:
    install("widgets", LocalService(a_reference(), handlers))
    with LocalTaskcluster() as local:
        widgets = a_client(local)
        assert widgets.ping()["alive"] is True
        assert widgets.set("a", {"size": 1}) == {"size": 1, "colour": "red"}
        assert [widgets.set(name, {"size": 2})["size"] for name in "bc"] == [2, 2]
        page = widgets.list(limit=2)
        assert [widget["name"] for widget in page["widgets"]] == ["a", "b"]
        page = widgets.list(continuationToken=page["continuationToken"])
        assert page == {"widgets": [{"name": "c", "size": 2, "colour": "red"}]}
        assert refusal(lambda: widgets.set("a", {"size": "large"}))[:2] == (400, "InputValidationError")
        assert refusal(lambda: widgets.task("no-slug"))[:2] == (400, "InvalidRequestArguments")
        assert refusal(lambda: widgets.task(taskcluster.slugId()))[:2] == (404, "ResourceNotFound")
        assert widgets.paint("a")["at"] == local.root_url
        # A bug in the plugin: there is no such error code.
        assert refusal(lambda: widgets.melt("a"))[:2] == (500, "InternalServerError")


def test_checks_scopes_and_signatures(install: Install) -> None:
    install("widgets", LocalService(a_reference(), handlers))
    with LocalTaskcluster() as local:
        few = a_client(local, ["widgets:set:a"])
        few.set("a", {"size": 1})
        assert refusal(lambda: few.set("b", {"size": 1}))[:2] == (403, "InsufficientScopes")
        assert refusal(lambda: few.paint("a"))[:2] == (403, "InsufficientScopes")
        few.options["credentials"]["accessToken"] = "wrong"
        url = f"{local.root_url}/api/widgets/v1/a"
        unsigned = requests.put(url, json={"size": 1}, headers={"Authorization": 'Hawk id="x"'}, timeout=60)
        assert unsigned.status_code == 401


def test_publishes_messages_and_runs_jobs(install: Install) -> None:
    install("widgets", LocalService(a_reference(), handlers))
    with LocalTaskcluster() as local:
        widgets = a_client(local)
        binding = {"exchange": "exchange/widgets/v1/made", "routingKeyPattern": "a"}
        with local.listen(binding) as messages:
            widgets.set("b", {"size": 1})
            widgets.set("a", {"size": 13})
            message = messages.get(timeout=60)
            assert (message.service, message.routingKey, message.payload) == ("widgets", "a", {"size": 13})
        local.advance(minutes=1)
        assert [widget["name"] for widget in widgets.list()["widgets"]] == ["b"]
        for path in ("references/widgets/v1/api.json", "references/widgets/v1/exchanges.json"):
            assert requests.get(f"{local.root_url}/{path}", timeout=60).json()["serviceName"] == "widgets"
        schema = requests.get(f"{local.root_url}/schemas/widgets/v1/widget.json", timeout=60).json()
        assert schema["required"] == ["size"]
        manifest = requests.get(f"{local.root_url}/references/manifest.json", timeout=60).json()
        assert f"{local.root_url}/references/widgets/v1/api.json" in manifest["references"]


def test_method_without_handler_returns_400(install: Install) -> None:
    install("widgets", LocalService(a_reference(), lambda context: {}))
    with LocalTaskcluster() as local:
        status, code, text = refusal(lambda: a_client(local).melt("a"))
        assert (status, code) == (400, "NotInLocalDeployment")
        assert "its plugin has no handler for widgets.melt" in text
        assert refusal(lambda: a_client(local, []).set("a", {}))[:2] == (403, "InsufficientScopes")


def fails(*_: Any) -> Any:
    raise RuntimeError("out of order")


def broken() -> dict[str, tuple[dict[str, Any], str]]:
    good = LocalService(a_reference("gadgets"), handlers)
    no_verb = {**a_reference("gadgets"), "methods": [{"name": "x", "route": "/", "args": []}]}
    return {
        "raises": ({"taskcluster_local_services": hookimpl(fails)}, "RuntimeError: out of order"),
        "unknown hook": ({"taskcluster_local_other": hookimpl(lambda: None)}, "unknown hook"),
        "no service": ({"services": [3]}, "AttributeError"),
        "no reference": ({"services": [LocalService({}, handlers)]}, "KeyError: 'serviceName'"),
        "a wrong reference": ({"services": [LocalService(no_verb, handlers)]}, "KeyError: 'method'"),
        "one of ours": ({"services": [LocalService(a_reference("queue"), handlers)]}, "service 'queue' is already"),
        "twice": ({"services": [good, good]}, "service 'gadgets' is already"),
    }


@pytest.mark.parametrize("what", broken())
def test_warns_of_broken_plugin_and_loads_others(install: Install, what: str) -> None:
    more, said = broken()[what]
    install("gadgets", *more.pop("services", ()), **more)
    install("widgets", LocalService(a_reference(), handlers))
    with pytest.warns(PluginWarning, match="the plugin 'gadgets' of an unknown distribution adds no service") as caught:
        local = LocalTaskcluster()
    assert said in str(caught[0].message)
    with local:
        assert a_client(local).ping()["alive"] is True
        assert requests.get(f"{local.root_url}/api/gadgets/v1/ping", timeout=60).status_code == 404
    LocalTaskcluster()


@pytest.mark.filterwarnings("ignore::taskcluster.plugins.PluginWarning")
@pytest.mark.parametrize("made", [fails, lambda context: {"other": fails}])
def test_failing_handlers_disable_one_service_only(install: Install, made: Any) -> None:
    install("gadgets", LocalService(a_reference("gadgets"), made))
    install("widgets", LocalService(a_reference(), handlers))
    with LocalTaskcluster() as local:
        assert a_client(local).ping()["alive"] is True
        gadgets = a_client(local, reference=a_reference("gadgets"))
        assert "the plugin of gadgets failed when this deployment started" in refusal(lambda: gadgets.melt("a"))[2]


def test_disables_plugins_by_environment(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("vault", taskcluster_local_services=hookimpl(fails))
    install("widgets", LocalService(a_reference(), handlers))
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "vault, widgets")
    with LocalTaskcluster() as local:
        assert requests.get(f"{local.root_url}/api/widgets/v1/ping", timeout=60).status_code == 404
    # An entry point without a distribution.
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "an unknown distribution:widgets, vault")
    assert registry_module.registry.services() == ()
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "another:widgets, vault")
    with LocalTaskcluster() as local:
        assert requests.get(f"{local.root_url}/api/widgets/v1/ping", timeout=60).status_code == 200
