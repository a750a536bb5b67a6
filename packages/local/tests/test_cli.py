"""The command, as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import taskcluster
from taskcluster_local.cli import main

COMMAND = [sys.executable, "-W", "error", "-c", "import sys; from taskcluster_local.cli import main; sys.exit(main())"]


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str], str]]:
    """Run `serve`; yields the process, the settings it printed, and its last line before it went on serving."""
    process = subprocess.Popen(
        [*COMMAND, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
    )
    with process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip("\n") for _ in range(4)]
            yield process, dict(line.removeprefix("export ").split("=", 1) for line in lines[:3]), lines[3]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_until_interrupted(number: signal.Signals) -> None:
    with serving() as (process, settings, ready):
        assert ready == f"# ready at {settings['TASKCLUSTER_ROOT_URL']}"
        assert settings["TASKCLUSTER_CLIENT_ID"] == "static/taskcluster/root"
        assert re.fullmatch(r"[A-Za-z0-9_-]{44}", settings["TASKCLUSTER_ACCESS_TOKEN"])
        with taskcluster.Secrets(options(settings)) as secrets:
            assert secrets.list() == {"secrets": []}
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def options(settings: dict[str, str]) -> dict[str, object]:
    credentials = {"clientId": settings["TASKCLUSTER_CLIENT_ID"], "accessToken": settings["TASKCLUSTER_ACCESS_TOKEN"]}
    return {"rootUrl": settings["TASKCLUSTER_ROOT_URL"], "credentials": credentials}


def test_the_token_can_be_given() -> None:
    with serving(TASKCLUSTER_LOCAL_ACCESS_TOKEN="given") as (_, settings, _):
        assert settings["TASKCLUSTER_ACCESS_TOKEN"] == "given"


def test_listening_to_other_machines_is_warned_of() -> None:
    with serving("--host", "0.0.0.0") as (process, settings, _):
        assert settings["TASKCLUSTER_ROOT_URL"].startswith("http://127.0.0.1:")
        process.terminate()
        _, errors = process.communicate(timeout=20)
        assert errors.startswith("taskcluster-local: warning: 0.0.0.0 is open to other machines.")


def test_a_port_that_is_taken() -> None:
    with serving() as (_, settings, _):
        port = settings["TASKCLUSTER_ROOT_URL"].rpartition(":")[2]
        done = subprocess.run([*COMMAND, "serve", "--port", port], capture_output=True, text=True, encoding="utf-8")
        assert done.returncode == 1
        assert done.stderr.startswith(f"taskcluster-local: cannot listen at 127.0.0.1, port {port}:")
        assert done.stdout == ""


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "serve" in capsys.readouterr().err
