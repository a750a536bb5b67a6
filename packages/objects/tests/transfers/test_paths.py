"""Downloads to paths: when the file appears, its permissions, and replaced files."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from taskcluster.exceptions import TaskclusterRestFailure

from .conftest import TransferMode, temporary_files
from .deployment import Blob, StorageServer, breaks, responds
from .test_usage import DATA, artifacts


def test_file_appears_at_path_when_complete(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA, {"Content-Type": "x/y"})
    target = tmp_path / "target"
    target.write_bytes(b"old")
    deployment.faults.extend([breaks(700_000)])
    assert mode.get("x", "downloadToPath", target) == "x/y"
    assert target.read_bytes() == DATA
    assert os.listdir(tmp_path) == ["target"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_failed_download_leaves_no_file_and_keeps_old_one(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path
) -> None:
    artifacts(deployment)
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        deployment.faults.extend([responds(404)])
        with pytest.raises(TaskclusterRestFailure):
            mode.get_artifact("public/s3", "downloadArtifactToPath", tmp_path / name)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_invalid_path_raises_before_any_request(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for path in (tmp_path, tmp_path / "no" / "such", tmp_path / "fifo", tmp_path / "link"):
        with pytest.raises(OSError):
            mode.get("x", "downloadToPath", path)
    assert deployment.received == []
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link"]


def test_file_gets_permissions_of_old_one(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    target = tmp_path / "target"
    seen: set[int] = set()

    def progress(done: int, total: int | None) -> None:
        seen.update(stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir())

    for bits in (0o600, 0o754, 0o444):
        seen.clear()
        target.write_bytes(b"old")
        target.chmod(bits)
        mode.get("x", "downloadToPath", target, progress=progress)
        assert seen == {bits}
        assert target.read_bytes() == DATA
        assert stat.S_IMODE(target.stat().st_mode) == bits
        target.unlink()


def test_replaces_symbolic_link_and_keeps_its_target(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path
) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "named").write_bytes(b"old")
    for name in ("named", "nothing"):
        (tmp_path / "link").symlink_to(name)
        mode.get("x", "downloadToPath", tmp_path / "link")
        assert not (tmp_path / "link").is_symlink()
        assert (tmp_path / "link").read_bytes() == DATA
        (tmp_path / "link").unlink()
    assert (tmp_path / "named").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["named"]


def test_accepts_the_longest_file_name(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    for name in ("\U0001f600" * 63, "x" * 255):
        mode.get("x", "downloadToPath", tmp_path / name)
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.usefixtures("leaks")
def test_unfinished_file_is_in_the_same_directory(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path
) -> None:
    """The check for leaks relies on this name."""
    deployment.blobs["x"] = Blob(DATA)
    seen: list[list[str]] = []
    mode.get("x", "downloadToPath", tmp_path / "x", progress=lambda *_: seen.append(temporary_files(tmp_path)))
    assert {len(files) for files in seen} == {1}
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize("kind", ["socket", "device", "endless link"])
def test_does_not_replace_special_files(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "x"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "socket":
            listener.bind(str(path))
        else:
            path.symlink_to(os.devnull if kind == "device" else "x")
        before = path.lstat()
        with pytest.raises(OSError):
            mode.get("x", "downloadToPath", path)
        assert os.path.samestat(path.lstat(), before)
    assert deployment.received == []
    assert os.listdir(tmp_path) == ["x"]


def test_writes_to_a_device_passed_as_a_file(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA, etag=None)
    deployment.faults.extend([breaks(1000)])
    with open(os.devnull, "wb") as file:
        mode.get("x", "downloadToFile", file)


def test_rejects_link_to_a_directory(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    with pytest.raises(IsADirectoryError):
        mode.get("x", "downloadToPath", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert deployment.received == []


def test_file_gets_permissions_of_link_target(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "named").write_bytes(b"old")
    (tmp_path / "named").chmod(0o640)
    (tmp_path / "link").symlink_to("named")
    mode.get("x", "downloadToPath", tmp_path / "link")
    assert stat.S_IMODE((tmp_path / "link").lstat().st_mode) == 0o640


def test_does_not_copy_setuid_bits(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(0o6755)
    mode.get("x", "downloadToPath", tmp_path / "x")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o755


def test_hard_link_of_old_file_keeps_its_content(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "other").hardlink_to(tmp_path / "x")
    mode.get("x", "downloadToPath", tmp_path / "x")
    assert (tmp_path / "other").read_bytes() == b"old"
    assert (tmp_path / "x").read_bytes() == DATA


def test_concurrent_downloads_to_one_path_leave_one_file(deployment: StorageServer, tmp_path: Path) -> None:
    mode = TransferMode("async", deployment)
    deployment.blobs["x"] = Blob(DATA)

    async def main() -> None:
        async with mode.client("Object") as service:
            await asyncio.gather(
                *[mode.download.downloadToPath(tmp_path / "x", name="x", objectService=service) for _ in range(4)]
            )

    asyncio.run(main())
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == DATA
