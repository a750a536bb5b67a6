"""Test the methods and exchanges of all clients, sync and async, against the specs."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import taskcluster
import taskcluster.aio
from taskcluster.aio.asyncclient import AsyncBaseClient
from taskcluster.client import BaseClient, BaseEvents

from .facts import EXCHANGES, METHODS, PAGINATED, ROOT, SPECS, Entry, camel, filled, resolved

OPTIONS = {"rootUrl": "https://tc.example.com"}
MODES = {"sync": (taskcluster, BaseClient), "async": (taskcluster.aio, AsyncBaseClient)}

each_mode = pytest.mark.parametrize("mode", MODES)
each_method = pytest.mark.parametrize("method", METHODS, ids=str)
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES, ids=str)
each_service = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def class_of(spec: dict[str, Any], mode: str) -> Any:
    return getattr(MODES[mode][0], spec["className"])


def words(docstring: str | None) -> str:
    """Return a docstring without its line breaks."""
    assert docstring is not None
    return " ".join(docstring.split())


def test_number_of_methods_and_exchanges():
    numbers = len(SPECS), len(METHODS), len(EXCHANGES)
    assert numbers == (11, 196, 37), f"if this is intended, change it in {Path(__file__).relative_to(ROOT)}"


@each_mode
@each_service
def test_client_has_exactly_the_spec_methods(spec, mode):
    client, base = class_of(spec, mode), MODES[mode][1]
    assert issubclass(client, base)
    assert client.__name__ == spec["className"]
    assert client.serviceName == spec["serviceName"]
    assert client.apiVersion == spec["apiVersion"]
    names = [method["name"] for method in spec["methods"]]
    assert list(client.funcinfo) == names
    assert [name for name, value in vars(client).items() if inspect.isfunction(value)] == names
    assert spec["description"] in words(client.__doc__)


@each_service
def test_class_options_are_not_shared(spec):
    classes = [class_of(spec, mode) for mode in MODES]
    for client in classes:
        assert vars(client)["classOptions"] == {}
    if "eventsClassName" in spec:
        events = getattr(taskcluster, spec["eventsClassName"])
        assert vars(events)["classOptions"] == {"exchangePrefix": spec["exchangePrefix"]}
        classes.append(events)
    assert len({id(client.classOptions) for client in classes}) == len(classes)


@each_mode
@each_method
def test_funcinfo_matches_spec(method, mode):
    client, entry = class_of(method.spec, mode), method.entry
    told = {
        "args": entry["args"],
        "input": method.reference("input"),
        "method": entry["method"],
        "name": entry["name"],
        "output": method.reference("output"),
        "query": entry.get("query"),
        "route": entry["route"],
        "stability": entry["stability"],
        "removedBefore": entry.get("removedBefore"),
        "emptyArgs": entry.get("emptyArgs"),
    }
    assert client.funcinfo[entry["name"]] == {key: value for key, value in told.items() if value is not None}


@each_mode
@each_method
def test_method_signature_names_parameters(method, mode):
    function = inspect.getattr_static(class_of(method.spec, mode), method.entry["name"])
    assert inspect.isfunction(function)
    assert inspect.iscoroutinefunction(function) == (mode == "async")
    entry = method.entry
    query = entry.get("query", [])
    options = {"continuationToken": "paginationHandler", "limit": "paginationLimit"}
    pages = [option for name, option in options.items() if {name, "continuationToken"} <= {*query}]
    names = [*entry["args"], *(["payload"] if "input" in entry else []), "query", *query, *pages]
    said = ", ".join(["self", "*args", *(f"{name}=..." for name in names), "**kwargs"])
    assert str(inspect.signature(function)) == f"({said})"


@each_mode
@each_method
def test_method_docstring_is_complete(method, mode):
    entry = method.entry
    said = words(getattr(class_of(method.spec, mode), entry["name"]).__doc__)
    assert said.startswith(entry["title"])
    assert " ".join(entry["description"].split()) in said
    assert f"``{entry['method'].upper()} {entry['route']}`` · {entry['stability']} · " in said
    for name in (*entry["args"], *entry.get("query", ())):
        assert f"`{name}`" in said
    if entry["args"]:
        assert f"Path parameters: `{entry['args'][0]}`" in said
    if "query" in entry:
        assert f"Query parameters: `{entry['query'][0]}`" in said
    for label, schema in (("Payload", entry.get("input")), ("Returns", entry.get("output"))):
        assert_names_type(said, label, schema)
    assert ("(may be empty)" in said) == ("emptyArgs" in entry)
    assert (f"Removed in Taskcluster {entry.get('removedBefore')}" in said) == ("removedBefore" in entry)
    assert (f"added after Taskcluster {entry.get('addedAfter')}" in said) == ("addedAfter" in entry)
    for scope in scopes_in(entry.get("scopes", [])):
        assert f"`{scope}`" in said
    assert said.endswith("no scopes") == ("scopes" not in entry and "addedAfter" not in entry)


def assert_names_type(said: str, label: str, schema: str | None) -> None:
    """Assert that a docstring says where to import the type of a schema from."""
    named = re.findall(rf"{label}: `(taskcluster_\w+\.types)\.(\w+)`", said)
    assert len(named) == (0 if schema is None else 1)
    for module, name in named:
        assert name.startswith(camel(Path(schema or "").stem))
        assert hasattr(importlib.import_module(module), name)


def scopes_in(expression: Any) -> list[str]:
    match expression:
        case str():
            return [expression]
        case list():
            return [scope for part in expression for scope in scopes_in(part)]
        case {"each": scope}:
            return [scope]
        case dict():
            return [s for key, part in expression.items() if key != "if" for s in scopes_in(part)]
    raise AssertionError(expression)


@each_service
def test_docstrings_are_equal_in_both_modes(spec):
    sync_client, async_client = (class_of(spec, mode) for mode in MODES)
    for method in spec["methods"]:
        assert getattr(sync_client, method["name"]).__doc__ == getattr(async_client, method["name"]).__doc__


@each_mode
@each_method
def test_build_url_fills_the_route(method, mode):
    spec, entry = method.spec, method.entry
    client = class_of(spec, mode)(OPTIONS)
    prefix = f"https://tc.example.com/api/{spec['serviceName']}/{spec['apiVersion']}"
    plain = {name: f"{name}-{number}" for number, name in enumerate(entry["args"])}
    assert client.buildUrl(entry["name"], *plain.values()) == prefix + filled(entry["route"], plain)
    assert client.buildUrl(entry["name"], **plain) == prefix + filled(entry["route"], plain)
    odd = {name: f"{name}/ü %?#" for name in entry["args"]}
    quoted = {name: f"{name}%2F%C3%BC%20%25%3F%23" for name in entry["args"]}
    assert client.buildUrl(entry["name"], *odd.values()) == prefix + filled(entry["route"], quoted)
    for name in entry.get("query", ()):
        expected = f"{prefix}{filled(entry['route'], plain)}?{name}=1"
        assert client.buildUrl(entry["name"], *plain.values(), query={name: "1"}) == expected


@pytest.mark.parametrize("method", PAGINATED, ids=str)
def test_page_schema_has_one_list(method: Entry):
    spec, file = method.spec, method.entry["output"]
    file, schema = resolved(spec, file, spec["types"][file])
    kinds = {name: resolved(spec, file, part)[1].get("type") for name, part in schema["properties"].items()}
    assert kinds["continuationToken"] == "string"
    assert list(kinds.values()).count("array") == 1
    assert "continuationToken" not in schema.get("required", ())


@each_service
def test_events_class_has_exactly_the_spec_exchanges(spec):
    name = spec.get("eventsClassName")
    if name is None:
        package = importlib.import_module(f"taskcluster_{spec['serviceName'].replace('-', '_')}")
        assert package.__all__ == [spec["className"]]
        return
    events = getattr(taskcluster, name)
    assert events is getattr(taskcluster.aio, name)
    assert issubclass(events, BaseEvents)
    assert events.exchangePrefix == spec["exchangePrefix"]
    names = [exchange["name"] for exchange in spec["exchanges"]]
    assert list(events.exchanges) == names
    assert [key for key, value in vars(events).items() if inspect.isfunction(value)] == names
    assert spec["eventsDescription"] in words(events.__doc__)


@each_exchange
def test_exchange_data_matches_spec(exchange):
    events, entry = getattr(taskcluster, exchange.spec["eventsClassName"]), exchange.entry
    told = {
        "exchange": entry["exchange"],
        "name": entry["name"],
        "routingKey": [
            {key: word[key] for key in ("constant", "multipleWords", "name") if key in word}
            for word in entry["routingKey"]
        ],
    }
    if entry["schema"] is not None:
        told["schema"] = exchange.reference("schema")
    assert events.exchanges[entry["name"]] == told
    said = words(getattr(events, entry["name"]).__doc__)
    assert entry["description"] in said
    assert f"``{exchange.spec['exchangePrefix']}{entry['exchange']}``" in said
    for word in entry["routingKey"]:
        assert f"`{word['name']}`: {word['summary']}" in said


@each_exchange
def test_exchange_returns_routing_key_pattern(exchange):
    events = getattr(taskcluster, exchange.spec["eventsClassName"])(OPTIONS)
    entry = exchange.entry
    pattern = ".".join(word.get("constant") or ("#" if word["multipleWords"] else "*") for word in entry["routingKey"])
    assert getattr(events, entry["name"])() == {
        "exchange": exchange.spec["exchangePrefix"] + entry["exchange"],
        "routingKeyPattern": pattern,
    }
    filled_in = {word["name"]: f"{word['name']}-1" for word in entry["routingKey"] if "constant" not in word}
    parts = [word.get("constant") or f"{word['name']}-1" for word in entry["routingKey"]]
    assert getattr(events, entry["name"])(**filled_in)["routingKeyPattern"] == ".".join(parts)


@each_mode
@each_method
def test_only_removed_methods_warn(method, mode):
    entry = method.entry
    client = class_of(method.spec, mode)(OPTIONS, session=Unusable())
    arguments = [*entry["args"], *([{}] if "input" in entry else [])]

    async def call_and_await():
        await getattr(client, entry["name"])(*arguments)

    def call():
        if mode == "async":
            asyncio.run(call_and_await())
        else:
            getattr(client, entry["name"])(*arguments)

    if "removedBefore" not in entry:
        with pytest.raises(Unusable.Touched):
            call()
        return
    said = re.escape(f"{method} was removed in Taskcluster {entry['removedBefore']}")
    with pytest.warns(DeprecationWarning, match=said) as caught, pytest.raises(Unusable.Touched):
        call()
    assert [warning.filename for warning in caught] == [__file__]


class Unusable:
    """A session that raises when it is used, so that no request is sent."""

    class Touched(Exception):
        pass

    def _touched(self):
        raise self.Touched

    request = send = headers = timeout = property(_touched)
