"""Run each example in a separate process against one local deployment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from taskcluster_local import LocalTaskcluster

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted({path.stem for path in EXAMPLES.glob("*.py")} - {"demo", "worker"})
"""All examples except the demo, which starts its own deployment, and the shared module."""

Run = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def deployment() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture(scope="session")
def output_of(deployment: LocalTaskcluster) -> Iterator[Run]:
    """Return a function that returns the lines an example prints. Examples run concurrently, one per core."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TASKCLUSTER_", "TASK_ID"))},
        "TASKCLUSTER_ROOT_URL": deployment.root_url,
        "TASKCLUSTER_CLIENT_ID": deployment.credentials["clientId"],
        "TASKCLUSTER_ACCESS_TOKEN": deployment.credentials["accessToken"],
    }

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
        return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False)

    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        runs: dict[str, Future[subprocess.CompletedProcess[str]]] = {name: pool.submit(run, name) for name in PROGRAMS}

        def output_of(name: str) -> list[str]:
            done = runs[name].result()
            assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
            return done.stdout.splitlines()

        yield output_of
