"""Test concurrent claimers and a thousand clients."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

import taskcluster
import taskcluster.aio
from taskcluster_local import LocalTaskcluster

from .serving import definition

TASKS = 300
CLAIMERS = 8
CLIENTS = 1000
PATIENCE = 600
"""Seconds for a busy machine to answer all clients."""


@pytest.fixture
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture
def _enough_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # This process holds both ends of each connection.
    needed = 2 * CLIENTS + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this process may open {hard} files, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def new_task(local: LocalTaskcluster, **fields: Any) -> dict[str, Any]:
    return definition(taskcluster.stringDate(local.now()), taskcluster.fromNowJSON("1 day"), **fields)


@pytest.mark.parametrize("count", [1, 3])
def test_claimers_never_get_the_same_task(local: LocalTaskcluster, count: int) -> None:
    created = [taskcluster.slugId() for _ in range(TASKS)]
    claimed: list[list[str]] = [[] for _ in range(CLAIMERS)]
    all_ready = threading.Barrier(CLAIMERS + 1)
    failures: list[BaseException] = []

    def claim(number: int) -> None:
        try:
            with taskcluster.Queue(local.options()) as queue:
                all_ready.wait()
                while sum(map(len, claimed)) < TASKS:
                    response = queue.claimWork("p/w", {"workerGroup": "g", "workerId": f"w{number}", "tasks": count})
                    claimed[number] += [each["status"]["taskId"] for each in response["tasks"]]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(CLAIMERS)]
    for thread in threads:
        thread.start()
    with taskcluster.Queue(local.options()) as queue:
        all_ready.wait()
        for task_id in created:
            queue.createTask(task_id, new_task(local))
        # Each waiting claimer gets one, and then none is left.
        while any(thread.is_alive() for thread in threads):
            if sum(map(len, claimed)) >= TASKS:
                local.reset()
            threads[0].join(0.05)
            for thread in threads:
                thread.join(0.01)
    assert not failures, failures
    found = Counter(task_id for each in claimed for task_id in each)
    assert found == Counter(created)


@pytest.mark.usefixtures("_enough_files")
def test_thousand_concurrent_clients() -> None:
    async def scenario(local: LocalTaskcluster) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            options = {**local.options(), "maxRetries": 0, "timeout": PATIENCE}
            clients = [taskcluster.aio.Queue(options, session=session) for _ in range(CLIENTS)]
            task_ids = [taskcluster.slugId() for _ in clients]
            queues = [f"p/w{number}" for number in range(CLIENTS)]

            async def live(client: Any, task_id: str, name: str) -> str:
                # All claim before the first task exists, so that all connections are open at once.
                waiting = asyncio.create_task(client.claimWork(name, {"workerGroup": "g", "workerId": "w"}))
                await client.createTask(task_id, new_task(local, taskQueueId=name))
                [claim] = (await waiting)["tasks"]
                await client.reportCompleted(task_id, claim["runId"])
                return str((await client.status(task_id))["status"]["state"])

            lives = (live(*each) for each in zip(clients, task_ids, queues, strict=True))
            assert Counter(await asyncio.gather(*lives)) == {"completed": CLIENTS}

    with LocalTaskcluster(poll=PATIENCE) as local:
        asyncio.run(scenario(local))
