"""`taskcluster.aio.reader_writer`, and the names of the published client beside it."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

import taskcluster
from taskcluster.aio.download import Object, verifyHashes
from taskcluster.aio.reader_writer import (
    BufferReader,
    BufferWriter,
    FileReader,
    FileWriter,
    HashingReader,
    HashingWriter,
    streamingCopy,
)
from taskcluster.exceptions import ObjectHashVerificationError

DATA = bytes(range(256)) * 5000
HASHES = {"sha256": hashlib.sha256(DATA).hexdigest(), "sha512": hashlib.sha512(DATA).hexdigest()}


def test_provides_the_published_names() -> None:
    for name in ("BufferReader", "BufferWriter", "FileReader", "HashingReader", "streamingCopy"):
        assert getattr(taskcluster.aio.upload, name) is getattr(taskcluster.aio.reader_writer, name)
    for name in ("BufferWriter", "FileWriter", "HashingWriter", "streamingCopy"):
        assert getattr(taskcluster.aio.download, name) is getattr(taskcluster.aio.reader_writer, name)
    assert set(taskcluster.aio.download.ACCEPTABLE_HASHES) == set(HASHES)
    assert taskcluster.aio.download.Object is taskcluster.aio.Object


@pytest.mark.parametrize("reader", [lambda: BufferReader(DATA), lambda: FileReader(io.BytesIO(DATA))])
def test_copies_and_hashes_everything(reader: Callable[[], Any]) -> None:
    file, hashing_reader = io.BytesIO(), HashingReader(reader())
    writer = HashingWriter(FileWriter(file))
    asyncio.run(streamingCopy(hashing_reader, writer))
    assert file.getvalue() == DATA
    assert writer.hashes() == hashing_reader.hashes(len(DATA)) == HASHES
    with pytest.raises(RuntimeError, match="content length is 1"):
        hashing_reader.hashes(1)


def test_reads_at_most_max_size() -> None:
    async def read(reader: Any) -> list[bytes]:
        return [await reader.read(3), await reader.read(max_size=100), await reader.read(1)]

    for reader in (BufferReader(b"12345"), FileReader(io.BytesIO(b"12345"))):
        assert asyncio.run(read(reader)) == [b"123", b"45", b""]


def test_raises_failures_of_reader_and_writer() -> None:
    class BrokenReaderWriter:
        async def read(self, max_size: int) -> bytes:
            raise ValueError("broken")

        async def write(self, chunk: bytes) -> None:
            raise ValueError("broken")

    for reader, writer in ((BrokenReaderWriter(), BufferWriter()), (BufferReader(DATA), BrokenReaderWriter())):
        with pytest.raises(ValueError, match="broken"):
            asyncio.run(streamingCopy(reader, writer))


@pytest.mark.parametrize(
    ("observed", "expected", "right"),
    [
        ({"sha256": "a", "sha512": "b"}, {"sha256": "a"}, True),
        ({"sha256": "a"}, {"sha256": "a", "sha512": "b", "md5": "c"}, True),
        ({"sha256": "a", "sha512": "b"}, {"sha256": "a", "sha512": "c"}, False),
        ({"sha256": "a"}, {"sha512": "b"}, False),
        ({"md5": "a"}, {"md5": "a"}, False),
        ({"sha256": "a"}, {}, False),
    ],
)
def test_verify_hashes_compares(observed: dict[str, str], expected: dict[str, str], right: bool) -> None:
    if right:
        verifyHashes(observed, expected)
    else:
        with pytest.raises(ObjectHashVerificationError):
            verifyHashes(observed, expected)


class FakeObject:
    """A fake client of the object service, as in tests of programs: without `close` and `options`."""

    async def startDownload(self, name: str, payload: Any) -> Any:
        raise LookupError(name)


class ArtifactQueue:
    options: ClassVar = {"rootUrl": "https://tc.example.com"}

    def latestArtifact(self, taskId: str, name: str) -> Any:
        return {"storageType": "object", "name": "some/object", "credentials": {"clientId": "c", "accessToken": "a"}}


@pytest.mark.parametrize("is_async", [False, True])
def test_uses_replaced_object_client(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def replaced(options: Any) -> FakeObject:
        seen.append(options)
        return FakeObject()

    def download() -> Any:
        arguments: Any = {"taskId": "a", "name": "public/a", "queueService": ArtifactQueue()}
        if is_async:
            return asyncio.run(taskcluster.aio.download.downloadArtifactToBuf(**arguments))
        return taskcluster.download.downloadArtifactToBuf(**arguments)

    monkeypatch.setattr(taskcluster.aio.download, "Object", replaced)
    with pytest.raises(LookupError, match="some/object"):
        download()
    assert seen == [{**ArtifactQueue.options, "credentials": {"clientId": "c", "accessToken": "a"}}]
    monkeypatch.undo()
    assert taskcluster.aio.download.Object is Object
