"""Every form of the Go command that scripts use: the same words, options and output in a pipe."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, Done, definition
from .world import build, write_files

FORMS: list[tuple[str, int, str]] = [
    (f"api queue status {TASK}", 0, r'\{"status":\{"taskId":.*\}\}\n'),
    (f"api queue listTaskGroup {TASK} --limit 1", 0, r'\{"taskGroupId".*\n'),
    (f"api queue status {TASK} -o out.json", 0, ""),
    ("api purgeCache ping", 0, r'\{"alive":true.*\}\n'),
    ("api workerManager listWorkerPools", 0, r'\{"workerPools":.*\n'),
    ("-v api webServer ping", 0, r'\{"alive":true.*\}\n'),
    (f"task status {TASK}", 0, "completed 'completed'\n"),
    (f"task status -a {TASK}", 0, "Run #0: completed 'completed'\n"),
    (f"task status {TASK} --all-runs", 0, "Run #0: completed 'completed'\n"),
    (f"task status {TASK} -r 0", 0, "completed 'completed'\n"),
    (f"task name {TASK}", 0, "build\n"),
    (f"task group {TASK}", 0, f"{TASK}\n"),
    (f"task def {TASK}", 0, r'\{\n  "provisionerId": "proj",(.|\n)*\}\n'),
    (
        f"task artifacts {TASK}",
        0,
        "public/build/other.bin\npublic/build/target.txt\npublic/logs/live_backing.log\n",
    ),
    (f"task artifacts {TASK} -r 0", 0, "public/build/other.bin\n(.|\n)*"),
    (f"task log {TASK}", 0, "first\nsecond .*\nlast\n"),
    (f"download artifact {TASK} public/build/target.txt got.txt", 0, "got.txt\n"),
    (f"download artifact {TASK} 0 public/build/target.txt got.txt", 0, "got.txt\n"),
    ("download object project/test/object.txt object.txt", 0, "object.txt\n"),
    (f"task cancel -n {TASK}", 0, "would cancel completed 'completed'\n"),
    (f"task cancel {TASK}", 0, "completed 'completed'\n"),
    (f"task cancel -c {TASK}", 2, ""),
    (f"task rerun {TASK}", 2, ""),
    (f"task rerun --noop -f {TASK}", 0, ".*completed.*\n"),
    (f"task rerun --force {TASK}", 0, "pending\n"),
    (f"task complete {TASK}", 0, "completed 'completed'\n"),
    (f"task retrigger {TASK}", 0, r"[\w-]{22}\n"),
    (f"task retrigger -e {TASK}", 0, r"[\w-]{22}\n"),
    (
        "task run --provisioner proj --worker-type ci -e A=1,2 --name n --description d --owner me@example.com "
        f"--source https://example.com --dependency {TASK} --retries 2 debian:12 -- ls -l",
        0,
        r"[\w-]{22}\n",
    ),
    (f"group status {TASK}", 0, "completed: 1\npending: 3\n"),
    (f"group list {TASK} -c", 0, f"{TASK} build completed\n"),
    (f"group list {TASK} --all", 0, r"([\w-]{22} \S+ (completed|pending)\n){4}"),
    (f"group list {TASK} -r -f -e -u", 0, ""),
    (f"group list {TASK} -p", 0, r"([\w-]{22} \S+ pending\n){3}"),
    (
        f"group list -c {TASK} --format-string '{{{{ .Status.TaskID }}}} {{{{ .Status.State }}}}'",
        0,
        f"{TASK} completed\n",
    ),
    (f"group cancel -f -w other {TASK}", 0, ""),
    (f"group cancel {TASK}", 2, ""),
    (f"group cancel --force --worker-type ci {TASK}", 0, r"([\w-]{22}\n){3}"),
    ("signin --check", 0, ""),
    ("config", 0, "config:\n  accessToken: .hidden.\n  clientId: static/taskcluster/root\n(.|\n)*"),
    ("config -f json -o config.json", 0, ""),
    ("config set config.rootUrl https://tc.example.com", 0, "config:\n  rootUrl: https://tc.example.com\n"),
    ("config set rootUrl https://tc.example.com -d", 0, "config:\n  rootUrl: https://tc.example.com\n"),
    ("config get rootUrl", 0, "http://127.0.0.1:.*\n"),
    ("config reset rootUrl", 0, ""),
    ("config reset -a", 0, ""),
    ("config help", 0, "rootUrl\t(.|\n)*"),
    ("config help rootUrl", 0, "rootUrl\t.*\n"),
    ("slugid generate", 0, r"[\w-]{22}\n"),
    ("slugid generate -n", 0, r"\w[\w-]{21}\n"),
    (f"slugid decode {TASK}", 0, "7cdd526c-0ad7-4cf4-9514-d52f68e9629d\n"),
    ("slugid encode 7cdd526c-0ad7-4cf4-9514-d52f68e9629d", 0, f"{TASK}\n"),
    ("from-now 1 day", 0, r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n"),
    ("completions bash", 0, "(.|\n)*complete -o nosort -F _taskcluster_completion taskcluster\n"),
    ("completions bash written.sh", 0, ""),
    ("version", 0, ".*Python.*\n"),
    ("version -s", 0, r"[\d.]+\n"),
    ("validate-json schema.json file.json", 0, ""),
]


@pytest.mark.once
def test_forms_of_the_go_command(
    local: LocalTaskcluster, call: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    build(local)
    # A third task of the group, besides those that the forms create.
    queue = taskcluster.Queue(local.options())
    problems: list[str] = []
    for line, status, pattern in FORMS:
        if line.startswith("group status"):
            made = definition(local, taskGroupId=TASK)
            queue.createTask(taskcluster.slugId(), {**made, "metadata": {**made["metadata"], "name": "a&b"}})
        done = call(*shlex.split(line))
        if done.status != status or not re.fullmatch(pattern, done.out):
            problems.append(f"{line}: {done}")
    assert problems == []
    assert Path("got.txt").read_text("utf-8") == "target\n"
    assert json.loads(Path("out.json").read_text("utf-8"))["status"]["taskId"] == TASK
    assert "hidden" in Path("config.json").read_text("utf-8")
    assert "complete" in Path("written.sh").read_text("utf-8")


def test_names_are_not_escaped(local: LocalTaskcluster, call: Callable[..., Done]) -> None:
    made = definition(local)
    queue = taskcluster.Queue(local.options())
    queue.createTask(TASK, {**made, "metadata": {**made["metadata"], "name": "a & <b>"}})
    assert call("group", "list", TASK).out == f"{TASK} a & <b> pending\n"
    done = call("group", "list", TASK, "--format-string", "{{range .}}{{end}}")
    assert (done.status, "--jsonl" in done.err) == (2, True)


def test_environment_values_are_not_split(local: LocalTaskcluster, call: Callable[..., Done]) -> None:
    done = call("task", "run", "--provisioner", "p", "--worker-type", "w", "-e", "A=1,2", "debian", "true")
    task = taskcluster.Queue(local.options()).task(done.out.strip())
    assert task["payload"] == {"image": "debian", "command": ["true"], "env": {"A": "1,2"}, "maxRunTime": 7200}
    assert task["taskQueueId"] == "p/w"
