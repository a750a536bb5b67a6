"""The command that prints messages, by itself and as a part of the taskcluster command."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_pulse.cli import listen, main

from .conftest import TIMEOUT

EXCHANGE = "exchange/taskcluster-auth/v1/role-created"


@pytest.fixture
def local(deployment: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> LocalTaskcluster:
    deployment.reset()
    credentials = deployment.credentials
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", deployment.root_url)
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", credentials["accessToken"])
    return deployment


@pytest.fixture
def roles(local: LocalTaskcluster) -> Iterator[Callable[[], None]]:
    """Creates one role after the other, until the test ends."""
    auth = taskcluster.Auth(local.options())
    ended = threading.Event()

    def create() -> None:
        number = 0
        while not ended.wait(0.05):
            auth.createRole(f"role-{number}", {"description": "d", "scopes": []})
            number += 1

    thread = threading.Thread(target=create)
    yield thread.start
    ended.set()
    if thread.is_alive():
        thread.join()


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("name", [EXCHANGE, EXCHANGE.removeprefix("exchange/")])
def test_prints_messages(roles: Callable[[], None], name: str) -> None:
    lines: list[str] = []
    roles()
    assert listen(name, "#", lines.append, count=2)
    assert lines == ["role-created _"] * 2


def test_prints_json(roles: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    roles()
    assert main(["listen", EXCHANGE, "--json", "--count", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.keys() == {"exchange", "routingKey", "routes", "redelivered", "payload"}
    assert document["exchange"] == EXCHANGE


@pytest.mark.usefixtures("local")
def test_timeout() -> None:
    assert main(["listen", EXCHANGE, "--timeout", "0.1"]) == 0
    assert main(["listen", EXCHANGE, "--timeout", "0.1", "--count", "1"]) == 1


@pytest.mark.usefixtures("local")
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "exchange/nope"]) == 1
    assert "unknown exchange 'exchange/nope'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["-m", "taskcluster_pulse"], ["-m", "taskcluster_cli", "pulse"]], ids=["alone", "cli"]
)
def test_command(roles: Callable[[], None], command: list[str]) -> None:
    roles()
    result: Any = subprocess.run(
        [sys.executable, *command, "listen", EXCHANGE, "--json", "--count", "1"],
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["exchange"] == EXCHANGE
