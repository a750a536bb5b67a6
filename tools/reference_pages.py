"""Generate the reference pages: one for each service, from its spec, and one for the commands, from their `--help`.

This is a hook of MkDocs. The pages exist only in the built site.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from taskcluster_codegen import docstrings, naming, typed
from taskcluster_codegen.spec import ExchangeSpec, MethodSpec, Spec, load_all

__all__ = ["COMMANDS", "COMMANDS_PAGE", "commands", "on_files", "page", "path"]

ROOT = Path(__file__).resolve().parents[1]
COMMANDS_PAGE = "reference/commands.md"
COMMANDS = (
    "taskcluster",
    "taskcluster api",
    "taskcluster-local serve",
    "taskcluster-local load",
    "taskcluster-local run",
    "taskcluster-codegen",
    "taskcluster-codegen new",
    "taskcluster-worker run",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each service."""
    for spec in load_all(ROOT / "specs", ROOT):
        files.append(File.generated(config, path(spec), content=page(spec)))
    files.append(File.generated(config, COMMANDS_PAGE, content=commands()))
    return files


def commands() -> str:
    """Return the commands' page as Markdown."""
    parts = ["# Commands", "What each command prints for `--help`."]
    for command in COMMANDS:
        help_text = subprocess.run(
            [*command.split(), "--help"],
            env={**os.environ, "COLUMNS": "90"},
            check=True,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        ).stdout
        parts += [f"## {command}", f"```text\n{help_text}```"]
    return "\n\n".join(parts) + "\n"


def path(spec: Spec) -> str:
    """Return the path of a service's page."""
    # index.md is the page of the folder.
    return f"reference/{'index-service' if spec.serviceName == 'index' else spec.serviceName}.md"


def page(spec: Spec) -> str:
    """Return the page of a service as Markdown."""
    types = typed.of_spec(spec)
    names = frozenset(types.names)
    name, variable = spec.className, naming.variable(spec.serviceName)
    parts = [
        f"# {spec.title}",
        spec.description,
        f"```python\nimport taskcluster\n\n{variable} = taskcluster.{name}(taskcluster.optionsFromEnvironment())\n```",
        f"The async class is `taskcluster.aio.{name}`; the types are in `{spec.package}.types`. "
        f"`python tools/family.py install {spec.serviceName}` installs this service alone.",
        "## Methods",
        *(part for method in spec.methods for part in _method(method, types, names)),
    ]
    if spec.exchanges:
        parts += [
            "## Exchanges",
            f"{spec.eventsDescription} They are methods of `taskcluster.{spec.eventsClassName}`.",
            *(part for exchange in spec.exchanges for part in _exchange(spec, exchange, types, names)),
        ]
    parts.append("## Types")
    for definition in types.definitions:
        parts += [f"### {definition.name}", _text(definition.summary)]
        if isinstance(definition, typed.Alias):
            parts.append(_type(definition.type, names))
        else:
            parts.append(_keys(definition, names))
    return "\n\n".join(part for part in parts if part) + "\n"


def _method(method: MethodSpec, types: typed.Types, names: frozenset[str]) -> Iterator[str]:
    yield f"### {method.name}"
    yield f"**{method.title}.** {_text(method.description)}"
    if method.removedBefore:
        yield (
            f"Removed in Taskcluster {method.removedBefore}; older deployments still have it. "
            "Calling it emits a DeprecationWarning."
        )
    yield f"```text\n{docstrings.signature(method)}\n```"
    facts = [f"`{method.method.upper()} {method.route}`", method.stability]
    facts.append("no scopes" if method.scopes is None else f"scopes: {docstrings.scopes(method.scopes)}")
    lines = [" · ".join(facts)]
    if method.input:
        lines.append(f"payload: {_type(types.payloads[method.input], names)}")
    if method.query:
        lines.append(f"query: {', '.join(f'`{name}`' for name in method.query)}")
    if method.output:
        lines.append(f"returns: {_type(types.results[method.output], names)}")
    yield "\n".join(f"- {line}" for line in lines)


def _exchange(spec: Spec, exchange: ExchangeSpec, types: typed.Types, names: frozenset[str]) -> Iterator[str]:
    yield f"### {exchange.name}"
    yield f"**{exchange.title}.** {_text(exchange.description)}"
    message = _type(types.results[exchange.schema], names) if exchange.schema else "any object"
    words = [f"- `{word.name}`: {word.summary}" for word in exchange.routingKey]
    yield f"`{spec.exchangePrefix}{exchange.exchange}` · messages: {message}"
    yield "\n".join(["Routing key fields:", "", *words])


def _keys(record: typed.Record, names: frozenset[str]) -> str:
    if not record.keys:
        return "No keys."
    rows = [
        f"| `{key.name}` | {_type(key.type, names)} | {'' if key.required else 'optional'} | {_cell(key.summary)} |"
        for key in record.keys
    ]
    return "\n".join(["| key | type | | |", "| --- | --- | --- | --- |", *rows])


def _type(text: str, names: frozenset[str]) -> str:
    """Return a type as code, with links to the other types that it names."""
    pieces = re.split(r"(\w+)", text)
    if '"' in text or not names.intersection(pieces):
        return f"`{text}`"
    plain = re.compile(r"([\[\]|_*])")
    return "".join(
        f"[`{piece}`](#{piece.lower()})" if piece in names else plain.sub(r"\\\1", piece) for piece in pieces
    )


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """Return prose with everything that looks like HTML escaped."""
    return re.sub(r"<(?=[A-Za-z/])(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", "&lt;", text)
