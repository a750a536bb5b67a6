"""What commands print: tables and colour on a terminal, plain and complete lines in a pipe, JSON if requested.

Data goes to stdout through `Output`; everything else goes to stderr through `Notes`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TextIO

from taskcluster.shapes import is_mapping

from .text import ago, coloured_only, one_line, safe

if TYPE_CHECKING:
    from rich.console import Console

    from .select import Path, Query

__all__ = ["Column", "Notes", "Output", "compact", "is_terminal", "wants_colour"]

_STATES = {
    "completed": "green",
    "running": "cyan",
    "pending": "yellow",
    "unscheduled": "yellow",
    "failed": "red",
    "exception": "magenta",
}
"""Colours, which never carry a meaning alone: the word is there too."""


class Column(NamedTuple):
    """A column of a table."""

    title: str
    value: str | Callable[[Any], object]
    """The key of the value in a record, with dots for nested ones, or a function that returns it; None for none."""
    kind: str = "text"
    """`id` is never shortened, and completion knows its values; `time` is relative on a terminal; `state` is coloured;
    `number` is aligned right."""

    def of(self, record: Any) -> object:
        """Return the value for a record."""
        if not isinstance(self.value, str):
            return self.value(record)
        for key in self.value.split("."):
            record = record.get(key) if is_mapping(record) else None
        return record


def is_terminal(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Return whether a stream is a terminal that shows more than plain lines."""
    try:
        return stream is not None and stream.isatty() and environ.get("TERM") != "dumb"
    except ValueError:
        # It is closed.
        return False


def wants_colour(choice: str, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Return whether to use colour.

    Args:
        choice: `auto`, `always` or `never`.
        environ: NO_COLOR wins over CLICOLOR_FORCE and FORCE_COLOR, which win over the terminal.
        terminal: Whether the output is a terminal.
    """
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("CLICOLOR_FORCE", "FORCE_COLOR")):
        return True
    return terminal


class Notes:
    """What is not data: warnings, hints and progress, on stderr."""

    def __init__(self, stream: TextIO | None, *, colour: bool, quiet: bool = False) -> None:
        self.stream = stream
        self._colour = colour
        self.is_quiet = quiet

    def say(self, message: str, *, always: bool = False) -> None:
        """Print a line, unless --quiet was given."""
        if always or not self.is_quiet:
            self._print(message)

    def warn(self, message: str) -> None:
        """Print a warning."""
        self._print(message, "warning:", "33")

    def error(self, message: str, hints: Sequence[str] = ()) -> None:
        """Print an error and what to do next."""
        self._print(message, "Error:", "31")
        for hint in hints:
            self._print(hint)

    def _print(self, message: str, label: str = "", code: str = "") -> None:
        if self.stream is None:
            return
        if label:
            label = f"\x1b[{code}m{label}\x1b[0m " if self._colour else f"{label} "
        # Line ends are ours, everything else may come from a server.
        lines = [safe(line) for line in message.split("\n")]
        try:
            print(label + "\n".join(lines), file=self.stream, flush=True)
        except (OSError, ValueError):
            # Nobody reads it.
            self.stream = None


class Output:
    """Prints data to stdout.

    Args:
        stream: stdout; None if it is closed.
        terminal: Whether it is a terminal.
        colour: Whether to use colour.
        form: `auto`, `json` or `jsonl`.
        path: The part of each document to print.
        now: Returns the present, an aware datetime.
        notice: Called with the titles and values of columns of ids.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        terminal: bool,
        colour: bool,
        form: str = "auto",
        path: Path | Query | None = None,
        now: Callable[[], Any] | None = None,
        notice: Callable[[str, Iterable[str]], object] | None = None,
    ) -> None:
        self._stream = stream
        self._encoding = (getattr(stream, "encoding", None) or "utf-8") if terminal else "utf-8"
        self.is_terminal = terminal
        self.colour = colour
        self.form = form
        self.path = path
        self._now = now
        self._notice = notice
        self._items: int | None = None
        """How many items of an open array were printed."""

    @property
    def width(self) -> int:
        """The present width of the terminal."""
        import shutil

        return shutil.get_terminal_size().columns if self.is_terminal else 80

    @property
    def is_for_programs(self) -> bool:
        """Whether JSON or a selected part was requested, so that a command has to pass complete documents."""
        return self.form != "auto" or self.path is not None

    def write(self, data: bytes) -> None:
        """Write bytes."""
        if self._stream is None:
            raise OSError(errno.EBADF, "stdout is closed")
        binary: BinaryIO = self._stream.buffer
        while data:
            # An unbuffered stream may write a part.
            data = data[binary.write(data) :]

    def flush(self) -> None:
        """Write what is buffered."""
        if self._stream is not None:
            self._stream.flush()

    def line(self, text: str) -> None:
        """Print a line of data."""
        # Names of tasks and the like may hold any character.
        self._put(f"{coloured_only(text) if self.is_terminal else text}\n")

    def lines(self, texts: Iterable[str]) -> None:
        """Print lines of data."""
        for text in texts:
            self.line(text)

    def painted(self, text: str, style: str) -> str:
        """Return text with a colour, if colour is used."""
        codes = {"green": 32, "cyan": 36, "yellow": 33, "red": 31, "magenta": 35, "bold": 1, "dim": 2}
        return f"\x1b[{codes[style]}m{text}\x1b[0m" if self.colour else text

    def state(self, state: str) -> str:
        """Return a state with its colour."""
        return self.painted(state, _STATES[state]) if state in _STATES else state

    def time(self, value: object) -> str:
        """Return a date as people read it on a terminal, and as the server sent it elsewhere."""
        if not self.is_terminal or not isinstance(value, str):
            return "" if value is None else str(value)
        from datetime import datetime, timezone

        from taskcluster.timestamps import parse_date

        try:
            moment = parse_date(value)
        except ValueError:
            return value
        return ago(moment, self._now() if self._now else datetime.now(timezone.utc))

    def document(self, document: Any, show: Callable[[], object] | None = None) -> None:
        """Print one JSON document.

        Args:
            document: The document.
            show: Prints it for people; used unless JSON or a part of it was requested.
        """
        if self.path is not None:
            if self.form == "json":
                self._json(self.path.result(document))
            elif self.form == "jsonl" and self.path.takes_lists:
                self.line(compact(self.path.result(document)))
            else:
                for value in self.path.results(document):
                    self._value(value)
        elif self.form == "jsonl":
            self.line(compact(document))
        elif self.form == "json" or show is None:
            self._json(document)
        else:
            show()
        self.flush()

    @contextlib.contextmanager
    def array(self, *, is_list: bool = True) -> Generator[None]:
        """Make one array of the records that are printed meanwhile, if --json was given.

        After a failure the array stays open, so that a part does not look like the whole.

        Args:
            is_list: Whether to do so, because there may be several.
        """
        if not is_list or self.form != "json":
            yield
            return
        self._items = 0
        yield
        self.line("\n]" if self._items else "[]")
        self._items = None
        self.flush()

    def record(self, record: Any) -> None:
        """Print a JSON document, which may be an item of an array."""
        if self._items is None:
            self.document(record)
            return
        self._add(record)
        self.flush()

    def _add(self, record: Any) -> None:
        assert self._items is not None
        for value in [record] if self.path is None else self.path.of_record(record):
            self._put(f"{',' if self._items else '['}\n{_indented(value, 2)}")
            self._items += 1

    def listing(
        self,
        pages: Iterable[Iterable[Any]],
        columns: Sequence[Column],
        *,
        plain: Callable[[Any], str] | None = None,
        name: Callable[[Any], str] | None = None,
        quiet: bool = False,
    ) -> int:
        """Print records as they arrive, and return their number.

        Args:
            pages: The records, in pages; each page is printed before the next one is requested.
            columns: What to show of a record.
            plain: Returns the line of a record in a pipe. Defaults to all columns with tabs between them.
            name: Returns a record's id, for `quiet`. Defaults to the first column.
            quiet: Whether to print ids alone.
        """
        count = 0
        widths: list[int] = []
        pages = self._noticed(pages, columns)
        if self.path is not None and self.path.takes_lists and self.form != "jsonl":
            complete = [record for page in pages for record in page]
            self.document(complete)
            return len(complete)
        if self.form == "json":
            return self._array(pages)
        for records in pages:
            if self.form == "jsonl" or self.path is not None:
                for record in records:
                    for value in [record] if self.path is None else self.path.of_record(record):
                        self._value(value) if self.form == "auto" else self.line(compact(value))
            elif quiet:
                for record in records:
                    self.line(name(record) if name else _text(columns[0].of(record)))
            elif self.is_terminal:
                if records:
                    self._table(records, columns, widths, is_first=not count)
            else:
                for record in records:
                    line = "\t".join(one_line(_text(column.of(record))) for column in columns)
                    self.line(line if plain is None else plain(record))
            count += len(records)
            self.flush()
        return count

    def _noticed(self, pages: Iterable[Iterable[Any]], columns: Sequence[Column]) -> Iterator[list[Any]]:
        for page in pages:
            records = page if isinstance(page, list) else list(page)
            for column in columns:
                if self._notice is not None and column.kind == "id":
                    self._notice(column.title, (_text(column.of(record)) for record in records))
            yield records

    def details(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print labels and values, one a line, without those that are None."""
        shown = [(label, _text(value)) for label, value in pairs if value is not None]
        width = max((len(label) for label, _ in shown), default=0)
        for label, value in shown:
            if self.is_terminal:
                self.line(f"{self.painted(f'{label}:'.ljust(width + 1), 'dim')} {value}")
            else:
                self.line(f"{label}\t{one_line(value)}")

    def console(self, width: int | None = None) -> Console:
        """Return a rich console that prints to stdout; by default it follows the width of the terminal."""
        from rich.console import Console

        return Console(
            file=self._stream,
            force_terminal=True,
            color_system="standard" if self.colour else None,
            no_color=not self.colour,
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def _put(self, text: str) -> None:
        # A pipe gets the bytes that a surrogate stands for.
        errors = "replace" if self.is_terminal else "surrogateescape"
        try:
            data = text.encode(self._encoding, errors)
        except UnicodeEncodeError:
            data = text.encode(self._encoding, "replace")
        self.write(data)

    def _array(self, pages: Iterable[Iterable[Any]]) -> int:
        count = 0
        with self.array():
            for page in pages:
                for record in page:
                    self._add(record)
                    count += 1
                self.flush()
        return count

    def _json(self, document: Any) -> None:
        text = _indented(document)
        if self.colour and self.is_terminal:
            from rich.json import JSON

            try:
                self.console(max(self.width, 40)).print(JSON(text, indent=2, ensure_ascii=False), soft_wrap=True)
            except UnicodeEncodeError:
                self.line(text)
        else:
            self.line(text)

    def _value(self, value: Any) -> None:
        if isinstance(value, str):
            self.line(safe(value) if self.is_terminal else value)
        else:
            self.line("" if value is None else compact(value))

    def _table(self, records: Sequence[Any], columns: Sequence[Column], widths: list[int], *, is_first: bool) -> None:
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        rows = [[safe(self._shown(column, record)) for column in columns] for record in records]
        widths[:] = [
            max([len(column.title) if is_first else widths[number], *(cell_len(row[number]) for row in rows)])
            for number, column in enumerate(columns)
        ]
        whole = [column.kind in ("id", "state", "number") for column in columns]
        # rich would shorten ids too. Between columns are two spaces.
        left = (
            self.width
            - 2 * len(columns)
            - sum(width for width, is_whole in zip(widths, whole, strict=True) if is_whole)
        )
        shown = _shared(left, [width for width, is_whole in zip(widths, whole, strict=True) if not is_whole])
        table = Table(box=None, show_header=is_first, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        final = [width if is_whole else shown.pop(0) for width, is_whole in zip(widths, whole, strict=True)]
        for column, width in zip(columns, final, strict=True):
            table.add_column(
                column.title,
                no_wrap=True,
                overflow="ellipsis",
                justify="right" if column.kind == "number" else "left",
                width=width,
            )
        for row in rows:
            cells = [
                Text(cell, style=_STATES.get(cell, "") if column.kind == "state" else "")
                for column, cell in zip(columns, row, strict=True)
            ]
            table.add_row(*cells)
        console = self.console(max(self.width, sum(final) + 2 * len(final)))
        with console.capture() as capture:
            console.print(table)
        for line in capture.get().splitlines():
            self.line(line.rstrip())

    def _shown(self, column: Column, record: Any) -> str:
        value = column.of(record)
        return self.time(value) if column.kind == "time" else _text(value)


def _shared(width: int, wanted: Sequence[int]) -> list[int]:
    """Return the widths of columns that share a width, at least 4 each; those that want less leave it to the others."""
    given = dict.fromkeys(range(len(wanted)), 4)
    for position, number in enumerate(sorted(given, key=lambda each: wanted[each])):
        share = width // (len(wanted) - position)
        given[number] = max(4, min(wanted[number], share))
        width -= given[number]
    return list(given.values())


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def compact(value: Any) -> str:
    """Return a JSON document on one line."""
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _indented(value: Any, margin: int = 0) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False, indent=2)
    return " " * margin + text.replace("\n", "\n" + " " * margin) if margin else text


def occupy_closed_descriptors() -> None:
    """Open /dev/null in place of closed standard descriptors, so that no socket or file gets their numbers."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return


def replace_unencodable() -> None:
    """Let stdout and stderr replace what their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
