"""The documents under `/references/` and `/schemas/`, and those that report a service's version and health."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import version as version_of
from typing import Any

from taskcluster.shapes import is_array

__all__ = ["Documents", "version"]

_DRAFT = "http://json-schema.org/draft-06/schema#"
_METASCHEMA = "/schemas/common/metaschema.json#"
_SCOPE_EXPRESSION = {
    "oneOf": [
        {"type": "string"},
        {"type": "object", "required": ["AllOf"], "properties": {"AllOf": {"type": "array"}}},
        {"type": "object", "required": ["AnyOf"], "properties": {"AnyOf": {"type": "array"}}},
        {"type": "object", "required": ["for", "in", "each"]},
        {"type": "object", "required": ["if", "then"]},
    ]
}
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_HEADER = {"$schema": _TEXT, "apiVersion": _TEXT, "serviceName": _TEXT, "title": _TEXT, "description": _TEXT}


def _entries(required: list[str], **properties: Any) -> dict[str, Any]:
    item = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"entries": {"type": "array", "items": item}}


def _metaschema(title: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "$schema": _DRAFT,
        "metadata": {"name": title, "version": 0},
        "title": title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_COMMON: dict[str, dict[str, Any]] = {
    "/schemas/common/metaschema.json": {"$schema": _DRAFT, "title": "Schemas", "allOf": [{"$ref": _DRAFT}]},
    "/schemas/common/metadata-metaschema.json": {
        "$schema": _DRAFT,
        "title": "Schemas of References",
        "allOf": [{"$ref": _DRAFT}],
        "properties": {"metadata": {"type": "object", "required": ["name", "version"]}},
        "required": ["metadata"],
    },
    "/schemas/common/manifest-v3.json": _metaschema(
        "manifest", {"$schema": _TEXT, "references": _TEXTS}, ["$schema", "references"]
    ),
    "/schemas/common/api-reference-v0.json": _metaschema(
        "api",
        {
            **_HEADER,
            **_entries(
                ["type", "method", "route", "args", "name", "stability", "title", "category", "description"],
                type={"enum": ["function"]},
                method={"enum": ["get", "head", "post", "put", "patch", "delete"]},
                route=_TEXT,
                query=_TEXTS,
                args=_TEXTS,
                name=_TEXT,
                stability={"enum": ["stable", "experimental", "deprecated"]},
                title=_TEXT,
                category=_TEXT,
                description=_TEXT,
                input=_TEXT,
                output=_TEXT,
                scopes=_SCOPE_EXPRESSION,
            ),
        },
        ["$schema", "apiVersion", "serviceName", "title", "description", "entries"],
    ),
    "/schemas/common/exchanges-reference-v0.json": _metaschema(
        "exchanges",
        {
            **_HEADER,
            "exchangePrefix": _TEXT,
            **_entries(
                ["type", "exchange", "name", "title", "description", "routingKey"],
                type={"enum": ["topic-exchange"]},
                exchange=_TEXT,
                name=_TEXT,
                title=_TEXT,
                description=_TEXT,
                routingKey={"type": "array", "items": {"type": "object", "required": ["name"]}},
                schema=_TEXT,
            ),
        },
        ["$schema", "apiVersion", "serviceName", "title", "description", "exchangePrefix", "entries"],
    ),
}


def version() -> dict[str, str]:
    """Return the version document of every service."""
    return {
        "version": version_of("taskcluster-local"),
        "commit": "local",
        "source": "taskcluster-local",
        "build": "local",
    }


class Documents:
    """References, schemas and health documents by path.

    Args:
        references: The API references, by service name.
        root_url: The root URL of the deployment, used in `$id` and `$schema`.
    """

    def __init__(self, references: Mapping[str, Mapping[str, Any]], root_url: str) -> None:
        self._references = references
        self._root_url = root_url

    def find(self, path: str) -> Any:
        """Return the document at `path`, or None."""
        if path in ("/__lbheartbeat__", "/__heartbeat__"):
            return {}
        if path == "/__version__":
            return version()
        if path == "/references/references.json":
            return [{"filename": name.lstrip("/"), "content": content} for name, content in self._relative.items()]
        content = self._relative.get(path)
        return None if content is None else _absolute(content, self._root_url)

    @functools.cached_property
    def _relative(self) -> dict[str, Any]:
        """Return all documents, with `$id` and `$schema` relative to the root URL."""
        found = {path: {"$id": f"{path}#", **content} for path, content in _COMMON.items()}
        found["/references/manifest.json"] = {"$schema": "/schemas/common/manifest-v3.json#", "references": []}
        for service, reference in self._references.items():
            place = f"/references/{service}/{reference['apiVersion']}"
            found[f"{place}/api.json"] = _api(reference)
            if reference.get("exchanges"):
                found[f"{place}/exchanges.json"] = _exchanges(reference)
            for key, schema in reference["types"].items():
                found[f"/schemas/{key}"] = {"$id": f"/schemas/{key}#", "$schema": _METASCHEMA, **(schema or {})}
        manifest = found["/references/manifest.json"]
        manifest["references"] = sorted(path for path in found if path.endswith(("/api.json", "/exchanges.json")))
        return found


def _absolute(content: Any, root_url: str) -> Any:
    """Return a document with the root URL added to its `$id`, `$schema` and list of documents."""
    changed = dict(content)
    for name in ("$id", "$schema"):
        if name in changed and changed[name].startswith("/"):
            changed[name] = root_url + changed[name]
    if is_array(changed.get("references")):
        changed["references"] = [root_url + path for path in changed["references"]]
    return changed


def _header(reference: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "$schema": f"/schemas/common/{kind}-reference-v0.json#",
        "apiVersion": reference["apiVersion"],
        "serviceName": reference["serviceName"],
        "title": reference["title"],
    }


def _api(reference: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "method", "route", "query", "args", "name", "stability", "title", "category", "description",
        "input", "output", "scopes",
    )  # fmt: skip
    within = f"{reference['serviceName']}/"
    entries: list[dict[str, Any]] = []
    for method in reference["methods"]:
        entry = {"type": "function", **{name: method[name] for name in names if name in method}}
        for name in ("input", "output"):
            if name in entry:
                entry[name] = f"{entry[name].removeprefix(within)}#"
        entries.append({**entry, "query": entry.get("query", [])})
    return {**_header(reference, "api"), "description": reference["description"], "entries": entries}


def _exchanges(reference: Mapping[str, Any]) -> dict[str, Any]:
    within = f"{reference['serviceName']}/"
    entries: list[dict[str, Any]] = []
    for exchange in reference["exchanges"]:
        entry = {"type": "topic-exchange", **exchange}
        # The schemas of some messages are unknown.
        schema = entry.pop("schema", None)
        entries.append(entry if schema is None else {**entry, "schema": f"{schema.removeprefix(within)}#"})
    return {
        **_header(reference, "exchanges"),
        "description": reference["eventsDescription"],
        "exchangePrefix": reference["exchangePrefix"],
        "entries": entries,
    }
