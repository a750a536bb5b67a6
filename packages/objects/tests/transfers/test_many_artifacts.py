"""Downloads of many artifacts into a directory."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3

import taskcluster
from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure

from .conftest import TransferMode
from .deployment import PATIENCE, Blob, StorageRequest, StorageServer, breaks, head, responds, storage
from .test_usage import DATA, artifacts


def transferring() -> int:
    return sum(each.name.startswith("taskcluster-transfer") for each in threading.enumerate())


def test_downloads_many_artifacts_concurrently(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    names = artifacts(deployment)
    deployment.artifacts["private/x"] = {"storageType": "error", "reason": "r", "message": "m"}
    # Storage responds to neither request before it has received both; otherwise the barrier breaks.
    both = threading.Barrier(2, timeout=PATIENCE)

    def waits(*exchange: Any) -> bool:
        both.wait()
        return storage(*exchange)

    deployment.faults.extend([waits, waits])
    told: list[int] = []
    at_once: list[int] = []

    def progress(done: int, total: int | None) -> None:
        told.append(done)
        at_once.append(sum(name.endswith(".part") for name in os.listdir(tmp_path / "to" / "public")))

    found = mode.run(
        mode.download.downloadTaskArtifacts, "T", "public/*", tmp_path / "to", queueService=mode.client("Queue"),
        concurrency=3, progress=progress,
    )  # fmt: skip
    assert found == {name: tmp_path / "to" / name for name in names}
    assert {path.read_bytes() for path in found.values()} == {DATA}
    assert len(os.listdir(tmp_path / "to" / "public")) == len(names)
    assert max(at_once) <= 3
    assert max(told) > len(DATA) * 4


def test_first_failure_stops_the_other_downloads(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    artifacts(deployment)
    deployment.artifacts["public/a"] = {"storageType": "error", "reason": "r", "message": "the first"}
    with pytest.raises(taskcluster.TaskclusterArtifactError, match="the first"):
        mode.run(
            mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"), concurrency=1
        )
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []


@pytest.mark.parametrize("concurrency", [0, -1, 2.5, None])
def test_concurrency_must_be_a_positive_integer(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, concurrency: Any
) -> None:
    with pytest.raises(TaskclusterFailure, match="concurrency must be"):
        mode.run(
            mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"),
            concurrency=concurrency,
        )  # fmt: skip
    assert deployment.received == []


@pytest.mark.usefixtures("leaks")
@pytest.mark.parametrize("concurrency", [1, 3, 20])
def test_reaches_but_never_exceeds_concurrency(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, concurrency: int
) -> None:
    names = [f"a{number}" for number in range(9)]
    deployment.blobs["x"] = Blob(DATA)
    for name in names:
        deployment.artifacts[name] = {"storageType": "s3", "url": partial(deployment.url, "x")}
    wanted = min(concurrency, len(names))
    changed = threading.Condition()
    held = most = threads = 0

    def holds(*exchange: Any) -> bool:
        nonlocal held, most, threads
        with changed:
            held += 1
            most = max(most, held)
            threads = max(threads, transferring())
            changed.notify_all()
            assert changed.wait_for(lambda: held >= wanted or len(deployment.stored_requests) == len(names), PATIENCE)
            # A request too many would arrive now.
            changed.wait_for(lambda: held > wanted, 0.02)
            held -= 1
        return storage(*exchange)

    deployment.faults.extend([holds] * len(names))
    found = mode.run(
        mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"),
        concurrency=concurrency,
    )  # fmt: skip
    assert sorted(found) == names
    assert most == wanted
    assert threads == (wanted if mode.name == "sync" else 0)
    assert transferring() == 0


def two_artifacts(deployment: StorageServer) -> None:
    for name in ("a", "b"):
        deployment.blobs[name] = Blob(DATA)
        deployment.artifacts[name] = {"storageType": "s3", "url": partial(deployment.url, name)}


@pytest.mark.usefixtures("leaks")
@pytest.mark.parametrize("length", [{"Content-Length": "3000000"}, {"Connection": "close"}], ids=["kept", "closed"])
def test_failure_stops_downloads_that_wait_for_storage(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, length: dict[str, str]
) -> None:
    if "Connection" in length and not hasattr(urllib3.HTTPResponse, "shutdown"):
        pytest.skip("urllib3 before 2.3 cannot interrupt the read; the timeout ends it")
    two_artifacts(deployment)
    begun = threading.Event()

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        if received.path.endswith("/a"):
            connection.sendall(head(200, length) + b"x" * 1000)
            begun.set()
            while connection.recv(65536):
                pass
            return False
        assert begun.wait(PATIENCE)
        return responds(404)(deployment, connection, received, blob)

    deployment.faults.extend([fault, fault])
    started = time.monotonic()
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.run(
            mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"), maxRetries=0,
        )  # fmt: skip
    assert caught.value.status_code == 404
    assert time.monotonic() - started < PATIENCE
    assert os.listdir(tmp_path) == []


def test_raises_the_first_of_many_failures(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    two_artifacts(deployment)
    other, told = threading.Event(), threading.Event()

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        if received.path.endswith("/b"):
            assert other.wait(PATIENCE)
            responds(410)(deployment, connection, received, blob)
            told.set()
            return True
        other.set()
        # The first to start, and the last to fail.
        assert told.wait(PATIENCE)
        with deployment.changed:
            deployment.changed.wait_for(lambda: deployment.open == 1, 0.3)
        return False

    deployment.faults.extend([fault, fault])
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.run(
            mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"), maxRetries=0
        )
    assert caught.value.status_code == 410


@pytest.mark.parametrize("names", [["a", "a/b"], ["file/x"], ["loop/x"]])
def test_invalid_names_raise_and_leave_nothing(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, names: list[str]
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("loop")
    for name in ["good/x", *names]:
        deployment.artifacts[name] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    with pytest.raises(TaskclusterFailure, match="cannot download the artifact"):
        mode.run(mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"))
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]
    assert deployment.stored_requests == []


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a//b", "link/x", ".", "a\\b", ""])
def test_no_name_leads_out_of_the_directory(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, name: str
) -> None:
    artifacts(deployment)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    deployment.artifacts[name] = deployment.artifacts["public/s3"]
    with pytest.raises(TaskclusterFailure, match="cannot download the artifact"):
        mode.run(mode.download.downloadTaskArtifacts, "T", "*", tmp_path / "inside", queueService=mode.client("Queue"))
    assert os.listdir(tmp_path) == ["inside"]
    assert deployment.stored_requests == []


@pytest.mark.usefixtures("leaks")
def test_cancelled_download_of_many_leaves_nothing(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path
) -> None:
    if mode.name == "sync":
        pytest.skip("only async tasks can be cancelled")
    two_artifacts(deployment)
    begun = threading.Event()

    def stalls(*exchange: Any) -> bool:
        begun.set()
        return breaks(1000, "stall")(*exchange)

    deployment.faults.extend([stalls, stalls])

    async def main() -> None:
        download = asyncio.ensure_future(
            mode.download.downloadTaskArtifacts("T", "*", tmp_path, queueService=mode.client("Queue"))
        )
        assert await asyncio.to_thread(begun.wait, 10)
        for _ in range(2):
            download.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await download

    asyncio.run(main())
    assert os.listdir(tmp_path) == []
