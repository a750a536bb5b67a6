"""Where tasks run: `pool`, `worker`, `pending`, `claimed`, `purge-cache`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..app import App, pass_app
from ..command import command, group
from ..definitions import read
from ..naming import found_or_none
from ..options import quiet_option, web_option, yes_option
from ..output import Column
from ..periods import date_of
from ..targets import halves
from ..web import show_page

__all__ = ["claimed", "pending", "pool", "purge_cache", "worker"]


def _parts(pool_id: str) -> tuple[str, str]:
    return halves(pool_id, "pool or task queue", "PROVISIONER/TYPE")


def _worker_parts(name: str) -> tuple[str, str]:
    return halves(name, "worker", "GROUP/WORKER")


@group()
def pool() -> None:
    """Look at worker pools and change them."""


@pool.command("list", examples=["taskcluster pool list"])
@quiet_option()
@pass_app
def list_pools(app: App, quiet: bool) -> None:
    """List worker pools."""
    manager = app.client("WorkerManager")
    columns = [
        Column("pool", "workerPoolId", "id"),
        Column("provider", "providerId"),
        Column("workers", "currentCapacity", "number"),
        Column("owner", "owner"),
    ]
    pages = (page["workerPools"] for page in manager.paginate(manager.listWorkerPools))
    app.out.listing(pages, columns, quiet=quiet)


@pool.command(examples=["taskcluster pool show proj/ci"])
@click.argument("pool_id", metavar="POOL")
@web_option()
@pass_app
def show(app: App, pool_id: str, web: bool) -> None:
    """Show a worker pool, with its pending and claimed tasks."""
    _parts(pool_id)
    if web:
        show_page(app, "worker-manager", pool_id)
        return
    found = dict(app.client("WorkerManager").workerPool(pool_id))
    counts = app.client("Queue").taskQueueCounts(pool_id)
    found.update(pendingTasks=counts["pendingTasks"], claimedTasks=counts["claimedTasks"])

    def print_it() -> None:
        app.out.details(
            [
                ("pool", pool_id),
                ("provider", found["providerId"]),
                ("description", found.get("description")),
                ("owner", found.get("owner")),
                ("workers", found.get("currentCapacity")),
                ("pending tasks", found["pendingTasks"]),
                ("claimed tasks", found["claimedTasks"]),
                ("changed", app.out.time(found.get("lastModified"))),
            ]
        )

    app.out.document(found, print_it)


@pool.command(examples=["taskcluster pool errors proj/ci"])
@click.argument("pool_id", metavar="POOL")
@pass_app
def errors(app: App, pool_id: str) -> None:
    """List the errors of a worker pool."""
    manager = app.client("WorkerManager")
    columns = [
        Column("error", "errorId", "id"),
        Column("reported", "reported", "time"),
        Column("kind", "kind"),
        Column("title", "title"),
    ]
    pages = (page["workerPoolErrors"] for page in manager.paginate(manager.listWorkerPoolErrors, pool_id))
    app.out.listing(pages, columns)


@pool.command("set", examples=["taskcluster pool set proj/ci pool.yml"])
@click.argument("pool_id", metavar="POOL")
@click.argument("file", default="-")
@pass_app
def set_pool(app: App, pool_id: str, file: str) -> None:
    """Create a worker pool from a file in JSON or YAML, or replace its definition."""
    definition = read(app, file, "a worker pool")
    manager = app.client("WorkerManager").with_options(validate=True)
    is_new = found_or_none(manager.workerPool, pool_id) is None
    made = (manager.createWorkerPool if is_new else manager.updateWorkerPool)(pool_id, definition)
    app.out.document(made, lambda: app.out.line(made["workerPoolId"]))


@pool.command(examples=["taskcluster pool delete proj/old --yes"])
@click.argument("pool_id", metavar="POOL")
@yes_option()
@pass_app
def delete(app: App, pool_id: str, yes: bool) -> None:
    """Delete a worker pool and its workers."""
    app.confirm(f"Delete the worker pool {pool_id} and its workers?", yes=yes)
    app.client("WorkerManager").deleteWorkerPool(pool_id)


@group()
def worker() -> None:
    """Look at the workers of a pool or task queue, and quarantine them."""


@worker.command("list", examples=["taskcluster worker list proj/ci", "taskcluster worker list proj/ci --quarantined"])
@click.argument("pool_id", metavar="PROVISIONER/TYPE")
@click.option("--quarantined", is_flag=True, help="Only those that are quarantined.")
@quiet_option()
@pass_app
def list_workers(app: App, pool_id: str, quarantined: bool, quiet: bool) -> None:
    """List the workers that claimed tasks from a task queue."""
    queue = app.client("Queue")
    query = {"query": {"quarantined": True}} if quarantined else {}
    columns = [
        Column("worker", _worker_name, "id"),
        Column("active", "lastDateActive", "time"),
        Column("last task", "latestTask.taskId", "id"),
        Column("run", "latestTask.runId", "number"),
        Column("quarantined", "quarantineUntil", "time"),
    ]
    pages = (page["workers"] for page in queue.paginate(queue.listWorkers, *_parts(pool_id), **query))
    app.out.listing(pages, columns, quiet=quiet)


def _worker_name(record: Any) -> str:
    return f"{record['workerGroup']}/{record['workerId']}"


@worker.command("show", examples=["taskcluster worker show proj/ci group/worker"])
@click.argument("pool_id", metavar="PROVISIONER/TYPE")
@click.argument("name", metavar="GROUP/WORKER")
@web_option()
@pass_app
def show_worker(app: App, pool_id: str, name: str, web: bool) -> None:
    """Show a worker and its recent tasks."""
    (provisioner, worker_type), parts = _parts(pool_id), _worker_parts(name)
    if web:
        show_page(app, "provisioners", provisioner, "worker-types", worker_type, "workers", *parts)
        return
    found = app.client("Queue").getWorker(provisioner, worker_type, *parts)

    def print_it() -> None:
        app.out.details(
            [
                ("worker", name),
                ("first claim", app.out.time(found.get("firstClaim"))),
                ("active", app.out.time(found.get("lastDateActive"))),
                ("quarantined", app.out.time(found["quarantineUntil"]) if found.get("quarantineUntil") else None),
                *(("task", f"{each['taskId']} run {each['runId']}") for each in found.get("recentTasks") or ()),
            ]
        )

    app.out.document(found, print_it)


@worker.command(examples=["taskcluster worker quarantine proj/ci group/worker --for '1 day' --reason 'bad disk'"])
@click.argument("pool_id", metavar="PROVISIONER/TYPE")
@click.argument("name", metavar="GROUP/WORKER")
@click.option("--for", "period", default="1 year", show_default=True, metavar="PERIOD", help="How long.")
@click.option("--reason", help="Why; others see it.")
@pass_app
def quarantine(app: App, pool_id: str, name: str, period: str, reason: str | None) -> None:
    """Keep a worker from claiming tasks. A negative period, such as -1d, ends that."""
    payload = {"quarantineUntil": date_of("--for", period)}
    if reason is not None:
        payload["quarantineInfo"] = reason
    found = app.client("Queue").quarantineWorker(*_parts(pool_id), *_worker_parts(name), payload)
    app.out.document(found, lambda: app.out.line(str(found.get("quarantineUntil", ""))))


def _tasks(app: App, pages: Iterator[list[Any]], since: str, columns: list[Column], *, quiet: bool) -> None:
    shown = [
        Column("task", "taskId", "id"),
        Column("run", "runId", "number"),
        Column(since, since, "time"),
        Column("priority", "task.priority"),
        Column("name", "task.metadata.name"),
        *columns,
    ]
    app.out.listing(pages, shown, quiet=quiet)


@command(examples=["taskcluster pending proj/ci", "taskcluster pending proj/ci --count"])
@click.argument("queue_id", metavar="PROVISIONER/TYPE")
@click.option("--count", is_flag=True, help="Print the number alone.")
@quiet_option()
@pass_app
def pending(app: App, queue_id: str, count: bool, quiet: bool) -> None:
    """List the pending tasks of a task queue."""
    _list_queue(app, queue_id, "pendingTasks", "listPendingTasks", "inserted", [], count=count, quiet=quiet)


@command(examples=["taskcluster claimed proj/ci", "taskcluster claimed proj/ci --count"])
@click.argument("queue_id", metavar="PROVISIONER/TYPE")
@click.option("--count", is_flag=True, help="Print the number alone.")
@quiet_option()
@pass_app
def claimed(app: App, queue_id: str, count: bool, quiet: bool) -> None:
    """List the claimed tasks of a task queue, with their workers."""
    columns = [Column("worker", _worker_name)]
    _list_queue(app, queue_id, "claimedTasks", "listClaimedTasks", "claimed", columns, count=count, quiet=quiet)


def _list_queue(
    app: App,
    queue_id: str,
    key: str,
    method: str,
    since: str,
    columns: list[Column],
    *,
    count: bool,
    quiet: bool,
) -> None:
    _parts(queue_id)
    queue = app.client("Queue")
    if count:
        number = queue.taskQueueCounts(queue_id)[key]
        app.out.document(number, lambda: app.out.line(str(number)))
        return
    pages = (page["tasks"] for page in queue.paginate(getattr(queue, method), queue_id))
    _tasks(app, pages, since, columns, quiet=quiet)


@command(
    "purge-cache", examples=["taskcluster purge-cache proj/ci level-1-checkouts", "taskcluster purge-cache --list"]
)
@click.argument("pool_id", metavar="POOL", required=False)
@click.argument("names", metavar="CACHE...", nargs=-1)
@click.option("--list", "lists", is_flag=True, help="List the current requests, of POOL if it is given.")
@pass_app
def purge_cache(app: App, pool_id: str | None, names: tuple[str, ...], lists: bool) -> None:
    """Let the workers of a pool delete caches before they use them again."""
    service = app.client("PurgeCache")
    if lists:
        columns = [
            Column("pool", "workerPoolId"),
            Column("cache", "cacheName", "id"),
            Column("before", "before", "time"),
        ]
        pages: Iterator[list[Any]]
        if pool_id is None:
            pages = (page["requests"] for page in service.paginate(service.allPurgeRequests))
        else:
            pages = iter([service.purgeRequests(pool_id)["requests"]])
        app.out.listing(pages, columns)
        return
    if pool_id is None or not names:
        raise click.UsageError("give a pool and the names of caches, or --list", click.get_current_context())
    _parts(pool_id)
    for name in names:
        service.purgeCache(pool_id, {"cacheName": name})
        app.notes.say(f"{pool_id}: {name} will be purged")
