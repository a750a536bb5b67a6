"""Logs: their recent part, several at once, runs that are not the last, and what happens while they are followed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import taskcluster
from taskcluster_cli.commands import log as module
from taskcluster_cli.recent import recent, time_of
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, definition
from .scripts import Script
from .terminals import screen
from .world import add_artifacts, claim

Call = Callable[..., Done]
OTHER = "-ySoq0SQRkWu7V98BFEuCA"
LOG = "public/logs/live_backing.log"


def stamp(**ago: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def create(local: LocalTaskcluster, task_id: str = TASK) -> None:
    queue: Any = taskcluster.Queue(local.options())
    queue.createTask(task_id, definition(local))


def finish(local: LocalTaskcluster, log: bytes | str, *, task_id: str = TASK, state: str = "reportCompleted") -> None:
    """Run a task whose log is `log`."""
    worker = claim(local, task_id)
    run = len(worker.status(task_id)["status"]["runs"]) - 1
    add_artifacts(local, worker, task_id, {LOG: log if isinstance(log, bytes) else log.encode()}, run=run)
    getattr(worker, state)(task_id, run)


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("[taskcluster 2030-01-01T12:00:00.000Z] Task ID: x", "2030-01-01T12:00:00+00:00"),
        ("[task 2030-01-01 12:00:00.5Z] + ls", "2030-01-01T12:00:00.500000+00:00"),
        ("[mozharness: 2030-01-01 12:00:00.123456Z]", "2030-01-01T12:00:00.123456+00:00"),
        ("2030-01-01T12:00:00Z a", "2030-01-01T12:00:00+00:00"),
        # Local time, as Python's logging writes it.
        ("2030-01-01 12:00:00,123 INFO", None),
        ("[taskcluster 2030-13-01T12:00:00.000Z] no such month", None),
        ("[taskcluster:error] x", None),
        ("", None),
    ],
    ids=["worker", "task", "colon", "bare", "local", "impossible", "none", "empty"],
)
def test_line_with_its_time(line: str, time: str | None) -> None:
    found = time_of(line)
    assert (None if found is None else found.isoformat()) == time


def test_past_ends_when_the_log_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives later is printed, also with --tail 0, and without a time."""
    monkeypatch.setattr("taskcluster_cli.recent._PAUSE", 0.05)
    for tail, since, expected in [
        (0, None, []),
        (1, None, ["b"]),
        (None, datetime.now(timezone.utc), []),
    ]:
        printed = threading.Event()

        def lines(printed: threading.Event = printed, expected: list[str] = expected) -> Iterator[str]:
            yield from ("a", "b")
            # Longer than the pause, but the event comes at once if something of the past is to be printed.
            printed.wait(1 if not expected else 30)
            yield "c"

        found: list[str] = []
        for line in recent(lines(), tail, since, found.append):
            found.append(line)
            printed.set()
        assert found == [*expected, "c"]


def test_since_by_the_times_of_lines(call: Call, local: LocalTaskcluster) -> None:
    create(local)
    old, new = stamp(hours=3), stamp(minutes=5)
    finish(local, f"before\n[taskcluster {old}] old\nof old\n[taskcluster {new}] new\nof new\nlast\n")
    recently = f"[taskcluster {new}] new\nof new\nlast\n"
    assert call("log", TASK, "--since", "1h").out == recently
    assert call("log", TASK, "--since", "4 hours").out == f"[taskcluster {old}] old\nof old\n{recently}"
    assert call("log", TASK, "--since", "1h", "--tail", "1").out == "last\n"
    assert call("log", TASK, "--since", "1 min") == Done(0, "", "")
    assert call("log", TASK, "--since", "0 seconds") == Done(0, "", "")
    for wrong in ("lately", "3000 years", "9999 years"):
        assert call("log", TASK, "--since", wrong).status == 2
    other = taskcluster.slugId()
    create(local, other)
    finish(local, "a\nb\n", task_id=other)
    done = call("log", other, "--since", "1h")
    assert (done.status, done.out, "begins with a time" in done.err) == (0, "", True)


def test_previous_run(call: Call, local: LocalTaskcluster) -> None:
    create(local)
    finish(local, "one\n", state="reportFailed")
    done = call("log", TASK, "--previous")
    assert (done.status, "has one run" in done.err) == (4, True)
    taskcluster.Queue(local.options()).rerunTask(TASK)
    finish(local, "two\n")
    assert call("log", TASK).out == "two\n"
    assert call("log", TASK, "--previous").out == "one\n"
    assert call("log", TASK, "-p", "--follow") == Done(1, "one\n", f"{TASK} failed\n")
    assert call("log", TASK, "-p", "-r", "0").status == 2
    assert (
        call("log", TASK, "-r", "0", "--web").out == f"{local.root_url}/tasks/{TASK}/runs/0/logs/public/logs/live.log\n"
    )


def test_several_in_turn(call: Call, local: LocalTaskcluster) -> None:
    """A failure of one is named, and the others are printed."""
    for task_id, log in ((TASK, "a\nb"), (OTHER, "c\n")):
        create(local, task_id)
        finish(local, log, task_id=task_id)
    pending = taskcluster.slugId()
    create(local, pending)
    assert call("log", TASK, OTHER) == Done(0, "a\nb\nc\n", "")
    assert call("log", OTHER, TASK, "--prefix", "--tail", "1").out == f"[{OTHER}] c\n[{TASK}] b\n"
    done = call("log", TASK, pending, OTHER, "--jsonl", "--prefix", "--timestamps")
    documents = [json.loads(line) for line in done.out.splitlines()]
    assert [(each["taskId"], each["line"]) for each in documents] == [(TASK, "a"), (TASK, "b"), (OTHER, "c")]
    assert all(each["received"].endswith("Z") for each in documents)
    assert (done.status, f"{pending}: the task {pending} is pending" in done.err) == (1, True)


@pytest.mark.once
def test_several_are_followed_five_at_a_time(
    call: Call, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [taskcluster.slugId() for _ in range(7)]
    for number, task_id in enumerate(ids):
        create(local, task_id)
        finish(local, f"{task_id}\n", task_id=task_id, state="reportCompleted" if number < 5 else "reportFailed")
    begun: list[str] = []
    running: list[int] = []
    ended: list[str] = []
    all_running = threading.Barrier(5)
    lines = module._lines

    def counted(app: Any, task: Any, run: Any, view: Any) -> Iterator[str]:
        begun.append(task.id)
        running.append(len(begun) - len(ended))
        if task.id in ids[:5]:
            all_running.wait(30)
        yield from lines(app, task, run, view)
        ended.append(task.id)

    monkeypatch.setattr(module, "_lines", counted)
    done = call("log", "--follow", "--prefix", *ids)
    assert max(running) == 5
    assert sorted(done.out.splitlines()) == sorted(f"[{each}] {each}" for each in ids)
    assert sorted(done.err.splitlines()) == sorted(
        [f"{each} completed" for each in ids[:5]] + [f"{each} failed" for each in ids[5:]]
    )
    assert done.status == 1


def test_rerun_while_followed(call: Call, local: LocalTaskcluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is the task's."""
    create(local)
    finish(local, "one\n", state="reportFailed")
    lines = module._lines
    worker = threading.Thread(target=finish, args=(local, "two\n"))

    def and_rerun(*args: Any) -> Iterator[str]:
        yield from lines(*args)
        taskcluster.Queue(local.options()).rerunTask(TASK)
        worker.start()

    monkeypatch.setattr(module, "_lines", and_rerun)
    assert call("log", TASK, "--follow") == Done(0, "one\n", f"{TASK} completed\n")
    worker.join()


@pytest.mark.once
def test_log_that_appears_late(local: LocalTaskcluster) -> None:
    create(local)
    with subprocess.Popen(
        [sys.executable, "-m", "taskcluster_cli", "log", "--follow", TASK],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        worker = claim(local)
        add_artifacts(local, worker, TASK, {LOG: b"first\n"})
        worker.reportFailed(TASK, 0)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (1, "first\n", f"{TASK} failed\n")


LINES = b"first\nsecond line\n"


def storage(script: Script, blob: Callable[[], tuple[int, bytes]]) -> None:
    """Let a resolved task have a log that `blob` returns."""

    def respond(path: str) -> tuple[int, bytes]:
        if path == "/blob":
            return blob()
        run = {"runId": 0, "state": "completed", "reasonResolved": "completed"}
        document: dict[str, Any] = {"payload": {}}
        if path.endswith("/status"):
            document = {"status": {"taskId": TASK, "state": "completed", "runs": [run]}}
        elif "/artifact" in path:
            document = {"storageType": "s3", "url": f"{script.root_url}/blob"}
        return 200, json.dumps(document).encode()

    script.respond = respond


def test_connection_breaks_in_a_line(script: Script, call: Call) -> None:
    """Reading resumes, and no line is printed in part or twice."""
    parts = [LINES[:9], LINES]
    storage(script, lambda: (200, parts.pop(0)))
    script.headers = lambda path: {"Content-Length": str(len(LINES))} if path == "/blob" else {}
    done = call("log", TASK)
    assert (done.status, done.out) == (0, LINES.decode())
    assert parts == []


def test_refusal_of_the_storage_is_not_the_log(script: Script, call: Call) -> None:
    storage(script, lambda: (403, b"<Error>AccessDenied</Error>"))
    done = call("log", TASK)
    assert (done.status, done.out, "403" in done.err) == (3, "", True)


@pytest.mark.once
def test_log_on_a_terminal(local: LocalTaskcluster) -> None:
    """Neither control sequences nor what is overwritten, but colours, invalid UTF-8 and a long line."""
    create(local)
    finish(local, b"\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\n10%\r100%\r\n\xff\n" + b"x" * 100_000)
    status, text = screen("log", TASK)
    assert (status, text) == (0, "\x1b[31mred\x1b[0m\n100%\n\ufffd\n" + "x" * 100_000 + "\n")
