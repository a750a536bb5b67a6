"""States that change between two calls, groups of every size, and deployments that fail while they are watched."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

import taskcluster
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, definition
from .scripts import Script
from .world import claim

Call = Callable[..., Done]
OTHER = "-ySoq0SQRkWu7V98BFEuCA"


def status(state: str, runs: int = 1, **last: str) -> dict[str, Any]:
    """Return the response of the queue for a task whose runs but the last failed."""
    ended = [{"runId": number, "state": "failed", "reasonResolved": "failed"} for number in range(runs - 1)]
    current = [{"runId": runs - 1, "state": state, **last}] if runs else []
    return {"status": {"taskId": TASK, "taskGroupId": TASK, "state": state, "runs": ended + current}}


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients do not retry."""
    from taskcluster.options import DEFAULTS

    monkeypatch.setattr("taskcluster.options.DEFAULTS", {**DEFAULTS, "maxRetries": 0})


def test_fifty_runs(script: Script, call: Call) -> None:
    script.respond = lambda path: (200, json.dumps(status("running", 50)).encode())
    assert call("task", "status", TASK).out == "running\n"
    lines = call("task", "status", TASK, "-a").out.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (50, "Run #0: failed 'failed'", "Run #49: running")
    assert call("task", "status", TASK, "-r", "49").out == "running\n"
    done = call("task", "status", TASK, "-r", "50")
    assert (done.status, "has no run 50; its runs are 0 to 49" in done.err) == (4, True)


def test_state_changes_between_two_calls(script: Script, call: Call, once: None) -> None:
    """The refusal or absence is reported, of one task as of one of several."""

    def respond(path: str) -> tuple[int, bytes]:
        if path.endswith("/status"):
            return 200, json.dumps(status("failed", reasonResolved="failed")).encode()
        if path.endswith("/rerun"):
            return 409, b'{"code": "RequestConflict", "message": "the task is running"}'
        return 404, b'{"code": "ResourceNotFound", "message": "the task has expired"}'

    script.respond = respond
    assert call("task", "rerun", TASK) == Done(5, "", "Error: the task is running (409 RequestConflict)\n")
    done = call("task", "rerun", TASK, OTHER)
    assert (done.status, done.out, done.err.count("the task is running")) == (1, "", 2)
    assert call("task", "status", TASK, "--long") == Done(4, "", "Error: the task has expired (404 ResourceNotFound)\n")
    assert call("log", TASK).status == 4


def test_failures_of_the_deployment_do_not_end_a_watch(script: Script, call: Call, once: None) -> None:
    failures = [(429, b"{}"), (500, b"{}"), (200, None), (503, b"down"), (502, b""), (200, b"")]

    def respond(path: str) -> tuple[int, bytes]:
        number, body = failures.pop(0) if len(failures) > 1 else failures[0]
        state = "running" if body is None else "completed"
        return number, body or json.dumps(status(state)).encode()

    script.respond = respond
    done = call("task", "watch", TASK, "--interval", "0.01")
    assert (done.status, done.out) == (0, "running\ncompleted\n")
    assert "Traceback" not in done.err
    assert failures == [(200, b"")]


def test_group_without_tasks(script: Script, call: Call) -> None:
    def respond(path: str) -> tuple[int, bytes]:
        if "/task-group/" not in path:
            return 404, b"{}"
        return 200, json.dumps({"taskGroupId": TASK, "schedulerId": "-", "expires": "x", "tasks": []}).encode()

    script.respond = respond
    for line, out in {
        "list": "",
        "list --json": "[]\n",
        "list --jsonl": "",
        "list -q": "",
        "watch --timeout 0": "no tasks\n",
        "status": "",
        "status --select total": "0\n",
        "show --select total": "0\n",
        "cancel": "",
        "rerun": "",
        "retrigger --yes": "",
    }.items():
        name, *options = line.split()
        done = call("group", name, TASK, *options)
        assert (done.status, done.out) == (0, out), (line, done)


@pytest.mark.once
def test_group_that_grows_while_it_is_watched(local: LocalTaskcluster) -> None:
    """New tasks are waited for; whether more may come is said unless the group is sealed."""
    queue: Any = taskcluster.Queue(local.options())
    group, first, second = (taskcluster.slugId() for _ in range(3))
    queue.createTask(first, definition(local, taskGroupId=group))

    def start() -> subprocess.Popen[str]:
        line = ["group", "watch", group, "--interval", "0.05"]
        return subprocess.Popen(
            [sys.executable, "-m", "taskcluster_cli", *line],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    with start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1 pending\n"
        queue.createTask(second, definition(local, taskGroupId=group))
        assert process.stdout.readline() == "2 pending\n"
        for number, task_id in enumerate((first, second)):
            claim(local, task_id).reportCompleted(task_id, 0)
            while "2 completed" not in (line := process.stdout.readline()) and number:
                assert line
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert f"the group {group} is not sealed" in err
    queue.sealTaskGroup(group)
    with start() as process:
        assert process.communicate(timeout=60) == ("2 completed\n", "")


@pytest.mark.once
def test_proxy_and_certificates(
    script: Script, call: Call, once: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As requests has them: a proxy gets the request, and a private authority is trusted if it is named."""
    requested: list[str] = []

    def respond(path: str) -> tuple[int, bytes]:
        requested.append(path)
        return 200, b'{"alive": true, "uptime": 1}'

    script.respond = respond
    line = ["api", "auth", "ping", "--select", "alive"]
    monkeypatch.setenv("HTTP_PROXY", script.root_url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", "http://tc.example.com")
    assert call(*line).out == "true\n"
    assert requested == ["http://tc.example.com/api/auth/v1/ping"]
    monkeypatch.delenv("HTTP_PROXY")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    secure = Script()
    secure.respond = respond
    secure.server.socket = context.wrap_socket(secure.server.socket, server_side=True)
    thread = threading.Thread(target=secure.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        monkeypatch.setenv("TASKCLUSTER_ROOT_URL", f"https://localhost:{secure.server.server_address[1]}")
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        assert call(*line).out == "true\n"
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        done = call(*line)
    finally:
        secure.server.shutdown()
        secure.server.server_close()
        thread.join()
    assert (done.status, done.out, "certificate" in done.err.lower()) == (5, "", True)
    assert "Traceback" not in done.err
