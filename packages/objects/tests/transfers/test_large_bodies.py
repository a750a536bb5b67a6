"""Async downloads of large bodies, which bypass aiohttp."""

from __future__ import annotations

import asyncio
import random
import socket
from pathlib import Path
from typing import Any

import pytest

from taskcluster.transport.aiohttp import ConnectionFailed, ConnectionTimedOut
from taskcluster_objects.aio import large_bodies, performer

from .conftest import TransferMode
from .deployment import PATIENCE, Blob, Fault, StorageRequest, StorageServer, breaks, head, wait_for_the_end_of
from .test_faults import assert_secret_free

pytestmark = pytest.mark.usefixtures("leaks")

DATA = random.Random(5).randbytes(6_000_000)
CUT = 4_000_000
"""More than aiohttp reads ahead."""


@pytest.fixture
def mode(deployment: StorageServer) -> TransferMode:
    return TransferMode("async", deployment)


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch, leaks: None, deployment: StorageServer) -> None:
    deployment.blobs["big"] = Blob(DATA)
    monkeypatch.setattr(large_bodies, "_LARGE", 1_000_000)


@pytest.fixture
def aiohttp_reads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performer, "_read", None)


@pytest.mark.usefixtures("aiohttp_reads_none")
def test_bypasses_aiohttp_for_large_bodies(mode: TransferMode, tmp_path: Path) -> None:
    path = tmp_path / "target"
    reported: list[tuple[int, Any]] = []
    mode.get("big", "downloadToPath", path, progress=lambda *done: reported.append(done))
    assert path.read_bytes() == DATA
    assert reported == sorted(reported)
    assert reported[-1] == (len(DATA), len(DATA))


@pytest.mark.usefixtures("aiohttp_reads_none")
def test_writers_get_bytes(mode: TransferMode) -> None:
    written: list[bytes] = []

    class Writer:
        async def write(self, data: bytes) -> None:
            assert type(data) is bytes
            await asyncio.sleep(0)
            written.append(data)

    mode.get("big", "download", writerFactory=Writer)
    assert b"".join(written) == DATA


def test_leaves_small_and_chunked_bodies_to_aiohttp(
    mode: TransferMode, deployment: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chunked(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(head(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n" % len(blob.data))
        connection.sendall(blob.data + b"\r\n0\r\n\r\n")
        return True

    monkeypatch.setattr(large_bodies.LargeBody, "__init__", None)
    deployment.blobs["small"] = Blob(DATA[:900_000])
    deployment.faults.extend([chunked, None])
    assert mode.get("big")[0] == DATA
    assert mode.get("small")[0] == DATA[:900_000]


@pytest.mark.parametrize("how", ["close", "reset", "stall"])
def test_resumes_when_connection_breaks(mode: TransferMode, deployment: StorageServer, how: str) -> None:
    deployment.faults.extend([breaks(CUT, how)])
    assert mode.get("big", options={"timeout": 2})[0] == DATA
    first, second = deployment.stored_requests
    assert "range" not in first.headers
    start = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert start == CUT or (how == "reset" and start < CUT)


@pytest.mark.parametrize(
    ("how", "failure", "message"),
    [("close", ConnectionFailed, "broke off"), ("stall", ConnectionTimedOut, "timed out")],
    ids=["close", "stall"],
)
def test_fails_when_no_retries_are_left(
    mode: TransferMode, deployment: StorageServer, how: str, failure: type[Exception], message: str
) -> None:
    deployment.faults.extend([breaks(CUT, how)])
    with pytest.raises(failure, match=message) as caught:
        mode.get("big", maxRetries=0, options={"timeout": 1})
    assert_secret_free(caught.value)


def test_ignores_bytes_after_the_body(mode: TransferMode, deployment: StorageServer) -> None:
    def sends_more(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(head(200, {"Content-Length": str(len(blob.data))}) + blob.data + b"and more" * 1000)
        wait_for_the_end_of(connection)
        return False

    deployment.faults.extend([sends_more])
    assert mode.get("big", maxRetries=0)[0] == DATA


def test_writer_slower_than_timeout_does_not_time_out(mode: TransferMode) -> None:
    written: list[bytes] = []

    class Writer:
        async def write(self, data: bytes) -> None:
            if not written:
                # Longer than the timeout, with bytes left to receive.
                await asyncio.sleep(1.5)
            written.append(data)

    mode.get("big", "download", writerFactory=Writer, maxRetries=0, options={"timeout": 1})
    assert b"".join(written) == DATA


def test_cancelled_download_leaves_nothing(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    fault: Fault = breaks(CUT, "stall")
    deployment.faults.extend([fault])

    async def main() -> None:
        all_received = asyncio.Event()

        def progress(done: int, total: int | None) -> None:
            if done == CUT:
                all_received.set()

        service = mode.client("Object")
        download = asyncio.ensure_future(
            mode.download.downloadToPath(tmp_path / "target", name="big", objectService=service, progress=progress)
        )
        await asyncio.wait_for(all_received.wait(), PATIENCE)
        download.cancel()
        with pytest.raises(asyncio.CancelledError):
            await download

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []
