"""Tests of the fixtures, in separate runs of pytest."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

README = Path(__file__).parent.parent / "README.md"


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_mine.py").write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-v", *options, str(folder)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TASKCLUSTER_", "PYTEST"))}
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, cwd=folder, timeout=120)


def shown_in_the_readme() -> str:
    shown = re.search(r"<!-- test file -->\n```python\n(.*?)```\n<!-- /test file -->", README.read_text("utf-8"), re.S)
    assert shown is not None
    return shown[1]


def test_test_file_of_readme_passes(tmp_path: Path) -> None:
    done = run(tmp_path, shown_in_the_readme())
    assert done.returncode == 0, done.stdout
    assert "PASSED" in done.stdout


ONE_SERVER = """
import pytest, taskcluster

seen = set()


@pytest.mark.parametrize("number", range(20))
def test_each_starts_clean_on_one_server(number, taskcluster_local, taskcluster_options):
    with taskcluster.Secrets(taskcluster_options) as secrets:
        assert secrets.list() == {"secrets": []}
        secrets.set("a", {"secret": {}, "expires": taskcluster.fromNowJSON("1 hour")})
        taskcluster_local.advance(minutes=30)
    seen.add(taskcluster_local.root_url)
    assert len(seen) == 1
"""


def test_resets_server_for_each_test(tmp_path: Path) -> None:
    done = run(tmp_path, ONE_SERVER)
    assert done.returncode == 0, done.stdout
    assert "20 passed" in done.stdout


SESSION = """
import pytest, taskcluster
from taskcluster_local import LocalTaskcluster


@pytest.fixture(scope="session")
def taskcluster_local_server():
    with LocalTaskcluster(poll=0) as server:
        yield server


@pytest.fixture(scope="session")
def program(taskcluster_local_server):
    # Its options stay valid through resets.
    with taskcluster.Queue(taskcluster_local_server.options()) as queue:
        yield queue


@pytest.mark.parametrize("number", range(2))
def test_uses_program(number, program, taskcluster_local):
    assert program.listTaskQueues() == {"taskQueues": []}
    assert program.claimWork("p/w", {"workerGroup": "g", "workerId": "w"}) == {"tasks": []}
"""


def test_session_fixture_can_be_replaced(tmp_path: Path) -> None:
    done = run(tmp_path, SESSION)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_xdist_workers_have_own_servers(tmp_path: Path) -> None:
    done = run(tmp_path, ONE_SERVER, "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "20 passed" in done.stdout


CLIENTS = """
import asyncio, pytest, taskcluster
from taskcluster.exceptions import TaskclusterRestFailure


def test_scopes(taskcluster_client):
    root, reader = taskcluster_client("secrets"), taskcluster_client("secrets", scopes=["secrets:get:a"])
    root.set("a", {"secret": {"b": 1}, "expires": taskcluster.fromNowJSON("1 hour")})
    assert reader.get("a")["secret"] == {"b": 1}
    with pytest.raises(TaskclusterRestFailure):
        reader.remove("a")
    assert type(taskcluster_client("purge-cache")) is taskcluster.PurgeCache


def test_async(taskcluster_client):
    async def scenario():
        async with taskcluster_client.aio("secrets", scopes=["secrets:list-secrets"]) as secrets:
            assert await secrets.list() == {"secrets": []}
            with pytest.raises(TaskclusterRestFailure):
                await secrets.remove("a")

    asyncio.run(scenario())


def test_unknown(taskcluster_client):
    with pytest.raises(LookupError, match="quue"):
        taskcluster_client("quue")
"""


def test_creates_clients_with_scopes(tmp_path: Path) -> None:
    done = run(tmp_path, CLIENTS)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_unused_fixtures_load_no_server(tmp_path: Path) -> None:
    text = "import sys\n\n\ndef test_modules():\n    assert 'taskcluster_local.pytest_plugin' in sys.modules\n"
    text += "    assert not {'aiohttp', 'jsonschema', 'sqlite3', 'taskcluster_local.server'} & set(sys.modules)\n"
    done = run(tmp_path, text)
    assert done.returncode == 0, done.stdout
