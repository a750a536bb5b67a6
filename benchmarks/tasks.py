"""Measure tasks on the local deployment, which a worker runs in the same process.

`python -m benchmarks tasks` prints a separate table.
"""

from __future__ import annotations

import gzip
import re
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import taskcluster
from taskcluster_local import LocalTaskcluster

from .report import table_of_targets

__all__ = ["GROUP", "measure"]

GROUP = "tasks"
_QUEUE = "proj/ci"
_TRUE = ["true"]
_LOG_SIZE = 100_000_000
_LOG = ["sh", "-c", f"head -c {_LOG_SIZE} /dev/zero | tr '\\0' x"]
_BATCH = 60
_EMPTY_SECONDS, _TASKS_A_SECOND, _LOG_SPEED, _LOG_MEMORY, _RUN_SECONDS = 0.06, 20.0, 100.0, 20.0, 3.0
_RUN = "import sys; from taskcluster_local.cli import main; sys.exit(main(['run', sys.argv[1]]))"
_REPOSITORY = """\
version: 1
tasks:
  $map: {$eval: "range(0, 10)"}
  each(number):
    taskId: {$eval: "as_slugid(str(number))"}
    taskQueueId: proj/ci
    created: {$fromNow: ""}
    deadline: {$fromNow: 1 hour}
    dependencies:
      $if: number > 0
      then: [{$eval: "as_slugid(str(floor((number - 1) / 2)))"}]
      else: []
    metadata: {name: "task ${number}", description: "", owner: o@example.com, source: https://example.com}
    payload: {command: [["true"]], maxRunTime: 60}
"""
"""A `.taskcluster.yml` with ten tasks: two depend on each, as far as they go."""


@dataclass
class _Site:
    """A deployment with a worker, and what the measurements do with it."""

    local: LocalTaskcluster
    queue: Any

    def create(self, command: list[str]) -> str:
        taskId = str(taskcluster.slugId())
        now = self.local.now()
        definition = {
            "taskQueueId": _QUEUE,
            "created": now,
            "deadline": taskcluster.fromNow("1 hour", now),
            "payload": {"command": [command], "maxRunTime": 600},
            "metadata": {"name": "n", "description": "", "owner": "o@example.com", "source": "https://example.com"},
        }
        self.queue.createTask(taskId, definition)
        return taskId

    def run(self, commands: list[list[str]]) -> list[str]:
        """Create tasks, wait until all are completed, and return their taskIds."""
        events = taskcluster.QueueEvents(self.local.options())
        with self.local.listen(events.taskCompleted()) as messages:
            created = [self.create(command) for command in commands]
            for _ in created:
                messages.get(timeout=600)
        return created


@contextmanager
def _site(capacity: int) -> Generator[_Site, None, None]:
    with (
        LocalTaskcluster(workers={_QUEUE: capacity}) as local,
        taskcluster.Queue(local.options()) as queue,
    ):
        yield _Site(local, queue)


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _peak() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure(rounds: int) -> tuple[str, bool]:
    """Return a table of the time of tasks, and whether every target is met.

    Args:
        rounds: The number of rounds; results are medians.
    """
    empty: list[float] = []
    process: list[float] = []
    with _site(1) as site:
        site.run([_TRUE])
        for _ in range(rounds):
            empty.append(_seconds(lambda: site.run([_TRUE])))
            process.append(_seconds(lambda: subprocess.run(_TRUE, check=True)))
        before = _peak()
        written = statistics.median(_log_seconds(site) for _ in range(min(rounds, 3)))
        memory = _peak() - before
    with _site(4) as site:
        site.run([_TRUE] * 4)
        batch = statistics.median(_seconds(lambda: site.run([_TRUE] * _BATCH)) for _ in range(min(rounds, 5)))
    with TemporaryDirectory() as checkout:
        _create_repository(checkout)
        command = [sys.executable, "-c", _RUN, checkout]
        run = statistics.median(
            _seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
            for _ in range(min(rounds, 5))
        )
    added = statistics.median(empty) - statistics.median(process)
    rate, speed = _BATCH / batch, _LOG_SIZE / 1e6 / written
    rows = [
        ("an empty task, createTask to completed, on top of its process", f"{added * 1e3:.0f} ms", "at most 60 ms",
         added <= _EMPTY_SECONDS),
        (f"{_BATCH} empty tasks, capacity 4", f"{rate:.0f} a second", "at least 20", rate >= _TASKS_A_SECOND),
        ("100 MB of output into the log", f"{speed:.0f} MB/s", "at least 100", speed >= _LOG_SPEED),
        ("memory for it", f"{memory:.0f} MiB", f"at most {_LOG_MEMORY:.0f} MiB", memory <= _LOG_MEMORY),
        ("`taskcluster-local run` with ten empty tasks, from its start to its end", f"{run:.1f} s", "at most 3 s",
         run <= _RUN_SECONDS),
    ]  # fmt: skip
    return table_of_targets(rows)


def _create_repository(directory: str) -> None:
    Path(directory, ".taskcluster.yml").write_text(_REPOSITORY, encoding="utf-8")
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Start"]):
        subprocess.run([*git, *command], cwd=directory, check=True)


def _log_seconds(site: _Site) -> float:
    """Return how long a command took that wrote 100 MB, as the worker says in the log."""
    [taskId] = site.run([_LOG])
    url = site.queue.latestArtifact(taskId, "public/logs/live_backing.log")["url"]
    # A part at a time: the peak memory of this process is measured.
    last = b""
    with urllib.request.urlopen(url) as response, gzip.open(response) as unpacked:
        while part := unpacked.read(2**20):
            last = last[-1000:] + part
    [shown] = re.findall(rb"Wall Time: ([0-9.]+)s", last[-1000:])
    return float(shown)
