"""Payloads are validated before a request if the option `validate` or the environment says so."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

import taskcluster
from taskcluster import exceptions
from taskcluster.validation import problems

from .conftest import ROOT, ClientMode, Wire

TYPES: dict[str, Any] = {
    "widgets/v1/make-widget.json": {
        "$id": "/schemas/widgets/v1/make-widget.json#",
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "size": {"$ref": "measures.json#/definitions/size"},
            "made": {"type": "string", "format": "date-time"},
            "owner": {"type": "string", "format": "email"},
            "source": {"type": "string", "format": "uri"},
            "address": {"oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
            "color": {"enum": ["red", "green"]},
            "parts": {"type": "array", "items": {"type": "integer", "minimum": 1}, "uniqueItems": True, "maxItems": 20},
            "priority": {"type": "string", "default": "low"},
            "labels": {
                "type": "object",
                "patternProperties": {"^x-": {"type": "string"}},
                "additionalProperties": False,
            },
            "odd": {"type": "string", "pattern": r"^\p{L}+$"},
            "never": {"not": {}},
            "storage": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"kind": {"const": "disk"}, "path": {"type": "string"}},
                        "required": ["kind", "path"],
                        "additionalProperties": False,
                    },
                    {
                        "type": "object",
                        "properties": {"kind": {"const": "cloud"}, "bucket": {"type": "string"}},
                        "required": ["kind", "bucket"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
        "required": ["name", "priority"],
        "additionalProperties": False,
    },
    "widgets/v1/measures.json": {"definitions": {"size": {"type": "integer", "multipleOf": 10}}},
    "widgets/v1/trigger.json": None,
}


@pytest.fixture
def widgets(mode: ClientMode, reference: dict[str, Any]) -> Callable[..., Any]:
    """Return a factory of clients with schemas in their reference."""

    def make(types: dict[str, Any] = TYPES, **options: Any) -> Any:
        made = mode.module.createApiClient("Widgets", {**reference, "types": types})
        return made({"rootUrl": ROOT, "delayFactor": 0, "validate": True, **options})

    return make


def refusal(mode: ClientMode, call: Callable[[], Any]) -> str:
    """Return the error message of a call that is rejected before any request."""
    with pytest.raises(exceptions.TaskclusterFailure) as raised:
        mode.run(call())
    assert type(raised.value) is exceptions.TaskclusterFailure
    return str(raised.value)


@pytest.mark.parametrize(
    ("payload", "wrong"),
    [
        ({}, "name is missing"),
        ({"name": 5}, "name must be string"),
        ({"name": "ab\n"}, "name must match ^[a-z]+$"),
        ({"name": "abcdef"}, "name must have 5 characters or fewer"),
        ({"name": "a", "colour": "red"}, "colour is not known; did you mean 'color'?"),
        ({"name": "a", "color": "blue"}, 'color must be one of "red", "green"'),
        ({"name": "a", "size": 15}, "size must be a multiple of 10"),
        ({"name": "a", "parts": [1, 0]}, "parts[1] must be 1 or more"),
        ({"name": "a", "parts": [1, 1]}, "parts must not contain the same item twice"),
        ({"name": "a", "labels": {"x-a": 1}}, "labels['x-a'] must be string"),
        ({"name": "a", "labels": {"y": ""}}, "labels.y is not known"),
        ({"name": "a", "made": "2030-02-28"}, "made must be of the format date-time"),
        ({"name": "a", "made": "tomorrow"}, "made must be of the format date-time"),
        ({"name": "a", "made": "2030-02-30T00:00:00Z"}, "made must be of the format date-time"),
        ({"name": "a", "owner": "nobody"}, "owner must be of the format email"),
        ({"name": "a", "source": "here"}, "source must be of the format uri"),
        ({"name": "a", "address": "1.2.3"}, "address must be of the format ipv4"),
        ({"name": "a", "storage": {"kind": "cloud"}}, "storage.bucket is missing"),
        ({"name": "a", "storage": {"kind": "disk", "path": 1}}, "storage.path must be string"),
        ({"name": "a", "never": 1}, "never has a form that the schema excludes"),
        ([], "the payload must be object"),
        ({"name": 1, "size": "x"}, "name must be string; size must be integer"),
    ],
)
def test_error_of_an_invalid_payload_names_key_and_rule(
    mode: ClientMode, wire: Wire, widgets: Callable[..., Any], payload: Any, wrong: str
) -> None:
    message = refusal(mode, lambda: widgets().makeWidget("w", payload=payload))
    expected = "makeWidget: nothing was sent, the payload does not fit widgets/v1/make-widget.json: "
    assert message == expected + wrong
    assert not wire.sent


@pytest.mark.parametrize(
    "payload",
    [
        {"name": "abc", "size": 20, "parts": [1, 2], "color": "red", "labels": {"x-y": "z"}},
        {"name": "a", "storage": {"kind": "disk", "path": "/"}},
        # As in JSON.
        {"name": "a", "made": datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc), "owner": b"a@b.example"},
        {"name": "a", "made": "2016-12-31T23:59:60Z"},
        {"name": "a", "address": "::1", "source": "https://example.com/a"},
        # Python cannot compile this pattern; the server can.
        {"name": "a", "odd": "é"},
    ],
)
def test_a_valid_payload_is_sent(mode: ClientMode, wire: Wire, widgets: Callable[..., Any], payload: Any) -> None:
    wire.respond(200, {})
    assert mode.run(widgets().makeWidget("w", payload)) == {}
    assert wire.last.json["name"] == payload["name"]


def test_errors_show_no_value(mode: ClientMode, wire: Wire, widgets: Callable[..., Any]) -> None:
    secret = "hunter2"
    for key in TYPES["widgets/v1/make-widget.json"]["properties"]:
        for value in (secret, [secret], {"kind": secret}):
            message = refusal(mode, lambda key=key, value=value: widgets().makeWidget("w", {"name": 1, key: value}))  # type: ignore[misc]
            assert secret not in message
    assert not wire.sent


def test_error_lists_only_the_first_of_many(mode: ClientMode, widgets: Callable[..., Any]) -> None:
    message = refusal(mode, lambda: widgets().makeWidget("w", {"name": "a", "parts": [0] * 15}))
    assert message.count("must be 1 or more") == 10
    assert message.endswith("; and more")


def test_payloads_without_a_schema_are_not_checked(mode: ClientMode, wire: Wire, widgets: Callable[..., Any]) -> None:
    wire.respond(200, {}, times=2)
    mode.run(widgets({}).makeWidget("w", {"anything": 1}))
    mode.run(widgets().widget("w"))
    assert "an object" not in refusal(mode, lambda: widgets().triggerWidget("w", "token", [1]))
    assert len(wire.sent) == 2


def test_error_of_a_broken_schema_shows_no_payload(mode: ClientMode, wire: Wire, widgets: Callable[..., Any]) -> None:
    broken = {"widgets/v1/make-widget.json": {"properties": {"name": {"$ref": "nowhere.json#"}}}}
    message = refusal(mode, lambda: widgets(broken).makeWidget("w", {"name": "hunter2"}))
    assert "widgets/v1/make-widget.json cannot check" in message
    assert "hunter2" not in message
    assert not wire.sent


def test_payloads_are_not_checked_by_default(mode: ClientMode, wire: Wire, widgets: Callable[..., Any]) -> None:
    wire.respond(200, {}, times=2)
    for options in ({"validate": False}, {"validate": None}):
        mode.run(widgets(**options).makeWidget("w", {"name": 1}))
    assert len(wire.sent) == 2


@pytest.mark.parametrize(("value", "checks"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_the_environment_variable_is_the_default(
    mode: ClientMode,
    wire: Wire,
    widgets: Callable[..., Any],
    environment: Callable[..., None],
    value: str,
    checks: bool,
) -> None:
    environment(VALIDATE=value)
    wire.respond(200, {}, times=2)
    if checks:
        refusal(mode, lambda: widgets(validate=None).makeWidget("w", {}))
    else:
        mode.run(widgets(validate=None).makeWidget("w", {}))
    mode.run(widgets(validate=False).makeWidget("w", {}))


def test_the_option_may_change_between_calls(mode: ClientMode, wire: Wire, widgets: Callable[..., Any]) -> None:
    wire.respond(200, {})
    client = widgets()
    refusal(mode, lambda: client.makeWidget("w", {}))
    client.options["validate"] = False
    mode.run(client.makeWidget("w", {}))


def test_the_option_is_a_boolean(mode: ClientMode, wire: Wire, widgets: Callable[..., Any]) -> None:
    client = widgets(validate="yes")
    with pytest.raises(exceptions.TaskclusterFailure, match=r"validate must be True or False, not 'yes'"):
        mode.run(client.ping())
    assert not wire.sent


def test_problems_of_a_value_name_keys_and_hide_values() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "sizes": {"type": "array", "items": {"type": "integer"}}},
        "additionalProperties": False,
    }
    assert problems(schema, {"name": "x", "sizes": [1]}) == []
    assert problems(schema, {"nam": 1, "sizes": ["secret"]}) == [
        "sizes[0] must be integer",
        "nam is not known; did you mean 'name'?",
    ]
    assert problems(schema, {"sizes": ["secret"] * 20})[9:] == ["sizes[9] must be integer", "and more"]


@pytest.mark.services
def test_services_have_schemas(mode: ClientMode, wire: Wire) -> None:
    queue = mode.client(validate=True)
    message = refusal(mode, lambda: queue.createTask("fN1SbArXTPSVFNUvaOlinQ", {"metadata": {"name": "a"}, "retry": 1}))
    assert "deadline is missing" in message
    assert "metadata.owner is missing" in message
    assert "retry is not known; did you mean 'retries'?" in message
    secrets = mode.client("Secrets", validate=True)
    message = refusal(mode, lambda: secrets.set("a", {"secret": "hunter2", "expires": "2030-01-01T00:00:00Z"}))
    assert message.endswith("secret must be object")
    assert not wire.sent


def test_error_without_jsonschema_says_what_to_install(python: Callable[..., str]) -> None:
    program = """
import sys
sys.modules["jsonschema"] = None
import taskcluster
from taskcluster.client import BaseClient
class Widgets(BaseClient):
    serviceName, apiVersion = "widgets", "v1"
    funcinfo = {"ping": {"name": "ping", "method": "get", "route": "/ping", "args": []}}
Widgets({"rootUrl": "https://tc.example.com"})
widgets = Widgets({"rootUrl": "https://tc.example.com", "validate": True})
try:
    widgets._call("ping", (), {})
except taskcluster.exceptions.TaskclusterFailure as exc:
    print(exc)
"""
    assert "pip install 'jsonschema>=4.18'" in python(program)


def test_loads_nothing_when_disabled(python: Callable[..., str]) -> None:
    program = """
import sys
from taskcluster.client import createApiClient
entry = {"type": "function", "name": "make", "method": "put", "route": "/", "args": [], "input": "v1/a.json#"}
Widgets = createApiClient("Widgets", {"serviceName": "widgets", "apiVersion": "v1", "entries": [entry]})
widgets = Widgets({"rootUrl": "http://127.0.0.1:1", "maxRetries": 0})
try:
    widgets.make({})
except Exception as exc:
    print(type(exc).__name__, [name for name in sys.modules if name.endswith(("jsonschema", ".validation"))])
"""
    assert python(program, TASKCLUSTER_VALIDATE="") == "TaskclusterConnectionError []"


def test_a_service_without_schemas_is_not_checked(wire: Wire, reference: dict[str, Any]) -> None:
    entries = {entry["name"]: entry for entry in reference["entries"]}

    class Gadgets(taskcluster.client.BaseClient):
        serviceName, apiVersion = "gadgets", "v1"
        funcinfo = entries

        def makeWidget(self, *args: Any, **kwargs: Any) -> Any:
            return self._call("makeWidget", args, kwargs)

    wire.respond(200, {})
    assert Gadgets({"rootUrl": ROOT, "validate": True}).makeWidget("w", {}) == {}
