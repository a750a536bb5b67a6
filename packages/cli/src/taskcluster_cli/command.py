"""Commands with the options that all of them have, and groups whose commands are imported when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from .app import App
from .errors import Failure
from .known import KINDS, Known
from .table import ALIASES, COMMANDS, GONE, HIDDEN, Entry
from .targets import SLUG

if TYPE_CHECKING:
    from .select import Path, Query

__all__ = ["Command", "Group", "Root", "command", "group"]

_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_ESCAPE = "\ufdd0"
"""Marks an id that begins with `-` until its option or argument has it. It is not a character."""


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        app = ctx.find_object(App)
        if app is not None and value not in (None, False):
            setattr(app, name, value)

    return callback


def _set_form(form: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        app = ctx.find_object(App)
        if app is not None and value:
            if app.form not in ("auto", form):
                raise click.UsageError("--json and --jsonl exclude each other", ctx)
            app.form = form

    return callback


def _set_path(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    app = ctx.find_object(App)
    if app is not None and value is not None:
        from .select import Path

        _select(ctx, app, Path(value))


def _set_query(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    app = ctx.find_object(App)
    if app is not None and value is not None:
        from .select import Query

        _select(ctx, app, Query(value))


def _select(ctx: click.Context, app: App, wanted: Path | Query) -> None:
    if app.path is not None and type(app.path) is not type(wanted):
        raise click.UsageError("--select and --query exclude each other", ctx)
    app.path = wanted


def _option(*names: str, callback: Callable[..., None], **more: Any) -> click.Option:
    return click.Option(list(names), expose_value=False, callback=callback, **more)


COMMON = (
    _option("--json", is_flag=True, callback=_set_form("json"), help="Print JSON."),
    _option("--jsonl", is_flag=True, callback=_set_form("jsonl"), help="Print a JSON document per line."),
    _option("--select", metavar="PATH", callback=_set_path, help="Print a part, such as status.runs[].state."),
    _option("--query", metavar="EXPRESSION", callback=_set_query, help="Print what a JMESPath expression yields."),
    _option("--profile", metavar="NAME", callback=_set("profile"), help="Use the deployment of this profile."),
    _option("--root-url", metavar="URL", callback=_set("root_url"), help="Use this deployment."),
    _option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        callback=_set("colour"),
        help="When to use color.",
    ),
    _option("--debug", is_flag=True, callback=_set("is_debug"), help="Show stack traces."),
    _option("-v", "--verbose", is_flag=True, callback=lambda *_: None, hidden=True),
)
"""Options of every command, before or after its name."""


class _WithExamples(click.Command):
    """A command with the common settings.

    Args:
        examples: Command lines that `--help` shows.
        **attributes: As for `click.Command`.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        attributes["context_settings"] = {**_SETTINGS, **(attributes.get("context_settings") or {})}
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':>{formatter.current_indent}}{line}\n" for line in self.examples))
        super().format_epilog(ctx, formatter)


class Command(_WithExamples):
    """A command with the common options.

    Args:
        **attributes: `examples`, the command lines that `--help` shows, and others as for `click.Command`.
    """

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        own = {name for param in self.params for name in param.opts}
        self._named: list[tuple[click.Parameter, str]] = []
        for param in self.params:
            kind = KINDS.get(param.metavar or "") if isinstance(param, click.Argument) else None
            if kind is not None and param.type is click.STRING:
                param.type = Known(kind)
                self._named.append((param, kind))
        self._common = [option for option in COMMON if not own.intersection(option.opts)]
        self.params.extend(self._common)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments, of which those that are ids may begin with `-`."""
        marked = [_ESCAPE + arg if arg.startswith("-") and SLUG.fullmatch(arg) else arg for arg in args]
        rest = super().parse_args(ctx, marked)
        ctx.params.update({name: _unmarked(value) for name, value in ctx.params.items()})
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and remember what its arguments name unless it fails."""
        is_there = True
        try:
            return super().invoke(ctx)
        except Exception:
            is_there = False
            raise
        finally:
            app = ctx.find_object(App)
            if app is not None and is_there:
                for param, kind in self._named:
                    value = ctx.params.get(param.name or "")
                    for text in [value] if isinstance(value, str) else value or ():
                        app.remember_argument(kind, text)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options before those of every command."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                (common if param in self._common else own).append(record)
        for title, records in (("Options", own), ("Options of every command", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _unmarked(value: Any) -> Any:
    if isinstance(value, str):
        return value.removeprefix(_ESCAPE)
    if isinstance(value, tuple):
        return tuple(_unmarked(each) for each in value)  # pyright: ignore[reportUnknownVariableType]
    return value


class Group(_WithExamples, click.Group):
    """A group that prints its help if no command is given, and names the nearest command for an unknown one."""

    command_class = Command

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes["invoke_without_command"] = True
        super().__init__(*args, **attributes)
        # One with options of its own does something without a command.
        self._runs_alone = bool(self.params)
        self.subcommand_metavar = "COMMAND [ARGS]..."
        self._targets: dict[str, str] = {}

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, or print the help."""
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None and not self._runs_alone:
            click.echo(ctx.get_help())
        return result

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or raise a usage error that names the nearest one."""
        name = args[0]
        if ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from taskcluster.suggestions import did_you_mean

        near = did_you_mean(name, (known for known in self.list_commands(ctx) if known != name))
        raise click.UsageError(f"there is no command {ctx.command_path} {name}{near}", ctx)

    def add_target(self, name: str, target: str) -> None:
        """Add a command that is imported when it is used.

        Args:
            name: Its name in this group.
            target: `module:attribute`, in `taskcluster_cli.commands`.
        """
        self._targets[name] = target

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *self._targets])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported if necessary."""
        target = self._targets.get(cmd_name)
        return super().get_command(ctx, cmd_name) if target is None else _imported(target)

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """Return a decorator that adds a group of the same kind."""
        kwargs.setdefault("cls", Group)
        return super().group(*args, **kwargs)


def _imported(target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    found: click.Command = getattr(import_module(f"taskcluster_cli.commands.{module}"), attribute)
    return found


class Root(Group):
    """`taskcluster` itself: built-in commands from the table, then those of plugins.

    Args:
        table: The built-in commands; their modules are imported when they are used.
    """

    def __init__(self, table: Mapping[str, Entry] = COMMANDS, **attributes: Any) -> None:
        super().__init__("taskcluster", **attributes)
        self.params.extend(COMMON)
        self._table = table

    def is_built_in(self, name: str) -> bool:
        """Return whether a name is that of a built-in command."""
        return name in self._table or name in HIDDEN or name in ALIASES or name in GONE

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*self._table, *self._plugin_names()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name in GONE:
            raise Failure(f"there is no command taskcluster {name}: {GONE[name]}")
        entry = self._table.get(name) or HIDDEN.get(name)
        if entry is not None:
            return _imported(entry.target)
        if name.startswith("-"):
            return None
        from .plugins import load

        app = ctx.find_object(App)
        return load(name, app.notes.warn if app is not None and not ctx.resilient_parsing else lambda _: None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._table.items()])
        plugins = self._plugin_names()
        if plugins:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, "`taskcluster plugins` says where it is from.") for name in plugins])

    def _plugin_names(self) -> list[str]:
        from .plugins import names

        return [name for name in names() if not self.is_built_in(name)]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the name of a command without importing any."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return [
                CompletionItem(name)
                for param in self.params
                for name in param.opts
                if name.startswith(incomplete) and not getattr(param, "hidden", False)
            ]
        found = {name: entry.help for name, entry in self._table.items()}
        found.update(dict.fromkeys(self._plugin_names(), "a plugin's command"))
        return [CompletionItem(name, help=text) for name, text in found.items() if name.startswith(incomplete)]


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a command with the common options.

    Args:
        name: Its name. Defaults to the function's, with hyphens.
        **attributes: As for `Command`.
    """
    return click.command(name, cls=Command, **attributes)


def group(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """Return a decorator that makes a group of commands.

    Args:
        name: Its name. Defaults to the function's, with hyphens.
        **attributes: As for `Group`.
    """
    return click.group(name, cls=Group, **attributes)
