"""Progress of transfers on stderr: a bar on a terminal, else a line for each finished file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator

from .app import App
from .text import safe

__all__ = ["Report", "progress"]

Report = Callable[[int, "int | None"], None]
"""Called with the bytes so far and the total or None."""


@contextlib.contextmanager
def progress(app: App, *, shown: bool) -> Generator[Callable[[str], Report | None]]:
    """Yield a function that returns the progress callback for a file.

    Args:
        app: The run of the command.
        shown: Whether bars may be drawn.
    """
    if not (shown and app.shows_progress):
        yield lambda name: None
        return
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    # The bars disappear: the result is a line.
    with Progress(*columns, console=console, transient=True) as bars:
        lock = threading.Lock()

        def new(name: str) -> Report:
            with lock:
                bar = bars.add_task(safe(name), total=None)
            return lambda done, total: bars.update(bar, completed=done, total=total)

        yield new
