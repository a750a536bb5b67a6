"""Idle timeouts: they apply to storage only, and restart whenever bytes arrive or are accepted."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from io import BufferedReader
from typing import Any

import pytest

from taskcluster.exceptions import TaskclusterConnectionError

from .conftest import TransferMode
from .deployment import Blob, StorageServer, breaks, leaves, storage

pytestmark = [pytest.mark.usefixtures("leaks"), pytest.mark.once]

TIMEOUT = 2.0
"""Seconds; long enough for a busy machine."""
LONGER = 2.5


def passes(seconds: float) -> None:
    """Let more time pass than the timeout."""
    threading.Event().wait(seconds)


def test_long_upload_does_not_time_out(mode: TransferMode, deployment: StorageServer) -> None:
    """Each pause is shorter than the timeout, and the upload takes longer."""
    # More than the socket buffers hold, and read slowly.
    data = bytes(24_000_000)

    def slowly(*exchange: Any) -> bool:
        return storage(*exchange)

    def takes(file: BufferedReader, length: int) -> bytes:
        begun = time.monotonic()
        taken = file.read(100_000)
        while time.monotonic() - begun < LONGER:
            passes(0.05)
            taken += file.read(400_000)
        return taken + file.read(length - len(taken))

    slowly.takes = takes  # type: ignore[attr-defined]
    deployment.faults.extend([slowly])
    started = time.monotonic()
    mode.put(data=data, maxRetries=0, options={"timeout": TIMEOUT})
    assert time.monotonic() - started > TIMEOUT
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(data))


@pytest.mark.parametrize(
    ("kind", "when"), [("plain", "first"), ("plain", "later"), ("plain", "last"), ("coroutine", "later")]
)
def test_slow_reader_does_not_time_out(mode: TransferMode, deployment: StorageServer, kind: str, when: str) -> None:
    if (mode.name, kind) == ("sync", "coroutine"):
        pytest.skip("rejected in sync functions")
    data = bytes(2_000_000)

    class SlowReader(io.BytesIO):
        def is_slow(self) -> bool:
            return self.tell() == {"first": 0, "later": 1_000_000, "last": len(data)}[when]

        def read(self, max_size: Any = -1) -> bytes:
            if self.is_slow():
                passes(LONGER)
            return super().read(min(max_size, 1_000_000))

    class SlowCoroutineReader(SlowReader):
        async def read(self, max_size: Any = -1) -> bytes:  # type: ignore[override]
            if self.is_slow():
                await asyncio.sleep(LONGER)
            return io.BytesIO.read(self, min(max_size, 1_000_000))

    reader = SlowReader if kind == "plain" else SlowCoroutineReader
    mode.put(
        "upload", contentLength=len(data), readerFactory=lambda: reader(data), maxRetries=0,
        options={"timeout": TIMEOUT},
    )  # fmt: skip
    assert deployment.stored_requests[-1].body == data


@pytest.mark.parametrize(("kind", "size"), [("plain", 1_000_000), ("plain", 20_000_000), ("coroutine", 20_000_000)])
def test_slow_writer_does_not_time_out(mode: TransferMode, deployment: StorageServer, kind: str, size: int) -> None:
    if (mode.name, kind) == ("sync", "coroutine"):
        pytest.skip("rejected in sync functions")
    deployment.blobs["x"] = Blob(bytes(size))

    class SlowWriter(io.BytesIO):
        def write(self, data: Any) -> int:
            if not self.tell():
                passes(LONGER)
            return super().write(data)

    class SlowCoroutineWriter(SlowWriter):
        async def write(self, data: Any) -> int:  # type: ignore[override]
            if not self.tell():
                await asyncio.sleep(LONGER)
            return io.BytesIO.write(self, data)

    writer = SlowWriter() if kind == "plain" else SlowCoroutineWriter()
    mode.get("x", "download", writerFactory=lambda: writer, maxRetries=0, options={"timeout": TIMEOUT})
    assert writer.getvalue() == deployment.blobs["x"].data


def test_slow_progress_does_not_time_out(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(bytes(2_000_000))
    told: list[int] = []

    def plain(done: int, total: int | None) -> None:
        if not told:
            passes(LONGER)
        told.append(done)

    async def coroutine(done: int, total: int | None) -> None:
        if not told:
            await asyncio.sleep(LONGER)
        told.append(done)

    progress = plain if mode.name == "sync" else coroutine
    options = {"timeout": TIMEOUT}
    mode.get("x", maxRetries=0, progress=progress, options=options)
    assert told[-1] == 2_000_000
    told.clear()
    mode.put(data=bytes(2_000_000), maxRetries=0, progress=progress, options=options)
    assert told[-1] == 2_000_000


def test_retries_idle_storage_max_retries_times(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(bytes(2_000_000), etag=None)
    for fault in (leaves("stall"), breaks(1000, "stall")):
        deployment.received.clear()
        deployment.faults.extend([fault] * 3)
        with pytest.raises(TaskclusterConnectionError, match="timed out") as caught:
            mode.get("x", maxRetries=2, options={"timeout": 1})
        deployment.wait_until(lambda: deployment.open == 0)
        assert len(deployment.stored_requests) == 3
        if mode.name == "async":
            assert isinstance(caught.value, asyncio.TimeoutError)


def test_times_out_without_response_to_upload(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.faults.extend([leaves("stall")] * 2)
    with pytest.raises(TaskclusterConnectionError, match="timed out") as caught:
        mode.put(data=bytes(100_000), maxRetries=1, options={"timeout": 1})
    deployment.wait_until(lambda: deployment.open == 0)
    assert len(deployment.stored_requests) == 2
    assert deployment.finished == {}
    if mode.name == "async":
        assert isinstance(caught.value, asyncio.TimeoutError)
