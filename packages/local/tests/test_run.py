"""Tests of `taskcluster-local run` as a process that runs tasks of git checkouts."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import taskcluster
from taskcluster.download import getArtifactContent
from taskcluster_local import LocalTaskcluster
from taskcluster_local.cli import main

from .checkouts import ENVIRONMENT, GitCheckout

pytestmark = pytest.mark.once

COMMAND = [
    *(sys.executable, "-W", "error", "-c", "import sys; from taskcluster_local.cli import main; sys.exit(main())"),
    "run",
]
CLONE = "git clone --quiet ${event.repository.clone_url} src && cd src"

Run = Callable[..., "Done"]


def task(name: str, *commands: str, needs: tuple[str, ...] = (), queue: str = "proj/ci", **more: Any) -> dict[str, Any]:
    """Return a task that runs shell commands. Other tasks can depend on it by its name."""
    payload = {
        "command": [["sh", "-c", command] for command in commands or ("true",)],
        "maxRunTime": 60,
        **more.pop("payload", {}),
    }
    return {
        "taskId": {"$eval": f"as_slugid('{name}')"},
        "taskQueueId": queue,
        "created": {"$fromNow": ""},
        "deadline": {"$fromNow": "1 hour"},
        "dependencies": [{"$eval": f"as_slugid('{each}')"} for each in needs],
        "metadata": {"name": name, "description": "", "owner": "o@example.com", "source": "https://example.com"},
        "payload": payload,
        **more,
    }


@pytest.fixture
def checkout(tmp_path: Path) -> GitCheckout:
    return GitCheckout(tmp_path / "project", origin="git@github.com:org/repo.git")


class Done(NamedTuple):
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(checkout: GitCheckout, capsys: pytest.CaptureFixture[str]) -> Run:
    """Commit tasks, and run them."""

    def run(tasks: list[dict[str, Any]] | None, *arguments: str, hooks: Any = (), **files: Any) -> Done:
        if tasks is not None:
            checkout.commit(_taskcluster_yml={"version": 1, "tasks": tasks, "hooks": [*hooks]}, **files)
        capsys.readouterr()
        status = main(["run", str(checkout.path), *arguments])
        return Done(status, *capsys.readouterr())

    return run


def states(done: Done) -> dict[str, str]:
    """Return how tasks ended, by name."""
    lines = [
        line[2:].split(": ", 1) for line in done.stdout.splitlines() if line[:1] in ("✓", "✗", "-") and ": " in line
    ]
    return {name: ended.partition(" after")[0] for name, ended in lines}


def test_runs_tasks_in_order(run: Run, checkout: GitCheckout) -> None:
    done = run([task("build"), task("test", needs=("build",)), task("lint", queue="proj/other")])
    assert (done.returncode, done.stderr) == (0, "")
    first, note, *lines = done.stdout.splitlines()
    assert first == f"org/repo: github-push, main at {checkout.head[:12]} (Change)"
    assert note.startswith("note: tasks run commands on this machine")
    assert states(done) == {"build": "completed", "test": "completed", "lint": "completed"}
    assert lines.index("▸ build: running") < lines.index("▸ test: running")
    assert lines[-1] == "3 completed"


def test_shows_log_of_failures(run: Run) -> None:
    done = run([task("build", "echo a reason; exit 3"), task("test", needs=("build",)), task("lint")])
    assert done.returncode == 1
    assert states(done) == {
        "build": "failed",
        "test": "not run: a dependency was not completed",
        "lint": "completed",
    }
    assert "\na reason\n" in done.stdout
    assert done.stdout.endswith("1 completed, 1 failed, 1 blocked\n")


def test_clones_exactly_the_commit(run: Run, checkout: GitCheckout) -> None:
    urls = ("${event.repository.html_url}", "${event.repository.ssh_url}", "git@github.com:org/repo.git")
    script = "\n".join(
        [
            "set -e",
            "git clone --quiet --depth=1 ${event.repository.clone_url} src",
            'test "$(git -C src rev-parse HEAD)" = ${event.after}',
            "test -f src/.git/shallow",
            *(f'test "$(git ls-remote {url} refs/heads/main | cut -f1)" = ${{event.after}}' for url in urls),
            "cat src/file",
        ]
    )
    before = checkout.state
    done = run([task("clone", script)], file="committed\n")
    assert (states(done), done.returncode) == ({"clone": "completed"}, 0)
    checkout.write("file", "changed\n")
    kept = before()
    done = run(None, "--dirty", "--artifacts", str(checkout.path.parent / "artifacts"))
    assert states(done) == {"clone": "completed"}
    assert before() == kept
    log = (checkout.path.parent / "artifacts" / "clone" / "public" / "logs" / "live_backing.log").read_text("utf-8")
    assert "\nchanged\n" in log


def test_pull_request_has_its_references(run: Run, checkout: GitCheckout) -> None:
    checkout.commit("Base")
    checkout.git("branch", "stable")
    script = "\n".join(
        [
            "set -e",
            "git clone --quiet ${event.pull_request.head.repo.clone_url} src",
            "cd src",
            "git fetch --quiet origin refs/pull/${event.number}/head",
            'test "$(git rev-parse FETCH_HEAD)" = ${event.pull_request.head.sha}',
            'test "$(git rev-parse origin/stable)" = ${event.pull_request.base.sha}',
        ]
    )
    done = run([task("clone", script)], "--event", "pull_request", "--base", "stable")
    assert (states(done), done.returncode) == ({"clone": "completed"}, 0)


def test_selects_tasks(run: Run) -> None:
    done = run([task("build"), task("test", needs=("build",)), task("lint", "false")], "--task", "t*")
    assert (states(done), done.returncode) == ({"build": "completed", "test": "completed"}, 0)


def test_sets_variables(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "from here")
    script = 'test "$GIVEN/$HERE/$OWN" = "a=b/from here/own"'
    done = run(
        [task("a", script, payload={"env": {"OWN": "own"}})],
        *("--env", "GIVEN=a=b", "--env", "HERE", "--env", "OWN=overridden"),
    )
    assert states(done) == {"a": "completed"}


def test_keeps_data_and_artifacts(run: Run, tmp_path: Path) -> None:
    artifacts = [
        {"type": "directory", "path": "out", "name": "public/out"},
        {"type": "file", "path": "missing", "name": "public/missing", "optional": True},
    ]
    tasks = [
        task("a/b ü", "mkdir out; echo x > out/x", payload={"artifacts": artifacts}, routes=["index.project.x"]),
        {**task("a/b ü"), "taskId": {"$eval": "as_slugid('2')"}},
    ]
    done = run(tasks, "--keep", str(tmp_path / "kept"), "--artifacts", str(tmp_path / "saved"))
    assert done.returncode == 0
    saved = sorted(path.relative_to(tmp_path / "saved").as_posix() for path in (tmp_path / "saved").rglob("*.log"))
    assert len(saved) == 4
    assert saved[-1] == "a-b-ü/public/logs/live_backing.log"
    assert (tmp_path / "saved" / "a-b-ü" / "public" / "out" / "x").read_text("utf-8") == "x\n"
    assert done.stdout.endswith(f"to look at the data, run: taskcluster-local serve --data {tmp_path / 'kept'}\n")
    with LocalTaskcluster(tmp_path / "kept") as local, taskcluster.Index(local.options()) as index:
        content = getArtifactContent(
            "project.x", "public/out/x", queueService=taskcluster.Queue(local.options()), indexService=index
        )
        assert content.text() == "x\n"
    again = run([task("a")], "--keep", str(tmp_path / "kept"))
    assert again.returncode == 2
    assert "must be new or empty" in again.stderr


def test_lists_artifacts_that_cannot_be_saved(run: Run, tmp_path: Path) -> None:
    artifacts = [{"type": "file", "path": "x", "name": f"public/{name}"} for name in ("a", "a/b", "c")]
    done = run([task("a", "echo x > x", payload={"artifacts": artifacts})], "--artifacts", str(tmp_path / "saved"))
    assert done.returncode == 0
    listed = [line for line in done.stdout.splitlines() if line.startswith("note: not saved: ")]
    assert [line.partition(": cannot")[0] for line in listed] == ["note: not saved: public/a/b of a"]
    for name in ("a", "c"):
        assert (tmp_path / "saved" / "a" / "public" / name).read_text("utf-8") == "x\n"


def test_provides_what_files_have(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secrets.yml").write_text("project/x: {token: hunter2}\n", "utf-8")
    (tmp_path / "load.yml").write_text(
        """\
roles:
  hook-id:project/hook: {scopes: ['queue:create-task:*', 'queue:scheduler-id:*']}
hooks:
  project/hook:
    metadata: {name: n, description: d, owner: o@example.com}
    triggerSchema: {type: object}
    schedule: []
    task:
      taskQueueId: built-in/succeed
      created: {$fromNow: ''}
      deadline: {$fromNow: 1 hour}
      payload: {}
      metadata: {name: from a hook, description: d, owner: o@example.com, source: https://example.com}
tasks:
  loaded:
    taskQueueId: proj/ci
    payload: {command: [["true"]], maxRunTime: 60}
    metadata: {name: loaded, description: d, owner: o@example.com, source: https://example.com}
""",
        "utf-8",
    )
    program = (
        "import taskcluster\n"
        "secrets = taskcluster.Secrets(taskcluster.resolve_options().options)\n"
        'print(secrets.get("project/x")["secret"]["token"][::-1])\n'
    )
    read = task(
        "read",
        f"{CLONE} && {sys.executable} read.py",
        scopes=["secrets:get:project/x"],
        payload={"features": {"taskclusterProxy": True}},
    )
    arguments = ("--secret", str(tmp_path / "secrets.yml"), "--load", str(tmp_path / "load.yml"))
    hooks = [{"name": "project/hook"}]
    done = run([read], *arguments, "--artifacts", str(tmp_path / "saved"), hooks=hooks, read_py=program)
    assert states(done) == {"read": "completed", "from a hook": "completed", "loaded": "completed"}
    log = (tmp_path / "saved" / "read" / "public" / "logs" / "live_backing.log").read_text("utf-8")
    assert "\n2retnuh\n" in log


def test_hooks_must_be_provided(run: Run) -> None:
    done = run([task("a")], hooks=[{"name": "project/hook"}])
    assert done.returncode == 2
    assert "the hook project/hook cannot be triggered; provide it with --load" in done.stderr


def test_scopes_come_from_loaded_roles(run: Run, tmp_path: Path) -> None:
    roles = tmp_path / "roles.yml"
    roles.write_text("roles:\n  'repo:github.com/org/repo:*': {scopes: ['queue:create-task:*']}\n", "utf-8")
    done = run([task("a", scopes=["secrets:get:x"])], "--load", str(roles))
    assert done.returncode == 2
    assert "the queue rejects the task 'a'" in done.stderr
    assert "secrets:get:x" in done.stderr


def test_lists_unavailable_features_first(run: Run) -> None:
    indexed = {"file": "a", "content": {"namespace": "project.a", "artifact": "public/a"}}
    tasks = [
        task("image", payload={"image": "debian:12", "command": ["true"]}),
        task("key", payload={"maxRuntime": 3}),
        task("feature", payload={"features": {"chainOfTrust": True}}),
        task("index", payload={"mounts": [indexed]}),
        task("fine"),
    ]
    done = run(tasks, "--executor", "host")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    listed = [line.removeprefix("not available: payload: ") for line in lines if line.startswith("not available: ")]
    assert lines.index("not available: payload: " + listed[-1]) < min(
        lines.index(line) for line in lines if line.startswith("▸")
    )
    for problem, needed_by in {
        "image needs the executor container": "image",
        "maxRuntime": "key",
        "the feature chainOfTrust is not supported": "feature",
        "mounts: none of these tasks is indexed as project.a": "index",
    }.items():
        assert any(problem in line and line.endswith(f"(needed by {needed_by})") for line in listed)
    malformed = "exception (malformed-payload)"
    assert states(done) == {
        "image": malformed,
        "key": malformed,
        "feature": malformed,
        "index": "failed",
        "fine": "completed",
    }


def test_runs_docker_worker_payloads_on_host(run: Run) -> None:
    payload = {"image": "debian:12", "command": ["sh", "-c", "true"], "maxRunTime": 60}
    done = run([{**task("a"), "payload": payload}], "--host")
    assert "note: tasks that name an image run without it (--host)\n" in done.stdout
    assert (states(done), done.returncode) == ({"a": "completed"}, 0)


def test_runs_at_most_jobs_at_a_time(run: Run, tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/lock && sleep 0.2 && rmdir {tmp_path}/lock"
    tasks = [task(f"{number}", script, queue=f"proj/q{number % 2}") for number in range(4)]
    done = run(tasks, "--jobs", "1")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--executor", "hots"], "no executor 'hots'; did you mean 'host'"),
        (["--artifacts", "FILE"], "--artifacts"),
        (["--keep", "FILE"], "--keep"),
        (["--secret", "FILE"], "FILE"),
        (["--secret", "missing.yml"], "missing.yml: No such file"),
        (["--load", "FILE"], "FILE"),
    ],
    ids=["executor", "artifacts", "keep", "secret", "no secret", "load"],
)
def test_rejects_invalid_arguments(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    file = tmp_path / "file.yml"
    file.write_text("a list:\n", "utf-8")
    given = [argument.replace("FILE", str(file)) for argument in arguments]
    done = run([task("a")], *given)
    assert done.returncode == 2
    assert message.replace("FILE", str(file)) in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--jobs", "0"], ["--env", "=x"], ["--env", "NOT_SET_HERE"], ["--host", "--executor", "host"]],
    ids=["jobs", "no name", "not set", "both"],
)
def test_rejects_invalid_values(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run([task("a")], *arguments)
    assert caught.value.code == 2


def test_needs_a_worker(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("taskcluster_worker", "taskcluster_local.run."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "taskcluster_worker", None)
    done = run([task("a")])
    assert done.returncode == 2
    assert "running tasks needs a worker: install taskcluster-worker" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_cancels_tasks(checkout: GitCheckout, tmp_path: Path, number: signal.Signals) -> None:
    os.mkfifo(tmp_path / "begun")
    script = f"sleep 600 & echo $! > {tmp_path}/begun; wait"
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": [task("a", script), task("b", needs=("a",))]})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [*COMMAND, str(checkout.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**ENVIRONMENT, "TMPDIR": str(temporary)},
    ) as process:
        try:
            child = int((tmp_path / "begun").read_text("utf-8"))
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (1, "")
    assert "interrupted: cancelling the tasks" in output
    assert "✗ a: exception (canceled)" in output
    assert not Path(f"/proc/{child}").exists()
    assert list(temporary.iterdir()) == []


def test_second_interruption_ends_at_once(checkout: GitCheckout, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": [task("a", f"echo > {tmp_path}/begun; sleep 600")]})
    with subprocess.Popen(
        [*COMMAND, str(checkout.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
    ) as process:
        try:
            (tmp_path / "begun").read_text("utf-8")
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1


def test_tree_on_a_terminal(checkout: GitCheckout) -> None:
    checkout.commit(_taskcluster_yml={"version": 1, "tasks": [task("a"), task("b", needs=("a",))]})
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, str(checkout.path)],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**ENVIRONMENT, "TERM": "xterm", "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                # The other end is closed.
                break
            shown += data
        assert process.wait(60) == 0
    os.close(ours)
    last = shown.decode("utf-8").rpartition("\x1b[J")[2].splitlines()
    assert [line.split() for line in last][-1] == ["2", "completed"]
    assert [line.split()[-3] for line in last[:2]] == ["a", "b"]
    assert last[1].startswith("└─ ✓ b")


# Decision tasks


DECISION = """
import os, taskcluster
from taskcluster_local.timestamps import system_clock, to_wire
from datetime import timedelta

queue = taskcluster.Queue(taskcluster.resolve_options().options)
def create(name, command, *needs):
    taskId = taskcluster.slugId()
    queue.createTask(taskId, {
        "taskQueueId": "proj/other",
        "taskGroupId": os.environ["TASK_ID"],
        "schedulerId": "decision",
        "dependencies": [os.environ["TASK_ID"], *needs],
        "created": to_wire(system_clock()),
        "deadline": to_wire(system_clock() + timedelta(hours=1)),
        "metadata": {"name": name, "description": "", "owner": "o@example.com", "source": "https://example.com"},
        "payload": {"command": [["sh", "-c", command]], "maxRunTime": 60},
    })
    return taskId
build = create("build", "true")
create("test", "true", build)
create("other", "exit 1")
"""


def decision() -> dict[str, Any]:
    script = f"{CLONE} && {sys.executable} decision.py"
    payload = {"features": {"taskclusterProxy": True}}
    scopes = ["assume:repo:github.com/org/repo:branch:main"]
    return task("decision", script, scopes=scopes, payload=payload, schedulerId="decision")


def test_runs_what_a_decision_task_creates(run: Run) -> None:
    done = run([decision()], decision_py=DECISION)
    assert states(done) == {"decision": "completed", "build": "completed", "test": "completed", "other": "failed"}
    assert done.returncode == 1


def test_selects_among_created_tasks(run: Run) -> None:
    done = run([decision()], "--task", "test", decision_py=DECISION)
    assert (states(done), done.returncode) == (
        {"decision": "completed", "build": "completed", "test": "completed"},
        0,
    )
    done = run([decision()], "--task", "tset", decision_py=DECISION)
    assert done.returncode == 2
    assert "no task matches --task tset; the tasks are decision, build, test, other; did you mean" in done.stderr
