"""Generate the signatures of methods for type checkers, one for each calling convention."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from taskcluster.arguments import parameters, valid_parameters

from . import typed
from .layout import folded
from .literals import WIDTH, text
from .spec import ExchangeSpec, MethodSpec, Spec
from .typed import NO_QUERY, PATH_VALUE, QUERY_VALUE, Types

__all__ = ["Signature", "Stubs", "of_exchange", "of_method", "of_spec", "run_time_exchange", "run_time_method"]

_OMITTED = " = ..."


@dataclass(frozen=True)
class Signature:
    """A signature of a method."""

    parameters: tuple[str, ...]
    """The parameters after `self`, with their types."""
    result: str

    def text(self, define: str, name: str) -> str:
        """Return the signature as code of a stub's class; `define` is `def` or `async def`."""
        if not self.parameters:
            return f"    {define} {name}(self) -> {self.result}: ..."
        lines = "".join(f"        {parameter},\n" for parameter in ("self", *self.parameters))
        return f"    {define} {name}(\n{lines}    ) -> {self.result}: ..."


@dataclass(frozen=True)
class Stubs:
    """The stubs of a service."""

    methods: Mapping[str, list[Signature]]
    exchanges: Mapping[str, list[Signature]]
    items: list[tuple[str, str]]
    """Types of pages, and of their items."""

    @property
    def has_listings(self) -> bool:
        """Whether a method accepts a `paginationHandler`."""
        return any("Callable" in part for each in self.methods.values() for one in each for part in one.parameters)

    @property
    def overloaded(self) -> bool:
        """Whether a method has several signatures."""
        return bool(self.items) or any(len(signatures) > 1 for signatures in self.methods.values())

    @property
    def has_typed_messages(self) -> bool:
        """Whether the spec describes the messages of an exchange."""
        return any("types." in one.result for each in self.exchanges.values() for one in each)

    @property
    def has_untyped_messages(self) -> bool:
        """Whether the spec does not describe the messages of an exchange."""
        return any("types." not in one.result for each in self.exchanges.values() for one in each)

    @property
    def uses_types(self) -> bool:
        """Whether a signature of a method uses the service's types."""
        parts = (part for each in self.methods.values() for one in each for part in (*one.parameters, one.result))
        return any("types." in part for part in parts)


def of_spec(spec: Spec, types: Types) -> Stubs:
    """Return the stubs of a service."""
    names = {definition.name for definition in types.definitions}
    return Stubs(
        {method.name: of_method(method, types) for method in spec.methods},
        {exchange.name: of_exchange(exchange, types) for exchange in spec.exchanges},
        [
            # Quoted names are strings and stay.
            (
                page,
                re.sub(
                    r'"(?:\\.|[^"\\])*"|\w+', lambda word: f"types.{word[0]}" if word[0] in names else word[0], item
                ),
            )
            for page, item in types.items.items()
        ],
    )


def of_method(method: MethodSpec, types: Types) -> list[Signature]:
    """Return the signatures of a method, the most common one first.

    Path parameters and payload are in order or by name, the payload comes before path parameters by name, or path
    parameters are a dict. Listings have each of these also with a `paginationHandler`, which returns None. If the form
    of the payload determines that of the result, each form has all of these, before their unions.
    """
    result = types.results[method.output] if method.output else None
    payload = types.payloads[method.input] if method.input else None
    forms = [*types.forms.get(method.name, []), (payload, result)]
    return [signature for form in forms for signature in _ways(method, *form)]


def _ways(method: MethodSpec, payload_type: str | None, result_type: str | None) -> list[Signature]:
    """Return a method's signatures, one for each calling convention."""
    result = f"types.{result_type}" if result_type else "Any"
    path = [f"{name}: types.{PATH_VALUE}" for name in method.args]
    payload = [f"payload: types.{payload_type}"] if payload_type else []
    params = f"params: types.{typed.params_name(method)}"
    ways = [(path + payload, list[str]())]
    if method.args and payload:
        ways.append((payload, path))
    if method.args:
        ways.append((payload, [params]))
    handler = f"paginationHandler: Callable[[{result}], Any]"
    is_listing = "continuationToken" in method.query
    # Some listings have pages of a fixed size.
    limit = [f"paginationLimit: types.{QUERY_VALUE}{_OMITTED}"] if is_listing and "limit" in method.query else []
    signatures = [_signature(positional, [*named, *_query(method), *limit], result) for positional, named in ways]
    if is_listing:
        signatures += [
            _signature(positional, [*named, handler, *limit, *_query(method)], "None") for positional, named in ways
        ]
    return signatures


def of_exchange(exchange: ExchangeSpec, types: Types) -> list[Signature]:
    """Return the signatures of an exchange's method: with a pattern or a dict, or with routing key fields."""
    payload = f"types.{types.results[exchange.schema]}" if exchange.schema else "dict[str, Any]"
    result = f"EventBinding[{payload}]"
    given = "routingKeyPattern: str | Mapping[str, str | int | None]"
    parts = [f"{word.name}: str | int | None{_OMITTED}" for word in exchange.routingKey]
    return [_signature([given, "/"], [], result), _signature([], parts, result)]


def run_time_method(method: MethodSpec, docstring: str, *, is_async: bool) -> str:
    """Return the code of a method of a client class; type checkers read its signatures in the stub."""
    names = parameters(method.args, method.query, has_payload=method.input is not None)
    return _run_time(method.name, names, docstring, "_call", is_async=is_async)


def run_time_exchange(exchange: ExchangeSpec, docstring: str) -> str:
    """Return the code of a method of an events class."""
    names = valid_parameters(word.name for word in exchange.routingKey)
    return _run_time(exchange.name, names, docstring, "_event", is_async=False)


def _run_time(name: str, names: list[str], docstring: str, invoke: str, *, is_async: bool) -> str:
    define, result = ("async def", "return await") if is_async else ("def", "return")
    named = [f"{each}=OMITTED" for each in names]
    start = folded(f"    {define} {name}(", ["self", "*args", *named, "**kwargs"], "):", 4)
    passed = "kwargs"
    if names:
        items = [*(f"{text(each)}: {each}" for each in names), "**kwargs"]
        passed = f"{{{', '.join(items)}}}"
        if len(passed) > WIDTH - 13:
            passed = "".join(["{\n", *(f"{' ' * 16}{item},\n" for item in items), " " * 12, "}"])
    end = folded(f"        {result} self.{invoke}(", [text(name), "args", passed], ")", 8)
    return f"{start}\n{docstring}\n{end}"


def _signature(positional: list[str], named: list[str], result: str) -> Signature:
    return Signature((*positional, *(["*", *named] if named else [])), result)


def _query(method: MethodSpec) -> list[str]:
    if not method.query:
        return [f"query: types.{NO_QUERY} | None{_OMITTED}"]
    values = [f"{name}: types.{QUERY_VALUE}{_OMITTED}" for name in method.query]
    return [f"query: types.{typed.query_name(method)} | None{_OMITTED}", *values]
