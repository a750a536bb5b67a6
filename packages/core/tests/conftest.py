"""Fixtures of core's tests: scripted responses instead of a network, a frozen clock, and sync and async clients."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import io
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import aiohttp
import hypothesis
import pytest
import requests
import urllib3
from multidict import CIMultiDict, CIMultiDictProxy
from requests.adapters import HTTPAdapter

import taskcluster

ROOT = "https://tc.example.com"
NOW = 1700000000
"""The Unix time of the frozen clock: 2023-11-14T22:13:20Z."""

REFERENCE: dict[str, Any] = {
    "serviceName": "widgets",
    "apiVersion": "v1",
    "title": "Widgets",
    "description": "A service for tests.",
    "exchangePrefix": "exchange/taskcluster-widgets/v1/",
    "entries": [
        {"type": "function", "name": "ping", "method": "get", "route": "/ping", "args": []},
        {
            "type": "function",
            "name": "widget",
            "method": "get",
            "route": "/widget/<widgetId>",
            "args": ["widgetId"],
            "output": "v1/widget.json#",
            "title": "Get a widget",
            "description": "Looks it up.",
        },
        {
            "type": "function",
            "name": "part",
            "method": "get",
            "route": "/widget/<widgetId>/part/<partId>",
            "args": ["widgetId", "partId"],
        },
        {
            "type": "function",
            "name": "makeWidget",
            "method": "put",
            "route": "/widget/<widgetId>",
            "args": ["widgetId"],
            "input": "v1/make-widget.json#",
        },
        {
            "type": "function",
            "name": "pressWidget",
            "method": "post",
            "route": "/widget/<widgetId>/press",
            "args": ["widgetId"],
        },
        {
            "type": "function",
            "name": "listWidgets",
            "method": "get",
            "route": "/widgets",
            "args": [],
            "query": ["color", "continuationToken", "limit"],
        },
        {
            "type": "function",
            "name": "triggerWidget",
            "method": "post",
            "route": "/widget/<widgetId>/trigger/<token>",
            "args": ["widgetId", "token"],
            "input": "v1/trigger.json#",
        },
        {
            "type": "function",
            "name": "oldWidget",
            "method": "get",
            "route": "/old",
            "args": [],
            "removedBefore": "113.2.0",
        },
        {
            "type": "topic-exchange",
            "name": "widgetMade",
            "exchange": "widget-made",
            "routingKey": [
                {"name": "routingKeyKind", "constant": "primary", "required": True, "multipleWords": False},
                {"name": "widgetId", "required": True, "multipleWords": False},
                {"name": "reserved", "required": False, "multipleWords": True},
            ],
        },
    ],
}

hypothesis.settings.register_profile("house", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "services: needs the services' distributions beside core")


@dataclass
class Sent:
    """A sent request."""

    method: str
    url: str
    headers: CIMultiDict[str]
    body: bytes | None
    options: dict[str, Any]
    """The other arguments for the library: timeouts, proxies, certificates."""

    @property
    def timeout(self) -> Any:
        return self.options.get("timeout")

    @property
    def json(self) -> Any:
        assert self.body is not None
        return json.loads(self.body)

    @property
    def target(self) -> str:
        return self.url.removeprefix(ROOT)


@dataclass
class ScriptedResponse:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """Replaces the network below both HTTP libraries: returns scripted responses in order, and records requests."""

    sent: list[Sent] = field(default_factory=list)
    script: deque[ScriptedResponse | str] = field(default_factory=deque)

    def respond(
        self,
        status: int = 200,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        content_type: str | None = "application/json",
        times: int = 1,
    ) -> Wire:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content-Type": content_type} if content_type else {}
        self.script.extend([ScriptedResponse(status, {**named, **(headers or {})}, raw)] * times)
        return self

    def refuse(self, times: int = 1) -> Wire:
        self.script.extend(["refuse"] * times)
        return self

    def stall(self, times: int = 1) -> Wire:
        self.script.extend(["stall"] * times)
        return self

    @property
    def last(self) -> Sent:
        return self.sent[-1]

    def next(self, sent: Sent, failures: dict[str, BaseException]) -> ScriptedResponse:
        self.sent.append(sent)
        assert self.script, f"one request more than expected: {sent.method} {sent.url}"
        step = self.script.popleft()
        if isinstance(step, str):
            raise failures[step]
        return step


@dataclass
class ScriptedClientResponse:
    """The part of aiohttp.ClientResponse that the client uses."""

    status: int
    headers: CIMultiDictProxy[str]
    content_bytes: bytes

    async def read(self) -> bytes:
        return self.content_bytes

    def release(self) -> None: ...

    async def wait_for_close(self) -> None: ...


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Both HTTP libraries, without connections."""
    wire = Wire()

    def send(self: HTTPAdapter, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        sent = Sent(str(request.method), str(request.url), CIMultiDict(request.headers.items()), body, kwargs)
        response = wire.next(
            sent, {"refuse": requests.ConnectionError("refused"), "stall": requests.ReadTimeout("too slow")}
        )
        raw = urllib3.HTTPResponse(
            io.BytesIO(response.body), headers=response.headers, status=response.status, preload_content=False
        )
        return self.build_response(request, raw)

    async def request(self: aiohttp.ClientSession, method: str, url: Any, **kwargs: Any) -> ScriptedClientResponse:
        headers = CIMultiDict(self.headers)
        headers.update(kwargs.get("headers") or {})
        sent = Sent(method, str(url), headers, kwargs.get("data"), kwargs)
        response = wire.next(
            sent,
            {"refuse": aiohttp.ServerDisconnectedError("refused"), "stall": aiohttp.ServerTimeoutError("too slow")},
        )
        return ScriptedClientResponse(response.status, CIMultiDictProxy(CIMultiDict(response.headers)), response.body)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
    return wire


@dataclass(frozen=True)
class ClientMode:
    """Sync or async clients, called alike."""

    name: str
    module: ModuleType

    def client(self, service: str = "Queue", session: Any = None, **options: Any) -> Any:
        """Return a client of a real service that retries without delay."""
        return getattr(self.module, service)({"rootUrl": ROOT, "delayFactor": 0, **options}, session)

    def widgets(self, session: Any = None, **options: Any) -> Any:
        """Return a client of a service that only the tests have."""
        made = self.module.createApiClient("Widgets", REFERENCE)
        return made({"rootUrl": ROOT, "delayFactor": 0, **options}, session)

    def run(self, result: Any) -> Any:
        return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> ClientMode:
    return ClientMode(request.param, taskcluster if request.param == "sync" else taskcluster.aio)


@pytest.fixture
def reference() -> dict[str, Any]:
    """A copy of the API reference of the service that only the tests have."""
    copy: dict[str, Any] = json.loads(json.dumps(REFERENCE))
    return copy


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> datetime.datetime:
    """Stop all clocks at NOW, as tests of programs do, and return that time."""
    stopped = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)

    class FrozenDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return stopped.astimezone(tz) if tz else stopped.replace(tzinfo=None)

    monkeypatch.setattr(datetime, "datetime", FrozenDatetime)
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    return stopped


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch, in_earlier_thread: Callable[[], bool]) -> list[float]:
    """Replace sync and async sleeping, and return the list of delays in seconds."""
    seconds: list[float] = []
    real, real_sync = asyncio.sleep, time.sleep

    async def sleep(delay: float, result: Any = None) -> Any:
        if in_earlier_thread():
            return await real(delay, result)
        seconds.append(delay)
        return result

    def sleep_sync(delay: float) -> None:
        if in_earlier_thread():
            real_sync(delay)
        else:
            seconds.append(delay)

    monkeypatch.setattr(time, "sleep", sleep_sync)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seconds


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Remove Taskcluster's variables; return a function that sets them, by name without the prefix."""
    for name in ("ROOT_URL", "CLIENT_ID", "ACCESS_TOKEN", "CERTIFICATE", "PROXY_URL"):
        monkeypatch.delenv(f"TASKCLUSTER_{name}", raising=False)

    def set_variables(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"TASKCLUSTER_{name}", value)

    return set_variables


@pytest.fixture
def python() -> Callable[..., str]:
    """Run a program in a new interpreter and return its output."""

    def run(program: str, **environ: str) -> str:
        import os

        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, **environ},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
