"""The `taskcluster-worker` command, in this process. `test_lifecycle` sends signals to others."""

from __future__ import annotations

import logging

import pytest

from taskcluster_worker.cli import main


@pytest.fixture
def configured(monkeypatch, site):
    """The environment of the deployment; the command's own logging is not set up."""
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", site.local.root_url)
    monkeypatch.setenv("TASKCLUSTER_CLIENT_ID", site.local.credentials["clientId"])
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", site.local.credentials["accessToken"])
    return site


@pytest.mark.once
def test_runs_until_the_idle_timeout(configured, capsys, tmp_path):
    taskId = configured.create("true")
    options = [
        "--idle-timeout",
        "0.2",
        "--worker-group",
        "g",
        "--worker-id",
        "w",
        "--directory",
        str(tmp_path / "kept"),
    ]
    assert main(["run", "--task-queue", "proj/ci", "--root-url", configured.local.root_url, *options]) == 0
    assert configured.wait(taskId) == ("completed", "completed")
    notice = "g/w claims tasks of proj/ci, and runs them as processes of the worker's user, without isolation"
    assert notice in capsys.readouterr().out


def test_reports_errors(configured, capsys):
    assert main(["run", "--task-queue", "ci"]) == 1
    assert "taskcluster-worker: the task queue must be" in capsys.readouterr().err


def test_explains_itself(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    assert "--idle-timeout" in capsys.readouterr().out
