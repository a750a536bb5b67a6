"""Files, directories and caches that tasks mount."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import struct
import subprocess
import tarfile
import threading
import time
import zipfile
import zlib
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import taskcluster
from taskcluster_worker.caches import is_purged
from taskcluster_worker.contents import Contents
from taskcluster_worker.formats import unpack_archive, unpack_file
from taskcluster_worker.resolution import TaskFailed
from taskcluster_worker.task import IndexedContent

from .conftest import QUEUE

DATA = b"data " * 1000
CACHE = {"scopes": ["generic-worker:cache:c"]}


def tar_of(*members: tarfile.TarInfo, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for member in members:
            archive.addfile(member, io.BytesIO(DATA) if member.isreg() else None)
    return stream.getvalue()


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = len(DATA) if fields.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def unpacked(tmp_path: Path, data: bytes, kind: str) -> Path:
    (tmp_path / "packed").write_bytes(data)
    target = tmp_path / "target"
    target.mkdir()
    unpack_archive(tmp_path / "packed", kind, target, threading.Event())
    return target


@pytest.mark.parametrize(
    ("kind", "pack"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zz", zlib.compress)],
    ids=["gz", "bz2", "xz", "zz"],
)
def test_unpacks_files_and_archives(tmp_path, kind, pack):
    (tmp_path / "packed").write_bytes(pack(DATA))
    unpack_file(tmp_path / "packed", kind, tmp_path / "file", threading.Event())
    assert (tmp_path / "file").read_bytes() == DATA
    target = unpacked(tmp_path, pack(tar_of(member("a/b"))), f"tar.{kind}")
    assert (target / "a" / "b").read_bytes() == DATA


@pytest.mark.parametrize(
    ("kind", "program"), [("zst", "zstd"), ("lz4", "lz4"), ("lz", "lzip"), ("br", "brotli")], ids=str
)
@pytest.mark.once
def test_unpacks_with_programs(tmp_path, unavailable, kind, program):
    if shutil.which(program) is None:
        unavailable(f"{program} is not installed: apt-get install {program}")

    def pack(data: bytes) -> bytes:
        return subprocess.run([program, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout

    assert (unpacked(tmp_path, pack(tar_of(member("a"))), f"tar.{kind}") / "a").read_bytes() == DATA
    with pytest.raises(TaskFailed, match=program):
        unpack_file(tmp_path / "target" / "a", kind, tmp_path / "file", threading.Event())


@pytest.mark.parametrize("stops", [True, False], ids=["stopped", "messages"])
def test_programs_that_unpack_cannot_block(tmp_path, monkeypatch, stops):
    program = tmp_path / "bin" / "zstd"
    program.parent.mkdir()
    # More than fits into a pipe.
    endless = "/dev/zero" if stops else ""
    script = f"#!/bin/sh\nhead -c 1000000 /dev/zero >&2\nexec cat {endless}\n"
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (tmp_path / "packed").write_bytes(DATA)
    stop = threading.Event()
    if stops:
        stop.set()
    unpack_file(tmp_path / "packed", "zst", tmp_path / "file", stop)
    assert stops or (tmp_path / "file").read_bytes() == DATA


@pytest.mark.once
def test_unpacks_7z_archives(tmp_path, unavailable):
    if shutil.which("bsdtar") is None:
        unavailable("bsdtar is not installed: apt-get install libarchive-tools")
    (tmp_path / "tar").write_bytes(tar_of(member("d/ä")))
    pack = ["bsdtar", "-cf", "-", "--format", "7zip", f"@{tmp_path / 'tar'}"]
    packed = subprocess.run(pack, stdout=subprocess.PIPE, check=True, env={"LC_ALL": "C.UTF-8"}).stdout
    assert (unpacked(tmp_path, packed, "7z") / "d" / "ä").read_bytes() == DATA
    (tmp_path / "damaged").mkdir()
    with pytest.raises(TaskFailed, match="bsdtar"):
        unpacked(tmp_path / "damaged", packed[:40], "7z")


@pytest.mark.once
@pytest.mark.parametrize("name", ["run", "../run"])
def test_unpacks_rar_archives(tmp_path, unavailable, name):
    if shutil.which("bsdtar") is None:
        unavailable("bsdtar is not installed: apt-get install libarchive-tools")

    def block(kind: int, flags: int, fields: bytes) -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    # Version 2.9, one file of Unix that is stored as it is. No free program writes the format.
    sizes = struct.pack("<IIBII", len(DATA), len(DATA), 3, zlib.crc32(DATA), 0)
    fields = sizes + struct.pack("<BBHI", 29, 0x30, len(name), 0o100755) + name.encode()
    packed = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000, fields) + DATA + block(0x7B, 0, b"")
    if name == "run":
        assert (unpacked(tmp_path, packed, "rar") / name).read_bytes() == DATA
    else:
        with pytest.raises(TaskFailed, match="outside the destination"):
            unpacked(tmp_path, packed, "rar")


def test_unpacks_tar_and_zip(tmp_path):
    assert (unpacked(tmp_path, tar_of(member("a", mode=0o755)), "tar") / "a").stat().st_mode & 0o100
    (tmp_path / "zip").mkdir()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("d/run")
        info.external_attr = 0o755 << 16
        archive.writestr(info, DATA)
    assert os.access(unpacked(tmp_path / "zip", stream.getvalue(), "zip") / "d" / "run", os.X_OK)


@pytest.mark.parametrize(
    "evil",
    [
        member("../out"),
        member("link", type=tarfile.SYMTYPE, linkname="../../out"),
        member("hard", type=tarfile.LNKTYPE, linkname="../../etc/passwd"),
        member("device", type=tarfile.CHRTYPE),
    ],
    ids=["parent", "symbolic link", "hard link", "device"],
)
def test_archives_cannot_leave_their_directory(tmp_path, evil):
    with pytest.raises(TaskFailed, match="cannot unpack"):
        unpacked(tmp_path, tar_of(evil), "tar")


def test_zip_archives_cannot_leave_their_directory(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../out", DATA)
    with pytest.raises(TaskFailed, match="leads out of its directory"):
        unpacked(tmp_path, stream.getvalue(), "zip")


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.zz", "zip"])
def test_damaged_archives_fail(tmp_path, kind):
    with pytest.raises(TaskFailed, match="cannot unpack"):
        unpacked(tmp_path, b"garbage" * 200, kind)


def test_purges_caches_that_are_older_than_the_request():
    earlier, later = taskcluster.fromNow("-1 hour"), taskcluster.fromNow("0 seconds")
    assert is_purged(earlier, later)
    assert not is_purged(later, earlier)
    assert not is_purged(later, None)


@pytest.mark.once
def test_mounts_strings_of_the_payload(running):
    mounts = [
        {"file": "raw/text", "content": {"raw": "hëllo"}},
        {"file": "plain", "content": {"base64": b64encode(gzip.compress(b"packed")).decode()}, "format": "gz"},
        {"directory": "dir", "content": {"base64": b64encode(tar_of(member("a/b"))).decode()}, "format": "tar"},
    ]
    resolved, log = running.run("cat raw/text plain; wc -c dir/a/b", payload={"mounts": mounts})
    assert resolved == ("completed", "completed")
    assert "hëllopacked5000 dir/a/b" in log
    assert "[mounts] Getting" in log


@pytest.mark.once
def test_mounts_artifacts_of_dependencies_and_of_the_index(running):
    made = running.create(
        "printf artifact > out",
        payload={"artifacts": [{"type": "file", "path": "out", "name": "public/out"}]},
        routes=["index.test.latest"],
    )
    assert running.wait(made) == ("completed", "completed")
    sha256 = hashlib.sha256(b"artifact").hexdigest()
    mounts = [
        {"file": "a", "content": {"taskId": made, "artifact": "public/out", "sha256": sha256}},
        {"file": "b", "content": {"namespace": "test.latest", "artifact": "public/out"}},
    ]
    resolved, log = running.run("cat a b", payload={"mounts": mounts}, dependencies=[made])
    assert resolved == ("completed", "completed")
    assert "artifactartifact" in log


class Files(BaseHTTPRequestHandler):
    """Fails once with status 503, then responds."""

    failures = 1

    def do_GET(self) -> None:
        if self.path == "/flaky" and Files.failures:
            Files.failures -= 1
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        if self.path == "/slow":
            time.sleep(1.2)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def files():
    with HTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.once
def test_mounts_urls_and_retries(running, files):
    content = {"url": f"{files}/flaky", "sha256": hashlib.sha256(DATA).hexdigest()}
    resolved, log = running.run("wc -c < f", payload={"mounts": [{"file": "f", "content": content}]})
    assert resolved == ("completed", "completed")
    assert "\n5000\n" in log


@pytest.mark.once
def test_max_run_time_does_not_cover_mounts(running, files):
    mounts = [{"file": "f", "content": {"url": f"{files}/slow"}}]
    resolved, _ = running.run("true", payload={"mounts": mounts, "maxRunTime": 1})
    assert resolved == ("completed", "completed")


@pytest.mark.once
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"url": "{}/missing"}, "status 404"),
        ({"url": "{}/f", "sha256": "0" * 64}, "has the sha256"),
        ({"url": "file:///etc/hostname"}, "not a valid http or https URL"),
        ({"url": "http://[::1"}, "not a valid http or https URL"),
        ({"namespace": "no.such", "artifact": "x"}, "cannot get artifact x"),
    ],
    ids=["missing", "sha256", "file URL", "invalid URL", "not indexed"],
)
def test_fails_if_a_mount_cannot_be_fetched(running, files, content, said):
    filled = {key: value.format(files) for key, value in content.items()}
    resolved, log = running.run("echo started", payload={"mounts": [{"file": "f", "content": filled}]})
    assert resolved == ("failed", "failed")
    assert said in log
    assert "Executing" not in log


def test_names_an_error_without_a_message(tmp_path):
    class Index:
        async def findTask(self, namespace: str) -> None:
            raise asyncio.TimeoutError

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await Contents(None, Index(), session).get(IndexedContent("a.b", "x"), tmp_path / "x")

    with pytest.raises(TaskFailed, match=r"cannot get artifact x of the task indexed as a\.b: TimeoutError"):
        asyncio.run(main())


@pytest.mark.once
def test_fails_if_a_mount_cannot_be_unpacked(running):
    mounts = [{"directory": "d", "content": {"raw": "garbage"}, "format": "tar.gz"}]
    resolved, log = running.run("true", payload={"mounts": mounts})
    assert resolved == ("failed", "failed")
    assert "[mounts] d: cannot unpack it as tar.gz" in log


@pytest.mark.once
@pytest.mark.parametrize(
    ("mount", "said"),
    [
        *(({"directory": "d", "format": kind}, "is not supported") for kind in ("tar.sz", "tar.mz")),
        *(({"file": "f", "format": kind}, "is not supported") for kind in ("sz", "mz")),
        ({"directory": "d", "format": "tar.zst"}, "needs the program zstd"),
        ({"directory": "d", "format": "7z"}, "needs the program bsdtar"),
    ],
    ids=["tar.sz", "tar.mz", "sz", "mz", "zstd", "bsdtar"],
)
def test_rejects_a_format_by_name(running, monkeypatch, mount, said):
    monkeypatch.setenv("PATH", "")
    mounts = [{**mount, "content": {"raw": "x"}}]
    resolved, log = running.run("true", payload={"mounts": mounts})
    assert resolved == ("exception", "malformed-payload")
    assert f"the format {mount['format']} {said}" in log
    assert "Executing" not in log
    assert "Getting" not in log


@pytest.mark.once
def test_caches_are_kept_between_tasks(running):
    mounts = {"mounts": [{"directory": "c", "cacheName": "c"}]}
    for content in ("first", "first\nfirst"):
        resolved, log = running.run("echo first >> c/file; cat c/file", payload=mounts, **CACHE)
        assert resolved == ("completed", "completed")
        assert f"\n{content}\n" in log


@pytest.mark.once
def test_caches_have_contents_when_they_are_new(site):
    content = {"base64": b64encode(tar_of(member("a"))).decode()}
    mounts = {"mounts": [{"directory": "c", "cacheName": "c", "content": content, "format": "tar"}]}
    with site.worker():
        assert "\na\n" in site.run("ls c; touch c/b", payload=mounts, **CACHE)[1]
        assert "\na\nb\n" in site.run("ls c; rm c/a", payload=mounts, **CACHE)[1]
        log = site.run("ls c", payload=mounts, **CACHE)[1]
        assert "Using the cache c" in log
        assert "\nb\n" in log
        assert "\na\n" not in log


@pytest.mark.once
@pytest.mark.parametrize("order", [1, -1], ids=["outer first", "inner first"])
def test_caches_can_be_inside_of_others(site, order):
    payload = {"mounts": [{"directory": "a", "cacheName": "c"}, {"directory": "a/b", "cacheName": "d"}][::order]}
    scopes = [f"generic-worker:cache:{name}" for name in "cd"]
    with site.worker():
        for expected in ("outer\ninner", "outer\nouter\ninner\ninner"):
            resolved, log = site.run(
                "echo outer >> a/f; echo inner >> a/b/f; cat a/f a/b/f", payload=payload, scopes=scopes
            )
            assert resolved == ("completed", "completed")
            assert f"\n{expected}\n" in log


@pytest.mark.once
def test_a_file_can_be_mounted_before_the_cache_around_it(running):
    mounts = [{"file": "c/d/f", "content": {"raw": "hello"}}, {"directory": "c", "cacheName": "around"}]
    scopes = ["generic-worker:cache:around"]
    resolved, log = running.run("cat c/d/f", payload={"mounts": mounts}, scopes=scopes)
    assert resolved == ("completed", "completed")
    assert "\nhello\n" in log


@pytest.mark.once
def test_caches_are_deleted_after_an_exit_status_of_the_payload(site):
    payload = {"mounts": [{"directory": "c", "cacheName": "c"}], "onExitStatus": {"purgeCaches": [5]}}
    with site.worker():
        site.run("touch c/a", payload=payload, **CACHE)
        assert "\na\n" in site.run("ls c; exit 4", payload=payload, **CACHE)[1]
        assert "\na\n" in site.run("ls c; exit 5", payload=payload, **CACHE)[1]
        assert "\na\n" not in site.run("ls c", payload=payload, **CACHE)[1]


@pytest.mark.once
def test_caches_are_deleted_though_a_task_made_them_read_only(site, tmp_path):
    # Root could always delete them.
    payload = {"mounts": [{"directory": "c", "cacheName": "c"}], "onExitStatus": {"purgeCaches": [5]}}
    with site.worker(directory=tmp_path / "kept"):
        site.run("mkdir c/a; touch c/a/b; chmod a-w c/a; exit 5", payload=payload, **CACHE)
    assert list((tmp_path / "kept" / "caches").iterdir()) == []


@pytest.mark.once
def test_caches_are_deleted_after_max_run_time(site):
    payload = {"mounts": [{"directory": "c", "cacheName": "c"}]}
    with site.worker():
        site.run("touch c/a; sleep 60", payload={**payload, "maxRunTime": 1}, **CACHE)
        assert "\na\n" not in site.run("ls c", payload=payload, **CACHE)[1]


@pytest.mark.once
def test_caches_are_purged_on_request(site):
    payload = {"mounts": [{"directory": "c", "cacheName": "c"}]}
    with site.worker(), taskcluster.PurgeCache(site.local.options()) as purge:
        site.run("touch c/a", payload=payload, **CACHE)
        purge.purgeCache(QUEUE, {"cacheName": "c"})
        # The service caches its response for some seconds of the deployment's time.
        site.local.advance(seconds=30)
        assert "\na\n" not in site.run("ls c", payload=payload, **CACHE)[1]


@pytest.mark.once
def test_tasks_that_run_at_once_do_not_share_a_cache(site, fifo, tmp_path):
    payload = {"mounts": [{"directory": "c", "cacheName": "c"}]}
    other = tmp_path / "other"
    os.mkfifo(other)
    with site.worker(capacity=2):
        first = site.create(f"touch c/a; echo x > {fifo}; read line < {other}", payload=payload, **CACHE)
        site.started(fifo)
        resolved, log = site.run("ls c; touch c/b", payload=payload, **CACHE)
        other.write_text("go\n", encoding="utf-8")
        assert resolved == site.wait(first) == ("completed", "completed")
        assert "Creating the cache c" in log
        assert "\na\n" not in log


@pytest.mark.once
def test_caches_are_kept_for_the_next_worker(site, tmp_path):
    payload = {"mounts": [{"directory": "c", "cacheName": "c"}]}
    for expected in ("Creating", "Using"):
        with site.worker(directory=tmp_path / "kept"):
            assert f"{expected} the cache c" in site.run("true", payload=payload, **CACHE)[1]


@pytest.mark.once
@pytest.mark.parametrize("damage", ["empty", "deleted"])
def test_what_a_killed_worker_leaves_of_caches_is_deleted(site, tmp_path, damage):
    payload = {"mounts": [{"directory": "c", "cacheName": "c"}]}
    caches = tmp_path / "kept" / "caches"
    with site.worker(directory=tmp_path / "kept"):
        site.run("touch c/a", payload=payload, **CACHE)
    [place] = caches.iterdir()
    if damage == "empty":
        (place / "cache.json").write_bytes(b"")
    else:
        place.rename(caches / f"deleted-{place.name}")
    with site.worker(directory=tmp_path / "kept"):
        assert list(caches.iterdir()) == []
        assert "Creating the cache c" in site.run("true", payload=payload, **CACHE)[1]


@pytest.mark.once
def test_a_cache_cannot_lead_a_mount_out_of_the_directory(site, tmp_path):
    cache = {"directory": "c", "cacheName": "c"}
    with site.worker():
        site.run(f"ln -s {tmp_path} c/out", payload={"mounts": [cache]}, **CACHE)
        mounts = [cache, {"file": "c/out/file", "content": {"raw": "x"}}]
        resolved, log = site.run("true", payload={"mounts": mounts}, **CACHE)
    assert resolved == ("failed", "failed")
    assert "leads out of the task's directory" in log
    assert not (tmp_path / "file").exists()
