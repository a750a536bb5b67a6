"""Test reading from storage that breaks, changes, ignores ranges, or denies access."""

from __future__ import annotations

import gc
import gzip
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskcluster.exceptions import TaskclusterArtifactError, TaskclusterRestFailure
from taskcluster_fsspec import ArtifactFileSystem, IndexFileSystem, ObjectFileSystem
from taskcluster_fsspec.exceptions import AccessDenied, Changed, HashMismatch, NoResource
from taskcluster_local import LocalTaskcluster

from .conftest import Tasks
from .storage import Exchange, StorageServer

DATA = os.urandom(300_000)
TEXT = b"".join(b"%d,some text\n" % number for number in range(50_000))


@pytest.fixture
def storage() -> Iterator[StorageServer]:
    with StorageServer(DATA) as server:
        yield server


@pytest.fixture
def path(tasks: Tasks, storage: StorageServer) -> str:
    """The path of an artifact in that storage."""
    task = tasks.create()
    tasks.declare(task, "file", "reference", url=storage.url, contentType="text/plain")
    tasks.resolve(task)
    return f"{task}/0/file"


def first(behaviour: Callable[[Exchange], None], count: int = 1) -> Callable[[Exchange], None]:
    """Return what behaves so at the first requests only."""

    def behave(exchange: Exchange) -> None:
        (behaviour if len(exchange.server.requests) <= count else Exchange.respond)(exchange)

    return behave


def ignore_range(exchange: Exchange) -> None:
    exchange.respond(200)


def test_only_requested_parts_are_transferred(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    with fs.open(path, cache_type="none") as file:
        file.seek(-1000, 2)
        assert file.read(10) == DATA[-1000:-990]
        assert storage.ranges == ["bytes=0-65535", "bytes=299000-299009"]
        assert [request.get("If-Match") for request in storage.requests] == [None, '"1"']
        assert file.read() == DATA[-990:]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_identity_needs_the_beginning_once(
    fs: ArtifactFileSystem, storage: StorageServer, path: str, encoding: str
) -> None:
    storage.headers["Content-Encoding"] = encoding
    storage.content = gzip.compress(os.urandom(2_000_000)) if encoding == "gzip" else bytes(2_000_000)
    keys = {fs.ukey(path) for _ in range(3)}
    assert len(keys) == 1
    assert storage.ranges == ["bytes=0-65535"]
    fs.invalidate_cache()
    storage.headers["ETag"] = '"2"'
    assert fs.ukey(path) not in keys
    with pytest.raises(IsADirectoryError):
        fs.ukey(path.rpartition("/")[0])


def test_sequential_reading_needs_few_requests(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    storage.content = content = bytes(40_000_000)
    with fs.open(path) as file:
        assert b"".join(iter(lambda: file.read(10_000), b"")) == content
    assert len(storage.requests) < 14
    assert storage.sent == len(content)


def test_range_answered_by_everything_is_read_once(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    storage.behaviour = ignore_range
    with fs.open(path) as file:
        file.seek(200_000)
        assert file.read(5) == DATA[200_000:200_005]
        file.seek(5)
        assert file.read() == DATA[5:]
        assert file.size == len(DATA)
    assert len(storage.requests) == 1


def test_later_range_answered_by_everything_is_cut(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    with fs.open(path) as file:
        storage.behaviour = ignore_range
        file.seek(200_000)
        assert file.read(5) == DATA[200_000:200_005]


def test_body_without_length_is_read(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    """As storage does that decodes on the way."""

    def without_length(exchange: Exchange) -> None:
        handler = exchange.handler
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(DATA), 50_000):
            handler.wfile.write(b"c350\r\n%b\r\n" % DATA[start : start + 50_000])
        handler.wfile.write(b"0\r\n\r\n")

    storage.behaviour = without_length
    assert fs.info(path)["size"] == len(DATA)
    assert fs.cat_file(path) == DATA
    assert len(storage.requests) == 1


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_broken_body_is_resumed(fs: ArtifactFileSystem, storage: StorageServer, path: str, encoding: str) -> None:
    storage.content = gzip.compress(DATA) if encoding == "gzip" else DATA
    storage.headers["Content-Encoding"] = encoding
    storage.behaviour = first(lambda exchange: exchange.respond(cut=1000), 2)
    assert fs.cat_file(path) == DATA
    assert storage.ranges[1] == "bytes=1000-65535" if encoding == "identity" else "bytes=1000-"
    assert storage.sent == len(storage.content)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_broken_body_of_another_version_is_not_resumed(
    fs: ArtifactFileSystem, storage: StorageServer, path: str, encoding: str
) -> None:
    storage.content = gzip.compress(DATA) if encoding == "gzip" else DATA
    storage.headers["Content-Encoding"] = encoding

    def break_and_change(exchange: Exchange) -> None:
        exchange.respond(cut=1000)
        storage.headers["ETag"] = '"2"'

    storage.behaviour = first(break_and_change)
    with pytest.raises(Changed, match="was replaced while it was open"):
        fs.cat_file(path)


def test_server_errors_are_retried(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    storage.behaviour = first(lambda exchange: exchange.respond(503, **{"Retry-After": "0"}))
    assert fs.cat_file(path) == DATA


def test_invalidation_forgets_contents(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    storage.content = b"1"
    for _ in range(2):
        assert fs.cat_file(path) == b"1"
    assert len(storage.requests) == 1
    fs.invalidate_cache()
    assert fs.cat_file(path) == b"1"
    assert len(storage.requests) == 2


@pytest.mark.parametrize(
    ("status", "error"), [(403, PermissionError), (404, FileNotFoundError), (410, FileNotFoundError), (400, OSError)]
)
def test_other_statuses_of_storage_are_errors(
    fs: ArtifactFileSystem, storage: StorageServer, path: str, status: int, error: type[OSError]
) -> None:
    storage.behaviour = lambda exchange: exchange.respond(status)
    with pytest.raises(error) as caught:
        fs.cat_file(path)
    assert isinstance(caught.value, TaskclusterRestFailure)
    assert caught.value.status_code == status
    assert storage.url not in str(caught.value)


def test_redirects_are_followed_without_credentials(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    with StorageServer() as other:
        other.behaviour = lambda exchange: exchange.respond(302, Location=storage.url)
        storage.behaviour = first(lambda exchange: exchange.respond(307, Location=other.url), 1)
        assert fs.cat_file(path) == DATA
        assert not any("Authorization" in request for request in [*storage.requests, *other.requests])


def test_references_can_be_refused(tasks: Tasks, storage: StorageServer, path: str, tmp_path: Path) -> None:
    fs = ArtifactFileSystem(follow_references=False)
    for read in (fs.cat_file, fs.open, lambda path: fs.get_file(path, tmp_path / "x")):
        with pytest.raises(OSError, match="follow_references is False"):
            read(path)
    assert storage.requests == []
    fs.close()


def test_links_are_followed(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.create()
    tasks.put(task, "a", b"data")
    for name, target in (("b", "a"), ("c", "b")):
        tasks.declare(task, name, "link", artifact=target)
    tasks.resolve(task)
    assert fs.cat_file(f"{task}/0/c") == b"data"
    assert fs.info(f"{task}/0/c")["size"] == 4


def test_expired_url_is_renewed(tasks: Tasks, fs: ArtifactFileSystem, local: LocalTaskcluster) -> None:
    task = tasks.with_files({"private/a": DATA})
    with fs.open(f"{task}/0/private/a") as file:
        local.advance(minutes=40)
        file.seek(200_000)
        assert file.read() == DATA[200_000:]


def test_expired_url_of_an_object_is_renewed(local: LocalTaskcluster, object_fs: ObjectFileSystem) -> None:
    object_fs.pipe_file("a", DATA)
    with object_fs.open("a") as file:
        local.advance(minutes=5)
        file.seek(200_000)
        assert file.read() == DATA[200_000:]


@pytest.mark.parametrize("encoding", ["gzip", None], ids=["gzip", "identity"])
def test_replaced_file_is_noticed(tasks: Tasks, fs: ArtifactFileSystem, encoding: str | None) -> None:
    task = tasks.create()
    tasks.put(task, "a", DATA, encoding=encoding)
    with fs.open(f"{task}/0/a") as file:
        assert file.read(10) == DATA[:10]
        tasks.put(task, "a", DATA[::-1], encoding=encoding)
        with pytest.raises(Changed, match="open it again"):
            file.read()
    # A running task's artifact is opened anew.
    assert fs.cat_file(f"{task}/0/a") == DATA[::-1]


def test_open_file_stays_with_its_run(tasks: Tasks, fs: ArtifactFileSystem, index_fs: IndexFileSystem) -> None:
    task, other = tasks.with_files({"a": DATA}), tasks.with_files({"a": b"other"})
    tasks.add_to_index("x.y", task)
    with fs.open(f"{task}/latest/a") as file, index_fs.open("x.y/a") as indexed:
        tasks.rerun(task, 1)
        tasks.put(task, "a", b"rerun", run=1)
        tasks.add_to_index("x.y", other, rank=1)
        for each in (file, indexed):
            each.seek(200_000)
            assert each.read() == DATA[200_000:]
    assert fs.cat_file(f"{task}/latest/a") == b"rerun"
    assert fs.cat_file(f"{task}/0/a") == DATA
    assert index_fs.cat_file("x.y/a") == b"other"


def test_wrong_hash_of_an_object_is_an_error(
    tasks: Tasks, object_fs: ObjectFileSystem, tmp_path: Path, local: LocalTaskcluster
) -> None:
    expires = local.now().replace(year=local.now().year + 1).isoformat()
    upload = {"projectId": "p", "uploadId": "sLyRJ7EyRSS8XgkFfFnZgQ", "expires": expires}
    inline = {"dataInline": {"contentType": "text/plain", "objectData": "YWJj"}}
    tasks.object.createUpload("a", {**upload, "proposedUploadMethods": inline})
    tasks.object.finishUpload("a", {"projectId": "p", "uploadId": upload["uploadId"], "hashes": {"sha256": "0" * 64}})
    with pytest.raises(HashMismatch):
        object_fs.get_file("a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_missing_scopes_are_permission_errors(
    tasks: Tasks, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tasks.with_files({"private/a": b"1", "public/a": b"2"})
    credentials = local.options(scopes=["queue:list-artifacts:*", "queue:status:*", "index:*"])["credentials"]
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", credentials["accessToken"])
    fs = ArtifactFileSystem(skip_instance_cache=True)
    # Listings show names that one may not read.
    assert fs.ls(f"{task}/0", detail=False) == [f"{task}/0/private", f"{task}/0/public"]
    with pytest.raises(AccessDenied) as caught:
        fs.cat_file(f"{task}/0/private/a")
    assert "queue:get-artifact:private/a" in caught.value.missing_scopes
    assert credentials["accessToken"] not in f"{caught.value!r}{caught.value.__dict__}"
    fs.close()


def test_failed_permission_check_is_not_absence(
    tasks: Tasks, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tasks.with_files({"a": b"1"})
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", "wrong" * 9)
    fs = ArtifactFileSystem(skip_instance_cache=True)
    for method in (fs.exists, fs.isfile, fs.isdir, fs.ls, fs.find, fs.info):
        with pytest.raises(PermissionError):
            method(f"{task}/0/a")
    with pytest.raises(PermissionError):
        fs.glob(f"{task}/0/*")
    fs.close()


def test_new_credentials_are_used_after_the_old_ones_ended(
    tasks: Tasks, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tasks.with_files({"a": b"1"})
    right = os.environ["TASKCLUSTER_ACCESS_TOKEN"]
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", "wrong" * 9)
    fs = ArtifactFileSystem(skip_instance_cache=True)
    with pytest.raises(PermissionError):
        fs.cat_file(f"{task}/0/a")
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", right)
    assert fs.cat_file(f"{task}/0/a") == b"1"
    fs.close()


def test_expired_artifact_is_not_found(tasks: Tasks, fs: ArtifactFileSystem, local: LocalTaskcluster) -> None:
    task = tasks.with_files({"a": b"1"})
    local.advance(days=10)
    with pytest.raises(NoResource) as caught:
        fs.cat_file(f"{task}/0/a")
    assert caught.value.status_code in (404, 410)


def test_interrupted_read_leaves_nothing_and_can_be_repeated(
    tasks: Tasks,
    fs: ArtifactFileSystem,
    storage: StorageServer,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = os.urandom(3_000_000)
    storage.content = gzip.compress(content, 0)
    storage.headers["Content-Encoding"] = "gzip"
    main, is_read = threading.get_ident(), threading.Event()

    def interrupt(exchange: Exchange) -> None:
        if exchange.range is not None and exchange.range[0] == 0:
            return exchange.respond()
        exchange.handler.send_response(206)
        exchange.handler.send_header("Content-Range", f"bytes 65536-{len(storage.content) - 1}/{len(storage.content)}")
        exchange.handler.send_header("Content-Length", str(len(storage.content) - 65536))
        exchange.handler.send_header("Content-Encoding", "gzip")
        exchange.handler.send_header("ETag", '"1"')
        exchange.handler.end_headers()
        exchange.handler.wfile.write(storage.content[65536:2_000_000])
        signal.pthread_kill(main, signal.SIGINT)
        # Python ignores an interrupt that arrives in a finalizer.
        while not is_read.wait(10):
            signal.pthread_kill(main, signal.SIGINT)
        exchange.handler.close_connection = True
        return None

    storage.behaviour = interrupt
    with fs.open(path) as file:
        try:
            with pytest.raises(KeyboardInterrupt):
                file.read()
        finally:
            is_read.set()
        storage.behaviour = Exchange.respond
        assert file.read() == content
    fs.close()
    assert list(tmp_path.iterdir()) == []


def test_read_can_be_repeated_if_moving_to_disk_was_interrupted(
    fs: ArtifactFileSystem, storage: StorageServer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3_000_000)
    storage.content = gzip.compress(content, 0)
    storage.headers["Content-Encoding"] = "gzip"

    def rollover(file: tempfile.SpooledTemporaryFile[bytes]) -> None:
        monkeypatch.undo()
        file.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rollover)
    with fs.open(path) as file:
        with pytest.raises(KeyboardInterrupt):
            file.read()
        assert file.read() == content


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_partly_read_files_do_not_use_up_descriptors(
    tasks: Tasks, fs: ArtifactFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a temporary file and a connection, whose other end is also in this process."""
    monkeypatch.setattr("taskcluster_fsspec.contents._MAX_DESCRIPTORS", 10)
    content = os.urandom(3_000_000)
    task = tasks.with_files({str(number): content for number in range(20)}, encoding="gzip", length=len(content))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        with fs.open(f"{task}/0/{number}") as file:
            assert file.read(1_100_000) == content[:1_100_000]
    assert len(os.listdir("/proc/self/fd")) - before < 30


def test_unsupported_encoding_is_an_error(fs: ArtifactFileSystem, storage: StorageServer, path: str) -> None:
    storage.headers["Content-Encoding"] = "br"
    with pytest.raises(OSError, match="unsupported Content-Encoding 'br'"):
        fs.cat_file(path)
    # Without an unclosed connection, which would be a ResourceWarning.
    fs.close()
    gc.collect()


def test_error_artifacts_do_not_stop_listings(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    task = tasks.create()
    tasks.declare(task, "e", "error", reason="too-large-file-on-worker", message="1 TB")
    tasks.resolve(task)
    assert fs.info(f"{task}/0/e")["storageType"] == "error"
    with pytest.raises(TaskclusterArtifactError, match="1 TB"):
        fs.open(f"{task}/0/e")
