"""Consumers whose broker is killed, frozen or damaged: they reconnect, and nothing that is not acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from pamqp import commands

import taskcluster_pulse.aio
from taskcluster_pulse import Consumer, Publisher, PulseConnectionError, PulseFailure, PulseRefused
from taskcluster_pulse.amqp import open_connection
from taskcluster_pulse.settings import where
from taskcluster_pulse.testing import BrokerAccounts, RabbitMQ

from .conftest import COMPLETED, EXCHANGES, KEY, TIMEOUT, USERS, PulseMode
from .proxy import Proxy

pytestmark = pytest.mark.once

LONG = "x" * 256
KILLS = int(os.environ.get("TASKCLUSTER_TESTS_KILLS", "2"))
"""How often the broker is killed while messages are published; 20 for the complete proof, which takes minutes."""


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory, rabbitmq: None) -> Iterator[RabbitMQ]:
    """A server that tests may damage."""
    with RabbitMQ(tmp_path_factory.mktemp("damaged"), users=USERS, exchanges=EXCHANGES) as broker:
        yield broker


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcluster_pulse.supervisor.pause", lambda *args: 0.1)
    monkeypatch.setattr("taskcluster_pulse.aio.publisher.pause", lambda *args: 0.1)


class Warnings(logging.Handler):
    """Waits for a warning of this package."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: queue.SimpleQueue[str] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.put(record.getMessage())

    def wait_for(self, text: str) -> str:
        while True:
            message = self.messages.get(timeout=TIMEOUT)
            if text in message:
                return message


@pytest.fixture
def warnings() -> Iterator[Warnings]:
    handler = Warnings()
    log = logging.getLogger("taskcluster")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def as_user(broker: BrokerAccounts, user: str, *methods: Any) -> None:
    """Send methods to a broker."""
    settings = where(url=broker.url(user)).broker
    assert settings is not None

    async def send() -> None:
        connection = await open_connection(settings)
        channel = await connection.channel()
        for method in methods:
            await channel.call(method, commands.INDEX_MAPPING[method.index + 1])
        await connection.close()

    asyncio.run(send())


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_reconnects_after_a_restart(
    both_modes: list[PulseMode], own_broker: RabbitMQ, queue_name: str, warnings: Warnings, how: str
) -> None:
    connections: Counter[str] = Counter()
    consumers: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        for number, mode in enumerate(both_modes):
            name = f"{queue_name}-{number}"
            consumer = mode.consumer(
                (COMPLETED, f"primary.{name}.#"),
                url=own_broker.url("alice"),
                queue=name,
                # A quorum queue that is this new does not survive a kill.
                queue_type="classic",
                on_connected=functools.partial(connections.update, [name]),
            )
            consumers[name] = stack.enter_context(consumer)
        publisher = stack.enter_context(Publisher(url=own_broker.url("taskcluster-queue")))
        for name, messages in consumers.items():
            for number in range(3):
                publisher.publish(COMPLETED, KEY.format(name), number)
            assert [messages.get(TIMEOUT).payload for _ in range(3)] == [0, 1, 2]
        getattr(own_broker, how)()
        for _ in consumers:
            warnings.wait_for("CONNECTION_FORCED" if how == "terminate" else "connecting again")
        own_broker.start()
        for name, messages in consumers.items():
            publisher.publish(COMPLETED, KEY.format(name), 3)
            # The acknowledgement of 1 may have been lost with the broker; 2 was not acknowledged.
            payloads = []
            while 3 not in payloads:
                payloads.append(messages.get(TIMEOUT).payload)
            assert 2 in payloads
    assert connections == dict.fromkeys(consumers, 2)


def test_an_ephemeral_queue_survives_a_lost_connection(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    proxy = Proxy(broker.port)
    connected = threading.Semaphore(0)
    with mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice", port=proxy.port),
        heartbeat=1,
        on_connected=connected.release,
    ) as messages:
        publisher.publish(COMPLETED, KEY.format(queue_name), 0)
        assert messages.get(TIMEOUT).payload == 0
        proxy.silence()
        publisher.publish(COMPLETED, KEY.format(queue_name), 1)
        # 0 was not acknowledged.
        assert {messages.get(TIMEOUT).payload for _ in range(2)} == {0, 1}
        assert connected.acquire(timeout=0)
        assert connected.acquire(timeout=0)
    proxy.close()


def test_reconnects_after_a_freeze(mode: PulseMode, own_broker: RabbitMQ, queue_name: str, warnings: Warnings) -> None:
    """A frozen broker keeps connections open and is silent."""
    with (
        mode.consumer(
            (COMPLETED, f"primary.{queue_name}.#"), url=own_broker.url("alice"), queue=queue_name, heartbeat=1
        ) as messages,
        Publisher(url=own_broker.url("taskcluster-queue")) as publisher,
    ):
        publisher.publish(COMPLETED, KEY.format(queue_name), 0)
        assert messages.get(TIMEOUT).payload == 0
        own_broker.freeze()
        try:
            assert "silent" in warnings.wait_for("connecting again")
        finally:
            own_broker.thaw()
        publisher.publish(COMPLETED, KEY.format(queue_name), 1)
        # 0 was not acknowledged.
        assert {messages.get(TIMEOUT).payload for _ in range(2)} == {0, 1}


def test_declares_a_deleted_queue_again(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str, warnings: Warnings
) -> None:
    connected = threading.Semaphore(0)
    with mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice"),
        queue=queue_name,
        on_connected=connected.release,
    ) as messages:
        as_user(broker, "alice", commands.Queue.Delete(queue=messages.queue))
        assert "cancelled the consumer" in warnings.wait_for("connecting again")
        _publish_until_received(publisher, COMPLETED, KEY.format(queue_name), messages)
        assert connected.acquire(timeout=0)
        assert connected.acquire(timeout=0)


def test_binds_again_after_an_exchange_was_replaced(mode: PulseMode, broker: BrokerAccounts, queue_name: str) -> None:
    """The broker removes the bindings of a deleted exchange without telling anybody."""
    with Publisher(url=broker.url("bob")) as publisher:
        exchange = publisher.declare_exchange(queue_name)
        with mode.consumer((exchange, "#"), url=broker.url("alice"), heartbeat=1) as messages:
            as_user(
                broker,
                "bob",
                commands.Exchange.Delete(exchange=exchange),
                commands.Exchange.Declare(exchange=exchange, exchange_type="topic", durable=True),
            )
            _publish_until_received(publisher, exchange, "x", messages)


def _publish_until_received(publisher: Publisher, exchange: str, routing_key: str, messages: Any) -> None:
    until = time.monotonic() + TIMEOUT
    while True:
        publisher.publish(exchange, routing_key, "here")
        try:
            assert messages.get(0.2).payload == "here"
        except TimeoutError:
            assert time.monotonic() < until
        else:
            return


def test_raises_if_an_exchange_is_deleted(mode: PulseMode, broker: BrokerAccounts, queue_name: str) -> None:
    with Publisher(url=broker.url("bob")) as publisher:
        exchange = publisher.declare_exchange(queue_name)
        with mode.consumer((exchange, "#"), url=broker.url("alice"), heartbeat=1) as messages:
            as_user(broker, "bob", commands.Exchange.Delete(exchange=exchange))
            with pytest.raises(PulseRefused, match=f"has no exchange '{exchange}'"):
                messages.get(TIMEOUT)


def test_replaces_its_connection(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    """Each message is received once, whatever connection it arrives on."""
    connections: list[int] = []
    seen: list[int] = []
    with mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice"),
        recycle=0.2,
        on_connected=lambda: connections.append(1),
    ) as messages:
        while len(connections) < 4:
            publisher.publish(COMPLETED, KEY.format(queue_name), len(seen))
            seen.append(messages.get(TIMEOUT).payload)
        with pytest.raises(TimeoutError):
            messages.get(0.2)
    assert seen == list(range(len(seen)))


def test_a_replaced_connection_waits_for_its_handlers(
    mode: PulseMode, broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    connected = threading.Semaphore(0)
    with mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice"), queue=queue_name, recycle=0.2, manual_ack=True
    ) as messages:
        publisher.publish(COMPLETED, KEY.format(queue_name), 1)
        message = messages.get(TIMEOUT)
        # Longer than a connection lasts.
        with pytest.raises(TimeoutError):
            messages.get(1)
        message.ack()
        assert not connected.acquire(blocking=False)
    with (
        mode.consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice"), queue=queue_name) as messages,
        pytest.raises(TimeoutError),
    ):
        messages.get(0.2)


def test_messages_of_a_killed_program_are_delivered_again(
    broker: BrokerAccounts, publisher: Publisher, queue_name: str
) -> None:
    program = f"""
from taskcluster_pulse import Consumer

with Consumer(({COMPLETED!r}, "primary.{queue_name}.#"), queue={queue_name!r}) as messages:
    print("connected", flush=True)
    for message in messages:
        print(message.payload, flush=True)
        if message.payload == 1:
            input()
"""
    environment = {**os.environ, "PULSE_URL": broker.url("alice")}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        for number in range(3):
            publisher.publish(COMPLETED, KEY.format(queue_name), number)
        assert [process.stdout.readline() for _ in range(2)] == ["0\n", "1\n"]
        process.kill()
    with Consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice"), queue=queue_name) as messages:
        received = [messages.get(TIMEOUT) for _ in range(2)]
        found: list[Any] = [(message.payload, message.redelivered) for message in received]
        assert sorted(found) == [(1, True), (2, True)]


def test_sigterm_stops_after_the_running_handler(broker: BrokerAccounts, publisher: Publisher, queue_name: str) -> None:
    program = f"""
import signal
from taskcluster_pulse import Consumer

def handle(message):
    print(message.payload, flush=True)
    input()
    print("handled", flush=True)

def connected():
    print("connected", flush=True)

consumer = Consumer(({COMPLETED!r}, "primary.{queue_name}.#"), queue={queue_name!r}, on_connected=connected)
signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
consumer.run(handle)
print("stopped", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PULSE_URL": broker.url("alice")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        for number in range(2):
            publisher.publish(COMPLETED, KEY.format(queue_name), number)
        assert process.stdout.readline() == "0\n"
        process.terminate()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.read() == "handled\nstopped\n"
    assert process.returncode == 0
    with Consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice"), queue=queue_name) as messages:
        received: Any = messages.get(TIMEOUT).payload
        assert received == 1


def test_stops_while_reconnecting(mode: PulseMode, broker: BrokerAccounts, queue_name: str, warnings: Warnings) -> None:
    proxy = Proxy(broker.port)
    ready = threading.Event()
    consumer = mode.consumer(
        (COMPLETED, f"primary.{queue_name}.#"),
        url=broker.url("alice", port=proxy.port),
        on_connected=ready.set,
    )
    running = threading.Thread(target=consumer.run, args=(lambda _: None,))
    running.start()
    assert ready.wait(TIMEOUT)
    proxy.close()
    warnings.wait_for("no connection to")
    consumer.stop()
    running.join(TIMEOUT)
    assert not running.is_alive()


def test_publisher_repeats_what_was_not_confirmed(mode: PulseMode, broker: BrokerAccounts, queue_name: str) -> None:
    proxy = Proxy(broker.port)
    with (
        mode.consumer((COMPLETED, f"primary.{queue_name}.#"), url=broker.url("alice")) as messages,
        mode.publisher(url=broker.url("taskcluster-queue", port=proxy.port)) as publisher,
    ):
        publisher.publish(COMPLETED, KEY.format(queue_name), 1)
        proxy.close()
        with pytest.raises(PulseConnectionError):
            publisher.publish(COMPLETED, KEY.format(queue_name), 2, timeout=0.05)
        assert messages.get(TIMEOUT).payload == 1


def test_publisher_errors(mode: PulseMode, broker: BrokerAccounts) -> None:
    with mode.publisher(url=broker.url("alice")) as publisher:
        with pytest.raises(PulseRefused, match="has no exchange 'exchange/alice/nope'"):
            publisher.publish("exchange/alice/nope", "x", 1)
        with pytest.raises(
            PulseRefused, match=r"'alice' has no access to the exchange .*write to those that begin with"
        ):
            publisher.publish(COMPLETED, "x", 1)
        with pytest.raises(PulseRefused, match=r"begin with 'exchange/alice/'"):
            publisher.declare_exchange("exchange/bob/x")
        exchange = publisher.declare_exchange("errors")
        with pytest.raises(PulseRefused, match="use fewer routes"):
            publisher.publish(exchange, "x", 1, routes=["r" * 200] * 700)
        publisher.publish(exchange, "x", 1)
        for arguments in ((LONG, "x"), (exchange, LONG), (exchange, "\ud800"), ("a\0b", "x")):
            with pytest.raises(PulseFailure, match=r"longer than|lone surrogate|NUL"):
                publisher.publish(*arguments, 1)
        with pytest.raises(PulseFailure, match="routes must be a list of strings"):
            publisher.publish(exchange, "x", 1, routes="index.x")
        with pytest.raises(PulseFailure, match="routing key has a lone surrogate"):
            publisher.publish(exchange, "x", 1, routes=["\ud800"])
        for name in (LONG, "100%", "\ud800"):
            with pytest.raises(PulseFailure, match=r"longer than|may only have|lone surrogate"):
                publisher.declare_exchange(name)
        publisher.publish(exchange, "x" * 255, 1, routes=["r" * 249])
    with pytest.raises(PulseFailure, match="only a broker accepts messages"):
        mode.publisher(url="http://tc.example.com")


def test_publishers_are_used_once_and_in_a_block(mode: PulseMode, broker: BrokerAccounts) -> None:
    publisher = mode.publisher(url=broker.url("alice"))
    uses: list[Callable[[], object]] = [
        lambda: publisher.publish("exchange/alice/x", "x", 1),
        lambda: publisher.declare_exchange("x"),
    ]
    for use in uses:
        with pytest.raises(PulseFailure, match="connect first"):
            use()
    publisher.__exit__(None, None, None)

    publisher = mode.publisher(url=broker.url("alice"))
    with publisher:
        uses[1]()
        with pytest.raises(PulseFailure, match="once only"), publisher:
            pass
        uses[0]()
    publisher.__exit__(None, None, None)
    for use in uses:
        with pytest.raises(PulseFailure, match="is closed: make another one"):
            use()


def test_errors_say_what_to_do(mode: PulseMode, broker: BrokerAccounts, queue_name: str) -> None:
    """403, 404, 406 and 530 of the broker itself."""
    url = broker.url("alice")

    def refused(message: str, binding: object = (COMPLETED, "#"), **arguments: Any) -> None:
        given = {"url": url, **arguments}
        with pytest.raises(PulseRefused, match=message), mode.consumer(binding, **given):
            pytest.fail("connected")

    refused("refuses the login of 'alice'", url=url.replace("alice:", "alice:x"))
    refused("refuses the vhost 'nope' to 'alice': .*PULSE_VHOST", url=broker.url("alice", vhost="nope"))
    refused("has no exchange 'exchange/nope'", ("exchange/nope", "#"))
    refused("refuses the login", url=url, credentials={"username": "a" * 226, "password": "p" * 3072})
    refused("refuses the vhost", vhost="v" * 127)
    with mode.consumer((COMPLETED, "x" * 255), url=url, queue="q" * 243):
        pass
    with mode.consumer((COMPLETED, "#"), url=url, queue=queue_name, queue_type="classic"):
        pass
    refused(f"'queue/alice/{queue_name}' exists with x-queue-type = none, not 'quorum'", queue=queue_name)
    refused("exists with x-max-length = none, not ", queue=queue_name, queue_type="classic",
            queue_arguments={"x-max-length": 50})  # fmt: skip
    with (
        pytest.raises(PulseConnectionError, match="not an AMQP"),
        mode.consumer((COMPLETED, "#"), url=broker.url("alice", port=_http_port()), connect_timeout=0.01),
    ):
        pass
    with (
        pytest.raises(PulseFailure, match=r"no TLS with .*PULSE_AMQPS"),
        mode.consumer((COMPLETED, "#"), url=url, amqps=True, connect_timeout=0.01),
    ):
        pass


def _http_port() -> int:
    """Return a port where something else than a broker responds, once."""
    server = socket.create_server(("127.0.0.1", 0))

    def respond() -> None:
        with server, server.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(100)

    threading.Thread(target=respond, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


def test_tls(
    mode: PulseMode,
    broker: BrokerAccounts,
    publisher: Publisher,
    queue_name: str,
    warnings: Warnings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A certificate that is not trusted raises at the start, and is waited out while reconnecting."""
    authority, other = trustme.CA(), trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    good = authority.issue_cert("127.0.0.1")
    good.configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    proxy = Proxy(broker.port, server)
    binding = (COMPLETED, f"primary.{queue_name}.#")

    def secure(user: str) -> str:
        return broker.url(user, port=proxy.port).replace("amqp:", "amqps:")

    url = secure("alice")
    with mode.consumer(binding, url=url, ssl_context=client) as messages:
        publisher.publish(COMPLETED, KEY.format(queue_name), 1)
        assert messages.get(TIMEOUT).payload == 1
        with mode.publisher(url=secure("taskcluster-queue"), ssl_context=client) as other_publisher:
            other_publisher.publish(COMPLETED, KEY.format(queue_name), 2)
            other.issue_cert("127.0.0.1").configure_cert(server)
            proxy.cut()
            warnings.wait_for("is not trusted: ")
            warnings.wait_for("is not trusted: ")
            with pytest.raises(PulseFailure, match="is not trusted: "):
                other_publisher.publish(COMPLETED, KEY.format(queue_name), 3, timeout=0.3)
            good.configure_cert(server)
            other_publisher.publish(COMPLETED, KEY.format(queue_name), 4)
        received: set[Any] = set()
        while 4 not in received:
            received.add(messages.get(TIMEOUT).payload)
        assert received in ({2, 4}, {1, 2, 4})
    assert "never retrieved" not in caplog.text
    with pytest.raises(PulseFailure, match=r"is not trusted: .*pass an ssl_context"), mode.consumer(binding, url=url):
        pytest.fail("connected")
    proxy.close()


def test_no_password_is_shown(
    mode: PulseMode, broker: BrokerAccounts, queue_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in logs at level DEBUG, in reprs, or in tracebacks with the values of variables."""
    caplog.set_level(logging.DEBUG)
    password = broker.passwords["alice"]
    shown: list[str] = []
    for url in (
        broker.url("alice"),
        broker.url("alice").replace("alice:", "bob:"),
        broker.url("alice", vhost="nope"),
        broker.url("alice", port=1),
    ):
        consumer = mode.consumer((COMPLETED, f"primary.{queue_name}.#"), url=url, connect_timeout=0.01)
        del url
        shown += [repr(consumer), repr(mode.publisher({"username": "alice", "password": password}, hostname="h"))]
        try:
            with consumer:
                consumer.stop()
        except PulseFailure as exc:
            found = traceback.TracebackException.from_exception(exc, capture_locals=True)
            # This test has the password in its variables.
            frames = [frame for frame in found.stack if frame.filename != __file__]
            shown += [str(exc), repr(exc), *(f"{frame.line} {frame.locals}" for frame in frames)]
    assert password not in "".join([*shown, caplog.text])
    assert len(shown) > 8


def test_every_message_is_handled_although_the_broker_is_killed(own_broker: RabbitMQ, queue_name: str) -> None:
    """10,000 numbered messages are published and consumed while the broker is killed repeatedly.

    A sync and an async consumer share the queue.
    """
    count = 10_000
    handled: Counter[int] = Counter()
    by: Counter[str] = Counter()
    lock = threading.Lock()
    url = own_broker.url("taskcluster-queue")
    stopping = threading.Event()

    def kill_repeatedly() -> None:
        for kill in range(1, KILLS + 1):
            # After a share of the messages, so that each kill hits the stream.
            while len(handled) < kill * count // (KILLS + 1) and not stopping.wait(0.01):
                pass
            own_broker.kill()
            own_broker.start()

    async def main() -> None:
        numbers = iter(range(count))

        async def publish(publisher: taskcluster_pulse.aio.Publisher) -> None:
            for number in numbers:
                await publisher.publish(COMPLETED, KEY.format(queue_name), number, timeout=300)

        def note(message: Any, mode: str) -> None:
            with lock:
                handled[message.payload] += 1
                by[mode] += 1
                is_complete = len(handled) == count
            if is_complete:
                consumer.stop()
                sync_consumer.stop()

        async def handle(message: Any) -> None:
            note(message, "async")

        arguments: Any = {"url": own_broker.url("alice"), "queue": queue_name, "prefetch": 50}
        consumer = taskcluster_pulse.aio.Consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments)
        sync_consumer = Consumer((COMPLETED, f"primary.{queue_name}.#"), **arguments)
        sync_run = asyncio.create_task(asyncio.to_thread(sync_consumer.run, lambda message: note(message, "sync")))
        async with consumer, taskcluster_pulse.aio.Publisher(url=url) as publisher:
            publishing = [asyncio.create_task(publish(publisher)) for _ in range(50)]
            await consumer.run(handle, concurrency=10)
            await asyncio.gather(sync_run, *publishing)

    # Not a classic queue, which delivers what was acknowledged just before a kill again. A new quorum queue survives a
    # kill only after a regular stop.
    with Consumer((COMPLETED, f"primary.{queue_name}.#"), url=own_broker.url("alice"), queue=queue_name):
        pass
    own_broker.terminate()
    own_broker.start()
    killer = threading.Thread(target=kill_repeatedly)
    killer.start()
    try:
        asyncio.run(main())
    finally:
        stopping.set()
        killer.join()
    assert handled.keys() == set(range(count))
    # At most what was in flight at each kill is delivered or published twice.
    assert sum(handled.values()) <= count + KILLS * 160
    assert min(by["sync"], by["async"]) > count // 10
