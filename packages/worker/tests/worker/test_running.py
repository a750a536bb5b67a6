"""Tasks that real workers run: each error has its resolution."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.once


def test_completes_when_all_commands_succeed(running):
    resolved, log = running.run("echo one", "echo two")
    assert resolved == ("completed", "completed")
    assert log.index("Executing command 0: sh -c 'echo one'") < log.index("\none\n") < log.index("\ntwo\n")


def test_fails_at_the_first_command_that_fails(running):
    resolved, log = running.run("echo one", "exit 3", "echo three")
    assert resolved == ("failed", "failed")
    assert "Exit Code: 3" in log
    assert "three" not in log


@pytest.mark.parametrize("command", [["no-such-program"], ["/etc/passwd"], ["./missing"]], ids=["name", "text", "path"])
def test_fails_if_a_command_cannot_be_started(running, command):
    resolved, log = running.run_payload({"command": [command], "maxRunTime": 10})
    assert resolved == ("failed", "failed")
    assert f"cannot start '{command[0]}'" in log


@pytest.mark.parametrize("invalid", [{"command": [["echo", "\0"]]}, {"env": {"A=B": ""}}], ids=["argument", "variable"])
def test_fails_if_the_system_cannot_pass_something_on(running, invalid):
    resolved, log = running.run_payload({"command": [["echo"]], "maxRunTime": 10, **invalid})
    assert resolved == ("failed", "failed")
    assert "cannot start 'echo': Invalid argument" in log


def test_fails_when_a_signal_kills_a_command(running):
    resolved, log = running.run("kill -SEGV $$")
    assert resolved == ("failed", "failed")
    assert "Exit Code: -1" in log


def test_commands_start_without_ignored_signals(running):
    _, log = running.run_payload({"command": [["cat", "/proc/self/status"]], "maxRunTime": 10})
    assert "SigIgn:\t0000000000000000" in log


def test_fails_after_max_run_time(running):
    resolved, log = running.run("echo begun; sleep 60", payload={"maxRunTime": 1})
    assert resolved == ("failed", "failed")
    assert "begun" in log
    assert "max run time exceeded" in log


def test_uploads_the_log_of_a_malformed_payload(running):
    resolved, log = running.run_payload({"command": [["true"]], "maxRuntime": 10})
    assert resolved == ("exception", "malformed-payload")
    assert "maxRuntime is not known" in log
    assert "maxRunTime is missing" in log


@pytest.mark.parametrize("feature", ["interactive", "loopbackVideo", "loopbackAudio", "chainOfTrust"])
def test_rejects_an_unsupported_feature_by_name(running, feature):
    resolved, log = running.run("true", payload={"features": {feature: True}})
    assert resolved == ("exception", "malformed-payload")
    assert f"the feature {feature} is not supported" in log


def test_supports_the_features_that_change_nothing_here(running):
    features = dict.fromkeys(("runTaskAsCurrentUser", "liveLog", "backingLog"), True)
    assert running.run("true", payload={"features": features})[0] == ("completed", "completed")


def test_a_task_has_a_new_directory_which_is_deleted(site):
    with site.worker():
        resolved, log = site.run('ls -A; test "$PWD" = "$TASK_WORKDIR" && echo "in $PWD"; mkdir -p a/b; touch a/c')
    assert resolved == ("completed", "completed")
    directory = Path(log.split("\nin ")[1].partition("\n")[0])
    assert not directory.exists()
    assert not directory.parent.exists()


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"mounts": [{"directory": "c", "cacheName": "mine"}]}, "needs the scope generic-worker:cache:mine"),
        (
            {"artifacts": [{"type": "file", "path": "a", "expires": "2020-01-01T00:00:00Z"}]},
            "before the task's deadline",
        ),
        ({"artifacts": [{"type": "file", "path": "a", "expires": "2200-01-01T00:00:00Z"}]}, "expires after the task"),
        (
            {"mounts": [{"file": "f", "content": {"taskId": "fN1SbArXTPSVFNUvaOlinQ", "artifact": "x"}}]},
            "must be in dependencies",
        ),
        (
            {"mounts": [{"file": path, "content": {"raw": "x"}} for path in ("a/b", "./a/./b")]},
            "two mounts have the path 'a/b'",
        ),
        ({"maxRunTime": 90_000}, "maxRunTime must be 86400 or less"),
        ({"logs": {"backing": "caf\u00e9"}}, "the name of a log 'caf\u00e9' must be"),
        ({"osGroups": ["docker"]}, "osGroups must be empty"),
        ({"taskclusterProxyInterface": "docker-bridge"}, "needs the executor container"),
    ],
    ids=["scope", "early", "late", "dependency", "paths", "maxRunTime", "log", "osGroups", "interface"],
)
def test_rejects_what_it_cannot_run(running, payload, said):
    resolved, log = running.run("echo started", payload=payload)
    assert resolved == ("exception", "malformed-payload")
    assert said in log
    assert "Executing" not in log


def test_warns_of_keys_without_effect(running):
    payload = {"features": {"resourceMonitor": True}, "supersederUrl": "https://example.com"}
    resolved, log = running.run("true", payload=payload)
    assert resolved == ("completed", "completed")
    assert log.count("[taskcluster:warn ") == 2
    assert "supersederUrl has no effect" in log
    assert "resourceMonitor has no effect" in log


def test_host_rejects_docker_worker_payloads(running):
    resolved, log = running.run_payload({"image": "debian", "command": ["true"], "maxRunTime": 10})
    assert resolved == ("exception", "malformed-payload")
    assert "image needs the executor container" in log


def test_retries_after_an_exit_status_of_the_payload(running):
    taskId = running.create('test "$RUN_ID" = 1 || exit 7', payload={"onExitStatus": {"retry": [7]}}, retries=1)
    assert running.wait(taskId) == ("completed", "completed")
    runs = running.queue.status(taskId)["status"]["runs"]
    assert [(run["state"], run["reasonResolved"]) for run in runs] == [
        ("exception", "intermittent-task"),
        ("completed", "completed"),
    ]


def test_environment_has_documented_variables_only(running, monkeypatch):
    monkeypatch.setenv("TASKCLUSTER_ACCESS_TOKEN", "secret")
    taskId = running.create("env -0 > env; cat env", payload={"env": {"MINE": "a=b\nc", "TASK_ID": "forged"}})
    assert running.wait(taskId)[0] == "completed"
    log = running.log(taskId)
    assert f"TASK_ID={taskId}\0" in log
    assert "MINE=a=b\nc\0" in log
    names = {
        line.partition("=")[0] for line in log[log.index("HOME=") :].partition("[task")[0].split("\0") if "=" in line
    }
    assert names <= {
        *("HOME", "PATH", "USER", "MINE", "TASK_ID", "RUN_ID", "TASK_WORKDIR", "TASK_GROUP_ID", "TASKCLUSTER_ROOT_URL"),
        *("PWD", "OLDPWD", "SHLVL", "_"),
    }
    assert "secret" not in log


def test_runs_docker_worker_payloads_on_the_host_if_allowed(site):
    with site.worker(executor_options={"docker_payloads_on_host": True}):
        payload = {
            "image": "debian",
            "command": ["sh", "-c", "echo out > /dev/null; echo $A; touch made"],
            "env": {"A": "hello"},
            "maxRunTime": 10,
            "capabilities": {"privileged": True},
            "artifacts": {
                "public/made": {"type": "file", "path": "made"},
                "public/missing": {"type": "file", "path": "missing"},
            },
        }
        taskId = site.create_task(payload)
        assert site.wait(taskId) == ("completed", "completed")
    log = site.log(taskId)
    assert "runs as processes on this machine, without its image" in log
    assert "The capability privileged has no effect" in log
    assert "\nhello\n" in log
    assert site.artifacts(taskId)["public/made"]["storageType"] == "s3"
    assert site.artifacts(taskId)["public/missing"]["storageType"] == "error"
