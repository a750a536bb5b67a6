"""Workers of the local deployment, in its process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.helper import wait_for_task
from taskcluster_local import LocalTaskcluster
from taskcluster_local.cli import main

from .conftest import QUEUE, definition, wait_until_dead


@pytest.mark.once
def test_runs_tasks(deployed):
    with LocalTaskcluster(workers={QUEUE: 2}) as local, deployed(local) as site:
        resolved, log = site.run("echo hello")
    assert resolved == ("completed", "completed")
    assert "hello" in log


@pytest.mark.once
def test_runs_tasks_in_async_code(deployed):
    async def main() -> tuple[str, str]:
        async with LocalTaskcluster(workers={QUEUE: {"worker_id": "mine"}}) as local:
            with deployed(local) as site:
                resolved, _ = await asyncio.to_thread(site.run, "true")
        return resolved

    assert asyncio.run(main()) == ("completed", "completed")


@pytest.mark.once
def test_stops_a_cancelled_task_at_once(deployed, fifo):
    with LocalTaskcluster(workers={QUEUE: {}}) as local, deployed(local) as site:
        taskId = site.create(f"echo $$ > {fifo}; exec sleep 60")
        pid = site.started(fifo)
        site.queue.cancelTask(taskId)
        # The worker is free again, long before it would have renewed its claim.
        assert site.run("true")[0] == ("completed", "completed")
        assert not Path("/proc", pid).exists()


@pytest.mark.once
def test_stops_a_run_at_once_whose_claim_has_expired(deployed, fifo, monkeypatch):
    # It would notice by itself much later.
    monkeypatch.setattr("taskcluster_worker.claims._LONGEST_SLEEP", 600.0)
    with LocalTaskcluster(workers={QUEUE: {}}) as local, deployed(local) as site:
        taskId = site.create(f"test $RUN_ID = 1 || {{ echo $$ > {fifo}; exec sleep 60; }}")
        pid = site.started(fifo)
        local.start_worker(QUEUE, worker_id="other")
        local.advance(minutes=21)
        wait_until_dead(pid)
        assert site.wait(taskId) == ("completed", "completed")


@pytest.mark.once
def test_reset_stops_tasks(deployed, fifo):
    with LocalTaskcluster(workers={QUEUE: {}}) as local:
        with deployed(local) as site:
            site.create(f"echo $$ > {fifo}; exec sleep 60")
            site.started(fifo)
        local.reset()
        with deployed(local) as site:
            assert site.run("true")[0] == ("completed", "completed")


@pytest.mark.once
def test_time_moved_past_the_deadline_stops_a_task(deployed, fifo):
    with LocalTaskcluster(workers={QUEUE: {}}) as local, deployed(local) as site:
        taskId = site.create(f"echo $$ > {fifo}; exec sleep 60")
        site.started(fifo)
        local.advance(hours=2)
        assert site.wait(taskId) == ("exception", "deadline-exceeded")
        assert site.run("true")[0] == ("completed", "completed")


def test_refuses_workers_if_other_machines_can_connect():
    with pytest.raises(ValueError, match="allow_remote_tasks"):
        LocalTaskcluster(host="0.0.0.0", workers={QUEUE: {}})
    assert LocalTaskcluster(host="0.0.0.0", workers={QUEUE: {}}, allow_remote_tasks=True)


def test_rejects_workers_of_another_type():
    with pytest.raises(TypeError, match="must have a mapping"):
        LocalTaskcluster(workers={QUEUE: "host"})  # type: ignore[dict-item]


def test_names_the_distribution_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "taskcluster_worker", None)
    with pytest.raises(ModuleNotFoundError, match="workers need taskcluster-worker: install taskcluster-worker"):
        LocalTaskcluster(workers={QUEUE: {}})


@pytest.mark.once
def test_fixture_starts_a_worker(taskcluster_local, taskcluster_worker, deployed):
    worker = taskcluster_worker(QUEUE, worker_id="mine")
    with deployed(taskcluster_local) as site:
        taskId = site.create("true")
        assert site.wait(taskId) == ("completed", "completed")
        [run] = site.queue.status(taskId)["status"]["runs"]
    assert (run["workerGroup"], run["workerId"]) == (worker.worker_group, "mine")


@pytest.mark.once
def test_serve_runs_tasks():
    code = "from taskcluster_local.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "serve", "--worker", QUEUE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("# ready"):
                lines.append(process.stdout.readline())
                assert lines[-1], "it ended"
            notice = f"# tasks of {QUEUE} run commands on this machine, as processes of the worker's user, without isol"
            assert notice in "".join(lines)
            printed = (line.removeprefix("export ").strip().partition("=") for line in lines)
            settings = {name: value for name, _, value in printed}
            options = {
                "rootUrl": settings["TASKCLUSTER_ROOT_URL"],
                "credentials": {
                    "clientId": settings["TASKCLUSTER_CLIENT_ID"],
                    "accessToken": settings["TASKCLUSTER_ACCESS_TOKEN"],
                },
            }
            with taskcluster.Queue(options) as queue:
                taskId = taskcluster.slugId()
                queue.createTask(taskId, definition({"command": [["true"]], "maxRunTime": 60}))
                assert wait_for_task(queue, taskId, timeout=30, delay=0.05)["state"] == "completed"
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("number", "started"), [("0", 0), ("3", 1)], ids=["none", "three"])
def test_serve_starts_workers_for_a_number_of_tasks(monkeypatch, number, started):
    given: list[Any] = []

    def stop(deployment: LocalTaskcluster) -> LocalTaskcluster:
        given.append(deployment)
        raise TaskclusterFailure("enough")

    monkeypatch.setattr(LocalTaskcluster, "__enter__", stop)
    assert main(["serve", "--worker", QUEUE, "--workers", number]) == 1
    assert len(given[0]._wanted_workers) == started


@pytest.mark.parametrize(
    "arguments", [("--executor", "container"), ("--executor", "host"), ("--workers", "3")], ids=" ".join
)
def test_serve_rejects_options_of_workers_without_a_task_queue(capsys, arguments):
    assert main(["serve", *arguments]) == 2
    assert f"{arguments[0]} needs --worker QUEUE" in capsys.readouterr().err


@pytest.mark.usefixtures("handlers")
def test_serve_refuses_workers_if_other_machines_can_connect(capsys):
    assert main(["serve", "--host", "0.0.0.0", "--worker", QUEUE]) == 2
    assert "--allow-remote-tasks" in capsys.readouterr().err
