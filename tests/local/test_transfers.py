"""Test uploads and downloads against the local deployment, sync and async."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import inspect
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

import taskcluster
import taskcluster.aio
from taskcluster_local import LocalTaskcluster

LITTLE = b"little\n"
LARGE = random.Random(0).randbytes(8 << 20)


class CallMode(NamedTuple):
    """Sync or async."""

    package: Any

    @property
    def upload(self) -> Any:
        return self.package.upload

    @property
    def download(self) -> Any:
        return self.package.download

    def client(self, service: str, options: dict[str, Any]) -> Any:
        return getattr(self.package, service)(options)

    def run(self, result: Any) -> Any:
        return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> CallMode:
    return CallMode(taskcluster if request.param == "sync" else taskcluster.aio)


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


class TransferTask:
    """A running task with its worker's credentials."""

    def __init__(self, local: LocalTaskcluster) -> None:
        self.id = taskcluster.slugId()
        self.path = f"transfers.{self.id}"
        self.expires = taskcluster.fromNow("45 minutes", local.now())
        queue = taskcluster.Queue(local.options())
        metadata = {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"}
        definition = {"created": local.now(), "deadline": self.expires, "expires": self.expires, "metadata": metadata}
        routes = [f"index.{self.path}"]
        queue.createTask(self.id, {"taskQueueId": "proj/ci", "payload": {}, "routes": routes, **definition})
        claim = queue.claimTask(self.id, "0", {"workerGroup": "g", "workerId": "w"})
        self.options = {**local.options(), "credentials": claim["credentials"]}
        self.reader = local.options(scopes=["queue:get-artifact:*", "queue:list-artifacts:*"])
        self.queue = taskcluster.Queue(self.options)

    def create(self, name: str, storageType: str, **fields: Any) -> Any:
        payload = {"storageType": storageType, "expires": self.expires, **fields}
        return self.queue.createArtifact(self.id, "0", name, payload)

    def put(self, name: str, data: bytes, **headers: str) -> None:
        """Create a compressed s3 artifact, like some workers."""
        url = self.create(name, "s3", contentType="text/plain")["putUrl"]
        stored = requests.put(url, data, headers={"Content-Type": "text/plain", **headers}, timeout=30)
        assert stored.status_code == 200, stored.text

    def resolve(self) -> None:
        self.queue.reportCompleted(self.id, "0")


@pytest.fixture
def task(local: LocalTaskcluster) -> TransferTask:
    return TransferTask(local)


# Objects


def put_object(mode: CallMode, local: LocalTaskcluster, function: str, **given: Any) -> str:
    name = f"transfers/{taskcluster.slugId()}"
    common = {"projectId": "transfers", "name": name, "contentType": "text/plain"}
    common |= {
        "expires": taskcluster.fromNow("1 day", local.now()),
        "objectService": mode.client("Object", local.options()),
    }
    mode.run(getattr(mode.upload, function)(**{**common, **given}))
    return name


UPLOADS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "uploadFromBuf": lambda data: {"data": data},
    "uploadFromFile": lambda data: {"file": io.BytesIO(data)},
    "upload": lambda data: {"contentLength": len(data), "readerFactory": lambda: io.BytesIO(data)},
    "__call__": lambda data: {"contentLength": len(data), "readerFactory": lambda: io.BytesIO(data)},
}


@pytest.mark.parametrize(
    ("function", "data"),
    [
        pytest.param("uploadFromBuf", b"", id="empty"),
        pytest.param("uploadFromBuf", LITTLE, id="little"),
        pytest.param("uploadFromBuf", LARGE, id="large"),
        pytest.param("uploadFromFile", LARGE, id="file"),
        pytest.param("upload", LARGE, id="reader"),
        pytest.param("__call__", LITTLE, id="module"),
    ],
)
def test_downloaded_objects_equal_the_uploads(
    mode: CallMode, local: LocalTaskcluster, function: str, data: bytes, tmp_path: Path
) -> None:
    name = put_object(mode, local, function, **UPLOADS[function](data))
    service = taskcluster.Object(local.options())
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    assert service.object(name)["hashes"] == hashes

    call = {"name": name, "objectService": mode.client("Object", local.options())}
    buffer, content_type = mode.run(mode.download.downloadToBuf(**call))
    assert (buffer, content_type) == (data, "text/plain")
    file = io.BytesIO()
    assert mode.run(mode.download.downloadToFile(file=file, **call)) == "text/plain"
    writers: list[io.BytesIO] = []

    def factory() -> io.BytesIO:
        writers.append(io.BytesIO())
        return writers[-1]

    for download in (mode.download.download, mode.download):
        assert mode.run(download(writerFactory=factory, **call)) == "text/plain"
    assert mode.run(mode.download.downloadToPath(tmp_path / "path", **call)) == "text/plain"
    assert [file.getvalue(), (tmp_path / "path").read_bytes()] == [data] * 2
    assert [writer.getvalue() for writer in writers] == [data] * 2


def test_expired_upload_url_is_renewed(mode: CallMode, local: LocalTaskcluster) -> None:
    readers: list[io.BytesIO] = []

    def factory() -> io.BytesIO:
        if not readers:
            local.advance(hours=2)
        readers.append(io.BytesIO(LARGE))
        return readers[-1]

    name = put_object(mode, local, "upload", contentLength=len(LARGE), readerFactory=factory, maxRetries=0)
    assert len(readers) == 2
    service = mode.client("Object", local.options())
    assert mode.run(mode.download.downloadToBuf(name=name, objectService=service))[0] == LARGE


def test_hash_mismatch_raises_and_leaves_no_file(mode: CallMode, local: LocalTaskcluster, tmp_path: Path) -> None:
    service, name = taskcluster.Object(local.options()), f"transfers/{taskcluster.slugId()}"
    upload = {"projectId": "transfers", "uploadId": taskcluster.slugId()}
    inline = {"dataInline": {"contentType": "text/plain", "objectData": "b3RoZXI="}}
    expires = taskcluster.fromNow("1 day", local.now())
    service.createUpload(name, {**upload, "expires": expires, "proposedUploadMethods": inline})
    service.finishUpload(name, {**upload, "hashes": {"sha256": hashlib.sha256(b"these").hexdigest()}})
    call = {"name": name, "objectService": mode.client("Object", local.options())}
    with pytest.raises(taskcluster.ObjectHashVerificationError):
        mode.run(mode.download.downloadToPath(tmp_path / "path", **call))
    assert list(tmp_path.iterdir()) == []


# Artifacts


@pytest.fixture
def every_type(task: TransferTask) -> dict[str, bytes]:
    """One artifact of each storage type, with its content."""
    stored = {"public/s3": LARGE, "public/s3 little": LITTLE, "private/s3": LITTLE}
    for name, data in stored.items():
        task.put(name, data)
    task.put("public/gzip", gzip.compress(LARGE), **{"Content-Encoding": "gzip"})
    stored["public/gzip"] = LARGE
    for name, data in {"public/object": LARGE, "private/object": LITTLE}.items():
        taskcluster.upload.uploadArtifactFromBuf(
            taskId=task.id, runId=0, name=name, contentType="text/plain", data=data, expires=task.expires,
            queueService=task.queue,
        )  # fmt: skip
        stored[name] = data
    url = task.queue.getArtifact(task.id, "0", "public/gzip")["url"]
    task.create("public/reference", "reference", contentType="text/plain", url=url)
    task.create("public/link", "link", contentType="text/plain", artifact="private/object")
    return stored | {"public/reference": LARGE, "public/link": LITTLE}


@pytest.mark.parametrize("run", [None, 0])
def test_downloads_artifacts_of_every_storage_type(
    mode: CallMode, task: TransferTask, every_type: dict[str, bytes], run: int | None, tmp_path: Path
) -> None:
    for name, data in every_type.items():
        call = {"taskId": task.id, "name": name, "runId": run, "queueService": mode.client("Queue", task.reader)}
        buffer, content_type = mode.run(mode.download.downloadArtifactToBuf(**call))
        assert (buffer == data, content_type) == (True, "text/plain"), name
        file = io.BytesIO()
        mode.run(mode.download.downloadArtifactToFile(file, **call))
        assert file.getvalue() == data, name
        mode.run(mode.download.downloadArtifactToPath(tmp_path / "path", **call))
        assert (tmp_path / "path").read_bytes() == data, name


def test_error_artifact_raises_with_its_reason(mode: CallMode, task: TransferTask) -> None:
    task.create("public/error", "error", reason="file-missing-on-worker", message="no such file")
    call = {"taskId": task.id, "name": "public/error", "queueService": mode.client("Queue", task.options)}
    with pytest.raises(taskcluster.TaskclusterArtifactError, match="no such file") as caught:
        mode.run(mode.download.downloadArtifactToBuf(**call))
    assert caught.value.reason == "file-missing-on-worker"


def test_run_defaults_to_the_latest(mode: CallMode, local: LocalTaskcluster, task: TransferTask) -> None:
    queue = taskcluster.Queue(local.options())
    task.put("public/x", b"first")
    task.queue.reportException(task.id, "0", {"reason": "worker-shutdown"})
    claim = queue.claimTask(task.id, "1", {"workerGroup": "g", "workerId": "w"})
    options = {**local.options(), "credentials": claim["credentials"]}
    upload = mode.upload.uploadArtifactFromFile(
        taskId=task.id, runId=1, name="public/x", contentType="text/plain", file=io.BytesIO(b"second"),
        expires=task.expires, queueService=mode.client("Queue", options),
    )  # fmt: skip
    assert mode.run(upload) == "object"
    for run, data in ((None, b"second"), (0, b"first"), (1, b"second")):
        call = {"taskId": task.id, "name": "public/x", "runId": run, "queueService": mode.client("Queue", options)}
        assert mode.run(mode.download.downloadArtifactToBuf(**call))[0] == data


@pytest.mark.parametrize("data", [b"", LITTLE, LARGE], ids=["empty", "little", "large"])
@pytest.mark.parametrize("source", ["Buf", "File"])
def test_uploads_artifacts(mode: CallMode, task: TransferTask, source: str, data: bytes) -> None:
    given: Any = {"data": data} if source == "Buf" else {"file": io.BytesIO(data)}
    upload = getattr(mode.upload, f"uploadArtifactFrom{source}")
    stored = upload(
        taskId=task.id, runId=0, name="public/a b/c", contentType="text/plain",
        expires=task.expires, queueService=mode.client("Queue", task.options), **given,
    )  # fmt: skip
    assert mode.run(stored) == "object"
    info = task.queue.artifactInfo(task.id, "0", "public/a b/c")
    assert (info["storageType"], info["contentType"]) == ("object", "text/plain")
    call = {"taskId": task.id, "name": "public/a b/c", "queueService": mode.client("Queue", task.options)}
    assert mode.run(mode.download.downloadArtifactToBuf(**call))[0] == data


def test_public_artifact_needs_no_credentials(
    mode: CallMode, local: LocalTaskcluster, task: TransferTask, every_type: dict[str, bytes]
) -> None:
    anonymous = {"rootUrl": local.root_url}
    for name in ("public/gzip", "public/object", "public/reference"):
        content = mode.run(
            mode.download.getArtifactContent(task.id, name, queueService=mode.client("Queue", anonymous))
        )
        assert content.bytes() == every_type[name]
    # A link to a private artifact needs the scopes of both names.
    for name in ("private/object", "public/link"):
        with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
            mode.run(mode.download.getArtifactContent(task.id, name, queueService=mode.client("Queue", anonymous)))
        assert "queue:get-artifact:private/object" in caught.value.missing_scopes


@pytest.mark.parametrize("name", ["public/s3 little", "private/s3", "private/object", "public/link"])
def test_content_by_task_and_by_index_path(
    mode: CallMode, local: LocalTaskcluster, task: TransferTask, every_type: dict[str, bytes], name: str
) -> None:
    task.resolve()
    options = local.options(scopes=["queue:get-artifact:private/*", "index:find-task:transfers.*"])
    queue, index = mode.client("Queue", options), mode.client("Index", options)
    content = mode.run(mode.download.getArtifactContent(task.id, name, queueService=queue))
    assert content.text() == LITTLE.decode()
    content = mode.run(mode.download.getArtifactContent(task.path, name, queueService=queue, indexService=index))
    assert b"".join(content.iter_bytes(3)) == every_type[name] == LITTLE
    assert content.content_type == "text/plain"


def test_downloads_artifacts_to_a_directory(
    mode: CallMode, task: TransferTask, every_type: dict[str, bytes], tmp_path: Path
) -> None:
    queue = mode.client("Queue", task.reader)
    # Only public ones: the pattern excludes the error artifact.
    task.create("private/error", "error", reason="file-missing-on-worker", message="m")
    found = mode.run(mode.download.downloadTaskArtifacts(task.id, "public/*", tmp_path, queueService=queue))
    expected = {name: data for name, data in every_type.items() if name.startswith("public/")}
    assert found == {name: tmp_path / name for name in expected}
    assert all(path.read_bytes() == expected[name] for name, path in found.items())
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(found.values())
    with pytest.raises(taskcluster.TaskclusterArtifactError):
        mode.run(mode.download.downloadTaskArtifacts(task.id, "*/error", tmp_path, queueService=queue))
