"""Both modes, a local deployment, and a queue that serves artifacts the way a test scripts it."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import pytest

import taskcluster
import taskcluster.aio
from taskcluster_local import LocalTaskcluster

TASK = "fN1SbArXTPSVFNUvaOlinQ"
_VARIABLES = ("ROOT_URL", "CLIENT_ID", "ACCESS_TOKEN", "CERTIFICATE", "PROXY_URL")


@dataclass(frozen=True)
class HelperMode:
    """Sync or async clients, called alike."""

    module: ModuleType

    @property
    def helper(self) -> Any:
        return self.module.helper

    def client(self, service: str, options: dict[str, Any]) -> Any:
        return getattr(self.module, service)(options)

    def run(self, result: Any) -> Any:
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    def listed(self, lines: Any) -> list[str]:
        """Return what an iterator yields, be it an async one."""
        if not hasattr(lines, "__aiter__"):
            return list(lines)

        async def collect() -> list[str]:
            return [line async for line in lines]

        return asyncio.run(collect())


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> HelperMode:
    return HelperMode(taskcluster if request.param == "sync" else taskcluster.aio)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Empty the environment of Taskcluster's variables; the value sets some, by their whole names."""
    for name in (*(f"TASKCLUSTER_{name}" for name in _VARIABLES), "TASK_ID", "RUN_ID"):
        monkeypatch.delenv(name, raising=False)

    def set_variables(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@dataclass
class FakeQueue:
    """One task of a queue on a socket, and the storage of its artifacts."""

    root_url: str = ""
    state: str = "running"
    runs: list[dict[str, Any]] = field(default_factory=lambda: [{"runId": 0, "state": "running", "started": "x"}])
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    artifacts: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict[str, Any])
    """Functions that write the response of storage, by artifact name."""
    failures: list[int] = field(default_factory=list[int])
    """Statuses of the queue's first responses."""
    calls: list[str] = field(default_factory=list[str])
    stored: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """The headers of each request to storage."""
    on_status: Callable[[], None] | None = None
    connections: set[Any] = field(default_factory=set[Any])
    """The client addresses of the queue's requests."""

    @property
    def options(self) -> dict[str, Any]:
        credentials = {"clientId": "tester", "accessToken": "no-secret"}
        return {"rootUrl": self.root_url, "credentials": credentials, "maxRetries": 0}

    def end(self, state: str = "completed", resolved: str = "2020-01-01T00:00:00.000Z", reason: str = "done") -> None:
        self.state = state
        self.runs[-1].update(state=state, resolved=resolved, reasonResolved=reason)

    def respond(self, path: str) -> tuple[int, Any]:
        if self.failures:
            return self.failures.pop(0), {"code": "InternalServerError", "message": "later"}
        if path == f"/task/{TASK}":
            return 200, {"payload": self.payload}
        if path == f"/task/{TASK}/status":
            status = {"state": self.state, "runs": [dict(run) for run in self.runs]}
            if self.on_status is not None:
                self.on_status()
            return 200, {"status": status}
        match = re.fullmatch(rf"/task/{TASK}(?:/runs/(\d+))?/(artifacts|artifact-info)/(.*)", path)
        assert match is not None, path
        name = unquote(match[3])
        if name not in self.artifacts:
            return 404, {"code": "ResourceNotFound", "message": "Artifact not found"}
        if match[2] == "artifact-info":
            return 200, {"name": name, "storageType": "s3"}
        # Through a redirect, as storage may have one.
        url = f"{self.root_url}/redirect/{name}?sig=hidden"
        return 303, {"storageType": "reference", "url": url}


@pytest.fixture
def queue() -> Iterator[FakeQueue]:
    fake = FakeQueue()

    class TaskHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.startswith("/api/queue/v1"):
                fake.calls.append(path.removeprefix("/api/queue/v1"))
                fake.connections.add(self.client_address)
                status, body = fake.respond(fake.calls[-1])
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            else:
                assert query == "sig=hidden"
                fake.stored.append(dict(self.headers))
                if path.startswith("/redirect/"):
                    self.send_response(302)
                    self.send_header("Location", f"/storage/{path.removeprefix('/redirect/')}?sig=hidden")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    fake.artifacts[path.removeprefix("/storage/")](self)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), TaskHandler) as server:
        server.daemon_threads = True
        fake.root_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()
