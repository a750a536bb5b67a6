"""Test the conversion of references to specs, and errors for invalid ones."""

import copy
import json

import pytest

from taskcluster_codegen.references import class_name, served, text, updated
from taskcluster_codegen.spec import SpecError, parse

API = {
    "$schema": "/schemas/common/api-reference-v0.json#",
    "apiVersion": "v1",
    "serviceName": "widget-store",
    "title": "Widget Store",
    "description": "Keeps widgets.\n",
    "entries": [
        {
            "type": "function",
            "method": "put",
            "route": "/widget/<name>",
            "query": [],
            "args": ["name"],
            "name": "set",
            "stability": "stable",
            "title": "Set Widget",
            "category": "Widgets",
            "description": "\tSets it.  \n",
            "input": "v1/widget.json#",
            "output": "v1/result.json#",
            "scopes": "widgets:set:<name>",
            "added by a newer deployment": True,
        }
    ],
}
EXCHANGES = {
    "$schema": "/schemas/common/exchanges-reference-v0.json#",
    "apiVersion": "v1",
    "serviceName": "widget-store",
    "title": "Widget News",
    "description": "Announces widgets.",
    "exchangePrefix": "exchange/widget-store/v1/",
    "entries": [
        {
            "type": "topic-exchange",
            "exchange": "widget-made",
            "name": "widgetMade",
            "title": "Widget Made",
            "description": "",
            "routingKey": [{"name": "name", "summary": "Its\nname", "required": True}],
        }
    ],
}
DOCUMENTS = {
    "/references/widget-store/v1/api.json": API,
    "/references/widget-store/v1/exchanges.json": EXCHANGES,
    "/schemas/widget-store/v1/widget.json": {
        "$id": "https://tc.example.com/schemas/widget-store/v1/widget.json#",
        "$schema": "https://tc.example.com/schemas/common/metaschema.json#",
        "type": "object",
        "properties": {"parts": {"items": {"$ref": "parts/part.json#/definitions/x"}}, "self": {"$ref": "#"}},
    },
    "/schemas/widget-store/v1/parts/part.json": {"definitions": {"x": {"$ref": "../widget.json#"}}},
    "/schemas/widget-store/v1/result.json": {"$id": "x", "$schema": "y"},
    "/schemas/widget-store/v1/unused.json": {"type": "null"},
}


def read_from(documents):
    return lambda path: copy.deepcopy(documents.get(path))


def changed(path, **more):
    """Return the documents with one of them changed; keys with the value `...` are removed."""
    document = {key: value for key, value in {**DOCUMENTS[path], **more}.items() if value is not ...}
    return {**DOCUMENTS, path: document}


def entry(**more):
    return changed("/references/widget-store/v1/api.json", entries=[{**API["entries"][0], **more}])


def test_references_to_spec():
    data = served(read_from(DOCUMENTS), "widget-store", "v1")
    spec = parse(text(data), "w.json")
    assert (spec.className, spec.eventsClassName, spec.exchangePrefix) == (
        "WidgetStore",
        "WidgetStoreEvents",
        "exchange/widget-store/v1/",
    )
    [method] = spec.methods
    assert (method.description, method.query, method.input) == ("Sets it.", (), "widget-store/v1/widget.json")
    assert (spec.description, spec.eventsDescription) == ("Keeps widgets.", "Announces widgets.")
    [exchange] = spec.exchanges
    assert (exchange.description, exchange.schema, exchange.routingKey[0].summary) == ("Widget Made", None, "Its name")


def test_only_used_types_without_ids():
    types = served(read_from(DOCUMENTS), "widget-store", "v1")["types"]
    assert list(types) == [
        "widget-store/v1/parts/part.json",
        "widget-store/v1/result.json",
        "widget-store/v1/widget.json",
    ]
    assert types["widget-store/v1/result.json"] is None
    assert types["widget-store/v1/widget.json"].keys() == {"type", "properties"}


def test_facts_missing_in_references_are_kept():
    data = served(read_from(DOCUMENTS), "widget-store", "v1")
    data["className"], data["methods"][0]["title"] = "Store", "Another Title"
    data["methods"][0] |= {"emptyArgs": ["name"], "addedAfter": "72.0.1"}
    gone = {**data["methods"][0], "name": "melt", "removedBefore": "113.2.0", "input": "widget-store/v1/unused.json"}
    dropped = {**data["methods"][0], "name": "dropped"}
    data["methods"] += [gone, dropped]
    data["types"]["widget-store/v1/unused.json"] = {"type": "null"}
    spec = updated(parse(text(data), "w.json"), read_from(DOCUMENTS))
    assert (spec.file, spec.className, spec.eventsClassName) == ("w.json", "Store", "WidgetStoreEvents")
    assert [method.name for method in spec.methods] == ["set", "melt"]
    first = spec.methods[0]
    assert (first.title, first.emptyArgs, first.addedAfter) == ("Set Widget", ("name",), "72.0.1")
    assert spec.types["widget-store/v1/unused.json"] == {"type": "null"}


def test_equal_spec_keeps_its_formatting():
    spec = parse(json.dumps(served(read_from(DOCUMENTS), "widget-store", "v1")), "w.json")
    assert updated(spec, read_from(DOCUMENTS)) is spec


@pytest.mark.parametrize(
    ("service", "name"), [("queue", "Queue"), ("web-server", "WebServer"), ("purge-cache", "PurgeCache")]
)
def test_class_names(service, name):
    assert class_name(service) == name


PLACE = "/references/widget-store/v1"
REFUSED = {
    "no service": ({}, f"{PLACE}/api.json: no reference for service 'widget-store'"),
    "another service": (changed(f"{PLACE}/api.json", serviceName="x"), f"{PLACE}/api.json: must be for service"),
    "other exchanges": (changed(f"{PLACE}/exchanges.json", apiVersion="v2"), f"{PLACE}/exchanges.json: must be for"),
    "no object": ({**DOCUMENTS, f"{PLACE}/api.json": []}, f"{PLACE}/api.json: must be a JSON object"),
    "no entries": (changed(f"{PLACE}/api.json", entries=...), f"{PLACE}/api.json: missing list 'entries'"),
    "an odd entry": (
        changed(f"{PLACE}/api.json", entries=[1]),
        f"{PLACE}/api.json: an entry must be a JSON object, not 1",
    ),
    "an entry of another kind": (entry(type="topic"), f"{PLACE}/api.json: set: type must be 'function', not 'topic'"),
    "odd prose": (entry(title=["x"]), f"{PLACE}/api.json: set: title and description must be strings"),
    "an odd schema": (entry(input=3), f"{PLACE}/api.json: set: a schema's name must be a string, not 3"),
    "a schema elsewhere": (entry(input="https://example.com/x.json#"), f"{PLACE}/api.json: set: refers to 'https:"),
    "a schema of others": (entry(input="/schemas/queue/v1/task.json#"), f"{PLACE}/api.json: set: refers to '/schemas"),
    "a schema above": (entry(input="v1/../../../x.json#"), f"{PLACE}/api.json: set: refers to '/x.json'"),
    "no such schema": (entry(input="v1/x.json#"), "/schemas/widget-store/v1/x.json: not found, but referenced"),
    "a reference elsewhere": (
        changed("/schemas/widget-store/v1/result.json", items={"$ref": "file:///etc/passwd"}),
        "/schemas/widget-store/v1/result.json: refers to 'file:///etc/passwd', which is not a schema of this service",
    ),
    "an odd routing key": (
        changed(f"{PLACE}/exchanges.json", entries=[{**EXCHANGES["entries"][0], "routingKey": ["x"]}]),
        f"{PLACE}/exchanges.json: widgetMade: routingKey must be a list of JSON objects",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_invalid_references_are_rejected(what):
    documents, message = REFUSED[what]
    with pytest.raises(SpecError) as caught:
        served(read_from(documents), "widget-store", "v1")
    assert str(caught.value).startswith(message)


def test_too_many_schemas_are_rejected():
    def read(path):
        if path.startswith("/schemas/"):
            return {"$ref": f"x{path}".rpartition("/")[2].replace(".json", "x.json")}
        return DOCUMENTS.get(path)

    with pytest.raises(SpecError, match="refers to more than 2000 schemas"):
        served(read, "widget-store", "v1")
