"""Commands that need no deployment: `version`, `slugid`, `from-now`, `plugins`."""

from __future__ import annotations

import sys

import click

from ..app import App, pass_app
from ..command import Command, command, group
from ..errors import Failure
from ..output import Column

__all__ = ["from_now", "plugins", "slugid", "version"]


@command(examples=["taskcluster version", "taskcluster version --short"])
@click.option("-s", "--short", is_flag=True, help="Print the number alone.")
@pass_app
def version(app: App, short: bool) -> None:
    """Print the version of this command."""
    from taskcluster.version import VERSION

    if short and not app.out.is_for_programs:
        app.out.line(VERSION)
        return
    python = ".".join(map(str, sys.version_info[:3]))
    document = {"version": VERSION, "name": "taskcluster-cli", "python": python, "executable": sys.argv[0]}
    app.out.document(document, lambda: app.out.line(f"taskcluster (Python) version {VERSION}, Python {python}"))


@group()
def slugid() -> None:
    """Generate, decode and encode slugIds."""


@slugid.command(examples=["taskcluster slugid generate"])
@click.option("-n", "--nice", is_flag=True, help="Never begin with `-`; this is always so.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many to print.")
@pass_app
def generate(app: App, nice: bool, count: int) -> None:
    """Print a new slugId."""
    from taskcluster.slugs import slugId

    if app.out.is_for_programs:
        app.out.listing([[slugId() for _ in range(count)]], [])
    else:
        for _ in range(count):
            app.out.line(slugId())


@slugid.command(examples=["taskcluster slugid decode fN1SbArXTPSVFNUvaOlinQ"])
@click.argument("slug")
@pass_app
def decode(app: App, slug: str) -> None:
    """Print the UUID of a slugId."""
    import base64
    import uuid

    try:
        raw = base64.urlsafe_b64decode(f"{slug.strip()}==")
        if len(slug.strip()) != 22 or len(raw) != 16:
            raise ValueError
    except ValueError:
        raise Failure(f"{slug!r} is not a slugId, which has 22 characters: letters, digits, - and _") from None
    app.out.document(str(uuid.UUID(bytes=raw)), lambda: app.out.line(str(uuid.UUID(bytes=raw))))


@slugid.command(examples=["taskcluster slugid encode 7cdd526c-0ad7-4cf4-9514-d52f68e9629d"])
@click.argument("value", metavar="UUID")
@pass_app
def encode(app: App, value: str) -> None:
    """Print the slugId of a UUID."""
    import base64
    import uuid

    try:
        raw = uuid.UUID(value.strip()).bytes
    except ValueError:
        raise Failure(f"{value!r} is not a UUID like 7cdd526c-0ad7-4cf4-9514-d52f68e9629d") from None
    slug = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    app.out.document(slug, lambda: app.out.line(slug))


class _FromNow(Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments, of which the first word of the offset may be negative."""
        for number, arg in enumerate(args):
            if arg[:1] == "-" and (arg[1:].lstrip()[:1].isdigit() or arg == "-"):
                return super().parse_args(ctx, [*args[:number], "--", *args[number:]])
            if not arg.startswith("-"):
                break
        return super().parse_args(ctx, args)


@click.command(
    "from-now",
    cls=_FromNow,
    examples=["taskcluster from-now 2 days 3 hours", "taskcluster from-now -1h"],
)
@click.argument("words", nargs=-1)
@pass_app
def from_now(app: App, words: tuple[str, ...]) -> None:
    """Print the time that is a while from now, in UTC.

    WORDS are units from years to seconds, such as `1 year 2 mo 3 weeks 4d 5hr 6 min 7s`. A leading `-` goes into the
    past. A year is 365 days and a month 30.
    """
    from datetime import datetime, timezone

    from taskcluster.timestamps import format_date, fromNow

    try:
        moment = fromNow(" ".join(words), datetime.now(timezone.utc))
    except ValueError as exc:
        raise Failure(str(exc)) from None
    text = format_date(moment)
    app.out.document(text, lambda: app.out.line(text))


@command(examples=["taskcluster plugins"])
@pass_app
@click.pass_context
def plugins(ctx: click.Context, app: App) -> None:
    """List the commands and services that plugins add."""
    from taskcluster.entry_points import disabled_plugins, distribution_of, entry_points

    from ..command import Root
    from ..plugins import installed

    root = ctx.find_root().command
    assert isinstance(root, Root)
    records = [
        {"kind": "command", "name": each.name, "distribution": each.distribution, "problem": each.problem}
        for each in installed(root.is_built_in)
    ]
    disabled = disabled_plugins()
    for name, points in sorted(entry_points().items()):
        for point in points:
            owner = distribution_of(point)
            problem = "disabled by TASKCLUSTER_DISABLE_PLUGINS" if {name, f"{owner}:{name}"} & disabled else None
            records.append({"kind": "service", "name": name, "distribution": owner, "problem": problem})
    columns = [Column(key, key) for key in ("name", "kind", "distribution", "problem")]
    app.out.listing([records], columns)
