"""Tests of the command as a process."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster, loading
from taskcluster_local.cli import main

COMMAND = [sys.executable, "-W", "error", "-c", "import sys; from taskcluster_local.cli import main; sys.exit(main())"]


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str], str]]:
    """Run `serve`; yield the process, the settings it printed, and the last line before it started serving."""
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
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0


def options(settings: dict[str, str]) -> dict[str, object]:
    credentials = {"clientId": settings["TASKCLUSTER_CLIENT_ID"], "accessToken": settings["TASKCLUSTER_ACCESS_TOKEN"]}
    return {"rootUrl": settings["TASKCLUSTER_ROOT_URL"], "credentials": credentials}


def test_takes_token_from_environment() -> None:
    with serving(TASKCLUSTER_LOCAL_ACCESS_TOKEN="given") as (_, settings, _):
        assert settings["TASKCLUSTER_ACCESS_TOKEN"] == "given"


def test_warns_when_other_machines_can_connect() -> None:
    with serving("--host", "0.0.0.0") as (process, settings, _):
        assert settings["TASKCLUSTER_ROOT_URL"].startswith("http://127.0.0.1:")
        assert re.fullmatch(r"[A-Za-z0-9_-]{44}", settings["TASKCLUSTER_ACCESS_TOKEN"])
        process.terminate()
        _, errors = process.communicate(timeout=60)
        assert errors.startswith("taskcluster-local: warning: 0.0.0.0 is open to other machines.")


def test_polls_last_as_long_as_given() -> None:
    with serving("--poll", "0") as (_, settings, _), taskcluster.Queue(options(settings)) as queue:
        assert queue.claimWork("p/w", {"workerGroup": "g", "workerId": "i"}) == {"tasks": []}


@pytest.mark.usefixtures("handlers")
def test_reports_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalTaskcluster() as local:
        port = local.root_url.rpartition(":")[2]
        assert main(["serve", "--port", port]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"taskcluster-local: cannot listen at 127.0.0.1, port {port}:")
    assert printed.out == ""


def test_requires_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "serve" in capsys.readouterr().err


# Storage and messages


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKCLUSTER_")}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, encoding="utf-8", env={**kept, **environment}, timeout=60
    )


def test_data_directory_keeps_state_and_token(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    found = []
    for _ in range(2):
        with serving("--data", data) as (process, settings, _):
            found.append(settings["TASKCLUSTER_ACCESS_TOKEN"])
            with taskcluster.Secrets(options(settings)) as secrets:
                if len(found) == 2:
                    assert secrets.get("a")["secret"] == {"b": "c"}
                secrets.set("a", {"secret": {"b": "c"}, "expires": taskcluster.fromNowJSON("1 hour")})
            process.terminate()
            assert process.wait(timeout=60) == 0
    assert found[0] == found[1]


def test_writes_settings_to_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.sh"
    file.write_text("export OLD=1\n", "utf-8")
    with serving("--export-to", str(file)) as (_, settings, _):
        lines = file.read_text("utf-8").splitlines()
        assert dict(line.removeprefix("export ").split("=", 1) for line in lines) == settings
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [file]


def test_serve_loads_file(tmp_path: Path) -> None:
    file = tmp_path / "setup.yml"
    file.write_text("secrets: {a: {secret: {b: c}}}", "utf-8")
    with serving("--load", str(file)) as (_, settings, _), taskcluster.Secrets(options(settings)) as secrets:
        assert secrets.get("a")["secret"] == {"b": "c"}


def test_loads_file_into_running_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "setup.yml"
    file.write_text("secrets: {a: {secret: {b: c}}, d: {secret: {}}}", "utf-8")
    with LocalTaskcluster() as local:
        settings = {
            "TASKCLUSTER_ROOT_URL": local.root_url,
            "TASKCLUSTER_CLIENT_ID": local.credentials["clientId"],
            "TASKCLUSTER_ACCESS_TOKEN": local.credentials["accessToken"],
        }
        done = run("load", str(file), **settings)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: 2 secrets\n", "")
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert main(["load", str(file)]) == 0
        monkeypatch.delenv("TASKCLUSTER_ROOT_URL")
        assert main(["load", str(file), "--root-url", local.root_url]) == 0
        assert capsys.readouterr() == (2 * f"{file}: 2 secrets\n", "")
        with taskcluster.Secrets(local.options()) as secrets:
            assert secrets.list() == {"secrets": ["a", "d"]}
        monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", "wrong")
        assert main(["load", str(file), "--root-url", local.root_url]) == 1
        assert capsys.readouterr().err.startswith("taskcluster-local: secrets.a: ")


# Status and reset


def test_status_and_reset_of_running_deployment() -> None:
    with serving() as (_, settings, _), taskcluster.Queue(options(settings)) as queue:
        now = taskcluster.fromNow("0 seconds")
        definition = {
            "taskQueueId": "p/w",
            "created": now,
            "deadline": taskcluster.fromNow("1 hour"),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        }
        queue.createTask(taskcluster.slugId(), definition)
        root_url = settings["TASKCLUSTER_ROOT_URL"]
        # Everyone may read the status.
        done = run("status", "--root-url", root_url)
        assert (done.returncode, done.stderr) == (0, "")
        first, time, *others = done.stdout.splitlines()
        assert first.startswith(f"{root_url}: running, version ")
        assert first.endswith(", data in memory")
        assert re.fullmatch(r"time: \d{4}-[\d-]+T[\d:.]+Z", time)
        assert others == ["tasks: 1 (1 pending, 0 running)", "workers waiting for tasks: 0"]
        done = run("reset", "--root-url", root_url)
        assert (done.returncode, done.stdout) == (1, "")
        assert "local:reset" in done.stderr
        done = run("reset", **settings)
        ended = "deleted everything, including 1 task; ended 0 waiting claimWork calls\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{root_url}: {ended}", "")
        assert queue.listTaskQueues() == {"taskQueues": []}


def test_status_and_reset_show_moved_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with LocalTaskcluster() as local:
        monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", local.credentials["clientId"])
        monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", local.credentials["accessToken"])
        local.advance(hours=2, minutes=5)
        for command in ("status", "reset"):
            assert main([command, "--root-url", local.root_url]) == 0
        printed = capsys.readouterr().out
        assert "Z, 2:05:00 ahead\n" in printed
        assert "; moved the time back by 2:05:00\n" in printed


def test_reset_counts_one_waiting_call_in_the_singular(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalTaskcluster(poll=600) as local, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", local.credentials["clientId"])
        monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", local.credentials["accessToken"])
        worker = {"tasks": 1, "workerGroup": "g", "workerId": "w"}
        claimed = pool.submit(taskcluster.Queue(local.options()).claimWork, "p/w", worker)
        while "waiting for tasks: 1" not in capsys.readouterr().out:
            assert main(["status", "--root-url", local.root_url]) == 0
        assert main(["reset", "--root-url", local.root_url]) == 0
        assert claimed.result(timeout=60) == {"tasks": []}
    assert capsys.readouterr().out.endswith("including 0 tasks; ended 1 waiting claimWork call\n")


@pytest.mark.parametrize(
    ("number", "plural", "counted"),
    [
        (0, "tasks", "0 tasks"),
        (1, "tasks", "1 task"),
        (1, "repositories", "1 repository"),
        (2, "repositories", "2 repositories"),
    ],
    ids=["none", "one", "repository", "two"],
)
def test_counts_in_singular_and_plural(number: int, plural: str, counted: str) -> None:
    assert loading.counted(number, plural) == counted


def test_reset_keeps_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalTaskcluster(tmp_path / "data") as local:
        monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", local.credentials["clientId"])
        monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", local.credentials["accessToken"])
        assert main(["reset", "--root-url", local.root_url]) == 1
        assert "stores its data in a directory" in capsys.readouterr().err
        assert main(["status", "--root-url", local.root_url]) == 0
        assert "data in a directory" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "reset"])
def test_reports_missing_deployment(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        root_url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    done = run(command, "--root-url", root_url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"taskcluster-local: no local deployment responds at {root_url}: start one with `taskcluster-local serve`, or "
        "give its URL with --root-url\n"
    )
    done = run(command)
    assert done.returncode == 1
    assert "TASKCLUSTER_ROOT_URL" in done.stderr


class OtherServer(BaseHTTPRequestHandler):
    """Responds with a page, or with 404 below /missing/."""

    def do_GET(self) -> None:
        self.send_response(404 if self.path.startswith("/missing/") else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"<>")

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("command", ["status", "reset"])
@pytest.mark.parametrize("path", ["", "/missing"])
def test_reports_server_that_is_not_a_local_deployment(
    command: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with HTTPServer(("127.0.0.1", 0), OtherServer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        root_url = f"http://127.0.0.1:{server.server_port}{path}"
        assert main([command, "--root-url", root_url]) == 1
        thread.join()
    assert capsys.readouterr().err == f"taskcluster-local: {root_url} is not a local deployment\n"


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ("serve --data x --memory", 2, "not allowed with argument"),
        ("serve --port 70000", 2, "port must be between 0 and 65535, not '70000'"),
        ("serve --poll soon", 2, "poll must be a number of seconds, at least 0, not 'soon'"),
        ("serve --poll -1", 2, "poll must be a number of seconds, at least 0, not '-1'"),
        ("serve --host 203.0.113.1", 1, "taskcluster-local: cannot listen at 203.0.113.1, port 0: "),
        ("serve --host a..b", 1, "taskcluster-local: cannot listen at 'a..b': "),
        ("serve --data .", 1, "contains other files"),
        ("serve --data thesis.txt", 1, "cannot use"),
        ("serve --load bad.yml", 1, "bad.yml:1: secrets: must be a mapping"),
        ("serve --load missing.yml", 1, "No such file"),
        ("serve --export-to missing/x", 1, "cannot write"),
        ("load bad.yml", 1, "bad.yml:1: secrets: must be a mapping"),
        ("load", 2, "FILE"),
        ("status", 1, "no root URL: give --root-url or set TASKCLUSTER_ROOT_URL"),
    ],
)
def test_reports_invalid_arguments(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    status: int,
    told: str,
) -> None:
    (tmp_path / "bad.yml").write_text("secrets: 3", "utf-8")
    (tmp_path / "thesis.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKCLUSTER_ROOT_URL", raising=False)
    try:
        found: object = main(arguments.split())
    except SystemExit as stop:
        found = stop.code
    printed = capsys.readouterr()
    assert (found, printed.out) == (status, "")
    assert told in printed.err


def test_load_requires_root_url(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("secrets: {a: {secret: {}}}", "utf-8")
    done = run("load", str(tmp_path / "a.yml"))
    assert done.returncode == 1
    assert "TASKCLUSTER_ROOT_URL" in done.stderr
