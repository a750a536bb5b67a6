"""What there is beyond the published client: paths, many at once, content, artifact uploads, progress, plugins."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import socket
import stat
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3

import taskcluster
from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure
from taskcluster.plugins import Location
from taskcluster.registry import registry
from taskcluster.version import VERSION

from .conftest import Mode, temporary_files
from .deployment import PATIENCE, Blob, Deployment, Received, answers, breaks, head, storage
from .test_usage import DATA, Coroutines, artifacts


def test_a_path_gets_the_file_when_it_is_whole(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA, {"Content-Type": "x/y"})
    target = tmp_path / "target"
    target.write_bytes(b"old")
    deployment.faults.extend([breaks(700_000)])
    assert mode.get("x", "downloadToPath", target) == "x/y"
    assert target.read_bytes() == DATA
    assert os.listdir(tmp_path) == ["target"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_a_failed_download_leaves_no_file_and_spoils_no_old_one(
    mode: Mode, deployment: Deployment, tmp_path: Path
) -> None:
    artifacts(deployment)
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        deployment.faults.extend([answers(404)])
        with pytest.raises(TaskclusterRestFailure):
            mode.get_artifact("public/s3", "downloadArtifactToPath", tmp_path / name)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_path_that_cannot_be_is_told_before_anything_is_sent(
    mode: Mode, deployment: Deployment, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for path in (tmp_path, tmp_path / "no" / "such", tmp_path / "fifo", tmp_path / "link"):
        with pytest.raises(OSError):
            mode.get("x", "downloadToPath", path)
    assert deployment.received == []
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link"]


def test_a_file_keeps_the_permissions_of_the_old_one(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    target = tmp_path / "target"
    seen: set[int] = set()

    def progress(done: int, total: int | None) -> None:
        seen.update(stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir())

    for bits in (0o600, 0o754, 0o444):
        seen.clear()
        target.write_bytes(b"old")
        target.chmod(bits)
        mode.get("x", "downloadToPath", target, progress=progress)
        assert seen == {bits}
        assert target.read_bytes() == DATA
        assert stat.S_IMODE(target.stat().st_mode) == bits
        target.unlink()


def test_a_symbolic_link_is_replaced_and_what_it_names_stays(
    mode: Mode, deployment: Deployment, tmp_path: Path
) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "named").write_bytes(b"old")
    for name in ("named", "nothing"):
        (tmp_path / "link").symlink_to(name)
        mode.get("x", "downloadToPath", tmp_path / "link")
        assert not (tmp_path / "link").is_symlink()
        assert (tmp_path / "link").read_bytes() == DATA
        (tmp_path / "link").unlink()
    assert (tmp_path / "named").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["named"]


def test_a_name_is_as_long_as_the_system_takes(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    for name in ("\U0001f600" * 63, "x" * 255):
        mode.get("x", "downloadToPath", tmp_path / name)
    assert len(os.listdir(tmp_path)) == 2


def test_many_artifacts_come_into_a_directory_several_at_once(
    mode: Mode, deployment: Deployment, tmp_path: Path
) -> None:
    names = artifacts(deployment)
    deployment.artifacts["private/x"] = {"storageType": "error", "reason": "r", "message": "m"}
    # Neither of two is answered before the other is asked for; it breaks if that does not come.
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


def test_the_first_of_many_that_fails_stops_the_rest(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    artifacts(deployment)
    deployment.artifacts["public/a"] = {"storageType": "error", "reason": "r", "message": "the first"}
    with pytest.raises(taskcluster.TaskclusterArtifactError, match="the first"):
        mode.run(
            mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"), concurrency=1
        )
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []


@pytest.mark.parametrize("concurrency", [0, -1, 2.5, None])
def test_how_many_at_once_is_a_whole_number_above_0(
    mode: Mode, deployment: Deployment, tmp_path: Path, concurrency: Any
) -> None:
    with pytest.raises(TaskclusterFailure, match="concurrency must be"):
        mode.run(
            mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"),
            concurrency=concurrency,
        )  # fmt: skip
    assert deployment.received == []


@pytest.mark.usefixtures("leaks")
@pytest.mark.parametrize("concurrency", [1, 3, 20])
def test_as_many_artifacts_as_may_be_are_asked_for_at_once_where_storage_is_slow_and_never_more(
    mode: Mode, deployment: Deployment, tmp_path: Path, concurrency: int
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
            # Were there one too many, it would come now.
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


def transferring() -> int:
    return sum(each.name.startswith("taskcluster-transfer") for each in threading.enumerate())


@pytest.mark.usefixtures("leaks")
def test_an_unfinished_file_lies_beside_its_place_while_it_comes(
    mode: Mode, deployment: Deployment, tmp_path: Path
) -> None:
    """So the count of what is left behind counts the right ones."""
    deployment.blobs["x"] = Blob(DATA)
    seen: list[list[str]] = []
    mode.get("x", "downloadToPath", tmp_path / "x", progress=lambda *_: seen.append(temporary_files(tmp_path)))
    assert {len(files) for files in seen} == {1}
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize("kind", ["socket", "device", "endless link"])
def test_what_is_no_file_is_not_replaced(mode: Mode, deployment: Deployment, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "socket":
            listener.bind(str(path))
        else:
            path.symlink_to(os.devnull if kind == "device" else "x")
        before = path.lstat()
        with pytest.raises(OSError):
            mode.get("x", "downloadToPath", path)
        assert os.path.samestat(path.lstat(), before)
    assert deployment.received == []
    assert os.listdir(tmp_path) == ["x"]


def test_a_device_can_be_written_to_as_a_file(mode: Mode, deployment: Deployment) -> None:
    deployment.blobs["x"] = Blob(DATA, etag=None)
    deployment.faults.extend([breaks(1000)])
    with open(os.devnull, "wb") as file:
        mode.get("x", "downloadToFile", file)


def test_a_link_to_a_directory_is_refused(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("directory")
    with pytest.raises(IsADirectoryError):
        mode.get("x", "downloadToPath", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert deployment.received == []


def test_a_file_in_the_place_of_a_link_has_the_permissions_of_what_the_link_names(
    mode: Mode, deployment: Deployment, tmp_path: Path
) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "named").write_bytes(b"old")
    (tmp_path / "named").chmod(0o640)
    (tmp_path / "link").symlink_to("named")
    mode.get("x", "downloadToPath", tmp_path / "link")
    assert stat.S_IMODE((tmp_path / "link").lstat().st_mode) == 0o640


def test_who_a_file_runs_as_does_not_go_over_to_the_new_one(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(0o6755)
    mode.get("x", "downloadToPath", tmp_path / "x")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o755


def test_another_name_of_the_old_file_keeps_what_it_held(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    deployment.blobs["x"] = Blob(DATA)
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "other").hardlink_to(tmp_path / "x")
    mode.get("x", "downloadToPath", tmp_path / "x")
    assert (tmp_path / "other").read_bytes() == b"old"
    assert (tmp_path / "x").read_bytes() == DATA


def two_artifacts(deployment: Deployment) -> None:
    for name in ("a", "b"):
        deployment.blobs[name] = Blob(DATA)
        deployment.artifacts[name] = {"storageType": "s3", "url": partial(deployment.url, name)}


@pytest.mark.usefixtures("leaks")
@pytest.mark.parametrize("length", [{"Content-Length": "3000000"}, {"Connection": "close"}], ids=["kept", "closed"])
def test_a_failure_ends_what_waits_for_storage(
    mode: Mode, deployment: Deployment, tmp_path: Path, length: dict[str, str]
) -> None:
    if "Connection" in length and not hasattr(urllib3.HTTPResponse, "shutdown"):
        pytest.skip("urllib3 before 2.3 has let go of the socket; the time-out ends it")
    two_artifacts(deployment)
    begun = threading.Event()

    def fault(deployment: Deployment, connection: socket.socket, received: Received, blob: Blob) -> bool:
        if received.path.endswith("/a"):
            connection.sendall(head(200, length) + b"x" * 1000)
            begun.set()
            while connection.recv(65536):
                pass
            return False
        assert begun.wait(PATIENCE)
        return answers(404)(deployment, connection, received, blob)

    deployment.faults.extend([fault, fault])
    started = time.monotonic()
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.run(
            mode.download.downloadTaskArtifacts, "T", "*", tmp_path, queueService=mode.client("Queue"), maxRetries=0,
        )  # fmt: skip
    assert caught.value.status_code == 404
    assert time.monotonic() - started < PATIENCE
    assert os.listdir(tmp_path) == []


def test_of_many_failures_the_first_gets_out(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    two_artifacts(deployment)
    other, told = threading.Event(), threading.Event()

    def fault(deployment: Deployment, connection: socket.socket, received: Received, blob: Blob) -> bool:
        if received.path.endswith("/b"):
            assert other.wait(PATIENCE)
            answers(410)(deployment, connection, received, blob)
            told.set()
            return True
        other.set()
        # Asked for first, and told last.
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
def test_names_that_cannot_be_files_are_told_and_nothing_is_left_behind(
    mode: Mode, deployment: Deployment, tmp_path: Path, names: list[str]
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
def test_no_name_leads_out_of_the_directory(mode: Mode, deployment: Deployment, tmp_path: Path, name: str) -> None:
    artifacts(deployment)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    deployment.artifacts[name] = deployment.artifacts["public/s3"]
    with pytest.raises(TaskclusterFailure, match="cannot download the artifact"):
        mode.run(mode.download.downloadTaskArtifacts, "T", "*", tmp_path / "inside", queueService=mode.client("Queue"))
    assert os.listdir(tmp_path) == ["inside"]
    assert deployment.stored_requests == []


def test_content_comes_as_json_text_bytes_and_pieces(mode: Mode, deployment: Deployment) -> None:
    value = {"ä": [1, 2]}
    deployment.blobs["x"] = Blob(json.dumps(value, ensure_ascii=False).encode("latin-1"))
    deployment.blobs["x"].headers["Content-Type"] = "application/json; charset=latin-1"
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    deployment.faults.extend([answers(302, {"Location": "/storage/x"}), None])
    content = mode.run(mode.download.getArtifactContent, "T", "a", queueService=mode.client("Queue"))
    assert content.text() == '{"ä": [1, 2]}'
    assert json.loads(content.text()) == value
    assert b"".join(content.iter_bytes(3)) == content.bytes() == deployment.blobs["x"].data
    assert content.content_type == "application/json; charset=latin-1"
    assert all("authorization" not in each.headers for each in deployment.stored_requests)


def test_content_comes_from_an_index_path(mode: Mode, deployment: Deployment) -> None:
    artifacts(deployment)
    deployment.blobs["one"].data = b"[1]"
    index = mode.client("Index")
    queue = mode.client("Queue")
    content = mode.run(
        mode.download.getArtifactContent, "builds.latest", "public/object", queueService=queue, indexService=index
    )
    assert content.json() == [1]
    assert "/indexed-task/" in deployment.called("latestArtifact")[0]


def put_artifact(mode: Mode, function: str, **given: Any) -> Any:
    call = {
        "taskId": "T", "runId": 0, "name": "public/new", "contentType": "x/y",
        "expires": taskcluster.fromNow("1 day"), "queueService": mode.client("Queue"),
    }  # fmt: skip
    return mode.run(getattr(mode.upload, function), **{**call, **given})


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_artifact_is_created_uploaded_and_finished(mode: Mode, deployment: Deployment, size: int) -> None:
    data = DATA[:size]
    assert put_artifact(mode, "uploadArtifactFromBuf", data=data) == "object"
    assert deployment.finished["t/public/new"] == Deployment.hashes(Blob(data))
    assert deployment.called("finishArtifact") == [{"uploadId": "U" * 22}]
    order = [name for name, _ in deployment.api]
    assert order == ["createArtifact", "createUpload", "finishUpload", "finishArtifact"]
    for each in deployment.received:
        if each.path.startswith("/api/object/"):
            assert 'id="upload"' in each.headers["authorization"]


def test_an_artifact_goes_to_s3_where_the_deployment_has_no_object_service(mode: Mode, deployment: Deployment) -> None:
    deployment.refused_types = {"object"}
    deployment.faults.extend([answers(403)])
    assert put_artifact(mode, "uploadArtifactFromFile", file=io.BytesIO(DATA)) == "s3"
    assert deployment.stored_requests[-1].body == DATA
    assert deployment.called("finishArtifact") == []


def test_an_artifact_that_is_refused_is_an_error(mode: Mode, deployment: Deployment) -> None:
    deployment.refused_types = {"object", "s3"}
    with pytest.raises(TaskclusterRestFailure, match="no s3 here"):
        put_artifact(mode, "uploadArtifactFromBuf", data=b"x")


def test_an_artifact_is_stored_as_it_is_asked_for(mode: Mode, deployment: Deployment) -> None:
    for kind in ("s3", "object"):
        assert put_artifact(mode, "uploadArtifactFromFile", file=io.BytesIO(DATA), storageType=kind) == kind
        assert put_artifact(mode, "uploadArtifactFromBuf", name="public/two", data=b"x", storageType=kind) == kind
    created = [(each["storageType"], "contentLength" in each) for each in deployment.called("createArtifact")]
    assert created == [("s3", True), ("s3", True), ("object", False), ("object", False)]
    deployment.refused_types = {"object"}
    with pytest.raises(TaskclusterRestFailure, match="no object here"):
        put_artifact(mode, "uploadArtifactFromBuf", data=b"x", storageType="object")
    deployment.api.clear()
    with pytest.raises(TaskclusterFailure, match="storageType must be 'object', 's3' or None, not 'gcs'"):
        put_artifact(mode, "uploadArtifactFromBuf", data=b"x", storageType="gcs")
    assert deployment.api == []


def test_a_deployment_without_a_place_for_objects_is_told_with_what_to_do(
    mode: Mode, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = 400, {"code": "NoMatchingBackend", "message": "no backend"}
    monkeypatch.setattr(deployment, "_createUpload", lambda name, payload: refusal)
    with pytest.raises(TaskclusterRestFailure, match="storageType='s3'") as caught:
        put_artifact(mode, "uploadArtifactFromBuf", data=DATA)
    assert (caught.value.status_code, caught.value.code) == (400, "NoMatchingBackend")
    # Of an object that is no artifact, the service's own words do.
    with pytest.raises(TaskclusterRestFailure, match="no backend"):
        mode.put(data=DATA)


@pytest.mark.parametrize("kind", ["coroutine function", "gives an awaitable"])
def test_progress_may_be_async_in_async_functions_alone(mode: Mode, deployment: Deployment, kind: str) -> None:
    artifacts(deployment)
    told: list[int] = []

    async def coroutine(done: int, total: int | None) -> None:
        await asyncio.sleep(0)
        told.append(done)

    progress = coroutine if kind == "coroutine function" else lambda done, total: coroutine(done, total)
    queue = {"progress": progress}
    for call in (
        lambda: mode.get("one", **queue),
        lambda: mode.put(data=DATA, **queue),
        lambda: mode.put(name="little", data=b"x", **queue),
        lambda: mode.get_artifact("public/s3", "getArtifactContent", **queue),
    ):
        told.clear()
        if mode.name == "async":
            call()
            assert told[-1] in (len(DATA), 1)
        else:
            with pytest.raises(TaskclusterFailure, match="progress must not be async"):
                call()
            assert told == []


def test_async_readers_and_writers_are_refused_in_sync_functions(deployment: Deployment) -> None:
    mode = Mode("sync", deployment)
    deployment.blobs["x"] = Blob(DATA)
    kinds: tuple[Any, ...] = (Coroutines, lambda *data: Giving(Coroutines(*data)))
    for kind in kinds:
        with pytest.raises(TaskclusterFailure, match=r"a writer must not be async .* taskcluster\.aio"):
            mode.get("x", "download", writerFactory=kind)
        for length in (10, len(DATA)):
            with pytest.raises(TaskclusterFailure, match=r"a reader must not be async .* taskcluster\.aio"):
                mode.put("upload", name=taskcluster.slugId(), contentLength=length, readerFactory=partial(kind, DATA))
    assert deployment.finished == {}


class Giving:
    """Coroutines that only their results tell."""

    def __init__(self, inner: Coroutines) -> None:
        self._inner = inner

    def read(self, max_size: int = -1) -> Any:
        return self._inner.read(max_size)

    def write(self, data: bytes) -> Any:
        return self._inner.write(data)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_reader_may_give_what_it_uses_again(mode: Mode, deployment: Deployment, kind: Any) -> None:
    class Reader:
        def __init__(self) -> None:
            self._source = io.BytesIO(data)
            self._buffer = bytearray(65536)

        def read(self, max_size: int = -1) -> Any:
            count = self._source.readinto(memoryview(self._buffer)[:max_size])
            return memoryview(self._buffer)[:count] if kind is memoryview else self._buffer[:count]

    data = random.Random(1).randbytes(2_500_000)
    mode.put("upload", contentLength=len(data), readerFactory=Reader)
    assert deployment.stored_requests[-1].body == data
    assert deployment.finished["some/name"] == Deployment.hashes(Blob(data))


def test_storage_is_told_the_programs_name(mode: Mode, deployment: Deployment) -> None:
    artifacts(deployment)
    options = {"userAgentSuffix": "my-program/1"}
    mode.get_artifact("public/object", options=options)
    mode.put(data=DATA, options=options)
    assert {each.headers["user-agent"] for each in deployment.received} == {
        f"taskcluster-client-py/{VERSION} my-program/1"
    }


def test_what_has_no_type_is_an_octet_stream(mode: Mode, deployment: Deployment) -> None:
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    deployment.faults.extend([answers(200, body=b"x")] * 2)
    assert mode.get_artifact("a")[1] == "application/octet-stream"
    content = mode.run(mode.download.getArtifactContent, "T", "a", queueService=mode.client("Queue"))
    assert content.content_type == "application/octet-stream"


def test_progress_is_told_of_bytes_done_and_in_all(mode: Mode, deployment: Deployment) -> None:
    deployment.blobs["x"] = Blob(DATA)
    told: list[tuple[int, int | None]] = []
    mode.get("x", progress=lambda done, total: told.append((done, total)))
    mode.put(data=DATA, progress=lambda done, total: told.append((done, total)))
    assert told == [
        *sorted(told[: told.index((len(DATA), len(DATA))) + 1]),
        *sorted(told[told.index((len(DATA),) * 2) + 1 :]),
    ]
    assert told[-1] == (len(DATA), len(DATA))
    assert told.count((len(DATA), len(DATA))) >= 2


def test_a_plugins_methods_are_offered_and_used(
    mode: Mode, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Post:
        name = "postUrl"

        def propose(self, offer: Any) -> Any:
            return {"size": offer.contentLength}

        def destination(self, answer: Any) -> Location | None:
            return Location(answer, "PUT", {"Content-Type": "made/up"})

    class Torrent:
        name = "torrent"

        def accept(self) -> Any:
            return {"peers": 1}

        def source(self, answer: Any) -> Location:
            return Location(answer["url"], hashes=answer["hashes"])

    monkeypatch.setattr(registry, "transfer_methods", lambda: [Post(), Torrent()])
    deployment.upload_methods = lambda proposed: {"postUrl": deployment.url("some/name")}
    mode.put(data=DATA)
    assert deployment.called("createUpload")[0]["proposedUploadMethods"]["postUrl"] == {"size": len(DATA)}
    assert deployment.stored_requests[-1].headers["content-type"] == "made/up"
    deployment.blobs["x"] = Blob(DATA, method="torrent")
    assert mode.get("x")[0] == DATA
    assert deployment.called("startDownload")[0]["acceptDownloadMethods"]["torrent"] == {"peers": 1}


def test_credentials_of_a_netrc_file_do_not_reach_storage(
    mode: Mode, deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hidden\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    artifacts(deployment)
    mode.get_artifact("public/s3")
    mode.put(data=DATA)
    assert len(deployment.stored_requests) == 2
    assert all("authorization" not in each.headers for each in deployment.stored_requests)


@pytest.mark.usefixtures("leaks")
def test_a_cancelled_download_of_many_leaves_nothing(mode: Mode, deployment: Deployment, tmp_path: Path) -> None:
    if mode.name == "sync":
        pytest.skip("only tasks are cancelled")
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


def test_two_downloads_to_one_path_leave_one_whole_file(deployment: Deployment, tmp_path: Path) -> None:
    mode = Mode("async", deployment)
    deployment.blobs["x"] = Blob(DATA)

    async def main() -> None:
        async with mode.client("Object") as service:
            await asyncio.gather(
                *[mode.download.downloadToPath(tmp_path / "x", name="x", objectService=service) for _ in range(4)]
            )

    asyncio.run(main())
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == DATA


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_plugins_headers_stay_with_the_server_that_they_are_for(
    mode: Mode, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    class Bearer:
        name = "bearer"

        def accept(self) -> Any:
            return True

        def source(self, answer: Any) -> Location:
            return Location(answer["url"], headers={"Authorization": "Bearer x", "Cookie": "c=1"})

    other = Deployment() if elsewhere else deployment
    try:
        monkeypatch.setattr(registry, "transfer_methods", lambda: [Bearer()])
        deployment.blobs["x"] = other.blobs["y"] = Blob(DATA, method="bearer")
        again = answers(302, {"Location": other.url("y")})
        deployment.faults.extend([again])
        other.faults.extend([breaks(1_000_000)])
        if elsewhere:
            deployment.faults.extend([again])
        assert mode.get("x")[0] == DATA
    finally:
        if elsewhere:
            other.close()
    kept = {"authorization", "cookie"}
    assert kept <= deployment.stored_requests[0].headers.keys()
    for each in other.stored_requests[0 if elsewhere else 1 :]:
        assert (kept <= each.headers.keys()) is not elsewhere
        assert (not kept & each.headers.keys()) is elsewhere
    assert other.stored_requests[-1].headers["range"].startswith("bytes=")
    assert "if-match" in other.stored_requests[-1].headers


def test_a_cancelled_download_waits_for_its_writer_and_the_loop_goes_on(deployment: Deployment) -> None:
    deployment.blobs["x"] = Blob(DATA)
    mode = Mode("async", deployment)
    writing, released = threading.Event(), threading.Event()

    class Slow:
        def write(self, data: bytes) -> None:
            writing.set()
            assert released.wait(PATIENCE)

    async def main() -> None:
        download = asyncio.ensure_future(
            mode.download.download(name="x", objectService=mode.client("Object"), writerFactory=Slow)
        )
        assert await asyncio.to_thread(writing.wait, 10)
        for _ in range(3):
            download.cancel()
            await asyncio.sleep(0)
            # Were the loop waiting for the writer, this would not come about.
            await asyncio.to_thread(int)
        assert not download.done()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await download

    asyncio.run(main())


def test_the_loop_goes_on_while_a_plain_reader_blocks(deployment: Deployment) -> None:
    import threading

    mode = Mode("async", deployment)
    released = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            assert released.wait(PATIENCE)
            return super().read(size)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, released.set)
        await mode.upload.upload(
            projectId="p", name="n", contentType="x/y", contentLength=len(DATA), readerFactory=lambda: Slow(DATA),
            expires=taskcluster.fromNow("1 day"), objectService=mode.client("Object"),
        )  # fmt: skip

    asyncio.run(main())
    assert deployment.stored_requests[-1].body == DATA
