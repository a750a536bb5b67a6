"""`hook`: look at hooks, change them and trigger them."""

from __future__ import annotations

from typing import Any

import click

from ..app import App, pass_app
from ..command import group
from ..definitions import read
from ..errors import OK
from ..naming import Task, found_or_none
from ..options import quiet_option, timeout_option, web_option, yes_option
from ..output import Column
from ..payloads import fields
from ..targets import halves
from ..watching import watch_tasks
from ..web import show_page

__all__ = ["hook"]


def _parts(name: str) -> tuple[str, str]:
    return halves(name, "hook", "GROUP/HOOK")


@group()
def hook() -> None:
    """Look at hooks, change them and trigger them."""


@hook.command("list", examples=["taskcluster hook list", "taskcluster hook list test"])
@click.argument("group_id", metavar="HOOK_GROUP", required=False)
@quiet_option()
@pass_app
def list_hooks(app: App, group_id: str | None, quiet: bool) -> None:
    """List hook groups, or the hooks of a group."""
    service = app.client("Hooks")
    if group_id is None:
        app.out.listing([service.listHookGroups()["groups"]], [Column("group", str, "id")])
        return
    columns = [Column("hook", _name, "id"), Column("name", "metadata.name"), Column("schedule", _schedule)]
    app.out.listing([service.listHooks(group_id)["hooks"]], columns, quiet=quiet)


def _name(record: Any) -> str:
    return f"{record['hookGroupId']}/{record['hookId']}"


def _schedule(record: Any) -> str:
    return ", ".join(record.get("schedule") or ())


@hook.command(examples=["taskcluster hook show test/hook"])
@click.argument("name", metavar="GROUP/HOOK")
@web_option()
@pass_app
def show(app: App, name: str, web: bool) -> None:
    """Print a hook's definition."""
    if web:
        show_page(app, "hooks", *_parts(name))
        return
    app.out.document(app.client("Hooks").hook(*_parts(name)))


@hook.command(examples=["taskcluster hook trigger test/hook", "taskcluster hook trigger test/hook -f reason=test"])
@click.argument("name", metavar="GROUP/HOOK")
@click.option("--payload", metavar="FILE", help="The payload, in JSON or YAML; `-` is stdin. Defaults to {}.")
@click.option("-f", "--field", "pairs", multiple=True, metavar="KEY=VALUE", help="A key of the payload; repeatable.")
@click.option("--watch", is_flag=True, help="Wait until the task is resolved.")
@timeout_option()
@pass_app
def trigger(
    app: App, name: str, payload: str | None, pairs: tuple[str, ...], watch: bool, timeout: float | None
) -> int:
    """Trigger a hook, and print the id of the task that it creates, if it creates one."""
    content: Any = read(app, payload, "a payload") if payload is not None else fields(pairs)
    made: dict[str, Any] = app.client("Hooks").triggerHook(*_parts(name), content) or {}
    # Some deployments return the task's id alone, and some hooks create none.
    status: dict[str, Any] = made.get("status") or {}
    task_id: str | None = made.get("taskId") or status.get("taskId")
    if task_id is None:
        app.out.document(made, lambda: app.notes.say(f"{name} created no task", always=True))
        return OK
    if not (watch and app.out.is_for_programs):
        app.out.document({**made, "taskId": task_id}, lambda: app.out.line(task_id))
    return watch_tasks(app, [Task(task_id, None, None)], timeout=timeout) if watch else OK


@hook.command(examples=["taskcluster hook fires test/hook"])
@click.argument("name", metavar="GROUP/HOOK")
@pass_app
def fires(app: App, name: str) -> None:
    """List when a hook was triggered lately, and what came of it."""
    service = app.client("Hooks")
    columns = [
        Column("task", "taskId", "id"),
        Column("time", "taskCreateTime", "time"),
        Column("result", "result"),
        Column("by", "firedBy"),
    ]
    pages = (page["lastFires"] for page in service.paginate(service.listLastFires, *_parts(name)))
    app.out.listing(pages, columns)


@hook.command("set", examples=["taskcluster hook set test/other hook.yml"])
@click.argument("name", metavar="GROUP/HOOK")
@click.argument("file", default="-")
@pass_app
def set_hook(app: App, name: str, file: str) -> None:
    """Create a hook from a file in JSON or YAML, or replace its definition."""
    group_id, hook_id = _parts(name)
    definition = {"hookGroupId": group_id, "hookId": hook_id, **read(app, file, "a hook")}
    service = app.client("Hooks").with_options(validate=True)
    is_new = found_or_none(service.hook, group_id, hook_id) is None
    made = (service.createHook if is_new else service.updateHook)(group_id, hook_id, definition)
    app.out.document(made, lambda: app.out.line(_name(made)))


@hook.command(examples=["taskcluster hook delete test/old --yes"])
@click.argument("name", metavar="GROUP/HOOK")
@yes_option()
@pass_app
def delete(app: App, name: str, yes: bool) -> None:
    """Delete a hook."""
    app.confirm(f"Delete the hook {name}?", yes=yes)
    app.client("Hooks").removeHook(*_parts(name))
