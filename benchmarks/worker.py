"""The worker process of a contender.

`python -m benchmarks.worker client|bare HTTP HTTPS` reads lines `ROW NUMBER` and prints the seconds it took to repeat
the row. This client and the published one run the same code.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

_TASK = "fN1SbArXTPSVFNUvaOlinQ"
_CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}

Work = Callable[[int], float]


def _client(http: str, https: str, loop: asyncio.AbstractEventLoop) -> dict[str, Work]:
    import taskcluster
    import taskcluster.aio

    options = {"rootUrl": http, "credentials": _CREDENTIALS}
    queue = taskcluster.Queue(options)
    secure = taskcluster.Queue({"rootUrl": https, "credentials": _CREDENTIALS})

    async def open_client() -> Any:
        return taskcluster.aio.Queue(options, session=taskcluster.aio.createSession())

    async_queue = loop.run_until_complete(open_client())
    without_session = taskcluster.aio.Queue(options)
    return {
        "build": _timed(lambda: taskcluster.Queue(options).buildUrl("status", _TASK)),
        "sync": _timed(lambda: queue.status(_TASK)),
        "tls": _timed(lambda: secure.status(_TASK)),
        "sequential": _timed_sequential(loop, lambda: async_queue.status(_TASK)),
        "sessionless": _timed_sequential(loop, lambda: without_session.status(_TASK)),
        "gathered": _timed_gathered(loop, lambda: async_queue.status(_TASK)),
        "create": _timed(lambda: queue.createTask(_TASK, payload=_large_task())),
        "sign": _timed(lambda: queue.buildSignedUrl("getArtifact", _TASK, "0", "public/logs/live.log")),
    }


def _bare(http: str, https: str, loop: asyncio.AbstractEventLoop) -> dict[str, Work]:
    import aiohttp
    import requests

    path = f"/bare/queue/v1/task/{_TASK}"
    session = requests.Session()

    async def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async_session = loop.run_until_complete(open_session())

    async def get() -> Any:
        async with async_session.get(f"{http}{path}/status") as response:
            return await response.json()

    return {
        "sync": _timed(lambda: session.get(f"{http}{path}/status").json()),
        "tls": _timed(lambda: session.get(f"{https}{path}/status").json()),
        "sequential": _timed_sequential(loop, get),
        "gathered": _timed_gathered(loop, get),
        "create": _timed(lambda: session.put(f"{http}{path}", json=_large_task()).json()),
    }


def _timed(once: Callable[[], Any]) -> Work:
    def work(number: int) -> float:
        started = time.perf_counter()
        for _ in range(number):
            once()
        return time.perf_counter() - started

    return work


def _timed_sequential(loop: asyncio.AbstractEventLoop, once: Callable[[], Awaitable[Any]]) -> Work:
    async def work(number: int) -> float:
        started = time.perf_counter()
        for _ in range(number):
            await once()
        return time.perf_counter() - started

    return lambda number: loop.run_until_complete(work(number))


def _timed_gathered(loop: asyncio.AbstractEventLoop, once: Callable[[], Awaitable[Any]]) -> Work:
    async def work(number: int) -> float:
        started = time.perf_counter()
        await asyncio.gather(*(once() for _ in range(number)))
        return time.perf_counter() - started

    return lambda number: loop.run_until_complete(work(number))


@functools.cache
def _large_task() -> dict[str, Any]:
    """Return a realistic task of about 1 MB, with long lists of small objects."""
    tests = [
        {
            "path": f"dom/tests/group-{number % 97}/test_{number}.html",
            "expected": ["pass", "fail"][number % 7 == 0],
            "timeout": 30 + number % 5,
            "flaky": number % 11 == 0,
            "tags": ["mochitest", f"chunk-{number % 30}"],
        }
        for number in range(7600)
    ]
    return {
        "taskQueueId": "proj/ci",
        "created": "2030-01-01T00:00:00.000Z",
        "deadline": "2030-01-02T00:00:00.000Z",
        "dependencies": [f"fN1SbArXTPSVFNUvaOl{number:03}" for number in range(100)],
        "scopes": [f"queue:get-artifact:project/{number}/*" for number in range(50)],
        "payload": {
            "image": "ubuntu:22.04",
            "command": ["/bin/bash", "-c", "./mach test --manifest tests.json"],
            "env": {f"SETTING_{number}": f"value of the setting {number}" for number in range(200)},
            "maxRunTime": 3600,
        },
        "metadata": {"name": "tests", "description": "Many", "owner": "a@example.com", "source": "https://example.com"},
        "extra": {"tests": tests},
    }


def main() -> None:
    """Process the lines of standard input."""
    kind, http, https = sys.argv[1:]
    rows = {"client": _client, "bare": _bare}[kind](http, https, asyncio.new_event_loop())
    for line in sys.stdin:
        name, number = line.split()
        gc.collect()
        print(rows[name](int(number)), flush=True)


if __name__ == "__main__":
    main()
