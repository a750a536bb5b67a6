"""Run the tasks of a source on a deployment of their own, and show them while they run."""

from __future__ import annotations

import asyncio
import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from taskcluster_worker import Worker
from taskcluster_worker.errors import WorkerError

from ..loading import Contents
from ..local import LocalTaskcluster
from ..timestamps import system_clock
from . import preparation, provided
from .display import Display, display_for
from .errors import RunError
from .executor import Executors
from .interrupts import Interrupts
from .preparation import Source
from .session import Session

__all__ = ["run"]

_REDRAW_SECONDS = 0.2


async def run(given: Namespace, source: Source) -> int:
    """Run the tasks and return the exit status of the command.

    Args:
        given: The arguments of the command.
        source: The commit and the event.

    Raises:
        RunError: The arguments or the tasks are invalid.
        LoadError: A file to load is invalid.
        StoreError: The directory for the data cannot be used.
    """
    for option, directory in (("--keep", given.keep), ("--artifacts", given.artifacts)):
        _create(option, directory)
    if given.keep is not None and any(given.keep.iterdir()):
        raise RunError(f"--keep {given.keep}: the directory must be new or empty")
    try:
        executors = Executors(given, source)
    except WorkerError as error:
        raise RunError(str(error)) from None
    contents = provided.read(given.secrets, given.load, system_clock())
    roles = provided.roles(source.event.organization, source.event.repository, contents)
    with Interrupts() as interrupts, _without_worker_log():
        async with LocalTaskcluster(given.keep, roles=roles) as local:
            return await _run(local, given, source, contents, executors, interrupts)


def _create(option: str, directory: Path | None) -> None:
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{option} {directory}: {error.strerror}") from None


@contextmanager
def _without_worker_log() -> Generator[None, None, None]:
    """Disable the log of workers: the display shows the states of tasks."""
    log = logging.getLogger("taskcluster.worker")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


async def _run(
    local: LocalTaskcluster,
    given: Namespace,
    source: Source,
    contents: list[Contents],
    executors: Executors,
    interrupts: Interrupts,
) -> int:
    rendered = preparation.rendered(source, local.root_url, local.now())
    tasks = preparation.selected(rendered.tasks, given.patterns)
    display = display_for(sys.stdout)
    display.print(source.description())
    display.note(*source.notes, *executors.notes(tasks))
    for problem, names in (await executors.missing(tasks)).items():
        display.print(f"not available: {problem} (needed by {', '.join(names)})")

    def worker(task_queue: str) -> Worker:
        return Worker(
            task_queue,
            local.options(),
            worker_group="local",
            capacity=given.jobs,
            executor=executors.executor(),
            directory=None if given.keep is None else given.keep / "workers" / task_queue.replace("/", "_"),
            clock=local.now,
        )

    # If no rendered task matches, those that the tasks create are meant.
    patterns: list[str] = [] if preparation.matching(preparation.names(tasks), given.patterns) else given.patterns
    async with Session(local, worker, patterns, lambda task, log: display.changed(task, local.now(), log)) as session:
        await session.load(contents)
        await session.create(rendered, tasks)
        await _follow(session, display, interrupts, local.now)
        display.end(session.progress, local.now())
        if patterns and not interrupts.first.is_set():
            session.check_patterns()
        if given.artifacts is not None:
            for failure in await session.export(given.artifacts):
                display.note(f"not saved: {failure}")
        if given.keep is not None:
            display.print(f"to look at the data, run: taskcluster-local serve --data {given.keep}")
        return 0 if session.progress.is_successful else 1


async def _follow(session: Session, display: Display, interrupts: Interrupts, now: Callable[[], datetime]) -> None:
    """Show the tasks until nothing more happens."""
    running = asyncio.create_task(session.run())
    interrupted = asyncio.create_task(interrupts.first.wait())
    try:
        waiting = {running, interrupted}
        while not running.done():
            display.update(session.progress, now())
            done, waiting = await asyncio.wait(waiting, timeout=_REDRAW_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if interrupted in done:
                display.print("interrupted: cancelling the tasks; interrupt again to end at once")
                await session.cancel()
        await running
    finally:
        for task in (running, interrupted):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
