"""Waiting: procedures with a fake clock, and both modes over real sockets."""

from __future__ import annotations

import copy
import datetime
import pickle
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import requests

import taskcluster
import taskcluster.aio
from taskcluster.effects import Invoke, Sleep
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.helper import ArtifactMissingError, WaitTimeoutError
from taskcluster.runner import run
from taskcluster_helper.effects import ReportChange
from taskcluster_helper.performer import limited
from taskcluster_helper.procedures import waiting
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, FakeQueue, HelperMode

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
FAST = {"delay": 0.01, "max_delay": 0.05}


class Clock:
    """A clock that advances only when a procedure sleeps, and by the time of each poll."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self.seen: list[Any] = []
        self.given: list[float | None] = []
        """The deadline of each call, in seconds."""

    def pace(self, timeout: float | None = None, delay: float = 1.0, max_delay: float = 30.0) -> waiting.Pace:
        return waiting.Pace(timeout, delay, max_delay, self.seen.append, lambda: NOW, lambda: self.time, lambda: 0.5)

    def run(self, procedure: Any, took: float = 0.0) -> Any:
        def perform(effect: Any) -> Any:
            if isinstance(effect, ReportChange):
                return effect.on_change(effect.seen)
            if isinstance(effect, Invoke):
                self.given.append(effect.seconds)
                self.time += took
                return effect.function(*effect.arguments, **effect.keywords)
            assert isinstance(effect, Sleep)
            self.slept.append(effect.seconds)
            self.time += effect.seconds
            return None

        return run(procedure, perform)


class Scripted:
    """A client whose methods return scripted results in turn; the last one is repeated."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)
        self.calls: list[Any] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, *args, *kwargs.values()))
            result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
            if isinstance(result, Exception):
                raise result
            return result

        return call


def status(state: str, *runs: Any) -> dict[str, Any]:
    made = [run if isinstance(run, dict) else {"state": run} for run in runs or (state,)]
    return {"status": {"state": state, "runs": made}}


def down() -> TaskclusterConnectionError:
    return TaskclusterConnectionError("no response", None)


def absent() -> TaskclusterRestFailure:
    return TaskclusterRestFailure("not there", None, status_code=404)


# How often


def test_delays_double_until_something_changes() -> None:
    clock = Clock()
    queue = Scripted(*[status("pending")] * 8, status("running"), status("running"), status("completed"))
    found = clock.run(waiting.task(queue, TASK, clock.pace()))
    assert found["state"] == "completed"
    assert clock.slept == [1, 2, 4, 8, 16, 30, 30, 30, 1, 2]


def test_slow_polls_are_as_far_apart() -> None:
    clock = Clock()
    clock.run(waiting.task(Scripted(status("pending"), status("completed")), TASK, clock.pace()), took=7)
    assert clock.slept == [7]


def test_reports_the_first_result_and_each_change() -> None:
    clock = Clock()
    rerun = status("pending", "exception", "pending")
    queue = Scripted(status("pending"), status("pending"), status("running"), rerun, status("failed"))
    clock.run(waiting.task(queue, TASK, clock.pace()))
    assert [seen["state"] for seen in clock.seen] == ["pending", "running", "pending", "failed"]


# For how long


def test_polls_once_more_at_the_timeout() -> None:
    clock = Clock()
    with pytest.raises(WaitTimeoutError, match=f"task {TASK} to resolve: not within 10 seconds") as caught:
        clock.run(waiting.task(Scripted(status("pending")), TASK, clock.pace(timeout=10)))
    assert clock.slept == [1, 2, 4, 3]
    assert caught.value.last["state"] == "pending"
    assert isinstance(caught.value, TimeoutError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.last) == (str(caught.value), caught.value.last)


def test_a_timeout_of_zero_polls_once() -> None:
    clock = Clock()
    with pytest.raises(WaitTimeoutError):
        clock.run(waiting.task(Scripted(status("pending")), TASK, clock.pace(timeout=0)))
    assert clock.slept == []


def test_calls_are_limited_to_the_remaining_time() -> None:
    for timeout, looks in ((10, [10, 9, 7, 5, 5]), (2, [2, 2, 2]), (0, [5])):
        clock = Clock()
        with pytest.raises(WaitTimeoutError):
            clock.run(waiting.task(Scripted(status("pending")), TASK, clock.pace(timeout=timeout)))
        assert clock.given == looks
    clock = Clock()
    clock.run(waiting.task(Scripted(status("completed")), TASK, clock.pace()))
    assert clock.given == [None]


def test_pages_of_one_poll_share_its_time() -> None:
    clock = Clock()
    page = {"tasks": [], "continuationToken": "t"}
    queue = Scripted(page, page, page, {"tasks": []})
    clock.run(waiting.group(queue, "G", clock.pace(timeout=10)), took=4)
    assert clock.given == [10, 6, 2, 0.1]


@pytest.mark.parametrize(
    ("options", "seconds", "timeout", "retries"),
    [
        ({}, 3600, (30, 60), 5),
        ({"maxRetries": 12}, 3600, (30, 60), 12),
        ({"maxRetries": 0}, 3600, (30, 60), 0),
        ({}, 300, (30, 60), 2),
        ({}, 10, (10, 10), 0),
        ({"timeout": 2}, 10, (2, 2), 0),
        ({"timeout": (1, 20)}, 10, (1, 10), 0),
        ({"timeout": 1, "maxDelay": 1}, 10, (1, 1), 4),
    ],
)
def test_timeouts_and_retries_fit_into_the_time(
    options: dict[str, Any], seconds: float, timeout: tuple[float, float], retries: int
) -> None:
    given = taskcluster.Queue({"rootUrl": "https://tc.example.com", **options}).options
    assert limited(given, seconds) == {"timeout": timeout, "maxRetries": retries}


@pytest.mark.parametrize(
    "wrong", [{"timeout": "5"}, {"delay": None}, {"max_delay": [1]}], ids=["timeout", "delay", "max_delay"]
)
def test_times_that_are_not_numbers_raise(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(TaskclusterFailure, match=f"^{name} must be a number of seconds, not {type(value).__name__}$"):
        Clock().pace(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"timeout": -1}, {"timeout": float("nan")}, {"delay": 0}, {"delay": 31}, {"max_delay": 0.5}]
)
def test_invalid_times_raise(wrong: dict[str, float]) -> None:
    with pytest.raises(TaskclusterFailure, match=r"timeout must|delay must"):
        Clock().pace(**wrong)


# What fails on the way


def test_temporary_failures_are_retried() -> None:
    clock = Clock()
    later = TaskclusterRestFailure("later", None, status_code=503)
    queue = Scripted(*[down(), later] * 5, status("completed"))
    assert clock.run(waiting.task(queue, TASK, clock.pace()))["state"] == "completed"
    assert len(clock.slept) == 10


def test_raises_after_ten_failed_polls() -> None:
    clock = Clock()
    queue = Scripted(down())
    with pytest.raises(TaskclusterConnectionError):
        clock.run(waiting.task(queue, TASK, clock.pace()))
    assert len(queue.calls) == 11


def test_a_timeout_during_an_outage_has_it_as_cause() -> None:
    clock = Clock()
    with pytest.raises(WaitTimeoutError) as caught:
        clock.run(waiting.task(Scripted(status("running"), down()), TASK, clock.pace(timeout=5)))
    assert isinstance(caught.value.__cause__, TaskclusterConnectionError)
    assert caught.value.last["state"] == "running"


def test_other_failures_raise_at_once() -> None:
    clock = Clock()
    with pytest.raises(TaskclusterRestFailure):
        clock.run(waiting.task(Scripted(absent()), TASK, clock.pace()))
    assert clock.slept == []


# For what


def test_counts_a_group_over_all_pages() -> None:
    def page(token: str | None, *states: str) -> dict[str, Any]:
        tasks = [{"status": {"state": state}} for state in states]
        return {"tasks": tasks, **({"continuationToken": token} if token else {})}

    clock = Clock()
    queue = Scripted(page("t", "completed", "running"), page(None, "failed"), page("t", "completed"), page(None))
    assert clock.run(waiting.group(queue, "G", clock.pace())) == Counter(completed=1)
    assert clock.seen == [Counter(completed=1, running=1, failed=1), Counter(completed=1)]
    assert queue.calls[:2] == [("listTaskGroup", "G"), ("listTaskGroup", "G", {"continuationToken": "t"})]


def test_reports_a_missing_indexed_task_as_none() -> None:
    clock = Clock()
    index = Scripted(absent(), absent(), {"taskId": TASK})
    assert clock.run(waiting.indexed_task(index, "a.b", clock.pace())) == {"taskId": TASK}
    assert clock.seen == [None, {"taskId": TASK}]


@pytest.mark.parametrize(
    ("last", "comes"),
    [
        (status("running"), True),
        (status("unscheduled", *[]), True),
        (status("completed"), False),
        (status("failed"), False),
        (status("exception", {"state": "exception", "resolved": "2029-12-31T23:50:00.000Z", "started": "x"}), True),
        (status("exception", {"state": "exception", "resolved": "2029-12-31T23:30:00.000Z", "started": "x"}), False),
        (status("exception", {"state": "exception", "resolved": "2029-12-31T23:59:00.000Z"}), False),
    ],
)
def test_artifacts_may_appear_until_the_run_ends(last: dict[str, Any], comes: bool) -> None:
    assert waiting.may_still_appear(last["status"], None, NOW) is comes


def test_artifacts_depend_on_their_own_run() -> None:
    both = status("running", "failed", "running")["status"]
    for runs in ((0, 1, 2, None), ("0", "1", "2", None)):
        assert [waiting.may_still_appear(both, run, NOW) for run in runs] == [False, True, True, True]
    assert not waiting.may_still_appear({"state": "exception", "runs": []}, None, NOW)


# On sockets


class Worker:
    """Creates, claims and resolves tasks of a local deployment."""

    def __init__(self, local: LocalTaskcluster) -> None:
        self.queue = taskcluster.Queue(local.options())
        self.group = taskcluster.slugId()

    def create(self) -> str:
        task_id = taskcluster.slugId()
        definition = {
            "taskQueueId": "proj/ci",
            "taskGroupId": self.group,
            "schedulerId": "s",
            "created": taskcluster.fromNow("0 seconds"),
            "deadline": taskcluster.fromNow("1 hour"),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "a@example.com", "source": "https://example.com/"},
        }
        self.queue.createTask(task_id, definition)
        return task_id

    def finish(self, count: int = 1) -> None:
        claimed = self.queue.claimWork("proj/ci", {"workerGroup": "g", "workerId": "w", "tasks": count})["tasks"]
        assert len(claimed) == count
        for each in claimed:
            self.queue.reportCompleted(each["status"]["taskId"], each["runId"])


def once(action: Callable[[], None], mode: HelperMode, seen: list[Any]) -> Callable[[Any], Any]:
    """Return an on_change, async in async code, that records its arguments and acts on the first call."""

    def on_change(found: Any) -> None:
        seen.append(found)
        if len(seen) == 1:
            # Elsewhere, as the caller's thread may be an event loop's.
            thread = threading.Thread(target=action)
            thread.start()
            thread.join()

    async def coroutine(found: Any) -> None:
        on_change(found)

    return on_change if mode.module is taskcluster else coroutine


@pytest.fixture
def worker(local: LocalTaskcluster) -> Worker:
    return Worker(local)


def test_wait_for_task(mode: HelperMode, local: LocalTaskcluster, worker: Worker) -> None:
    task_id, seen = worker.create(), []
    queue = mode.client("Queue", local.options())
    waited = mode.helper.wait_for_task(queue, task_id, timeout=60, on_change=once(worker.finish, mode, seen), **FAST)
    assert mode.run(waited)["state"] == "completed"
    assert [found["state"] for found in seen] == ["pending", "completed"]


def test_wait_for_task_group(mode: HelperMode, local: LocalTaskcluster, worker: Worker) -> None:
    for _ in range(3):
        worker.create()
    seen: list[Any] = []
    queue = mode.client("Queue", local.options())
    change = once(lambda: worker.finish(3), mode, seen)
    waited = mode.helper.wait_for_task_group(queue, worker.group, timeout=60, on_change=change, **FAST)
    assert mode.run(waited) == {"completed": 3}
    assert seen == [{"pending": 3}, {"completed": 3}]


def test_wait_for_indexed_task(mode: HelperMode, local: LocalTaskcluster) -> None:
    def insert() -> None:
        taskcluster.Index(local.options()).insertTask(
            "a.b", {"taskId": TASK, "rank": 0, "data": {}, "expires": taskcluster.fromNowJSON("1 day")}
        )

    seen: list[Any] = []
    index = mode.client("Index", local.options())
    waited = mode.helper.wait_for_indexed_task(index, "a.b", timeout=60, on_change=once(insert, mode, seen), **FAST)
    assert mode.run(waited)["taskId"] == TASK
    assert seen[0] is None


@pytest.mark.parametrize("run", [None, 0, "0"])
def test_wait_for_artifact(mode: HelperMode, queue: FakeQueue, run: int | str | None) -> None:
    def create() -> None:
        queue.artifacts["public/a b"] = lambda handler: None

    seen: list[Any] = []
    client = mode.client("Queue", queue.options)
    change = once(create, mode, seen)
    waited = mode.helper.wait_for_artifact(client, TASK, "public/a b", run, timeout=60, on_change=change, **FAST)
    assert mode.run(waited)["name"] == "public/a b"
    assert seen[0] is None


def test_an_artifact_missing_from_a_finished_run_raises(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end("failed")
    with pytest.raises(ArtifactMissingError, match=r"resolved \(failed\) and has no artifact 'public/x'"):
        mode.run(mode.helper.wait_for_artifact(mode.client("Queue", queue.options), TASK, "public/x"))


def test_times_out_after_failures(mode: HelperMode, queue: FakeQueue) -> None:
    queue.failures = [500, 503]
    with pytest.raises(WaitTimeoutError) as caught:
        mode.run(mode.helper.wait_for_task(mode.client("Queue", queue.options), TASK, timeout=0.3, **FAST))
    assert caught.value.last["state"] == "running"


@pytest.fixture
def silent() -> Iterator[str]:
    """The root URL of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def refusing() -> Iterator[str]:
    """A root URL that refuses connections; the port stays reserved."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


WAITING: dict[str, tuple[str, tuple[str, ...]]] = {
    "wait_for_task": ("Queue", (TASK,)),
    "wait_for_task_group": ("Queue", (TASK,)),
    "wait_for_indexed_task": ("Index", ("a.b",)),
    "wait_for_artifact": ("Queue", (TASK, "public/x")),
}


@pytest.mark.parametrize("function", WAITING)
@pytest.mark.parametrize("server", ["refusing", "silent"])
def test_times_out_without_a_response(
    mode: HelperMode, request: pytest.FixtureRequest, function: str, server: str
) -> None:
    service, arguments = WAITING[function]
    # By the client's own options it would take minutes.
    options = {"rootUrl": request.getfixturevalue(server), "timeout": 60, "maxRetries": 9, "delayFactor": 10}
    client = mode.client(service, options)
    seen: list[Any] = []
    started = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"not within 0\.2 seconds") as caught:
        mode.run(getattr(mode.helper, function)(client, *arguments, timeout=0.2, on_change=seen.append))
    assert 0.2 <= time.monotonic() - started < 40
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value.__cause__, TaskclusterConnectionError)
    assert caught.value.last is None
    assert seen == []


@pytest.mark.parametrize("function", WAITING)
def test_raises_while_connections_are_refused(mode: HelperMode, refusing: str, function: str) -> None:
    service, arguments = WAITING[function]
    client = mode.client(service, {"rootUrl": refusing, "maxRetries": 0})
    with pytest.raises(TaskclusterConnectionError):
        mode.run(getattr(mode.helper, function)(client, *arguments, **FAST))


def test_a_call_without_response_ends_at_the_timeout(mode: HelperMode, silent: str) -> None:
    client = mode.client("Queue", {"rootUrl": silent, "timeout": 60, "maxRetries": 3})
    before = copy.deepcopy(client.options)
    started = time.monotonic()
    with pytest.raises(WaitTimeoutError) as caught:
        mode.run(mode.helper.wait_for_task(client, TASK, timeout=0.3))
    assert time.monotonic() - started < 40
    assert isinstance(caught.value.__cause__, TaskclusterConnectionError)
    assert client.options == before


def test_calls_with_a_deadline_reuse_connections(mode: HelperMode, queue: FakeQueue) -> None:
    queue.on_status = lambda: queue.end() if len(queue.calls) > 3 else None

    async def used(client: Any) -> None:
        async with client:
            await client.status(TASK)
            await mode.helper.wait_for_task(client, TASK, timeout=60, **FAST)

    if mode.module is taskcluster.aio:
        mode.run(used(mode.client("Queue", queue.options)))
        assert len(queue.connections) == 1
        return
    for kind in ("used", "unused", "session"):
        queue.calls.clear()
        queue.connections.clear()
        queue.state = "running"
        with (
            requests.Session() as session,
            taskcluster.Queue(queue.options, session if kind == "session" else None) as client,
        ):
            if kind == "used":
                client.status(TASK)
            taskcluster.helper.wait_for_task(client, TASK, timeout=60, **FAST)
        assert len(queue.calls) > 3
        assert len(queue.connections) == 1, kind


def test_fakes_and_subclasses_are_called_with_a_deadline(mode: HelperMode, queue: FakeQueue) -> None:
    """Fakes need only the methods that are called."""
    result = status("completed")

    class StatusQueue:
        if mode.module is taskcluster:

            def status(self, taskId: str) -> Any:
                return result
        else:

            async def status(self, taskId: str) -> Any:
                return result

    base = mode.module.Queue

    class CountingQueue(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(queue.options)
            self.looks = 0

        def status(self, *args: Any) -> Any:
            self.looks += 1
            return StatusQueue().status(*args)

    patched = base(queue.options)
    patched.status = StatusQueue().status
    mocked = mock.create_autospec(base, instance=True)
    mocked.status.return_value = result
    mine = CountingQueue()
    for client in (StatusQueue(), mine, patched, mocked):
        assert mode.run(mode.helper.wait_for_task(client, TASK, timeout=60))["state"] == "completed"
    assert mine.looks == 1


def test_a_client_of_the_other_mode_raises(mode: HelperMode, queue: FakeQueue) -> None:
    other = taskcluster.aio if mode.module is taskcluster else taskcluster
    with pytest.raises(TaskclusterFailure, match=r"needs an? (a?)sync client"):
        mode.run(mode.helper.wait_for_task(other.Queue(queue.options), TASK, timeout=0))


def test_exceptions_of_on_change_propagate(mode: HelperMode, queue: FakeQueue) -> None:
    def fail(found: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mode.run(mode.helper.wait_for_task(mode.client("Queue", queue.options), TASK, on_change=fail))


def test_sync_on_change_must_not_be_a_coroutine_function(queue: FakeQueue) -> None:
    async def change(found: Any) -> None: ...

    with pytest.raises(TaskclusterFailure, match="must not be a coroutine function"):
        taskcluster.helper.wait_for_task(taskcluster.Queue(queue.options), TASK, on_change=change)
