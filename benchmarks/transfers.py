"""Compare uploads and downloads with the published client: files of 512 MiB over loopback, and many small artifacts.

`python -m benchmarks transfers` prints a separate table. `python -m benchmarks.transfers ROOT FOLDER` is the process of
a contender; both run the same code. The server is storage.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import limit
from .contenders import Child
from .storage import MANY

__all__ = ["GROUP", "measure", "memory"]

GROUP = "transfers"
_SIZE = 512 * 2**20
_BLOCK = bytes(range(256)) * 4096
_ROWS = (
    ("download-async", "download to file, async", 2.5, 0.8),
    ("download-sync", "download to file, sync", 2.5, 0.8),
    ("upload-async", "upload from file, async", 1.7, 0.75),
    ("upload-sync", "upload from file, sync", 1.7, 0.75),
    ("many", f"{MANY} artifacts of 64 KiB", 4.0, None),
)
"""Names and titles, and the minimum speeds relative to the published client and to SHA-512."""
_HASH = "sha512"
"""The slower of the two hashes. One core has to hash a stream from start to end."""
_LIMITS = {"download-async": "limit-async", "download-sync": "limit-sync"}
"""Rows without a target, by the rows that they limit."""
_NEAR = 0.9
"""The part of the limit that is enough if that is less than the target."""
_MEMORY = ("memory-download", "memory-upload")
_MEMORY_SIZE, _MEMORY_TARGET = 4 * 2**30, 40


def _peak() -> int:
    """Return the peak memory of this process in MiB."""
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def _work(root: str, folder: str) -> None:
    import taskcluster
    import taskcluster.aio
    import taskcluster.aio.download
    import taskcluster.aio.upload
    import taskcluster.download
    import taskcluster.upload

    options = {"rootUrl": root, "credentials": {"clientId": "tester", "accessToken": "no-secret"}}
    source, target = Path(folder, "source"), Path(folder, f"target-{os.getpid()}")
    expires = taskcluster.fromNow("1 day")

    def download(module: Any, service: Any, size: int) -> Any:
        file = open(target, "wb")  # noqa: SIM115 - closed after the coroutine
        return file, module.downloadToFile(file=file, name=str(size), objectService=service)

    def upload(module: Any, service: Any, size: int) -> Any:
        file = open(source, "rb")  # noqa: SIM115
        return file, module.uploadFromFile(
            projectId="p", name=str(size), contentType="x/y", contentLength=size, expires=expires, file=file,
            objectService=service, uploadId=taskcluster.slugId(),
        )  # fmt: skip

    def one(which: Callable[..., Any], package: str, size: int) -> None:
        kind = which.__name__
        if package == "aio":

            async def main() -> None:
                service = taskcluster.aio.Object(options, session=taskcluster.aio.createSession())
                file, running = which(getattr(taskcluster.aio, kind), service, size)
                with file:
                    await running
                await service.session.close()

            asyncio.run(main())
        else:
            file, _ = which(getattr(taskcluster, kind), taskcluster.Object(options), size)
            file.close()

    def many() -> None:
        queue = taskcluster.Queue(options)
        if hasattr(taskcluster.download, "downloadTaskArtifacts"):
            taskcluster.download.downloadTaskArtifacts("T", "*", Path(folder, "many"), queueService=queue)
            return
        for number in range(MANY):
            with open(target, "wb") as file:
                call = {"taskId": "T", "name": f"public/{number}", "queueService": queue}
                taskcluster.download.downloadArtifactToFile(file=file, **call)

    def hash_alone() -> None:
        digest = hashlib.new(_HASH)
        for _ in range(_SIZE // len(_BLOCK)):
            digest.update(_BLOCK)

    rows: dict[str, Callable[[], object]] = {
        _HASH: hash_alone,
        "limit-async": lambda: limit.download_async(root, _SIZE, target),
        "limit-sync": lambda: limit.download(root, _SIZE, target),
        "download-async": lambda: one(download, "aio", _SIZE),
        "download-sync": lambda: one(download, "", _SIZE),
        "upload-async": lambda: one(upload, "aio", _SIZE),
        "upload-sync": lambda: one(upload, "", _SIZE),
        "many": many,
        "memory-download": lambda: one(download, sys.argv[3] if sys.argv[3:] else "", _MEMORY_SIZE),
        "memory-upload": lambda: one(upload, sys.argv[3] if sys.argv[3:] else "", _MEMORY_SIZE),
    }
    one(download, "", 1000)
    one(download, "aio", 1000)
    for line in sys.stdin:
        name, _ = line.split()
        before, started = _peak(), time.perf_counter()
        rows[name]()
        seconds = time.perf_counter() - started
        # The next contender must not spend time on truncating or flushing this file.
        target.unlink(missing_ok=True)
        shutil.rmtree(Path(folder, "many"), ignore_errors=True)
        print(_peak() - before if name in _MEMORY else seconds, flush=True)


def _serve(stack: contextlib.ExitStack, source: Path) -> str:
    """Start the storage server and return its root URL."""
    return f"http://127.0.0.1:{stack.enter_context(Child(sys.executable, 'storage', str(source))).read()}"


def measure(published: str, rounds: int) -> tuple[str, bool]:
    """Return a table of transfer times, and whether every target is met.

    Args:
        published: The interpreter of the published client.
        rounds: The number of rounds; results are medians.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        # In blocks: a child's peak memory starts with that of its parent.
        with open(source, "wb") as file:
            for _ in range(_SIZE // len(_BLOCK)):
                file.write(_BLOCK)
        lines = [
            f"| what | ours | published | × published | at least | {_HASH} alone | × {_HASH} | at least | limit | |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        ]
        met = True
        with contextlib.ExitStack() as stack:
            root = _serve(stack, source)
            ours, theirs = (
                stack.enter_context(Child(python, "transfers", root, folder)) for python in (sys.executable, published)
            )
            for name, title, over_published, over_hash in _ROWS:
                times: dict[tuple[Child, str], list[float]] = {(ours, name): [], (theirs, name): []}
                if over_hash is not None:
                    times[ours, _HASH] = []
                if name in _LIMITS:
                    times[ours, _LIMITS[name]] = []
                for number in range(rounds + 1):
                    for (child, row), seconds in times.items() if number % 2 else reversed(times.items()):
                        taken = child.seconds(row, 1)
                        if number:
                            seconds.append(taken)
                mine, other, *least = (statistics.median(each) for each in times.values())
                is_met = other / mine >= over_published
                cells = [title, f"{mine:.2f} s", f"{other:.2f} s", f"{other / mine:.2f}", f"{over_published:g}"]
                if over_hash is None:
                    cells += ["", "", "", ""]
                else:
                    alone, *limited = least
                    reached = alone / limited[0] if limited else None
                    enough = over_hash if reached is None else min(over_hash, _NEAR * reached)
                    is_met = is_met and alone / mine >= enough
                    cells += [f"{alone:.2f} s", f"{alone / mine:.2f}", f"{over_hash:g}"]
                    cells.append("" if reached is None else f"{reached:.2f}")
                met = met and is_met
                cells.append("met" if is_met else "**missed**")
                lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines), met


def memory() -> tuple[str, bool]:
    """Return the memory a large file takes above an idle client, and whether the target is met."""
    lines: list[str] = []
    met = True
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        source = Path(folder, "source")
        source.touch()
        os.truncate(source, _MEMORY_SIZE)
        root = _serve(stack, source)
        for package in ("", "aio"):
            for row in _MEMORY:
                with Child(sys.executable, "transfers", root, folder, package) as child:
                    more = child.seconds(row, 1)
                met = met and more < _MEMORY_TARGET
                lines.append(
                    f"{row}{'-async' if package else '-sync'}: {more:.0f} MiB above an idle client, 4 GiB file."
                )
    return "\n".join(lines), met


if __name__ == "__main__":
    _work(sys.argv[1], sys.argv[2])
