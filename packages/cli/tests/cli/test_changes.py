"""Ctrl-C in the middle of many changes: nothing more is sent, and each item is named as done or not done."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .scripts import Script

pytestmark = pytest.mark.once

EVERYWHERE = """
import contextlib, io, signal, sys
from pathlib import Path
from taskcluster_cli import changes
from taskcluster_cli.app import App

is_beginning = is_over = False
runs = 0
while not is_over:
    left = runs

    def trace(frame, event, argument):
        global left, is_over
        if Path(frame.f_code.co_filename).name != "changes.py":
            return None
        if event == "line":
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    changed, printed = set(), []
    signal.signal(signal.SIGINT, signal.default_int_handler)
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        sys.settrace(trace)
        try:
            status = changes.change_all(
                App({}), range(12), changed.add, lambda item, _: printed.append(item), lambda item: f"item {item}"
            )
        except KeyboardInterrupt:
            status = "raised"
        finally:
            sys.settrace(None)
    lines = err.getvalue().splitlines()
    not_done = {int(line.rpartition(" ")[2]) for line in lines if line.startswith("not done: ")}
    is_over = left > 0
    if status == "raised":
        # Before anything was sent, or after everything was done.
        assert len(changed) in (0, 12), (runs, changed)
        assert len(printed) == len(changed), (runs, changed, printed)
    else:
        assert set(printed) == changed, (runs, printed, changed)
        assert len(printed) + len(not_done) == 12, (runs, printed, not_done)
        assert set(printed) | not_done == set(range(12)), (runs, printed, not_done)
        assert status == (0 if not not_done and is_over else status), (runs, status)
        if not_done:
            assert status == 130
            assert f"interrupted: {len(printed)} done, {len(not_done)} not done" in lines
    runs += 1
print(runs)
"""


def test_no_item_is_lost_wherever_the_signal_comes() -> None:
    """Send SIGINT before each line that the main thread executes in turn."""
    done = subprocess.run([sys.executable, "-c", EVERYWHERE], capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert int(done.stdout) > 50


def test_ctrl_c_names_what_was_done(local: LocalTaskcluster, script: Script) -> None:
    """Those under way are waited for, the others are not sent, and the exit status is 130."""
    ids = [taskcluster.slugId() for _ in range(30)]
    started: list[str] = []
    all_started, released = threading.Event(), threading.Event()
    lock = threading.Lock()

    def respond(path: str) -> tuple[int, bytes]:
        task_id = path.split("/")[-2]
        with lock:
            started.append(task_id)
            if len(started) == 8:
                all_started.set()
        assert released.wait(30)
        return 200, b'{"status": {"taskId": "%s", "state": "exception", "runs": []}}' % task_id.encode()

    script.respond = respond
    with subprocess.Popen(
        [sys.executable, "-m", "taskcluster_cli", "task", "cancel", *ids],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert all_started.wait(30)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "waiting for what is under way; Ctrl-C again ends at once\n"
        released.set()
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert sorted(started) == sorted(ids[:8])
    assert sorted(out.splitlines()) == sorted(f"{each}\texception" for each in ids[:8])
    assert err == "interrupted: 8 done, 22 not done\n" + "".join(f"not done: {each}\n" for each in ids[8:])


def test_second_ctrl_c_ends_at_once(local: LocalTaskcluster, script: Script) -> None:
    ids = [taskcluster.slugId() for _ in range(2)]
    started, released = threading.Event(), threading.Event()

    def respond(path: str) -> tuple[int, bytes]:
        started.set()
        released.wait(30)
        return 404, b"{}"

    script.respond = respond
    with subprocess.Popen(
        [sys.executable, "-m", "taskcluster_cli", "task", "cancel", *ids], stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        assert started.wait(30)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("waiting")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
        released.set()
