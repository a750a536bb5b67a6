"""Tasks with artifacts on a local deployment."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

import taskcluster
from taskcluster_fsspec import ArtifactFileSystem, IndexFileSystem, ObjectFileSystem
from taskcluster_local import LocalTaskcluster


class Tasks:
    """Creates tasks, runs, artifacts, objects and index entries.

    Args:
        local: The deployment.
    """

    def __init__(self, local: LocalTaskcluster) -> None:
        self.local = local
        self.queue = taskcluster.Queue(local.options())
        self.index = taskcluster.Index(local.options())
        self.object = taskcluster.Object(local.options())

    def close(self) -> None:
        for client in (self.queue, self.index, self.object):
            client.close()

    def create(self, task_id: str | None = None, **definition: Any) -> str:
        """Create a task, and start its first run."""
        task_id = task_id or taskcluster.slugId()
        task = {
            "taskQueueId": "proj/ci",
            "created": self.local.now(),
            "deadline": taskcluster.fromNow("1 day", self.local.now()),
            "expires": taskcluster.fromNow("1 month", self.local.now()),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "me@example.com", "source": "https://example.com"},
        }
        self.queue.createTask(task_id, {**task, **definition})
        self.claim(task_id)
        return task_id

    def claim(self, task_id: str, run: int = 0) -> None:
        self.queue.claimTask(task_id, run, {"workerGroup": "g", "workerId": "w"})

    def resolve(self, task_id: str, run: int = 0) -> None:
        self.queue.reportCompleted(task_id, run)

    def rerun(self, task_id: str, run: int) -> None:
        self.queue.rerunTask(task_id)
        self.claim(task_id, run)

    def put(
        self,
        task_id: str,
        name: str,
        data: bytes = b"",
        run: int = 0,
        *,
        encoding: str | None = None,
        length: int | None = None,
        content_type: str = "application/octet-stream",
    ) -> None:
        """Create an artifact on s3, with `data` encoded."""
        described: dict[str, Any] = {} if length is None else {"contentLength": length}
        created = self.queue.createArtifact(
            task_id,
            run,
            name,
            {
                "storageType": "s3",
                "contentType": content_type,
                "expires": taskcluster.fromNow("1 week", self.local.now()),
                **described,
            },
        )
        headers = {"Content-Type": content_type} | ({} if encoding is None else {"Content-Encoding": encoding})
        stored = gzip.compress(data, 1) if encoding == "gzip" else data
        response = requests.put(created["putUrl"], stored, headers=headers, timeout=60)
        response.raise_for_status()

    def declare(self, task_id: str, name: str, kind: str, run: int = 0, **details: Any) -> None:
        """Create an artifact of another storage type."""
        expires = taskcluster.fromNow("1 week", self.local.now())
        self.queue.createArtifact(task_id, run, name, {"storageType": kind, "expires": expires, **details})

    def with_files(self, files: Mapping[str, bytes], **kwargs: Any) -> str:
        """Create a completed task with artifacts."""
        task_id = self.create()
        for name, data in files.items():
            self.put(task_id, name, data, **kwargs)
        self.resolve(task_id)
        return task_id

    def add_to_index(self, path: str, task_id: str, rank: int = 0) -> None:
        expires = taskcluster.fromNow("1 day", self.local.now())
        self.index.insertTask(path, {"taskId": task_id, "rank": rank, "data": {}, "expires": expires})


@pytest.fixture(scope="session")
def server() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster(poll=0) as local:
        yield local


@pytest.fixture
def local(server: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[LocalTaskcluster]:
    """An empty deployment, which the environment names."""
    server.reset()
    for name in ("TASKCLUSTER_CERTIFICATE", "TASKCLUSTER_PROXY_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", server.root_url)
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", server.credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", server.credentials["accessToken"])
    yield server
    for each in (ArtifactFileSystem, IndexFileSystem, ObjectFileSystem):
        each.clear_instance_cache()


@pytest.fixture
def tasks(local: LocalTaskcluster) -> Iterator[Tasks]:
    made = Tasks(local)
    yield made
    made.close()


@pytest.fixture
def fs(local: LocalTaskcluster) -> Iterator[ArtifactFileSystem]:
    made = ArtifactFileSystem(skip_instance_cache=True)
    yield made
    made.close()


@pytest.fixture
def index_fs(local: LocalTaskcluster) -> Iterator[IndexFileSystem]:
    made = IndexFileSystem(skip_instance_cache=True)
    yield made
    made.close()


@pytest.fixture
def object_fs(local: LocalTaskcluster) -> Iterator[ObjectFileSystem]:
    made = ObjectFileSystem(project_id="proj", skip_instance_cache=True)
    yield made
    made.close()
