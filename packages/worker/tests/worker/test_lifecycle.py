"""Workers that stop, lose a claim, or die, while a task runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_worker import Worker, WorkerError
from taskcluster_worker.claims import reclaim_date

from .conftest import QUEUE, Site, site_of, wait_until_dead

NOW = taskcluster.fromNow("0 seconds")


def is_alive(pid: str) -> bool:
    try:
        state = Path("/proc", pid, "stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@contextlib.contextmanager
def command(site: Site, *arguments: str, temporary: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run `taskcluster-worker run` for a deployment, and wait until it is ready."""
    credentials = site.local.credentials
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONWARNDEFAULTENCODING": "1",
        "TASKCLUSTER_ROOT_URL": site.local.root_url,
        "TASKCLUSTER_CLIENT_ID": credentials["clientId"],
        "TASKCLUSTER_ACCESS_TOKEN": credentials["accessToken"],
        **({} if temporary is None else {"TMPDIR": str(temporary)}),
    }
    code = "from taskcluster_worker.cli import main; raise SystemExit(main())"
    call = [sys.executable, "-W", "error", "-c", code, "run", "--task-queue", QUEUE, *arguments]
    with subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            assert process.stdout is not None
            assert "claims tasks of" in process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1200, 1020), (30, 20), (0.9, 0.6)], ids=["20 minutes", "30 seconds", "1 second"]
)
def test_renews_claims_in_time(seconds, expected):
    assert reclaim_date(NOW, NOW + timedelta(seconds=seconds)) == NOW + timedelta(seconds=expected)


@pytest.mark.once
def test_sigterm_aborts_tasks_and_the_queue_retries_them(site, fifo):
    taskId = site.create(f"test $RUN_ID = 1 || {{ echo $$ > {fifo}; exec sleep 60; }}", retries=1)
    with command(site, "--worker-id", "first") as process:
        pid = site.started(fifo)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not is_alive(pid)
    assert "the task is aborted" in site.log(taskId, 0)
    with site.worker():
        assert site.wait(taskId) == ("completed", "completed")
    runs = site.queue.status(taskId)["status"]["runs"]
    assert [(run["reasonCreated"], run["reasonResolved"]) for run in runs] == [
        ("scheduled", "worker-shutdown"),
        ("retry", "completed"),
    ]


@pytest.mark.once
def test_sigint_lets_tasks_finish(site, fifo, tmp_path):
    end = tmp_path / "end"
    os.mkfifo(end)
    taskId, other = site.create(f"echo x > {fifo}; read line < {end}"), site.create("true")
    with command(site) as process:
        site.started(fifo)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert "interrupt again" in process.stdout.readline()
        end.write_text("go\n", encoding="utf-8")
        assert process.wait(30) == 71
    assert site.wait(taskId) == ("completed", "completed")
    assert site.queue.status(other)["status"]["state"] == "pending"


@pytest.mark.once
def test_second_sigint_aborts_tasks(site, fifo):
    taskId = site.create(f"echo x > {fifo}; exec sleep 60", retries=0)
    with command(site) as process:
        site.started(fifo)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert "interrupt again" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 71
    assert site.wait(taskId) == ("exception", "worker-shutdown")


@pytest.mark.once
def test_processes_of_a_killed_worker_die_and_the_run_is_claimed_again(site, fifo):
    script = f"test $RUN_ID = 1 || {{ setsid sleep 61 & echo $$ $! > {fifo}; exec sleep 60; }}"
    taskId = site.create(script)
    with command(site) as process:
        pids = site.started(fifo).split()
        process.kill()
        process.wait()
        for pid in pids:
            wait_until_dead(pid)
    site.local.advance(minutes=21)
    with site.worker():
        assert site.wait(taskId) == ("completed", "completed")
    runs = site.queue.status(taskId)["status"]["runs"]
    assert [run["reasonResolved"] for run in runs] == ["claim-expired", "completed"]


@pytest.mark.once
def test_directories_of_killed_workers_are_deleted(site, fifo, tmp_path):
    kept = [tmp_path / f"taskcluster-worker-{name}" for name in ("given", "other")]
    for directory in kept:
        directory.mkdir()
    (kept[0] / "lock").touch()
    (tmp_path / "taskcluster-worker-link").symlink_to(kept[1])
    with command(site, temporary=tmp_path) as living:
        [alive] = {*tmp_path.glob("taskcluster-worker-????????")}
        site.create(f"mkdir -m 0 closed; echo $$ > {fifo}; exec sleep 60")
        pid = site.started(fifo)
        with command(site, temporary=tmp_path) as killed:
            killed.kill()
            killed.wait()
        assert len({*tmp_path.glob("taskcluster-worker-????????")}) == 2
        with command(site, temporary=tmp_path) as other:
            assert len({*tmp_path.glob("taskcluster-worker-????????")}) == 2
            other.send_signal(signal.SIGTERM)
            assert other.wait(30) == 0
        assert {*tmp_path.glob("taskcluster-worker-????????")} == {alive}
        living.kill()
        wait_until_dead(pid)
    with command(site, temporary=tmp_path) as last:
        assert not alive.exists()
        last.send_signal(signal.SIGTERM)
        assert last.wait(30) == 0
    assert {*tmp_path.glob("taskcluster-worker-*")} == {*kept, tmp_path / "taskcluster-worker-link"}


@pytest.fixture
def brief() -> Iterator[Site]:
    """A deployment with short claims."""
    with LocalTaskcluster(claim_timeout=1.5) as local, site_of(local) as site:
        yield site


@pytest.mark.once
def test_claims_are_renewed_with_their_credentials(brief):
    artifacts = [{"type": "file", "path": "out", "name": "public/out"}]
    taskId = brief.create("sleep 2; echo x > out", payload={"artifacts": artifacts})
    with brief.worker():
        assert brief.wait(taskId) == ("completed", "completed")
    assert len(brief.queue.status(taskId)["status"]["runs"]) == 1
    assert brief.content(taskId, "public/out") == b"x\n"


@pytest.mark.once
def test_the_proxy_uses_the_credentials_of_the_renewed_claim(brief):
    code = (
        "import os, urllib.request as r; r.urlopen(os.environ['TASKCLUSTER_PROXY_URL'] + '/api/auth/v1/scopes/current')"
    )
    script = f'sleep 2; {sys.executable} -c "{code}"'
    with brief.worker():
        resolved, log = brief.run(script, payload={"features": {"taskclusterProxy": True}})
    assert resolved == ("completed", "completed"), log


@pytest.mark.once
def test_a_cancelled_task_is_killed_when_its_claim_is_not_renewed(brief, fifo):
    taskId = brief.create(f"echo $$ > {fifo}; exec sleep 60")
    with brief.worker():
        pid = brief.started(fifo)
        brief.queue.cancelTask(taskId)
        wait_until_dead(pid)
        assert brief.run("true")[0] == ("completed", "completed")
    # Nothing was uploaded or reported.
    assert brief.artifacts(taskId).keys() <= {"public/logs/live.log"}
    assert brief.wait(taskId) == ("exception", "canceled")


@pytest.mark.once
def test_a_lost_claim_stops_the_task(brief, fifo):
    taskId = brief.create(f"test $RUN_ID = 1 || {{ echo $$ > {fifo}; exec sleep 60; }}")
    with brief.worker():
        pid = brief.started(fifo)
        brief.local.advance(minutes=1)
        wait_until_dead(pid)
        assert brief.wait(taskId) == ("completed", "completed")
    runs = brief.queue.status(taskId)["status"]["runs"]
    assert [run["reasonResolved"] for run in runs] == ["claim-expired", "completed"]


@pytest.mark.once
def test_a_worker_does_not_run_a_task_beside_its_earlier_run(fifo, tmp_path):
    pid = tmp_path / "pid"
    script = f"test $RUN_ID = 1 && {{ ! kill -0 $(cat {pid}); exit; }}; echo $$ > {pid}; echo x > {fifo}; exec sleep 60"
    with LocalTaskcluster() as local, site_of(local) as site, site.worker(capacity=2):
        taskId = site.create(script)
        site.started(fifo)
        site.local.advance(minutes=21)
        assert site.wait(taskId) == ("completed", "completed")


@pytest.mark.once
def test_processes_of_a_stopped_worker_die_in_time(fifo, tmp_path):
    pids = tmp_path / "pids"
    script = f"""
        if test $RUN_ID = 0; then
            setsid sleep 61 &
            echo $$ $! > {pids}
            echo x > {fifo}
            exec sleep 60
        fi
        for pid in $(cat {pids}); do if kill -0 $pid; then exit 1; fi; done
    """
    # The processes are killed a second before the claim ends.
    with LocalTaskcluster(claim_timeout=10.0) as local, site_of(local) as site, command(site) as process:
        taskId = site.create(script)
        site.started(fifo)
        process.send_signal(signal.SIGSTOP)
        with site.worker():
            assert site.wait(taskId) == ("completed", "completed")
            process.send_signal(signal.SIGCONT)
        # It has gone on, without a result for the run that it lost.
        assert site.run("true")[0] == ("completed", "completed")
        runs = site.queue.status(taskId)["status"]["runs"]
        assert [run["reasonResolved"] for run in runs] == ["claim-expired", "completed"]


@pytest.mark.once
def test_warns_of_a_clock_that_is_late(site, caplog):
    site.local.advance(hours=2)
    tasks = [site.create("true") for _ in range(2)]
    with Worker(QUEUE, site.local.options(), claim_interval=0.05):
        assert [site.wait(taskId) for taskId in tasks] == [("completed", "completed")] * 2
    warnings = [record.getMessage() for record in caplog.records if "ahead of this worker's clock" in record.message]
    assert len(warnings) == 1
    assert "use Worker(clock=local.now)" in warnings[0]


@pytest.mark.once
def test_the_deadline_stops_the_task(site, fifo):
    taskId = site.create(f"echo $$ > {fifo}; exec sleep 60")
    with site.worker():
        pid = site.started(fifo)
        site.local.advance(minutes=61)
        wait_until_dead(pid)
    assert site.wait(taskId) == ("exception", "deadline-exceeded")


@pytest.mark.once
def test_no_process_outlives_its_task(running, fifo):
    # Its own session, no parent, and it ignores the signals that it can.
    script = f"(trap '' HUP TERM INT; setsid sh -c 'echo $$ > {fifo}; sleep 60; true' &) & true"
    taskId = running.create(script)
    pid = running.started(fifo)
    assert running.wait(taskId) == ("completed", "completed")
    assert not is_alive(pid)


@pytest.mark.once
def test_processes_have_no_files_of_the_supervisor(running):
    # The shell itself must have no further pipe or file while readlink runs.
    resolved, log = running.run("(readlink /proc/$$/fd/* > files); grep -c pipe: files")
    assert resolved == ("completed", "completed")
    # Its output and its errors.
    assert "\n2\n" in log


@pytest.mark.once
def test_processes_of_a_killed_supervisor_end(running, fifo):
    os.mkfifo(f"{fifo}.2")
    taskId = running.create(f"(setsid sh -c 'echo $$ > {fifo}; sleep 60; true' &); read line < {fifo}.2; kill -9 $PPID")
    pid = running.started(fifo)
    Path(f"{fifo}.2").write_text("go\n", encoding="utf-8")
    wait_until_dead(pid)
    assert running.wait(taskId) == ("failed", "failed")
    assert running.run("true")[0] == ("completed", "completed")


STOP = "setsid sleep 61 & kill -STOP {pid}; echo $$ $! > {fifo}; exec sleep 60"
"""Stops the supervisor, or its parent, and does not end by itself."""
SUPERVISOR = "$PPID"
SERVER = "$(cut -d ' ' -f 4 /proc/$PPID/stat)"


@pytest.mark.once
@pytest.mark.parametrize("pid", [SUPERVISOR, f"{SUPERVISOR} {SERVER}"], ids=["supervisor", "both"])
def test_a_task_that_stops_its_supervisor_ends_after_max_run_time(running, fifo, pid):
    taskId = running.create(STOP.format(fifo=fifo, pid=pid), payload={"maxRunTime": 1})
    pids = running.started(fifo).split()
    assert running.wait(taskId) == ("failed", "failed")
    assert "max run time exceeded" in running.log(taskId)
    assert [pid for pid in pids if is_alive(pid)] == []
    assert running.run("true")[0] == ("completed", "completed")


@pytest.mark.once
def test_a_task_that_stops_its_supervisor_can_be_cancelled(fifo):
    with LocalTaskcluster(workers={QUEUE: {}}) as local, site_of(local) as site:
        taskId = site.create(STOP.format(fifo=fifo, pid=SUPERVISOR))
        pids = site.started(fifo).split()
        site.queue.cancelTask(taskId)
        assert site.run("true")[0] == ("completed", "completed")
        assert [pid for pid in pids if is_alive(pid)] == []


@pytest.mark.once
def test_a_task_that_stops_its_supervisor_dies_with_the_worker(site, fifo):
    site.create(STOP.format(fifo=fifo, pid=SUPERVISOR))
    with command(site) as process:
        pids = site.started(fifo).split()
        process.kill()
        for pid in pids:
            wait_until_dead(pid)


@pytest.mark.once
def test_a_task_cannot_stop_the_supervisors_of_others(running):
    assert running.run(f"kill -STOP {SERVER}")[0] == ("completed", "completed")
    assert running.run("true")[0] == ("completed", "completed")


@pytest.mark.once
def test_output_of_a_pipe_that_ends_late_is_kept(running):
    resolved, log = running.run("(sleep 0.2; echo late) & echo early")
    assert resolved == ("completed", "completed")
    assert log.index("\nlate\n") < log.index("Task Finished")


@pytest.mark.once
def test_a_process_in_the_background_serves_the_next_command(running):
    resolved, log = running.run("sleep 60 > /dev/null 2>&1 & echo $! > pid", "kill -0 $(cat pid) && echo alive")
    assert resolved == ("completed", "completed")
    assert "\nalive\n" in log


@pytest.mark.once
def test_workers_share_a_queue_and_run_each_task_once(site):
    tasks = [site.create("true") for _ in range(8)]
    with site.worker(worker_id="one", capacity=2), site.worker(worker_id="two", capacity=2):
        assert {site.wait(taskId) for taskId in tasks} == {("completed", "completed")}
    runs = [site.queue.status(taskId)["status"]["runs"] for taskId in tasks]
    assert [len(each) for each in runs] == [1] * 8
    assert {run["workerId"] for [run] in runs} == {"one", "two"}


@pytest.mark.once
def test_claims_with_free_capacity_when_a_task_has_ended(tmp_path):
    begun, ends = ([tmp_path / f"{name}{number}" for number in range(3)] for name in ("begun", "end"))
    for path in (*begun, *ends):
        os.mkfifo(path)
    # It would wait much longer between two claims.
    with LocalTaskcluster(poll=0) as local, site_of(local) as site:
        tasks = [site.create(f"echo x > {first}; read line < {last}") for first, last in zip(begun, ends, strict=True)]
        with site.worker(capacity=2, claim_interval=600.0):
            for path in begun[:2]:
                site.started(path)
            states = [site.queue.status(taskId)["status"]["state"] for taskId in tasks]
            assert states == ["running", "running", "pending"]
            ends[0].write_text("go\n", encoding="utf-8")
            site.started(begun[2])
            for path in ends[1:]:
                path.write_text("go\n", encoding="utf-8")
            assert [site.wait(taskId) for taskId in tasks] == [("completed", "completed")] * 3


@pytest.mark.once
def test_the_end_of_the_block_aborts_tasks(site, fifo):
    taskId = site.create(f"echo $$ > {fifo}; exec sleep 60", retries=0)
    with site.worker():
        pid = site.started(fifo)
    assert not is_alive(pid)
    assert site.wait(taskId) == ("exception", "worker-shutdown")
    assert "the task is aborted" in site.log(taskId)


@pytest.mark.once
def test_finish_lets_tasks_finish(site, fifo, tmp_path):
    end = tmp_path / "end"
    os.mkfifo(end)
    taskId, other = site.create(f"echo x > {fifo}; read line < {end}"), site.create("true")
    with site.worker() as worker:
        site.started(fifo)
        worker.finish()
        end.write_text("go\n", encoding="utf-8")
        assert site.wait(taskId) == ("completed", "completed")
    assert site.queue.status(other)["status"]["state"] == "pending"


@pytest.mark.once
def test_waits_for_a_queue_that_does_not_respond(site, caplog):
    options = {**site.local.options(), "rootUrl": "http://127.0.0.1:1", "maxRetries": 0}
    with Worker(QUEUE, options, claim_interval=0.05) as worker:
        worker.finish()
    with pytest.raises(RuntimeError, match="cannot be started twice"):
        worker.__enter__()


def test_cannot_be_stopped_before_it_runs():
    options = {"rootUrl": "https://tc.example.com", "credentials": {"clientId": "c", "accessToken": "a"}}
    with pytest.raises(RuntimeError, match="is not running: use it in a `with` block"):
        Worker(QUEUE, options).finish()


@pytest.mark.once
def test_ends_after_the_idle_timeout(site):
    taskId = site.create("true")
    asyncio.run(site.worker(idle_timeout=0.2).run())
    assert site.wait(taskId) == ("completed", "completed")


@pytest.mark.once
def test_async_worker_shares_the_event_loop_of_the_program(site):
    async def main() -> Any:
        async with site.worker(), taskcluster.aio.Queue(site.local.options()) as queue:
            taskId = site.create("true")
            while (status := (await queue.status(taskId))["status"])["state"] != "completed":
                await asyncio.sleep(0.02)
            return status

    assert asyncio.run(main())["runs"][0]["workerGroup"] == "python"


@pytest.mark.once
def test_raises_if_the_queue_rejects_the_worker(site):
    async def main() -> None:
        await Worker(QUEUE, site.local.options(scopes=["queue:claim-work:proj/ci"])).run()

    with pytest.raises(WorkerError, match="does not let"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"task_queue": "ci"}, "must be <provisionerId>/<workerType>"),
        ({"capacity": 0}, "capacity must be 1 or more"),
        ({"worker_id": "a b"}, "worker_id must be 1 to 38"),
        ({"executor": "hots"}, "there is no executor 'hots'; did you mean 'host'?"),
        ({"executor_options": {"unknown": 1}}, "does not accept its options"),
        ({"options": {"rootUrl": "https://tc.example.com"}}, "needs credentials"),
    ],
    ids=["queue", "capacity", "worker", "executor", "options", "credentials"],
)
def test_rejects_invalid_arguments(arguments, said, monkeypatch, tmp_path):
    for name in ("CLIENT_ID", "ACCESS_TOKEN", "PROXY_URL"):
        monkeypatch.delenv(f"TASKCLUSTER_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    options = {"rootUrl": "https://tc.example.com", "credentials": {"clientId": "c", "accessToken": "a"}}
    with pytest.raises(WorkerError, match=said):
        Worker(**{"task_queue": QUEUE, "options": options, **arguments})


@pytest.mark.once
def test_workers_do_not_share_a_directory(site, tmp_path):
    with site.worker(directory=tmp_path), pytest.raises(WorkerError, match="is used by another worker"):
        site.worker(directory=tmp_path).__enter__()
