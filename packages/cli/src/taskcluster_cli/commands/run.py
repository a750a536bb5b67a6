"""`run`: run a command as a task, follow its log, and exit by its result."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..app import App, pass_app
from ..command import command
from ..definitions import completed, create, read
from ..errors import OK
from ..naming import one_task
from ..watching import stops_watching
from .log import follow, result_of

__all__ = ["run", "task_run"]

F = TypeVar("F", bound=Callable[..., Any])

_TASK_OPTIONS = (
    click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="An environment variable; repeatable."),
    click.option("--name", help="The task's name. Defaults to the command."),
    click.option("--description", help="The task's description."),
    click.option("--owner", metavar="EMAIL", help="Defaults to TASKCLUSTER_OWNER or EMAIL."),
    click.option("--source", metavar="URL", help="Where the task comes from."),
    click.option("--dependency", "dependencies", multiple=True, metavar="TASK", help="A task to wait for; repeatable."),
    click.option("--retries", type=click.IntRange(0, 49), help="How often a lost worker's task is retried."),
)


def _variables(pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name:
            raise click.UsageError(f"--env {pair!r}: write NAME=VALUE, or NAME for the value that it has here")
        if not equals and name not in os.environ:
            raise click.UsageError(f"--env {name}: it has no value here")
        found[name] = value if equals else os.environ[name]
    return found


def _payload(image: str | None, words: tuple[str, ...], env: dict[str, str], seconds: int) -> dict[str, Any]:
    """Return the payload for a worker: with an image that of docker-worker, else that of generic-worker."""
    payload: dict[str, Any] = {"maxRunTime": seconds}
    if image is not None:
        payload["image"] = image
    if words:
        payload["command"] = list(words) if image is not None else [list(words)]
    if env:
        payload["env"] = env
    return payload


def _definition(
    app: App,
    base: Mapping[str, Any],
    words: tuple[str, ...],
    image: str | None,
    env: tuple[str, ...],
    wanted: Mapping[str, str | None],
    dependencies: tuple[str, ...],
    scopes: tuple[str, ...],
    retries: int | None,
    max_run_time: int,
) -> dict[str, Any]:
    """Return a task definition: that of a file, changed by the options."""
    payload: dict[str, Any] = dict(base.get("payload") or {})
    given = _payload(image or payload.get("image"), words, _variables(env), max_run_time)
    payload = {**given, **payload, **{key: given[key] for key in given if key != "maxRunTime"}}
    if env:
        payload["env"] = {**(base.get("payload", {}).get("env") or {}), **given["env"]}
    metadata: dict[str, Any] = {
        "name": " ".join(words)[:255] or "taskcluster run",
        "description": "Run by `taskcluster run`",
        "owner": _owner(app),
        "source": "https://taskcluster.net/",
        **(base.get("metadata") or {}),
    }
    metadata.update({key: value for key, value in wanted.items() if value is not None})
    definition: dict[str, Any] = {**base, "payload": payload, "metadata": metadata}
    if dependencies:
        definition["dependencies"] = [one_task(app, each).id for each in dependencies]
    if scopes:
        definition["scopes"] = list(scopes)
    if retries is not None:
        definition["retries"] = retries
    return definition


def _owner(app: App) -> str:
    for name in ("TASKCLUSTER_OWNER", "EMAIL", "GIT_AUTHOR_EMAIL"):
        if "@" in app.environ.get(name, ""):
            return app.environ[name]
    return f"{app.environ.get('USER') or app.environ.get('USERNAME') or 'nobody'}@localhost.localdomain"


def _task_options(function: F) -> F:
    """Add the options for the parts of a task definition that both commands have."""
    for option in reversed(_TASK_OPTIONS):
        function = option(function)
    return function


@command(
    examples=[
        "taskcluster run --queue proj/ci --dry-run -- echo hello",
        "taskcluster run --queue proj/ci --image debian:12 --env CI --no-follow -- make test",
        "taskcluster run --file task.yml --dry-run",
    ]
)
@click.argument("words", metavar="COMMAND...", nargs=-1)
@click.option("--queue", "queue_", metavar="PROVISIONER/TYPE", help="The task queue.")
@click.option("--image", help="A docker image; without it the payload is that of generic-worker.")
@click.option("--file", metavar="FILE", help="A task definition in JSON or YAML; the command and options change it.")
@_task_options
@click.option("--scope", "scopes", multiple=True, help="A scope of the task; repeatable.")
@click.option("--max-run-time", type=click.IntRange(1), default=3600, show_default=True, metavar="SECONDS")
@click.option("--deadline", default="1 day", show_default=True, metavar="PERIOD", help="When it must be resolved.")
@click.option("--no-follow", is_flag=True, help="Only create the task, and print its id.")
@click.option("--dry-run", is_flag=True, help="Print the definition and create nothing.")
@pass_app
def run(
    app: App,
    words: tuple[str, ...],
    queue_: str | None,
    image: str | None,
    file: str | None,
    env: tuple[str, ...],
    name: str | None,
    description: str | None,
    owner: str | None,
    source: str | None,
    dependencies: tuple[str, ...],
    scopes: tuple[str, ...],
    retries: int | None,
    max_run_time: int,
    deadline: str,
    no_follow: bool,
    dry_run: bool,
) -> int:
    """Run a command as a task, print its log, and exit with 0 if the task is completed, else 1.

    Write `--` before the command. The exit status of the command itself is not known to the API. Ctrl-C stops
    following; the task goes on.
    """
    base = read(app, file) if file is not None else {}
    if not words and "payload" not in base:
        raise click.UsageError("a command is needed: taskcluster run --queue PROVISIONER/TYPE -- COMMAND")
    if queue_ is not None:
        base.pop("provisionerId", None)
        base.pop("workerType", None)
        base["taskQueueId"] = queue_
    if not base.keys() & {"taskQueueId", "provisionerId"}:
        raise click.UsageError("--queue PROVISIONER/TYPE is needed", click.get_current_context())
    if "/" not in base.get("taskQueueId", "/"):
        raise click.UsageError(f"--queue {queue_}: write PROVISIONER/TYPE")
    wanted = {"name": name, "description": description, "owner": owner, "source": source}
    definition = _definition(app, base, words, image, env, wanted, dependencies, scopes, retries, max_run_time)
    filled = completed(definition, deadline, None)
    if dry_run:
        app.out.document(filled)
        return OK
    made = create(app, filled, None)
    if no_follow:
        app.out.document({"taskId": made.id}, lambda: app.out.line(made.id))
        return OK
    with stops_watching(app, "the task", f"taskcluster task cancel {made.id}"):
        from taskcluster.helper import ArtifactMissingError

        try:
            with app.out.array():
                follow(app, made, None)
        except ArtifactMissingError:
            # Cancelled before a worker claimed it, for example.
            app.notes.warn(f"the task {made.id} has no log")
        return result_of(app, made, None)


@command("run", examples=["taskcluster task run --provisioner proj --worker-type ci debian:12 -- ls -l"])
@click.argument("image")
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True)
@click.option("--provisioner", required=True, help="The provisioner.")
@click.option("--worker-type", required=True, help="The worker type.")
@_task_options
@pass_app
def task_run(
    app: App,
    image: str,
    words: tuple[str, ...],
    provisioner: str,
    worker_type: str,
    env: tuple[str, ...],
    name: str | None,
    description: str | None,
    owner: str | None,
    source: str | None,
    dependencies: tuple[str, ...],
    retries: int | None,
) -> int:
    """Create a docker task and print its id, as the Go command does. `taskcluster run` does more."""
    base = {"taskQueueId": f"{provisioner}/{worker_type}"}
    wanted = {"name": name, "description": description, "owner": owner, "source": source}
    definition = _definition(app, base, words, image, env, wanted, dependencies, (), retries, 7200)
    made = create(app, completed(definition, "1 day", None), None)
    app.out.document({"taskId": made.id}, lambda: app.out.line(made.id))
    return OK
