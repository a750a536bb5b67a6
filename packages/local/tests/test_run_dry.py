"""Tests of `taskcluster-local run --dry-run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskcluster_local.cli import main

from .checkouts import GitCheckout

METADATA = {"name": "build", "description": "d", "owner": "o@example.com", "source": "https://example.com"}


def task(name: str, **more: Any) -> dict[str, Any]:
    return {
        "taskQueueId": "proj/ci",
        "created": {"$fromNow": ""},
        "deadline": {"$fromNow": "1 hour"},
        "metadata": {**METADATA, "name": name},
        "payload": {"command": [["true"]], "maxRunTime": 60},
        **more,
    }


BUILD, TEST, LINT = (
    task("build", taskId={"$eval": "as_slugid('build')"}),
    task("test", dependencies=[{"$eval": "as_slugid('build')"}]),
    task("lint"),
)
FILE = {"version": 1, "tasks": [BUILD, TEST, LINT]}


@pytest.fixture
def checkout(tmp_path: Path) -> GitCheckout:
    made = GitCheckout(tmp_path / "project", origin="https://github.com/org/repo.git")
    made.commit("Build it", _taskcluster_yml=FILE)
    return made


def dry_run(
    capsys: pytest.CaptureFixture[str], checkout: GitCheckout, *arguments: str
) -> tuple[dict[str, Any], str, str]:
    """Return the printed document, the printed text and the notes of a successful run."""
    assert main(["run", str(checkout.path), "--dry-run", *arguments]) == 0
    printed = capsys.readouterr()
    return yaml.safe_load(printed.out), printed.out, printed.err


def names(document: dict[str, Any]) -> list[str]:
    return [each["task"]["metadata"]["name"] for each in document["tasks"]]


def test_prints_tasks(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    document, text, notes = dry_run(capsys, checkout)
    assert names(document) == ["build", "lint", "test"]
    build, _, test = document["tasks"]
    assert test["task"]["dependencies"] == [build["taskId"]]
    assert "&id" not in text
    assert notes == f"# org/repo: github-push, main at {checkout.head[:12]} (Build it)\n"


def test_works_in_subdirectory_and_current_directory(
    capsys: pytest.CaptureFixture[str], checkout: GitCheckout, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout.path / "below").mkdir()
    monkeypatch.chdir(checkout.path / "below")
    assert main(["run", "--dry-run"]) == 0
    assert names(yaml.safe_load(capsys.readouterr().out)) == ["build", "lint", "test"]


def test_selects_tasks_with_dependencies(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    document, _, _ = dry_run(capsys, checkout, "--task", "te*")
    assert names(document) == ["build", "test"]


def test_version_0(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    old = {
        "version": 0,
        "metadata": METADATA,
        "tasks": [
            {
                "metadata": METADATA,
                "payload": {"image": "node", "command": ["{{ event.head.repo.url }}", "{{ event.head.sha }}"]},
                "extra": {"github": {"events": ["push"]}},
            }
        ],
    }
    checkout.commit(_taskcluster_yml=old)
    document, _, _ = dry_run(capsys, checkout)
    assert document["tasks"][0]["task"]["payload"]["command"] == ["https://github.com/org/repo.git", checkout.head]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "github-push refs/heads/main"),
        (["--branch", "other"], "github-push refs/heads/other"),
        (["--event", "tag", "--branch", "v1"], "github-push refs/tags/v1"),
        (["--event", "pull_request"], "github-pull-request "),
        (["--event", "release", "--branch", "v1"], "github-release "),
        (["--event", "cron"], "cron "),
        (["--set", "tasks_for=action"], "action refs/heads/main"),
        (["--set", "event.ref='yes'"], "github-push yes"),
    ],
    ids=["push", "branch", "tag", "pull request", "release", "cron", "tasks_for", "value"],
)
def test_events(capsys: pytest.CaptureFixture[str], checkout: GitCheckout, arguments: list[str], expected: str) -> None:
    description = {"$if": "'ref' in event", "then": "${tasks_for} ${event.ref}", "else": "${tasks_for} "}
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": [task("a", extra={"for": description})]})
    document, _, _ = dry_run(capsys, checkout, *arguments)
    assert document["tasks"][0]["task"]["extra"]["for"] == expected


def test_base_of_pull_request(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    shown = "${event.pull_request.base.ref} ${event.pull_request.base.sha}"
    main_commit = checkout.commit(_taskcluster_yml={"version": 1, "tasks": [task("a", extra={"base": shown})]})
    checkout.git("branch", "stable")
    checkout.git("checkout", "--quiet", "-b", "topic")
    middle = checkout.commit("More")
    checkout.commit("Most")
    for arguments, expected in (
        ([], f"main {main_commit}"),
        (["--base", "stable"], f"stable {main_commit}"),
        (["--base", middle], f"main {middle}"),
        (["--branch", "main"], f"main {main_commit}"),
    ):
        document, _, _ = dry_run(capsys, checkout, "--event", "pull_request", *arguments)
        assert document["tasks"][0]["task"]["extra"]["base"] == expected


def test_pull_request_of_default_branch(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    shown = "${event.pull_request.base.sha}"
    parent = checkout.head
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": [task("a", extra={"base": shown})]})
    document, _, _ = dry_run(capsys, checkout, "--event", "pull_request")
    assert document["tasks"][0]["task"]["extra"]["base"] == parent


def test_event_file(capsys: pytest.CaptureFixture[str], checkout: GitCheckout, tmp_path: Path) -> None:
    first = checkout.head
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": []})
    recorded = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": first,
        "sender": {"login": "ann"},
        "installation": {"id": 1},
        "repository": {"name": "r", "owner": {"login": "o"}, "clone_url": "https://example.com/o/r.git"},
    }
    path = tmp_path / "event.json"
    path.write_text(json.dumps(recorded), "utf-8")
    document, _, notes = dry_run(capsys, checkout, "--event-file", str(path))
    assert names(document) == ["build", "lint", "test"]
    assert notes == f"# o/r: github-push, main at {first[:12]} (Build it)\n"


def test_uncommitted_changes(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    checkout.write(".taskcluster.yml", {"version": 1, "tasks": [task("changed")]})
    document, _, notes = dry_run(capsys, checkout)
    assert names(document) == ["build", "lint", "test"]
    assert "# uncommitted changes are not included: commit them, or use --dirty\n" in notes
    document, _, notes = dry_run(capsys, checkout, "--dirty")
    assert names(document) == ["changed"]
    assert notes.endswith("(Uncommitted changes)\n")
    assert notes.count("\n") == 1


def test_notes_that_ci_would_skip(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    checkout.commit("Words [skip ci]")
    _, _, notes = dry_run(capsys, checkout)
    assert "a real deployment would create no tasks" in notes


def test_prints_hooks_and_long_strings(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    script = "set -e\nmake" + " all" * 40 + "\n"
    checkout.commit(
        _taskcluster_yml={
            "version": 1,
            "tasks": [task("a", payload={"script": script})],
            "hooks": [{"name": "group/hook", "context": {"key": "value"}}],
        }
    )
    document, text, _ = dry_run(capsys, checkout)
    assert document["tasks"][0]["task"]["payload"]["script"] == script
    assert "script: |\n" in text
    [hook] = document["hooks"]
    assert (hook["hookGroupId"], hook["hookId"], hook["payload"]["key"]) == ("group", "hook", "value")


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ({"version": 2}, [], "`version` of .taskcluster.yml must be 0 or 1"),
        ({"version": 1, "tasks": [{"$eval": "missing"}]}, [], "cannot be rendered"),
        ({"version": 1, "tasks": []}, [], "has no tasks for this event (github-push, refs/heads/main)"),
        (FILE, ["--task", "tset"], "no task matches --task tset; the tasks are build, lint, test; did you mean"),
        (FILE, ["--base", "nothing"], "no commit, branch or tag 'nothing'"),
        (FILE, ["--event", "tag"], "no tag points to the commit"),
        (FILE, ["--event-file", "missing.json"], "missing.json: No such file"),
        (FILE, ["--event-file", "text.json"], "text.json is not JSON"),
        (FILE, ["--event-file", "list.json"], "list.json is not an event"),
        (FILE, ["--event-file", "list.json", "--dirty"], "omit --dirty"),
    ],
    ids=[
        "version", "template", "no tasks", "no match", "base", "tag", "no file", "no JSON", "no event", "two events",
    ],
)  # fmt: skip
def test_invalid_input(
    capsys: pytest.CaptureFixture[str],
    checkout: GitCheckout,
    monkeypatch: pytest.MonkeyPatch,
    content: Any,
    arguments: list[str],
    message: str,
) -> None:
    checkout.write("text.json", "nothing")
    checkout.write("list.json", "[]")
    checkout.commit(_taskcluster_yml=content)
    monkeypatch.chdir(checkout.path)
    assert main(["run", "--dry-run", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_file_must_be_committed(capsys: pytest.CaptureFixture[str], checkout: GitCheckout) -> None:
    checkout.git("rm", "--quiet", "--cached", ".taskcluster.yml")
    checkout.git("commit", "--quiet", "--message", "Remove it")
    assert main(["run", str(checkout.path), "--dry-run"]) == 2
    assert "It is not committed: commit it, or use --dirty" in capsys.readouterr().err
    (checkout.path / ".taskcluster.yml").unlink()
    assert main(["run", str(checkout.path), "--dry-run"]) == 2
    assert "has no .taskcluster.yml" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["event", "=1", "a..b=1", "event.a=["])
def test_invalid_settings(capsys: pytest.CaptureFixture[str], checkout: GitCheckout, value: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", str(checkout.path), "--dry-run", "--set", value])
    assert caught.value.code == 2
    assert "--set" in capsys.readouterr().err
