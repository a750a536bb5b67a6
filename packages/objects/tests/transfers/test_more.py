"""What there is beyond the published client: paths, many at once, content, artifact uploads, progress, plugins."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure
from taskcluster.plugins import Location
from taskcluster.registry import registry

from .conftest import Mode
from .deployment import Blob, Deployment, answers, breaks, storage
from .test_usage import DATA, artifacts


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
    for path in (tmp_path, tmp_path / "no" / "such"):
        with pytest.raises(OSError):
            mode.get("x", "downloadToPath", path)
    assert deployment.received == []


def test_many_artifacts_come_into_a_directory_several_at_once(
    mode: Mode, deployment: Deployment, tmp_path: Path
) -> None:
    names = artifacts(deployment)
    deployment.artifacts["private/x"] = {"storageType": "error", "reason": "r", "message": "m"}
    # Neither of two is answered before the other is asked for; it breaks if that does not come.
    both = threading.Barrier(2, timeout=30)

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


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a//b", "link/x", ".", "a\\b", ""])
def test_no_name_leads_out_of_the_directory(mode: Mode, deployment: Deployment, tmp_path: Path, name: str) -> None:
    artifacts(deployment)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    deployment.artifacts[name] = deployment.artifacts["public/s3"]
    with pytest.raises(TaskclusterFailure, match="cannot be a file"):
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


def test_the_loop_goes_on_while_a_plain_reader_blocks(deployment: Deployment) -> None:
    import threading

    mode = Mode("async", deployment)
    released = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            assert released.wait(10)
            return super().read(size)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, released.set)
        await mode.upload.upload(
            projectId="p", name="n", contentType="x/y", contentLength=len(DATA), readerFactory=lambda: Slow(DATA),
            expires=taskcluster.fromNow("1 day"), objectService=mode.client("Object"),
        )  # fmt: skip

    asyncio.run(main())
    assert deployment.stored_requests[-1].body == DATA
