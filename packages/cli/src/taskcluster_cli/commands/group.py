"""`group`: look at task groups, wait for them and change their tasks."""

from __future__ import annotations

import fnmatch
import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from taskcluster.shapes import is_mapping

from ..app import App, pass_app
from ..changes import change_all
from ..command import group as new_group
from ..definitions import create, retriggered
from ..errors import MISSING, OK, Failure
from ..naming import Group, one_group
from ..options import (
    PRIORITIES,
    dry_run_option,
    fail_fast_option,
    interval_option,
    quiet_option,
    timeout_option,
    web_option,
    yes_option,
)
from ..output import Column
from ..states import RESOLVED, STATES, UNSUCCESSFUL, counts_line, result
from ..text import counted, duration, one_line
from ..watching import has_resolved_first, is_whole, stops_watching, watch_group
from ..web import show_page

__all__ = ["group"]

_FIELD = re.compile(r"\{\{-?\s*((?:\.\w+)+)\s*-?\}\}")
_SLOWEST = 5
_MOST_SHOWN = 20


@new_group()
def group() -> None:
    """Look at task groups, wait for them and change their tasks.

    A group is named by its id, by the address of its page, or by that of one of its tasks.
    """


def _pages(app: App, found: Group) -> Iterator[list[Any]]:
    """Yield the pages of a group's tasks."""
    from taskcluster.exceptions import TaskclusterRestFailure

    queue = app.client("Queue", found.address)
    try:
        for page in queue.paginate(queue.listTaskGroup, found.id):
            yield page["tasks"]
    except TaskclusterRestFailure as exc:
        if exc.status_code != 404:
            raise
        try:
            other = queue.task(found.id)["taskGroupId"]
        except TaskclusterRestFailure:
            raise exc from None
        raise Failure(
            f"{found.id} is a task, of the group {other}", MISSING, f"`taskcluster group list {other}` lists its tasks"
        ) from None


def _tasks(app: App, found: Group) -> Iterator[Any]:
    """Yield a group's tasks."""
    for page in _pages(app, found):
        yield from page


def _has_name(each: Any, pattern: str | None) -> bool:
    return pattern is None or fnmatch.fnmatchcase(each["task"]["metadata"]["name"], pattern)


@group.command(examples=["taskcluster group status fN1SbArXTPSVFNUvaOlinQ --exit-status"])
@click.argument("named", metavar="GROUP")
@click.option("--exit-status", is_flag=True, help="Exit with 1 if a task failed or ended as an exception.")
@web_option()
@pass_app
def status(app: App, named: str, exit_status: bool, web: bool) -> int:
    """Show how many tasks of a group are in each state."""
    found = one_group(app, named)
    if web:
        show_page(app, "tasks", "groups", found.id, address=found.address)
        return OK
    counts = Counter(each["status"]["state"] for each in _tasks(app, found))
    ordered = {state: counts[state] for state in STATES if counts[state]}

    def show() -> None:
        for state, number in ordered.items():
            app.out.line(f"{app.out.state(state)}: {number}")
        if app.out.is_terminal:
            app.out.line(f"total: {sum(ordered.values())}")

    app.out.document({"taskGroupId": found.id, "states": ordered, "total": sum(ordered.values())}, show)
    return result(counts) if exit_status else OK


@group.command(
    "list",
    examples=[
        "taskcluster group list fN1SbArXTPSVFNUvaOlinQ",
        "taskcluster group list fN1SbArXTPSVFNUvaOlinQ --failed --quiet",
        "taskcluster group list fN1SbArXTPSVFNUvaOlinQ --state failed --state exception --name 'build*'",
    ],
)
@click.argument("named", metavar="GROUP")
@click.option("-a", "--all", "everything", is_flag=True, help="Tasks in any state, which is the default.")
@click.option("-r", "--running", "states", multiple=True, flag_value="running", help="Running tasks.")
@click.option("-f", "--failed", "states", multiple=True, flag_value="failed", help="Failed tasks.")
@click.option("-e", "--exception", "states", multiple=True, flag_value="exception", help="Exceptions.")
@click.option(
    "-c", "--completed", "--complete", "states", multiple=True, flag_value="completed", help="Completed tasks."
)
@click.option("-u", "--unscheduled", "states", multiple=True, flag_value="unscheduled", help="Unscheduled tasks.")
@click.option("-p", "--pending", "states", multiple=True, flag_value="pending", help="Pending tasks.")
@click.option(
    "--state", "more_states", multiple=True, type=click.Choice(STATES), help="Tasks in this state; repeatable."
)
@click.option("--name", "pattern", metavar="PATTERN", help="Tasks whose name matches, such as 'build*'.")
@click.option("--format-string", "template", metavar="TEXT", help="A line with {{ .Status.TaskID }} and the like.")
@quiet_option()
@pass_app
def list_tasks(
    app: App,
    named: str,
    everything: bool,
    states: tuple[str, ...],
    more_states: tuple[str, ...],
    pattern: str | None,
    template: str | None,
    quiet: bool,
) -> None:
    """List the tasks of a group. In a pipe, a line is the id, the name and the state."""
    found = one_group(app, named)
    wanted: set[str] = set() if everything else {*states, *more_states}

    def is_wanted(each: Any) -> bool:
        return (not wanted or each["status"]["state"] in wanted) and _has_name(each, pattern)

    columns = [
        Column("task", "status.taskId", "id"),
        Column("state", "status.state", "state"),
        Column("name", "task.metadata.name"),
        Column("queue", "status.taskQueueId"),
        Column("created", "task.created", "time"),
    ]
    pages = ([each for each in page if is_wanted(each)] for page in _pages(app, found))
    if template is not None:
        line = _formatted(template)
        for page in pages:
            for each in page:
                app.out.line(line(each))
            app.out.flush()
        return
    app.out.listing(pages, columns, plain=_plain, quiet=quiet)


def _plain(each: Mapping[str, Any]) -> str:
    return f"{each['status']['taskId']} {one_line(each['task']['metadata']['name'])} {each['status']['state']}"


def _formatted(template: str) -> Callable[[Any], str]:
    """Return a function that fills a Go template of the kind `{{ .Task.Metadata.Name }}`."""
    left = _FIELD.sub("", template)
    if "{{" in left or "}}" in left:
        raise Failure("--format-string knows fields only, such as {{ .Status.TaskID }}", hint="use --select or --jsonl")

    def value(each: Any, path: str) -> str:
        for part in path.strip(".").split("."):
            keys = {key.lower(): key for key in each} if is_mapping(each) else {}
            if part.lower() not in keys:
                raise Failure(f"--format-string: there is no {path}", hint=f"known here: {', '.join(keys.values())}")
            each = each[keys[part.lower()]]
        return str(each)

    def fill(each: Any) -> str:
        text = _FIELD.sub(lambda found: value(each, found[1]), template)
        return text.replace("\\n", "\n").replace("\\t", "\t")

    return fill


@group.command(
    examples=["taskcluster group show fN1SbArXTPSVFNUvaOlinQ", "taskcluster group show fN1SbArXTPSVFNUvaOlinQ --json"]
)
@click.argument("named", metavar="GROUP")
@web_option()
@pass_app
def show(app: App, named: str, web: bool) -> None:
    """Show a group's states, durations, slowest tasks, and failed tasks by name."""
    found = one_group(app, named)
    if web:
        show_page(app, "tasks", "groups", found.id, address=found.address)
        return
    document = _summary(app, found)
    out = app.out

    def print_it() -> None:
        out.details(
            [
                ("group", found.id),
                ("tasks", f"{document['total']} ({counts_line(document['states'])})"),
                ("sealed", out.time(document["sealed"]) if document["sealed"] else "no"),
                ("complete", "yes" if document["isWhole"] else "no: tasks may still be added"),
                ("wall time", duration(document["wallSeconds"])),
                ("computing time", duration(document["computingSeconds"])),
                *(
                    ("slowest", f"{duration(each['seconds'])} {each['taskId']} {each['name']}")
                    for each in document["slowest"]
                ),
                *(("failed", f"{number} x {name}") for name, number in document["failedByName"].items()),
            ]
        )

    out.document(document, print_it)


def _summary(app: App, found: Group) -> dict[str, Any]:
    from taskcluster.timestamps import parse_date

    counts: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    slowest: list[tuple[float, str, str]] = []
    first = last = None
    computing = 0.0
    for each in _tasks(app, found):
        state, name = each["status"]["state"], each["task"]["metadata"]["name"]
        counts[state] += 1
        if state in UNSUCCESSFUL:
            failed[name] += 1
        for run in each["status"].get("runs") or ():
            if "started" not in run or "resolved" not in run:
                continue
            started, resolved = parse_date(run["started"]), parse_date(run["resolved"])
            first = started if first is None else min(first, started)
            last = resolved if last is None else max(last, resolved)
            seconds = (resolved - started).total_seconds()
            computing += seconds
            heapq.heappush(slowest, (seconds, each["status"]["taskId"], name))
            if len(slowest) > _SLOWEST:
                heapq.heappop(slowest)
    sealed = app.client("Queue", found.address).getTaskGroup(found.id).get("sealed")
    return {
        "taskGroupId": found.id,
        "total": counts.total(),
        "states": {state: counts[state] for state in STATES if counts[state]},
        "sealed": sealed,
        "isWhole": bool(sealed) or has_resolved_first(app, found),
        "wallSeconds": (last - first).total_seconds() if first is not None and last is not None else 0,
        "computingSeconds": computing,
        "slowest": [{"taskId": id_, "name": name, "seconds": s} for s, id_, name in sorted(slowest, reverse=True)],
        "failedByName": dict(failed.most_common(_MOST_SHOWN)),
    }


@group.command(examples=["taskcluster group watch fN1SbArXTPSVFNUvaOlinQ --timeout 7200 --fail-fast"])
@click.argument("named", metavar="GROUP")
@interval_option()
@timeout_option()
@fail_fast_option()
@click.option("--logs-on-failure", is_flag=True, help="At the end, print the last 50 lines of each failed task's log.")
@pass_app
def watch(
    app: App,
    named: str,
    interval: float | None,
    timeout: float | None,
    fail_fast: bool,
    logs_on_failure: bool,
) -> int:
    """Wait until all tasks of a group are resolved.

    On a terminal this is a live view, in a pipe a line for each change. Exit status 0 if all tasks are completed, else
    1. A group is complete if it is sealed or its first task is resolved; otherwise a note says that tasks may be added.
    """
    if logs_on_failure and app.out.is_for_programs:
        raise click.UsageError(
            "--logs-on-failure prints no JSON; use `taskcluster log --jsonl`", click.get_current_context()
        )
    found = one_group(app, named)
    pace: dict[str, Any] = {"interval": interval, "timeout": timeout, "fail_fast": fail_fast}
    with stops_watching(app, "the group", f"taskcluster group cancel {found.id}"):
        counts = _watched(app, found, pace)
    whole = is_whole(app, found)
    if app.out.is_for_programs and app.out.form != "jsonl":
        app.out.document({"taskGroupId": found.id, "states": dict(counts), "isWhole": whole})
    if not whole:
        app.notes.say(f"the group {found.id} is not sealed and has no resolved first task: tasks may still be added")
    if result(counts):
        _tell_failed(app, found, with_logs=logs_on_failure)
    return result(counts)


def _watched(app: App, found: Group, pace: Mapping[str, Any]) -> Mapping[str, int]:
    if app.out.is_for_programs:
        stream = app.out.form == "jsonl"
        return watch_group(app, found, show=lambda each: app.out.document(dict(each)) if stream else None, **pace)
    if app.out.is_terminal:
        return _watch_live(app, found, pace)

    def print_line(each: Mapping[str, int]) -> None:
        app.out.line(counts_line(each))
        app.out.flush()

    return watch_group(app, found, show=print_line, **pace)


def _watch_live(app: App, found: Group, pace: Mapping[str, Any]) -> Mapping[str, int]:
    from rich.live import Live
    from rich.text import Text

    def view(counts: Mapping[str, int]) -> Text:
        total = sum(counts.values())
        done = sum(counts.get(state, 0) for state in RESOLVED)
        width = max(10, min(40, app.out.width - 40))
        filled = width * done // total if total else 0
        text = Text(f"{found.id}  {'#' * filled}{'.' * (width - filled)}  {done}/{total}\n", no_wrap=True)
        for state in STATES:
            if counts.get(state):
                text.append(f"  {counts[state]:>6} {state}\n")
        return text

    # Not the alternate screen, so that the end stays visible.
    with Live(view({}), console=app.out.console(), auto_refresh=False, transient=False) as live:
        return watch_group(app, found, show=lambda counts: live.update(view(counts), refresh=True), **pace)


def _tell_failed(app: App, found: Group, *, with_logs: bool) -> None:
    from taskcluster.exceptions import TaskclusterFailure

    from ..naming import Task
    from .log import View, follow

    failed = (each for each in _tasks(app, found) if each["status"]["state"] in UNSUCCESSFUL)
    for number, each in enumerate(failed):
        if number == _MOST_SHOWN:
            app.notes.say(f"and more: taskcluster group list {found.id} --failed --exception")
            return
        task_id = each["status"]["taskId"]
        app.notes.say(f"{each['status']['state']}: {task_id} {each['task']['metadata']['name']}")
        if with_logs:
            try:
                follow(app, Task(task_id, None, found.address), None, View(tail=50))
            except TaskclusterFailure as exc:
                app.notes.warn(f"no log of {task_id}: {exc}")


@group.command(examples=["taskcluster group seal fN1SbArXTPSVFNUvaOlinQ --yes"])
@click.argument("named", metavar="GROUP")
@yes_option()
@pass_app
def seal(app: App, named: str, yes: bool) -> None:
    """Close a group to new tasks, permanently."""
    found = one_group(app, named)
    app.confirm(f"Close the group {found.id} to new tasks permanently?", yes=yes)
    sealed = app.client("Queue", found.address).sealTaskGroup(found.id)
    app.out.document(sealed, lambda: app.out.line(sealed["sealed"]))


def _unresolved(app: App, found: Group, worker_type: str | None) -> list[Any]:
    return [
        each
        for each in _tasks(app, found)
        if each["status"]["state"] not in RESOLVED and worker_type in (None, each["status"].get("workerType"))
    ]


@group.command(examples=["taskcluster group cancel fN1SbArXTPSVFNUvaOlinQ --force"])
@click.argument("named", metavar="GROUP")
@click.option("-w", "--worker-type", metavar="TYPE", help="Only tasks for this worker type; the group is not sealed.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@yes_option()
@pass_app
def cancel(app: App, named: str, worker_type: str | None, force: bool, yes: bool) -> int:
    """Cancel the tasks of a group that are not resolved.

    The group is sealed first, so that no new task slips through. If your scopes do not allow that, the tasks are
    cancelled one by one. The ids of the cancelled tasks are printed.
    """
    found = one_group(app, named)
    left = _unresolved(app, found, worker_type)
    if not left:
        app.notes.say("all tasks are resolved, nothing to cancel")
        _print_cancelled(app, found, [])
        return OK
    names = [each["task"]["metadata"]["name"] for each in left[:_MOST_SHOWN]]
    more = f" and {len(left) - len(names)} more" if len(left) > len(names) else ""
    app.confirm(f"Cancel {counted(len(left), 'task')} of {found.id}: {', '.join(names)}{more}?", yes=yes or force)
    queue = app.client("Queue", found.address)
    if worker_type is None:
        from taskcluster.exceptions import TaskclusterRestFailure

        try:
            queue.sealTaskGroup(found.id)
            cancelled = queue.cancelTaskGroup(found.id)
        except TaskclusterRestFailure as exc:
            if exc.status_code not in (403, 404):
                raise
            app.notes.say(f"the group cannot be cancelled at once ({exc.status_code}): cancelling its tasks one by one")
        else:
            app.out.document(cancelled, lambda: app.out.lines(cancelled["taskIds"]))
            return OK
    ids: list[str] = [each["status"]["taskId"] for each in left]
    done: list[str] = []

    def report(each: str, _: Any) -> None:
        done.append(each)
        if not app.out.is_for_programs:
            app.out.line(each)

    outcome = change_all(app, ids, queue.cancelTask, report, str)
    _print_cancelled(app, found, done)
    return outcome


def _print_cancelled(app: App, found: Group, ids: Sequence[str]) -> None:
    """Print for programs what cancelTaskGroup would return."""
    if app.out.is_for_programs:
        app.out.document(
            {"taskGroupId": found.id, "taskGroupSize": len(ids), "cancelledCount": len(ids), "taskIds": ids}
        )


def _change(app: App, items: Sequence[Any], change: Callable[[Any], Any], id_of: Callable[[Any], str]) -> int:
    """Change tasks, print the id of each, or that of a new task, and return the exit status."""

    def report(item: Any, made: Any) -> None:
        task_id = made if isinstance(made, str) else id_of(item)
        app.out.record({"taskId": task_id}) if app.out.is_for_programs else app.out.line(task_id)

    with app.out.array():
        return change_all(app, items, change, report, id_of) if items else OK


def _select_failed(
    app: App,
    named: str,
    verb: str,
    pattern: str | None,
    limit: int,
    *,
    yes: bool,
    dry_run: bool,
) -> tuple[Group, list[Any]]:
    found = one_group(app, named)
    tasks = [
        each for each in _tasks(app, found) if each["status"]["state"] in UNSUCCESSFUL and _has_name(each, pattern)
    ]
    if len(tasks) > limit:
        raise Failure(f"{len(tasks)} tasks are more than --limit {limit}", hint="narrow them with --name, or raise it")
    if not tasks:
        app.notes.say(f"no failed tasks, nothing to {verb}")
    elif not dry_run:
        app.confirm(f"{verb.capitalize()} {counted(len(tasks), 'failed task')} of {found.id}?", yes=yes)
    return found, tasks


_failed_option = click.option(
    "--failed", is_flag=True, required=False, help="Failed tasks and exceptions; the default."
)
_name_option = click.option("--name", "pattern", metavar="PATTERN", help="Only tasks whose name matches.")


@group.command(examples=["taskcluster group rerun fN1SbArXTPSVFNUvaOlinQ --failed --dry-run"])
@click.argument("named", metavar="GROUP")
@_failed_option
@_name_option
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Refuse to rerun more.")
@dry_run_option()
@yes_option()
@pass_app
def rerun(app: App, named: str, failed: bool, pattern: str | None, limit: int, dry_run: bool, yes: bool) -> int:
    """Run the failed tasks of a group again, and print their ids."""
    found, tasks = _select_failed(app, named, "rerun", pattern, limit, yes=yes, dry_run=dry_run)
    queue = app.client("Queue", found.address)
    ids: list[str] = [each["status"]["taskId"] for each in tasks]
    return _change(app, ids, str if dry_run else queue.rerunTask, str)


@group.command(examples=["taskcluster group retrigger fN1SbArXTPSVFNUvaOlinQ --failed --dry-run"])
@click.argument("named", metavar="GROUP")
@_failed_option
@_name_option
@click.option("-e", "--exact", is_flag=True, help="Keep routes and dependencies.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Refuse to create more.")
@dry_run_option()
@yes_option()
@pass_app
def retrigger(
    app: App,
    named: str,
    failed: bool,
    pattern: str | None,
    exact: bool,
    limit: int,
    dry_run: bool,
    yes: bool,
) -> int:
    """Create new tasks like the failed ones of a group, and print their ids."""
    found, tasks = _select_failed(app, named, "retrigger", pattern, limit, yes=yes, dry_run=dry_run)

    def change(each: Any) -> str:
        if dry_run:
            return str(each["status"]["taskId"])
        return create(app, retriggered(each["task"], exact=exact), None, found.address).id

    app.client("Queue", found.address)
    return _change(app, tasks, change, lambda each: each["status"]["taskId"])


@group.command(examples=["taskcluster group priority fN1SbArXTPSVFNUvaOlinQ high"])
@click.argument("named", metavar="GROUP")
@click.argument("priority", type=click.Choice(PRIORITIES))
@pass_app
def priority(app: App, named: str, priority: str) -> None:
    """Change the priority of a group's tasks, and print the ids of those that were changed."""
    found = one_group(app, named)
    changed = app.client("Queue", found.address).changeTaskGroupPriority(found.id, {"newPriority": priority})
    app.out.document(changed, lambda: app.out.lines(changed["taskIds"]))
