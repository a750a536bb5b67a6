"""The one SQLite connection that all state is kept in. Which tables there are is the services' own matter."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["Row", "Store"]

Row = dict[str, Any]


class Store:
    """A database. It belongs to the thread that made it.

    Args:
        path: A file, or `:memory:` for one that ends with its connection.
    """

    def __init__(self, path: str = ":memory:") -> None:
        # No implicit transactions: a statement stands alone unless it is inside `transaction`.
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = _as_dict

    def close(self) -> None:
        """Close the connection; what was in memory is gone."""
        self._connection.close()

    def create(self, tables: str) -> None:
        """Create tables and indexes that are not there yet (`CREATE ... IF NOT EXISTS`)."""
        self._connection.executescript(tables)

    def one(self, statement: str, *values: Any) -> Row | None:
        """Return the first row, or None where there is none."""
        row: Row | None = self._connection.execute(statement, values).fetchone()
        return row

    def all(self, statement: str, *values: Any) -> list[Row]:
        """Return all rows."""
        return self._connection.execute(statement, values).fetchall()

    def run(self, statement: str, *values: Any) -> None:
        """Run a statement that returns nothing."""
        self._connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Keep all statements in the block, or, where it raises, none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}
