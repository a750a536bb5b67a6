"""Tasks in containers, by podman, with an image that holds busybox only."""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskcluster.slugs import slugId
from taskcluster_local import LocalTaskcluster
from taskcluster_worker.container import ContainerExecutor
from taskcluster_worker.errors import WorkerError

from .conftest import QUEUE, site_of

pytestmark = pytest.mark.once

IMAGE = "localhost/taskcluster-worker-test:1"


def podman(*arguments: str) -> str:
    """Run podman, and return what it prints."""
    return subprocess.run(["podman", *arguments], check=True, capture_output=True, encoding="utf-8").stdout


@pytest.fixture(scope="module", autouse=True)
def engine(podman_directory: Path) -> None:
    """podman with the image."""
    shutil.copy("/bin/busybox", podman_directory / "busybox")
    (podman_directory / "Containerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/busybox\n"
        'RUN ["/bin/busybox", "--install", "-s", "/bin"]\nCMD ["/bin/echo", "the default command"]\n',
        encoding="utf-8",
    )
    podman("build", "--quiet", "--tag", IMAGE, str(podman_directory))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of this machine that tasks can read."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def containers(deployed: Any, shared: Path) -> Iterator[Any]:
    """A deployment with a worker that runs containers."""
    worker = {"executor": "container", "executor_options": {"read_only": [shared]}}
    with LocalTaskcluster(workers={QUEUE: worker}) as local, deployed(local) as site:
        yield site
    assert podman("ps", "--all", "--quiet") == ""


def payload(*script: str, **more: Any) -> dict[str, Any]:
    """Return a payload that runs a shell script in the image."""
    command = {"command": ["sh", "-c", *script]} if script else {}
    return {"image": IMAGE, **command, "maxRunTime": 60, **more}


def test_runs_a_command_in_its_image(containers):
    env = {"WORD": "two\nlines", "EMPTY": "", "LONG": "x" * 100_000}
    script = "cat /proc/1/comm; env; ls /home 2>&1; echo end; exit 3"
    resolved, log = containers.run_payload(payload(script, env=env))
    assert resolved == ("failed", "failed")
    assert "\nsh\n" in log
    assert "WORD=two\nlines\n" in log
    assert "EMPTY=\n" in log
    assert f"LONG={env['LONG']}\n" in log
    assert "TASK_ID=" in log
    assert "TASKCLUSTER_ACCESS_TOKEN" not in log
    assert "/home: No such file" in log
    assert "end\n" in log
    assert "Exit Code: 3" in log


def test_runs_the_default_command_of_an_image(containers):
    resolved, log = containers.run_payload(payload())
    assert resolved == ("completed", "completed")
    assert "the default command" in log


def test_fails_if_the_command_does_not_exist(containers):
    resolved, log = containers.run_payload({**payload(), "command": ["/no/such/program"]})
    assert resolved == ("failed", "failed")
    assert "/no/such/program" in log


def test_copies_artifacts_out_of_the_container(containers):
    script = (
        "mkdir -p /builds/out/sub; echo text > /builds/out/a.txt; echo deep > /builds/out/sub/b.txt; "
        "ln -s a.txt /builds/out/inside; ln -s /etc/passwd /builds/out/outside; ln -s /builds/out/a.txt /builds/link"
    )
    artifacts = {
        "public/out": {"type": "directory", "path": "/builds/out"},
        "public/a": {"type": "file", "path": "/builds/out/a.txt"},
        "public/link": {"type": "file", "path": "/builds/link"},
        "public/none": {"type": "file", "path": "/no/such/file"},
    }
    taskId = containers.create_task(payload(script, artifacts=artifacts))
    assert containers.wait(taskId) == ("completed", "completed")
    assert containers.content(taskId, "public/out/a.txt") == b"text\n"
    assert containers.content(taskId, "public/out/sub/b.txt") == b"deep\n"
    assert containers.content(taskId, "public/out/inside") == b"text\n"
    assert containers.content(taskId, "public/a") == b"text\n"
    assert containers.content(taskId, "public/link") == b"text\n"
    stored = {name: artifact["storageType"] for name, artifact in containers.artifacts(taskId).items()}
    assert stored["public/none"] == "error"
    assert stored["public/out/outside"] == "error"


def test_keeps_caches_for_the_next_task(containers):
    more = {"scopes": ["docker-worker:cache:test-cache"]}
    declared = payload("cat /var/test/file; echo kept > /var/test/file", cache={"test-cache": "/var/test"})
    logs = [containers.run_payload(declared, **more)[1] for _ in range(2)]
    assert [log.count("\nkept\n") for log in logs] == [0, 1]


def test_a_cache_needs_its_scope(containers):
    resolved, log = containers.run_payload(payload("true", cache={"other": "/other"}))
    assert resolved == ("exception", "malformed-payload")
    assert "docker-worker:cache:other" in log


def test_tasks_reach_the_proxy_by_its_name(containers):
    script = 'wget -q -O - "$TASKCLUSTER_PROXY_URL/api/queue/v1/ping"; echo; echo "$TASKCLUSTER_PROXY_URL"'
    resolved, log = containers.run_payload(payload(script, features={"taskclusterProxy": True}))
    assert resolved == ("completed", "completed"), log
    assert '"alive"' in log
    assert "http://taskcluster:" in log


@pytest.mark.parametrize("kind", ["task-image", "indexed-image"])
def test_loads_an_image_that_another_task_made(containers, shared, kind):
    archive = shared / f"{kind}.tar"
    # A name that the engine does not have, so that only loading can make it work.
    podman("tag", IMAGE, f"localhost/{kind}:1")
    podman("save", "--output", str(archive), f"localhost/{kind}:1")
    podman("untag", f"localhost/{kind}:1", f"localhost/{kind}:1")
    artifacts = {"public/image.tar": {"type": "file", "path": str(archive)}}
    route = f"index.test.{kind}"
    making = payload("true", artifacts=artifacts)
    made = containers.create_task(making, routes=[route], scopes=[f"queue:route:{route}"])
    assert containers.wait(made) == ("completed", "completed")
    image = {"type": "task-image", "taskId": made} if kind == "task-image" else {"namespace": f"test.{kind}"}
    image = {"type": kind, "path": "public/image.tar", **image}
    resolved, log = containers.run_payload({**payload("echo inside"), "image": image}, dependencies=[made])
    assert resolved == ("completed", "completed"), log
    assert "\ninside\n" in log


def test_fails_if_an_image_cannot_be_loaded(containers, shared):
    (shared / "text.tar").write_text("no archive", encoding="utf-8")
    artifacts = {"public/image.tar": {"type": "file", "path": f"{shared}/text.tar"}}
    made = containers.create_task(payload("true", artifacts=artifacts))
    containers.wait(made)
    image = {"type": "task-image", "taskId": made, "path": "public/image.tar"}
    resolved, log = containers.run_payload({**payload("true"), "image": image}, dependencies=[made])
    assert resolved == ("failed", "failed")
    assert "Cannot load the image public/image.tar" in log


def test_fails_if_an_image_cannot_be_pulled(containers):
    resolved, log = containers.run_payload({**payload("true"), "image": "localhost:1/no/such:1"})
    assert resolved == ("failed", "failed")
    assert "Cannot pull the image localhost:1/no/such:1" in log


def start(site: Any, shared: Path) -> str:
    """Start a task that does not end by itself, and return its taskId."""
    fifo = shared / slugId()
    os.mkfifo(fifo)
    taskId = site.create_task(payload(f"sleep 600 & echo begun > {fifo}; sleep 600"))
    assert site.started(fifo) == "begun"
    return str(taskId)


@contextmanager
def expect(event: str) -> Iterator[None]:
    """Wait at the end of the block for an event of a container."""
    events = ["podman", "events", "--filter", f"event={event}", "--format", "{{.Name}}"]
    with subprocess.Popen(events, stdout=subprocess.PIPE) as process:
        try:
            yield
            assert process.stdout is not None
            waiting = select.poll()
            waiting.register(process.stdout, select.POLLIN)
            assert waiting.poll(60_000), f"no container had the event {event}"
        finally:
            process.kill()


def test_stops_a_cancelled_task(containers, shared):
    with expect("remove"):
        taskId = start(containers, shared)
        containers.queue.cancelTask(taskId)
    assert podman("ps", "--quiet", "--filter", f"name={taskId}") == ""


def worker_process(site, **environment: str) -> subprocess.Popen[bytes]:
    """Start `taskcluster-worker run`."""
    program = shutil.which("taskcluster-worker", path=os.path.dirname(sys.executable))
    assert program is not None
    command = [program, "run", "--task-queue", QUEUE, "--executor", "container"]
    options = site.local.options()
    credentials = options["credentials"]
    variables = {
        "TASKCLUSTER_ROOT_URL": options["rootUrl"],
        "TASKCLUSTER_CLIENT_ID": credentials["clientId"],
        "TASKCLUSTER_ACCESS_TOKEN": credentials["accessToken"],
    }
    return subprocess.Popen(command, env={**os.environ, **variables, **environment})


def test_containers_end_with_a_worker_that_is_killed(site):
    with expect("remove"), worker_process(site) as worker:
        try:
            with expect("start"):
                taskId = site.create_task(payload("sleep 600 & sleep 600"))
        finally:
            worker.kill()
    assert podman("ps", "--quiet", "--filter", f"name={taskId}") == ""


def test_a_container_is_removed_if_the_worker_is_killed_while_it_is_created(site, fifo, tmp_path):
    killed = tmp_path / "killed"
    os.mkfifo(killed)
    program = tmp_path / "podman"
    program.write_text(
        f"""#!/bin/sh
if [ "$1" = create ]; then echo x > {fifo}; read -r line < {killed}; fi
exec {shutil.which("podman")} "$@"
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    with expect("remove"), worker_process(site, PATH=f"{tmp_path}:{os.environ['PATH']}") as worker:
        try:
            taskId = site.create_task(payload("true"))
            site.started(fifo)
        finally:
            worker.kill()
        worker.wait()
        killed.write_text("go\n", encoding="utf-8")
    assert podman("ps", "--all", "--quiet", "--filter", f"name={taskId}") == ""


@pytest.fixture
def brief() -> Iterator[Any]:
    """A deployment with short claims."""
    with LocalTaskcluster(claim_timeout=4.0) as local, site_of(local) as site:
        yield site


def test_containers_of_a_stopped_worker_are_removed(brief):
    with worker_process(brief) as worker:
        try:
            with expect("start"):
                brief.create_task(payload("sleep 600"), retries=0)
            with expect("remove"):
                worker.send_signal(signal.SIGSTOP)
        finally:
            worker.kill()


def test_a_container_is_not_started_after_the_end_of_the_claim(brief, fifo, tmp_path):
    for name in ("continue", "removed"):
        os.mkfifo(tmp_path / name)
    program = tmp_path / "podman"
    program.write_text(
        f"""#!/bin/sh
case "$1" in
    create) echo x > {fifo}; read -r line < {tmp_path}/continue;;
    start) echo x > {tmp_path}/started;;
    rm) if test ! -e {tmp_path}/once; then touch {tmp_path}/once; echo x > {tmp_path}/removed; fi;;
esac
exec {shutil.which("podman")} "$@"
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    with expect("remove"), worker_process(brief, PATH=f"{tmp_path}:{os.environ['PATH']}") as worker:
        try:
            brief.create_task(payload("true"), retries=0)
            brief.started(fifo)
            worker.send_signal(signal.SIGSTOP)
            brief.started(tmp_path / "removed")
            with expect("create"):
                (tmp_path / "continue").write_text("go\n", encoding="utf-8")
            worker.send_signal(signal.SIGCONT)
            worker.send_signal(signal.SIGINT)
            assert worker.wait(60) == 71
        finally:
            worker.kill()
    assert not (tmp_path / "started").exists()


def test_removes_the_containers_of_a_worker_that_was_killed_meanwhile(site, tmp_path):
    with site.worker(executor="container", directory=tmp_path):
        label = f"taskcluster-worker={hashlib.sha256(os.fsencode(tmp_path / 'executors/container')).hexdigest()[:16]}"
        left = podman("create", "--label", label, IMAGE).strip()
        assert site.run_payload(payload("true"))[0] == ("completed", "completed")
    assert left not in podman("ps", "--all", "--quiet", "--no-trunc")


def test_without_an_engine_the_message_says_what_to_install(tmp_path):
    executor = ContainerExecutor(engine=str(tmp_path / "podman"))
    with pytest.raises(WorkerError, match=r"install podman .* or use the executor host"):
        asyncio.run(executor.start())


def test_rejects_payloads_without_an_image(containers):
    resolved, log = containers.run("true")
    assert resolved == ("exception", "malformed-payload")
    assert "image is missing; this worker has the executor container" in log


@pytest.mark.parametrize("feature", ["interactive", "allowPtrace", "chainOfTrust"])
def test_rejects_an_unsupported_feature_by_name(containers, feature):
    resolved, log = containers.run_payload(payload("true", features={feature: True}))
    assert resolved == ("exception", "malformed-payload")
    assert f"the feature {feature} is not supported" in log


def test_fails_after_max_run_time(containers):
    resolved, log = containers.run_payload(payload("echo begun; sleep 600 & sleep 600", maxRunTime=1))
    assert resolved == ("failed", "failed")
    assert "max run time exceeded" in log


def test_rejects_capabilities_by_name(containers):
    resolved, log = containers.run_payload(payload("true", capabilities={"privileged": True}))
    assert resolved == ("exception", "malformed-payload")
    assert "capabilities.privileged is not supported" in log


@pytest.mark.parametrize("invalid", [{"command": ["echo", "\0"]}, {"env": {"A": "\0"}}], ids=["command", "env"])
def test_rejects_null_bytes(containers, invalid):
    resolved, log = containers.run_payload({**payload("true"), **invalid})
    assert resolved == ("exception", "malformed-payload")
    assert "command and env must not have null bytes" in log


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("dir:/etc", "image must be the name of an image in a registry, not 'dir:/etc'"),
        ("--privileged", "image must be the name of an image in a registry, not '--privileged'"),
        ("docker-archive:/tmp/image.tar", "image must be the name of an image in a registry"),
    ],
    ids=["directory", "option", "archive"],
)
def test_an_image_must_be_the_name_of_one(containers, image, problem):
    resolved, log = containers.run_payload({**payload("true"), "image": image})
    assert resolved == ("exception", "malformed-payload")
    assert problem in log
