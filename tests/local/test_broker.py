"""Test that a deployment publishes its messages to a broker, whatever happens to either of them."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import kombu
import kombu.mixins
import pika
import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure
from taskcluster_local import LocalTaskcluster
from taskcluster_local.deployment import shared_interface
from taskcluster_pulse.testing import INSTALL_RABBITMQ, RabbitMQ, is_rabbitmq_installed

from .serving import Served, definition

QUEUE = "exchange/taskcluster-queue/v1/"
EXCHANGES = shared_interface().exchanges
TIMEOUT = 60.0
"""Only a broken test waits for so long."""
ROLE_CREATED = "exchange/taskcluster-auth/v1/role-created"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> Iterator[RabbitMQ]:
    if not is_rabbitmq_installed():
        unavailable(INSTALL_RABBITMQ)
    directory = tmp_path_factory.mktemp("rabbitmq")
    with RabbitMQ(directory, users=["reader"], exchanges=EXCHANGES, administrators=["deployment"]) as running:
        yield running


class Link:
    """A TCP connection to the broker that can be cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_cut = False
        self.attempts = threading.Semaphore(0)
        """Released for each connection while it is cut."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and accept none."""
        with self._lock:
            self._is_cut = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def mend(self) -> None:
        """Accept connections again."""
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        """Stop."""
        self.cut()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with self._lock:
                    if self._is_cut:
                        client.close()
                        self.attempts.release()
                        continue
                    server = socket.create_connection(("127.0.0.1", self._target))
                    self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        source.close()


@pytest.fixture
def link(broker: RabbitMQ) -> Iterator[Link]:
    with contextlib.closing(Link(broker.port)) as made:
        yield made


class Reader:
    """A queue of the account `reader`, and the messages that it has received."""

    def __init__(self, broker: RabbitMQ, bindings: list[tuple[str, str]]) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(broker.url("reader")))
        self._channel = self._connection.channel()
        self._queue = f"queue/reader/{os.getpid()}-{next(_numbers)}"
        self._channel.queue_declare(self._queue, exclusive=True)
        for exchange, pattern in bindings:
            self._channel.queue_bind(self._queue, exchange, pattern)

    def messages(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield the method, properties and payload of each message."""
        for method, properties, body in self._channel.consume(self._queue, auto_ack=True, inactivity_timeout=TIMEOUT):
            assert body is not None, "no message was received"
            yield method, properties, json.loads(body)

    def tasks(self, wanted: set[str]) -> dict[str, int]:
        """Return how often there was a message about each task, once there was one about each wanted one."""
        found: dict[str, int] = {}
        if wanted:
            for _, _, payload in self.messages():
                task_id = payload["status"]["taskId"]
                found[task_id] = found.get(task_id, 0) + 1
                if wanted <= found.keys():
                    break
            self._channel.cancel()
        return found

    def close(self) -> None:
        """Delete the queue."""
        self._connection.close()


@pytest.fixture
def reader(broker: RabbitMQ) -> Iterator[Callable[..., Reader]]:
    with contextlib.ExitStack() as stack:
        yield lambda *bindings: stack.enter_context(contextlib.closing(Reader(broker, [*bindings])))


def create(local: LocalTaskcluster, **fields: Any) -> str:
    task_id = taskcluster.slugId()
    now = taskcluster.fromNowJSON("0 seconds")
    task: Any = {**definition(now, taskcluster.fromNowJSON("1 hour")), **fields}
    with taskcluster.Queue(local.options()) as queue:
        queue.createTask(task_id, task)
    return task_id


def test_pika_program_receives_messages(broker: RabbitMQ, reader: Callable[..., Reader]) -> None:
    received = reader((f"{QUEUE}task-defined", "primary.#"), (f"{QUEUE}task-pending", "route.index.a.#"))
    with (
        LocalTaskcluster(pulse=broker.url("deployment")) as local,
        local.listen(
            taskcluster.QueueEvents(local.options()).taskDefined(),
            taskcluster.QueueEvents(local.options()).taskPending(),
        ) as messages,
    ):
        create(local)
        create(local, routes=["index.a.b", "é"])
        expected = [each for each in messages.drain() if each.exchange.endswith("defined") or each.routes]
        assert len(expected) == 3
        for message, (method, properties, payload) in zip(expected, received.messages(), strict=False):
            assert (method.exchange, method.routing_key) == (message.exchange, message.routingKey)
            assert payload == message.payload
            assert (properties.content_type, properties.content_encoding) == ("application/json", "utf-8")
            assert properties.delivery_mode == 2
            assert properties.headers == {"CC": list(message.routes)}


def test_kombu_program_receives_messages(broker: RabbitMQ) -> None:
    found: list[tuple[str, Any]] = []
    ready = threading.Event()

    class Program(kombu.mixins.ConsumerMixin):
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def get_consumers(self, Consumer: Any, channel: Any) -> Any:
            exchange = kombu.Exchange(f"{QUEUE}task-pending", type="topic", passive=True)
            queue = kombu.Queue("queue/reader/kombu", exchange, routing_key="primary.#", durable=True, exclusive=True)
            return [Consumer([queue], callbacks=[self.received])]

        def on_consume_ready(self, *args: Any, **kwargs: Any) -> None:
            ready.set()

        def received(self, body: Any, message: Any) -> None:
            found.append((message.delivery_info["routing_key"], body))
            message.ack()
            self.should_stop = True

    with kombu.Connection(broker.url("reader")) as connection:
        program = threading.Thread(target=Program(connection).run)
        program.start()
        assert ready.wait(TIMEOUT)
        with LocalTaskcluster(pulse=broker.url("deployment")) as local:
            task_id = create(local)
            program.join(TIMEOUT)
    [(routing_key, payload)] = found
    assert routing_key.split(".")[1] == payload["status"]["taskId"] == task_id


def test_declares_durable_topic_exchanges(broker: RabbitMQ) -> None:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(broker.url("deployment")))) as connection:
        channel = connection.channel()
        for exchange in EXCHANGES:
            channel.exchange_delete(exchange)
        with LocalTaskcluster(pulse=broker.url("deployment")) as local:
            create(local)
        # Another type, or another durability, is an error.
        for exchange in EXCHANGES:
            channel.exchange_declare(exchange, "topic", durable=True)


def test_messages_wait_while_broker_is_away(
    broker: RabbitMQ, link: Link, reader: Callable[..., Reader], caplog: pytest.LogCaptureFixture
) -> None:
    received = reader((f"{QUEUE}task-pending", "#"))
    with LocalTaskcluster(pulse=broker.url("deployment", port=link.port)) as local:
        tasks = {create(local)}
        for _ in range(2):
            link.cut()
            tasks |= {create(local) for _ in range(5)}
            # Before, the deployment might not have noticed.
            assert link.attempts.acquire(timeout=TIMEOUT)
            link.mend()
            tasks.add(create(local))
        assert received.tasks(tasks).keys() == tasks
    assert "connecting again in" in caplog.text
    assert broker.passwords["deployment"] not in caplog.text


def test_frozen_broker_does_not_delay_calls(broker: RabbitMQ, reader: Callable[..., Reader]) -> None:
    received = reader((f"{QUEUE}task-pending", "#"))
    with LocalTaskcluster(pulse=broker.url("deployment")) as local:
        tasks = {create(local)}
        broker.freeze()
        try:
            tasks |= {create(local) for _ in range(10)}
        finally:
            broker.thaw()
        assert received.tasks(tasks).keys() == tasks


@contextlib.contextmanager
def full_queue(broker: RabbitMQ) -> Iterator[Any]:
    """A channel of a connection with a queue for one message, which rejects others."""
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(broker.url("reader")))) as connection:
        channel = connection.channel()
        limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
        channel.queue_declare("queue/reader/full", exclusive=True, arguments=limits)
        channel.queue_bind("queue/reader/full", f"{QUEUE}task-pending", "#")
        yield channel


def test_rejected_messages_are_published_again(
    broker: RabbitMQ, reader: Callable[..., Reader], caplog: pytest.LogCaptureFixture
) -> None:
    received = reader((f"{QUEUE}task-pending", "#"))
    with full_queue(broker) as channel, LocalTaskcluster(pulse=broker.url("deployment")) as local:
        tasks = {create(local) for _ in range(3)}
        wait_for_log(caplog, "a queue may be full")
        found: set[str] = set()
        for _, _, body in channel.consume("queue/reader/full", auto_ack=True, inactivity_timeout=TIMEOUT):
            assert body is not None
            found.add(json.loads(body)["status"]["taskId"])
            if found == tasks:
                break
        assert received.tasks(tasks).keys() == tasks


def test_rejected_messages_do_not_block_others(
    broker: RabbitMQ,
    reader: Callable[..., Reader],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More messages of one exchange are rejected than are published at once."""
    monkeypatch.setattr("taskcluster_local.broker._AT_ONCE", 5)
    monkeypatch.setattr("taskcluster_local.broker.pause", lambda *args: 0.2)
    other = reader((ROLE_CREATED, "#"))
    with full_queue(broker) as channel, LocalTaskcluster(pulse=broker.url("deployment")) as local:
        tasks = {create(local) for _ in range(20)}
        wait_for_log(caplog, "a queue may be full")
        with taskcluster.Auth(local.options()) as auth:
            auth.createRole("new", {"description": "", "scopes": []})
        assert next(other.messages())[2]["roleId"] == "new"
        again = reader((f"{QUEUE}task-pending", "#"))
        while (body := channel.basic_get("queue/reader/full", auto_ack=True)[2]) is not None:
            tasks.discard(json.loads(body)["status"]["taskId"])
        assert len(tasks) > 10
        channel.queue_delete("queue/reader/full")
        assert again.tasks(tasks).keys() >= tasks
    assert "connecting again" not in caplog.text


def test_stop_publishes_the_rest(broker: RabbitMQ, reader: Callable[..., Reader]) -> None:
    received = reader((f"{QUEUE}task-pending", "#"))
    with LocalTaskcluster(pulse=broker.url("deployment")) as local:
        tasks = {create(local) for _ in range(20)}
    assert received.tasks(tasks).keys() == tasks


def test_stop_reports_lost_messages(
    broker: RabbitMQ, link: Link, caplog: pytest.LogCaptureFixture, tmp_path: Path, reader: Callable[..., Reader]
) -> None:
    received = reader((f"{QUEUE}task-pending", "#"))
    link.cut()
    url = broker.url("deployment", port=link.port)
    for data in (None, tmp_path):
        with LocalTaskcluster(data, pulse=url) as local:
            task_id = create(local)
    assert "2 messages were not published; they are lost" in caplog.text
    assert "2 messages were not published; they will be when it starts with this directory again" in caplog.text
    link.mend()
    with LocalTaskcluster(tmp_path, pulse=url):
        assert received.tasks({task_id}).keys() == {task_id}


def test_reset_drops_old_messages_only(broker: RabbitMQ, link: Link, reader: Callable[..., Reader]) -> None:
    received = reader((f"{QUEUE}task-pending", "#"))
    with LocalTaskcluster(pulse=broker.url("deployment", port=link.port)) as local:
        link.cut()
        create(local)
        assert link.attempts.acquire(timeout=TIMEOUT)
        local.reset()
        task_id = create(local)
        link.mend()
        assert received.tasks({task_id}).keys() == {task_id}


def test_message_with_too_many_routes_is_kept(
    broker: RabbitMQ, reader: Callable[..., Reader], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    received = reader((f"{QUEUE}task-pending", "#"))
    for _ in range(2):
        with LocalTaskcluster(tmp_path, pulse=broker.url("deployment")) as local:
            before = create(local)
            publish_with_many_routes(local, before)
            after = create(local)
            assert received.tasks({before, after}) == {before: 1, after: 1}
        # It is tried again after a restart.
        assert "stays unpublished" in caplog.text
        assert "700 routes" in caplog.text
        caplog.clear()


def publish_with_many_routes(local: LocalTaskcluster, task_id: str) -> None:
    with taskcluster.Queue(local.options()) as queue:
        payload: Any = {**queue.status(task_id), "runId": 0, "task": {"tags": {}}, "version": 1}
    server = local._server

    async def publish() -> None:
        routes = [f"{number:0200}" for number in range(700)]
        server._state.deployment.events.publish("queue", "taskPending", payload, routes=routes)

    server.submit(publish()).result()


def wait_for_log(caplog: pytest.LogCaptureFixture, text: str) -> None:
    until = time.monotonic() + TIMEOUT
    while text not in caplog.text:
        assert time.monotonic() < until, caplog.text
        time.sleep(0.01)


def test_wrong_password_is_reported_without_it(broker: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    secret = "not-the-password"
    url = broker.url("deployment").replace(broker.passwords["deployment"], secret)
    with caplog.at_level(logging.DEBUG), LocalTaskcluster(pulse=url) as local:
        create(local)
        wait_for_log(caplog, "refuses the login of 'deployment'")
        create(local)
        assert secret not in repr(local)
    assert secret not in caplog.text


def test_missing_rights_are_reported(broker: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    with LocalTaskcluster(pulse=broker.url("reader")) as local:
        create(local)
        wait_for_log(caplog, "'reader' must be allowed to configure and write '^exchange/taskcluster-.*'")


@pytest.mark.parametrize("url", ["amqp://me:s3cret@", "http://me:s3cret@h", "amqp://me:s3cret@h:x/", "s3cret"])
def test_invalid_url_is_not_shown(url: str) -> None:
    with pytest.raises(TaskclusterFailure) as caught:
        LocalTaskcluster(pulse=url)
    assert "s3cret" not in str(caught.value)


def test_killed_deployment_loses_nothing(
    tmp_path: Path, broker: RabbitMQ, link: Link, reader: Callable[..., Reader]
) -> None:
    received = reader((f"{QUEUE}task-defined", "#"), (f"{QUEUE}task-pending", "route.#"))
    url = broker.url("deployment", port=link.port)
    created: set[str] = set()
    failures: list[BaseException] = []

    def load(options: dict[str, Any]) -> None:
        try:
            with taskcluster.Queue(options) as queue:
                while True:
                    task_id, now = taskcluster.slugId(), taskcluster.fromNowJSON("0 s")
                    queue.createTask(task_id, definition(now, taskcluster.fromNowJSON("1 day")))
                    created.add(task_id)
        except TaskclusterConnectionError:
            pass
        except BaseException as error:
            failures.append(error)

    for number in range(4):
        with Served(tmp_path, pulse=url) as served:
            threads = [threading.Thread(target=load, args=(served.options,)) for _ in range(2)]
            before = len(created)
            for thread in threads:
                thread.start()
            while len(created) < before + 20 and not failures:
                time.sleep(0.005)
            if number % 2:
                # So that there are certainly messages between commit and publication.
                link.cut()
                time.sleep(random.uniform(0, 0.2))
            served.kill()
            for thread in threads:
                thread.join()
            assert not failures, failures
            link.mend()
    with Served(tmp_path, pulse=url) as served:
        assert received.tasks(created).keys() >= created
        assert served.stop() == 0
