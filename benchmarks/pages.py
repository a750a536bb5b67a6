"""Measure the page of a group of 10,000 tasks on the local deployment, which is another process.

`python -m benchmarks pages` prints a separate table.
`python -m benchmarks.pages` serves the deployment and prints its root URL and the group. For each line it reads, it
prints by how many MiB its memory grew at most since the line before (on Linux).
"""

from __future__ import annotations

import asyncio
import http.client
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import taskcluster
import taskcluster.aio
from taskcluster_local import LocalTaskcluster

from .contenders import Child
from .report import table_of_targets

__all__ = ["GROUP", "measure"]

GROUP = "pages"
_TASKS = 10_000
_FIRST_BYTE, _MEMORY = 0.3, 16.0
_AT_ONCE = 50
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _memory(name: str) -> float:
    """Return a value of this process in MiB, such as VmRSS or its peak, VmHWM."""
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 2**10
    raise SystemExit(f"{_STATUS} has no {name}")


async def _create_tasks(local: LocalTaskcluster, taskGroupId: str) -> None:
    now = local.now()
    deadline = taskcluster.fromNow("1 day", now)
    numbers = iter(range(_TASKS))
    async with taskcluster.aio.createSession() as session:
        queue = taskcluster.aio.Queue(local.options(), session=session)

        async def create() -> None:
            for number in numbers:
                await queue.createTask(
                    taskcluster.slugId(),
                    {
                        "taskQueueId": "proj/ci",
                        "taskGroupId": taskGroupId,
                        "created": now,
                        "deadline": deadline,
                        "payload": {"command": ["true"], "env": {str(each): "x" * 40 for each in range(20)}},
                        "metadata": {
                            "name": f"test-linux/opt-mochitest-{number}",
                            "description": "",
                            "owner": "o@example.com",
                            "source": "https://example.com",
                        },
                    },
                )

        await asyncio.gather(*(create() for _ in range(_AT_ONCE)))


def _serve() -> None:
    taskGroupId = taskcluster.slugId()
    with LocalTaskcluster() as local:
        asyncio.run(_create_tasks(local, taskGroupId))
        print(local.root_url, taskGroupId, flush=True)
        before = 0.0
        for _ in sys.stdin:
            print(_memory("VmHWM") - before, flush=True)
            # Makes the present size the peak.
            _CLEAR.write_text("5", encoding="ascii")
            before = _memory("VmRSS")


def _load(root_url: str, path: str) -> tuple[float, float, int]:
    """Return after how many seconds the first byte and the last one came, and the number of bytes."""
    with closing(http.client.HTTPConnection(urlsplit(root_url).netloc)) as connection:
        connection.connect()
        started = time.perf_counter()
        connection.request("GET", path)
        response = connection.getresponse()
        size = len(response.read1(2**16))
        first = time.perf_counter() - started
        while part := response.read(2**16):
            size += len(part)
        return first, time.perf_counter() - started, size


def measure(rounds: int) -> tuple[str, bool]:
    """Return a table, and whether all targets were met.

    Args:
        rounds: The number of rounds; results are medians.
    """
    with Child(sys.executable, "pages") as server:
        root_url, taskGroupId = server.read().split()
        path = f"/tasks/groups/{taskGroupId}"
        # Loads the templates.
        _load(root_url, path)
        server.seconds("memory", 1)
        loads = [_load(root_url, path) for _ in range(min(rounds, 5))]
        memory = server.seconds("memory", 1)
        filtered = statistics.median(_load(root_url, f"{path}?state=failed")[1] for _ in range(min(rounds, 5)))
    first, total, size = (statistics.median(values) for values in zip(*loads, strict=True))
    rows = [
        ("first byte", f"{first * 1e3:.0f} ms", f"less than {_FIRST_BYTE * 1e3:.0f} ms", first < _FIRST_BYTE),
        ("memory of the deployment for the page", f"{memory:.1f} MiB", f"at most {_MEMORY:.0f} MiB", memory <= _MEMORY),
        (f"the complete page, {size / 1e6:.1f} MB", f"{total:.1f} s", "", True),
        ("the page without any of its tasks, by a filter", f"{filtered:.1f} s", "", True),
    ]
    text, met = table_of_targets(rows, f"group of {_TASKS} tasks")
    return text, met


if __name__ == "__main__":
    _serve()
