"""Faults of storage: each ends in the right bytes or the right error, and leaks nothing."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import socket
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import taskcluster
from taskcluster.exceptions import (
    ObjectHashVerificationError,
    TaskclusterConnectionError,
    TaskclusterFailure,
    TaskclusterRestFailure,
)

from .conftest import TransferMode
from .deployment import (
    PATIENCE,
    SECRET,
    Blob,
    Fault,
    StorageRequest,
    StorageServer,
    breaks,
    head,
    holds,
    leaves,
    responds,
    storage,
    wait_for_the_end_of,
)

pytestmark = pytest.mark.usefixtures("leaks")

DATA = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def stored(deployment: StorageServer) -> Blob:
    deployment.blobs["big"] = Blob(DATA)
    return deployment.blobs["big"]


def assert_secret_free(exc: BaseException) -> None:
    chain: BaseException | None = exc
    while chain is not None:
        assert SECRET not in f"{chain} {chain!r} {vars(chain)}"
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    "fault",
    [
        leaves("reset"),
        leaves("close"),
        breaks(0),
        breaks(0, "reset"),
        responds(500),
        responds(503, body=b"<html>"),
        responds(429, {"Retry-After": "0"}),
    ],
    ids=["reset", "closed", "no body", "reset before the body", "500", "503", "429"],
)
def test_retries_after_one_failure(mode: TransferMode, deployment: StorageServer, stored: Blob, fault: Fault) -> None:
    deployment.faults.extend([fault])
    assert mode.get("big")[0] == DATA
    assert len(deployment.stored_requests) == 2
    assert len(deployment.called("startDownload")) == 1


def test_completes_body_after_reset(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    # A reset may discard everything that had arrived. Then there is nothing to resume.
    deployment.faults.extend([breaks(2_000_000, "reset"), breaks(300_000, "reset")])
    assert mode.get("big")[0] == DATA
    assert len(deployment.stored_requests) == 3


@pytest.mark.parametrize("how", ["close", "stall"])
def test_resumes_after_body_breaks_off(mode: TransferMode, deployment: StorageServer, stored: Blob, how: str) -> None:
    deployment.faults.extend([breaks(2_000_000, how), breaks(300_000, how)])
    writers: list[io.BytesIO] = []

    def factory() -> Any:
        writers.append(io.BytesIO())
        return writers[-1]

    mode.get("big", "download", writerFactory=factory, options={"timeout": 1.5})
    assert [writer.getvalue() for writer in writers] == [DATA]
    first, second, third = deployment.stored_requests
    assert "range" not in first.headers
    starts = [int(each.headers["range"].removeprefix("bytes=").removesuffix("-")) for each in (second, third)]
    assert 0 < starts[0] <= 2_000_000
    assert starts[0] <= starts[1] <= starts[0] + 300_000
    assert second.headers["if-match"] == '"one"'


def test_resumes_encoded_body(mode: TransferMode, deployment: StorageServer) -> None:
    import gzip

    deployment.blobs["big"] = Blob(gzip.compress(DATA, 1), {"Content-Encoding": "gzip"})
    deployment.faults.extend([breaks(2_000_000)])
    assert mode.get("big")[0] == DATA
    assert "range" in deployment.stored_requests[1].headers


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_restarts_without_strong_etag(
    mode: TransferMode, deployment: StorageServer, stored: Blob, etag: str | None
) -> None:
    stored.etag = etag
    deployment.faults.extend([breaks(2_000_000)])
    assert mode.get("big")[0] == DATA
    assert "range" not in deployment.stored_requests[1].headers


def test_restarts_with_complete_body_of_server_without_ranges(
    mode: TransferMode, deployment: StorageServer, stored: Blob
) -> None:
    def whole(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(head(200, {"Content-Length": str(len(blob.data))}) + blob.data)
        return True

    deployment.faults.extend([breaks(2_000_000), whole])
    assert mode.get("big")[0] == DATA
    assert len(deployment.stored_requests) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 7-2999999/3000000"},
        {"Content-Range": "bytes 0-2999999/3000000"},
        {"Content-Range": "nonsense"},
        {},
    ],
)
def test_restarts_after_wrong_content_range(
    mode: TransferMode, deployment: StorageServer, stored: Blob, headers: dict[str, str]
) -> None:
    deployment.faults.extend([breaks(2_000_000), responds(206, headers, b"x" * 100)])
    assert mode.get("big")[0] == DATA
    assert "range" not in deployment.stored_requests[2].headers


@pytest.mark.parametrize("earlier", [1, len(DATA)], ids=["one byte", "everything"])
def test_restarts_when_a_206_starts_too_early(
    mode: TransferMode, deployment: StorageServer, stored: Blob, earlier: int
) -> None:
    """The length is right and there is no hash, so only Content-Range shows that the bytes are wrong."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        requested, size = int(received.headers["range"].removeprefix("bytes=").removesuffix("-")), len(blob.data)
        start = max(requested - earlier, 0)
        headers = {"ETag": str(blob.etag), "Content-Range": f"bytes {start}-{size - 1}/{size}", "Connection": "close"}
        connection.sendall(head(206, headers) + blob.data[start : start + size - requested])
        return False

    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("big")}
    deployment.faults.extend([breaks(1_000_000), fault])
    assert mode.get_artifact("a")[0] == DATA
    assert "range" in deployment.stored_requests[1].headers
    assert "range" not in deployment.stored_requests[2].headers


def chunked(size: int) -> Fault:
    """Send the beginning of a body without a length, and break off."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        headers = {"ETag": str(blob.etag), "Transfer-Encoding": "chunked"}
        connection.sendall(head(200, headers) + b"%x\r\n%s\r\n" % (size, blob.data[:size]))
        return False

    return fault


def rest(change: Any, **more: str) -> Fault:
    """Send a changed rest, and close the connection."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        start, size = int(received.headers["range"].removeprefix("bytes=").removesuffix("-")), len(blob.data)
        headers = {"ETag": str(blob.etag), "Content-Range": f"bytes {start}-{size - 1}/{size}", "Connection": "close"}
        kept = {name: text for name, text in {**headers, **more}.items() if text}
        connection.sendall(head(206, kept) + change(blob.data[start:]))
        return False

    return fault


@pytest.mark.parametrize("first", [chunked(1_000_000), breaks(1_000_000)], ids=["length unknown", "length known"])
@pytest.mark.parametrize(
    "change", [lambda body: body[:1000], lambda body: body + b"more"], ids=["truncated", "overlong"]
)
def test_checks_range_of_rest_without_length(
    mode: TransferMode, deployment: StorageServer, stored: Blob, first: Fault, change: Any
) -> None:
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("big")}
    deployment.faults.extend([first, rest(change)])
    assert mode.get_artifact("a")[0] == DATA
    third = deployment.stored_requests[2]
    # A body that is too long cannot be resumed.
    assert ("range" in third.headers) is (len(change(DATA)) < len(DATA))


def test_fails_if_rest_stays_truncated(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("big")}
    deployment.faults.extend([chunked(1_000_000), rest(lambda body: body[:1000])])
    with pytest.raises(TaskclusterConnectionError, match=f"of {len(DATA)} bytes"):
        mode.get_artifact("a", maxRetries=1)


def test_restarts_when_rest_has_no_etag(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("big")}
    deployment.faults.extend([breaks(1_000_000), rest(lambda body: body[::-1], ETag="")])
    assert mode.get_artifact("a")[0] == DATA
    assert "range" not in deployment.stored_requests[2].headers


def test_restarts_when_object_changed(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    other = DATA[::-1]

    def change(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        breaks(2_000_000)(deployment, connection, received, blob)
        deployment.blobs["big"] = Blob(other, etag='"two"')
        return False

    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("big")}
    deployment.faults.extend([change])
    assert mode.get_artifact("a")[0] == other


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_fails_if_body_stays_truncated(mode: TransferMode, deployment: StorageServer, stored: Blob, size: int) -> None:
    stored.etag = None
    deployment.faults.extend([breaks(size)] * 3)
    with pytest.raises(TaskclusterConnectionError) as caught:
        mode.get("big", maxRetries=2)
    assert len(deployment.stored_requests) == 3
    assert_secret_free(caught.value)


def test_ignores_bytes_beyond_content_length(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["small"] = Blob(b"small")

    def more(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(head(200, {"Content-Length": "5"}) + b"small and more")
        return False

    deployment.faults.extend([more])
    assert mode.get("small")[0] == b"small"


def test_refused_connection_fails_download(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.artifacts["a"] = {"storageType": "s3", "url": f"http://127.0.0.1:{closed_port()}/x?{SECRET}"}
    with pytest.raises(TaskclusterConnectionError) as caught:
        mode.get_artifact("a", maxRetries=1)
    assert_secret_free(caught.value)
    assert isinstance(caught.value, aiohttp.ClientError)


def test_idle_storage_times_out(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.faults.extend([leaves("stall")] * 2)
    with pytest.raises(TaskclusterConnectionError, match="timed out") as caught:
        mode.get("big", maxRetries=1, options={"timeout": 1})
    assert isinstance(caught.value, asyncio.TimeoutError)


def test_long_transfer_does_not_time_out(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    def slowly(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(head(200, {"Content-Length": str(len(blob.data))}))
        for start in range(0, len(blob.data), 500_000):
            connection.sendall(blob.data[start : start + 500_000])
            threading.Event().wait(0.25)
        return True

    deployment.faults.extend([slowly])
    assert mode.get("big", maxRetries=0, options={"timeout": 2})[0] == DATA


@pytest.mark.parametrize("status", [400, 404, 410, 304, 206])
def test_does_not_retry_other_statuses(
    mode: TransferMode, deployment: StorageServer, stored: Blob, status: int
) -> None:
    deployment.faults.extend([responds(status, body=b"" if status == 304 else SECRET.encode())])
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.get("big")
    assert caught.value.status_code == status
    assert len(deployment.stored_requests) == 1
    assert_secret_free(caught.value)
    assert isinstance(caught.value, aiohttp.ClientResponseError)


def test_server_errors_end_after_max_retries(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.faults.extend([responds(502)] * 9)
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.get("big", maxRetries=3)
    assert caught.value.status_code == 502
    assert len(deployment.stored_requests) == 4


def test_renews_expired_url_once(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.faults.extend([breaks(2_000_000), responds(403)])
    assert mode.get("big", maxRetries=1)[0] == DATA
    assert len(deployment.called("startDownload")) == 2
    assert len({each.query for each in deployment.stored_requests}) == 2
    assert "range" in deployment.stored_requests[2].headers


def test_fails_if_url_stays_forbidden(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.faults.extend([responds(403)] * 9)
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.get("big")
    assert caught.value.status_code == 403
    assert len(deployment.called("startDownload")) == 2


def test_renews_expired_url_before_retry(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.expires = "2000-01-01T00:00:00.000Z"
    deployment.faults.extend([responds(500)])
    assert mode.get("big")[0] == DATA
    assert len(deployment.called("startDownload")) == 2


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5"])
def test_wrong_hash_fails_without_retry(
    mode: TransferMode, deployment: StorageServer, stored: Blob, algorithm: str, tmp_path: Path
) -> None:
    stored.hashes = {**StorageServer.hashes(stored), algorithm: hashlib.new(algorithm, b"other").hexdigest()}
    target = tmp_path / "target"
    target.write_bytes(b"old")
    with pytest.raises(ObjectHashVerificationError, match=algorithm):
        mode.get("big", "downloadToPath", target)
    assert len(deployment.stored_requests) == 1
    assert os.listdir(tmp_path) == ["target"]
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("hashes", [{}, {"md5": "0" * 32}, {"crc32c": "abc"}])
def test_no_supported_hash_raises_before_the_body_is_read(
    mode: TransferMode, deployment: StorageServer, stored: Blob, hashes: dict[str, str], tmp_path: Path
) -> None:
    stored.hashes = hashes
    with pytest.raises(ObjectHashVerificationError, match="no supported hash"):
        mode.get("big", "downloadToPath", tmp_path / "target")
    assert os.listdir(tmp_path) == []


def test_raises_failure_of_storage_before_missing_hashes(
    mode: TransferMode, deployment: StorageServer, stored: Blob
) -> None:
    stored.hashes = {}
    deployment.faults.append(responds(404))
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.get("big")
    assert caught.value.status_code == 404


def test_redirect_loop_fails(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.faults.extend([responds(302, {"Location": "/storage/big?around"})] * 20)
    with pytest.raises(TaskclusterRestFailure, match="redirects") as caught:
        mode.get("big")
    assert len(deployment.stored_requests) == 11
    assert caught.value.status_code == 302


def test_malformed_redirect_fails_without_retry(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    deployment.faults.extend([responds(302, {"Location": "http://[::1"})])
    with pytest.raises(TaskclusterFailure, match="malformed") as caught:
        mode.get("big")
    assert len(deployment.stored_requests) == 1
    assert_secret_free(caught.value)


def test_invalid_gzip_fails(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.blobs["x"] = Blob(b"plain", {"Content-Encoding": "gzip"}, hashes={"sha256": "0" * 64})
    with pytest.raises(TaskclusterFailure, match="gzip"):
        mode.get("x")


@pytest.mark.parametrize("spoil", [lambda data: data[:-5], lambda data: data[:-8] + b"12345678"], ids=["cut", "crc"])
def test_data_stored_broken_fails(mode: TransferMode, deployment: StorageServer, spoil: Any) -> None:
    import gzip

    deployment.blobs["x"] = Blob(spoil(gzip.compress(DATA, 1)), {"Content-Encoding": "gzip"})
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    with pytest.raises(TaskclusterFailure, match="gzip"):
        mode.get_artifact("a")
    assert len(deployment.stored_requests) == 1


class FailingFile(io.RawIOBase):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def write(self, data: Any) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        OSError(28, "No space left on device"),
        StopIteration("odd"),
        # For example from a writer that uploads elsewhere; the connection to storage is fine.
        TaskclusterConnectionError("no response", None),
    ],
)
def test_raises_exception_of_writer_without_retry(
    mode: TransferMode, deployment: StorageServer, stored: Blob, error: BaseException
) -> None:
    # A generator or coroutine cannot raise StopIteration. It is the cause of a RuntimeError.
    with pytest.raises((StopIteration, RuntimeError) if isinstance(error, StopIteration) else type(error)):
        mode.get("big", "download", writerFactory=lambda: FailingFile(error))
    assert len(deployment.stored_requests) == 1


def test_raises_exception_of_progress_without_retry(
    mode: TransferMode, deployment: StorageServer, stored: Blob
) -> None:
    def fail(*args: Any) -> Any:
        raise TaskclusterConnectionError("mine", None)

    for call in (
        lambda: mode.get("big", progress=fail),
        lambda: mode.get("big", "download", writerFactory=fail),
        lambda: mode.put(data=DATA, progress=fail),
        lambda: mode.put("upload", name="other", contentLength=len(DATA), readerFactory=fail),
    ):
        deployment.received.clear()
        with pytest.raises(TaskclusterConnectionError, match="mine"):
            call()
        # An abandoned connection may be accepted during the next call, so each call has another location.
        locations = [each.query for each in deployment.stored_requests]
        assert len(locations) == len(set(locations))
    assert deployment.finished == {}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_full_disk_raises_os_error(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        mode.get("big", "downloadToFile", file)


# Uploads.


@pytest.mark.parametrize(
    "fault",
    [leaves("reset"), leaves("reset", before_body=True), leaves("close"), responds(500), responds(429)],
    ids=["reset", "reset before the body", "closed", "500", "429"],
)
def test_restarts_upload_after_failure(mode: TransferMode, deployment: StorageServer, fault: Fault) -> None:
    deployment.faults.extend([fault])
    mode.put(data=DATA)
    assert (
        deployment.blobs["some/name"].data == DATA if "some/name" in deployment.blobs else _stored(deployment) == DATA
    )
    assert len(deployment.called("createUpload")) == 1
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(DATA))


def _stored(deployment: StorageServer) -> bytes:
    return deployment.stored_requests[-1].body


def test_renews_upload_url_with_same_parameters(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.faults.extend([responds(403)])
    mode.put(data=DATA, maxRetries=0)
    first, second = deployment.called("createUpload")
    assert first == second
    assert _stored(deployment) == DATA


@pytest.mark.parametrize("status", [400, 403, 409, 301])
def test_rejected_upload_fails_unfinished(mode: TransferMode, deployment: StorageServer, status: int) -> None:
    deployment.faults.extend([responds(status, {"Location": "/"})] * 3)
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.put(data=DATA)
    assert caught.value.status_code == status
    assert deployment.finished == {}
    assert_secret_free(caught.value)


def test_times_out_if_storage_reads_nothing(mode: TransferMode, deployment: StorageServer) -> None:
    end = threading.Event()
    deployment.faults.extend([holds(end)])
    with pytest.raises(TaskclusterConnectionError):
        mode.put(data=bytes(40_000_000), maxRetries=0, options={"timeout": 1})
    end.set()
    assert deployment.finished == {}


@pytest.mark.parametrize("length", [10, 100_000, 2_000_000])
@pytest.mark.parametrize("off_by", [-1, 1, -600_000])
def test_wrong_content_length_fails_unfinished(
    mode: TransferMode, deployment: StorageServer, length: int, off_by: int
) -> None:
    data = bytes(max(length + off_by, 0))
    with pytest.raises(TaskclusterFailure, match="contentLength"):
        mode.put(data=data, contentLength=length)
    assert deployment.finished == {}
    assert all(len(each.body) < length for each in deployment.stored_requests)


def test_raises_exception_of_reader(mode: TransferMode, deployment: StorageServer) -> None:
    class TornReader:
        def read(self, max_size: int = -1) -> bytes:
            raise OSError("the tape is torn")

    with pytest.raises(OSError, match="the tape is torn"):
        mode.put("upload", contentLength=1_000_000, readerFactory=TornReader)
    assert deployment.finished == {}


def test_connection_error_of_reader_is_not_retried(mode: TransferMode, deployment: StorageServer) -> None:
    made: list[DisconnectedReader] = []

    class DisconnectedReader:
        def __init__(self) -> None:
            made.append(self)

        def read(self, max_size: int = -1) -> bytes:
            raise TaskclusterConnectionError("mine", None)

    for length in (10, 1_000_000):
        made.clear()
        with pytest.raises(TaskclusterConnectionError, match="mine"):
            mode.put("upload", contentLength=length, readerFactory=DisconnectedReader)
        assert len(made) == 1
    assert deployment.finished == {}


@pytest.mark.parametrize("length", [100, 100_000])
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_stop_async_iteration_of_reader_fails_unfinished(
    mode: TransferMode, deployment: StorageServer, length: int, kind: str
) -> None:
    class ShortReader(io.BytesIO):
        def read(self, max_size: Any = -1) -> bytes:
            data = super().read(max_size)
            if not data:
                raise StopAsyncIteration
            return data

    class ShortCoroutineReader(ShortReader):
        async def read(self, max_size: Any = -1) -> bytes:  # type: ignore[override]
            return super().read(max_size)

    if (mode.name, kind) == ("sync", "coroutine"):
        pytest.skip("rejected in sync functions")
    reader = ShortReader if kind == "plain" else ShortCoroutineReader
    with pytest.raises(StopAsyncIteration if mode.name == "sync" else TaskclusterFailure):
        mode.put("upload", contentLength=length, readerFactory=lambda: reader(b"x" * 10))
    assert deployment.finished == {}


def test_stop_async_iteration_of_progress_fails(mode: TransferMode, deployment: StorageServer) -> None:
    def progress(done: int, total: int | None) -> None:
        raise StopAsyncIteration

    with pytest.raises(StopAsyncIteration):
        mode.put(data=DATA, progress=progress)
    assert deployment.finished == {}


def test_retries_when_storage_responds_before_complete_body(mode: TransferMode, deployment: StorageServer) -> None:
    data = bytes(40_000_000)

    def early(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.recv(65536)
        connection.sendall(head(200, {"Content-Length": "0", "Connection": "close"}))
        return False

    early.before_body = True  # type: ignore[attr-defined]
    deployment.faults.extend([early])
    mode.put(data=data)
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(data))
    assert _stored(deployment) == data


def test_does_not_read_response_body_of_upload(mode: TransferMode, deployment: StorageServer) -> None:
    def silent(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(head(200, {"Content-Length": "100"}) + b"the rest never comes")
        wait_for_the_end_of(connection)
        return False

    deployment.faults.extend([silent])
    mode.put(data=DATA, maxRetries=0, options={"timeout": 1})
    assert deployment.finished["some/name"] == StorageServer.hashes(Blob(DATA))


def test_cancelled_task_leaves_nothing(deployment: StorageServer, mode: TransferMode, tmp_path: Path) -> None:
    if mode.name == "sync":
        pytest.skip("only async tasks can be cancelled")
    deployment.blobs["big"] = Blob(DATA)
    deployment.faults.extend([breaks(2_000_000, "stall"), leaves("stall")])

    async def main() -> None:
        started = asyncio.Event()
        service = mode.client("Object")
        download = asyncio.ensure_future(
            mode.download.downloadToPath(
                tmp_path / "target", name="big", objectService=service, progress=lambda done, total: started.set()
            )
        )
        await asyncio.wait_for(started.wait(), PATIENCE)
        download.cancel()
        with pytest.raises(asyncio.CancelledError):
            await download
        started.clear()
        upload = asyncio.ensure_future(
            mode.upload.uploadFromBuf(
                projectId="p", name="n", contentType="x/y", expires=taskcluster.fromNow("1 day"), data=DATA,
                objectService=service, progress=lambda done, total: started.set(),
            )
        )  # fmt: skip
        await asyncio.wait_for(started.wait(), PATIENCE)
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload

    asyncio.run(main())
    assert os.listdir(tmp_path) == []
    assert deployment.finished == {}


def test_sends_expected_requests_to_storage(mode: TransferMode, deployment: StorageServer, stored: Blob) -> None:
    assert storage is not None
    mode.get("big")
    mode.put(data=DATA)
    get, put = deployment.stored_requests
    for request in (get, put):
        assert "authorization" not in request.headers
        assert SECRET in request.query
    assert put.headers["content-type"] == "text/plain"
    assert put.headers["content-encoding"] == "identity"
    assert put.headers["content-length"] == str(len(DATA))
