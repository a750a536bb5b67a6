"""Truncated and overlong responses of storage, and refused connections."""

from __future__ import annotations

import io
import os
import random
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from taskcluster.exceptions import ObjectHashVerificationError, TaskclusterConnectionError

from .conftest import TransferMode
from .deployment import SECRET, Blob, Fault, StorageRequest, StorageServer, breaks, head, responds, storage
from .test_faults import assert_secret_free

pytestmark = [pytest.mark.usefixtures("leaks"), pytest.mark.once]

DATA = random.Random(4).randbytes(800_000)
CUT = 300_000


@pytest.fixture
def stored(deployment: StorageServer) -> Blob:
    """An object with hashes, and an artifact `a` of the same bytes without hashes."""
    blob = deployment.blobs["big"] = Blob(DATA)
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("big")}
    return blob


def start_of(received: StorageRequest) -> int:
    return int(received.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def heads(received: StorageRequest, blob: Blob, **more: str) -> bytes:
    """Return the headers of a correct response."""
    start, size = start_of(received), len(blob.data)
    headers = {"Content-Length": str(size - start), **({"ETag": blob.etag} if blob.etag else {})}
    if "range" in received.headers:
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    headers |= {name.replace("_", "-"): text for name, text in more.items()}
    kept = {name: text for name, text in headers.items() if text}
    return head(206 if "range" in received.headers else 200, kept)


# Response headers


def cuts_head(at: Any) -> Fault:
    """Break off within the headers."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        whole = heads(received, blob)
        connection.sendall(whole[: at(whole)])
        return False

    return fault


HEADS = {
    "in the first line": lambda whole: 7,
    "after the first line": lambda whole: whole.index(b"\r\n") + 2,
    "in a field": lambda whole: whole.index(b"Content-Length") + 16,
    "between fields": lambda whole: whole.index(b"ETag"),
    "before the empty line": lambda whole: len(whole) - 2,
}


@pytest.mark.parametrize("at", HEADS.values(), ids=HEADS.keys())
def test_retries_after_truncated_response_headers(
    mode: TransferMode, deployment: StorageServer, stored: Blob, at: Any
) -> None:
    deployment.faults.extend([cuts_head(at), breaks(CUT), cuts_head(at)])
    assert mode.get_artifact("a")[0] == DATA
    assert len(deployment.stored_requests) == 4
    deployment.faults.extend([cuts_head(at)] * 2)
    with pytest.raises(TaskclusterConnectionError) as caught:
        mode.get_artifact("a", maxRetries=1)
    assert_secret_free(caught.value)


@pytest.mark.parametrize("at", HEADS.values(), ids=HEADS.keys())
def test_retries_upload_after_truncated_response_headers(
    mode: TransferMode, deployment: StorageServer, at: Any
) -> None:
    deployment.faults.extend([cuts_head(at)])
    mode.put(data=DATA)
    assert [each.body for each in deployment.stored_requests] == [DATA] * 2
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(DATA))


# Response bodies


def sends_more(**headers: str) -> Fault:
    """Send the requested bytes and more."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(heads(received, blob, **headers) + blob.data[start_of(received) :] + b"and more" * 1000)
        return False

    return fault


def sends_chunks(body: Any, *, ended: bool = True) -> Fault:
    """Send the requested bytes in chunks, with or without the last chunk."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        data = body(blob.data[start_of(received) :])
        connection.sendall(heads(received, blob, Content_Length="", Transfer_Encoding="chunked"))
        for start in range(0, len(data), 300_000):
            piece = data[start : start + 300_000]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        if ended:
            connection.sendall(b"0\r\n\r\n")
        return ended

    return fault


def sends_to_the_end(body: Any) -> Fault:
    """Send the requested bytes without a length, and close the connection."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        whole = heads(received, blob, Content_Length="", Connection="close")
        connection.sendall(whole + body(blob.data[start_of(received) :]))
        return False

    return fault


def whole(body: bytes) -> bytes:
    return body


def cut(body: bytes) -> bytes:
    return body[: len(body) // 2]


def longer(body: bytes) -> bytes:
    return body + b"and more"


@pytest.mark.parametrize("call", ["get", "get_artifact"])
def test_ignores_bytes_after_the_end_of_a_body(
    mode: TransferMode, deployment: StorageServer, stored: Blob, call: str
) -> None:
    name = "big" if call == "get" else "a"
    deployment.faults.extend([sends_more()])
    assert getattr(mode, call)(name)[0] == DATA
    deployment.faults.extend([breaks(CUT), sends_more()])
    assert getattr(mode, call)(name)[0] == DATA
    assert len(deployment.stored_requests) == 3


def test_bytes_after_a_body_are_not_the_next_response(
    mode: TransferMode, deployment: StorageServer, stored: Blob, tmp_path: Path
) -> None:
    deployment.artifacts["b"] = deployment.artifacts["a"]

    def stays(*exchange: Any) -> bool:
        sends_more()(*exchange)
        return True

    deployment.faults.extend([stays])
    found = mode.run(
        mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"), concurrency=1
    )
    assert [path.read_bytes() for path in found.values()] == [DATA] * 2
    assert len(deployment.stored_requests) in (2, 3)


@pytest.mark.parametrize("call", ["get", "get_artifact"])
@pytest.mark.parametrize("etag", ['"one"', None])
def test_completes_chunked_body_after_it_breaks_off(
    mode: TransferMode, deployment: StorageServer, stored: Blob, call: str, etag: str | None
) -> None:
    stored.etag = etag
    # All data is complete, but the chunk that marks the end is missing.
    deployment.faults.extend([sends_chunks(cut, ended=False), sends_chunks(cut, ended=False), sends_chunks(whole)])
    assert getattr(mode, call)("big" if call == "get" else "a")[0] == DATA
    assert len(deployment.stored_requests) == 3


def test_fails_if_chunked_body_stays_truncated(
    mode: TransferMode, deployment: StorageServer, stored: Blob, tmp_path: Path
) -> None:
    deployment.faults.extend([sends_chunks(cut, ended=False)] * 3)
    with pytest.raises(TaskclusterConnectionError) as caught:
        mode.get_artifact("a", "downloadArtifactToPath", tmp_path / "x", maxRetries=2)
    assert_secret_free(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("sends", [sends_chunks, sends_to_the_end])
@pytest.mark.parametrize("change", [cut, longer])
def test_verifies_hash_of_body_without_length(
    mode: TransferMode, deployment: StorageServer, stored: Blob, tmp_path: Path, sends: Any, change: Any
) -> None:
    deployment.faults.extend([sends(change)])
    with pytest.raises(ObjectHashVerificationError):
        mode.get("big", "downloadToPath", tmp_path / "x")
    assert len(deployment.stored_requests) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("first", [breaks(CUT), sends_chunks(cut, ended=False)], ids=["known", "unknown"])
@pytest.mark.parametrize("sends", [sends_chunks, sends_to_the_end])
@pytest.mark.parametrize("change", [cut, longer])
def test_restarts_when_rest_has_wrong_length(
    mode: TransferMode, deployment: StorageServer, stored: Blob, first: Fault, sends: Any, change: Any
) -> None:
    """The length is known from Content-Range, if not before."""
    tampered: list[StorageRequest] = []

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        # A reset may discard all unread bytes of the first response. Then the download restarts.
        if "range" not in received.headers:
            return (storage if tampered else first)(deployment, connection, received, blob)
        tampered.append(received)
        return (sends(change) if len(tampered) == 1 else storage)(deployment, connection, received, blob)

    deployment.faults.extend([fault] * 6)
    writers: list[io.BytesIO] = []

    def factory() -> io.BytesIO:
        writers.append(io.BytesIO())
        return writers[-1]

    mode.get_artifact("a", "downloadArtifact", writerFactory=factory)
    assert writers[-1].getvalue() == DATA
    assert len(deployment.stored_requests) >= 3
    assert tampered
    deployment.faults.clear()
    tampered.clear()
    deployment.faults.extend([fault] * 2)
    with pytest.raises(TaskclusterConnectionError):
        mode.get_artifact("a", maxRetries=1)


# Refused connections


@pytest.fixture
def refusing() -> Iterator[str]:
    """An address that refuses connections, reserved for this test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/x?{SECRET}"


def test_refused_connection_fails_upload(mode: TransferMode, deployment: StorageServer, refusing: str) -> None:
    readers: list[io.BytesIO] = []

    def factory() -> io.BytesIO:
        readers.append(io.BytesIO(DATA))
        return readers[-1]

    deployment.upload_methods = lambda proposed: {
        "putUrl": {**deployment.put_url("some/name", proposed["putUrl"]), "url": refusing}
    }
    for call in (
        partial(mode.put, data=DATA),
        partial(mode.put, "uploadFromFile", file=io.BytesIO(DATA)),
        partial(mode.put, "upload", contentLength=len(DATA), readerFactory=factory),
    ):
        with pytest.raises(TaskclusterConnectionError) as caught:
            call(maxRetries=2, uploadId="U" * 22, expires="2099-01-01T00:00:00.000Z")
        assert_secret_free(caught.value)
        assert isinstance(caught.value, aiohttp.ClientError)
    assert len(readers) == 3
    assert deployment.finished == {}


def test_retries_upload_after_refused_connection(mode: TransferMode, deployment: StorageServer, refusing: str) -> None:
    deployment.expires = "2000-01-01T00:00:00.000Z"
    urls = [refusing, deployment.url("some/name")]
    deployment.upload_methods = lambda proposed: {
        "putUrl": {**deployment.put_url("some/name", proposed["putUrl"]), "url": urls.pop(0)}
    }
    mode.put(data=DATA, maxRetries=1)
    assert deployment.blobs["some/name"].data == DATA


def test_counts_refused_connection_as_attempt_while_resuming(
    mode: TransferMode, deployment: StorageServer, stored: Blob, refusing: str
) -> None:
    deployment.faults.extend([breaks(CUT), responds(302, {"Location": refusing})])
    assert mode.get("big", maxRetries=2)[0] == DATA
    assert len(deployment.stored_requests) == 3
