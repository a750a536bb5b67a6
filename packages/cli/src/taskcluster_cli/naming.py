"""The tasks and groups that arguments name: ids, addresses, index paths, and `-` for lines on stdin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .app import App
from .errors import MISSING, Failure
from .targets import Target, parse

__all__ = ["Group", "Task", "found_or_none", "one_group", "one_task", "tasks"]


class Task(NamedTuple):
    """A task."""

    id: str
    run: int | None
    """The run, if an address names one."""
    address: str | None
    """The root URL of the address that names it."""

    def run_or(self, given: int | None) -> int | None:
        """Return the run of an option, or else that of the address; None for the last."""
        return self.run if given is None else given


class Group(NamedTuple):
    """A task group."""

    id: str
    address: str | None


def _lines(app: App, texts: Iterable[str], what: str) -> Iterator[str]:
    for text in texts:
        if text == "-":
            # The first word of a line, so that lists with more columns can be piped.
            yield from (line.split()[0] for line in app.stdin_lines(what))
        else:
            yield text


def tasks(app: App, texts: Iterable[str]) -> list[Task]:
    """Return the tasks that arguments name, each once.

    Raises:
        Failure: One does not name a task, or there is none.
    """
    found = [_task(app, parse(text)) for text in _lines(app, texts, "task ids, one a line")]
    if not found:
        raise Failure("no task ids", hint="give ids, addresses, index:PATH, or - to read them from stdin")
    return list(dict.fromkeys(found))


def one_task(app: App, text: str) -> Task:
    """Return the one task that an argument names."""
    found = tasks(app, [text])
    if len(found) != 1:
        raise Failure(f"expected one task id on stdin, not {len(found)}")
    return found[0]


def one_group(app: App, text: str) -> Group:
    """Return the task group that an argument names; that of a task, if it names a task."""
    lines = list(_lines(app, [text], "a task group id"))
    if len(lines) != 1:
        raise Failure(f"expected one task group id on stdin, not {len(lines)}")
    target = parse(lines[0])
    if target.kind in ("group", "any"):
        return Group(target.name, target.root_url)
    task = _task(app, target)
    return Group(app.client("Queue", task.address).task(task.id)["taskGroupId"], task.address)


def _task(app: App, target: Target) -> Task:
    if target.kind == "group":
        raise Failure(
            f"this is the address of the task group {target.name}, not of a task",
            hint=f"`taskcluster group list {target.name}` lists its tasks",
        )
    if target.kind != "index":
        return Task(target.name, None if target.run is None else int(target.run), target.root_url)
    found = found_or_none(app.client("Index", target.root_url).findTask, target.name)
    if found is None:
        raise Failure(
            f"the index has no task at {target.name}; it may have expired",
            MISSING,
            f"`taskcluster index list {target.name.rpartition('.')[0]}` lists what is near",
        )
    return Task(found["taskId"], None, target.root_url)


def found_or_none(method: Callable[..., Any], *args: str) -> Any:
    """Call a method, and return the response, or None if there is no such thing (404)."""
    from taskcluster.exceptions import TaskclusterRestFailure

    try:
        return method(*args)
    except TaskclusterRestFailure as exc:
        if exc.status_code != 404:
            raise
        return None
