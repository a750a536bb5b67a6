"""Progress of uploads and downloads."""

from __future__ import annotations

import asyncio

import pytest

from taskcluster.exceptions import TaskclusterFailure

from .conftest import TransferMode
from .deployment import Blob, StorageServer
from .test_usage import DATA, artifacts


@pytest.mark.parametrize("kind", ["coroutine function", "gives an awaitable"])
def test_only_async_functions_accept_async_progress(mode: TransferMode, deployment: StorageServer, kind: str) -> None:
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


def test_reports_bytes_done_and_total(mode: TransferMode, deployment: StorageServer) -> None:
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
