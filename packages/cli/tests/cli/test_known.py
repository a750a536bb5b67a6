"""Completion of ids and names: from a small private file that commands fill, and never from the network."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster_cli.known import names, save
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, definition
from .terminals import screen
from .world import build

Call = Callable[..., Done]
OTHER = "-ySoq0SQRkWu7V98BFEuCA"
LINES = [
    ("taskcluster task status fN", {TASK}),
    ("taskcluster task cancel ", {TASK, OTHER}),
    (f"taskcluster task cancel {TASK} ", {OTHER}),
    ("taskcluster log -f fN1", {TASK}),
    ("taskcluster download artifact f", {TASK}),
    ("taskcluster api queue status f", {TASK}),
    ("taskcluster task name index:project.test.l", {"index:project.test.latest"}),
    ("taskcluster group list ", {TASK}),
    ("taskcluster index find project.test.o", {"project.test.old"}),
    ("taskcluster secret get project/test/", {f"project/test/{name}" for name in ("a", "b", "old")}),
    ("taskcluster role show hook-id:", {"hook-id:test/hook"}),
    ("taskcluster client show project/test/", {"project/test/bot", "project/test/old"}),
    ("taskcluster hook show t", {"test/hook"}),
    ("taskcluster pool show proj/c", {"proj/ci"}),
    ("taskcluster pending ", {"proj/ci", "proj/old"}),
    ("taskcluster worker show proj/ci ", {"group/worker"}),
    ("taskcluster hook list ", set[str]()),
]


@pytest.fixture
def filled(local: LocalTaskcluster, call: Call, monkeypatch: pytest.MonkeyPatch) -> LocalTaskcluster:
    """A deployment that commands have listed and used."""
    monkeypatch.setenv("TASKCLUSTER_COMPLETION_CACHE", "on")
    build(local)
    queue: Any = taskcluster.Queue(local.options())
    queue.createTask(OTHER, definition(local, taskGroupId=TASK))
    for line in (
        f"group list {TASK} --json",
        "index list project.test",
        "secret list",
        "role list -q",
        "client list --jsonl",
        "hook list test",
        "pool list",
        "worker list proj/ci",
        "task name index:project.test.latest",
    ):
        assert call(*line.split()).status == 0, line
    return local


def file(home: Path) -> Path:
    return home / ".cache" / "taskcluster" / "completion.json"


@pytest.fixture
def complete(call: Call, monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """Complete a line as the script for zsh does, and return the words."""

    def complete(line: str, **environ: str) -> set[str]:
        *before, last = line.split(" ")
        with monkeypatch.context() as patch:
            patch.setenv("_TASKCLUSTER_COMPLETE", "zsh_complete")
            patch.setenv("COMP_WORDS", " ".join([*before, last] if last else before))
            patch.setenv("COMP_CWORD", str(len(before)))
            for name, value in environ.items():
                patch.setenv(name, value)
            done = call()
        assert (done.status, done.err) == (0, ""), line
        return set(done.out.splitlines()[1::3])

    return complete


def test_completion_prints_nothing_to_stderr(
    home: Path, call: Call, complete: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shells show it within the line that the user types."""
    folder = home / ".config" / "taskcluster"
    folder.mkdir(parents=True)
    profiles = folder / "profiles.yml"
    profiles.write_text("profiles: {a: {rootUrl: https://a.example.com}}\ndefault: a\n", "utf-8")
    profiles.chmod(0o644)
    save({}, {"https://a.example.com": {"task": [TASK]}})
    assert complete("taskcluster task status f") == {TASK}
    monkeypatch.setenv("TASKCLUSTER_DISABLE_PLUGINS", "queue")
    monkeypatch.setenv("_TASKCLUSTER_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "taskcluster --debug api queue p")
    monkeypatch.setenv("COMP_CWORD", "4")
    assert call() == Done(5, "", "")


def test_names_that_were_listed_or_used(
    filled: LocalTaskcluster, home: Path, complete: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With half a pair of credentials, and without a deployment that can be reached."""
    monkeypatch.delenv("TASKCLUSTER_ACCESS_TOKEN")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for line, expected in LINES:
        assert complete(line) == expected, line
    assert complete("taskcluster task cancel ", TASKCLUSTER_ROOT_URL="https://other.example.com") == set()
    line = f"taskcluster --root-url {filled.root_url} task cancel "
    assert complete(line, TASKCLUSTER_ROOT_URL="") == {TASK, OTHER}
    assert complete("taskcluster --profile none task cancel ") == set()
    assert complete("taskcluster task cancel ", TASKCLUSTER_COMPLETION_CACHE="off") == set()
    for text in ("{", "[]", '{"x": []}', '{"x": {"task": 1}}', "\udcff"):
        file(home).write_text(text, "utf-8", errors="surrogateescape")
        assert complete("taskcluster task cancel ") == set()


def test_deployment_of_the_profile_or_the_go_file(home: Path, call: Call, complete: Callable[..., set[str]]) -> None:
    for number in "ab":
        save({}, {f"https://{number}.example.com": {"pool": [f"p/{number}"]}})
    assert complete("taskcluster pool show ") == set()
    config = home / ".config" / "taskcluster.yml"
    config.parent.mkdir()
    config.write_text("config: {rootUrl: https://a.example.com, clientId: x, accessToken: y}", "utf-8")
    assert complete("taskcluster pool show ") == {"p/a"}
    assert call("--root-url", "https://b.example.com", "profile", "add", "b").status == 0
    assert complete("taskcluster pool show ") == {"p/b"}
    assert complete("taskcluster pool show ", TASKCLUSTER_ROOT_URL="https://a.example.com/") == {"p/a"}
    config.write_text("a: [", "utf-8")
    assert call("profile", "remove", "b").status == 0
    assert complete("taskcluster pool show ") == set()


@pytest.mark.once
def test_completion_of_names_imports_little(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what takes long: HTTP libraries, plugins, the keyring."""
    monkeypatch.setenv("TASKCLUSTER_ROOT_URL", "https://a.example.com")
    save({}, {"https://a.example.com": {"task": [TASK]}})
    program = (
        "import sys; from taskcluster_cli.main import main; main([]);"
        "print([name for name in ('requests', 'aiohttp', 'pluggy', 'rich', 'yaml', 'keyring', 'jsonschema') "
        "if name in sys.modules])"
    )
    environ = {"_TASKCLUSTER_COMPLETE": "zsh_complete", "COMP_WORDS": "taskcluster task cancel f", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environ}, capture_output=True, encoding="utf-8"
    )
    assert done.stdout == f"plain\n{TASK}\n_\n[]\n"


def test_file_is_private_and_holds_names_alone(
    filled: LocalTaskcluster, call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_token = filled.credentials["accessToken"]
    assert call("secret", "get", "project/test/a").out.count("hunter2") == 1
    assert call("api", "secrets", "get", "project/test/a", "--sign-url", "5min").status == 0
    assert call("client", "reset", "project/test/bot", "--yes").status == 0
    text = file(home).read_text("utf-8")
    for secret in (build_token, "hunter2", "bewit"):
        assert secret not in text
    assert stat.S_IMODE(file(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(file(home).parent.stat().st_mode) == 0o700
    assert [path.name for path in file(home).parent.iterdir()] == ["completion.json"]
    # What does not exist, what a shell would interpret, and what may be of another deployment is not kept.
    before = file(home).read_bytes()
    payload = ["-f", "secret.x=1", "-f", "expires=2099-01-01T00:00:00Z"]
    assert call("api", "secrets", "set", "$(touch x)", *payload).status == 0
    for line in (
        ["secret", "get", "hunter3"],
        ["secret", "get", "$(touch x)"],
        ["task", "name", f"{filled.root_url}/tasks/{TASK}"],
        ["task", "name", "fN1SbArXTPSVFNUvaOlinA"],
    ):
        call(*line)
    assert file(home).read_bytes() == before
    # Nor is anything if the user does not want it, or it cannot be written.
    monkeypatch.setenv("TASKCLUSTER_COMPLETION_CACHE", "off")
    assert call("secret", "get", "project/test/old").status == 0
    # Scripts store nothing by default.
    monkeypatch.delenv("TASKCLUSTER_COMPLETION_CACHE")
    assert call("secret", "get", "project/test/old").status == 0
    assert file(home).read_bytes() == before
    monkeypatch.setenv("TASKCLUSTER_COMPLETION_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    assert call("secret", "get", "project/test/old") == Done(0, call("secret", "get", "project/test/old").out, "")


@pytest.mark.once
def test_commands_on_a_terminal_fill_the_file(local: LocalTaskcluster, home: Path) -> None:
    build(local)
    assert screen("task", "status", TASK)[0] == 0
    assert json.loads(file(home).read_text("utf-8")) == {local.root_url: {"task": [TASK]}}


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff", b"{", b'[{}, 1, {"a": 1}]'], ids=["deep", "bytes", "cut", "list"]
)
def test_unreadable_file_is_replaced(local: LocalTaskcluster, home: Path, call: Call, content: bytes) -> None:
    folder = file(home).parent
    folder.mkdir(parents=True)
    file(home).write_bytes(content)
    assert names({}, local.root_url, "task") == []
    assert call("secret", "list") == Done(0, "", "")
    save({}, {local.root_url: {"task": [TASK]}})
    assert names({}, local.root_url, "task") == [TASK]


def test_file_stays_small(home: Path) -> None:
    environ: dict[str, str] = {}
    for number in range(12):
        save(environ, {f"https://{number}.example.com": {"pool": [f"p/{each}" for each in range(150)]}})
    save(environ, {"https://11.example.com": {"pool": ["p/new", "p/7"]}})
    save(environ, {"https://me:hunter2@example.com": {"pool": ["p/w"]}})
    found = json.loads(file(home).read_text("utf-8"))
    assert len(found) == 10
    assert "hunter2" not in str(found)
    kept = names(environ, "https://11.example.com", "pool")
    assert (kept[:4], len(kept)) == (["p/new", "p/7", "p/0", "p/1"], 100)
    assert names(environ, "https://0.example.com", "pool") == []
