"""Compare the local deployment with a plain aiohttp.web handler, using a minimal client.

`python -m benchmarks.local deployment|bare [BROKER]` starts a server and prints its root URL and an access token. The
deployment publishes its messages to the broker.
`python -m benchmarks.local client URL TOKEN` reads lines `ROW NUMBER` and prints the seconds it took to repeat the row.
Requests are signed before the measurement.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from taskcluster.hawk import EMPTY_PAYLOAD_HASH, Signer, payload_hash
from taskcluster.slugs import slugId
from taskcluster_local import LocalTaskcluster
from taskcluster_pulse.testing import RabbitMQ

from .contenders import Child
from .rows import Row

__all__ = ["LOCAL", "PUBLISHING", "contenders", "publishing"]

LOCAL = (
    Row("local-status", "local deployment: signed status, 4 connections", 400, None, 0.3, "aiohttp.web handler"),
    Row("local-create", "local deployment: signed createTask, 4 connections", 200, None, 0.15, "aiohttp.web handler"),
)
PUBLISHING = Row(
    "local-pulse",
    "local deployment that publishes to RabbitMQ: signed createTask, 4 connections",
    500,
    None,
    0.7,
    "local deployment without RabbitMQ",
)

_CONNECTIONS = 4
_TASK = "fN1SbArXTPSVFNUvaOlinQ"
_SIZE = 900
"""The approximate size of the deployment's responses in bytes."""


@contextmanager
def contenders() -> Iterator[Callable[[Row], dict[str, Callable[[], float]]]]:
    """Start servers and clients; yield a function that returns the measurement of a row for each contender."""
    with _measuring({"ours": ["deployment"], "bare": ["bare"]}) as measuring:
        yield measuring


@contextmanager
def publishing() -> Iterator[Callable[[Row], dict[str, Callable[[], float]]]]:
    """Do the same for a deployment that publishes to a broker, and one that does not."""
    with TemporaryDirectory() as folder, RabbitMQ(Path(folder), users=(), administrators=["deployment"]) as broker:
        servers = {"ours": ["deployment", broker.url("deployment")], "bare": ["deployment"]}
        with _measuring(servers) as measuring:
            yield measuring


@contextmanager
def _measuring(servers: Mapping[str, list[str]]) -> Iterator[Callable[[Row], dict[str, Callable[[], float]]]]:
    with ExitStack() as stack:
        clients: dict[str, Child] = {}
        for name, arguments in servers.items():
            server = stack.enter_context(Child(sys.executable, "local", *arguments))
            clients[name] = stack.enter_context(Child(sys.executable, "local", "client", *server.read().split()))

        def measure(client: Child, row: Row) -> Callable[[], float]:
            return lambda: client.seconds(row.name, row.number) / row.number

        yield lambda row: {name: measure(client, row) for name, client in clients.items()}


def _serve_deployment(broker: str | None = None) -> None:
    with LocalTaskcluster(pulse=broker) as local:
        print(local.root_url, local.credentials["accessToken"], flush=True)
        sys.stdin.read()


async def _serve_bare() -> None:
    body = {"status": {"taskId": _TASK}, "filler": "x" * (_SIZE - 60)}

    async def get(request: web.Request) -> web.Response:
        return web.json_response(body)

    async def put(request: web.Request) -> web.Response:
        await request.json()
        return web.json_response(body)

    app = web.Application()
    app.add_routes(
        [web.get("/api/queue/v1/task/{taskId}/status", get), web.put("/api/queue/v1/task/{taskId}", put)],
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", "none", flush=True)
    await asyncio.Event().wait()


class _Client:
    def __init__(self, root_url: str, token: str) -> None:
        address = urlsplit(root_url)
        self._host, self._port = str(address.hostname), int(address.port or 0)
        self._signer = Signer("static/taskcluster/root", token.encode(), "")
        self._connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def connect(self) -> None:
        self._connections = [await asyncio.open_connection(self._host, self._port) for _ in range(_CONNECTIONS)]
        # The task of local-status.
        await self._send(*self._connections[0], self._create(_TASK))

    def requests(self, row: str, number: int) -> list[bytes]:
        """Return the signed requests of a row."""
        if row != "local-status":
            return [self._create(slugId()) for _ in range(number)]
        return [self._signed("GET", f"/api/queue/v1/task/{_TASK}/status", b"", "") for _ in range(number)]

    def _create(self, task_id: str) -> bytes:
        body = json.dumps(_definition()).encode()
        return self._signed("PUT", f"/api/queue/v1/task/{task_id}", body, "application/json")

    def _signed(self, verb: str, target: str, body: bytes, content_type: str) -> bytes:
        digest = payload_hash(body, content_type) if body else EMPTY_PAYLOAD_HASH
        authorization = self._signer.header(
            verb, target, self._host, str(self._port), digest, time.time(), slugId()[:8]
        )
        kind = f"Content-Type: {content_type}\r\n" if body else ""
        head = (
            f"{verb} {target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: {authorization}\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def seconds(self, requests: list[bytes]) -> float:
        """Return the seconds to send all requests and receive the responses over all connections."""
        waiting = iter(requests)

        async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for request in waiting:
                await self._send(reader, writer, request)

        started = time.perf_counter()
        await asyncio.gather(*(work(*connection) for connection in self._connections))
        return time.perf_counter() - started

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(head.decode())
        length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)


def _definition() -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    return {
        "taskQueueId": "proj/ci",
        "created": now.isoformat(),
        "deadline": (now + timedelta(hours=1)).isoformat(),
        "payload": {"image": "ubuntu:22.04", "command": ["/bin/bash", "-c", "make check"], "maxRunTime": 3600},
        "metadata": {"name": "tests", "description": "Many", "owner": "a@example.com", "source": "https://example.com"},
    }


def _run_client(root_url: str, token: str) -> None:
    loop = asyncio.new_event_loop()
    client = _Client(root_url, token)
    loop.run_until_complete(client.connect())
    for line in sys.stdin:
        row, number = line.split()
        requests = client.requests(row, int(number))
        print(loop.run_until_complete(client.seconds(requests)), flush=True)


def main() -> None:
    """Run the command."""
    kind, *arguments = sys.argv[1:]
    if kind == "deployment":
        _serve_deployment(*arguments)
    elif kind == "bare":
        asyncio.run(_serve_bare())
    else:
        _run_client(*arguments)


if __name__ == "__main__":
    main()
