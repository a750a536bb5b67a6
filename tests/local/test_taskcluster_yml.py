"""This repository's `.taskcluster.yml`, rendered by the local deployment's GitHub service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import taskcluster
from taskcluster_local import LocalTaskcluster

ROOT = Path(__file__).resolve().parents[2]
MAIN = {"ref": "refs/heads/main"}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as deployment:
        yield deployment


def render(local: LocalTaskcluster, kind: str, action: str | None = None, **overrides: Any) -> list[dict[str, Any]]:
    """Return the tasks for an event."""
    event: Any = {"type": kind, "overrides": overrides, **({} if action is None else {"action": action})}
    body = (ROOT / ".taskcluster.yml").read_text("utf-8")
    with taskcluster.Github(local.options()) as github:
        rendered = github.renderTaskclusterYml({"body": body, "fakeEvent": event})
    return list(rendered["tasks"])


def jobs() -> list[tuple[str, str]]:
    """Return the environments and the Python of each job on GitHub, which tox.ini decides too."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    return [(row["tox"], row["python"]) for row in workflow["jobs"]["tox"]["strategy"]["matrix"]["include"]]


@pytest.mark.parametrize(
    ("kind", "action", "overrides"),
    [
        ("github-push", None, MAIN),
        ("github-pull-request", "opened", {}),
        ("github-pull-request", "synchronize", {}),
        ("github-pull-request", "reopened", {}),
    ],
)
def test_runs_every_job(local: LocalTaskcluster, kind: str, action: str | None, overrides: dict[str, Any]) -> None:
    rendered = render(local, kind, action, **overrides)
    payloads = [each["task"]["payload"] for each in rendered]
    assert [(payload["env"]["JOB"], payload["image"]) for payload in payloads] == [
        (tox, f"python:{python}-bookworm") for tox, python in jobs()
    ]
    assert {payload["env"]["REPOSITORY"].partition(":")[0] for payload in payloads} == {"https"}
    assert {len(payload["env"]["REVISION"]) for payload in payloads} == {40}
    with taskcluster.Queue(local.options()) as queue:
        for each in rendered:
            assert queue.createTask(each["taskId"], each["task"])["status"]["state"] == "pending"


@pytest.mark.parametrize(
    ("kind", "action", "overrides"),
    [
        ("github-push", None, {"ref": "refs/heads/other"}),
        ("github-push", None, {"ref": "refs/tags/v1"}),
        ("github-pull-request", "closed", {}),
        ("github-pull-request-untrusted", "opened", {}),
        ("github-release", "published", {}),
        ("github-issue-comment", "created", {}),
    ],
    ids=["other branch", "tag", "closed", "untrusted", "release", "comment"],
)
def test_runs_nothing(local: LocalTaskcluster, kind: str, action: str | None, overrides: dict[str, Any]) -> None:
    assert render(local, kind, action, **overrides) == []
