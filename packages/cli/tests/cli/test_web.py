"""`--web`: the address of the page in a pipe, and a browser on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done
from .terminals import screen
from .world import build

PAGES = {
    f"task status {TASK}": f"tasks/{TASK}",
    f"task log {TASK}": f"tasks/{TASK}/runs/0/logs/public/logs/live.log",
    f"log {TASK} --name private/a%b": f"tasks/{TASK}/runs/0/logs/private/a%25b",
    f"group status {TASK}": f"tasks/groups/{TASK}",
    f"group show {TASK}": f"tasks/groups/{TASK}",
    "hook show test/a|b": "hooks/test/a%7Cb",
    "pool show proj/ci": "worker-manager/proj%2Fci",
    "worker show proj/ci group/worker": "provisioners/proj/worker-types/ci/workers/group/worker",
    "role show hook-id:test/*": "auth/roles/hook-id%3Atest%2F%2A",
    "client show mozilla-auth0/ad|x/y": "auth/clients/mozilla-auth0%2Fad%7Cx%2Fy",
    "secret get project/test/a": "secrets/project%2Ftest%2Fa",
    "index find project.test.latest": "tasks/index/project.test/latest",
}


def test_pages_have_their_addresses(local: LocalTaskcluster, call: Callable[..., Done]) -> None:
    build(local)
    for line, path in PAGES.items():
        assert call(*line.split(), "--web") == Done(0, f"{local.root_url}/{path}\n", ""), line
    assert call("pool", "show", "proj/ci", "--web", "--json").out == f'"{local.root_url}/worker-manager/proj%2Fci"\n'


@pytest.mark.once
def test_browser_is_opened_on_a_terminal(local: LocalTaskcluster, tmp_path: Path) -> None:
    script, opened = tmp_path / "browser", tmp_path / "opened"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n', "utf-8")
    script.chmod(0o755)
    page = f"{local.root_url}/hooks/test/hook"
    status, text = screen("hook", "show", "test/hook", "--web", BROWSER=f"{script} %s")
    assert (status, text) == (0, f"{page}\n")
    assert opened.read_text("utf-8") == page
