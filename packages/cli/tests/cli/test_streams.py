"""Logs, artifacts and long lists: complete, safe on terminals, in constant memory, and early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, command, definition
from .scripts import Script
from .world import add_artifacts, build, claim

Call = Callable[..., Done]


def task_of(number: int) -> dict[str, Any]:
    return {
        "status": {"taskId": f"{number:022}", "state": "completed", "taskQueueId": "p/w", "runs": []},
        "task": {"metadata": {"name": f"n{number}"}, "created": "2030-01-01T00:00:00Z"},
    }


def page(tasks: range, token: str | None) -> bytes:
    document: dict[str, Any] = {"taskGroupId": TASK, "tasks": [task_of(number) for number in tasks]}
    return json.dumps(document if token is None else {**document, "continuationToken": token}).encode()


MEASURED = """
import atexit, resource, sys
from taskcluster_cli.main import run
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))
run()
"""
"""Runs the command, and prints its peak memory in KiB to stderr."""


@pytest.mark.once
def test_first_line_before_the_second_page(script: Script) -> None:
    """In constant memory, with a page without tasks and one with an empty token."""
    first_line = threading.Event()
    pages = 10

    def respond(path: str) -> tuple[int, bytes]:
        token = path.partition("continuationToken=")[2]
        if not token:
            return 200, page(range(1), "1")
        if token == "1":
            assert first_line.wait(30)
            return 200, page(range(0), "2")
        number = int(token)
        return 200, page(range((number - 2) * 1000, (number - 1) * 1000), str(number + 1) if number < pages else "")

    script.respond = respond
    memory: dict[tuple[int, str], int] = {}
    for pages, line in ((4, ["--jsonl"]), (12, ["--jsonl"]), (4, ["-q"]), (12, ["-q"]), (12, ["--json"])):
        first_line.clear()
        with subprocess.Popen(
            [sys.executable, "-c", MEASURED, "group", "list", TASK, *line],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            first_line.set()
            rest = process.stdout.read()
            assert process.wait() == 0
            memory[pages, line[0]] = int(process.stderr.read())
        if line == ["--json"]:
            assert len(json.loads(f"[{rest}")) == 11_001
        else:
            assert rest.count("\n") == (pages - 1) * 1000
    # KiB; eight pages hold 8000 tasks, which as Python objects take 10 MB.
    assert all(memory[12, form] - memory[4, form] < 5_000 for form in ("--jsonl", "-q")), memory


def log_task(
    local: LocalTaskcluster, log: bytes, *, name: str = "public/logs/live_backing.log", resolved: bool = True
) -> Any:
    queue = taskcluster.Queue(local.options())
    payload = {"logs": {"live": "private/live.log", "backing": name}} if name.startswith("private") else {}
    queue.createTask(TASK, definition(local, payload=payload))
    worker = claim(local)
    add_artifacts(local, worker, artifacts={name: log})
    if resolved:
        worker.reportFailed(TASK, 0)
    return worker


def test_log_of_odd_bytes(call: Call, local: LocalTaskcluster) -> None:
    """Invalid UTF-8, control sequences, a long line, no line end: complete in a pipe."""
    long_line = b"x" * 10_000_000
    log_task(local, b"a\xffb\n\x1b]0;title\x07\x1b[2Jc\n10%\r100%\n" + long_line)
    done = call("log", TASK)
    assert done.status == 0
    assert done.out == "a\ufffdb\n\x1b]0;title\x07\x1b[2Jc\n10%\r100%\n" + long_line.decode() + "\n"
    done = call("log", "--follow", TASK, "--tail", "2")
    assert (done.status, done.out) == (1, "10%\r100%\n" + long_line.decode() + "\n")
    assert done.err == f"{TASK} failed\n"
    assert call("log", TASK, "--tail", "0").out == ""
    done = call("log", TASK, "--tail", "1", "--timestamps")
    assert done.out[:2] == "20"
    assert call("log", TASK, "--name", "public/none.log").status == 4
    assert call("log", TASK, "--run", "3").status == 4


def test_private_log_needs_its_scope(call: Call, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> None:
    log_task(local, b"private\n", name="private/logs/backing.log")
    assert call("log", TASK).out == "private\n"
    monkeypatch.delenv("TASKCLUSTER_CLIENT_ID")
    monkeypatch.delenv("TASKCLUSTER_ACCESS_TOKEN")
    done = call("log", TASK)
    assert (done.status, done.out) == (3, "")
    assert "queue:get-artifact:private/logs/backing.log" in done.err


@pytest.mark.once
def test_log_of_many_lines_in_constant_memory(local: LocalTaskcluster) -> None:
    lines = 1_000_000
    log_task(local, b"line\n" * lines)
    memory = []
    for line, expected in (["log", "--follow", TASK], lines), (["version"], 1):
        done = subprocess.run([sys.executable, "-c", MEASURED, *line], capture_output=True, encoding="utf-8")
        assert done.stdout.count("\n") == expected
        memory.append(int(done.stderr.split()[-1]))
    # Against 5 MB that Python would need 60 MB for as strings; imports of the HTTP library are 20 MB.
    assert memory[0] - memory[1] < 40_000, memory
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m taskcluster_cli log {TASK} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.stdout, done.stderr) == ("line\n141\n", "")


def test_artifacts_by_name_pattern_and_index(
    call: Call, local: LocalTaskcluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(local)
    monkeypatch.chdir(tmp_path)
    assert call("download", "artifact", TASK, "public/build/target.txt", "-").out == "target\n"
    assert call("download", "artifact", TASK, "public/build/target.txt").out == "target.txt\n"
    done = call("download", "artifact", TASK, "public/build/target.txt")
    assert (done.status, "--force" in done.err) == (2, True)
    done = call("download", "artifact", "--index", "project.test.latest", "public/build/*", "public/*.txt", "-D", "got")
    assert done.status == 0
    assert sorted(done.out.split()) == ["got/public/build/other.bin", "got/public/build/target.txt"]
    assert Path("got/public/build/other.bin").read_bytes() == b"\0\1"
    # The same again is kept; another content is refused, and the others are there.
    Path("got/public/build/target.txt").write_text("mine", "utf-8")
    Path("got/public/build/other.bin").unlink()
    line = ["download", "artifact", TASK, "public/build/*", "-D", "got"]
    done = call(*line)
    assert (done.status, done.out) == (1, "got/public/build/other.bin\n")
    assert "exists with another content; --force replaces it" in done.err
    assert Path("got/public/build/target.txt").read_text("utf-8") == "mine"
    assert call(*line, "--force").status == 0
    assert call(*line).status == 0
    assert Path("got/public/build/target.txt").read_text("utf-8") == "target\n"
    assert [path for path in Path().rglob(".*") if path.name.startswith(".taskcluster")] == []
    assert call(*line, "--exclude", "*.bin", "--dry-run").out == "public/build/target.txt\n"
    done = call("download", "artifact", TASK, "public/build/targt.txt", "x")
    assert done.status == 4
    done = call("download", "artifact", TASK, "public/bild/*", "-D", "x")
    assert (done.status, "no artifact matches" in done.err) == (4, True)
    assert call("download", "artifact", TASK, "-D", "x").status == 2
    assert call("download", "artifact", "index:project.none", "x", "y").status == 4


def test_hostile_artifact_names(call: Call, local: LocalTaskcluster, tmp_path: Path) -> None:
    """None leads out of the directory; errors are named; a failure leaves the old file."""
    queue = taskcluster.Queue(local.options())
    queue.createTask(TASK, definition(local))
    worker = claim(local)
    long_name = f"public/{'n' * 200}.txt"
    odd = {"public/a:b%2f.txt": b"1", "public/A.txt": b"2", "public/a.txt": b"3", long_name: b"4"}
    add_artifacts(local, worker, TASK, odd)
    expires = queue.task(TASK)["expires"]
    worker.createArtifact(
        TASK,
        0,
        "public/broken.txt",
        {"storageType": "error", "reason": "file-missing-on-worker", "message": "no such file", "expires": expires},
    )
    folder = tmp_path / "got"
    done = call("download", "artifact", TASK, "public/*.txt", "-D", str(folder))
    assert done.status == 1
    assert "public/broken.txt: the artifact is an error: no such file (file-missing-on-worker)" in done.err
    assert folder.joinpath(long_name).read_text("utf-8") == "4"
    assert len(done.out.splitlines()) == 4
    old = tmp_path / "old.txt"
    old.write_text("old", "utf-8")
    done = call("download", "artifact", TASK, "public/broken.txt", str(old))
    assert (done.status, done.out, old.read_text("utf-8")) == (4, "", "old")
    assert call("download", "artifact", TASK, "public/none.txt", str(old)).status == 4
    assert list(tmp_path.glob(".*")) == []
    add_artifacts(local, worker, TASK, {"public/../../evil": b"x"})
    done = call("download", "artifact", TASK, "*evil", "-D", str(folder))
    assert (done.status, "cannot download the artifact" in done.err) == (2, True)
    assert not tmp_path.parent.joinpath("evil").exists()


@pytest.mark.once
def test_uploads_and_objects(
    call: Call, local: LocalTaskcluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    queue = taskcluster.Queue(local.options())
    queue.createTask(TASK, definition(local))
    claim(local)
    Path("notes.txt").write_text("notes\n", "utf-8")
    assert call("upload", "artifact", TASK, "public/notes.txt", "notes.txt").out == "public/notes.txt\n"
    assert call("download", "artifact", TASK, "public/notes.txt", "-").out == "notes\n"
    assert "text/plain" in call("task", "artifacts", TASK, "--long").out
    assert command("upload", "object", "project/x/y", "-", "--project", "x", input="piped").out == "project/x/y\n"
    assert command("download", "object", "project/x/y", "-").out == "piped"
    assert call("upload", "object", "a", "none.txt", "--project", "x").status == 2
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m taskcluster_cli download object project/x/y - > /dev/full"],
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (5, "Error: No space left on device\n")
    done = call("download", "object", "project/x/y", os.devnull)
    assert (done.status, "Traceback" in done.err) == (5, False)


@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_in_a_download_leaves_the_old_file(script: Script, tmp_path: Path, number: signal.Signals) -> None:
    """One or many: nothing of a file that is not complete."""
    almost, ended = threading.Event(), threading.Event()

    def respond(path: str) -> tuple[int, bytes]:
        if path == "/blob":
            return 200, b"x" * 100_000
        return 200, json.dumps({"storageType": "s3", "url": f"{script.root_url}/blob"}).encode()

    def wait(path: str) -> None:
        if path == "/blob":
            almost.set()
            ended.wait(30)

    script.respond, script.before_the_last_byte = respond, wait
    old = tmp_path / "old.txt"
    old.write_text("old", "utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "taskcluster_cli", "download", "artifact", TASK, "public/a", str(old)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert almost.wait(30)
        process.send_signal(number)
        status = process.wait(30)
        ended.set()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert status == 128 + number
    assert old.read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["old.txt"]
