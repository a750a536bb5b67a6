"""`log`: the logs of tasks, finished or as they are written."""

from __future__ import annotations

import collections
import queue as queues
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

import click

from taskcluster.timestamps import format_date

from ..app import App, pass_app
from ..command import command
from ..errors import MISSING, OK, Failure
from ..naming import Task, one_task
from ..options import run_option
from ..states import result, run_of
from ..text import safe_log
from ..watching import stops_watching

__all__ = ["follow", "log", "result_of"]

_PAUSE = 1.0
"""Seconds without a line after which the lines so far are the log's past."""


@command(
    examples=[
        "taskcluster log fN1SbArXTPSVFNUvaOlinQ --tail 20",
        "taskcluster log --follow fN1SbArXTPSVFNUvaOlinQ",
        "taskcluster task log fN1SbArXTPSVFNUvaOlinQ",
    ]
)
@click.argument("named", metavar="TASK")
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Wait for the task, and exit by its result.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Print the last N lines, and what follows.")
@run_option()
@click.option("--name", help="The artifact with the log. Defaults to the one that the task's payload names.")
@click.option("--timestamps", is_flag=True, help="Print when each line arrived, in UTC.")
@pass_app
def log(
    app: App,
    named: str,
    is_followed: bool,
    tail: int | None,
    run: int | None,
    name: str | None,
    timestamps: bool,
) -> int:
    """Print the log of a task; of a running task, until its end.

    Private logs are read with your credentials. After a broken connection reading resumes. With --follow, a task that
    has not begun is waited for, and the exit status is 1 if it fails.
    """
    found = one_task(app, named)
    number = found.run_or(run)
    queue = app.client("Queue", found.address)
    if not is_followed:
        status = queue.status(found.id)["status"]
        if run_of(status, number)["state"] == "pending":
            raise Failure(f"the task {found.id} is pending and has no log yet", MISSING, "--follow waits for it")
        follow(app, found, number, name, tail=tail, timestamps=timestamps)
        return OK
    cancel = f"taskcluster task cancel {found.id}"
    with stops_watching(app, "the task", cancel):
        follow(app, found, number, name, tail=tail, timestamps=timestamps)
        return result_of(app, found, number)


def follow(
    app: App, task: Task, run: int | None, name: str | None, *, tail: int | None = None, timestamps: bool = False
) -> None:
    """Print the lines of a log as they arrive."""
    from taskcluster.helper import task_log_lines

    lines: Iterator[str] = iter(task_log_lines(app.client("Queue", task.address), task.id, run, name=name))
    if tail is not None:
        lines = _last(lines, tail)
    out = app.out
    for line in lines:
        text = safe_log(line) if out.is_terminal else line
        if timestamps:
            text = f"{format_date(datetime.now(timezone.utc))} {text}"
        if out.form != "auto":
            out.document({"line": line} if not timestamps else {"line": line, "received": text.split(" ")[0]})
        else:
            out.line(text)
            out.flush()


def _last(lines: Iterator[str], number: int) -> Iterator[str]:
    """Yield the last lines of those that are there now, and then the others as they arrive."""
    arrived: queues.SimpleQueue[str | BaseException | None] = queues.SimpleQueue()
    # Only a bound lets a reader of a long log end early; the past is at most this many lines ahead.
    slots = threading.Semaphore(10_000)
    stopped = threading.Event()

    def read() -> None:
        try:
            for line in lines:
                slots.acquire()
                if stopped.is_set():
                    return
                arrived.put(line)
            arrived.put(None)
        except BaseException as exc:
            arrived.put(exc)

    threading.Thread(target=read, daemon=True).start()
    past: collections.deque[str] | None = collections.deque(maxlen=number)
    try:
        while True:
            try:
                found = arrived.get(timeout=_PAUSE if past else None)
            except queues.Empty:
                assert past is not None
                yield from past
                past = None
                continue
            slots.release()
            if isinstance(found, str):
                if past is None:
                    yield found
                else:
                    past.append(found)
                continue
            yield from past or ()
            if found is not None:
                raise found
            return
    finally:
        stopped.set()
        slots.release()


def result_of(app: App, task: Task, run: int | None) -> int:
    """Return the exit status for the result of a run whose log has ended."""
    from taskcluster.helper import wait_for_task

    queue = app.client("Queue", task.address)
    runs: Sequence[dict[str, str]] = queue.status(task.id)["status"].get("runs") or []
    number = len(runs) - 1 if run is None else run
    if runs[number]["state"] in ("running", "pending"):
        # The log ends before the worker reports the result.
        wait_for_task(queue, task.id)
        runs = queue.status(task.id)["status"]["runs"]
    state = runs[number]["state"]
    reason = runs[number].get("reasonResolved")
    app.notes.say(f"{task.id} {state}{f' ({reason})' if reason and reason != state else ''}")
    return result({state: 1})
