"""Fixtures: a deployment, sync and async functions, and a check for leaks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import taskcluster
import taskcluster.aio

from .deployment import PATIENCE, Blob, StorageServer

CREDENTIALS = {"clientId": "tester", "accessToken": "hidden-token"}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("TASKCLUSTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def deployment() -> Iterator[StorageServer]:
    """A new deployment for each test."""
    deployment = StorageServer()
    yield deployment
    deployment.close()


class TransferMode:
    """Sync or async functions, called alike."""

    def __init__(self, name: str, deployment: StorageServer) -> None:
        self.name = name
        self.deployment = deployment
        package: Any = taskcluster if name == "sync" else taskcluster.aio
        self.package = package
        self.upload, self.download = package.upload, package.download

    def __str__(self) -> str:
        return self.name

    def client(self, service: str, **options: Any) -> Any:
        given = {"rootUrl": self.deployment.root_url, "credentials": CREDENTIALS, "delayFactor": 0, "timeout": PATIENCE}
        return getattr(self.package, service)({**given, **options})

    def run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function, and close its clients."""
        clients = [each for each in kwargs.values() if isinstance(each, taskcluster.BaseClient)]
        try:
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                result = asyncio.run(result)
            return result
        finally:
            for client in clients:
                client.close()

    # Shortcuts.

    def get(self, name: str, function: str = "downloadToBuf", *args: Any, **kwargs: Any) -> Any:
        options = kwargs.pop("options", {})
        service = self.client("Object", **options)
        return self.run(getattr(self.download, function), *args, name=name, objectService=service, **kwargs)

    def get_artifact(self, name: str, function: str = "downloadArtifactToBuf", *args: Any, **kwargs: Any) -> Any:
        service = self.client("Queue", **kwargs.pop("options", {}))
        call = {"taskId": "T", "name": name, "queueService": service, **kwargs}
        return self.run(getattr(self.download, function), *args, **call)

    def put(self, function: str = "uploadFromBuf", **kwargs: Any) -> Any:
        service = self.client("Object", **kwargs.pop("options", {}))
        given = {"projectId": "proj", "name": "some/name", "contentType": "text/plain", "objectService": service}
        return self.run(getattr(self.upload, function), **{**given, "expires": taskcluster.fromNow("1 day"), **kwargs})


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest, deployment: StorageServer) -> TransferMode:
    """First sync, then async functions."""
    return TransferMode(request.param, deployment)


@pytest.fixture
def leaks(deployment: StorageServer, mode: TransferMode, tmp_path: Path) -> Iterator[None]:
    """Fails if descriptors, connections, threads or temporary files are left."""
    # Descriptors that are opened once per process, e.g. for epoll, are opened before the first count.
    deployment.blobs["warm"] = Blob(b"warm")
    mode.get("warm")
    deployment.wait_until(lambda: deployment.open == 0)
    deployment.received.clear()
    deployment.api.clear()
    before = _descriptors()
    # Deployments of other tests may run for the whole session.
    threads = set(threading.enumerate())
    yield
    gc.collect()
    # The deployment may accept an abandoned connection late, and close it then.
    deployment.wait_until(lambda: deployment.open == 0 and not _descriptors() - before)
    for thread in set(threading.enumerate()) - threads:
        if thread.name.startswith("taskcluster"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread.name
    assert temporary_files(tmp_path) == []


def temporary_files(directory: Path) -> list[str]:
    """Return the names of unfinished files."""
    return [str(path) for path in directory.rglob(".*") if path.suffix == ".part"]


def _descriptors() -> set[tuple[str, str]]:
    """Return the open descriptors and their targets."""
    if not os.path.isdir("/proc/self/fd"):
        return set()
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        # The descriptor of the listing itself is closed by now.
        with suppress(FileNotFoundError):
            found.add((descriptor, os.readlink(f"/proc/self/fd/{descriptor}")))
    return found
