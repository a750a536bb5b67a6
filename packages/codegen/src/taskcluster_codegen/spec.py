"""Read and validate the spec of a service. Other modules rely on the result without further checks."""

from __future__ import annotations

import functools
import inspect
import json
import keyword
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from taskcluster.aio.asyncclient import AsyncBaseClient
from taskcluster.client import BaseClient

from . import naming, schemas

__all__ = [
    "ExchangeSpec",
    "MethodSpec",
    "RoutingKeyField",
    "Scopes",
    "Spec",
    "SpecError",
    "load",
    "load_all",
    "nested_deeper",
    "parse",
]

Scopes = str | dict[str, Any]
"""A scope expression: a scope, or a dict with AllOf, AnyOf, each/for/in, or if/then/else."""

_VERBS = ("delete", "get", "head", "options", "patch", "post", "put")
_STABILITIES = ("deprecated", "experimental", "stable")
_RESERVED = ("self", "payload", "query", "params", "paginationHandler", "paginationLimit")
_RESERVED_WORDS = ("self", "routingKeyPattern")
_NAMES_IN_CLASSES = ("EventBinding", "OMITTED", "dict", "int", "overload", "str", "types")
_NAMES_IN_MODULES = (
    "Any", "AsyncBaseClient", "AsyncIterator", "Awaitable", "BaseClient", "Callable", "ClassVar",
    "EventBinding", "Iterator",
)  # fmt: skip
_MAX_DEPTH = 100
"""The maximum nesting of a spec's JSON, about a tenth of Python's recursion limit."""
_PARAMETER = re.compile(r"<([^>]*)>")
_SERVICE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VERSION = re.compile(r"v[0-9]+")
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*")
_NAME = re.compile(r"[a-z][A-Za-z0-9]*")
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


T = TypeVar("T")


class SpecError(Exception):
    """A spec is invalid. The message names the file and the entry."""


@dataclass(frozen=True)
class MethodSpec:
    """An API method."""

    name: str
    title: str
    description: str
    method: str
    route: str
    args: tuple[str, ...]
    stability: str
    query: tuple[str, ...] = ()
    input: str | None = None
    output: str | None = None
    category: str | None = None
    scopes: Scopes | None = None
    emptyArgs: tuple[str, ...] = ()
    addedAfter: str | None = None
    removedBefore: str | None = None


@dataclass(frozen=True)
class RoutingKeyField:
    """A routing key field."""

    name: str
    summary: str
    constant: str | None = None
    multipleWords: bool = False
    required: bool = False


@dataclass(frozen=True)
class ExchangeSpec:
    """An exchange to which a service publishes."""

    name: str
    title: str
    description: str
    exchange: str
    routingKey: tuple[RoutingKeyField, ...]
    schema: str | None = None


@dataclass(frozen=True)
class Spec:
    """A service. Attributes from the spec have the same names as its keys."""

    file: str
    """The path of the spec in headers of generated files."""
    text: str = field(repr=False)
    serviceName: str
    apiVersion: str
    className: str
    title: str
    description: str
    methods: tuple[MethodSpec, ...]
    types: Mapping[str, Any] = field(repr=False)
    eventsClassName: str | None = None
    eventsDescription: str | None = None
    exchangePrefix: str | None = None
    exchanges: tuple[ExchangeSpec, ...] = ()
    package: str = ""
    """The import name of the generated package."""


def load_all(folder: Path, root: Path) -> list[Spec]:
    """Load every spec in a folder, sorted by service. Files must be named like their services.

    Raises:
        SpecError: A spec is invalid, two have the same class name, or there are none.
    """
    specs = [load(path, root) for path in sorted(folder.glob("*.json"))]
    if not specs:
        raise SpecError(f"{folder}: no specs found")
    owners: dict[str, str] = {}
    for spec in specs:
        if Path(spec.file).stem != spec.serviceName:
            raise SpecError(f"{spec.file}: must be named {spec.serviceName}.json, like its service")
        for name in filter(None, (spec.className, spec.eventsClassName)):
            if name.lower() in owners:
                raise SpecError(f"{spec.file}: class {name} conflicts with a class of {owners[name.lower()]}")
            owners[name.lower()] = spec.file
    return specs


def load(path: Path, root: Path) -> Spec:
    """Load one spec. Generated files name it relative to `root`."""
    file = path.resolve()
    name = file.relative_to(root.resolve()).as_posix() if file.is_relative_to(root.resolve()) else path.name
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SpecError(f"{path}: cannot be read: {exc}") from exc
    return parse(text, name)


def parse(text: str, file: str) -> Spec:
    """Return a validated spec.

    Args:
        text: JSON.
        file: Its name in errors and in generated files.

    Raises:
        SpecError: The spec is invalid. The message names the file, the entry and the problem.
    """
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_reject_constant)
    except ValueError as exc:
        raise SpecError(f"{file}: not JSON: {exc}") from exc
    except RecursionError:
        raise SpecError(f"{file}: nested too deeply") from None
    if nested_deeper(data):
        raise SpecError(f"{file}: nested more than {_MAX_DEPTH} levels deep")
    top = _Entry(data, file)
    types = top.mapping("types")
    service = top.matching(_SERVICE, "serviceName")
    for name in types:
        if not name.startswith(f"{service}/"):
            top.reject(f"the type {name!r} must be named {service}/<version>/<file>.json")
        # None is an unknown schema.
        wrong = None if types[name] is None else schemas.problem(types[name])
        if wrong is not None:
            top.reject(f"the type {name!r}: {wrong}")
    spec = Spec(
        file=file,
        text=text,
        serviceName=service,
        apiVersion=top.matching(_VERSION, "apiVersion"),
        className=top.class_name("className"),
        title=top.line("title"),
        description=top.prose("description"),
        methods=tuple(_method(entry, types) for entry in top.entries("methods", "method")),
        types=types,
        eventsClassName=top.maybe(top.class_name, "eventsClassName"),
        eventsDescription=top.maybe(top.prose, "eventsDescription"),
        exchangePrefix=top.maybe(top.line, "exchangePrefix"),
        exchanges=tuple(_exchange(entry, types) for entry in top.entries("exchanges", "exchange")),
        package=naming.package(service),
    )
    top.finish()
    if not spec.methods:
        top.reject("no methods")
    if spec.className.endswith("Events") or keyword.iskeyword(spec.className) or spec.className in _NAMES_IN_MODULES:
        top.reject(f"className {spec.className!r} is reserved; choose another")
    if spec.exchanges:
        if spec.eventsClassName is None or spec.exchangePrefix is None or spec.eventsDescription is None:
            top.reject("exchanges require eventsClassName, eventsDescription and exchangePrefix")
        elif not spec.eventsClassName.endswith("Events"):
            top.reject(f"eventsClassName {spec.eventsClassName!r} must end in Events")
    elif spec.eventsClassName is not None:
        top.reject("eventsClassName without exchanges")
    _check_unique(top, "methods", (method.name for method in spec.methods))
    _check_unique(top, "exchanges", (exchange.name for exchange in spec.exchanges))
    return spec


def _method(entry: _Entry, types: Mapping[str, Any]) -> MethodSpec:
    method = MethodSpec(
        name=_attribute(entry),
        title=entry.line("title"),
        description=entry.prose("description"),
        method=entry.one_of(_VERBS, "method"),
        route=entry.line("route"),
        args=entry.names("args"),
        stability=entry.one_of(_STABILITIES, "stability"),
        query=entry.maybe(entry.names, "query") or (),
        input=_type(entry, "input", types),
        output=_type(entry, "output", types),
        category=entry.maybe(entry.line, "category"),
        scopes=entry.maybe(entry.take, "scopes"),
        emptyArgs=entry.maybe(entry.names, "emptyArgs") or (),
        addedAfter=entry.maybe(entry.line, "addedAfter"),
        removedBefore=entry.maybe(entry.line, "removedBefore"),
    )
    entry.finish()
    if not method.route.startswith("/"):
        entry.reject(f"the route {method.route!r} must start with /")
    if list(method.args) != _PARAMETER.findall(method.route):
        entry.reject(f"args {list(method.args)} must be the parameters of the route {method.route}, in order")
    for name in (*method.args, *method.query):
        _check_argument(entry, name, "parameter", _RESERVED)
    _check_unique(entry, "args and query", [*method.args, *method.query])
    for name in method.emptyArgs:
        if name not in method.args:
            entry.reject(f"emptyArgs: {name!r} is not in args")
    if method.scopes is not None:
        _check_scopes(entry, method.scopes)
    return method


def _exchange(entry: _Entry, types: Mapping[str, Any]) -> ExchangeSpec:
    words: list[RoutingKeyField] = []
    for word in entry.entries("routingKey", "field"):
        words.append(
            RoutingKeyField(
                name=word.matching(_PART, "name"),
                summary=word.line("summary"),
                constant=word.maybe(word.line, "constant"),
                multipleWords=word.boolean("multipleWords"),
                required=word.boolean("required"),
            )
        )
        _check_argument(word, words[-1].name, "routing key field", _RESERVED_WORDS)
        word.finish()
    exchange = ExchangeSpec(
        name=_attribute(entry),
        title=entry.line("title"),
        description=entry.prose("description"),
        exchange=entry.line("exchange"),
        routingKey=tuple(words),
        schema=_type(entry, "schema", types),
    )
    entry.finish()
    _check_unique(entry, "routingKey", (word.name for word in words))
    return exchange


def _check_argument(entry: _Entry, name: str, what: str, reserved: tuple[str, ...]) -> None:
    if not _PART.fullmatch(name) or keyword.iskeyword(name):
        entry.reject(f"the {what} {name!r} cannot be a Python argument")
    if name in reserved:
        entry.reject(f"a {what} cannot be named {name!r}: every method takes an argument of this name")


def _attribute(entry: _Entry) -> str:
    name = entry.matching(_NAME, "name")
    if keyword.iskeyword(name):
        entry.reject("a method name cannot be a Python keyword")
    if name in _client_attributes() or name in _NAMES_IN_CLASSES:
        entry.reject("clients already have an attribute of this name")
    return name


@functools.cache
def _client_attributes() -> frozenset[str]:
    # Instances have attributes set in __init__; annotations include those that only subclasses set.
    clients = (
        BaseClient({"rootUrl": "https://tc.example.com"}),
        AsyncBaseClient({"rootUrl": "https://tc.example.com"}),
    )
    names = {name for client in clients for name in dir(client)}
    return frozenset(names | {name for base in BaseClient.__mro__ for name in inspect.get_annotations(base)})


def _type(entry: _Entry, key: str, types: Mapping[str, Any]) -> str | None:
    name = entry.maybe(entry.line, key)
    if name is not None and name not in types:
        entry.reject(f"{key} {name!r} is not in types")
    return name


def _check_scopes(entry: _Entry, scopes: Any) -> None:
    match scopes:
        case str():
            if not scopes or not scopes.isprintable():
                entry.reject(f"{scopes!r} is not a scope")
        case {"AllOf": [*parts], **rest} | {"AnyOf": [*parts], **rest} if not rest:
            for part in parts:
                _check_scopes(entry, part)
        case {"each": str(each), "for": str(name), "in": str(values), **rest} if not rest and _printable(
            each, name, values
        ):
            pass
        case {"if": str(name), "then": then, **rest} if rest.keys() <= {"else"} and _printable(name):
            for part in (then, *rest.values()):
                _check_scopes(entry, part)
        case _:
            entry.reject(f"{json.dumps(scopes)} is not a scope expression")


def _printable(*texts: str) -> bool:
    return all(text and text.isprintable() for text in texts)


def _check_unique(entry: _Entry, what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            entry.reject(f"{name!r} appears twice in {what}")
        seen.add(name)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} appears twice")
    return result


def _reject_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def nested_deeper(value: Any, depth: int = _MAX_DEPTH) -> bool:
    """Return whether the lists and objects of a JSON value are nested more than `depth` levels."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            below
            for each in level
            if isinstance(each, dict | list)
            for below in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


class _Entry:
    """A JSON object of a spec, read key by key. Null values count as missing; unknown keys are rejected."""

    def __init__(self, data: Any, where: str) -> None:
        self.where = where
        if not isinstance(data, dict):
            self.reject(f"must be a JSON object, not {json.dumps(data)}")
        self._left = {key: value for key, value in cast("dict[str, Any]", data).items() if value is not None}

    def reject(self, why: str) -> NoReturn:
        raise SpecError(f"{self.where}: {why}")

    def finish(self) -> None:
        for key in self._left:
            self.reject(f"unknown key {key!r}")

    def maybe(self, take: Callable[[str], T], key: str) -> T | None:
        return take(key) if key in self._left else None

    def take(self, key: str) -> Any:
        if key not in self._left:
            self.reject(f"missing key {key!r}")
        return self._left.pop(key)

    def prose(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value.strip() or not value.replace("\n", " ").isprintable():
            self.reject(f"{key} must be a printable string, not {json.dumps(value)}")
        return value

    def line(self, key: str) -> str:
        value = self.prose(key)
        if "\n" in value or value != value.strip():
            self.reject(f"{key} must be one line without leading or trailing spaces, not {json.dumps(value)}")
        return value

    def matching(self, pattern: re.Pattern[str], key: str) -> str:
        value = self.line(key)
        if not pattern.fullmatch(value):
            self.reject(f"{key} {value!r} does not match {pattern.pattern}")
        return value

    def class_name(self, key: str) -> str:
        return self.matching(_CLASS, key)

    def one_of(self, allowed: tuple[str, ...], key: str) -> str:
        value = self.take(key)
        if value not in allowed:
            self.reject(f"{key} must be one of {', '.join(allowed)}, not {json.dumps(value)}")
        return str(value)

    def boolean(self, key: str) -> bool:
        value = self.maybe(self.take, key)
        if value not in (None, True, False):
            self.reject(f"{key} must be true or false, not {json.dumps(value)}")
        return bool(value)

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.take(key)
        if not isinstance(value, dict):
            self.reject(f"{key} must be a JSON object, not {json.dumps(value)}")
        return cast("dict[str, Any]", value)

    def sequence(self, key: str) -> Sequence[Any]:
        value = self.take(key)
        if not isinstance(value, list):
            self.reject(f"{key} must be a list, not {json.dumps(value)}")
        return cast("Sequence[Any]", value)

    def names(self, key: str) -> tuple[str, ...]:
        values = self.sequence(key)
        for value in values:
            if not isinstance(value, str) or not value or not value.isprintable():
                self.reject(f"{key} must contain names, not {json.dumps(value)}")
        return tuple(values)

    def entries(self, key: str, what: str) -> Iterator[_Entry]:
        for number, value in enumerate(self.maybe(self.sequence, key) or ()):
            try:
                name = value["name"]
            except (KeyError, TypeError):
                name = f"number {number}"
            yield _Entry(value, f"{self.where}: {what} {name}")
