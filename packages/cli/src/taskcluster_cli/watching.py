"""Watch tasks and groups until they are resolved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from .app import App
from .errors import TIMEOUT, Failure
from .naming import Group, Task, found_or_none
from .states import RESOLVED, result, task_state

__all__ = ["has_resolved_first", "is_whole", "stops_watching", "watch_group", "watch_tasks"]


@contextlib.contextmanager
def stops_watching(app: App, what: str, cancel: str) -> Generator[None]:
    """Let Ctrl-C end the watching, and print how to cancel what is watched.

    Args:
        app: The run of the command.
        what: What goes on, for example `the task`.
        cancel: The command that cancels it.
    """
    try:
        yield
    except KeyboardInterrupt:
        app.notes.say(f"\nstopped watching, {what} goes on; to cancel: {cancel}", always=True)
        raise


def _pace(interval: float | None, timeout: float | None) -> dict[str, Any]:
    # The helper's own pace doubles from 1 s to 30 s while nothing changes.
    pace = {} if interval is None else {"delay": interval, "max_delay": interval}
    return {**pace, "timeout": timeout}


def watch_tasks(
    app: App,
    tasks: Sequence[Task],
    *,
    interval: float | None = None,
    timeout: float | None = None,
    fail_fast: bool = False,
    shown: Callable[[str], object] | None = None,
) -> int:
    """Wait until tasks are resolved, print each change, and return the exit status.

    Args:
        app: The run of the command.
        tasks: The tasks.
        interval: Seconds between two looks.
        timeout: Seconds to wait.
        fail_fast: Whether to end at the first that fails.
        shown: Prints a line. Defaults to stdout.
    """
    import time

    from taskcluster.helper import WaitTimeoutError, wait_for_task

    started = time.monotonic()
    outcome = 0
    documents: list[Any] = []
    cancel = f"taskcluster task cancel {' '.join(task.id for task in tasks)}"
    with stops_watching(app, "the task" if len(tasks) == 1 else "they all", cancel):
        for task in tasks:

            def changed(status: Mapping[str, Any], task: Task = task) -> None:
                if not app.out.is_for_programs or shown is not None:
                    prefix = f"{task.id} " if len(tasks) > 1 else ""
                    (shown or app.out.line)(f"{prefix}{task_state(status)}")
                elif app.out.form == "jsonl":
                    app.out.document(status)
                app.out.flush()

            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
            queue = app.client("Queue", task.address)
            try:
                status = wait_for_task(queue, task.id, on_change=changed, **_pace(interval, left))
            except WaitTimeoutError:
                # Its message has the time that was left for this task.
                raise Failure(f"task {task.id} to resolve: not within {timeout:g} seconds", TIMEOUT) from None
            documents.append(status)
            outcome = max(outcome, result({status["state"]: 1}))
            if outcome and fail_fast:
                break
    if shown is None and app.out.is_for_programs and app.out.form != "jsonl":
        app.out.document(documents[0] if len(tasks) == 1 else documents)
    return outcome


class _Failed(Exception):
    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = counts


def watch_group(
    app: App,
    group: Group,
    *,
    interval: float | None,
    timeout: float | None,
    fail_fast: bool,
    show: Callable[[Any], object],
) -> Mapping[str, int]:
    """Wait until all tasks of a group are resolved, and return the number of tasks in each state.

    Args:
        app: The run of the command.
        group: The group.
        interval: Seconds between two looks.
        timeout: Seconds to wait.
        fail_fast: Whether to end when the first task has failed.
        show: Called with the counts whenever they change.
    """
    from taskcluster.helper import wait_for_task_group

    def changed(counts: Mapping[str, int]) -> None:
        show(counts)
        if fail_fast and result(counts):
            raise _Failed(counts)

    try:
        queue = app.client("Queue", group.address)
        return wait_for_task_group(queue, group.id, on_change=changed, **_pace(interval, timeout))
    except _Failed as exc:
        return exc.counts


def is_whole(app: App, group: Group) -> bool:
    """Return whether no more tasks will be added: the group is sealed, or its first task is resolved."""
    queue = app.client("Queue", group.address)
    return bool(queue.getTaskGroup(group.id).get("sealed")) or has_resolved_first(app, group)


def has_resolved_first(app: App, group: Group) -> bool:
    """Return whether the first task of a group is resolved."""
    # The decision task has the group's id.
    first = found_or_none(app.client("Queue", group.address).status, group.id)
    return first is not None and first["status"]["state"] in RESOLVED
