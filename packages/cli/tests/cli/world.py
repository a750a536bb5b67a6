"""A deployment with everything that the examples in `--help` name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import taskcluster
from taskcluster_cli.definitions import to_yaml
from taskcluster_local import LocalTaskcluster

from .conftest import TASK, definition

LOG = b"first\nsecond \x1b[32mgreen\x1b[0m\nlast"
ARTIFACTS = {
    "public/logs/live_backing.log": LOG,
    "public/build/target.txt": b"target\n",
    "public/build/other.bin": b"\0\1",
}


def claim(local: LocalTaskcluster, task_id: str = TASK) -> Any:
    """Claim a task as a worker, and return a queue client with its credentials."""
    queue = taskcluster.Queue(local.options())
    run = len(queue.status(task_id)["status"]["runs"]) - 1
    claimed = queue.claimTask(task_id, run, {"workerGroup": "group", "workerId": "worker"})
    return taskcluster.Queue({**local.options(), "credentials": claimed["credentials"]})


def add_artifacts(
    local: LocalTaskcluster, worker: Any, task_id: str = TASK, artifacts: Mapping[str, bytes] = ARTIFACTS, run: int = 0
) -> None:
    from taskcluster import upload

    for name, data in artifacts.items():
        upload.uploadArtifactFromBuf(
            taskId=task_id,
            runId=run,
            name=name,
            contentType="text/plain",
            expires=worker.task(task_id)["expires"],
            data=data,
            queueService=worker,
        )


def build(local: LocalTaskcluster, *, resolved: bool = True) -> None:
    """Fill an empty deployment."""
    options = local.options()
    queue, hour = taskcluster.Queue(options), taskcluster.fromNowJSON("1 hour", local.now())
    queue.createTask(TASK, definition(local, metadata={**definition(local)["metadata"], "name": "build"}))
    worker = claim(local)
    add_artifacts(local, worker)
    if resolved:
        worker.reportCompleted(TASK, 0)
    index = taskcluster.Index(options)
    for path in ("project.test.latest", "project.test.old"):
        index.insertTask(path, {"taskId": TASK, "rank": 0, "data": {}, "expires": hour})
    secrets = taskcluster.Secrets(options)
    for name in ("a", "b", "old"):
        secrets.set(f"project/test/{name}", {"secret": {"password": "hunter2"}, "expires": hour})
    auth = taskcluster.Auth(options)
    auth.createRole("hook-id:test/hook", {"scopes": ["queue:*", "assume:other"], "description": "d"})
    for name in ("bot", "old"):
        auth.createClient(f"project/test/{name}", {"scopes": [], "expires": hour, "description": "d"})
    hooks = taskcluster.Hooks(options)
    hooks.createHook("test", "hook", HOOK)
    hooks.triggerHook("test", "hook", {})
    manager = taskcluster.WorkerManager(options)
    for name in ("ci", "old"):
        manager.createWorkerPool(f"proj/{name}", POOL)
    from taskcluster import upload

    upload.uploadFromBuf(
        projectId="test",
        name="project/test/object.txt",
        contentType="text/plain",
        expires=hour,
        data=b"object\n",
        objectService=taskcluster.Object(options),
    )


TASK_DEFINITION = {
    "taskQueueId": "proj/ci",
    "payload": {},
    "metadata": {"name": "n", "description": "d", "owner": "me@example.com", "source": "https://example.com"},
}
HOOK: dict[str, Any] = {
    "metadata": {"name": "n", "description": "d", "owner": "me@example.com"},
    "task": {
        "provisionerId": "proj",
        "workerType": "ci",
        "created": {"$fromNow": "0 seconds"},
        "deadline": {"$fromNow": "1 hour"},
        "payload": {},
        "metadata": TASK_DEFINITION["metadata"],
    },
    "triggerSchema": {"type": "object", "additionalProperties": True},
}
POOL: dict[str, Any] = {
    "providerId": "static",
    "description": "d",
    "owner": "me@example.com",
    "emailOnError": False,
    "config": {},
}


def write_files(folder: Path) -> None:
    """Write the files that the examples name."""
    for name, document in {
        "task.yml": TASK_DEFINITION,
        "hook.yml": HOOK,
        "pool.yml": POOL,
        "secret.yml": {"password": "hunter2"},
    }.items():
        folder.joinpath(name).write_text(to_yaml(document), "utf-8")
    folder.joinpath("notes.txt").write_text("notes\n", "utf-8")
    folder.joinpath("schema.json").write_text(json.dumps({"type": "object"}), "utf-8")
    folder.joinpath("file.json").write_text("{}", "utf-8")
