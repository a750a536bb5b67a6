"""Test filesystems in forked and spawned processes, in threads, under an event loop, and what their pickles hold."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gzip
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from taskcluster_fsspec import ArtifactFileSystem, ObjectFileSystem
from taskcluster_fsspec.exceptions import Changed
from taskcluster_local import LocalTaskcluster

from .conftest import Tasks
from .storage import Exchange, StorageServer

DATA = os.urandom(300_000)


def read(fs: Any, path: str, start: int, end: int) -> bytes:
    data: bytes = fs.cat_file(path, start, end)
    return data


def read_open(file: Any) -> bytes:
    file.seek(200_000)
    data: bytes = file.read(10)
    return data


@pytest.fixture
def task(tasks: Tasks) -> str:
    task = tasks.create()
    tasks.put(task, "plain", DATA)
    tasks.put(task, "packed", DATA, encoding="gzip")
    tasks.resolve(task)
    return task


def in_child(function: Any) -> bytes:
    """Return what a function returns in a forked child."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(sending, function())
        finally:
            os._exit(0)
    os.close(sending)
    with open(receiving, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return data


# Python 3.12 and newer warn about forks of processes with threads; the deployment has some.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", ["plain", "packed"])
def test_forked_child_reads(fs: ArtifactFileSystem, task: str, name: str) -> None:
    path = f"{task}/0/{name}"
    with fs.open(path) as file:
        assert file.read(10) == DATA[:10]
        assert in_child(lambda: read_open(file)) == DATA[200_000:200_010]
        assert in_child(lambda: read(fs, path, 5, 15)) == DATA[5:15]
        assert read_open(file) == DATA[200_000:200_010]


@pytest.mark.once
def test_spawned_process_reads(fs: ArtifactFileSystem, task: str) -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        assert pool.submit(fs.cat_file, f"{task}/0/packed", 5, 15).result() == DATA[5:15]


def test_threads_share_a_filesystem(fs: ArtifactFileSystem, task: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for name in ("plain", "packed"):
            parts = pool.map(
                lambda start, name=name: read(fs, f"{task}/0/{name}", start, start + 9), range(0, 290_000, 9_999)
            )
            assert list(parts) == [DATA[start : start + 9] for start in range(0, 290_000, 9_999)]


def test_threads_fetch_an_encoded_file_once(tasks: Tasks, fs: ArtifactFileSystem) -> None:
    content = os.urandom(1_000_000)
    with StorageServer(gzip.compress(content), **{"Content-Encoding": "gzip"}) as storage:
        path = reference(tasks, storage)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(fs.cat_file, [path] * 4)) == [content] * 4
        assert fs.info(path)["size"] == len(content)
        assert storage.sent == len(storage.content)


@pytest.mark.parametrize("name", ["plain", "packed"])
def test_pickled_file_stays_with_its_run(tasks: Tasks, fs: ArtifactFileSystem, task: str, name: str) -> None:
    with fs.open(f"{task}/latest/{name}") as file:
        file.seek(200_000)
        tasks.rerun(task, 1)
        tasks.put(task, name, b"rerun", run=1)
        with pickle.loads(pickle.dumps(file)) as copy:
            assert copy.read(10) == DATA[200_000:200_010]


@pytest.mark.parametrize("encoding", ["gzip", None], ids=["gzip", "identity"])
def test_pickled_file_of_another_version_is_an_error(
    tasks: Tasks, fs: ArtifactFileSystem, encoding: str | None
) -> None:
    task = tasks.create()
    tasks.put(task, "a", DATA, encoding=encoding)
    with fs.open(f"{task}/0/a") as file:
        pickled = pickle.dumps(file)
        tasks.put(task, "a", DATA[::-1], encoding=encoding)
        with pytest.raises(Changed, match="open it again"):
            pickle.loads(pickled)


@pytest.mark.once
def test_interrupt_does_not_wait_for_requests(tasks: Tasks) -> None:
    is_waiting, is_over = threading.Semaphore(0), threading.Event()

    def hang(exchange: Exchange) -> None:
        is_waiting.release()
        is_over.wait()
        exchange.respond()

    with StorageServer(b"1") as storage:
        storage.behaviour = hang
        program = f"""
            import fsspec
            try:
                fsspec.filesystem("tcartifact").cat(["{reference(tasks, storage)}", "{reference(tasks, storage)}"])
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as child:
            try:
                for _ in range(2):
                    assert is_waiting.acquire(timeout=60)
                child.send_signal(signal.SIGINT)
                assert child.stdout is not None
                assert child.stdout.readline() == "interrupted\n"
                # There were no timeouts.
                assert len(storage.requests) == 2
            finally:
                is_over.set()
    assert child.returncode == 0


def test_works_in_a_running_event_loop(fs: ArtifactFileSystem, task: str) -> None:
    """As in a cell of Jupyter."""

    async def cell() -> bytes:
        return fs.cat_file(f"{task}/0/plain", 5, 15)

    assert asyncio.run(cell()) == DATA[5:15]


def test_async_wrapper_reads(fs: ArtifactFileSystem, task: str) -> None:
    async def read_both() -> list[bytes]:
        wrapped = AsyncFileSystemWrapper(fs, asynchronous=True)
        assert await wrapped._find(f"{task}/0") == [f"{task}/0/packed", f"{task}/0/plain"]
        return await asyncio.gather(*(wrapped._cat_file(f"{task}/0/{name}") for name in ("plain", "packed")))

    assert asyncio.run(read_both()) == [DATA, DATA]


def test_secrets_are_in_no_pickle(fs: ArtifactFileSystem, task: str, local: LocalTaskcluster) -> None:
    fs.cat_file(f"{task}/0/plain")
    secret = local.credentials["accessToken"]
    with fs.open(f"{task}/0/plain") as file:
        shown = [repr(fs), repr(file), str(fs.to_dict()), fs.to_json(), str(fs.storage_options), str(vars(file))]
    assert not any(secret in text for text in shown)
    pickled = pickle.dumps(fs)
    assert secret.encode() not in pickled
    copied = pickle.loads(pickled)
    assert copied.cat_file(f"{task}/0/plain") == DATA
    copied.close()
    fsspec.AbstractFileSystem.from_json(fs.to_json()).close()


@pytest.mark.parametrize("option", ["credentials", "accessToken", "access_token", "token", "password"])
def test_credentials_are_refused_as_options(local: LocalTaskcluster, option: str) -> None:
    with pytest.raises(TypeError, match=f"{option} is no option, because options are part of pickles") as caught:
        fsspec.filesystem("tcartifact", **{option: "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_open_file_options_travel_without_secrets(local: LocalTaskcluster, task: str) -> None:
    opened = fsspec.open(f"tcartifact://{task}/0/plain", root_url=local.root_url)
    pickled = pickle.dumps(opened)
    assert local.credentials["accessToken"].encode() not in pickled
    with pickle.loads(pickled) as file:
        assert file.read() == DATA


def test_root_url_option_and_config_file(
    tasks: Tasks, task: str, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("ROOT_URL", "CLIENT_ID", "ACCESS_TOKEN"):
        monkeypatch.delenv(f"TASKCLUSTER_{name}")
    file = tmp_path / "other.yml"
    file.write_text(json.dumps({"rootUrl": local.root_url, **local.credentials}), "utf-8")
    fs = ArtifactFileSystem(config_file=str(file))
    assert fs.cat_file(f"{task}/0/plain") == DATA
    fs.close()
    fs = ArtifactFileSystem(root_url=local.root_url)
    with pytest.raises(PermissionError):
        fs.cat_file(f"{task}/0/plain")
    fs.close()


@pytest.mark.parametrize("kind", [ArtifactFileSystem, ObjectFileSystem])
def test_unused_filesystem_closes_without_a_deployment(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASKCLUSTER_ROOT_URL", raising=False)
    kind(skip_instance_cache=True).close()


def test_profile_is_a_source_of_credentials(
    task: str, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    profiles = pytest.importorskip("taskcluster_cli.profiles", reason="needs taskcluster-cli")
    for name in ("ROOT_URL", "CLIENT_ID", "ACCESS_TOKEN"):
        monkeypatch.delenv(f"TASKCLUSTER_{name}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    credentials = local.credentials
    profile = profiles.Profile("ci", local.root_url, credentials["clientId"], access_token=credentials["accessToken"])
    profiles.Profiles(os.environ, print).save(profile, is_default=False)
    fs = ArtifactFileSystem(profile="ci")
    assert fs.cat_file(f"{task}/0/plain") == DATA
    assert credentials["accessToken"].encode() not in pickle.dumps(fs)
    fs.close()
    with pytest.raises(Exception, match="there is no profile 'none'"):
        ArtifactFileSystem(profile="none").ls(task)


# It writes a text file without an encoding.
@pytest.mark.filterwarnings("ignore::EncodingWarning")
def test_local_copies(task: str) -> None:
    with fsspec.open(f"simplecache::tcartifact://{task}/0/packed") as file:
        assert file.read() == DATA
    with fsspec.open(f"filecache::tcartifact://{task}/0/plain") as file:
        assert file.read(10) == DATA[:10]


def test_mapping(tasks: Tasks) -> None:
    task = tasks.with_files({"zarr/.zgroup": b"{}", "zarr/a/0": b"1"})
    mapping = fsspec.get_mapper(f"tcartifact://{task}/0/zarr")
    assert dict(mapping) == {".zgroup": b"{}", "a/0": b"1"}


def test_identity_of_files(tasks: Tasks, fs: ArtifactFileSystem, object_fs: ObjectFileSystem) -> None:
    task = tasks.with_files({"a": b"1", "b": b"1"})
    keys = [fs.ukey(f"{task}/0/a"), fs.ukey(f"{task}/latest/a"), fs.ukey(f"{task}/0/b")]
    assert keys[0] == keys[1] != keys[2]
    assert fs.checksum(f"{task}/0/a") == int(keys[0], 16)
    resolved = tasks.queue.status(task)["status"]["runs"][0]["resolved"]
    assert fs.modified(f"{task}/latest/a").isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z" == resolved
    object_fs.pipe_file("a", b"1")
    assert object_fs.modified("a").tzinfo is not None
    assert object_fs.ukey("a") == object_fs.ukey("a")


@pytest.mark.once
def test_closed_filesystem_leaves_nothing_open(local: LocalTaskcluster, task: str) -> None:
    program = f"""
        import gc, fsspec
        fs = fsspec.filesystem("tcartifact")
        fs.cat("{task}/0/plain")
        fs.info("{task}/0/packed")
        fs.get("{task}/0/", "got", recursive=True)
        file = fs.open("{task}/0/packed")
        file.read(5)
        file.close()
        fs.close()
        del file, fs
        fsspec.get_filesystem_class("tcartifact").clear_instance_cache()
        gc.collect()
        fsspec.filesystem("tcartifact").cat("{task}/0/plain")
    """
    command = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "error",
        "-W",
        "ignore::EncodingWarning",
        "-c",
        textwrap.dedent(program),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=os.environ["HOME"])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.once
def test_memory_is_bounded(tasks: Tasks) -> None:
    """Of an encoded file of 400 MB, and of one of 5 GB of which a part is read."""
    with (
        StorageServer(gzip.compress(bytes(400_000_000), 1), **{"Content-Encoding": "gzip"}) as packed,
        StorageServer() as huge,
    ):
        huge.behaviour = five_gigabytes
        program = f"""
            import resource, fsspec
            fs = fsspec.filesystem("tcartifact")
            with fs.open("{reference(tasks, huge)}") as file:
                assert file.seek(-10, 2) == 5_000_000_000 - 10
                assert len(file.read()) == 10
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with fs.open("{reference(tasks, packed)}") as file:
                assert file.seek(-5, 2) == 400_000_000 - 5
                assert file.read() == bytes(5)
            fs.close()
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    assert huge.sent < 200_000
    # KiB.
    assert int(done.stdout) < 40_000


def five_gigabytes(exchange: Exchange) -> None:
    size, handler = 5_000_000_000, exchange.handler
    first, _, last = handler.headers["Range"].removeprefix("bytes=").partition("-")
    end = min(int(last), size - 1)
    handler.send_response(206)
    handler.send_header("ETag", '"1"')
    handler.send_header("Content-Range", f"bytes {first}-{end}/{size}")
    handler.send_header("Content-Length", str(end - int(first) + 1))
    handler.end_headers()
    handler.wfile.write(bytes(end - int(first) + 1))
    exchange.server.sent += end - int(first) + 1


def reference(tasks: Tasks, storage: StorageServer) -> str:
    task = tasks.create()
    tasks.declare(task, "file", "reference", url=storage.url, contentType="text/plain")
    tasks.resolve(task)
    return f"{task}/0/file"
