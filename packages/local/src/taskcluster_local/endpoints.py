"""The API methods of all services as the server needs them, and the table that finds one by verb and path."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from taskcluster.callers import OURS
from taskcluster.registry import registry

from . import parameters, scopes
from .formats import Pattern

__all__ = ["ApiEndpoint", "Table", "references"]

_ALSO_POST = frozenset({("index", "listNamespaces"), ("index", "listTasks")})
"""Methods that real deployments also accept with POST, although the references do not say so."""

_PARAMETER = re.compile(r"<([^>]+)>")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@functools.cache
def references() -> Mapping[str, Mapping[str, Any]]:
    """Return the API references of all services, by service name.

    Raises:
        ModuleNotFoundError: The distribution of a service is not installed.
    """
    return {name: registry.service(name).reference() for name in OURS}


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """One API method: its route, and what its requests must have."""

    service: str
    name: str
    verb: str
    path: re.Pattern[str]
    """Matches the path behind `/api/<service>/<version>/`; the groups are the parameters, still percent-encoded."""
    parameters: tuple[str, ...]
    """The names of the groups, in order."""
    optional: tuple[str, ...]
    """The parameters that may be empty; their patterns apply only if they are not."""
    patterns: Mapping[str, Pattern]
    """The patterns of URL parameters, by name."""
    query: Mapping[str, Pattern]
    """The patterns of query parameters, by name."""
    input: str | None
    output: str | None
    scopes: scopes.Template | None
    automatic: bool
    """Whether the required scopes depend on the URL alone; then they are checked before query and payload."""
    hide: Callable[[Any], Any] | None
    """Removes the secrets from a payload, if it can have any."""

    def decode(self, match: re.Match[str]) -> dict[str, str]:
        """Return the URL parameters in a match of `path`.

        Raises:
            ValueError: A parameter is not percent-encoded UTF-8.
        """
        found: dict[str, str] = {}
        for name, text in zip(self.parameters, match.groups(default=""), strict=True):
            if "%" not in text and text.isascii():
                found[name] = text
                continue
            if _BAD_ESCAPE.search(text):
                raise ValueError(f"{text!r} has a % without two hexadecimal digits")
            found[name] = unquote_to_bytes(text).decode()
        return found


def _endpoint(service: str, entry: Mapping[str, Any]) -> ApiEndpoint:
    name: str = entry["name"]
    template = scopes.parse(entry["scopes"]) if "scopes" in entry else None
    patterns = {arg: parameters.parameter_pattern(service, arg) for arg in entry["args"]}
    return ApiEndpoint(
        service=service,
        name=name,
        verb=entry["method"].upper(),
        path=_path(service, entry),
        parameters=tuple(_PARAMETER.findall(entry["route"])),
        optional=tuple(entry.get("emptyArgs", ())),
        patterns={arg: Pattern.of(text) for arg, text in patterns.items() if text is not None},
        query={arg: Pattern.of(parameters.query_pattern(service, arg)) for arg in entry.get("query", ())},
        input=entry.get("input"),
        output=entry.get("output"),
        scopes=template,
        automatic=template is not None and scopes.variables(template) <= set(entry["args"]),
        hide=parameters.hidden_payload(service, name),
    )


def _path(service: str, entry: Mapping[str, Any]) -> re.Pattern[str]:
    """Return the pattern of an entry's route. One trailing slash is optional, unless the route ends with a wildcard."""
    route: str = entry["route"].strip("/")
    may_be_empty = entry.get("emptyArgs", ())
    pieces: list[str] = []
    for position, piece in enumerate(_PARAMETER.split(route)):
        if position % 2 == 0:
            pieces.append(re.escape(piece))
        elif parameters.is_wildcard(service, entry["name"], piece):
            pieces.append("(.*)")
        elif piece in may_be_empty:
            # The slash before it may be missing too.
            pieces.append(f"{pieces.pop().removesuffix('/')}(?:/([^/]+))?")
        else:
            pieces.append("([^/]+)")
    return re.compile("".join([*pieces, "" if pieces[-2:] == ["(.*)", ""] else "/?"]))


class Table:
    """Finds endpoints by verb and path.

    Args:
        references: The API references, by service name. If several routes match a path, the first one counts.
    """

    def __init__(self, references: Mapping[str, Mapping[str, Any]]) -> None:
        self.endpoints: list[ApiEndpoint] = []
        self.named: dict[tuple[str, str], ApiEndpoint] = {}
        # By service, version, verb and the first segment of the route, which is empty if it is a parameter.
        self._candidates: dict[tuple[str, str, str, str], list[ApiEndpoint]] = {}
        self._services = references.keys()
        for service, reference in references.items():
            version: str = reference["apiVersion"]
            for entry in reference["methods"]:
                endpoint = _endpoint(service, entry)
                self.endpoints.append(endpoint)
                self.named[service, endpoint.name] = endpoint
                first = entry["route"].split("/")[1]
                if first.startswith("<"):
                    first = ""
                also = ("POST",) if (service, endpoint.name) in _ALSO_POST else ()
                for verb in (endpoint.verb, *also):
                    self._candidates.setdefault((service, version, verb, first), []).append(endpoint)

    def has_service(self, path: str) -> bool:
        """Return whether `path` belongs to a service, whatever its version."""
        root, api, service, *rest = [*path.split("/", 3), "", ""]
        return (root, api) == ("", "api") and len(rest) > 2 and service in self._services

    def find(self, verb: str, path: str) -> tuple[ApiEndpoint, re.Match[str]] | None:
        """Return the endpoint for `verb` and `path`, and the match of its path."""
        parts = path.split("/", 4)
        if len(parts) < 4 or parts[1] != "api" or parts[0]:
            return None
        # Clients omit the slash of the route `/`.
        _, _, service, version, rest = [*parts, ""][:5]
        for first in (rest.partition("/")[0], ""):
            for endpoint in self._candidates.get((service, version, verb, first), ()):
                match = endpoint.path.fullmatch(rest)
                if match is not None:
                    return endpoint, match
        return None

    def verbs(self, path: str) -> list[str]:
        """Return the verbs for which `path` has an endpoint, sorted; GET brings HEAD."""
        found: Iterable[str] = (verb for verb in ("DELETE", "GET", "POST", "PUT") if self.find(verb, path))
        return sorted(verb for each in found for verb in (("GET", "HEAD") if each == "GET" else (each,)))
