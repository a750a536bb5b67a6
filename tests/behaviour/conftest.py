"""Fixtures: servers, sync and async clients, and retry delays that are recorded instead of waited for."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from .drive import AsyncDrive, Drive, SyncDrive
from .server import Proxy, Server

_SURROUNDINGS = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC")


# asyncio's debug mode also logs slow callbacks, which depend on the machine.
_QUIET = "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)\n"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _SURROUNDINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in (*_CERTIFICATES, *(name for name in os.environ if name.startswith("TASKCLUSTER_"))):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch, in_earlier_thread: Callable[[], bool]) -> list[float]:
    """The retry delays of calls, in order. Nothing waits."""
    noted: list[float] = []
    real, real_sync = asyncio.sleep, time.sleep

    async def sleep(delay: float, result: Any = None) -> Any:
        if in_earlier_thread():
            return await real(delay, result)
        if delay > 0:
            noted.append(delay)
        return await real(0, result)

    def sleep_sync(delay: float) -> None:
        if in_earlier_thread():
            real_sync(delay)
        else:
            noted.append(delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "sleep", sleep_sync)
    return noted


@pytest.fixture
def server() -> Iterator[Server]:
    """A server without TLS."""
    server = Server()
    yield server
    server.close()
    assert server.faults == []


@pytest.fixture(params=[SyncDrive, AsyncDrive], ids=["sync", "async"])
def drive(request: pytest.FixtureRequest, server: Server) -> Iterator[Drive]:
    """Clients of `server`, sync and async."""
    drive: Drive = request.param(server.root_url)
    yield drive
    drive.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A forward proxy."""
    proxy = Proxy()
    yield proxy
    proxy.close()
    assert proxy.faults == []


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """An unknown certificate authority, and its certificate as a file."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return authority, path


@pytest.fixture
def tls_server(authority: tuple[trustme.CA, Path]) -> Iterator[Server]:
    """A server with TLS and a certificate of `authority`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    server = Server(context)
    yield server
    server.close()


@pytest.fixture
def program() -> Callable[..., str]:
    """Run a program in a new process with warnings as errors and leaks reported, and return its output."""

    def run(source: str, *args: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", _QUIET + textwrap.dedent(source), *args],
            env={**os.environ, **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run
