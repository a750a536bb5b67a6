"""The arguments of `taskcluster-local run`. Imports little, because every command of `taskcluster-local` imports it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add"]

_KINDS = ("push", "pull_request", "tag", "release", "cron")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser of the command."""
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="PATH",
        help="the checkout (default: the current directory)",
    )
    event = parser.add_argument_group("the event")
    event.add_argument("--event", choices=_KINDS, help="what happened (default: push)")
    event.add_argument(
        "--branch", metavar="NAME", help="the branch, or the tag of a tag or release (default: that of the checkout)"
    )
    event.add_argument(
        "--base",
        metavar="COMMIT",
        help="what a push started from, or the branch that a pull request is for (default: what `origin` has)",
    )
    event.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        dest="settings",
        metavar="NAME=VALUE",
        help="replace a value that .taskcluster.yml refers to, for example tasks_for or event.sender.login; VALUE is "
        "YAML; can be given several times",
    )
    event.add_argument("--event-file", type=Path, metavar="JSON", help="use this event, as GitHub delivered it")
    event.add_argument("--dirty", action="store_true", help="include uncommitted changes")
    tasks = parser.add_argument_group("the tasks")
    tasks.add_argument(
        "--task",
        action="append",
        default=[],
        dest="patterns",
        metavar="PATTERN",
        help="run only the tasks with this id or name (with *, ? and […]) and their dependencies; can be given several "
        "times",
    )
    tasks.add_argument(
        "--dry-run", action="store_true", required=True, help="print the rendered tasks as YAML, and run nothing"
    )


def _setting(text: str) -> tuple[str, Any]:
    """Parse `path=value` with a value in YAML."""
    path, equals, value = text.partition("=")
    if not equals or not all(path.split(".")):
        raise argparse.ArgumentTypeError(f"must be a name and a value, for example event.number=3, not {text!r}")
    from ..yaml_core import YamlError, load

    try:
        return path, load(value)
    except YamlError as error:
        raise argparse.ArgumentTypeError(f"{path}: the value is not YAML: {error}") from None
