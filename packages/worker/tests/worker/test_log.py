"""The log of a task: any output of any size, and the lines of the worker."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from taskcluster.timestamps import parse_date
from taskcluster_worker import log_lines
from taskcluster_worker.log import TaskLog
from taskcluster_worker.plugins import Exit

from .conftest import LOG

DATE = parse_date("2026-01-25T23:31:13.787Z")


def test_lines_have_the_usual_form():
    assert log_lines.line("text", DATE) == "[taskcluster 2026-01-25T23:31:13.787Z] text\n"
    assert log_lines.line("text", DATE, "warn") == "[taskcluster:warn 2026-01-25T23:31:13.787Z] text\n"
    assert log_lines.line("a\nb", DATE, "error") == "[taskcluster:error] a\n[taskcluster:error] b\n"


def test_lines_after_a_command_show_how_it_ended():
    assert log_lines.exited(Exit(3, 1.5, 0.25), 2.0).splitlines() == [
        "   Exit Code: 3",
        "   User Time: 1.5s",
        " Kernel Time: 0.25s",
        "   Wall Time: 2s",
        "      Result: FAILED",
    ]
    assert "Exit Code: -1\n      Signal: 9\n" in log_lines.exited(Exit(-9), 1.0)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0314, "0.031s"), (61, "1m1s"), (3600, "1h0m0s"), (59.9999, "1m0s")], ids=str
)
def test_durations(seconds, shown):
    assert log_lines.duration(seconds) == shown


@pytest.fixture
def file() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(buffering=0) as file:
        yield file


def test_messages_start_on_a_new_line(file):
    log = TaskLog(file, lambda: DATE)
    log.write(b"no newline")
    log.line("message")
    log.close()
    log.write(b"late")
    file.seek(0)
    assert file.read() == b"no newline\n[taskcluster 2026-01-25T23:31:13.787Z] message\n"


def test_readers_follow_a_log_to_its_end(file):
    async def main() -> list[bytes]:
        log = TaskLog(file, lambda: DATE)

        async def read() -> bytes:
            return b"".join([chunk async for chunk in log.follow()])

        log.write(b"one ")
        readers = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0)
        log.write(b"two ")
        await asyncio.sleep(0)
        log.write(b"three")
        log.close()
        return await asyncio.gather(*readers, read())

    assert asyncio.run(main()) == [b"one two three"] * 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_remembered():
    with open("/dev/full", "wb", buffering=0) as file:
        log = TaskLog(file, lambda: DATE)
        log.write(b"lost")
        log.line("lost")
        log.close()
    assert "No space left" in str(log.error)


def test_the_file_is_closed_after_its_last_reader(file):
    log = TaskLog(file, lambda: DATE)
    with log.reading():
        log.release()
        assert not file.closed
    assert file.closed


@pytest.mark.once
def test_a_task_cannot_delete_or_replace_its_log(running):
    # More than fits into memory at once.
    script = """
        head -c 400000 /dev/zero | tr '\\0' x
        cd /
        parent=$(dirname $TASK_WORKDIR)
        ls $parent
        rm -rf $parent/*.log $parent
        mkdir $parent
        echo forged > $parent/task.log
        echo end
    """
    resolved, log = running.run(script)
    assert resolved == ("completed", "completed")
    assert f"{'x' * 400_000}task\nend\n" in log
    assert "Task Finished" in log
    assert "\nforged\n" not in log


@pytest.mark.once
def test_lines_of_a_task_are_in_the_usual_order(running):
    taskId = running.create("echo output")
    running.wait(taskId)
    log = running.log(taskId)
    expected = [
        "Worker metadata:",
        '"workerGroup": "python"',
        f"Task ID: {taskId}",
        "=== Task Starting ===",
        "Executing command 0: sh -c 'echo output'",
        "output",
        "Exit Code: 0",
        "User Time: ",
        "Kernel Time: ",
        "Wall Time: ",
        "Result: SUCCEEDED",
        "=== Task Finished ===",
        "Task Duration: ",
    ]
    places = [log.index(each) for each in expected]
    assert places == sorted(places)
    worker = re.compile(r"\[taskcluster \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] ")
    assert all(line == "output" or worker.match(line) for line in log.splitlines())


@pytest.mark.once
def test_any_bytes_are_kept(running):
    taskId = running.create(r"printf 'a\0b\377\376c\r\nd'")
    assert running.wait(taskId) == ("completed", "completed")
    assert b"\na\0b\xff\xfec\r\nd\n[taskcluster " in running.content(taskId, LOG)


@pytest.mark.once
def test_a_large_log_without_line_ends_is_kept(running):
    taskId = running.create("head -c 100000000 /dev/zero | tr '\\0' x")
    assert running.wait(taskId) == ("completed", "completed")
    assert running.content(taskId, LOG).count(b"x" * 100_000_000) == 1


@pytest.mark.once
def test_errors_and_output_are_one_stream(running):
    _, log = running.run("echo one; echo two >&2; echo three")
    assert "\none\ntwo\nthree\n" in log


@pytest.mark.once
def test_tasks_have_no_input_and_no_terminal(running):
    _, log = running.run("cat; test -t 0 || test -t 1 || test -t 2 || echo none")
    assert "\nnone\n" in log


@pytest.mark.once
def test_no_secret_of_the_worker_is_in_the_log_or_reachable(running):
    token = running.local.credentials["accessToken"]
    taskId = running.create("cat /proc/$PPID/environ /proc/self/environ; tr '\\0' '\\n' < /proc/$PPID/cmdline")
    running.wait(taskId)
    log = running.log(taskId)
    assert token not in log
    assert "accessToken" not in log
    assert "certificate" not in log


@pytest.mark.once
def test_a_full_disk_is_an_internal_error(site):
    # A limit of the size of files acts as a full disk. Only a process of its own can have one.
    taskId = site.create("head -c 3000000 /dev/zero")
    options = {"rootUrl": site.local.root_url, "credentials": site.local.credentials}
    code = (
        "import asyncio, json, sys, signal, taskcluster_worker\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "options = json.load(sys.stdin)\n"
        "asyncio.run(taskcluster_worker.Worker('proj/ci', options, idle_timeout=2, claim_interval=0.05).run())\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(options),
        encoding="utf-8",
        check=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert site.wait(taskId) == ("exception", "internal-error")
    assert len(site.content(taskId, LOG)) <= 1_000_000
