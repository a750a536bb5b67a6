"""`log`: the logs of tasks, finished or as they are written."""

from __future__ import annotations

import queue as queues
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import click

from taskcluster.shapes import is_mapping
from taskcluster.timestamps import format_date, parse_date

from ..app import App, pass_app
from ..command import command
from ..errors import MISSING, NEGATIVE, OK, Failure, explain
from ..naming import Task, tasks
from ..options import run_option, web_option
from ..periods import seconds_of
from ..recent import recent
from ..states import result, run_of
from ..text import safe_log
from ..watching import stops_watching
from ..web import show_page

__all__ = ["View", "follow", "log", "result_of"]

_AT_A_TIME = 5
"""How many logs are followed at a time, as kubectl does."""


class View(NamedTuple):
    """What of a log to print, and how."""

    name: str | None = None
    """The artifact. Defaults to the one that the task's payload names."""
    tail: int | None = None
    """How many of the lines that are there now."""
    since: datetime | None = None
    has_timestamps: bool = False
    has_prefix: bool = False


@command(
    examples=[
        "taskcluster log fN1SbArXTPSVFNUvaOlinQ --tail 20",
        "taskcluster log --follow fN1SbArXTPSVFNUvaOlinQ --since 1h",
        "taskcluster log --prefix fN1SbArXTPSVFNUvaOlinQ index:project.test.latest",
        "taskcluster task log fN1SbArXTPSVFNUvaOlinQ",
    ]
)
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Wait for the tasks, and exit by their results.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Print the last N lines, and what follows.")
@click.option("--since", metavar="PERIOD", help="Print what is newer, such as 10min, by the times at line beginnings.")
@run_option()
@click.option("-p", "--previous", is_flag=True, help="The run before the last.")
@click.option("--name", help="The artifact with the log. Defaults to the one that the task's payload names.")
@click.option("--timestamps", is_flag=True, help="Print when each line arrived, in UTC.")
@click.option("--prefix", is_flag=True, help="Print the task's id before each line.")
@web_option()
@pass_app
def log(
    app: App,
    ids: tuple[str, ...],
    is_followed: bool,
    tail: int | None,
    since: str | None,
    run: int | None,
    previous: bool,
    name: str | None,
    timestamps: bool,
    prefix: bool,
    web: bool,
) -> int:
    """Print the log of a task; of a running task, until its end.

    Private logs are read with your credentials. After a broken connection reading resumes. With --follow, a task that
    has not begun is waited for, and the exit status is 1 if it fails.

    Of several tasks, one log is printed after the other. With --follow their lines are mixed, and at most 5 logs are
    followed at a time.
    """
    if previous and run is not None:
        raise click.UsageError("--previous and --run exclude each other", click.get_current_context())
    moment = None if since is None else _before_now(since)
    view = View(name, tail, moment, timestamps, prefix)
    named = [(each, _run_before_the_last(app, each) if previous else each.run_or(run)) for each in tasks(app, ids)]
    if web:
        for each, number in named:
            _show_page(app, each, number, name)
        return OK
    with app.out.array():
        return _printed(app, named, view, is_followed=is_followed)


def _printed(app: App, named: Sequence[tuple[Task, int | None]], view: View, *, is_followed: bool) -> int:
    """Print logs, and return the exit status."""
    if not is_followed:
        return _print_in_turn(app, named, view)
    several = len(named) > 1
    cancel = f"taskcluster task cancel {' '.join(each.id for each, _ in named)}"
    with stops_watching(app, "each of the tasks" if several else "the task", cancel):
        if several:
            return _follow_several(app, named, view)
        [(only, number)] = named
        follow(app, only, number, view)
        return result_of(app, only, number)


def _before_now(period: str) -> datetime:
    seconds = abs(seconds_of("--since", period))
    try:
        return datetime.now(timezone.utc) - timedelta(seconds=seconds)
    except OverflowError:
        raise Failure(f"--since: {period!r} is longer ago than dates reach") from None


def _run_before_the_last(app: App, task: Task) -> int:
    status = app.client("Queue", task.address).status(task.id)["status"]
    last: int = run_of(status, None)["runId"]
    if last == 0:
        raise Failure(f"the task {task.id} has one run, and none before it", MISSING)
    return last - 1


def _show_page(app: App, task: Task, run: int | None, name: str | None) -> None:
    queue = app.client("Queue", task.address)
    number = run_of(queue.status(task.id)["status"], run)["runId"]
    if name is None:
        payload: Any = queue.task(task.id)["payload"]
        logs: Any = payload.get("logs") if is_mapping(payload) else None
        name = str((logs.get("live") if is_mapping(logs) else None) or payload.get("log") or "public/logs/live.log")
    show_page(app, "tasks", task.id, "runs", str(number), "logs", *name.split("/"), address=task.address)


def _print_in_turn(app: App, named: Sequence[tuple[Task, int | None]], view: View) -> int:
    from taskcluster.exceptions import TaskclusterFailure

    outcome = OK
    for task, number in named:
        try:
            status = app.client("Queue", task.address).status(task.id)["status"]
            if run_of(status, number)["state"] == "pending":
                raise Failure(f"the task {task.id} is pending and has no log yet", MISSING, "--follow waits for it")
            follow(app, task, number, view)
        except (Failure, TaskclusterFailure) as exc:
            if len(named) == 1:
                raise
            app.notes.error(f"{task.id}: {explain(exc).message}")
            outcome = NEGATIVE
    return outcome


def follow(app: App, task: Task, run: int | None, view: View = View()) -> None:  # noqa: B008
    """Print the lines of a log as they arrive."""
    for line in _lines(app, task, run, view):
        _print(app, task, line, view)


def _lines(app: App, task: Task, run: int | None, view: View) -> Iterator[str]:
    from taskcluster.helper import task_log_lines

    queue = app.client("Queue", task.address)
    if view.since is not None and _ended_before(view.since, queue.status(task.id)["status"], run):
        return iter(())
    lines: Iterator[str] = iter(task_log_lines(queue, task.id, run, name=view.name))
    if view.tail is None and view.since is None:
        return lines
    return recent(lines, view.tail, view.since, lambda problem: app.notes.warn(f"{task.id}: {problem}"))


def _ended_before(moment: datetime, status: Mapping[str, Any], run: int | None) -> bool:
    runs: Sequence[Mapping[str, Any]] = status.get("runs") or []
    for each in reversed(runs):
        if run in (None, each["runId"]):
            return "resolved" in each and parse_date(each["resolved"]) < moment
    return False


def _print(app: App, task: Task, line: str, view: View) -> None:
    out = app.out
    received = format_date(datetime.now(timezone.utc)) if view.has_timestamps else None
    if out.is_for_programs:
        document = {"taskId": task.id if view.has_prefix else None, "received": received, "line": line}
        out.record({key: value for key, value in document.items() if value is not None})
        return
    parts = [f"[{task.id}]" if view.has_prefix else None, received, safe_log(line) if out.is_terminal else line]
    out.line(" ".join(part for part in parts if part is not None))
    out.flush()


class _End(NamedTuple):
    state: str | None
    problem: Exception | None


def _follow_several(app: App, named: Sequence[tuple[Task, int | None]], view: View) -> int:
    """Print the lines of several logs as they arrive, and return the exit status."""
    waiting: queues.SimpleQueue[tuple[Task, int | None]] = queues.SimpleQueue()
    for each, number in named:
        # Clients are made here, not in threads.
        app.client("Queue", each.address)
        waiting.put((each, number))
    arrived: queues.Queue[tuple[Task, str | _End]] = queues.Queue(1000)

    def read() -> None:
        while not waiting.empty():
            try:
                task, run = waiting.get_nowait()
            except queues.Empty:
                return
            try:
                for line in _lines(app, task, run, view):
                    arrived.put((task, line))
                end = _End(_state_of(app, task, run), None)
            except Exception as exc:
                end = _End(None, exc)
            arrived.put((task, end))

    for _ in range(min(_AT_A_TIME, len(named))):
        threading.Thread(target=read, daemon=True).start()
    outcome, left = OK, len(named)
    while left:
        task, found = arrived.get()
        if isinstance(found, str):
            _print(app, task, found, view)
            continue
        left -= 1
        if found.problem is not None:
            app.notes.error(f"{task.id}: {explain(found.problem).message}")
            outcome = NEGATIVE
        elif found.state is not None:
            outcome = max(outcome, _tell(app, task, found.state))
    return outcome


def result_of(app: App, task: Task, run: int | None) -> int:
    """Return the exit status for the result of a run whose log has ended."""
    return _tell(app, task, _state_of(app, task, run))


def _state_of(app: App, task: Task, run: int | None) -> str:
    """Return the state of a run whose log has ended, with the reason if there is another one."""
    from taskcluster.helper import wait_for_task

    queue = app.client("Queue", task.address)
    runs: Sequence[dict[str, str]] = queue.status(task.id)["status"].get("runs") or []
    number = len(runs) - 1 if run is None else run
    if runs[number]["state"] in ("running", "pending"):
        # The log ends before the worker reports the result.
        wait_for_task(queue, task.id)
        runs = queue.status(task.id)["status"]["runs"]
    state, reason = runs[number]["state"], runs[number].get("reasonResolved")
    return f"{state} ({reason})" if reason and reason != state else state


def _tell(app: App, task: Task, state: str) -> int:
    app.notes.say(f"{task.id} {state}")
    return result({state.split(" ")[0]: 1})
