"""Make the pictures of the guide about the web page of the local deployment, from the pages of a real one in Chromium.

    python tools/page_pictures.py

Needs the packages local and worker, and Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import chromium

import taskcluster
from taskcluster.helper import wait_for_task
from taskcluster_local import LocalTaskcluster

__all__ = ["FOLDER", "pictures"]

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images" / "site"
QUEUE = "proj/linux"
GROUP = "fN1SbArXTPSVFNUvaOlinQ"
FAILED = "Vg3Z1hTbQXeI4m0cGQ1zDA"


class _Picture(NamedTuple):
    """A page, and how it is shown."""

    name: str
    path: str
    width: int = 1000
    height: int = 640
    dark: bool = False


_PICTURES = (
    _Picture("overview", "/"),
    _Picture("group", f"/tasks/groups/{GROUP}"),
    _Picture("task", f"/tasks/{FAILED}"),
    _Picture("log", f"/tasks/{FAILED}/runs/0/logs/public/logs/live_backing.log#L14-15", height=480, dark=True),
    _Picture("phone", f"/tasks/{FAILED}", width=390, height=640, dark=True),
)
_TEST = """\
collected 2 items
test_parse.py::test_dates PASSED
test_parse.py::test_zones FAILED
    assert zone("Europe/Kyiv") == "EET"
See https://docs.example.com/zones and dySoq0SQRkWu7V98BFEuCA."""
_TASKS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (GROUP, "decision", "echo created 4 tasks", ()),
    ("dySoq0SQRkWu7V98BFEuCA", "build-linux/opt", "echo compiled 214 files", (GROUP,)),
    (FAILED, "test-linux/opt", 'echo "$OUTPUT" | tee report.txt; exit 1', ("dySoq0SQRkWu7V98BFEuCA",)),
    ("B2xZ0Qm7SJ6cZzqU3nXW5g", "docs", "echo built 38 pages", (GROUP,)),
    ("Y6vQmC0pR9WJk3o1m7Yx8A", "package-linux/opt", "exec sleep 600", ("dySoq0SQRkWu7V98BFEuCA",)),
    ("KpXvN8d2Rs6mT4uYc1QbWw", "release", "echo released", (FAILED, "B2xZ0Qm7SJ6cZzqU3nXW5g")),
)
"""The ids, names, commands and dependencies of the tasks. The last one waits for one that failed."""


def _definition(local: LocalTaskcluster, name: str, command: str, dependencies: tuple[str, ...]) -> Any:
    now = local.now()
    artifact = {"type": "file", "path": "report.txt", "name": "public/report.txt", "optional": True}
    return {
        "taskQueueId": QUEUE,
        "schedulerId": "example",
        "taskGroupId": GROUP,
        "created": now,
        "deadline": taskcluster.fromNow("1 day", now),
        "dependencies": [*dependencies],
        "payload": {
            "command": [["sh", "-c", command]],
            "env": {"OUTPUT": _TEST},
            "maxRunTime": 3600,
            "artifacts": [artifact],
        },
        "metadata": {
            "name": name,
            "description": f"Runs {name} for each push.",
            "owner": "ann@example.com",
            "source": "https://git.example.com/parse/src/main/.taskcluster.yml",
        },
    }


def _build(local: LocalTaskcluster) -> None:
    queue = taskcluster.Queue(local.options())
    for task_id, name, command, dependencies in _TASKS:
        queue.createTask(task_id, _definition(local, name, command, dependencies))
        if name not in ("package-linux/opt", "release"):
            wait_for_task(queue, task_id)
    with local.listen(taskcluster.QueueEvents(local.options()).taskRunning()) as messages:
        while queue.status("Y6vQmC0pR9WJk3o1m7Yx8A")["status"]["state"] != "running":
            messages.get(timeout=60)


def pictures(browser: chromium.Browser) -> Iterator[tuple[str, bytes]]:
    """Yield the names of the pictures and their contents."""
    with tempfile.TemporaryDirectory() as directory:
        workers = {QUEUE: {"capacity": 1, "directory": directory, "worker_id": "laptop"}}
        with LocalTaskcluster(workers=workers) as local, browser.tab() as tab:
            _build(local)
            tab.go(local.sign_in_url())
            with tab.loading():
                tab.click("main button")
            for picture in _PICTURES:
                tab.resize(picture.width, picture.height, scale=1.5)
                tab.prefer(dark=picture.dark)
                tab.go(local.root_url + picture.path)
                tab.until("!document.querySelector('#live[data-stream]:not([data-state=on])')")
                yield picture.name, tab.screenshot("webp", 70)


def main() -> None:
    """Write the pictures."""
    path = chromium.program()
    if path is None:
        sys.exit(chromium.MISSING)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium.Browser(path) as browser:
        for name, content in pictures(browser):
            (FOLDER / f"{name}.webp").write_bytes(content)
            print(f"wrote {FOLDER / name}.webp, {len(content)} bytes")


if __name__ == "__main__":
    main()
