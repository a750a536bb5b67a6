"""Change many things: a few at a time, with a summary, and so that Ctrl-C leaves none half done."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Generator, Sequence
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
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    arrived: queue.SimpleQueue[str | tuple[T, Any, BaseException | None]] = queue.SimpleQueue()
    stopped = threading.Event()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while not stopped.is_set():
                item = waiting.get_nowait()
                try:
                    arrived.put((item, change(item), None))
                except BaseException as exc:
                    arrived.put((item, None, exc))
        arrived.put("ended")

    def stop() -> None:
        stopped.set()
        arrived.put("interrupted")

    done: list[T] = []
    failed: list[T] = []
    threads = [threading.Thread(target=work) for _ in range(min(_AT_A_TIME, len(items)))]
    try:
        with _on_interrupt(stop):
            for thread in threads:
                thread.start()
            running = len(threads)
            while running:
                match arrived.get():
                    case "ended":
                        running -= 1
                    case (item, result, None):
                        done.append(item)
                        report(item, result)
                    case (item, _, BaseException() as problem):
                        failed.append(item)
                        app.notes.error(f"{name(item)}: {explain(problem).message}")
                    case _:
                        app.notes.say("waiting for what is under way; Ctrl-C again ends at once", always=True)
            is_interrupted = stopped.is_set()
    finally:
        # The reader of stdout may be gone.
        stopped.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    if is_interrupted:
        left = [*failed, *(waiting.get_nowait() for _ in range(waiting.qsize()))]
        app.notes.say(f"interrupted: {len(done)} done, {len(left)} not done", always=True)
        for item in left:
            app.notes.say(f"not done: {name(item)}", always=True)
        return INTERRUPTED
    app.notes.say(f"{len(done)} done{f', {len(failed)} failed' if failed else ''}")
    return NEGATIVE if failed else OK


@contextlib.contextmanager
def _on_interrupt(stop: Callable[[], object]) -> Generator[None]:
    """Call a function at the first Ctrl-C, and let a second one end the process at once.

    A KeyboardInterrupt could be raised between a change and the line that notes it.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def interrupted(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop()

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupted:
            signal.signal(signal.SIGINT, before)
