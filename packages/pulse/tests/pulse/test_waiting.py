"""Waiting for tasks and groups with messages of a local deployment."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

import taskcluster
import taskcluster.aio
import taskcluster_pulse
import taskcluster_pulse.aio
from taskcluster_helper import WaitTimeoutError
from taskcluster_local import LocalTaskcluster
from taskcluster_pulse.testing import BrokerAccounts

from .proxy import Proxy

HOUR = 3600.0
"""Between two polls: in a test, only a message causes one."""


@pytest.fixture
def queue(deployment: LocalTaskcluster) -> taskcluster.Queue:
    deployment.reset()
    return taskcluster.Queue(deployment.options())


def create(queue: taskcluster.Queue, group: str | None = None) -> str:
    taskId = taskcluster.slugId()
    queue.createTask(
        taskId,
        {
            "taskQueueId": "proj/ci",
            "taskGroupId": group or taskId,
            "created": taskcluster.fromNowJSON("0 seconds"),
            "deadline": taskcluster.fromNowJSON("1 hour"),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "me@example.com", "source": "https://example.com"},
        },
    )
    return taskId


def complete(queue: taskcluster.Queue, taskId: str) -> None:
    queue.claimTask(taskId, "0", {"workerGroup": "g", "workerId": "w"})
    queue.reportCompleted(taskId, "0")


def wait(name: str, is_async: bool, queue: taskcluster.Queue, target: str, **arguments: Any) -> Any:
    if not is_async:
        return getattr(taskcluster_pulse, name)(queue, target, poll=HOUR, **arguments)

    async def main() -> Any:
        async with taskcluster.aio.Queue(queue.options) as client:
            return await getattr(taskcluster_pulse.aio, name)(client, target, poll=HOUR, **arguments)

    return asyncio.run(main())


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_message_ends_waiting_for_a_task(queue: taskcluster.Queue, is_async: bool) -> None:
    taskId = create(queue)
    states: list[str] = []

    def change(status: Any) -> None:
        # After the first poll, so only a message can cause the next.
        states.append(status["state"])
        if status["state"] == "pending":
            complete(queue, taskId)

    assert wait("wait_for_task", is_async, queue, taskId, on_change=change)["state"] == "completed"
    assert states == ["pending", "completed"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_message_ends_waiting_for_a_group(queue: taskcluster.Queue, is_async: bool) -> None:
    group = taskcluster.slugId()
    tasks = [create(queue, group) for _ in range(2)]

    def change(states: Any) -> None:
        if states["pending"] == 2:
            for taskId in tasks:
                complete(queue, taskId)

    assert wait("wait_for_task_group", is_async, queue, group, on_change=change) == {"completed": 2}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_resolved_task_needs_no_message(queue: taskcluster.Queue, is_async: bool) -> None:
    taskId = create(queue)
    complete(queue, taskId)
    assert wait("wait_for_task", is_async, queue, taskId)["state"] == "completed"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_last_status_is_requested_at_the_timeout(queue: taskcluster.Queue, is_async: bool) -> None:
    with pytest.raises(WaitTimeoutError) as caught:
        wait("wait_for_task", is_async, queue, create(queue), timeout=0.05)
    assert caught.value.last["state"] == "pending"


@pytest.mark.once
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", ["wait_for_task", "wait_for_task_group"])
def test_the_status_is_requested_after_a_lost_connection(
    queue: taskcluster.Queue, broker: BrokerAccounts, name: str, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No message comes from this broker, as if all had been missed."""
    monkeypatch.setattr("taskcluster_pulse.supervisor.pause", lambda *args: 0.01)
    taskId = create(queue)
    proxy = Proxy(broker.port)
    polls: list[Any] = []

    def change(state: Any) -> None:
        polls.append(state)
        if len(polls) == 1:
            complete(queue, taskId)
            proxy.cut()

    found = wait(name, is_async, queue, taskId, on_change=change, url=broker.url("alice", port=proxy.port))
    assert found == {"completed": 1} or found["state"] == "completed"
    assert len(polls) == 2
    proxy.close()


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", ["wait_for_task", "wait_for_task_group"])
def test_a_lost_stream_does_not_delay_waiting(
    queue: taskcluster.Queue, name: str, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskcluster_pulse.supervisor.pause", lambda *args: 0.01)
    taskId = create(queue)
    proxy = Proxy(urlsplit(queue.options["rootUrl"]).port or 0)
    polls: list[Any] = []

    def change(state: Any) -> None:
        polls.append(state)
        if len(polls) == 1:
            proxy.silence()
            complete(queue, taskId)
            proxy.cut()

    found = wait(name, is_async, queue, taskId, on_change=change, root_url=f"http://127.0.0.1:{proxy.port}")
    assert found == {"completed": 1} or found["state"] == "completed"
    assert len(polls) == 2
    proxy.close()
