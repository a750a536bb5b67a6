"""Compare consumers of messages with bare aio-pika and kombu.

`python -m benchmarks.messages ROW KIND PUBLISHER_URL URL` reads lines `ROW NUMBER` and prints the seconds it took to
consume and acknowledge so many messages, which are in a queue before. Connecting is not measured.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import taskcluster_pulse
import taskcluster_pulse.aio
from taskcluster_pulse.testing import RabbitMQ

from .contenders import Child
from .rows import Row

__all__ = ["MESSAGES", "consuming"]

MESSAGES = (
    Row("pulse-async", "async: messages consumed and acknowledged, prefetch 50", 2000, None, 0.7, "aio-pika"),
    Row("pulse-sync", "sync: messages consumed and acknowledged, prefetch 50", 2000, None, 0.6, "kombu"),
)

_EXCHANGE = "exchange/taskcluster-queue/v1/task-completed"
_PREFETCH = 50
_PAYLOAD = {"status": {"taskId": "fN1SbArXTPSVFNUvaOlinQ", "runs": []}, "filler": "x" * 900}


@contextmanager
def consuming() -> Iterator[Callable[[Row], dict[str, Callable[[], float]]]]:
    """Start a broker and consumers; yield a function that returns the measurement of a row for each contender."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        users = ["alice", "taskcluster-queue"]
        broker = stack.enter_context(RabbitMQ(folder, users=users, exchanges=[_EXCHANGE]))

        def measure(row: Row, kind: str) -> Callable[[], float]:
            urls = (broker.url("taskcluster-queue"), broker.url("alice"))
            child = stack.enter_context(Child(sys.executable, "messages", row.name, kind, *urls))
            return lambda: child.seconds(row.name, row.number) / row.number

        yield lambda row: {kind: measure(row, kind) for kind in ("ours", "bare")}


def _ours_async(url: str, queue: str, number: int) -> float:
    async def main() -> float:
        async with taskcluster_pulse.aio.Consumer(
            (_EXCHANGE, queue), url=url, queue=queue, queue_type="classic", prefetch=_PREFETCH
        ) as messages:
            started, left = time.perf_counter(), number
            async for message in messages:
                left -= message.payload["filler"] is not None
                if not left:
                    break
            await message.ack()
            return time.perf_counter() - started

    return asyncio.run(main())


def _ours_sync(url: str, queue: str, number: int) -> float:
    with taskcluster_pulse.Consumer(
        (_EXCHANGE, queue), url=url, queue=queue, queue_type="classic", prefetch=_PREFETCH
    ) as messages:
        started, left = time.perf_counter(), number
        for message in messages:
            left -= message.payload["filler"] is not None
            if not left:
                break
        message.ack()
        return time.perf_counter() - started


def _aio_pika(url: str, queue: str, number: int) -> float:
    # Neither is typed completely.
    aio_pika: Any = importlib.import_module("aio_pika")

    async def main() -> float:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            await channel.set_qos(_PREFETCH)
            declared = await channel.get_queue(f"queue/alice/{queue}")
            started, left = time.perf_counter(), number
            async with declared.iterator() as messages:
                async for message in messages:
                    left -= json.loads(message.body)["filler"] is not None
                    await message.ack()
                    if not left:
                        return time.perf_counter() - started
        raise AssertionError

    return asyncio.run(main())


def _kombu(url: str, queue: str, number: int) -> float:
    kombu: Any = importlib.import_module("kombu")

    left = number

    def handle(body: Any, message: Any) -> None:
        nonlocal left
        left -= body["filler"] is not None
        message.ack()

    with kombu.Connection(url) as connection:
        queues = [kombu.Queue(f"queue/alice/{queue}", no_declare=True)]
        with kombu.Consumer(connection, queues=queues, callbacks=[handle], prefetch_count=_PREFETCH):
            started = time.perf_counter()
            while left:
                connection.drain_events()
            return time.perf_counter() - started


_CONTENDERS = {
    ("pulse-async", "ours"): _ours_async,
    ("pulse-sync", "ours"): _ours_sync,
    ("pulse-async", "bare"): _aio_pika,
    ("pulse-sync", "bare"): _kombu,
}


async def _fill(url: str, queue: str, number: int) -> None:
    async with taskcluster_pulse.aio.Publisher(url=url) as publisher:
        for start in range(0, number, 500):
            await asyncio.gather(
                *(publisher.publish(_EXCHANGE, queue, _PAYLOAD) for _ in range(start, min(start + 500, number)))
            )


def _work(row: str, kind: str, publisher_url: str, url: str) -> None:
    consume = _CONTENDERS[row, kind]
    queue = f"{row}-{kind}"
    with taskcluster_pulse.Consumer((_EXCHANGE, queue), url=url, queue=queue, queue_type="classic"):
        pass
    for line in sys.stdin:
        number = int(line.split()[1])
        asyncio.run(_fill(publisher_url, queue, number))
        print(consume(url, queue, number), flush=True)


if __name__ == "__main__":
    _work(*sys.argv[1:])
