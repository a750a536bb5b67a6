"""Contents and uploads of artifacts."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure

from .conftest import TransferMode
from .deployment import Blob, StorageServer, responds
from .test_usage import DATA, artifacts


def test_returns_content_as_json_text_and_bytes(mode: TransferMode, deployment: StorageServer) -> None:
    value = {"ä": [1, 2]}
    deployment.blobs["x"] = Blob(json.dumps(value, ensure_ascii=False).encode("latin-1"))
    deployment.blobs["x"].headers["Content-Type"] = "application/json; charset=latin-1"
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("x")}
    deployment.faults.extend([responds(302, {"Location": "/storage/x"}), None])
    content = mode.run(mode.download.getArtifactContent, "T", "a", queueService=mode.client("Queue"))
    assert content.text() == '{"ä": [1, 2]}'
    assert json.loads(content.text()) == value
    assert b"".join(content.iter_bytes(3)) == content.bytes() == deployment.blobs["x"].data
    assert content.content_type == "application/json; charset=latin-1"
    assert all("authorization" not in each.headers for each in deployment.stored_requests)


def test_returns_content_by_index_path(mode: TransferMode, deployment: StorageServer) -> None:
    artifacts(deployment)
    deployment.blobs["one"].data = b"[1]"
    index = mode.client("Index")
    queue = mode.client("Queue")
    content = mode.run(
        mode.download.getArtifactContent, "builds.latest", "public/object", queueService=queue, indexService=index
    )
    assert content.json() == [1]
    assert "/indexed-task/" in deployment.called("latestArtifact")[0]


def put_artifact(mode: TransferMode, function: str, **given: Any) -> Any:
    call = {
        "taskId": "T", "runId": 0, "name": "public/new", "contentType": "x/y",
        "expires": taskcluster.fromNow("1 day"), "queueService": mode.client("Queue"),
    }  # fmt: skip
    return mode.run(getattr(mode.upload, function), **{**call, **given})


@pytest.mark.parametrize("size", [10, 100_000])
def test_creates_uploads_and_finishes_an_artifact(mode: TransferMode, deployment: StorageServer, size: int) -> None:
    data = DATA[:size]
    assert put_artifact(mode, "uploadArtifactFromBuf", data=data) == "object"
    assert deployment.finished["t/public/new"] == StorageServer.hashes(Blob(data))
    assert deployment.called("finishArtifact") == [{"uploadId": "U" * 22}]
    order = [name for name, _ in deployment.api]
    assert order == ["createArtifact", "createUpload", "finishUpload", "finishArtifact"]
    for each in deployment.received:
        if each.path.startswith("/api/object/"):
            assert 'id="upload"' in each.headers["authorization"]


def test_uses_s3_without_object_service(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.refused_types = {"object"}
    deployment.faults.extend([responds(403)])
    assert put_artifact(mode, "uploadArtifactFromFile", file=io.BytesIO(DATA)) == "s3"
    assert deployment.stored_requests[-1].body == DATA
    assert deployment.called("finishArtifact") == []


def test_rejected_artifact_raises(mode: TransferMode, deployment: StorageServer) -> None:
    deployment.refused_types = {"object", "s3"}
    with pytest.raises(TaskclusterRestFailure, match="no s3 here"):
        put_artifact(mode, "uploadArtifactFromBuf", data=b"x")


def test_stores_artifact_as_storage_type(mode: TransferMode, deployment: StorageServer) -> None:
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


def test_uploads_encoded_data(mode: TransferMode, deployment: StorageServer) -> None:
    encoded: dict[str, Any] = {"contentEncoding": "gzip", "contentLength": 1000}
    put_artifact(mode, "uploadArtifactFromBuf", data=b"packed", storageType="s3", **encoded)
    put_artifact(mode, "uploadArtifactFromFile", file=io.BytesIO(b"packed"), storageType="s3", **encoded)
    assert [each["contentLength"] for each in deployment.called("createArtifact")] == [1000, 1000]
    stored = [(each.body, each.headers["content-encoding"]) for each in deployment.stored_requests]
    assert stored == [(b"packed", "gzip")] * 2
    with pytest.raises(TaskclusterFailure, match="contentEncoding needs storageType='s3', not None"):
        put_artifact(mode, "uploadArtifactFromBuf", data=b"x", contentEncoding="gzip")


def test_explains_missing_object_storage(
    mode: TransferMode, deployment: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = 400, {"code": "NoMatchingBackend", "message": "no backend"}
    monkeypatch.setattr(deployment, "_createUpload", lambda name, payload: refusal)
    with pytest.raises(TaskclusterRestFailure, match="storageType='s3'") as caught:
        put_artifact(mode, "uploadArtifactFromBuf", data=DATA)
    assert (caught.value.status_code, caught.value.code) == (400, "NoMatchingBackend")
    # For other objects than artifacts, the error is the service's.
    with pytest.raises(TaskclusterRestFailure, match="no backend"):
        mode.put(data=DATA)
