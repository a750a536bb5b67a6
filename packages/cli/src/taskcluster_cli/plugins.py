"""Commands of other distributions. This page is for their authors.

A distribution adds a command by an entry point in the group `taskcluster_cli`. Its name is the command's, and its value
a `click.Command` or `click.Group`::

    # pyproject.toml
    [project.entry-points.taskcluster_cli]
    widgets = "example_widgets.commands:widgets"

    # example_widgets/commands.py
    import click
    from taskcluster_cli.plugins import App, command, group, pass_app

    @group()
    def widgets() -> None:
        \"\"\"Manage widgets.\"\"\"

    @widgets.command()
    @click.argument("name")
    @pass_app
    def show(app: App, name: str) -> None:
        \"\"\"Show a widget.\"\"\"
        app.out.document(app.client("widgets").widget(name))

`taskcluster widgets show NAME` then works like a built-in command: it has `--json`, `--select`, `--profile` and the
other common options, and failures of the client become messages and exit statuses. `app.client(service)` returns a
client with the user's deployment and credentials, and `app.options()` its options. Raise `Failure(message, status)` for
errors of your own. A command that returns an integer exits with it.

Arguments with a metavar such as `TASK`, `GROUP` or `POOL` complete to the ids that commands have listed or used.

Plain click commands work too, without the common options. The module is imported only when its command is used, or its
help is shown, so it may import anything.

A plugin cannot replace a built-in command, and of two plugins with one name neither is used; both cases are warnings.
So is a plugin that cannot be loaded. TASKCLUSTER_DISABLE_PLUGINS disables plugins by name, as for services.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .app import App, pass_app
from .command import command, group
from .errors import Failure

if TYPE_CHECKING:
    from click import Command

__all__ = ["GROUP", "App", "Failure", "Plugin", "command", "group", "installed", "load", "names", "pass_app"]

GROUP = "taskcluster_cli"
"""The entry-point group."""


class Plugin(NamedTuple):
    """A command that a distribution registers."""

    name: str
    distribution: str
    value: str
    problem: str | None
    """Why it is not used."""


def names() -> list[str]:
    """Return the names that plugins register, for help and completion.

    This reads the files of the environment, because importing importlib.metadata takes 30 ms. Running a command does
    not use it.
    """
    from taskcluster.entry_points import disabled_plugins

    found: set[str] = set()
    for folder in sys.path:
        try:
            entries = list(os.scandir(folder or "."))
        except OSError:
            continue
        for entry in entries:
            if entry.name.endswith((".dist-info", ".egg-info")):
                found.update(_listed(os.path.join(entry.path, "entry_points.txt")))
    return sorted(found - disabled_plugins())


def _listed(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError):
        return
    if GROUP not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == GROUP and "=" in line and not line.startswith(("#", ";")):
            yield line.partition("=")[0].strip()


def installed(built_in: Callable[[str], bool]) -> list[Plugin]:
    """Return the commands that plugins register.

    Args:
        built_in: Returns whether a name is that of a built-in command.
    """
    from taskcluster.entry_points import disabled_plugins, distribution_of, entry_points

    disabled = disabled_plugins()
    found: list[Plugin] = []
    for name, points in sorted(entry_points(GROUP).items()):
        owners = [distribution_of(point) for point in points]
        usable = [owner for owner in owners if not {name, f"{owner}:{name}"} & disabled]
        for point, owner in zip(points, owners, strict=True):
            if owner not in usable:
                problem = "disabled by TASKCLUSTER_DISABLE_PLUGINS"
            elif built_in(name):
                problem = "has the name of a built-in command"
            elif len(usable) > 1:
                problem = f"is registered by {' and '.join(sorted(usable))}; uninstall or disable one"
            else:
                problem = None
            found.append(Plugin(name, owner, point.value, problem))
    return found


def load(name: str, warn: Callable[[str], None]) -> Command | None:
    """Return the command of a plugin, or None if there is none, or none that works, of which it warns."""
    candidates = [plugin for plugin in installed(lambda _: False) if plugin.name == name]
    usable = [plugin for plugin in candidates if plugin.problem is None]
    if not usable:
        for plugin in candidates[:1]:
            warn(f"the command {name!r} of a plugin {plugin.problem}")
        return None
    import contextlib
    from importlib import import_module

    import click

    [plugin] = usable
    module, _, attribute = plugin.value.partition(":")
    try:
        # What it prints while it is imported is not data.
        with contextlib.redirect_stdout(sys.stderr):
            found: object = import_module(module)
            for part in filter(None, attribute.split(".")):
                found = getattr(found, part)
    except (Exception, SystemExit) as exc:
        from taskcluster.causes import without_secrets

        reason = without_secrets(str(exc))
        warn(
            f"the command {name!r} of {plugin.distribution} cannot be loaded: {type(exc).__name__}"
            f"{reason and f': {reason}'}"
        )
        return None
    if not isinstance(found, click.Command):
        warn(f"the command {name!r} of {plugin.distribution} is not a click command but {type(found).__name__}")
        return None
    return found
