"""Render docstrings of clients, methods and exchanges."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from .literals import WIDTH, printable
from .spec import ExchangeSpec, MethodSpec, RoutingKeyField, Spec
from .typed import Types

__all__ = ["client", "docstring", "events", "exchange", "method", "package", "scopes", "signature", "wrapped"]


def docstring(text: str, indent: int = 4) -> str:
    """Return any text as an indented docstring, with its quotes."""
    # A docstring cannot contain lone surrogates.
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    safe = printable(text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"'))
    lines = f'"""{safe}'.split("\n")
    if len(lines) > 1 or safe.endswith('"'):
        lines.append('"""')
    else:
        lines[0] += '"""'
    return textwrap.indent("\n".join(lines), " " * indent)


def wrapped(text: str, width: int = WIDTH - 8, hanging: str = "") -> str:
    """Return text with long lines wrapped and existing line breaks kept."""
    lines: list[str] = []
    for line in text.strip().split("\n"):
        margin = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line.rstrip(),
            width,
            subsequent_indent=margin + hanging,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def sentence(title: str) -> str:
    """Return a title as a docstring's first line."""
    return title if title.endswith((".", "!", "?")) else f"{title}."


def package(spec: Spec, name: str) -> str:
    """Return the docstring of a service's package."""
    return _paragraphs(
        f"Python client for the {spec.title} service.",
        wrapped(
            f"The async class is in `{name}.aio`. `taskcluster` and `taskcluster.aio` re-export the classes.",
            WIDTH,
        ),
    )


def client(spec: Spec, *, is_async: bool = False) -> str:
    """Return the docstring of a client class."""
    kind = "Async client" if is_async else "Client"
    return f"{kind} for the {spec.title} service.\n\n{wrapped(spec.description, WIDTH - 4)}"


def events(spec: Spec) -> str:
    """Return the docstring of an events class."""
    return f"Exchanges of the {spec.title} service.\n\n{wrapped(spec.eventsDescription or '', WIDTH - 4)}"


def signature(entry: MethodSpec) -> str:
    """Return a method's signature: `createTask(taskId, payload)`, `listTaskGroup(taskGroupId, limit=…)`."""
    parts = [*entry.args, *(["payload"] if entry.input else []), *(f"{name}=…" for name in entry.query)]
    return f"{entry.name}({', '.join(parts)})"


def method(spec: Spec, entry: MethodSpec, types: Types) -> str:
    """Return the docstring of a method.

    Parameters are a list instead of an `Args:` section, because the signature is `*args, **kwargs`.
    """
    gone = (
        f"Removed in Taskcluster {entry.removedBefore}; older deployments still have it. "
        "Calling it emits a DeprecationWarning."
    )
    taken = {
        "Path parameters": ", ".join(_path_parameter(entry, name) for name in entry.args),
        "Payload": _type_name(spec, types.payloads, entry.input),
        "Query parameters": ", ".join(f"`{name}`" for name in entry.query),
        "Returns": _type_name(spec, types.results, entry.output),
    }
    facts = [f"``{entry.method.upper()} {entry.route}``", entry.stability]
    facts.append("no scopes" if entry.scopes is None else f"scopes: {scopes(entry.scopes)}")
    if entry.addedAfter:
        facts.append(f"added after Taskcluster {entry.addedAfter}")
    return _paragraphs(
        sentence(entry.title),
        wrapped(entry.description),
        wrapped(gone) if entry.removedBefore else "",
        _list(taken),
        wrapped(" · ".join(facts)),
    )


def _type_name(spec: Spec, names: Mapping[str, str], schema: str | None) -> str:
    """Return where to import the type of a schema from, or nothing."""
    return f"`{spec.package}.types.{names[schema]}`" if schema else ""


def _path_parameter(entry: MethodSpec, name: str) -> str:
    return f"`{name}` (may be empty)" if name in entry.emptyArgs else f"`{name}`"


def exchange(spec: Spec, entry: ExchangeSpec, types: Types) -> str:
    """Return the docstring of an events class's method."""
    message = _type_name(spec, types.results, entry.schema) or "any object"
    facts = [f"``{spec.exchangePrefix}{entry.exchange}``", f"messages: {message}"]
    return _paragraphs(
        sentence(entry.title),
        wrapped(entry.description),
        "Routing key fields:",
        _list({f"`{word.name}`": _word(word) for word in entry.routingKey}),
        wrapped(" · ".join(facts)),
    )


def _word(word: RoutingKeyField) -> str:
    return f"{word.summary} (one or more words)" if word.multipleWords else word.summary


def _list(items: Mapping[str, str]) -> str:
    return "\n".join(wrapped(f"- {name}: {what}", hanging="  ") for name, what in items.items() if what)


def _paragraphs(*paragraphs: str) -> str:
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def scopes(expression: Any) -> str:
    """Return a scope expression as prose: `a` and (`b` or `c`)."""
    return _scopes(expression, "each", nested=False)


def _scopes(expression: Any, quantifier: str, *, nested: bool) -> str:
    match expression:
        case str():
            return f"`{expression}`"
        case {"AllOf": parts}:
            return _joined(parts, "and", "each", nested=nested)
        case {"AnyOf": parts}:
            return _joined(parts, "or", "any", nested=nested)
        case {"each": scope, "for": variable, "in": values}:
            text = f"`{scope}` for {quantifier} `{variable}` of `{values}`"
            return f"({text})" if nested else text
        case {"if": condition, "then": then}:
            text = f"{_scopes(then, 'each', nested=True)} if `{condition}`"
            if "else" in expression:
                text += f", else {_scopes(expression['else'], 'each', nested=True)}"
            return f"({text})" if nested else text
        case _:
            raise AssertionError(f"not a scope expression: {expression!r}")


def _joined(parts: list[Any], word: str, quantifier: str, *, nested: bool) -> str:
    if not parts:
        return "none" if word == "and" else "never satisfied"
    if len(parts) == 1:
        return _scopes(parts[0], quantifier, nested=nested)
    text = f" {word} ".join(_scopes(part, quantifier, nested=True) for part in parts)
    return f"({text})" if nested else text
