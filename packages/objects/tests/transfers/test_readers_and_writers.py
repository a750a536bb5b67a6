"""How readers, writers and their factories are called, and what they may return or raise."""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import socket
import threading
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterRestFailure

from .conftest import CREDENTIALS, TransferMode
from .deployment import PATIENCE, Blob, Fault, StorageRequest, StorageServer, breaks, head, responds, storage
from .test_usage import CoroutineFile

DATA = random.Random(2).randbytes(2_500_000)


# A reader has read(max_size=-1), which returns 1 to max_size bytes, or an empty value at the end


class Pieces:
    """Returns pieces of given sizes, up to max_size, and records max_size."""

    def __init__(self, data: bytes, sizes: Callable[[], int], end: Any = b"") -> None:
        self._file = io.BytesIO(data)
        self._sizes = sizes
        self._end = end
        self.asked: list[int] = []

    def read(self, max_size: int = -1) -> Any:
        self.asked.append(max_size)
        return self._file.read(min(max_size, self._sizes())) or self._end


@pytest.mark.parametrize(
    ("length", "sizes"),
    [(500, lambda: 1), (20_000, lambda: 7777), (2_000_000, partial(random.Random(3).randint, 1, 90_000))],
    ids=["one", "some", "any"],
)
def test_reader_may_return_any_size_up_to_max_size(
    mode: TransferMode, deployment: StorageServer, length: int, sizes: Callable[[], int]
) -> None:
    reader = Pieces(DATA[:length], sizes)
    mode.put("upload", contentLength=length, readerFactory=lambda: reader)
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(DATA[:length]))
    assert deployment.blobs["some/name"].data == DATA[:length]
    assert min(reader.asked) > 0


@pytest.mark.parametrize("end", [b"", bytearray(), memoryview(b""), None, ""], ids=lambda end: type(end).__name__)
@pytest.mark.parametrize("length", [0, 100, 100_000])
def test_any_empty_value_ends_an_upload(mode: TransferMode, deployment: StorageServer, end: Any, length: int) -> None:
    mode.put("upload", contentLength=length, readerFactory=lambda: Pieces(DATA[:length], lambda: 60_000, end))
    assert deployment.blobs["some/name"].data == DATA[:length]


# A writer has write(data), which writes all of it


class ListWriter:
    """Records the written bytes."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def write(self, data: bytes) -> None:
        assert data
        self.given.append(bytes(data))


def dribbles(size: int) -> Fault:
    """Send a body in pieces of a given size."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head(200, {**blob.headers, "Content-Length": str(len(blob.data))}))
        for start in range(0, len(blob.data), size):
            connection.sendall(blob.data[start : start + size])
        return True

    return fault


@pytest.mark.parametrize("size", [1, 7777, 10_000_000])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_writes_every_byte_exactly_once(
    mode: TransferMode, deployment: StorageServer, size: int, encoding: str
) -> None:
    data = DATA[:3000] if size == 1 else DATA
    stored = gzip.compress(data, 1) if encoding == "gzip" else data
    deployment.blobs["x"] = Blob(stored, {"Content-Encoding": encoding})
    deployment.faults.extend([dribbles(size)])
    writer = ListWriter()
    mode.get("x", "download", writerFactory=lambda: writer)
    assert b"".join(writer.given) == data


def test_writes_every_byte_once_over_several_connections(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA)
    deployment.faults.extend([breaks(1_000_000), breaks(1), breaks(500_000)])
    writers: list[ListWriter] = []
    mode.get("x", "download", writerFactory=lambda: writers.append(ListWriter()) or writers[-1])  # type: ignore[func-returns-value]
    # A writer without data is of an attempt that broke off before its first byte.
    assert [b"".join(each.given) for each in writers if each.given] == [DATA]


class Narrow(io.FileIO):
    """An unbuffered file with short writes, like a socket or a nearly full disk."""

    def write(self, data: Any) -> int:
        return super().write(memoryview(data)[:70_000])


def test_writes_everything_to_an_unbuffered_file(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    for call in (
        partial(mode.get, "x", "downloadToFile"),
        partial(mode.get_artifact, "a", "downloadArtifactToFile"),
    ):
        with Narrow(tmp_path / "file", "w") as file:
            call(file)
        assert (tmp_path / "file").read_bytes() == DATA


def test_file_that_returns_no_count_has_written_everything(mode: TransferMode, deployment: StorageServer) -> None:
    class Wordless(io.BytesIO):
        def write(self, data: Any) -> Any:
            assert self.tell() < len(DATA), "it comes again"
            super().write(data)

    deployment.blobs["x"] = Blob(DATA)
    file = Wordless()
    mode.get("x", "downloadToFile", file)
    assert file.getvalue() == DATA


def test_fails_if_file_accepts_nothing(mode: TransferMode, deployment: StorageServer, tmp_path: Path) -> None:
    class Taking(io.FileIO):
        def __init__(self, taken: int | None) -> None:
            super().__init__(tmp_path / "file", "w")
            self._taken = taken

        def write(self, data: Any) -> Any:
            return self._taken

    deployment.blobs["x"] = Blob(DATA)
    for taken in (0, None):
        with Taking(taken) as file, pytest.raises(OSError, match="accepts no bytes"):
            mode.get("x", "downloadToFile", file)


# CoroutineFile in async functions, plain functions in sync ones


class AwaitableFactories:
    def __init__(self, data: bytes = b"") -> None:
        self.made: list[CoroutineFile] = []
        self._data = data

    async def __call__(self) -> CoroutineFile:
        await asyncio.sleep(0)
        self.made.append(CoroutineFile(self._data))
        return self.made[-1]


@pytest.mark.parametrize("length", [100, len(DATA)])
def test_accepts_plain_functions_in_both_modes(mode: TransferMode, deployment: StorageServer, length: int) -> None:
    deployment.blobs["x"] = Blob(DATA[:length])
    writer = io.BytesIO()
    mode.get("x", "download", writerFactory=lambda: writer)
    assert writer.getvalue() == DATA[:length]
    mode.put("upload", contentLength=length, readerFactory=lambda: io.BytesIO(DATA[:length]))
    assert deployment.blobs["some/name"].data == DATA[:length]


@pytest.mark.parametrize("length", [100, len(DATA)])
def test_accepts_objects_with_async_call_as_factories(deployment: StorageServer, length: int) -> None:
    mode = TransferMode("async", deployment)
    deployment.blobs["x"] = Blob(DATA[:length])
    factory = AwaitableFactories()
    mode.get("x", "download", writerFactory=factory)
    assert [each.getvalue() for each in factory.made] == [DATA[:length]]
    mode.put("upload", contentLength=length, readerFactory=AwaitableFactories(DATA[:length]))
    assert deployment.blobs["some/name"].data == DATA[:length]


# A factory returns a new one at the first byte, and may be called several times, once per attempt


def changed(
    whole: list[Fault], deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob
) -> bool:
    """Respond with 412 to requests of the rest, and to others as `whole`, one after another."""
    fault = responds(412) if "range" in received.headers else whole.pop(0)
    return fault(deployment, connection, received, blob)


@pytest.mark.parametrize("reason", ["no ETag", "weak ETag", "no ranges", "another body"])
def test_calls_writer_factory_at_each_restart(mode: TransferMode, deployment: StorageServer, reason: str) -> None:
    blob = deployment.blobs["x"] = Blob(DATA)
    deployment.faults.extend([breaks(1_000_000), breaks(2_000_000)])
    if reason == "no ETag":
        blob.etag = None
    elif reason == "weak ETag":
        blob.etag = 'W/"one"'
    elif reason == "no ranges":
        blob.headers["Accept-Ranges"] = "none"
    else:
        # Each attempt to resume gets this response, and needs no writer. There may be no such attempt, because a
        # broken connection may discard all unread bytes.
        whole = [*deployment.faults, storage]
        deployment.faults.clear()
        deployment.faults.extend([partial(changed, whole)] * 5)
    writers: list[io.BytesIO] = []

    def factory() -> io.BytesIO:
        writers.append(io.BytesIO())
        return writers[-1]

    mode.get("x", "download", writerFactory=factory)
    assert len(writers) == 3
    assert writers[2].getvalue() == DATA
    for writer in writers[:2]:
        assert writer.getvalue() != DATA
        assert DATA.startswith(writer.getvalue())


def test_does_not_call_writer_factory_without_body(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(DATA)
    deployment.faults.extend([responds(500), responds(404)])
    writers: list[io.BytesIO] = []
    with pytest.raises(TaskclusterRestFailure):
        mode.get("x", "download", writerFactory=lambda: writers.append(io.BytesIO()))
    assert writers == []


def test_writes_file_from_first_byte_at_each_attempt(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path
) -> None:
    deployment.blobs["x"] = Blob(DATA[:100_000], etag=None)
    deployment.blobs["longer"] = Blob(DATA, etag=None)

    def longer(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        return breaks(2_000_000)(deployment, connection, received, deployment.blobs["longer"])

    deployment.faults.extend([longer])
    with open(tmp_path / "file", "wb") as file:
        mode.get("x", "downloadToFile", file)
    assert (tmp_path / "file").read_bytes() == DATA[:100_000]
    deployment.faults.extend([longer])
    mode.get("x", "downloadToPath", tmp_path / "path")
    assert (tmp_path / "path").read_bytes() == DATA[:100_000]


def test_reads_file_from_first_byte_at_each_attempt(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.faults.extend([responds(500), responds(503)])
    mode.put("uploadFromFile", file=io.BytesIO(DATA))
    assert [each.body for each in deployment.stored_requests] == [DATA] * 3


# Exceptions of the caller's functions are raised, even if they are of the client's classes


FAILURES = [
    TaskclusterConnectionError("mine", None),
    TaskclusterRestFailure("mine", None, status_code=503),
    TaskclusterRestFailure("mine", None, status_code=403),
    TimeoutError("mine"),
    ConnectionResetError("mine"),
]


@pytest.mark.usefixtures("leaks")
@pytest.mark.parametrize("where", ["factory", "first", "later"])
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_raises_client_errors_of_readers_and_writers_as_they_are(
    mode: TransferMode, deployment: StorageServer, where: str, kind: str
) -> None:
    if (mode.name, kind) == ("sync", "coroutine"):
        pytest.skip("rejected in sync functions")
    made: list[Any] = []
    error: BaseException

    class Failing:
        def __init__(self) -> None:
            made.append(self)
            self.calls = 0
            if where == "factory":
                raise error

        def _call(self) -> None:
            self.calls += 1
            if where == "first" or self.calls > 1:
                raise error

        def read(self, max_size: int = -1) -> bytes:
            self._call()
            return b"x" * max_size

        def write(self, data: bytes) -> None:
            self._call()

    class FailingCoroutine(Failing):
        async def read(self, max_size: int = -1) -> bytes:  # type: ignore[override]
            return super().read(max_size)

        async def write(self, data: bytes) -> None:  # type: ignore[override]
            super().write(data)

    deployment.blobs["x"] = Blob(bytes(6_000_000))
    factory = Failing if kind == "plain" else FailingCoroutine
    for call, error in product(
        (
            partial(mode.get, "x", "download", writerFactory=factory),
            partial(
                mode.put, "upload", contentLength=3_000_000, readerFactory=factory, uploadId="U" * 22, expires="2099"
            ),
        ),
        FAILURES,
    ):
        made.clear()
        deployment.received.clear()
        with pytest.raises(type(error), match="mine") as caught:
            call()
        assert caught.value is error
        deployment.wait_until(lambda: deployment.open == 0)
        assert len(made) == 1
        # An abandoned connection may be accepted during the next call, so each call has another location.
        locations = [each.query for each in deployment.stored_requests]
        assert len(locations) == len(set(locations))
    assert deployment.finished == {}


# Async functions call blocking functions off the event loop


class Blocking:
    """Functions that block until the event loop has run."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()
        self.blocked = 0

    def block(self) -> None:
        self.entered.set()
        # Never released if the loop were blocked.
        assert self.released.wait(PATIENCE), "the event loop stands still"
        self.blocked += 1

    async def runs_beside(self, transfer: Any) -> None:
        running = asyncio.ensure_future(transfer)
        assert await asyncio.to_thread(self.entered.wait, PATIENCE)
        self.released.set()
        await running


@pytest.mark.parametrize("length", [100, 2_000_000])
@pytest.mark.parametrize("what", ["reader factory", "reader", "writer factory", "writer", "sync client"])
def test_calls_blocking_functions_off_the_event_loop(deployment: StorageServer, length: int, what: str) -> None:
    mode = TransferMode("async", deployment)
    data = DATA[:length]
    deployment.blobs["x"] = Blob(data)
    blocking = Blocking()

    class BlockingFile(io.BytesIO):
        def read(self, max_size: Any = -1) -> bytes:
            if what == "reader":
                blocking.block()
            return super().read(max_size)

        def write(self, given: Any) -> int:
            if what == "writer":
                blocking.block()
            return super().write(given)

    def factory(given: bytes = b"") -> BlockingFile:
        if what in ("reader factory", "writer factory"):
            blocking.block()
        return BlockingFile(given)

    class BlockingObject(taskcluster.Object):
        def startDownload(self, *args: Any, **kwargs: Any) -> Any:
            blocking.block()
            return super().startDownload(*args, **kwargs)

    options = {"rootUrl": deployment.root_url, "credentials": CREDENTIALS}

    async def main() -> None:
        with BlockingObject(options) as slow:
            client = slow if what == "sync client" else mode.client("Object")
            if "reader" in what:
                transfer = mode.upload.upload(
                    projectId="p", name="n", contentType="x/y", contentLength=length, objectService=client,
                    expires=taskcluster.fromNow("1 day"), readerFactory=partial(factory, data),
                )  # fmt: skip
            else:
                transfer = mode.download.download(name="x", objectService=client, writerFactory=factory)
            await blocking.runs_beside(transfer)

    asyncio.run(main())
    assert blocking.blocked > 0


@pytest.mark.parametrize("what", ["reader", "writer"])
def test_reads_and_writes_files_off_the_event_loop(deployment: StorageServer, what: str) -> None:
    mode = TransferMode("async", deployment)
    deployment.blobs["x"] = Blob(DATA)
    blocking = Blocking()

    class BlockingDiskFile(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            blocking.block()
            return super().read(size)

        def write(self, given: Any) -> int:
            blocking.block()
            return super().write(given)

    async def main() -> None:
        client = mode.client("Object")
        if what == "reader":
            transfer = mode.upload.uploadFromFile(
                projectId="p", name="n", contentType="x/y", file=BlockingDiskFile(DATA), objectService=client,
                expires=taskcluster.fromNow("1 day"),
            )  # fmt: skip
        else:
            transfer = mode.download.downloadToFile(BlockingDiskFile(), name="x", objectService=client)
        await blocking.runs_beside(transfer)

    asyncio.run(main())
    assert blocking.blocked > 0
