"""Test that full disks and damaged files are reported, and that no data is lost."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterRestFailure

from .serving import Served, refusal

DATABASE = "taskcluster.sqlite"
LARGEST_FILE = 2 * 1024 * 1024


def fill(options: dict[str, Any], count: int, written: dict[str, str] | None = None) -> dict[str, str]:
    """Set secrets until one is rejected; return the acknowledged ones, and add them to `written`."""
    done = {} if written is None else written
    with taskcluster.Secrets(options) as secrets:
        for number in range(count):
            name, text = f"s/{number:04}", f"{number}" * 4000
            secrets.set(name, {"secret": {"text": text}, "expires": taskcluster.fromNowJSON("1 day")})
            done[name] = text
    return done


def assert_has(served: Served, written: dict[str, str]) -> None:
    with taskcluster.Secrets(served.options) as secrets:
        assert set(written) <= set(secrets.list()["secrets"])
        for name, text in written.items():
            assert secrets.get(name)["secret"] == {"text": text}


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def test_full_disk_is_reported_and_loses_nothing(tmp_path: Path) -> None:
    written: dict[str, str] = {}
    with Served(tmp_path, before=limit_files) as served, taskcluster.Secrets(served.options) as secrets:
        with pytest.raises(TaskclusterRestFailure) as caught:
            fill(served.options, 2000, written)
        assert (caught.value.status_code, caught.value.code) == (500, "InternalServerError")
        assert "Nothing of this request was stored: cannot write to" in str(caught.value)
        assert len(written) > 20
        # It keeps serving existing data.
        assert_has(served, written)
        assert set(secrets.list()["secrets"]) == set(written)
        assert served.stop() == 0
    with Served(tmp_path) as served:
        assert_has(served, written)
        fill(served.options, 1)


def test_disk_full_at_startup(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        written = fill(served.options, 300)
        assert served.stop() == 0
    assert (tmp_path / DATABASE).stat().st_size > LARGEST_FILE
    with Served(tmp_path, before=limit_files) as served:
        assert_has(served, written)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def flip(content: bytes) -> bytes:
    middle = len(content) // 2 // 4096 * 4096
    return content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 64]) + content[middle + 64 :]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (flip, "is damaged"),
        (lambda content: content[: len(content) // 2], "is damaged"),
        (lambda content: content[:100], "is damaged"),
        (lambda content: b"", "is damaged (it is empty)"),
        (lambda content: b"no database " * 1000, "is damaged (file is not a database)"),
        (lambda content: content[:60] + b"\0\0\0\7" + content[64:], "was not created by this version"),
    ],
    ids=["bytes flipped", "half", "a hundred bytes", "empty", "text", "another version"],
)
def test_damaged_file_is_reported_and_unchanged(tmp_path: Path, damage: object, told: str) -> None:
    with Served(tmp_path) as served:
        fill(served.options, 100)
        assert served.stop() == 0
    file = tmp_path / DATABASE
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    before = contents(tmp_path)
    message = refusal(tmp_path)
    assert message.startswith(f"taskcluster-local: {file} {told}")
    assert message.count("\n") == 1
    after = contents(tmp_path)
    assert after[DATABASE] == before[DATABASE]


def test_damaged_file_keeps_its_write_ahead_log(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        fill(served.options, 100)
        assert served.stop() == 0
    with Served(tmp_path) as served:
        fill(served.options, 1)
        served.kill()
    file = tmp_path / DATABASE
    file.write_bytes(flip(file.read_bytes()))
    before = contents(tmp_path)
    assert before[f"{DATABASE}-wal"]
    assert "is damaged" in refusal(tmp_path)
    after = contents(tmp_path)
    for name in (DATABASE, f"{DATABASE}-wal"):
        assert after[name] == before[name]


def test_two_servers_cannot_share_a_directory(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        written = fill(served.options, 3)
        assert refusal(tmp_path) == (
            f"taskcluster-local: {tmp_path / DATABASE} is in use by another taskcluster-local\n"
        )
        assert_has(served, written)
