"""`task`: look at tasks, create them and change them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from ..app import App, pass_app
from ..artifacts import artifact_pages
from ..changes import change_all
from ..command import group
from ..definitions import completed, create, read, retriggered, to_yaml
from ..errors import OK, USAGE, Failure
from ..naming import Task, one_task, tasks
from ..options import (
    PRIORITIES,
    confirm_option,
    dry_run_option,
    fail_fast_option,
    interval_option,
    long_option,
    quiet_option,
    run_option,
    timeout_option,
    web_option,
)
from ..output import Column
from ..states import UNSUCCESSFUL, run_of, run_state, task_state
from ..watching import watch_tasks
from ..web import show_page

__all__ = ["task"]

_MANY = 100


@group()
def task() -> None:
    """Look at tasks, create them and change them.

    A task is named by its id, by the address of its page or of an API method, or by index:PATH. `-` reads ids from
    stdin.
    """


task.add_target("log", "log:log")
task.add_target("run", "run:task_run")


@task.command(
    examples=[
        "taskcluster task status fN1SbArXTPSVFNUvaOlinQ",
        "taskcluster task status index:project.test.latest --json",
    ]
)
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@click.option("-a", "--all-runs", is_flag=True, help="Print the state of every run.")
@run_option()
@long_option()
@web_option()
@pass_app
def status(app: App, ids: tuple[str, ...], all_runs: bool, run: int | None, is_long: bool, web: bool) -> None:
    """Show the state of tasks.

    In a pipe this is the state of the last run, with its reason once it is resolved; with several tasks, a line for
    each.
    """
    named = tasks(app, ids)
    if web:
        for each in named:
            show_page(app, "tasks", each.id, address=each.address)
        return
    is_list = len(named) > 1 or "-" in ids
    if is_list and (all_runs or run is not None):
        raise click.UsageError("--run and --all-runs are for one task", click.get_current_context())
    found = [app.client("Queue", each.address).status(each.id)["status"] for each in named]
    if is_list:
        columns = [
            Column("task", "taskId", "id"),
            Column("state", "state", "state"),
            Column("last run", task_state),
            Column("runs", _number_of_runs, "number"),
            Column("queue", "taskQueueId"),
            Column("deadline", "deadline", "time"),
        ]
        app.out.listing(
            [found], columns, plain=None if is_long else lambda each: f"{each['taskId']}\t{task_state(each)}"
        )
        return
    [one], [only] = found, named
    number = only.run_or(run)

    def show() -> None:
        if all_runs:
            run_of(one, None)
            for each in one["runs"]:
                app.out.line(f"Run #{each['runId']}: {run_state(each)}")
        elif number is not None:
            app.out.line(run_state(run_of(one, number)))
        elif is_long or app.out.is_terminal:
            definition = app.client("Queue", only.address).task(only.id)
            app.out.details(_details(app, one, definition))
        else:
            app.out.line(task_state(one))

    app.out.document(one if number is None else run_of(one, number), show)


def _number_of_runs(status: Mapping[str, Any]) -> int:
    return len(status.get("runs") or ())


def _details(app: App, status: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    out = app.out
    yield "task", status["taskId"]
    yield "name", definition["metadata"]["name"]
    yield "state", out.state(status["state"])
    yield "group", status["taskGroupId"]
    yield "queue", status.get("taskQueueId")
    yield "priority", status.get("priority")
    yield "retries left", status.get("retriesLeft")
    yield "created", out.time(definition["created"])
    yield "deadline", out.time(status["deadline"])
    yield "expires", out.time(status["expires"])
    runs: Sequence[Mapping[str, Any]] = status.get("runs") or []
    for run in runs:
        parts = [run_state(run)]
        parts += [f"{key} {out.time(run[key])}" for key in ("scheduled", "started", "resolved") if key in run]
        if "workerId" in run:
            parts.append(f"worker {run.get('workerGroup')}/{run['workerId']}")
        yield f"run {run['runId']}", ", ".join(parts)
    dependencies: Sequence[str] = definition.get("dependencies") or []
    for dependency in dependencies:
        yield "depends on", dependency


@task.command(examples=["taskcluster task name fN1SbArXTPSVFNUvaOlinQ"])
@click.argument("named", metavar="TASK")
@pass_app
def name(app: App, named: str) -> None:
    """Print a task's name."""
    _print_part(app, named, lambda definition: definition["metadata"]["name"])


@task.command("group", examples=["taskcluster task group fN1SbArXTPSVFNUvaOlinQ"])
@click.argument("named", metavar="TASK")
@pass_app
def task_group(app: App, named: str) -> None:
    """Print the id of a task's group."""
    _print_part(app, named, lambda definition: definition["taskGroupId"])


def _print_part(app: App, text: str, part: Callable[[Mapping[str, Any]], str]) -> None:
    found = one_task(app, text)
    value = part(app.client("Queue", found.address).task(found.id))
    app.out.document(value, lambda: app.out.line(value))


@task.command("def", examples=["taskcluster task def fN1SbArXTPSVFNUvaOlinQ --yaml"])
@click.argument("named", metavar="TASK")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print YAML.")
@pass_app
def definition(app: App, named: str, as_yaml: bool) -> None:
    """Print a task's definition."""
    found = one_task(app, named)
    document = app.client("Queue", found.address).task(found.id)
    if as_yaml and not app.out.is_for_programs:
        app.out.line(to_yaml(document).rstrip("\n"))
    else:
        app.out.document(document)


@task.command(
    examples=[
        "taskcluster task artifacts fN1SbArXTPSVFNUvaOlinQ",
        "taskcluster task artifacts index:project.test.latest",
    ]
)
@click.argument("named", metavar="TASK")
@run_option()
@click.option("--all-runs", is_flag=True, help="List the artifacts of every run.")
@long_option()
@pass_app
def artifacts(app: App, named: str, run: int | None, all_runs: bool, is_long: bool) -> None:
    """List a task's artifacts. In a pipe these are their names."""
    found = one_task(app, named)
    queue = app.client("Queue", found.address)
    columns = [
        Column("name", "name", "id"),
        Column("type", "contentType"),
        Column("storage", "storageType"),
        Column("bytes", "contentLength", "number"),
        Column("expires", "expires", "time"),
    ]
    if all_runs:
        runs: Sequence[Mapping[str, Any]] = queue.status(found.id)["status"].get("runs") or []

        def pages() -> Iterator[list[Any]]:
            for each in runs:
                for page in artifact_pages(queue, found.id, each["runId"]):
                    yield [{"runId": each["runId"], **artifact} for artifact in page]

        columns.insert(0, Column("run", "runId", "number"))
        plain: Callable[[Any], str] | None = lambda each: f"{each['runId']}\t{each['name']}"  # noqa: E731
        app.out.listing(pages(), columns, plain=None if is_long else plain)
        return
    listed = artifact_pages(queue, found.id, found.run_or(run))
    app.out.listing(listed, columns, plain=None if is_long else lambda each: each["name"])


@task.command(
    "create",
    examples=["taskcluster task create task.yml --dry-run", "taskcluster task create task.yml --deadline '2 hours'"],
)
@click.argument("file", default="-")
@click.option("--task-id", metavar="ID", help="The new task's id. Defaults to a new one.")
@click.option("--deadline", default="1 day", show_default=True, metavar="PERIOD", help="If the file has none.")
@click.option("--expires", metavar="PERIOD", help="If the file has none. The queue's default is a year later.")
@click.option("--dry-run", is_flag=True, help="Print the definition and create nothing.")
@click.option("--watch", is_flag=True, help="Wait until it is resolved.")
@timeout_option()
@pass_app
def create_task(
    app: App,
    file: str,
    task_id: str | None,
    deadline: str,
    expires: str | None,
    dry_run: bool,
    watch: bool,
    timeout: float | None,
) -> int:
    """Create a task from a file in JSON or YAML, or from stdin, and print its id.

    `created`, `deadline` and the id are filled in. The definition is checked before it is sent.
    """
    filled = completed(read(app, file), deadline, expires)
    if dry_run:
        app.out.document(filled)
        return OK
    return _created(app, [create(app, filled, task_id)], watch, timeout)


def _created(app: App, made: Sequence[Task], watch: bool, timeout: float | None) -> int:
    if app.out.is_for_programs and not watch:
        documents = [{"taskId": each.id} for each in made]
        app.out.document(documents[0] if len(made) == 1 else documents)
        return OK
    for each in made:
        if not app.out.is_for_programs:
            app.out.line(each.id)
    app.out.flush()
    return watch_tasks(app, made, timeout=timeout) if watch else OK


@task.command(examples=["taskcluster task edit fN1SbArXTPSVFNUvaOlinQ"])
@click.argument("named", metavar="TASK")
@click.option("--exact", "-e", is_flag=True, help="Keep routes and dependencies.")
@click.option("--watch", is_flag=True, help="Wait until the new task is resolved.")
@pass_app
def edit(app: App, named: str, exact: bool, watch: bool) -> int:
    """Edit a task's definition in $EDITOR, and create a new task of it."""
    found = one_task(app, named)
    made = retriggered(app.client("Queue", found.address).task(found.id), exact=exact)
    return _created(app, [create(app, _edited(app, made), None, found.address)], watch, None)


def _edited(app: App, made: Mapping[str, Any]) -> dict[str, Any]:
    from ..payloads import loads

    if not (app.out.is_terminal or app.environ.get("VISUAL") or app.environ.get("EDITOR")):
        raise Failure("there is no terminal for an editor", hint="set EDITOR, or use `task def` and `task create`")
    text = click.edit(to_yaml(made), extension=".yml")
    if text is None:
        raise Failure("the editor saved nothing, nothing was created", USAGE)
    edited = loads(text, "the edited definition")
    if not isinstance(edited, dict):
        raise Failure("the edited definition must be a mapping")
    return dict(edited)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


@task.command(
    examples=[
        "taskcluster task watch fN1SbArXTPSVFNUvaOlinQ",
        "taskcluster task watch fN1SbArXTPSVFNUvaOlinQ --timeout 3600",
    ]
)
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@interval_option()
@timeout_option()
@fail_fast_option()
@pass_app
def watch(app: App, ids: tuple[str, ...], interval: float | None, timeout: float | None, fail_fast: bool) -> int:
    """Wait until tasks are resolved, and print each change.

    Exit status 0 if all are completed, 1 if one failed or ended as an exception.
    """
    return watch_tasks(app, tasks(app, ids), interval=interval, timeout=timeout, fail_fast=fail_fast)


def _change(
    app: App,
    named: Sequence[Task],
    verb: str,
    change: Callable[[Any, Task, Mapping[str, Any] | None], Any],
    *,
    dry_run: bool = False,
    confirm: bool = False,
    check: Callable[[Mapping[str, Any]], str | None] | None = None,
    is_shown: bool = True,
) -> int:
    """Change tasks, and print the state of each.

    Args:
        app: The run of the command.
        named: The tasks.
        verb: What is done, for example `cancel`.
        change: Changes one; gets the client, the task and its status, and returns the response.
        dry_run: Whether to change nothing.
        confirm: Whether to ask.
        check: Returns why a task, by its status, is not to be changed.
        is_shown: Whether to print the states.
    """
    if confirm:
        app.confirm(f"{verb.capitalize()} {', '.join(each.id for each in named)}?", yes=False)

    def change_one(each: Task) -> Any:
        queue = app.client("Queue", each.address)
        status = queue.status(each.id)["status"] if dry_run or check is not None else None
        if check is not None and status is not None and (problem := check(status)):
            raise Failure(f"{each.id} {problem}")
        return status if dry_run else change(queue, each, status)["status"]

    def report(each: Task, status: Mapping[str, Any]) -> None:
        if not is_shown:
            return
        if app.out.is_for_programs:
            app.out.record(status)
        else:
            shown = f"{'would ' + verb + ' ' if dry_run else ''}{task_state(status)}"
            app.out.line(f"{each.id}\t{shown}" if len(named) > 1 else shown)

    # Clients are made here, not in threads.
    for each in named:
        app.client("Queue", each.address)
    with app.out.array(is_list=len(named) > 1 and is_shown):
        return change_all(app, named, change_one, report, lambda each: each.id)


@task.command(examples=["taskcluster task cancel fN1SbArXTPSVFNUvaOlinQ --dry-run"])
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@dry_run_option()
@confirm_option()
@click.option("--yes", is_flag=True, hidden=True)
@pass_app
def cancel(app: App, ids: tuple[str, ...], dry_run: bool, confirm: bool, yes: bool) -> int:
    """Cancel tasks, and print their states."""
    return _change(
        app,
        tasks(app, ids),
        "cancel",
        lambda queue, each, _: queue.cancelTask(each.id),
        dry_run=dry_run,
        confirm=confirm and not yes,
    )


@task.command(examples=["taskcluster task rerun fN1SbArXTPSVFNUvaOlinQ --force --dry-run"])
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@dry_run_option()
@confirm_option()
@click.option("-f", "--force", is_flag=True, help="Even those that are completed, or not resolved.")
@click.option("--watch", is_flag=True, help="Wait until they are resolved.")
@timeout_option()
@pass_app
def rerun(
    app: App, ids: tuple[str, ...], dry_run: bool, confirm: bool, force: bool, watch: bool, timeout: float | None
) -> int:
    """Run tasks again that failed or ended as an exception."""

    def check(status: Mapping[str, Any]) -> str | None:
        if force or status["state"] in UNSUCCESSFUL:
            return None
        return f"is {status['state']}, not failed or exception; --force reruns it all the same"

    named = tasks(app, ids)
    is_watched = watch and not dry_run
    done = _change(
        app,
        named,
        "rerun",
        lambda queue, each, _: queue.rerunTask(each.id),
        dry_run=dry_run,
        confirm=confirm,
        check=check,
        # The states at the end are one document.
        is_shown=not (is_watched and app.out.is_for_programs),
    )
    return watch_tasks(app, named, timeout=timeout) if is_watched and done == OK else done


@task.command(examples=["taskcluster task schedule fN1SbArXTPSVFNUvaOlinQ --dry-run"])
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@dry_run_option()
@pass_app
def schedule(app: App, ids: tuple[str, ...], dry_run: bool) -> int:
    """Schedule tasks even if their dependencies are not resolved."""
    return _change(
        app, tasks(app, ids), "schedule", lambda queue, each, _: queue.scheduleTask(each.id), dry_run=dry_run
    )


@task.command(examples=["taskcluster task priority fN1SbArXTPSVFNUvaOlinQ high --dry-run"])
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@click.argument("priority", type=click.Choice(PRIORITIES))
@dry_run_option()
@pass_app
def priority(app: App, ids: tuple[str, ...], priority: str, dry_run: bool) -> int:
    """Change the priority of tasks that were never resolved."""
    payload = {"newPriority": priority}
    return _change(
        app,
        tasks(app, ids),
        f"set to {priority}:",
        lambda queue, each, _: queue.changeTaskPriority(each.id, payload),
        dry_run=dry_run,
    )


@task.command(examples=["taskcluster task complete fN1SbArXTPSVFNUvaOlinQ --dry-run"])
@click.argument("ids", metavar="TASK...", nargs=-1, required=True)
@dry_run_option()
@confirm_option()
@pass_app
def complete(app: App, ids: tuple[str, ...], dry_run: bool, confirm: bool) -> int:
    """Claim tasks as a worker would, and report them as completed. This needs the scopes of a worker."""

    def change(queue: Any, each: Task, status: Mapping[str, Any] | None) -> Any:
        run = run_of(status or {}, None)["runId"]
        claim = queue.claimTask(each.id, run, {"workerGroup": "taskcluster-cli", "workerId": "taskcluster-cli"})
        return queue.with_options(credentials=claim["credentials"]).reportCompleted(each.id, run)

    return _change(app, tasks(app, ids), "complete", change, dry_run=dry_run, confirm=confirm, check=lambda _: None)


@task.command(
    examples=[
        "taskcluster task retrigger fN1SbArXTPSVFNUvaOlinQ",
        "taskcluster task retrigger fN1SbArXTPSVFNUvaOlinQ --times 2",
    ]
)
@click.argument("named", metavar="TASK")
@click.option("-e", "--exact", is_flag=True, help="Keep routes and dependencies.")
@click.option("--edit", is_flag=True, help="Edit the definition in $EDITOR first.")
@click.option("--times", type=click.IntRange(1, _MANY), default=1, show_default=True, help="How many new tasks.")
@click.option("--watch", is_flag=True, help="Wait until they are resolved.")
@timeout_option()
@pass_app
def retrigger(app: App, named: str, exact: bool, edit: bool, times: int, watch: bool, timeout: float | None) -> int:
    """Create new tasks with the definition of a task, its dates moved to now, and print their ids.

    Routes and dependencies are left out unless --exact. A project's own retrigger action may do more, for example keep
    the Chain of Trust, which this breaks.
    """
    found = one_task(app, named)
    made = retriggered(app.client("Queue", found.address).task(found.id), exact=exact)
    if edit:
        made = _edited(app, made)
    created = [create(app, made, None, found.address) for _ in range(times)]
    return _created(app, created, watch, timeout)


@task.command(examples=["taskcluster task dependents fN1SbArXTPSVFNUvaOlinQ"])
@click.argument("named", metavar="TASK")
@quiet_option()
@pass_app
def dependents(app: App, named: str, quiet: bool) -> None:
    """List the tasks that depend on a task."""
    found = one_task(app, named)
    queue = app.client("Queue", found.address)
    pages = (page["tasks"] for page in queue.paginate(queue.listDependentTasks, found.id))
    columns = [
        Column("task", "status.taskId", "id"),
        Column("state", "status.state", "state"),
        Column("name", "task.metadata.name"),
    ]
    app.out.listing(pages, columns, quiet=quiet)
