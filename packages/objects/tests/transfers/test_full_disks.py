"""Full disks: no file is left, and an old one is not changed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .conftest import TransferMode
from .deployment import Blob, StorageServer

pytestmark = pytest.mark.once

resource = pytest.importorskip("resource", reason="needs limits of files' sizes")

DATA = bytes(3_000_000)
LIMIT = 1_000_000


PROGRAM = """
import asyncio, inspect, os, resource, sys
import taskcluster, taskcluster.aio

mode, root, directory, limit = sys.argv[1:]
package = taskcluster if mode == "sync" else taskcluster.aio
options = {"rootUrl": root, "maxRetries": 3, "delayFactor": 0}


async def awaited(function, *args, **kwargs):
    result = function(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


def call(service, function, *args, **kwargs):
    client = getattr(package, service)(options)
    given = {("objectService" if service == "Object" else "queueService"): client, **kwargs}
    try:
        return asyncio.run(awaited(getattr(package.download, function), *args, **given))
    except OSError as exc:
        return type(exc).__name__, exc.errno
    finally:
        if mode == "sync":
            client.close()


resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
for name in ("old", "new"):
    path = os.path.join(directory, name)
    print(call("Object", "downloadToPath", path, name="big"))
    print(call("Queue", "downloadArtifactToPath", path, taskId="T", name="public/big"))
    with open(os.path.join(directory, "open"), "wb") as file:
        print(call("Object", "downloadToFile", file, name="big"))
    os.unlink(os.path.join(directory, "open"))
print(call("Queue", "downloadTaskArtifacts", "T", "*", directory))
"""


@pytest.mark.usefixtures("leaks")
def test_file_size_limit_leaves_no_file_and_keeps_old_one(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path
) -> None:
    deployment.blobs["big"] = Blob(DATA)
    for name in ("public/big", "old", "public/other"):
        deployment.artifacts[name] = {"storageType": "s3", "url": lambda: deployment.url("big")}
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "big").write_bytes(b"old")
    command = [sys.executable, "-W", "error", "-c", PROGRAM, mode.name, deployment.root_url, str(tmp_path), str(LIMIT)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"('OSError', {errno.EFBIG})"] * 7
    assert sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")) == ["old", "public", "public/big"]
    assert {(tmp_path / name).read_bytes() for name in ("old", "public/big")} == {b"old"}
    # None was retried: each sent one request to storage, or none if another one had failed before.
    assert 7 <= len(deployment.stored_requests) <= 9


class Full(OSError):
    """An error that the test recognizes by its type."""


@pytest.mark.usefixtures("leaks")
@pytest.mark.parametrize("after", [0, 1_000_000])
def test_raises_error_of_full_file_without_retry(
    mode: TransferMode, deployment: StorageServer, tmp_path: Path, after: int
) -> None:
    deployment.blobs["big"] = Blob(DATA)
    deployment.artifacts["a"] = {"storageType": "s3", "url": lambda: deployment.url("big")}

    class FullDiskFile:
        """A file with a buffer, open on a disk with room for `after` bytes."""

        def __init__(self) -> None:
            self.room = after

        def seekable(self) -> bool:
            return False

        def write(self, data: Any) -> int:
            if len(data) > self.room:
                raise Full(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= len(data)
            return len(data)

    for call in (
        partial(mode.get, "big", "downloadToFile"),
        partial(mode.get_artifact, "a", "downloadArtifactToFile"),
    ):
        deployment.received.clear()
        with pytest.raises(Full) as caught:
            call(FullDiskFile())
        assert caught.value.errno == errno.ENOSPC
        assert len(deployment.stored_requests) == 1
