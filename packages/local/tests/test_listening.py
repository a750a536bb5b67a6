"""Tests of listening to messages, in sync and async code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_local.server import LocalServer


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as made:
        yield made


@pytest.fixture
def local(running: LocalTaskcluster) -> LocalTaskcluster:
    running.reset()
    return running


def server_of(local: LocalTaskcluster) -> LocalServer:
    return local._server


STATUS = {
    "taskId": "A" * 8 + "QACA" + "A" * 10,
    "provisionerId": "p",
    "workerType": "w",
    "taskQueueId": "p/w",
    "schedulerId": "-",
    "projectId": "none",
    "taskGroupId": "A" * 8 + "QACA" + "A" * 10,
    "deadline": "2030-01-01T00:00:00.000Z",
    "expires": "2030-01-01T00:00:00.000Z",
    "retriesLeft": 5,
    "state": "pending",
    "runs": [],
}


def publish(local: LocalTaskcluster, **words: str) -> None:
    """Let the queue publish a message about a pending task; its tags are the words of its routing key."""
    payload = {"status": STATUS, "runId": 0, "task": {"tags": words}, "version": 1}

    async def procedure() -> None:
        server_of(local)._state.deployment.events.publish("queue", "taskPending", payload, **words)

    server_of(local).submit(procedure()).result()


def tags(message: Any) -> Any:
    return message.payload["task"]["tags"]


@pytest.fixture
def events(local: LocalTaskcluster) -> Any:
    return taskcluster.QueueEvents(local.options())


def test_receives_messages_in_order(local: LocalTaskcluster, events: Any) -> None:
    publish(local, taskId="before")
    with local.listen(events.taskPending()) as messages:
        for number in range(3):
            publish(local, taskId=f"t{number}")
        first = messages.get(timeout=60)
        assert first.exchange == "exchange/taskcluster-queue/v1/task-pending"
        assert first.routingKey.startswith("primary.t0.")
        assert [tags(message)["taskId"] for message in messages.drain()] == ["t1", "t2"]
        assert messages.drain() == []


def test_receives_messages_of_bindings_only(local: LocalTaskcluster, events: Any) -> None:
    with local.listen(events.taskPending(taskId="a"), events.taskPending(runId=3), events.taskFailed()) as messages:
        publish(local, taskId="a", runId="3")
        publish(local, taskId="b", runId="4")
        publish(local, taskId="b", runId="3")
        assert [tags(message)["taskId"] for message in messages.drain()] == ["a", "b"]


def test_received_message_is_a_copy(local: LocalTaskcluster, events: Any) -> None:
    with local.listen(events.taskPending()) as one, local.listen(events.taskPending()) as other:
        publish(local, taskId="a")
        one.get(5).payload.clear()
        assert tags(other.get(5)) == {"taskId": "a"}


def test_next_waits_until_timeout(local: LocalTaskcluster, events: Any) -> None:
    with local.listen(events.taskPending()) as messages:
        with pytest.raises(TimeoutError, match=r"no message was received within 0\.01 seconds"):
            messages.get(timeout=0.01)
        thread = threading.Thread(target=publish, args=(local,), kwargs={"taskId": "late"})
        thread.start()
        assert tags(messages.get(timeout=60)) == {"taskId": "late"}
        thread.join()


def test_ends_with_block(local: LocalTaskcluster, events: Any) -> None:
    with local.listen(events.taskPending()) as messages:
        publish(local, taskId="a")
    assert len(list(messages)) == 1
    with pytest.raises(EOFError, match="no more messages"):
        messages.get(timeout=60)


def test_ends_when_server_stops() -> None:
    with LocalTaskcluster() as local:
        listening = local.listen(taskcluster.QueueEvents(local.options()).taskPending())
        messages = listening.__enter__()
        publish(local, taskId="a")
    assert [tags(message)["taskId"] for message in messages] == ["a"]
    listening.__exit__(None, None, None)


def test_reset_keeps_listeners_and_drops_messages(local: LocalTaskcluster, events: Any) -> None:
    with local.listen(events.taskPending()) as messages:
        publish(local, taskId="old")
        local.reset()
        publish(local, taskId="new")
        assert [tags(message)["taskId"] for message in messages.drain()] == ["new"]


def test_listens_in_async_code(local: LocalTaskcluster, events: Any) -> None:
    async def scenario() -> None:
        async with local.aio.listen(events.taskPending()) as messages:
            with pytest.raises(TimeoutError, match=r"no message was received within 0\.01 seconds"):
                await messages.get(timeout=0.01)
            waiting = asyncio.create_task(messages.get(timeout=60))
            await asyncio.to_thread(publish, local, taskId="a")
            assert tags(await waiting) == {"taskId": "a"}
            for name in "bcd":
                await asyncio.to_thread(publish, local, taskId=name)
            assert tags(await messages.get()) == {"taskId": "b"}
            assert len(messages.drain()) == 2
        assert [message async for message in messages] == []
        with pytest.raises(EOFError):
            await messages.get()

    asyncio.run(scenario())


def test_server_survives_closed_event_loop(local: LocalTaskcluster, events: Any) -> None:
    async def scenario() -> Any:
        listening = local.aio.listen(events.taskPending())
        await listening.__aenter__()
        return listening

    listening = asyncio.run(scenario())
    publish(local, taskId="a")
    asyncio.run(listening.__aexit__(None, None, None))
    with local.listen(events.taskPending()) as messages:
        publish(local, taskId="b")
        assert tags(messages.get(5)) == {"taskId": "b"}


@pytest.mark.parametrize(
    ("bindings", "error", "told"),
    [
        ([], TypeError, "no bindings"),
        (["exchange/taskcluster-queue/v1/task-pending"], TypeError, "is not a binding"),
        ([{"exchange": "exchange/taskcluster-queue/v1/task-pending"}], TypeError, "is not a binding"),
        ([{"exchange": "exchange/x", "routingKeyPattern": "#"}], ValueError, "unknown exchange 'exchange/x'"),
    ],
)
def test_rejects_invalid_bindings(
    local: LocalTaskcluster, bindings: list[Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told), local.listen(*bindings):
        pass
