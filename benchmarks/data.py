"""Measure how pandas and Dask read artifacts of the local deployment, which runs in another process.

`python -m benchmarks.data` prints a table; it needs pandas, pyarrow and Dask.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from dask.distributed import Client, LocalCluster
from taskcluster_queue import Queue

import taskcluster
import taskcluster.aio
from taskcluster.download import downloadArtifactToPath, downloadTaskArtifacts
from taskcluster.transport.bodies import Body
from taskcluster.upload import uploadArtifactFromBuf
from taskcluster_fsspec import ArtifactFileSystem

from .contenders import Child
from .report import table_of_targets

_ROWS, _COLUMNS = 1_000_000, 7
_FILES, _ARTIFACTS = 200, 10_000
_BYTES, _SPEED, _LIMIT = 1.3, 0.8, 0.9


class _Site:
    """A deployment, and what the measurements do with it."""

    def __init__(self, root_url: str, token: str) -> None:
        credentials = {"clientId": "static/taskcluster/root", "accessToken": token}
        self.options = {"rootUrl": root_url, "credentials": credentials}
        self.queue = taskcluster.Queue(self.options)
        # For the filesystems, also in Dask's processes.
        os.environ["TASKCLUSTER_ROOT_URL"] = root_url
        os.environ["TASKCLUSTER_CLIENT_ID"] = credentials["clientId"]
        os.environ["TASKCLUSTER_ACCESS_TOKEN"] = token

    def task(self) -> str:
        task_id = str(taskcluster.slugId())
        definition = {
            "taskQueueId": "proj/ci",
            "created": taskcluster.fromNow("0 seconds"),
            "deadline": taskcluster.fromNow("1 day"),
            "payload": {},
            "metadata": {"name": "n", "description": "", "owner": "o@example.com", "source": "https://example.com"},
        }
        self.queue.createTask(task_id, definition)
        self.queue.claimTask(task_id, 0, {"workerGroup": "g", "workerId": "w"})
        return task_id

    def put(self, task_id: str, name: str, data: bytes, **encoded: Any) -> None:
        uploadArtifactFromBuf(
            taskId=task_id, runId=0, name=name, contentType="x/y", expires=taskcluster.fromNow("1 day"), data=data,
            queueService=self.queue, storageType="s3", **encoded,
        )  # fmt: skip

    def resolve(self, task_id: str) -> None:
        self.queue.reportCompleted(task_id, 0)

    async def declare(self, task_id: str, count: int) -> None:
        payload = {
            "storageType": "error",
            "reason": "file-missing-on-worker",
            "message": "",
            "expires": taskcluster.fromNow("1 day"),
        }
        async with taskcluster.aio.Queue(self.options) as queue:
            for start in range(0, count, 100):
                names = [f"public/{number % 100}/{number}.csv" for number in range(start, start + 100)]
                await asyncio.gather(*(queue.createArtifact(task_id, 0, name, payload) for name in names))


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _received() -> list[int]:
    """Return a list that grows by the size of each piece that is read from storage."""
    sizes: list[int] = []
    original = Body.read1

    def counting(self: Body, size: int) -> bytes:
        data = original(self, size)
        sizes.append(len(data))
        return data

    Body.read1 = counting  # type: ignore[method-assign]
    return sizes


def _fresh() -> None:
    """Forget connections, listings and decoded files."""
    ArtifactFileSystem.clear_instance_cache()


def _one_column(task_id: str, received: list[int], parquet: bytes) -> float:
    metadata = pq.read_metadata(io.BytesIO(parquet))
    size = sum(metadata.row_group(number).column(1).total_compressed_size for number in range(metadata.num_row_groups))
    _fresh()
    received.clear()
    pd.read_parquet(f"tcartifact://{task_id}/0/plain.parquet", columns=["x1"])
    return sum(received) / size


def _encoded(site: _Site, task_id: str, received: list[int], size: int, rounds: int) -> tuple[float, float]:
    """Return how often the file was transferred, and the rate relative to a download to a path."""
    path = f"{task_id}/0/packed.parquet"
    ours: list[float] = []
    download: list[float] = []

    def read() -> None:
        _fresh()
        with ArtifactFileSystem().open(path) as file:
            while file.read(2**20):
                pass

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "file")

        def to_path() -> None:
            downloadArtifactToPath(target, taskId=task_id, runId=0, name="packed.parquet", queueService=site.queue)

        for _ in range(rounds):
            download.append(_seconds(to_path))
            ours.append(_seconds(read))
        _fresh()
        received.clear()
        pd.read_parquet(f"tcartifact://{path}")
        times = sum(received) / size
    return times, statistics.median(download) / statistics.median(ours)


def _many(site: _Site, task_id: str, rounds: int) -> tuple[float, float]:
    """Return the rate of Dask relative to downloading and pandas, and to downloading and Dask on the files."""
    ours: list[float] = []
    by_pandas: list[float] = []
    on_files: list[float] = []
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}

    def by_dask() -> None:
        dd.read_csv(f"tcartifact://{task_id}/0/csv/*.csv")["x1"].sum().compute()

    def by_download() -> None:
        with tempfile.TemporaryDirectory() as folder:
            paths = downloadTaskArtifacts(task_id, "csv/*", folder, runId=0, queueService=site.queue)
            sum(pd.read_csv(path)["x1"].sum() for path in paths.values())

    def by_dask_on_files() -> None:
        with tempfile.TemporaryDirectory() as folder:
            downloadTaskArtifacts(task_id, "csv/*", folder, runId=0, queueService=site.queue)
            dd.read_csv(f"{folder}/csv/*.csv")["x1"].sum().compute()

    with LocalCluster(**options) as cluster, Client(cluster) as client:
        by_dask()
        for _ in range(rounds):
            client.run(_fresh)
            ours.append(_seconds(by_dask))
            by_pandas.append(_seconds(by_download))
            on_files.append(_seconds(by_dask_on_files))
    rate = 1 / statistics.median(ours)
    return rate * statistics.median(by_pandas), rate * statistics.median(on_files)


def _glob(task_id: str) -> tuple[list[int], list[float]]:
    """Return how many pages were listed by the first and the second glob, and their seconds."""
    calls: Counter[str] = Counter()
    original = Queue.listArtifacts

    def counting(self: Queue, *args: Any, **kwargs: Any) -> Any:
        calls["listArtifacts"] += 1
        return original(self, *args, **kwargs)

    Queue.listArtifacts = counting  # type: ignore[method-assign]
    _fresh()
    pages, seconds = [], []
    for _ in range(2):
        before = calls.total()
        seconds.append(_seconds(lambda: ArtifactFileSystem().glob(f"{task_id}/0/public/*/*.csv")))
        pages.append(calls.total() - before)
    return pages, seconds


def main() -> None:
    """Print the table; with --check, exit with 1 if a target is missed."""
    rounds = 3
    frame = pd.DataFrame({f"x{n}": np.random.default_rng(n).random(_ROWS) for n in range(_COLUMNS)})
    buffer = io.BytesIO()
    frame.to_parquet(buffer, row_group_size=_ROWS // 10)
    parquet = buffer.getvalue()
    csv = frame.head(7_500).to_csv(index=False).encode()
    with Child(sys.executable, "local", "deployment") as server:
        site = _Site(*server.read().split())
        task_id = site.task()
        site.put(task_id, "plain.parquet", parquet)
        packed = gzip.compress(parquet, 1)
        site.put(task_id, "packed.parquet", packed, contentEncoding="gzip", contentLength=len(parquet))
        for number in range(_FILES):
            site.put(task_id, f"csv/{number}.csv", csv)
        site.resolve(task_id)
        crowded = site.task()
        asyncio.run(site.declare(crowded, _ARTIFACTS))
        site.resolve(crowded)
        received = _received()
        column = _one_column(task_id, received, parquet)
        times, rate = _encoded(site, task_id, received, len(packed), rounds)
        many, many_on_files = _many(site, task_id, rounds)
        pages, seconds = _glob(crowded)
        _fresh()
        site.queue.close()
    megabytes = len(parquet) / 1e6
    rows = [
        (f"one column of {megabytes:.0f} MB of Parquet: bytes transferred, relative to the column", f"{column:.2f}",
         "at most 1.3", column <= _BYTES),
        ("the same file encoded: times that it is transferred by pandas", f"{times:.2f}", "1", times <= 1.001),
        ("reading it, relative to downloadArtifactToPath", f"{rate:.2f}", "at least 0.8", rate >= _SPEED),
        (f"{_FILES} CSV files of {len(csv) / 1e6:.1f} MB by Dask in two processes, relative to "
         "downloadTaskArtifacts and pandas", f"{many:.2f}", "at least 0.8", many >= _SPEED),
        ("the same, relative to downloadTaskArtifacts and Dask on the files, which is what Dask allows",
         f"{many_on_files:.2f}", "at least 0.9", many_on_files >= _LIMIT),
        (f"pages listed by `glob` in {_ARTIFACTS} artifacts, the first and the second time ({seconds[0]:.2f} and "
         f"{seconds[1]:.2f} s)", f"{pages[0]}, {pages[1]}", "one listing, 0", pages[0] > 0 == pages[1]),
    ]  # fmt: skip
    text, met = table_of_targets(rows)
    print(text)
    sys.exit("--check" in sys.argv and not met)


if __name__ == "__main__":
    main()
