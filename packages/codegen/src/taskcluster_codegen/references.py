"""Convert the references and schemas that deployments serve under `/references/` and `/schemas/` to specs.

References lack some facts of a spec. Class names are derived from the service's name. The versions in which methods
were added or removed, and the parameters that may be empty, are kept from the existing spec.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeGuard, cast
from urllib.parse import urljoin

from . import schemas
from .spec import Spec, SpecError, nested_deeper, parse

__all__ = ["Read", "api_differences", "class_name", "served", "text", "updated"]

Read = Callable[[str], Any]
"""Returns the JSON document at a path, for example `/references/queue/v1/api.json`, or None if there is none."""

_KEPT_KEYS = ("emptyArgs", "addedAfter", "removedBefore")
_MAX_SCHEMAS = 2000
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCHEMA = re.compile(r"/schemas/([a-z0-9-]+/v[0-9]+(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+\.json)")

_METHOD = (
    "name", "title", "description", "method", "route", "args", "emptyArgs", "query", "input", "output", "stability",
    "category", "scopes", "addedAfter", "removedBefore",
)  # fmt: skip
_EXCHANGE = ("name", "title", "description", "exchange", "routingKey", "schema")
_WORD = ("name", "summary", "constant", "multipleWords", "required")


def class_name(service: str) -> str:
    """Return the default name of a service's client classes: `web-server` → `WebServer`."""
    return "".join(part.capitalize() for part in service.split("-"))


def text(data: Mapping[str, Any]) -> str:
    """Return a spec as the text of its file."""
    # UTF-8 cannot encode lone surrogates, which JSON can escape.
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", json.dumps(data, indent=2, ensure_ascii=False)) + "\n"


def updated(spec: Spec, read: Read) -> Spec:
    """Return a spec updated from served references; facts that references lack are kept from `spec`.

    Methods that newer deployments removed (`removedBefore`) stay, even if they are not served.

    Raises:
        SpecError: The service is not served, or its references are invalid.
    """
    known: dict[str, Any] = json.loads(spec.text)
    data = served(read, spec.serviceName, spec.apiVersion)
    names = [entry["name"] for entry in data["methods"]]
    for entry in known["methods"]:
        if entry["name"] in names:
            position = names.index(entry["name"])
            made = {**data["methods"][position], **{key: entry[key] for key in _KEPT_KEYS if key in entry}}
            data["methods"][position] = {key: made[key] for key in _METHOD if key in made}
        elif "removedBefore" in entry:
            data["methods"].append(entry)
            roots = [f"/schemas/{entry[key]}" for key in ("input", "output") if key in entry]
            kept = _reachable(lambda name: known["types"][name], spec.serviceName, roots, spec.file)
            data["types"] = dict(sorted({**kept, **data["types"]}.items()))
    for key in ("className", "eventsClassName"):
        if key in data and key in known:
            data[key] = known[key]
    # An equal spec keeps its formatting.
    return spec if data == known else dataclasses.replace(parse(text(data), spec.file), package=spec.package)


def api_differences(spec: Spec, read: Read) -> list[str]:
    """Return the differences between the served API and `spec`, one line each, ignoring wording.

    Raises:
        SpecError: The service is not served, or its references are invalid.
    """
    known, found = _facts(spec), _facts(updated(spec, read))
    lines: list[str] = []
    for name in sorted(known.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name} is not served")
        elif name not in known:
            lines.append(f"{name} is served and not in the spec")
        else:
            lines += [
                f"{name}: {fact} is {_shown(value)} and is served as {_shown(found[name][fact])}"
                for fact, value in known[name].items()
                if value != found[name][fact]
            ]
    return lines


def _facts(spec: Spec) -> dict[str, dict[str, Any]]:
    """Return the facts of a spec without wording, by subject."""
    facts: dict[str, dict[str, Any]] = {spec.serviceName: {"exchangePrefix": spec.exchangePrefix}}
    for method in spec.methods:
        facts[f"method {method.name}"] = {
            "verb": method.method,
            "route": method.route,
            "query": sorted(method.query),
            "input": method.input,
            "output": method.output,
            "scopes": method.scopes,
            "stability": method.stability,
        }
    for exchange in spec.exchanges:
        facts[f"exchange {exchange.name}"] = {
            "exchange": exchange.exchange,
            "routingKey": [
                [word.name, word.constant, word.multipleWords, word.required] for word in exchange.routingKey
            ],
            "schema": exchange.schema,
        }
    for key, schema in spec.types.items():
        facts[f"type {key}"] = {"schema": schemas.bare(schema, key)}
    return facts


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def served(read: Read, service: str, version: str) -> dict[str, Any]:
    """Return a service's unvalidated spec as data, from the documents of a deployment.

    Raises:
        SpecError: The service is not served, or a document is not a valid reference. The message names the document.
    """
    place = f"/references/{service}/{version}"
    api = _Document(read, f"{place}/api.json")
    events = _Document(read, f"{place}/exchanges.json")
    if not api.found:
        raise SpecError(f"{place}/api.json: no reference for service {service!r}, version {version}")
    for document in (api, events):
        if document.found and (document.data.get("serviceName"), document.data.get("apiVersion")) != (service, version):
            raise SpecError(f"{document.path}: must be for service {service!r}, version {version}")
    # In the order of the existing specs.
    data: dict[str, Any] = {
        "serviceName": service,
        "apiVersion": version,
        "className": class_name(service),
        **_prose(api.data, api.path, service),
        "methods": [_method(entry, service, api.path) for entry in api.entries("function")],
    }
    exchanges = [_exchange(entry, service, events.path) for entry in events.entries("topic-exchange")]
    if exchanges:
        prose = _prose(events.data, events.path, service)
        data["eventsClassName"] = f"{data['className']}Events"
        data["exchangePrefix"] = events.data.get("exchangePrefix")
        data["eventsDescription"] = prose["description"]
        data["exchanges"] = exchanges
    used = [entry.get(key) for entry in data["methods"] for key in ("input", "output")]
    roots = [f"/schemas/{name}" for name in (*used, *(entry["schema"] for entry in exchanges)) if name]

    def schema(name: str) -> Any:
        document = _Document(read, f"/schemas/{name}")
        if not document.found:
            raise SpecError(f"{document.path}: not found, but referenced")
        # A schema with only `$id` and `$schema` is unknown.
        return {key: value for key, value in document.data.items() if key not in ("$id", "$schema")} or None

    data["types"] = _reachable(schema, service, roots, place)
    return data


class _Document:
    """A JSON object, or a missing document."""

    def __init__(self, read: Read, path: str) -> None:
        self.path = path
        found = read(path)
        self.found = found is not None
        if self.found and not isinstance(found, dict):
            raise SpecError(f"{path}: must be a JSON object")
        if nested_deeper(found):
            raise SpecError(f"{path}: nested too deeply")
        self.data = cast("dict[str, Any]", found or {})

    def entries(self, kind: str) -> Iterator[dict[str, Any]]:
        if not self.found:
            return
        entries = self.data.get("entries")
        if not _is_array(entries):
            raise SpecError(f"{self.path}: missing list 'entries'")
        for entry in entries:
            if not isinstance(entry, dict):
                raise SpecError(f"{self.path}: an entry must be a JSON object, not {json.dumps(entry)}")
            found = cast("dict[str, Any]", entry)
            if found.get("type") != kind:
                raise SpecError(f"{self.path}: {found.get('name')}: type must be {kind!r}, not {found.get('type')!r}")
            yield found


def _method(entry: dict[str, Any], service: str, path: str) -> dict[str, Any]:
    made = {**entry, **_prose(entry, path, entry.get("name"))}
    for key in ("input", "output"):
        if made.get(key) is not None:
            made[key] = _type(made[key], service, path, entry)
    # References also contain empty keys.
    present = {key for key in made if made[key] is not None and (key != "query" or made[key] != [])}
    return {key: made[key] for key in _METHOD if key in present}


def _exchange(entry: dict[str, Any], service: str, path: str) -> dict[str, Any]:
    made = {**entry, **_prose(entry, path, entry.get("name"))}
    words = made.get("routingKey")
    if not _is_array(words) or not all(isinstance(word, dict) for word in words):
        raise SpecError(f"{path}: {entry.get('name')}: routingKey must be a list of JSON objects")
    made["routingKey"] = [_word(word) for word in words]
    made["schema"] = None if made.get("schema") is None else _type(made["schema"], service, path, entry)
    return {key: made[key] for key in _EXCHANGE if key in made}


def _word(word: dict[str, Any]) -> dict[str, Any]:
    made = {"multipleWords": False, "required": False, **word}
    made["summary"] = _line(word.get("summary")) or word.get("name")
    return {key: made[key] for key in _WORD if made.get(key) is not None}


def _prose(entry: Mapping[str, Any], path: str, name: Any) -> dict[str, Any]:
    """Return title and description; an empty one is replaced by the other."""
    title, description = entry.get("title") or name, entry.get("description")
    for what in (title, description):
        if what is not None and not isinstance(what, str):
            raise SpecError(f"{path}: {name}: title and description must be strings, not {json.dumps(what)}")
    title = _line(title)
    described = "\n".join(line.rstrip() for line in (description or "").expandtabs(4).strip().splitlines())
    return {"title": title, "description": described or title}


def _line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _type(value: Any, service: str, path: str, entry: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise SpecError(f"{path}: {entry.get('name')}: a schema's name must be a string, not {json.dumps(value)}")
    return _schema_name(urljoin(f"/schemas/{service}/", value), service, f"{path}: {entry.get('name')}")


def _schema_name(url: str, service: str, where: str) -> str:
    found = _SCHEMA.fullmatch(url.partition("#")[0])
    if found is None or not found[1].startswith(f"{service}/"):
        raise SpecError(f"{where}: refers to {url!r}, which is not a schema of this service (/schemas/{service}/…)")
    return found[1]


def _reachable(read: Callable[[str], Any], service: str, roots: Iterable[str], where: str) -> dict[str, Any]:
    """Return the schemas at `roots` and all schemas they refer to, sorted by name."""
    found: dict[str, Any] = {}
    left = [_schema_name(url, service, where) for url in roots]
    while left:
        name = left.pop()
        if name in found:
            continue
        if len(found) == _MAX_SCHEMAS:
            raise SpecError(f"{where}: refers to more than {_MAX_SCHEMAS} schemas")
        found[name] = read(name)
        elsewhere = (reference for reference in _references(found[name]) if not reference.startswith("#"))
        left.extend(
            _schema_name(urljoin(f"/schemas/{name}", reference), service, f"/schemas/{name}") for reference in elsewhere
        )
    return dict(sorted(found.items()))


def _references(schema: Any) -> Iterator[str]:
    """Yield every `$ref` in a schema."""
    left = [schema]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            if isinstance(members.get("$ref"), str):
                yield members["$ref"]
            left.extend(members.values())
        elif _is_array(value):
            left.extend(value)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
