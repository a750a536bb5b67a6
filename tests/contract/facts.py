"""Read the specs as JSON, without the generator."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SPECS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "specs").glob("*.json"))
}


class Entry(NamedTuple):
    """A method or exchange with its spec."""

    spec: dict[str, Any]
    entry: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.spec['serviceName']}.{self.entry['name']}"

    def reference(self, key: str) -> str | None:
        """Return the name of a type as clients have it: without the service, with a `#`."""
        name = self.entry.get(key)
        return name and name.removeprefix(f"{self.spec['serviceName']}/") + "#"


METHODS = [Entry(spec, entry) for spec in SPECS.values() for entry in spec["methods"]]
EXCHANGES = [Entry(spec, entry) for spec in SPECS.values() for entry in spec.get("exchanges", ())]
PAGINATED = [method for method in METHODS if "continuationToken" in method.entry.get("query", ())]


def filled(route: str, values: dict[str, str]) -> str:
    """Return a route with its parameters replaced."""
    return re.sub("<([^>]+)>", lambda found: values[found[1]], route)


def resolved(spec: dict[str, Any], file: str, schema: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Follow a schema's `$ref`; return the file and the schema it refers to."""
    while "$ref" in schema:
        target, _, path = schema["$ref"].partition("#")
        file = f"{file.rpartition('/')[0]}/{target}" if target else file
        schema = spec["types"][file]
        for step in filter(None, path.split("/")):
            schema = schema[step]
    return file, schema


def camel(stem: str) -> str:
    """Return the beginning of the names of types that are made of a schema file."""
    words = "".join(letter if letter.isalnum() else " " for letter in stem).split()
    return "".join(word[0].upper() + word[1:] for word in words)
