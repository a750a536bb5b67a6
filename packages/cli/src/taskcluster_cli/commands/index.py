"""`index`: find tasks by path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..app import App, pass_app
from ..command import group
from ..naming import one_task
from ..options import quiet_option, web_option, yes_option
from ..output import Column
from ..periods import date_of
from ..web import show_page

__all__ = ["index"]


@group()
def index() -> None:
    """Find tasks by their paths in the index."""


@index.command(
    examples=["taskcluster index find project.test.latest", "taskcluster index find project.test.latest --json"]
)
@click.argument("path", metavar="PATH")
@web_option()
@pass_app
def find(app: App, path: str, web: bool) -> None:
    """Print the id of the task at a path."""
    path = path.removeprefix("index:")
    if web:
        show_page(app, "tasks", "index", *filter(None, path.rpartition(".")[::2]))
        return
    found = app.client("Index").findTask(path)
    app.out.document(found, lambda: app.out.line(found["taskId"]))


@index.command("list", examples=["taskcluster index list project.test", "taskcluster index list project --namespaces"])
@click.argument("namespace", metavar="PATH", default="")
@click.option("--namespaces", is_flag=True, help="List the namespaces below instead of tasks.")
@quiet_option()
@pass_app
def list_index(app: App, namespace: str, namespaces: bool, quiet: bool) -> None:
    """List the tasks in a namespace; if there are none, the namespaces below it."""
    client = app.client("Index")
    columns = [Column("path", "namespace", "id"), Column("task", "taskId", "id"), Column("expires", "expires", "time")]

    def pages(of_namespaces: bool) -> Iterator[list[Any]]:
        method, key = (client.listNamespaces, "namespaces") if of_namespaces else (client.listTasks, "tasks")
        yield from (page[key] for page in client.paginate(method, namespace))

    found = pages(namespaces)
    if not namespaces:
        nothing: list[Any] = []
        first = next(found, nothing)
        if first:
            app.out.listing(_chained(first, found), columns, name=lambda each: each["taskId"], quiet=quiet)
            return
        found = pages(True)
    app.out.listing(found, [columns[0], columns[2]], quiet=quiet)


def _chained(first: list[Any], rest: Iterator[list[Any]]) -> Iterator[list[Any]]:
    yield first
    yield from rest


@index.command(examples=["taskcluster index insert project.test.other fN1SbArXTPSVFNUvaOlinQ --expires '1 day'"])
@click.argument("path", metavar="PATH")
@click.argument("named", metavar="TASK")
@click.option("--rank", type=float, default=0, show_default=True, help="A task of a higher rank is not replaced.")
@click.option("--expires", metavar="PERIOD", help="Defaults to the task's expiration.")
@pass_app
def insert(app: App, path: str, named: str, rank: float, expires: str | None) -> None:
    """Let a path point to a task."""
    found = one_task(app, named)
    until = date_of("--expires", expires) if expires else app.client("Queue", found.address).task(found.id)["expires"]
    payload: dict[str, Any] = {
        "taskId": found.id,
        "rank": int(rank) if rank.is_integer() else rank,
        "data": {},
        "expires": until,
    }
    inserted = app.client("Index", found.address).insertTask(path.removeprefix("index:"), payload)
    app.out.document(inserted, lambda: app.out.line(inserted["namespace"]))


@index.command(examples=["taskcluster index delete project.test.old --yes"])
@click.argument("path", metavar="PATH")
@yes_option()
@pass_app
def delete(app: App, path: str, yes: bool) -> None:
    """Remove a path."""
    app.confirm(f"Remove {path} from the index?", yes=yes)
    app.client("Index").deleteTask(path.removeprefix("index:"))
