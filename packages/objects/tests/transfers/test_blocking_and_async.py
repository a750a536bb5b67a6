"""Readers and writers that block, reuse buffers, or are async."""

from __future__ import annotations

import asyncio
import io
import random
import threading
from functools import partial
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterFailure

from .conftest import TransferMode
from .deployment import PATIENCE, Blob, StorageServer
from .test_usage import DATA, CoroutineFile


def test_sync_functions_reject_async_readers_and_writers(deployment: StorageServer) -> None:
    mode = TransferMode("sync", deployment)
    deployment.blobs["x"] = Blob(DATA)
    kinds: tuple[Any, ...] = (CoroutineFile, lambda *data: Giving(CoroutineFile(*data)))
    for kind in kinds:
        with pytest.raises(TaskclusterFailure, match=r"a writer must not be async .* taskcluster\.aio"):
            mode.get("x", "download", writerFactory=kind)
        for length in (10, len(DATA)):
            with pytest.raises(TaskclusterFailure, match=r"a reader must not be async .* taskcluster\.aio"):
                mode.put("upload", name=taskcluster.slugId(), contentLength=length, readerFactory=partial(kind, DATA))
    assert deployment.finished == {}


class Giving:
    """Plain functions that return awaitables."""

    def __init__(self, inner: CoroutineFile) -> None:
        self._inner = inner

    def read(self, max_size: int = -1) -> Any:
        return self._inner.read(max_size)

    def write(self, data: bytes) -> Any:
        return self._inner.write(data)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_reader_may_reuse_its_buffer(mode: TransferMode, deployment: StorageServer, kind: Any) -> None:
    class ReusingReader:
        def __init__(self) -> None:
            self._source = io.BytesIO(data)
            self._buffer = bytearray(65536)

        def read(self, max_size: int = -1) -> Any:
            count = self._source.readinto(memoryview(self._buffer)[:max_size])
            return memoryview(self._buffer)[:count] if kind is memoryview else self._buffer[:count]

    data = random.Random(1).randbytes(2_500_000)
    mode.put("upload", contentLength=len(data), readerFactory=ReusingReader)
    assert deployment.stored_requests[-1].body == data
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(data))


def test_cancelled_download_waits_for_writer_off_the_loop(deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA)
    mode = TransferMode("async", deployment)
    writing, released = threading.Event(), threading.Event()

    class WaitingWriter:
        def write(self, data: bytes) -> None:
            writing.set()
            assert released.wait(PATIENCE)

    async def main() -> None:
        download = asyncio.ensure_future(
            mode.download.download(name="x", objectService=mode.client("Object"), writerFactory=WaitingWriter)
        )
        assert await asyncio.to_thread(writing.wait, 10)
        for _ in range(3):
            download.cancel()
            await asyncio.sleep(0)
            # Not reached if the writer blocked the loop.
            await asyncio.to_thread(int)
        assert not download.done()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await download

    asyncio.run(main())


def test_blocking_reader_does_not_block_the_loop(deployment: StorageServer) -> None:
    import threading

    mode = TransferMode("async", deployment)
    released = threading.Event()

    class WaitingReader(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            assert released.wait(PATIENCE)
            return super().read(size)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, released.set)
        await mode.upload.upload(
            projectId="p", name="n", contentType="x/y", contentLength=len(DATA),
            readerFactory=lambda: WaitingReader(DATA), expires=taskcluster.fromNow("1 day"),
            objectService=mode.client("Object"),
        )  # fmt: skip

    asyncio.run(main())
    assert deployment.stored_requests[-1].body == DATA
