"""Consumers against RabbitMQ: what they receive, acknowledge and retry."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pamqp import commands

import taskcluster_pulse
from taskcluster_pulse import Consumer, ConsumerStopped, MessageFormatError, Publisher
from taskcluster_pulse.amqp import AmqpEnded, open_connection
from taskcluster_pulse.loop_thread import LoopThread
from taskcluster_pulse.settings import where
from taskcluster_pulse.testing import BrokerAccounts

from .conftest import COMPLETED, EVENTS, KEY, TIMEOUT, PulseMode

pytestmark = pytest.mark.once


def messages_in(broker: BrokerAccounts, queue: str) -> int:
    """Return how many messages a queue of alice has that no consumer has; -1 if there is no such queue."""
    settings = where(url=broker.url("alice")).broker
    assert settings is not None

    async def count() -> int:
        connection = await open_connection(settings)
        try:
            channel = await connection.channel()
            declared = await channel.call(commands.Queue.Declare(queue=queue, passive=True), commands.Queue.DeclareOk)
            return declared.message_count or 0
        except AmqpEnded:
            assert channel.ended.result().code == 404
            return -1
        finally:
            await connection.close()

    thread = LoopThread("count")
    try:
        return thread.call(count())
    finally:
        thread.close()


def test_receives_the_parts_of_a_message(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    with mode.consumer(EVENTS.taskCompleted(taskId=queue_name), url=broker.url("alice")) as messages:
        publisher.publish(COMPLETED, KEY.format(queue_name), {"n": 1}, routes=["index.a.b"])
        message = messages.get(TIMEOUT)
        assert message.payload == {"n": 1}
        assert message.exchange == COMPLETED
        assert message.routing_key == KEY.format(queue_name)
        assert message.routing["taskId"] == queue_name
        assert message.routing["reserved"] == "_"
        assert message.routes == ("index.a.b",)
        assert not message.redelivered
        assert message.body == b'{"n":1}'


@pytest.mark.parametrize("pattern", ["primary.{}.#", "route.{}.#"])
def test_matches_primary_key_or_route(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str, pattern: str
) -> None:
    with mode.consumer((COMPLETED, pattern.format(queue_name)), url=broker.url("alice")) as messages:
        publisher.publish(COMPLETED, KEY.format(queue_name), 1, routes=[f"{queue_name}.x"])
        message = messages.get(TIMEOUT)
        assert message.routing_key == KEY.format(queue_name)
        assert message.routes == (f"{queue_name}.x",)


def test_receives_one_copy_if_both_match(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    bindings = [(COMPLETED, f"primary.{queue_name}.#"), (COMPLETED, f"route.{queue_name}.#")]
    with mode.consumer(bindings, url=broker.url("alice")) as messages:
        publisher.publish(COMPLETED, KEY.format(queue_name), 1, routes=[f"{queue_name}.x"])
        publisher.publish(COMPLETED, KEY.format(queue_name), 2)
        assert [messages.get(TIMEOUT).payload for _ in range(2)] == [1, 2]


def test_receives_messages_without_routes(mode: PulseMode, broker: BrokerAccounts, queue_name: str) -> None:
    """Other publishers send no `CC`, no headers, or no properties at all."""
    settings = where(url=broker.url("taskcluster-queue")).broker
    assert settings is not None
    sent: list[Any] = [None, {}, {"CC": []}, {"cc": ["route.x"]}]

    async def publish() -> None:
        connection = await open_connection(settings)
        channel = await connection.channel()
        for headers in sent:
            properties = commands.Basic.Properties(headers=headers)
            method = commands.Basic.Publish(exchange=COMPLETED, routing_key=KEY.format(queue_name))
            channel.publish(method, properties, b"1")
        await connection.close()

    with mode.consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice")) as messages:
        asyncio.run(publish())
        received = [messages.get(TIMEOUT) for _ in sent]
        assert [(message.payload, message.routes) for message in received] == [(1, ())] * len(sent)


def test_acknowledges_when_the_next_is_requested(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    arguments: dict[str, Any] = {"url": broker.url("alice"), "queue": queue_name}
    with mode.consumer((COMPLETED, f"primary.{queue_name}.#"), prefetch=50, **arguments) as messages:
        for number in range(4):
            publisher.publish(COMPLETED, KEY.format(queue_name), number)
        assert [messages.get(TIMEOUT).payload for _ in range(3)] == [0, 1, 2]
    # The block has ended, and so the third is acknowledged; the fourth was received, but not handled.
    with mode.consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments) as messages:
        message = messages.get(TIMEOUT)
        assert message.payload == 3
        assert message.redelivered


def test_only_ack_acknowledges_with_manual_ack(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    arguments: dict[str, Any] = {"url": broker.url("alice"), "queue": queue_name, "manual_ack": True}
    with mode.consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments) as messages:
        for number in range(3):
            publisher.publish(COMPLETED, KEY.format(queue_name), number)
        received = [messages.get(TIMEOUT) for _ in range(3)]
        received[1].ack()
        received[1].ack()
        received[2].reject()
    with mode.consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments) as messages:
        message = messages.get(TIMEOUT)
        assert message.payload == 0
        message.reject(requeue=True)
        again = messages.get(TIMEOUT)
        assert again.payload == 0
        again.ack()
    assert messages_in(broker, f"queue/alice/{queue_name}") == 0


def test_an_exception_in_the_block_queues_again(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    failures: list[Any] = []
    arguments: dict[str, Any] = {
        "url": broker.url("alice"), "queue": queue_name, "on_failure": lambda *args: failures.append(args)
    }  # fmt: skip
    for redelivered in (False, True):
        with (  # noqa: PT012
            pytest.raises(ZeroDivisionError),
            mode.consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments) as messages,
        ):
            if not redelivered:
                publisher.publish(COMPLETED, KEY.format(queue_name), 1)
            assert messages.get(TIMEOUT).redelivered is redelivered
            raise ZeroDivisionError
    assert [type(exc) for _, exc in failures] == [ZeroDivisionError]
    assert messages_in(broker, f"queue/alice/{queue_name}") == 0


def test_an_interruption_never_drops(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    arguments: dict[str, Any] = {"url": broker.url("alice"), "queue": queue_name}
    for number in range(3):
        with (  # noqa: PT012
            pytest.raises(KeyboardInterrupt),
            mode.consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments) as messages,
        ):
            if number == 0:
                publisher.publish(COMPLETED, KEY.format(queue_name), 1)
            messages.get(TIMEOUT)
            raise KeyboardInterrupt
    with mode.consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments) as messages:
        assert messages.get(TIMEOUT).payload == 1


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_run_retries_once(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str, failing: int
) -> None:
    """A failing handler gets the message once more; then the message is given up and reported."""
    seen: list[bool] = []
    failures: list[Any] = []

    def handle(message: Any) -> None:
        seen.append(message.redelivered)
        if len(seen) <= failing:
            raise ZeroDivisionError
        consumer.stop()

    def report(message: Any, exc: Exception) -> None:
        failures.append((message.payload, type(exc)))
        consumer.stop()

    consumer = mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice"),
        queue=queue_name,
        on_connected=lambda: publisher.publish(COMPLETED, KEY.format(queue_name), 1),
        on_failure=report,
    )
    consumer.run(handle)
    assert seen == ([False, True] if failing else [False])
    assert failures == ([(1, ZeroDivisionError)] if failing == 2 else [])
    assert messages_in(broker, f"queue/alice/{queue_name}") == 0


def test_dead_letters_what_fails_twice(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    with Publisher(url=broker.url("alice")) as own:
        dead = own.declare_exchange(f"dead-{queue_name}")

    def handle(message: Any) -> None:
        if message.redelivered:
            consumer.stop()
        raise ZeroDivisionError

    with mode.consumer((dead, "#"), url=broker.url("alice")) as graveyard:
        consumer = mode.consumer(
            (COMPLETED, f"primary.{queue_name}.#"),
            url=broker.url("alice"),
            queue=queue_name,
            queue_arguments={"x-dead-letter-exchange": dead},
            on_connected=lambda: publisher.publish(COMPLETED, KEY.format(queue_name), 7),
        )
        consumer.run(handle)
        assert graveyard.get(TIMEOUT).payload == 7


@pytest.mark.parametrize("body", [b"{", b'"\xff"', b"", b"[" * 200_000], ids=["not JSON", "not UTF-8", "empty", "deep"])
def test_gives_up_what_is_not_json(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str, body: bytes
) -> None:
    failures: list[Any] = []
    with mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice"),
        queue=queue_name,
        on_failure=lambda message, exc: failures.append((message.body, type(exc))),
    ) as messages:
        publisher.publish(COMPLETED, KEY.format(queue_name), body)
        publisher.publish(COMPLETED, KEY.format(queue_name), 1)
        assert messages.get(TIMEOUT).payload == 1
    assert failures == [(body, MessageFormatError)]
    assert messages_in(broker, f"queue/alice/{queue_name}") == 0


def test_get_raises_after_the_timeout(mode: PulseMode, broker: BrokerAccounts, queue_name: str) -> None:
    with (
        mode.consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice")) as messages,
        pytest.raises(TimeoutError, match=r"within 0\.01 seconds"),
    ):
        messages.get(0.01)


def test_stop_lets_the_handler_finish(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    """The message that is handled is acknowledged; those that were received only are delivered again."""
    seen: list[Any] = []

    def publish() -> None:
        for number in range(3):
            publisher.publish(COMPLETED, KEY.format(queue_name), number)

    def handle(message: Any) -> None:
        seen.append(message.payload)
        stopper = threading.Thread(target=consumer.stop)
        stopper.start()
        stopper.join()

    consumer = mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice"),
        queue=queue_name,
        on_connected=publish,
    )
    consumer.run(handle)
    assert seen == [0]
    with pytest.raises(ConsumerStopped):
        consumer.get(0)
    # Not counted at once: the broker queues them again some time after the connection is closed.
    with mode.consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice"), queue=queue_name) as messages:
        assert sorted(messages.get(TIMEOUT).payload for _ in range(2)) == [1, 2]
    assert messages_in(broker, f"queue/alice/{queue_name}") == 0


def test_stop_before_connecting(mode: PulseMode, broker: BrokerAccounts) -> None:
    consumer = mode.consumer((COMPLETED, "#"), url=broker.url("alice"))
    consumer.stop()
    consumer.run(lambda _: pytest.fail("no message is handled"))


def test_deletes_an_ephemeral_queue_when_stopped(mode: PulseMode, broker: BrokerAccounts) -> None:
    with mode.consumer((COMPLETED, "nothing"), url=broker.url("alice")) as messages:
        queue = messages.queue
        assert messages_in(broker, queue) == 0
    assert messages_in(broker, queue) == -1


def test_consumers_of_one_queue_share(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    arguments: dict[str, Any] = {"url": broker.url("alice"), "queue": queue_name, "prefetch": 1}
    binding = (COMPLETED, f"primary.{queue_name}.#")
    with mode.consumer(binding, **arguments) as one, mode.consumer(binding, **arguments) as other:
        for number in range(2):
            publisher.publish(COMPLETED, KEY.format(queue_name), number)
        assert {one.get(TIMEOUT).payload, other.get(TIMEOUT).payload} == {0, 1}


def test_async_handlers_run_concurrently(broker: BrokerAccounts, publisher: Publisher, queue_name: str) -> None:
    import asyncio

    from taskcluster_pulse.aio import Consumer as AsyncConsumer

    async def main() -> None:
        together = asyncio.Event()
        running: set[int] = set()

        async def handle(message: Any) -> None:
            running.add(message.payload)
            if len(running) == 3:
                together.set()
                consumer.stop()
            await asyncio.wait_for(together.wait(), TIMEOUT)

        consumer = AsyncConsumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice"), queue=queue_name)
        async with consumer:
            for number in range(3):
                await asyncio.to_thread(publisher.publish, COMPLETED, KEY.format(queue_name), number)
            await consumer.run(handle, concurrency=3)

    asyncio.run(main())
    assert messages_in(broker, f"queue/alice/{queue_name}") == 0


def test_raises_after_a_fork(broker: BrokerAccounts, queue_name: str) -> None:
    import os

    with Consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice")) as messages:
        child = os.fork()
        if child == 0:
            try:
                messages.get(1)
            except taskcluster_pulse.PulseFailure as exc:
                os._exit(7 if "after a fork" in str(exc) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with pytest.raises(TimeoutError):
            messages.get(0)


def test_a_publisher_raises_after_a_fork(broker: BrokerAccounts, queue_name: str) -> None:
    import os

    with Publisher(url=broker.url("alice")) as publisher:
        exchange = publisher.declare_exchange(queue_name)
        child = os.fork()
        if child == 0:
            try:
                publisher.publish(exchange, "key", 1)
            except taskcluster_pulse.PulseFailure as exc:
                publisher.__exit__(None, None, None)
                os._exit(7 if "after a fork" in str(exc) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        publisher.publish(exchange, "key", 1)


def test_raises_without_file_descriptors(unused_port: int) -> None:
    script = """
import os, resource, sys
from taskcluster_pulse import Consumer
consumer = Consumer(("exchange/x", "#"), url=sys.argv[1], connect_timeout=0)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
try:
    while True:
        os.dup(0)
except OSError:
    pass
try:
    consumer.__enter__()
except OSError as exc:
    print(exc.strerror)
"""
    url = f"amqp://alice:secret@127.0.0.1:{unused_port}"
    result = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, encoding="utf-8", timeout=TIMEOUT, check=True
    )
    assert result.stdout == "Too many open files\n"


def test_heartbeats_continue_during_a_slow_handler(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str, silent: Callable[[], None]
) -> None:
    """The handler lasts until the broker has closed a connection that sends no heartbeats."""
    connections: list[int] = []

    def publish() -> None:
        connections.append(1)
        publisher.publish(COMPLETED, KEY.format(queue_name), 1)

    async def wait_async() -> None:
        await asyncio.to_thread(silent)

    def handle(message: Any) -> Any:
        consumer.stop()
        assert not message.redelivered
        return wait_async() if mode.is_async else silent()

    consumer = mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice"),
        queue=queue_name,
        heartbeat=1,
        on_connected=publish,
    )
    consumer.run(handle)
    assert connections == [1]
    assert messages_in(broker, f"queue/alice/{queue_name}") == 0


@pytest.fixture
def silent(broker: BrokerAccounts) -> Callable[[], None]:
    """Returns when the broker has closed a connection for which a heartbeat of one second was agreed on."""
    import socket

    from pamqp import frame

    def wait() -> None:
        settings = where(url=broker.url("alice")).broker
        assert settings is not None
        with socket.create_connection(("127.0.0.1", broker.port), TIMEOUT) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            connection.recv(65536)
            login = f"\0{settings.username}\0{settings.password}"
            connection.sendall(frame.marshal(commands.Connection.StartOk({}, "PLAIN", login, "en_US"), 0))
            connection.recv(65536)
            connection.sendall(frame.marshal(commands.Connection.TuneOk(0, 131072, 1), 0))
            connection.sendall(frame.marshal(commands.Connection.Open("/"), 0))
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass

    return wait
