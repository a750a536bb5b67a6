"""Tests of the table of methods."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from taskcluster_local.api import Missing, Partial, Refused
from taskcluster_local.coverage import main, table
from taskcluster_local.deployment import Configuration, Deployment
from taskcluster_local.store import Store


def test_table_has_notes_of_handlers() -> None:
    store = Store()
    with TemporaryDirectory() as directory:
        api = Deployment(Configuration(), store, Path(directory), "http://localhost").api
    store.close()
    full = api.handlers["queue", "createTask"]
    assert not isinstance(full, Partial | Refused)
    api.handlers["queue", "status"] = Partial(full, "it forgets | at night")
    api.handlers["queue", "task"] = Refused("there are no tasks")
    lines = table(api).splitlines()
    assert "| `createTask` | full | |" in lines
    assert r"| `status` | partial | it forgets \| at night |" in lines
    assert "| `task` | refused | there are no tasks |" in lines
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == len(api.table.named)
    assert f"{len(rows)} methods: " in table(api)


def test_every_method_has_a_handler(site: Any) -> None:
    missing = [handler.reason for handler in site.deployment.api.handlers.values() if isinstance(handler, Missing)]
    assert not missing, "\n".join(missing)


def test_writes_and_compares_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "COVERAGE.md"
    assert main([str(file)]) == 0
    assert main([str(file), "--check"]) == 0
    assert capsys.readouterr().out == ""
    file.write_text(file.read_text("utf-8") + "more\n", "utf-8")
    assert main([str(file), "--check"]) == 1
    assert f"run `{sys.executable} -m taskcluster_local.coverage {file}`" in capsys.readouterr().out
    assert main([str(tmp_path / "missing"), "--check"]) == 1
