"""Fixtures: a local deployment, and tasks that real workers run on it."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster.download import downloadArtifactToBuf
from taskcluster.slugs import slugId
from taskcluster.timestamps import format_date
from taskcluster_local import LocalTaskcluster
from taskcluster_worker import Worker

QUEUE = "proj/ci"
LOG = "public/logs/live_backing.log"


def definition(payload: Any, now: datetime | None = None, **more: Any) -> dict[str, Any]:
    """Return the definition of a task."""
    now = datetime.now(timezone.utc) if now is None else now
    return {
        "taskQueueId": QUEUE,
        "created": format_date(now),
        "deadline": format_date(now + timedelta(hours=1)),
        "expires": format_date(now + timedelta(days=1)),
        "payload": payload,
        "metadata": {
            "name": "test",
            "description": "",
            "owner": "tester@example.com",
            "source": "https://example.com",
        },
        **more,
    }


class Site:
    """A deployment, and the commands of tests."""

    def __init__(self, local: LocalTaskcluster, queue: Any) -> None:
        self.local = local
        self.queue = queue

    def worker(self, **options: Any) -> Worker:
        """Return a worker of the deployment, to be entered."""
        given = {"clock": self.local.now, "claim_interval": 0.05, **options}
        return Worker(QUEUE, self.local.options(), **given)

    def create(self, *command: str, **more: Any) -> str:
        """Create a task that runs a shell script, and return its taskId."""
        payload = {"command": [["sh", "-c", script] for script in command], "maxRunTime": 60, **more.pop("payload", {})}
        return self.create_task(payload, **more)

    def create_task(self, payload: Any, **more: Any) -> str:
        """Create a task with a payload, and return its taskId."""
        taskId = str(slugId())
        self.queue.createTask(taskId, definition(payload, self.local.now(), **more))
        return taskId

    def wait(self, taskId: str) -> tuple[str, str]:
        """Wait until a task is resolved, and return the state and the reason of its last run."""
        events = taskcluster.QueueEvents(self.local.options())
        kinds = (events.taskCompleted, events.taskFailed, events.taskException)
        with self.local.listen(*(kind(taskId=taskId) for kind in kinds)) as messages:
            while (status := self.queue.status(taskId)["status"])["state"] in ("unscheduled", "pending", "running"):
                messages.get(timeout=120)
        return status["state"], status["runs"][-1]["reasonResolved"]

    def run(self, *command: str, **more: Any) -> tuple[tuple[str, str], str]:
        """Run a task, and return how it was resolved, and its log."""
        taskId = self.create(*command, **more)
        return self.wait(taskId), self.log(taskId)

    def run_payload(self, payload: Any, **more: Any) -> tuple[tuple[str, str], str]:
        """Run a task with a payload, and return how it was resolved, and its log."""
        taskId = self.create_task(payload, **more)
        return self.wait(taskId), self.log(taskId)

    def started(self, path: Path) -> str:
        """Wait until a task writes to a FIFO, and return what it wrote."""
        # Without a writer, opening it otherwise would wait without limit.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            waiting = select.poll()
            waiting.register(file, select.POLLIN)
            assert waiting.poll(30_000), "the task did not start"
            return file.read().strip()

    def log(self, taskId: str, runId: int | None = None) -> str:
        """Return the log of a run."""
        return self.content(taskId, LOG, runId).decode("utf-8")

    def content(self, taskId: str, name: str, runId: int | None = None) -> bytes:
        """Return an artifact."""
        data, _ = downloadArtifactToBuf(taskId=taskId, name=name, runId=runId, queueService=self.queue)
        return bytes(data)

    def artifacts(self, taskId: str) -> dict[str, dict[str, Any]]:
        """Return the artifacts of a task by name."""
        found = self.queue.paginate_items(self.queue.listLatestArtifacts, taskId)
        return {each["name"]: each for each in found}


def wait_until_dead(pid: str) -> None:
    """Wait until a process has ended, which need not be a child."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(int(pid))
        try:
            assert select.select([handle], [], [], 30)[0], f"process {pid} still runs"
        finally:
            os.close(handle)


@contextmanager
def site_of(local: LocalTaskcluster) -> Iterator[Site]:
    """Yield the site of a running deployment."""
    with taskcluster.Queue(local.options()) as queue:
        yield Site(local, queue)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A FIFO, which tasks write to when they have started."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="session")
def deployed() -> Any:
    """Makes a site of a running deployment, as a context manager."""
    return site_of


@pytest.fixture
def site() -> Iterator[Site]:
    """A deployment without a worker."""
    with LocalTaskcluster() as local, site_of(local) as site:
        yield site


@pytest.fixture
def brisk() -> Iterator[Site]:
    """A deployment where workers do not wait for tasks for long."""
    with LocalTaskcluster(poll=0.1) as local, site_of(local) as site:
        yield site


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    """A deployment with a worker, for the tests of a module."""
    with LocalTaskcluster() as local, site_of(local) as site, site.worker():
        yield site
