"""A local deployment, the command in this process and as a process of its own, and an empty home directory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from taskcluster_cli.main import main
from taskcluster_local import LocalTaskcluster

from .scripts import Script

TASK = "fN1SbArXTPSVFNUvaOlinQ"


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home directory, and an environment without any settings."""
    for name in list(os.environ):
        if name.startswith(("TASKCLUSTER_", "XDG_")) or name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TASKCLUSTER_KEYRING", "off")
    monkeypatch.setenv("COLUMNS", "100")
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as local:
        yield local


@pytest.fixture
def local(server: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> LocalTaskcluster:
    """An empty deployment, with its root client in the environment."""
    server.reset()
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", server.root_url)
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", server.credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", server.credentials["accessToken"])
    return server


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    made = Script()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", made.root_url)
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def call(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Done]:
    """Run the command in this process."""

    def run(*arguments: str) -> Done:
        capfdbinary.readouterr()
        status = main(arguments)
        out, err = capfdbinary.readouterr()
        return Done(status, out.decode(), err.decode())

    return run


def command(*arguments: str, **options: Any) -> Done:
    """Run the command as a process."""
    options = {"stdin": subprocess.DEVNULL, **options} if "input" not in options else options
    done = subprocess.run(
        [sys.executable, "-m", "taskcluster_cli", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        **options,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def definition(local: LocalTaskcluster, **changes: Any) -> dict[str, Any]:
    """Return the definition of a task that can be created now."""
    import taskcluster

    now = local.now()
    return {
        "taskQueueId": "proj/ci",
        "created": taskcluster.stringDate(now),
        "deadline": taskcluster.fromNowJSON("1 hour", now),
        "payload": {},
        "metadata": {
            "name": "build",
            "description": "d",
            "owner": "me@example.com",
            "source": "https://example.com",
        },
        **changes,
    }
