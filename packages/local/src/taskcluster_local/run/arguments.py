"""The arguments of `taskcluster-local run`. Imports little, because every command of `taskcluster-local` imports it."""

from __future__ import annotations

import argparse
import os
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
    tasks.add_argument("--dry-run", action="store_true", help="print the rendered tasks as YAML, and run nothing")
    tasks.add_argument(
        "--secret",
        action="append",
        default=[],
        type=Path,
        dest="secrets",
        metavar="FILE",
        help="provide the secrets in a YAML file: a mapping of names to values; can be given several times",
    )
    tasks.add_argument(
        "--load",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="provide clients, roles, secrets, hooks, tasks and repositories, as `taskcluster-local load` does; can be "
        "given several times",
    )
    running = parser.add_argument_group("how they run")
    how = running.add_mutually_exclusive_group()
    how.add_argument(
        "--executor",
        metavar="NAME",
        help="what runs the tasks (default: `container` for tasks that name an image, `host` for others)",
    )
    how.add_argument(
        "--host",
        action="store_true",
        help="run tasks that name an image as processes on this machine, without the image",
    )
    running.add_argument(
        "--jobs",
        type=_jobs,
        default=os.cpu_count() or 1,
        metavar="N",
        help="how many tasks run at a time (default: %(default)s)",
    )
    running.add_argument(
        "--env",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME[=VALUE]",
        help="set a variable in all tasks, by default to its value here; can be given several times",
    )
    running.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep all data, artifacts and caches in a new directory"
    )
    running.add_argument("--artifacts", type=Path, metavar="DIR", help="save the artifacts of all tasks in a directory")


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of tasks, at least 1, not {text!r}")
    return int(text)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"must be a name, or a name and a value, not {text!r}")
    if not equals and name not in os.environ:
        raise argparse.ArgumentTypeError(f"the variable {name} is not set here: give a value, as in {name}=value")
    return name, value if equals else os.environ[name]


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
