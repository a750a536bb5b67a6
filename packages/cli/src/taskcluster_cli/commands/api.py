"""`api SERVICE METHOD`: every method of every installed service, as commands made of their references."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import Any

import click

from taskcluster.shapes import is_mapping

from ..app import App
from ..command import Command, Group
from ..errors import Failure
from ..output import compact
from ..payloads import fields, loads, text_of
from ..periods import lifetime_of
from ..references import ApiMethod, Reference, scopes_text
from ..results import complete_file

__all__ = ["api"]


class _Api(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the installed services."""
        from taskcluster.entry_points import disabled_plugins, entry_points

        return sorted(entry_points().keys() - disabled_plugins())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the commands of a service, by any spelling of its name."""
        if cmd_name.startswith("-"):
            return None
        from taskcluster.registry import registry

        try:
            service = registry.service(cmd_name)
        except ModuleNotFoundError as exc:
            raise Failure(str(exc)) from None
        except LookupError:
            return None
        if service.spec is None:
            content: dict[str, Any] = {"methods": service.load("client").funcinfo.values(), "title": service.name}
        else:
            content = service.reference()
        return _Service(service.name, Reference(content))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the services without loading their references."""
        with formatter.section("Services"):
            formatter.write_text(", ".join(self.list_commands(ctx)))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the name of a service."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in self.list_commands(ctx) if name.startswith(incomplete)]


class _Service(Group):
    """The methods of a service."""

    def __init__(self, name: str, reference: Reference) -> None:
        super().__init__(name, help=f"{reference.title}.\n\n{reference.description}")
        self._service = name
        self._reference = reference

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the methods."""
        return list(self._reference.methods)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that calls a method."""
        method = self._reference.methods.get(cmd_name)
        return None if method is None else _command(self._service, method, self._reference)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the methods without making commands of them."""
        with formatter.section("Methods"):
            formatter.write_dl([(each.name, each.title) for each in self._reference.methods.values()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the name of a method."""
        from click.shell_completion import CompletionItem

        found = self._reference.methods.values()
        return [CompletionItem(each.name, help=each.title) for each in found if each.name.startswith(incomplete)]


def _command(service: str, method: ApiMethod, reference: Reference) -> Command:
    params: list[click.Parameter] = [
        click.Argument([f"arg_{number}"], metavar=name) for number, name in enumerate(method.args)
    ]
    params += [
        click.Option([f"query_{number}", f"--{name}"], metavar="VALUE", help="A query parameter.")
        for number, name in enumerate(method.query)
    ]
    if method.input is not None:
        params += [
            click.Option(["--payload"], metavar="FILE", help="The payload, in JSON or YAML; `-` is stdin."),
            click.Option(
                ["-f", "--field"],
                multiple=True,
                metavar="KEY=VALUE",
                help="A key of the payload, with dots for nested ones. The value is JSON, or else a string.",
            ),
        ]
    if method.is_paginated:
        params.append(click.Option(["--paginate"], is_flag=True, help="Get all pages, as one document."))
    if method.verb == "GET":
        params.append(
            click.Option(["--sign-url"], metavar="PERIOD", help="Print a URL that is valid for a while, such as 15min.")
        )
    params += [
        click.Option(["--dry-run"], is_flag=True, help="Print the request instead of sending it."),
        click.Option(["-o", "--output"], metavar="FILE", help="Write the result to a file; `-` is stdout."),
    ]
    return Command(
        method.name,
        params=params,
        callback=functools.partial(_call, service, method),
        help="\n\n".join(_help(method, reference)),
        short_help=method.title,
    )


def _help(method: ApiMethod, reference: Reference) -> Iterator[str]:
    yield f"{method.title}."
    yield method.description
    if method.removed_before:
        yield f"Removed in Taskcluster {method.removed_before}; only older deployments have it."
    yield f"\b\nRequest: {method.verb} {method.route}\nScopes: {scopes_text(method.scopes)}"
    if method.input is not None:
        lines = reference.payload(method) or ["any JSON"]
        yield "\n".join(["\b", "Payload:", *(f"  {line}" for line in lines)])


def _call(service: str, method: ApiMethod, **given: Any) -> None:
    app = click.get_current_context().find_object(App)
    assert app is not None
    args = [given[f"arg_{number}"] for number in range(len(method.args))]
    values = {name: given[f"query_{number}"] for number, name in enumerate(method.query)}
    query = {name: value for name, value in values.items() if value is not None}
    keywords: dict[str, Any] = {"query": query} if query else {}
    client = app.client(service)
    if given.get("sign_url"):
        expiration = lifetime_of("--sign-url", given["sign_url"])
        app.out.line(client.buildSignedUrl(method.name, *args, expiration=expiration, **keywords))
        return
    if method.input is not None:
        keywords["payload"] = _payload(app, given["payload"], given["field"])
        client = client.with_options(validate=True)
    if given["dry_run"]:
        url = client.buildUrl(
            method.name, *args, **{name: value for name, value in keywords.items() if name == "query"}
        )
        request = {"method": method.verb, "url": url, "payload": keywords.get("payload")}
        app.out.document({key: value for key, value in request.items() if value is not None})
        return
    with complete_file(app, given["output"]):
        call = functools.partial(getattr(client, method.name), *args)
        if given.get("paginate"):
            _print_pages(app, client.paginate(call, **keywords))
        else:
            _print(app, call(**keywords))


def _payload(app: App, file: str | None, pairs: tuple[str, ...]) -> Any:
    if pairs:
        if file is not None:
            raise click.UsageError("--payload and -f exclude each other")
        return fields(pairs)
    if file is None or file == "-":
        if file is None and sys.stdin is None:
            raise Failure("a payload is needed", hint="pass --payload FILE, -f key=value, or pipe it to stdin")
        return loads(app.read_stdin("a payload in JSON or YAML"), "the payload on stdin")
    return loads(text_of(file), file)


def _print(app: App, result: Any) -> None:
    if result is None:
        return
    if app.out.is_for_programs or app.out.is_terminal:
        app.out.document(result)
    else:
        # On one line, as deployments send it.
        app.out.line(compact(result))


def _print_pages(app: App, pages: Iterator[Any]) -> None:
    from taskcluster.pages import items_of

    out = app.out
    if out.path is not None and out.path.is_many and out.form != "json":
        # One page at a time, because all of them may not fit into memory.
        for page in pages:
            out.document(page)
    elif out.form == "jsonl":
        out.listing((items_of(page) for page in pages), [])
    else:
        merged: Any = None
        for page in pages:
            if merged is None:
                merged = page
            else:
                items_of(merged).extend(items_of(page))
        if is_mapping(merged):
            merged = {key: value for key, value in merged.items() if key != "continuationToken"}
        _print(app, merged)


api = _Api(
    "api",
    help="Call any method of any installed service.\n\nThe names of services and methods are those of the API, for "
    "example `queue createTask`; `purge-cache` may be written purgeCache. The help of a method has its parameters, its "
    "payload and its scopes.",
    examples=[
        "taskcluster api queue status fN1SbArXTPSVFNUvaOlinQ --select status.state",
        "taskcluster api queue listTaskGroup fN1SbArXTPSVFNUvaOlinQ --paginate --jsonl",
        "taskcluster api auth ping",
        "taskcluster api secrets set project/test/a -f secret.password=new -f expires=2099-01-01T00:00:00Z --dry-run",
    ],
)
