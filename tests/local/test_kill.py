"""Test that a server killed at any moment has all acknowledged data after a restart."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import taskcluster
from taskcluster.exceptions import TaskclusterConnectionError

from .serving import Served, definition

ROUNDS = 12
QUEUE = {"workerGroup": "g", "tasks": 4}


@dataclass
class Acknowledged:
    """Acknowledged data of all rounds. Each list and each name belongs to one thread."""

    tasks: list[str] = field(default_factory=list)
    claims: dict[str, tuple[int, str]] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    secrets: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    """The last value sent for a secret, acknowledged or not."""


def create(options: dict[str, Any], done: Acknowledged) -> None:
    with taskcluster.Queue(options) as queue:
        while True:
            task_id = taskcluster.slugId()
            queue.createTask(task_id, definition(taskcluster.fromNowJSON("0 s"), taskcluster.fromNowJSON("1 day")))
            done.tasks.append(task_id)


def work(options: dict[str, Any], done: Acknowledged) -> None:
    with taskcluster.Queue(options) as queue:
        worker = taskcluster.slugId()[:20]
        while True:
            for claim in queue.claimWork("p/w", {**QUEUE, "workerId": worker})["tasks"]:
                task_id = claim["status"]["taskId"]
                assert task_id not in done.claims, "a task was handed out twice"
                done.claims[task_id] = (claim["runId"], worker)
                if random.random() < 0.5:
                    queue.reportCompleted(task_id, claim["runId"])
                    done.resolved.append(task_id)


def keep_secrets(options: dict[str, Any], done: Acknowledged) -> None:
    with taskcluster.Secrets(options) as secrets:
        while True:
            name, number = f"s/{random.randrange(50)}", random.randrange(10**9)
            done.asked[name] = number
            secrets.set(name, {"secret": {"number": number}, "expires": taskcluster.fromNowJSON("1 day")})
            done.secrets[name] = number


def test_acknowledged_data_survives_kill(tmp_path: Path) -> None:
    done = Acknowledged()
    failures: list[BaseException] = []

    def until_the_end(load: Any, options: dict[str, Any]) -> None:
        try:
            load(options, done)
        except TaskclusterConnectionError:
            pass
        except BaseException as error:
            failures.append(error)

    for _ in range(ROUNDS):
        with Served(tmp_path) as served:
            done.asked = dict(done.secrets)
            threads = [
                threading.Thread(target=until_the_end, args=(load, served.options))
                for load in (create, create, work, work, keep_secrets)
            ]
            created = len(done.tasks)
            for thread in threads:
                thread.start()
            while len(done.tasks) < created + 20 and not failures:
                time.sleep(0.005)
            # Any moment, even during a write or a checkpoint.
            time.sleep(random.uniform(0, 0.4))
            served.kill()
            for thread in threads:
                thread.join()
            assert not failures, failures
        with Served(tmp_path) as served:
            settle_secrets(served.options, done)
    with Served(tmp_path) as served:
        check(served.options, done)
        assert served.stop() == 0
    assert done.claims
    assert done.resolved


def settle_secrets(options: dict[str, Any], done: Acknowledged) -> None:
    """Assert that each secret has its last acknowledged value, or the one being set at the end."""
    with taskcluster.Secrets(options) as secrets:
        there = set(secrets.list()["secrets"])
        assert set(done.secrets) <= there
        for name in there:
            number = secrets.get(name)["secret"]["number"]
            assert number in (done.secrets.get(name), done.asked[name])
            done.secrets[name] = number


def check(options: dict[str, Any], done: Acknowledged) -> None:
    with taskcluster.Queue(options) as queue:
        for task_id in done.tasks:
            status = queue.status(task_id)["status"]
            if task_id not in done.claims:
                continue
            run_id, worker = done.claims[task_id]
            run = status["runs"][run_id]
            assert run["workerId"] == worker
            assert len(status["runs"]) == 1
            if task_id in done.resolved:
                assert status["state"] == "completed"
