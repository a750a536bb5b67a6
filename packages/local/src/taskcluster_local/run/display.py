"""Show how tasks progress: a live tree on a terminal, and lines elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from . import tree
from .progress import RESOLVED, Progress, TaskProgress

__all__ = ["Display", "LiveTree", "display_for"]


class Display:
    """Prints a line for each change of a task's state, for files and logs.

    Args:
        stream: Where to print.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def print(self, *lines: str) -> None:
        """Print lines."""
        for line in lines:
            print(line, file=self._stream)
        self._stream.flush()

    def note(self, *notes: str) -> None:
        """Print sentences."""
        self.print(*[f"note: {note}" for note in notes])

    def changed(self, task: TaskProgress, now: datetime, log: str | None) -> None:
        """Print that a task's state has changed.

        Args:
            task: The task.
            now: The time.
            log: The log, if it was not completed and has one.
        """
        if task.state in ("running", *RESOLVED):
            self.print(tree.changed(task, now), *([] if log is None else tree.excerpt(task, log)))

    def update(self, progress: Progress, now: datetime) -> None:
        """Show the current state. Called several times a second."""

    def end(self, progress: Progress, now: datetime) -> None:
        """Show the final state."""
        blocked = [task for task in progress if task.is_blocked]
        self.print(*[tree.changed(task, now) for task in blocked], tree.summary(progress))


class LiveTree(Display):
    """Shows a tree on a terminal, below the lines printed so far, and keeps it up to date.

    Args:
        stream: The terminal.
        size: Its columns and rows.
        colours: Whether to use colours.
    """

    def __init__(self, stream: TextIO, size: tuple[int, int], *, colours: bool) -> None:
        super().__init__(stream)
        self._columns, self._rows = size
        self._colours = colours
        self._shown: list[str] = []

    def print(self, *lines: str) -> None:
        """Print lines above the tree."""
        self._write(lines, self._shown)

    def note(self, *notes: str) -> None:
        """Print sentences, in lines that fit the terminal."""
        for note in notes:
            self.print(*textwrap.wrap(f"note: {note}", self._columns, subsequent_indent="      "))

    def changed(self, task: TaskProgress, now: datetime, log: str | None) -> None:
        """Print the log of a task that was not completed."""
        if log is not None:
            self.print(*tree.excerpt(task, log))

    def update(self, progress: Progress, now: datetime) -> None:
        """Show the tree."""
        if not progress.tasks:
            return
        lines = tree.lines(progress, now)
        most = max(1, self._rows - 3)
        if len(lines) > most:
            lines = tree.active(progress, now)[:most]
        self._show([*lines, tree.summary(progress)])

    def end(self, progress: Progress, now: datetime) -> None:
        """Show the complete tree, even if it is longer than the terminal."""
        self._show([])
        self._write([*map(self._fitted, tree.lines(progress, now)), tree.summary(progress)], [])

    def _show(self, lines: list[str]) -> None:
        fitted = [self._fitted(line) for line in lines]
        if fitted != self._shown:
            self._write([], fitted)

    def _write(self, lines: Iterable[str], shown: list[str]) -> None:
        up = f"\x1b[{len(self._shown)}A" if self._shown else ""
        self._stream.write("".join([up, "\r\x1b[J", *[f"{line}\n" for line in (*lines, *shown)]]))
        self._stream.flush()
        self._shown = shown

    def _fitted(self, line: str) -> str:
        line = line[: self._columns]
        for symbol, colour in tree.COLOURS.items() if self._colours else ():
            line = line.replace(f"{symbol} ", f"\x1b[{colour}m{symbol}\x1b[0m ", 1)
        return line


def display_for(stream: TextIO) -> Display:
    """Return the display for a stream: a tree if it is a terminal that can move the cursor."""
    if sys.platform == "win32" or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return Display(stream)
    size = shutil.get_terminal_size()
    return LiveTree(stream, (size.columns, size.lines), colours=not os.environ.get("NO_COLOR"))
