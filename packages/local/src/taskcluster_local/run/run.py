"""The command `taskcluster-local run`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.installation import how_to_install

from ..loading import LoadError
from ..store import StoreError
from ..timestamps import system_clock
from ..yaml_core import dump
from . import preparation
from .errors import RunError
from .preparation import Source

__all__ = ["main"]

_DRY_ROOT_URL = "http://127.0.0.1"


def main(given: Namespace) -> int:
    """Run the command and return its exit status."""
    try:
        with tempfile.TemporaryDirectory(prefix="taskcluster-local-run-") as temporary:
            # Unlike the temporary directory, this one can be read by other users in containers.
            directory = Path(temporary, "source")
            directory.mkdir()
            source = preparation.read(given, directory, system_clock())
            if given.dry_run:
                return _dry_run(given, source)
            try:
                from .live import run
            except ModuleNotFoundError as error:
                if error.name != "taskcluster_worker":
                    raise
                raise RunError(f"running tasks needs a worker: {how_to_install('taskcluster-worker')}") from None
            return asyncio.run(run(given, source))
    except (LoadError, RunError, StoreError) as error:
        print(f"taskcluster-local run: {error}", file=sys.stderr)
        return 2
    except TaskclusterFailure as error:
        print(f"taskcluster-local run: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("taskcluster-local run: interrupted", file=sys.stderr)
        return 1


def _dry_run(given: Namespace, source: Source) -> int:
    for note in (source.description(), *source.notes):
        print(f"# {note}", file=sys.stderr)
    rendered = preparation.rendered(source, _DRY_ROOT_URL, system_clock())
    tasks = preparation.selected(rendered.tasks, given.patterns)
    print(dump({"tasks": tasks, **({"hooks": rendered.hooks} if rendered.hooks else {})}), end="")
    return 0
