"""Tests of the database: transactions, and files that are not usable databases."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from taskcluster_local.store import Store, StoreError, data_directory

NUMBERS = "CREATE TABLE IF NOT EXISTS numbers (n INTEGER)"


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store()) as made:
        made.create(NUMBERS)
        yield made


def numbers(store: Store) -> list[int]:
    return [row["n"] for row in store.all("SELECT n FROM numbers ORDER BY n")]


def insert(store: Store, number: int) -> None:
    store.run("INSERT INTO numbers VALUES (?)", number)


@contextmanager
def given_up(store: Store) -> Iterator[None]:
    """A transaction that fails."""
    with suppress(LookupError), store.transaction():
        yield
        raise LookupError


def test_transaction_is_atomic(store: Store) -> None:
    with given_up(store):
        insert(store, 1)
    with store.transaction():
        insert(store, 2)
        with given_up(store):
            insert(store, 3)
        insert(store, 4)
    assert numbers(store) == [2, 4]


def test_after_commit_runs_on_commit_only(store: Store) -> None:
    done: list[str] = []
    with store.transaction():
        store.after_commit(lambda: done.append("outer"))
        with given_up(store):
            store.after_commit(lambda: done.append("inner"))
        assert done == []
    assert done == ["outer"]
    with given_up(store):
        store.after_commit(lambda: done.append("lost"))
    store.after_commit(lambda: done.append("at once"))
    assert done == ["outer", "at once"]


def test_file_keeps_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    for round_ in (1, 2):
        with closing(Store(path)) as store:
            store.create(NUMBERS)
            insert(store, round_)
    with closing(Store(path)) as store:
        assert numbers(store) == [1, 2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_new_file_leaves_no_temporary_file(tmp_path: Path) -> None:
    Store(tmp_path / "a.sqlite").close()
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"a.sqlite"}


def test_rejects_file_in_use(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "a.sqlite")), pytest.raises(StoreError, match=r"a\.sqlite is in use by another"):
        Store(tmp_path / "a.sqlite")
    Store(tmp_path / "a.sqlite").close()


@pytest.mark.parametrize("pragma", ["application_id = 7", "user_version = 2"])
def test_rejects_file_of_other_program_or_version(tmp_path: Path, pragma: str) -> None:
    path = tmp_path / "a.sqlite"
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="was not created by this version of taskcluster-local"):
        Store(path)
    assert path.read_bytes() == before


def test_rejects_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").mkdir()
    with pytest.raises(StoreError, match="cannot use"):
        Store(tmp_path / "a.sqlite")
    with pytest.raises(StoreError, match="cannot use"):
        Store(tmp_path / "missing" / "a.sqlite")


# Directories


def test_new_directory_is_private(tmp_path: Path) -> None:
    made = data_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_empty_directory_becomes_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert data_directory(tmp_path) == tmp_path
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_rejects_directory_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(StoreError, match="contains other files: choose a new or empty directory"):
        data_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_rejects_directory_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(StoreError, match=r"cannot use .* as a directory"):
            data_directory(path)
