"""Waiting, logs and resubmission against a local deployment's own queue, index, artifacts and storage."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

import taskcluster
import taskcluster.upload
from taskcluster.helper import ArtifactMissingError, WaitTimeoutError, resubmittable
from taskcluster_helper.dates import parsed
from taskcluster_local import LocalTaskcluster

from .conftest import FakeQueue, HelperMode
from .test_logs import BACKING, LIVE, live

FAST: dict[str, Any] = {"timeout": 30, "delay": 0.01, "max_delay": 0.05}
LINES = b"one\ntwo\nthree\n"


class Tasks:
    """Creates tasks in one group, and runs them."""

    def __init__(self, local: LocalTaskcluster) -> None:
        self.local = local
        self.queue = taskcluster.Queue(local.options())
        self.group = taskcluster.slugId()

    def create(self, **fields: Any) -> str:
        task_id, now = taskcluster.slugId(), self.local.now()
        definition = {
            "taskQueueId": "proj/ci",
            "taskGroupId": self.group,
            "created": now,
            "deadline": now + timedelta(hours=1),
            "expires": now + timedelta(days=1),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "a@example.com", "source": "https://example.com/"},
            **fields,
        }
        self.queue.createTask(task_id, definition)
        return task_id

    def claim(self, task_id: str, run: int = 0) -> taskcluster.Queue:
        """Claim a run, and return a client with its credentials."""
        claim = self.queue.claimTask(task_id, run, {"workerGroup": "g", "workerId": "w"})
        return taskcluster.Queue({**self.local.options(), "credentials": claim["credentials"]})

    def resolve(self, task_id: str, how: str = "completed", run: int = 0) -> None:
        worker = self.claim(task_id, run)
        (worker.reportCompleted if how == "completed" else worker.reportFailed)(task_id, run)

    def upload(self, worker: taskcluster.Queue, task_id: str, name: str, data: bytes) -> None:
        taskcluster.upload.uploadArtifactFromBuf(
            taskId=task_id, runId=0, name=name, contentType="text/plain", data=data,
            expires=self.local.now() + timedelta(minutes=30), queueService=worker,
        )  # fmt: skip


@pytest.fixture
def tasks(local: LocalTaskcluster) -> Tasks:
    return Tasks(local)


class Steps:
    """An `on_change` that records its arguments and starts the next step each time."""

    def __init__(self, *steps: Callable[[], Any]) -> None:
        self.seen: list[Any] = []
        self._steps = list(steps)

    def __call__(self, found: Any) -> None:
        self.seen.append(found)
        if self._steps:
            # Elsewhere, as the caller's thread may be an event loop's.
            thread = threading.Thread(target=self._steps.pop(0))
            thread.start()
            thread.join()


# A task to resolve


@pytest.mark.parametrize("how", ["completed", "failed"])
def test_waits_for_completed_and_failed_tasks(mode: HelperMode, tasks: Tasks, how: str) -> None:
    task_id = tasks.create()
    steps = Steps(lambda: tasks.resolve(task_id, how))
    queue = mode.client("Queue", tasks.local.options())
    status = mode.run(mode.helper.wait_for_task(queue, task_id, on_change=steps, **FAST))
    assert status == tasks.queue.status(task_id)["status"]
    assert [seen["state"] for seen in steps.seen] == ["pending", how]


def test_waits_for_a_task_past_its_deadline(mode: HelperMode, tasks: Tasks) -> None:
    task_id = tasks.create()
    steps = Steps(lambda: tasks.local.advance(hours=2))
    queue = mode.client("Queue", tasks.local.options())
    status = mode.run(mode.helper.wait_for_task(queue, task_id, on_change=steps, **FAST))
    assert (status["state"], status["runs"][-1]["reasonResolved"]) == ("exception", "deadline-exceeded")


def test_waits_for_the_next_run_after_an_expired_claim(mode: HelperMode, tasks: Tasks) -> None:
    task_id = tasks.create()
    tasks.claim(task_id)
    steps = Steps(lambda: tasks.local.advance(minutes=21), lambda: tasks.resolve(task_id, run=1))
    queue = mode.client("Queue", tasks.local.options())
    mode.run(mode.helper.wait_for_task(queue, task_id, on_change=steps, **FAST))
    runs = [[run["state"] for run in seen["runs"]] for seen in steps.seen]
    assert runs == [["running"], ["exception", "pending"], ["exception", "completed"]]


def test_a_timeout_has_the_last_status(mode: HelperMode, tasks: Tasks) -> None:
    task_id = tasks.create()
    queue = mode.client("Queue", tasks.local.options())
    for function, argument, last in (
        ("wait_for_task", task_id, lambda seen: seen["state"] == "pending"),
        ("wait_for_task_group", tasks.group, lambda seen: seen == {"pending": 1}),
    ):
        with pytest.raises(WaitTimeoutError, match="not within 0 seconds") as caught:
            mode.run(getattr(mode.helper, function)(queue, argument, timeout=0))
        assert last(caught.value.last)


def test_an_unknown_task_raises_at_once(mode: HelperMode, tasks: Tasks) -> None:
    with pytest.raises(taskcluster.TaskclusterRestFailure, match="does not correspond to a task") as caught:
        mode.run(mode.helper.wait_for_task(mode.client("Queue", tasks.local.options()), taskcluster.slugId()))
    assert caught.value.status_code == 404


# A task group to finish


def test_waits_for_a_group_and_counts_states(mode: HelperMode, tasks: Tasks) -> None:
    first, second, third = (tasks.create() for _ in range(3))
    tasks.create(dependencies=[third])
    steps = Steps(
        lambda: tasks.resolve(first),
        lambda: tasks.resolve(second, "failed"),
        # The last two are never done: one that nobody claims, and one that waits for it.
        lambda: tasks.local.advance(hours=2),
    )
    queue = mode.client("Queue", tasks.local.options())
    found = mode.run(mode.helper.wait_for_task_group(queue, tasks.group, on_change=steps, **FAST))
    assert found == {"completed": 1, "failed": 1, "exception": 2}
    assert steps.seen == [
        {"pending": 3, "unscheduled": 1},
        {"completed": 1, "pending": 2, "unscheduled": 1},
        {"completed": 1, "failed": 1, "pending": 1, "unscheduled": 1},
        {"completed": 1, "failed": 1, "exception": 2},
    ]


# An indexed task to appear


def test_waits_for_an_indexed_task(mode: HelperMode, tasks: Tasks) -> None:
    task_id = tasks.create(routes=["index.builds.latest"])
    steps = Steps(lambda: tasks.resolve(task_id))
    index = mode.client("Index", tasks.local.options())
    found = mode.run(mode.helper.wait_for_indexed_task(index, "builds.latest", on_change=steps, **FAST))
    assert found["taskId"] == task_id
    assert steps.seen == [None, found]


# An artifact to exist


@pytest.mark.parametrize("run", [None, 0])
def test_waits_until_an_artifact_is_finished(mode: HelperMode, tasks: Tasks, run: int | None) -> None:
    task_id = tasks.create()
    worker = tasks.claim(task_id)
    # One that is declared and not uploaded yet is not there.
    payload = {"storageType": "object", "expires": taskcluster.fromNow("30 minutes"), "contentType": "text/plain"}
    worker.createArtifact(task_id, "0", "public/other", payload)
    steps = Steps(lambda: tasks.upload(worker, task_id, "public/a b", b"x"))
    queue = mode.client("Queue", tasks.local.options())
    found = mode.run(mode.helper.wait_for_artifact(queue, task_id, "public/a b", run, on_change=steps, **FAST))
    assert (found["name"], found["storageType"], found["contentType"]) == ("public/a b", "object", "text/plain")
    assert steps.seen == [None, found]
    with pytest.raises(WaitTimeoutError) as caught:
        mode.run(mode.helper.wait_for_artifact(queue, task_id, "public/other", run, timeout=0))
    assert caught.value.last is None


def test_an_artifact_that_will_not_appear_raises(mode: HelperMode, tasks: Tasks) -> None:
    task_id = tasks.create()
    queue = mode.client("Queue", tasks.local.options())
    steps = Steps(lambda: tasks.resolve(task_id, "failed"))
    with pytest.raises(ArtifactMissingError, match=r"resolved \(failed\) and has no artifact 'public/x'"):
        mode.run(mode.helper.wait_for_artifact(queue, task_id, "public/x", on_change=steps, **FAST))


# The log of a task


def lines(mode: HelperMode, options: dict[str, Any], task_id: str, **named: Any) -> list[str]:
    queue = mode.client("Queue", options)
    return mode.listed(mode.helper.task_log_lines(queue, task_id, delay=0.01, max_delay=0.05, **named))


def test_follows_a_live_log(mode: HelperMode, tasks: Tasks, queue: FakeQueue) -> None:
    """The worker serves the log while the task runs; afterwards it is stored as an object."""
    task_id = tasks.create()
    worker = tasks.claim(task_id)

    def end() -> None:
        tasks.upload(worker, task_id, BACKING, LINES)
        worker.reportCompleted(task_id, "0")

    queue.artifacts["live"] = live(b"one\nt", b"wo\n", then=end)
    payload = {"storageType": "reference", "expires": taskcluster.fromNow("30 minutes"), "contentType": "text/plain"}
    worker.createArtifact(task_id, "0", LIVE, {**payload, "url": f"{queue.root_url}/storage/live?sig=hidden"})
    assert lines(mode, tasks.local.options(), task_id) == ["one", "two", "three"]
    assert len(queue.stored) == 1
    assert "Authorization" not in queue.stored[0]


def test_reads_logs_of_any_storage_type(mode: HelperMode, tasks: Tasks) -> None:
    for stored in ("object", "s3"):
        task_id = tasks.create()
        worker = tasks.claim(task_id)
        if stored == "object":
            tasks.upload(worker, task_id, BACKING, LINES)
        else:
            payload = {"storageType": "s3", "expires": taskcluster.fromNow("30 minutes"), "contentType": "text/plain"}
            url = worker.createArtifact(task_id, "0", BACKING, payload)["putUrl"]
            headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
            assert requests.put(url, gzip.compress(LINES), headers=headers, timeout=30).ok
        # As workers do: who knows the name of the live log finds the finished one there.
        link = {"storageType": "link", "expires": taskcluster.fromNow("30 minutes"), "contentType": "text/plain"}
        worker.createArtifact(task_id, "0", LIVE, {**link, "artifact": BACKING})
        worker.reportCompleted(task_id, "0")
        assert lines(mode, tasks.local.options(), task_id) == ["one", "two", "three"]
        # Public logs need no credentials.
        assert lines(mode, {"rootUrl": tasks.local.root_url}, task_id, name=LIVE) == ["one", "two", "three"]


def test_a_private_log_needs_only_its_scope(mode: HelperMode, tasks: Tasks) -> None:
    names = {"live": "private/live.log", "backing": "private/backing.log"}
    task_id = tasks.create(payload={"logs": names})
    worker = tasks.claim(task_id)
    tasks.upload(worker, task_id, names["backing"], LINES)
    worker.reportCompleted(task_id, "0")
    scope = f"queue:get-artifact:{names['backing']}"
    assert lines(mode, tasks.local.options(scopes=[scope]), task_id) == ["one", "two", "three"]
    with pytest.raises(taskcluster.TaskclusterRestFailure) as caught:
        lines(mode, tasks.local.options(scopes=["queue:get-artifact:private/other"]), task_id)
    assert caught.value.missing_scopes == [scope]


# Times of a task's definition, moved to now


def test_creates_an_old_task_again(mode: HelperMode, tasks: Tasks) -> None:
    expires = {"public/a": {"expires": taskcluster.stringDate(tasks.local.now() + timedelta(hours=2))}}
    first, second = tasks.create(payload={"artifacts": expires}), taskcluster.slugId()
    tasks.local.advance(hours=20)
    queue = mode.client("Queue", tasks.local.options())
    definition = mode.run(queue.task(first))
    with pytest.raises(taskcluster.TaskclusterRestFailure, match="cannot be in the past"):
        mode.run(queue.createTask(second, definition))
    mode.run(queue.createTask(second, resubmittable(definition, tasks.local.now())))
    moved = mode.run(queue.task(second))
    for dates_of in (
        lambda task: task["deadline"],
        lambda task: task["expires"],
        lambda task: task["payload"]["artifacts"]["public/a"]["expires"],
    ):
        span = parsed(dates_of(moved)) - parsed(dates_of(definition))
        assert timedelta(hours=20) <= span < timedelta(hours=20, minutes=5)
    tasks.resolve(second)
    assert tasks.queue.status(second)["status"]["state"] == "completed"
