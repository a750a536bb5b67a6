"""Draw the terminal picture of the command's README and guide: a real session on a local deployment.

    python tools/terminal_picture.py

Needs the packages cli and local, and a system with pseudo-terminals.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

import taskcluster
from taskcluster import upload
from taskcluster_local import LocalTaskcluster

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "cli.svg"
COLUMNS = 92
GROUP = "fN1SbArXTPSVFNUvaOlinQ"
FAILED = "Vg3Z1hTbQXeI4m0cGQ1zDA"
SESSION = (
    f"taskcluster group list {GROUP}",
    f"taskcluster log {FAILED} --tail 2",
    f"taskcluster task rerun {FAILED}",
    f"taskcluster group list {GROUP} --failed --quiet | wc -l",
    "taskcluster task statsu x",
)
"""What is typed."""
_LOG = b"test_parse.py::test_dates PASSED\n\x1b[31mtest_parse.py::test_zones FAILED\x1b[0m\n"
_TASKS = (
    (GROUP, "decision", "completed"),
    (FAILED, "test-linux/opt", "failed"),
    ("dySoq0SQRkWu7V98BFEuCA", "build-linux/opt", ""),
)


def _build(local: LocalTaskcluster) -> None:
    queue, now = taskcluster.Queue(local.options()), local.now()
    for task_id, name, result in _TASKS:
        definition: dict[str, Any] = {
            "taskQueueId": "proj/ci",
            "taskGroupId": GROUP,
            "created": now,
            "deadline": taskcluster.fromNow("1 hour", now),
            "expires": taskcluster.fromNow("1 day", now),
            "payload": {},
            "metadata": {"name": name, "description": "", "owner": "o@example.com", "source": "https://example.com"},
        }
        queue.createTask(task_id, definition)  # type: ignore[arg-type]
        if not result:
            continue
        claim = queue.claimTask(task_id, 0, {"workerGroup": "g", "workerId": "w"})
        worker = taskcluster.Queue({**local.options(), "credentials": claim["credentials"]})
        upload.uploadArtifactFromBuf(
            taskId=task_id,
            runId=0,
            name="public/logs/live_backing.log",
            contentType="text/plain",
            expires=definition["expires"],
            data=_LOG,
            queueService=worker,
        )
        (worker.reportCompleted if result == "completed" else worker.reportFailed)(task_id, 0)


def _typed(line: str, environ: Mapping[str, str]) -> str:
    """Run a line in a shell on a terminal, and return its output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    with subprocess.Popen(
        ["sh", "-c", line], stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environ), start_new_session=True
    ):
        os.close(theirs)
        printed = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                # Linux reports the end of a terminal as an error.
                break
            if not data:
                break
            printed += data
    os.close(ours)
    return printed.decode("utf-8").replace("\r\n", "\n")


def picture() -> str:
    """Run the session and return it as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    with LocalTaskcluster() as local, tempfile.TemporaryDirectory() as folder:
        _build(local)
        script = Path(folder, "taskcluster")
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m taskcluster_cli "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKCLUSTER_", "NO_COLOR"))}
        environ = {
            **kept,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": folder,
            "TERM": "xterm-256color",
            "TASKCLUSTER_ROOT_URL": local.root_url,
            "TASKCLUSTER_CLIENT_ID": local.credentials["clientId"],
            "TASKCLUSTER_ACCESS_TOKEN": local.credentials["accessToken"],
        }
        for line in SESSION:
            console.print(Text.assemble(("$ ", "bold green"), line))
            console.print(Text.from_ansi(_typed(line, environ)))
    return console.export_svg(title="taskcluster", unique_id="taskcluster")


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(f"wrote {PICTURE}")
