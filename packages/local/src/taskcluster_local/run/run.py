"""The command `taskcluster-local run`."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from ..loading import LoadError
from ..timestamps import system_clock
from . import preparation
from .definitions import as_yaml
from .errors import RunError

__all__ = ["main"]

_DRY_ROOT_URL = "http://127.0.0.1"


def main(given: Namespace) -> int:
    """Run the command and return its exit status."""
    try:
        with tempfile.TemporaryDirectory(prefix="taskcluster-local-run-") as directory:
            return _run(given, Path(directory))
    except (LoadError, RunError) as error:
        print(f"taskcluster-local run: {error}", file=sys.stderr)
        return 2


def _run(given: Namespace, directory: Path) -> int:
    source = preparation.read(given, directory, system_clock())
    for note in (source.description(), *source.notes):
        print(f"# {note}", file=sys.stderr)
    rendered = preparation.rendered(source, _DRY_ROOT_URL, system_clock())
    tasks = preparation.selected(rendered.tasks, given.patterns)
    if given.patterns and not tasks:
        names = [preparation.task_name(each["task"]) for each in rendered.tasks]
        raise preparation.no_match(given.patterns, names)
    print(as_yaml({"tasks": tasks, **({"hooks": rendered.hooks} if rendered.hooks else {})}), end="")
    return 0
