"""The SQLite connection that stores all state. Each service creates its own tables."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from .collation import collation_key

__all__ = ["DATABASE", "Row", "Store", "StoreError", "StoreFull", "data_directory"]

Row = dict[str, Any]

DATABASE = "taskcluster.sqlite"
"""The file name of the database."""

_APPLICATION_ID = 0x54434C4F
"""Written into every database file, to tell other programs' databases from damaged ones."""
_FORMAT = 1
_FOR_FILES = """
PRAGMA locking_mode = EXCLUSIVE; -- One server per file; a killed one leaves no lock behind.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL; -- Committed transactions survive the process, but perhaps not the machine.
BEGIN IMMEDIATE; COMMIT; -- Takes the lock.
"""


class StoreError(Exception):
    """The database cannot be used."""


class StoreFull(StoreError):
    """The disk is full. Everything written before is intact."""


class Store:
    """A database. It belongs to the thread that created it.

    Statements and indexes can use `by_name(<column>)`, which sorts as listings sort names.

    A committed transaction survives the death of the process.

    Args:
        path: The file, created if it does not exist; None for a database in memory.

    Raises:
        StoreError: The file is another program's database, is damaged, has another version, or is in use.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._name = ":memory:" if path is None else str(path)
        self._after_commit: list[Callable[[], None]] = []
        self._after_rollback: list[Callable[[], None]] = []
        if path is None:
            self._connection = _connect(self._name)
        else:
            with _file_errors(path):
                if not path.exists():
                    _make(path)
                _examine(path)
                self._connection = _connect(self._name)
                try:
                    self._connection.executescript(_FOR_FILES)
                except BaseException:
                    self._connection.close()
                    raise
        self._connection.row_factory = _as_dict

    def close(self) -> None:
        """Close the connection; a database in memory is lost."""
        self._connection.close()

    def create(self, tables: str) -> None:
        """Create tables and indexes that do not exist yet (`CREATE ... IF NOT EXISTS`)."""
        with self._store_errors():
            self._connection.executescript(tables)

    def one(self, statement: str, *values: Any) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self._execute(statement, values).fetchone()
        return row

    def all(self, statement: str, *values: Any) -> list[Row]:
        """Return all rows."""
        return self._execute(statement, values).fetchall()

    def run(self, statement: str, *values: Any) -> int:
        """Run a statement without results; return the number of changed rows."""
        return self._execute(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Commit the statements in the block, or, if it raises, none of them. Transactions can be nested.

        The block must not await anything: other calls use the same connection.
        """
        nested = self._connection.in_transaction
        mark, undo_mark = len(self._after_commit), len(self._after_rollback)
        self._execute("SAVEPOINT inner" if nested else "BEGIN IMMEDIATE")
        try:
            yield
            self._execute("RELEASE inner" if nested else "COMMIT")
        except BaseException:
            del self._after_commit[mark:]
            # A full disk may have rolled back already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO inner" if nested else "ROLLBACK")
                if nested:
                    self._connection.execute("RELEASE inner")
            undone = self._after_rollback[undo_mark:]
            del self._after_rollback[undo_mark:]
            for action in reversed(undone):
                action()
            raise
        if not nested:
            self._after_rollback.clear()
            actions, self._after_commit = self._after_commit, []
            for action in actions:
                action()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call `action` once the open transaction is committed; immediately if none is open."""
        if self._connection.in_transaction:
            self._after_commit.append(action)
        else:
            action()

    def after_rollback(self, action: Callable[[], None]) -> None:
        """Call `action` if the open transaction is rolled back."""
        self._after_rollback.append(action)

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        # A context manager would take as long as many statements do.
        try:
            return self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise self._as_store_error(error) from error

    @contextmanager
    def _store_errors(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._as_store_error(error) from error

    def _as_store_error(self, error: sqlite3.OperationalError) -> Exception:
        # Compared by message, because Python 3.10 does not provide SQLite's error codes.
        if "disk is full" in str(error) or "disk I/O error" in str(error):
            return StoreFull(f"cannot write to {self._name}: {error}")
        return error


def data_directory(path: Path) -> Path:
    """Return a directory for a store and files, created if necessary and private to this user.

    Raises:
        StoreError: It cannot be created or used, or it contains something else.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {each.name for each in path.iterdir()}
        # The permissions of a directory that serves another purpose are left alone.
        if names and DATABASE not in names:
            raise StoreError(f"{path} contains other files: choose a new or empty directory")
        path.chmod(0o700)
        if not os.access(path, os.W_OK | os.X_OK):
            raise StoreError(f"cannot write to {path}: choose another directory, or change its permissions")
    except OSError as error:
        raise StoreError(f"cannot use {path} as a directory: {error.strerror or error}") from error
    return path


def _connect(name: str, **options: Any) -> sqlite3.Connection:
    # No implicit transactions: a statement is one by itself, unless it is inside `transaction`.
    connection: sqlite3.Connection = sqlite3.connect(
        name, isolation_level=None, cached_statements=512, timeout=1.0, **options
    )
    # A function instead of a collation: called once per written row, not once per comparison.
    connection.create_function("by_name", 1, _by_name, deterministic=True)
    return connection


def _by_name(value: Any) -> Any:
    return collation_key(value) if isinstance(value, str) else value


def _make(path: Path) -> None:
    """Create an empty database atomically, so that an empty file is never one being created."""
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        with closing(_connect(name)) as connection:
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
        # If another process was faster, its file is kept.
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)


def _examine(path: Path) -> None:
    """Raise StoreError unless a file is an intact database of this version. Nothing is written, even on closing."""
    if path.stat().st_size == 0:
        raise StoreError(_damaged(path, "it is empty"))
    with closing(_connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:

        def value(pragma: str) -> Any:
            return connection.execute(f"PRAGMA {pragma}").fetchone()[0]

        if (value("application_id"), value("user_version")) != (_APPLICATION_ID, _FORMAT):
            raise StoreError(f"{path} was not created by this version of taskcluster-local: choose another directory")
        damage = value("quick_check(1)")
        if damage != "ok":
            raise StoreError(_damaged(path, damage))


@contextmanager
def _file_errors(path: Path) -> Generator[None, None, None]:
    """Raise StoreError for SQLite's errors, with messages that help."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError(f"{path} is in use by another taskcluster-local") from error
        raise StoreError(f"cannot use {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(_damaged(path, str(error))) from error
    except OSError as error:
        raise StoreError(f"cannot use {path}: {error.strerror or error}") from error


def _damaged(path: Path, damage: str) -> str:
    return (
        f"{path} is damaged ({' '.join(damage.split())}). It was not changed: keep a copy, and replace it by an intact "
        "one or use another directory"
    )


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}
