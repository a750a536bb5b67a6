"""Tests of plugins that add services, and of broken plugins."""

from __future__ import annotations

import re
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import requests

import taskcluster
from taskcluster.client import BaseClient, createApiClient
from taskcluster.plugins import hookimpl as core_hookimpl
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
    PlainHandler,
    PluginWarning,
    Reply,
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


def fails_with_secret(*_: Any) -> Any:
    raise RuntimeError("cannot log in with password=no-secret")


def broken() -> dict[str, tuple[dict[str, Any], str]]:
    good = LocalService(a_reference("gadgets"), handlers)
    no_verb = {**a_reference("gadgets"), "methods": [{"name": "x", "route": "/", "args": []}]}
    return {
        "raises": ({"taskcluster_local_services": hookimpl(fails)}, "RuntimeError: out of order"),
        "raises a secret": (
            {"taskcluster_local_services": hookimpl(fails_with_secret)},
            "RuntimeError: cannot log in with password=…",
        ),
        "unknown hook": (
            {"taskcluster_local_service": hookimpl(lambda: None)},
            "unknown hook 'taskcluster_local_service'; did you mean 'taskcluster_local_services'?",
        ),
        "no hook": (
            {"taskcluster_local_services": core_hookimpl(lambda: [good])},
            "it implements no hook: mark a function with taskcluster_local.plugins.hookimpl "
            "(taskcluster_local_services)",
        ),
        "no service": (
            {"services": [3]},
            "taskcluster_local_services must return a list of LocalService, not of int",
        ),
        "nothing": (
            {"taskcluster_local_services": hookimpl(lambda: None)},
            "taskcluster_local_services must return a list of LocalService, not of NoneType",
        ),
        "no function": (
            {"services": [LocalService(a_reference("gadgets"), {})]},  # type: ignore[arg-type]
            "the service 'gadgets' must have a function as `handlers`, not dict",
        ),
        "no reference": ({"services": [LocalService({}, handlers)]}, "KeyError: 'serviceName'"),
        "a wrong reference": ({"services": [LocalService(no_verb, handlers)]}, "KeyError: 'method'"),
        "one of ours": (
            {"services": [LocalService(a_reference("queue"), handlers)]},
            "service 'queue' is already registered, by the deployment itself",
        ),
        "twice": ({"services": [good, good]}, "service 'gadgets' is already registered, by the plugin 'gad"),
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


async def wrong_handlers(context: Context) -> dict[str, Any]:
    raise AssertionError("never awaited")


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (fails, r"RuntimeError: out of order \(test_plugins.py, line \d+\)"),
        (fails_with_secret, r"RuntimeError: cannot log in with password=… \(test_plugins.py, line \d+\)"),
        (lambda: {"melt": fails}, "TypeError: .* takes 0 positional arguments but 1 was given"),
        (lambda context: None, "`handlers` must return a mapping of handlers by method name, not NoneType"),
        (wrong_handlers, "TaskclusterFailure: `handlers` must be a plain function that returns a mapping"),
        (
            lambda context: {"mellt": fails},
            "there are handlers for mellt, which are not methods of its reference; did you mean 'melt' instead",
        ),
        (lambda context: {"melt": "hot"}, "the handler of melt must be a function, not str"),
        (lambda context: context.as_time_passes(5), "as_time_passes needs a function, not int"),
    ],
    ids=["raises", "secret", "arguments", "nothing", "async", "unknown", "handler", "job"],
)
def test_failing_handlers_disable_one_service_only(install: Install, build: Any, problem: str) -> None:
    install("gadgets", LocalService(a_reference("gadgets"), build))
    install("widgets", LocalService(a_reference(), handlers))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with LocalTaskcluster() as local:
            assert a_client(local).ping()["alive"] is True
            gadgets = a_client(local, reference=a_reference("gadgets"))
            assert "the plugin of gadgets failed when this deployment started" in refusal(lambda: gadgets.melt("a"))[2]
    (warning,) = (each for each in caught if each.category is PluginWarning)
    start = "the service 'gadgets' has no handlers: the plugin 'gadgets' of an unknown distribution: "
    assert re.match(f"{start}{problem}", str(warning.message))


def refusal_of(handler: Any, install: Install, caplog: pytest.LogCaptureFixture) -> tuple[int, str, str]:
    """Return the error of a plugin whose service has this handler, after checking that the log names the plugin."""
    install("widgets", LocalService(a_reference(), lambda context: {"task": handler}))
    with LocalTaskcluster() as local:
        found = refusal(lambda: a_client(local).task("a"))
        assert a_client(local).ping()["alive"] is True
    (record,) = (each for each in caplog.records if each.name == "taskcluster.local")
    assert record.exc_info is not None
    assert str(record.exc_info[1]).startswith("the plugin 'widgets' of an unknown distribution failed to handle")
    return found


async def async_text(call: HandlerCall) -> Any:
    return "text"


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (fails, "RuntimeError: out of order"),
        (fails_with_secret, "RuntimeError: cannot log in with password=…"),
        (lambda: {"melt": fails}, "takes 0 positional arguments but 1 was given"),
        (async_text, "it must return a dict, a list or a Reply, not str"),
        (lambda call: None, "it must return a dict, a list or a Reply, not NoneType"),
        (lambda call: {"when": {1}}, "TypeError: "),
        (lambda call: Reply(200, [object()]), "TypeError: "),
        (lambda call: Reply("200"), "the status of a Reply must be an integer from 200 to 599, not '200'"),  # type: ignore[arg-type]
    ],
    ids=["raises", "secret", "arguments", "text", "nothing", "set", "object", "status"],
)
def test_failing_handler_names_its_plugin(
    install: Install, caplog: pytest.LogCaptureFixture, handler: Any, problem: str
) -> None:
    status, code, text = refusal_of(handler, install, caplog)
    assert (status, code) == (500, "InternalServerError")
    assert ": the plugin 'widgets' of an unknown distribution failed to handle widgets.task: " in text
    assert problem in text
    assert "no-secret" not in text


def test_handlers_may_be_plain_functions(install: Install) -> None:
    def task(call: HandlerCall) -> Reply:
        return Reply(201, {"name": call.params["name"]})

    def melt(call: HandlerCall) -> dict[str, Any]:
        raise ApiError("RequestConflict", "It has melted already")

    def build(context: Context) -> dict[str, PlainHandler]:
        return {"task": task, "melt": melt}

    install("widgets", LocalService(a_reference(), build))
    with LocalTaskcluster() as local:
        assert a_client(local).task("a") == {"name": "a"}
        assert refusal(lambda: a_client(local).melt("a"))[:2] == (409, "RequestConflict")


def test_failing_job_names_its_plugin(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def build(context: Context) -> dict[str, Any]:
        async def finish() -> None:
            done.append("async")

        # What a job returns does not matter.
        for job in (fails, lambda: done.append("plain") or 1, finish):  # type: ignore[func-returns-value]
            context.as_time_passes(job)
        return {}

    install("widgets", LocalService(a_reference(), build))
    with LocalTaskcluster() as local:
        local.advance(minutes=1)
    assert {"plain", "async"} <= set(done)
    message = (
        "the plugin 'widgets' of an unknown distribution failed in a periodic job of the service 'widgets': "
        "RuntimeError: out of order"
    )
    assert {record.getMessage() for record in caplog.records if record.name == "taskcluster.local"} == {message}


class Distributed(EntryPoint):
    """An entry point of a named distribution."""

    @property
    def dist(self) -> Any:
        return types.SimpleNamespace(name=f"dist-{self.value}")


def test_warns_of_two_plugins_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [Distributed(name, value, "taskcluster_local") for name, value in (("widgets", "a"), ("Widgets", "b"))]
    registry = LocalRegistry(lambda: points)
    remedy = "it comes from more than one distribution: dist-a and dist-b .*TASKCLUSTER_DISABLE_PLUGINS=dist-b:Widgets"
    with pytest.warns(PluginWarning, match=f"^the plugin 'widgets' adds no service to the local deployment: {remedy}"):
        assert registry.services() == ()
    # Once.
    assert registry.services() == ()
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "dist-b:Widgets,widgets")
    assert registry.services() == ()


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
