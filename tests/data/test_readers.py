"""Test that libraries for data read artifacts, identical to what was stored, and how much they transfer."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import dask
import dask.dataframe as dd
import duckdb
import fsspec
import fsspec.parquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from filesystems.conftest import Tasks
from filesystems.storage import StorageServer
from jupyter_client.manager import start_new_kernel
from upath import UPath

from taskcluster_fsspec import ArtifactFileSystem, IndexFileSystem, ObjectFileSystem
from taskcluster_fsspec.upaths import ArtifactPath
from taskcluster_local import LocalTaskcluster

ROWS = 400_000
FRAME = pd.DataFrame(
    {
        "name": [f"test-{number % 1000}" for number in range(ROWS)],
        "seconds": np.random.default_rng(0).random(ROWS),
        **{f"x{number}": np.random.default_rng(number).random(ROWS) for number in range(1, 6)},
    }
)


@pytest.fixture(scope="session")
def parquet() -> bytes:
    """A file with ten row groups."""
    buffer = io.BytesIO()
    FRAME.to_parquet(buffer, row_group_size=ROWS // 10)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def csv() -> bytes:
    return FRAME.head(10_000).to_csv(index=False).encode()


@pytest.fixture(params=["gzip", None], ids=["gzip", "identity"])
def task(request: pytest.FixtureRequest, tasks: Tasks, parquet: bytes, csv: bytes) -> str:
    """A task with artifacts, and its path in the index."""
    files = {"public/t.parquet": parquet, "public/t.csv": csv, "public/u.csv": csv}
    task = tasks.with_files(files, encoding=request.param)
    tasks.add_to_index("project.data", task)
    return task


@pytest.fixture
def stored(tasks: Tasks, parquet: bytes) -> Iterator[tuple[str, StorageServer]]:
    """The path of the Parquet file, and its storage, which counts what it sends."""
    with StorageServer(parquet) as storage:
        task = tasks.create()
        tasks.declare(task, "t.parquet", "reference", url=storage.url, contentType="text/plain")
        tasks.resolve(task)
        yield f"{task}/0/t.parquet", storage


def test_pandas(task: str) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(f"tcartifact://{task}/latest/public/t.parquet"), FRAME)
    pd.testing.assert_frame_equal(pd.read_csv("tcindex://project.data/public/t.csv"), FRAME.head(10_000))
    options = {"max_concurrency": 2}
    found = pd.read_csv(f"tcartifact://{task}/0/public/t.csv", storage_options=options, nrows=5)
    pd.testing.assert_frame_equal(found, FRAME.head(5))


def test_pandas_writes_objects(local: LocalTaskcluster) -> None:
    options = {"project_id": "p"}
    for name in ("a.parquet", "a.csv", "a.csv.gz"):
        write, read = (
            (FRAME.head().to_parquet, pd.read_parquet) if "parquet" in name else (FRAME.head().to_csv, pd.read_csv)
        )
        write(f"tcobject://{name}", index=False, storage_options=options)
        pd.testing.assert_frame_equal(read(f"tcobject://{name}", storage_options=options), FRAME.head())


def test_pyarrow(task: str, fs: ArtifactFileSystem) -> None:
    path = f"{task}/0/public/t.parquet"
    assert pq.read_table(path, filesystem=fs).to_pandas().equals(FRAME)
    dataset = pyarrow.dataset.dataset(f"{task}/0/public", filesystem=fs, exclude_invalid_files=True, format="parquet")
    assert dataset.count_rows(filter=pyarrow.dataset.field("seconds") < 0.5) == int((FRAME["seconds"] < 0.5).sum())
    filesystem, found = pyarrow.fs.FileSystem.from_uri(f"fsspec+tcartifact://{path}")
    assert pq.read_table(found, filesystem=filesystem, columns=["name"]).num_rows == ROWS


def test_dask(task: str) -> None:
    frame = dd.read_csv(f"tcartifact://{task}/0/public/*.csv", blocksize=200_000)
    assert frame.npartitions > 2
    assert frame["seconds"].sum().compute(scheduler="sync") == pytest.approx(2 * FRAME.head(10_000)["seconds"].sum())
    columns = dd.read_parquet("tcindex://project.data/public/t.parquet", columns=["seconds"])
    assert columns["seconds"].sum().compute(scheduler="threads") == pytest.approx(FRAME["seconds"].sum())


def test_dask_graph_holds_no_secret(task: str, local: LocalTaskcluster) -> None:
    frame = dd.read_csv(f"tcartifact://{task}/0/public/*.csv", storage_options={"root_url": local.root_url})
    graph = pickle.dumps(dask.base.unpack_collections(frame)[0]) + pickle.dumps(frame.__dask_graph__())
    assert local.root_url.encode() in graph
    assert local.credentials["accessToken"].encode() not in graph


def test_dask_cluster_of_two_processes(task: str) -> None:
    """Each worker takes the credentials from its own environment."""
    program = f"""
        import dask.dataframe as dd
        from dask.distributed import Client, LocalCluster

        if __name__ == "__main__":
            options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1")
            with LocalCluster(**options) as cluster, Client(cluster):
                frame = dd.read_csv("tcartifact://{task}/0/public/*.csv", blocksize=200_000)
                print(frame["seconds"].sum().compute())
    """
    script = os.path.join(os.environ["HOME"], "program.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(program))
    done = subprocess.run([sys.executable, script], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    assert float(done.stdout) == pytest.approx(2 * FRAME.head(10_000)["seconds"].sum())


def test_jupyter(task: str) -> None:
    """Cells run in the event loop of a kernel."""
    cells = (
        f"import fsspec, pandas as pd\nurl = 'tcartifact://{task}/0/public/t.csv'\nlen(pd.read_csv(url))",
        "import asyncio\nlen(await asyncio.to_thread(pd.read_csv, url))",
        "with fsspec.open(url, 'rt', encoding='utf-8') as file: print(file.readline())",
    )
    manager, client = start_new_kernel()
    said: list[str] = []

    def note(message: dict[str, Any]) -> None:
        content = message["content"]
        said.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

    try:
        for cell in cells:
            reply = client.execute_interactive(cell, output_hook=note, timeout=60)
            assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    header = ",".join(FRAME.columns)
    assert [text.strip() for text in said if text.strip()] == ["10000", "10000", header]


def test_duckdb(task: str, fs: ArtifactFileSystem, index_fs: IndexFileSystem) -> None:
    with duckdb.connect() as connection:
        connection.register_filesystem(fs)
        connection.register_filesystem(index_fs)
        expected = pytest.approx(FRAME["seconds"].sum())
        url = f"tcartifact://{task}/0/public/t.parquet"
        assert connection.sql(f"SELECT sum(seconds) FROM read_parquet('{url}')").fetchall() == [(expected,)]
        found = connection.sql("SELECT count(*) FROM read_csv('tcindex://project.data/public/*.csv')").fetchall()
        assert found == [(20_000,)]


def test_polars(task: str, fs: ArtifactFileSystem) -> None:
    path = f"{task}/0/public/t.parquet"
    with fs.open(path) as file:
        assert pl.read_parquet(file, columns=["seconds"])["seconds"].sum() == pytest.approx(FRAME["seconds"].sum())
    scanned = pl.scan_pyarrow_dataset(pyarrow.dataset.dataset(path, filesystem=fs))
    assert scanned.select(pl.col("seconds").sum()).collect().item() == pytest.approx(FRAME["seconds"].sum())


def test_universal_pathlib(task: str, csv: bytes) -> None:
    path = UPath(f"tcartifact://{task}/0/public/t.csv")
    assert type(path) is ArtifactPath
    assert path.read_bytes() == csv
    assert path.is_file()
    assert path.parent.is_dir()
    assert path.name == "t.csv"
    assert str(path) == f"tcartifact://{task}/0/public/t.csv"
    assert sorted(each.name for each in path.parent.iterdir()) == ["t.csv", "t.parquet", "u.csv"]
    assert [each.name for each in UPath("tcindex://project.data/public").glob("u*")] == ["u.csv"]
    assert (path.parent / "u.csv").stat().st_size == len(csv)
    assert UPath("tcindex://project.data") / "public" / "u.csv" == UPath("tcindex://project.data/public/u.csv")


def test_universal_pathlib_keeps_names(tasks: Tasks) -> None:
    names = ["a//b", "/c", "d/", "./e", "../f", "g?", "h#", "i*", "j k", "l%41"]
    task = tasks.with_files({name: name.encode() for name in names})
    found = [path for path in UPath(f"tcartifact://{task}/0").rglob("*") if path.is_file()]
    assert sorted(path.read_text(encoding="utf-8") for path in found) == sorted(names)


def test_object_paths_write(local: LocalTaskcluster) -> None:
    path = UPath("tcobject://a/b.txt", project_id="p")
    path.write_text("text", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "text"
    assert not UPath("tcobject://a/c.txt").exists()


@pytest.mark.parametrize("reader", ["pandas", "pyarrow", "dask", "duckdb", "open_parquet_file"])
def test_one_column_transfers_little_more_than_it(
    reader: str, fs: ArtifactFileSystem, stored: tuple[str, StorageServer]
) -> None:
    path, storage = stored
    url = f"tcartifact://{path}"
    match reader:
        case "pandas":
            total = pd.read_parquet(url, columns=["seconds"])["seconds"].sum()
        case "pyarrow":
            total = pq.read_table(path, filesystem=fs, columns=["seconds"])["seconds"].to_pandas().sum()
        case "dask":
            total = dd.read_parquet(url, columns=["seconds"])["seconds"].sum().compute(scheduler="sync")
        case "duckdb":
            with duckdb.connect() as connection:
                connection.register_filesystem(fs)
                [(total,)] = connection.sql(f"SELECT sum(seconds) FROM read_parquet('{url}')").fetchall()
        case _:
            with fsspec.parquet.open_parquet_file(path, columns=["seconds"], fs=fs) as file:
                total = pd.read_parquet(file, columns=["seconds"])["seconds"].sum()
    assert total == pytest.approx(FRAME["seconds"].sum())
    metadata = pq.read_metadata(io.BytesIO(storage.content))
    column = sum(metadata.row_group(number).column(1).total_compressed_size for number in range(10))
    # open_parquet_file requests the last million bytes, twice.
    assert storage.sent < 1.3 * column + (2_000_000 if reader == "open_parquet_file" else 0)


@pytest.mark.parametrize("reader", ["pandas", "pyarrow", "duckdb", "polars"])
def test_encoded_file_is_transferred_once(
    reader: str, tasks: Tasks, fs: ArtifactFileSystem, stored: tuple[str, StorageServer]
) -> None:
    path, storage = stored
    storage.content = gzip.compress(storage.content, 1)
    storage.headers["Content-Encoding"] = "gzip"
    match reader:
        case "pandas":
            rows = len(pd.read_parquet(f"tcartifact://{path}"))
        case "pyarrow":
            rows = pq.read_table(path, filesystem=fs).num_rows
        case "duckdb":
            with duckdb.connect() as connection:
                connection.register_filesystem(fs)
                [(rows,)] = connection.sql(f"SELECT count(x1) FROM read_parquet('tcartifact://{path}')").fetchall()
        case _:
            with fs.open(path) as file:
                rows = len(pl.read_parquet(file))
    assert rows == ROWS
    assert storage.sent == len(storage.content)


def test_reading_objects(tasks: Tasks, object_fs: ObjectFileSystem, parquet: bytes) -> None:
    object_fs.pipe_file("t.parquet", parquet)
    url: Any = "tcobject://t.parquet"
    assert pd.read_parquet(url, columns=["seconds"])["seconds"].sum() == pytest.approx(FRAME["seconds"].sum())
    with duckdb.connect() as connection:
        connection.register_filesystem(object_fs)
        assert connection.sql(f"SELECT count(*) FROM read_parquet('{url}')").fetchall() == [(ROWS,)]
