"""Tasks and groups: every way to name them, states, changes, and waiting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, definition
from .world import build, claim

Call = Callable[..., Done]
DASH = "-ySoq0SQRkWu7V98BFEuCA"


@pytest.fixture
def queue(local: LocalTaskcluster) -> taskcluster.Queue:
    return taskcluster.Queue(local.options())


def test_ids_in_every_form(call: Call, local: LocalTaskcluster, queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    build(local)
    root = local.root_url
    queue.createTask(DASH, definition(local, taskGroupId=TASK))
    for text in (TASK, f"{root}/tasks/{TASK}", f"{root}/tasks/{TASK}/runs/0/logs/x", "index:project.test.latest"):
        assert call("task", "name", text).out == "build\n"
    # Ids that begin with a hyphen, before and after options and `--`, and as an option's value.
    assert call("task", "status", DASH).out == "pending\n"
    assert call("task", "status", "--", DASH).out == "pending\n"
    assert call("task", "status", DASH, "--json").out.startswith("{")
    done = call("run", "--queue", "p/w", "--dependency", DASH, "--dry-run", "--", "ls", "-l")
    assert json.loads(done.out)["dependencies"] == [DASH]
    assert json.loads(done.out)["payload"]["command"] == [["ls", "-l"]]
    assert call("group", "status", f"{root}/tasks/{DASH}").out == "completed: 1\npending: 1\n"
    done = call("task", "status", f"{root}/tasks/groups/{TASK}")
    assert (done.status, f"taskcluster group list {TASK}" in done.err) == (2, True)
    done = call("group", "list", DASH)
    assert (done.status, f"is a task, of the group {TASK}" in done.err) == (4, True)
    done = call("task", "status", "index:project.test.nothing")
    assert (done.status, "taskcluster index list project.test" in done.err) == (4, True)
    done = call("task", "status", "https://other.example.com/tasks/nonsense")
    assert done.status == 2
    # Credentials of this deployment are not sent to another.
    monkeypatch.setattr("taskcluster.options.DEFAULTS", {**_defaults(), "maxRetries": 0})
    done = call("task", "status", f"http://127.0.0.1:1/tasks/{TASK}")
    assert (done.status, "127.0.0.1:1" in done.err) == (5, True)


def _defaults() -> dict[str, Any]:
    from taskcluster.options import DEFAULTS

    return DEFAULTS


@pytest.mark.once
def test_ids_from_stdin(call: Call, local: LocalTaskcluster, queue: Any) -> None:
    for task_id in (TASK, DASH):
        queue.createTask(task_id, definition(local, taskGroupId=TASK))
    lines = call("group", "list", TASK).out
    done = subprocess.run(
        [sys.executable, "-m", "taskcluster_cli", "task", "cancel", "-"],
        input=f"\n{lines}\n{TASK}\n",
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == [f"{DASH}\texception 'canceled'", f"{TASK}\texception 'canceled'"]
    assert done.stderr == "2 done\n"
    done = subprocess.run(
        [sys.executable, "-m", "taskcluster_cli", "task", "cancel", "-"],
        input="",
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, "no task ids" in done.stderr) == (2, True)
    # Stdin is read once, although the ids are used twice.
    done = subprocess.run(
        [sys.executable, "-m", "taskcluster_cli", "task", "rerun", "-", "--watch", "--timeout", "0"],
        input=f"{TASK}\n",
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (124, "pending")


def test_states_of_tasks(call: Call, local: LocalTaskcluster, queue: Any) -> None:
    """Without runs, of several runs, expired, and a run that does not exist."""
    other = taskcluster.slugId()
    queue.createTask(other, definition(local))
    queue.createTask(TASK, definition(local, dependencies=[other], taskGroupId=other))
    assert call("task", "status", TASK).out == "unscheduled\n"
    for line in (["-a"], ["-r", "0"]):
        done = call("task", "status", TASK, *line)
        assert (done.status, "has no runs yet" in done.err) == (4, True)
    assert call("task", "cancel", "-n", TASK).out == "would cancel unscheduled\n"
    assert call("task", "log", TASK).status == 4
    assert call("task", "complete", TASK).status == 4
    assert call("task", "schedule", TASK).out == "pending\n"
    assert call("task", "dependents", other, "-q").out == f"{TASK}\n"
    for _ in range(3):
        claim(local).reportFailed(TASK, queue.status(TASK)["status"]["runs"][-1]["runId"])
        assert call("task", "rerun", TASK).out == "pending\n"
    assert call("task", "status", TASK, "-a").out.count("failed 'failed'\n") == 3
    done = call("task", "status", TASK, "-r", "7")
    assert (done.status, "has no run 7; its runs are 0 to 3" in done.err) == (4, True)
    assert "worker group/worker" in call("task", "status", TASK, "--long").out
    assert call("task", "status", TASK, other).out == f"{TASK}\tpending\n{other}\tpending\n"
    assert len(json.loads(call("task", "status", TASK, other, "--json").out)) == 2
    done = call("task", "rerun", TASK, other)
    assert (done.status, done.out) == (1, "")
    assert f"{other}: {other} is pending, not failed" in done.err
    local.advance(hours=2)
    assert call("task", "status", TASK).out == "exception 'deadline-exceeded'\n"
    assert call("task", "status", "fN1SbArXTPSVFNUvaOlinA").status == 4
    for option in (["--run", "0"], ["--all-runs"]):
        done = call("task", "status", TASK, other, *option)
        assert (done.status, "are for one task" in done.err) == (2, True)


def test_changes_of_many_name_what_failed(call: Call, local: LocalTaskcluster, queue: Any) -> None:
    queue.createTask(TASK, definition(local))
    done = call("task", "cancel", TASK, "fN1SbArXTPSVFNUvaOlinA")
    assert (done.status, done.out) == (1, f"{TASK}\texception 'canceled'\n")
    assert "fN1SbArXTPSVFNUvaOlinA: " in done.err
    assert done.err.endswith("1 done, 1 failed\n")


def test_json_of_many_is_one_document(call: Call, local: LocalTaskcluster, queue: Any, tmp_path: Path) -> None:
    build(local)
    queue.createTask(DASH, definition(local, taskGroupId=TASK))

    def printed(*words: str) -> Any:
        done = call(*words)
        assert done.status == 0, done
        return json.loads(done.out)

    assert [each["line"] for each in printed("log", TASK, "--json")][::2] == ["first", "last"]
    assert printed("log", TASK, "--json", "--tail", "0") == []
    assert call("log", TASK, "--select", "line").out.splitlines()[::2] == ["first", "last"]
    assert [each["taskId"] for each in printed("task", "cancel", TASK, "--noop", "--json", DASH)] != []
    assert printed("task", "cancel", DASH, "--noop", "--json")["state"] == "pending"
    cancel = ("group", "cancel", TASK, "--force", "--json", "--worker-type")
    assert [printed(*cancel, "ci")["taskIds"], printed(*cancel, "ci")["taskIds"]] == [[DASH], []]
    for verb in ("rerun", "retrigger"):
        assert printed("group", verb, TASK, "--dry-run", "--json") == [{"taskId": DASH}]
        assert printed("group", verb, TASK, "--dry-run", "--json", "--name", "none") == []
    assert call("group", "watch", TASK, "--logs-on-failure", "--json").status == 2
    fetch = ("download", "artifact", TASK, "public/*")
    assert len(printed(*fetch, "--dry-run", "--json")) == 3
    assert len(printed(*fetch, "-D", str(tmp_path), "--json")) == 3
    assert "public/build/other.bin" in call(*fetch, "-D", str(tmp_path), "--select", "name").out.splitlines()
    done = call("task", "rerun", DASH, "--watch", "--timeout", "0", "--json")
    assert (done.status, done.out) == (124, "")


def test_create_fills_dates_and_checks(call: Call, local: LocalTaskcluster, queue: Any, tmp_path: Path) -> None:
    file = tmp_path / "task.yml"
    file.write_text(
        "taskQueueId: proj/ci\npayload: {on: on}\n"
        "metadata: {name: n, description: d, owner: me@example.com, source: 'https://example.com'}\n",
        "utf-8",
    )
    done = call("task", "create", str(file), "--task-id", TASK, "--deadline", "2 hours", "--expires", "3 days")
    assert done == Done(0, f"{TASK}\n", f"{local.root_url}/tasks/{TASK}\n")
    assert queue.task(TASK)["payload"] == {"on": "on"}
    file.write_text(file.read_text("utf-8") + "prioritty: high\n", "utf-8")
    done = call("task", "create", str(file))
    assert (done.status, "prioritty is not known; did you mean 'priority'" in done.err) == (2, True)
    assert call("validate", str(file)).status == 1
    assert call("task", "create", str(tmp_path / "none")).status == 2


def test_edit_creates_a_changed_task(call: Call, local: LocalTaskcluster, queue: Any, monkeypatch: Any) -> None:
    queue.createTask(TASK, definition(local, projectId="p", routes=["index.a"]))
    monkeypatch.setenv("EDITOR", "sed -i s/build/rebuild/")
    done = call("task", "edit", TASK)
    made = queue.task(done.out.strip())
    assert (made["metadata"]["name"], made["projectId"], made["routes"]) == ("rebuild", "p", [])
    assert queue.task(call("task", "retrigger", "-e", TASK).out.strip())["routes"] == ["index.a"]
    monkeypatch.setenv("EDITOR", "true")
    done = call("task", "edit", TASK)
    assert (done.status, done.out) == (2, "")


def test_groups(call: Call, local: LocalTaskcluster, queue: Any) -> None:
    """Of no, one and many tasks; by state and name; counted, shown, cancelled, rerun."""
    assert call("group", "list", TASK).status == 4
    ids = [TASK, *(taskcluster.slugId() for _ in range(4))]
    for number, task_id in enumerate(ids):
        made = definition(local, taskGroupId=TASK)
        queue.createTask(task_id, {**made, "metadata": {**made["metadata"], "name": f"test-{number}"}})
    claim(local).reportCompleted(TASK, 0)
    claim(local, ids[1]).reportFailed(ids[1], 0)
    assert call("group", "status", TASK).out == "completed: 1\npending: 3\nfailed: 1\n"
    assert call("group", "status", TASK, "--exit-status").status == 1
    assert json.loads(call("group", "status", TASK, "--json").out)["total"] == 5
    assert call("group", "list", TASK, "--state", "failed", "-q").out == f"{ids[1]}\n"
    assert call("group", "list", TASK, "--name", "test-[34]", "-q").out.count("\n") == 2
    assert call("group", "list", TASK, "--jsonl", "--select", "status.state").out.count('"pending"\n') == 3
    shown = json.loads(call("group", "show", TASK, "--json").out)
    assert (shown["states"], shown["failedByName"], shown["isWhole"]) == (
        {"completed": 1, "pending": 3, "failed": 1},
        {"test-1": 1},
        True,
    )
    assert "slowest" in call("group", "show", TASK).out
    assert call("group", "priority", TASK, "high").out.count("\n") == 5
    assert call("group", "rerun", TASK, "--failed").status == 2
    assert call("group", "rerun", TASK, "--failed", "--yes").out == f"{ids[1]}\n"
    assert call("group", "rerun", TASK, "--failed", "--yes").err == "no failed tasks, nothing to rerun\n"
    claim(local, ids[1]).reportFailed(ids[1], 1)
    assert call("group", "retrigger", TASK, "--failed", "--limit", "1", "--yes").out.count("\n") == 1
    done = call("group", "watch", TASK, "--fail-fast")
    assert (done.status, "failed" in done.out) == (1, True)
    done = call("group", "cancel", TASK, "--yes")
    assert (done.status, done.out.count("\n")) == (0, 4)
    assert call("group", "seal", TASK, "-y").out.startswith("20")
    done = call("group", "watch", TASK)
    assert (done.status, done.out) == (1, "1 completed, 1 failed, 4 exception\n")
    assert f"failed: {ids[1]} test-1" in done.err
    done = call("task", "watch", *ids[:2], "--json")
    assert (done.status, len(json.loads(done.out))) == (1, 2)


def test_cancel_without_the_scope_for_groups(call: Call, local: LocalTaskcluster, queue: Any, monkeypatch: Any) -> None:
    """The tasks are cancelled one by one."""
    for task_id in (TASK, DASH):
        queue.createTask(task_id, definition(local, taskGroupId=TASK))
    credentials = local.options(["queue:cancel-task:*", "queue:list-task-group:*"])["credentials"]
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", credentials["accessToken"])
    if "certificate" in credentials:
        certificate = credentials["certificate"]
        monkeypatch.setenv(
            "TASKCLUSTER_CERTIFICATE", certificate if isinstance(certificate, str) else json.dumps(certificate)
        )
    done = call("group", "cancel", TASK, "--force")
    assert (done.status, sorted(done.out.split())) == (0, sorted([TASK, DASH]))
    assert "one by one" in done.err


def test_watch_ends_by_time(call: Call, local: LocalTaskcluster, queue: Any) -> None:
    queue.createTask(TASK, definition(local))
    done = call("task", "watch", TASK, "--timeout", "0.1")
    assert (done.status, done.out) == (124, "pending\n")
    assert done.err == f"Error: task {TASK} to resolve: not within 0.1 seconds\n"
    done = call("group", "watch", TASK, "--timeout", "0")
    assert (done.status, done.out) == (124, "1 pending\n")


@pytest.mark.once
def test_interrupted_watch_names_the_command_that_cancels(local: LocalTaskcluster, queue: Any) -> None:
    queue.createTask(TASK, definition(local))
    for words, cancel in [(["task", "watch"], "task cancel"), (["group", "watch"], "group cancel")]:
        with subprocess.Popen(
            [sys.executable, "-m", "taskcluster_cli", *words, TASK],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert "pending" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            assert f"to cancel: taskcluster {cancel} {TASK}" in process.stderr.read()
    assert queue.status(TASK)["status"]["state"] == "pending"


def test_run_follows_and_exits_by_result(call: Call, local: LocalTaskcluster, queue: Any) -> None:
    """A worker claims the task, logs, and reports; the command prints the log and returns its result."""
    import threading

    from .world import add_artifacts

    for state, status in (("reportCompleted", 0), ("reportFailed", 1)):

        def work(state: str = state) -> None:
            claims = taskcluster.Queue(local.options()).claimWork("proj/run", {"workerGroup": "g", "workerId": "w"})
            [claimed] = claims["tasks"]
            worker = taskcluster.Queue({**local.options(), "credentials": claimed["credentials"]})
            task_id = claimed["status"]["taskId"]
            add_artifacts(local, worker, task_id)
            getattr(worker, state)(task_id, 0)

        thread = threading.Thread(target=work)
        thread.start()
        done = call("run", "--queue", "proj/run", "--env", "A=b", "--", "echo", "hi")
        thread.join()
        assert (done.status, done.out) == (status, "first\nsecond \x1b[32mgreen\x1b[0m\nlast\n"), done
    assert call("run", "--queue", "proj", "--", "x").status == 2
    assert call("run", "--", "x").status == 2
    assert call("run", "--queue", "p/w").status == 2
