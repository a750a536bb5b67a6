"""Change many things: a few at a time, with a summary, and so that Ctrl-C leaves none half done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .app import App
from .errors import INTERRUPTED, NEGATIVE, OK, explain

__all__ = ["change_all"]

_AT_A_TIME = 8

T = TypeVar("T")


def change_all(
    app: App,
    items: Sequence[T],
    change: Callable[[T], Any],
    report: Callable[[T, Any], object],
    name: Callable[[T], str],
) -> int:
    """Change each item and return the exit status.

    With one item, its failure is that of the command. Of several, those that fail are named and the others are done.
    After Ctrl-C nothing more is sent, and what was done and what not is printed.

    Args:
        app: The run of the command.
        items: What to change, at least one.
        change: Changes one.
        report: Prints the result of one.
        name: Returns an item's name, for messages.
    """
    if len(items) == 1:
        report(items[0], change(items[0]))
        return OK
    from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

    pool = ThreadPoolExecutor(min(_AT_A_TIME, len(items)))
    waiting = list(reversed(items))
    running: dict[Future[Any], T] = {}
    done: list[T] = []
    failed: list[T] = []

    def collect(finished: Future[Any]) -> None:
        item = running.pop(finished)
        problem = finished.exception()
        if problem is None:
            done.append(item)
            report(item, finished.result())
        else:
            failed.append(item)
            app.notes.error(f"{name(item)}: {explain(problem).message}")

    try:
        while waiting or running:
            while waiting and len(running) < _AT_A_TIME:
                item = waiting.pop()
                running[pool.submit(change, item)] = item
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                collect(future)
    except KeyboardInterrupt:
        for future in wait(running).done:
            collect(future)
        left = [*failed, *reversed(waiting)]
        app.notes.say(f"interrupted: {len(done)} done, {len(left)} not done", always=True)
        for item in left:
            app.notes.say(f"not done: {name(item)}", always=True)
        return INTERRUPTED
    finally:
        pool.shutdown()
    app.notes.say(f"{len(done)} done{f', {len(failed)} failed' if failed else ''}")
    return NEGATIVE if failed else OK
