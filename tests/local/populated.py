"""A deployment in which every field that a user can supply has strings that attack pages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

import taskcluster
from taskcluster import upload
from taskcluster.helper import wait_for_task
from taskcluster_local import LocalTaskcluster
from taskcluster_local.plugin_services import checked
from taskcluster_local.plugins import HandlerCall, LocalService
from taskcluster_local.registry import LocalRegistry

__all__ = ["ASCII", "ATTACK", "QUEUE", "Populated", "populated"]

ASCII = "<script>alert(1)</script>\"><img src=x onerror=alert(1)> 'onclick=alert(1)' {{ 7*7 }}{% x %}"
"""For fields that are limited to printable ASCII."""
ATTACK = f"{ASCII} \u202e</title></textarea><!-- \ud83d"
"""With a change of direction and half a surrogate pair."""
URL = "https://example.com/\"><script>alert(1)</script>'onclick=alert(1)"
SCRIPT = "javascript:alert(1)"
"""A valid URI."""
QUEUE = "proj/ci"
WORKED = "proj/worked"
_NAMED = ("completed", "failed", "exception", "running", "pending", "unscheduled", "logged", "live")


@dataclass
class Populated:
    """The deployment and the ids of its tasks."""

    local: LocalTaskcluster
    tasks: dict[str, str]
    """Tasks by state; `logged` was run by a worker, which is running `live`."""
    group: str
    output: int
    """The file descriptor of what the task `live` prints."""

    def queue(self) -> taskcluster.Queue:
        """Return a client with all rights."""
        return taskcluster.Queue(self.local.options())

    def definition(self, **fields: Any) -> dict[str, Any]:
        """Return a task of the group."""
        now = self.local.now()
        return {
            "taskQueueId": QUEUE,
            "schedulerId": "scheduler",
            "taskGroupId": self.group,
            "projectId": "project",
            "created": now,
            "deadline": taskcluster.fromNow("1 day", now),
            "expires": taskcluster.fromNow("1 month", now),
            "routes": [ASCII],
            "scopes": [ASCII],
            "tags": {ATTACK: ATTACK},
            "payload": {ATTACK: ATTACK},
            "extra": {ATTACK: [ATTACK]},
            "metadata": {"name": ATTACK, "description": f"# {ATTACK}\n[x]({URL})", "owner": ATTACK, "source": URL},
            **fields,
        }

    def create(self, task_id: str, **fields: Any) -> None:
        """Create a task of the group."""
        self.queue().createTask(task_id, cast("Any", self.definition(**fields)))

    def claim(self, task_id: str, run_id: int = 0) -> taskcluster.Queue:
        """Claim a run, and return a client with its worker's rights."""
        claimed = self.queue().claimTask(task_id, run_id, {"workerGroup": "g", "workerId": "w"})
        return taskcluster.Queue({**self.local.options(), "credentials": cast("Any", claimed["credentials"])})


def _widgets() -> LocalService:
    """Return a service of a plugin."""
    prose = {"title": ATTACK, "description": f"# {ATTACK}\n[x]({SCRIPT})", "stability": "stable", "category": ATTACK}
    colour = {"type": "string", "description": ATTACK, "default": ATTACK}
    paint: dict[str, Any] = {
        "name": "paint",
        "method": "put",
        "route": "/<name>",
        "args": ["name"],
        "query": ["colour"],
        "input": "widgets/v1/paint.json",
        "scopes": "widgets:paint:<name>",
        **prose,
    }
    reference: dict[str, Any] = {
        "serviceName": "widgets",
        "apiVersion": "v1",
        "className": "Widgets",
        "title": ATTACK,
        "description": ATTACK,
        "methods": [{"name": "ping", "method": "get", "route": "/ping", "args": [], **prose}, paint],
        "types": {"widgets/v1/paint.json": {"type": "object", "properties": {"colour": colour}, **prose}},
    }

    async def painted(call: HandlerCall) -> dict[str, Any]:
        return {"painted": call.payload}

    return LocalService(reference, lambda context: {"paint": painted})


@contextlib.contextmanager
def populated(directory: Path) -> Generator[Populated, None, None]:
    """Run a deployment with a worker, and fill it."""
    pipe = directory / "output"
    os.mkfifo(pipe)
    ids = {name: taskcluster.slugId() for name in _NAMED}
    with pytest.MonkeyPatch.context() as patch:
        service = checked("the plugin widgets", _widgets())

        def services(_: LocalRegistry) -> tuple[LocalService, ...]:
            return (service,)

        patch.setattr(LocalRegistry, "services", services)
        deployment = LocalTaskcluster(workers={WORKED: {"directory": directory / "work"}})
    with deployment as local:
        # Opening for both directions does not block.
        output = os.open(pipe, os.O_RDWR)
        try:
            made = Populated(local, ids, taskcluster.slugId(), output)
            _fill_tasks(made, pipe)
            _fill_services(made)
            yield made
        finally:
            os.close(output)


def _fill_tasks(made: Populated, pipe: Path) -> None:
    ids, queue = made.tasks, made.queue()
    for name in ("completed", "failed", "exception", "running", "pending"):
        made.create(ids[name], routes=[ASCII, "index.proj.ci.latest"])
    made.create(ids["unscheduled"], dependencies=[ids["pending"], ids["completed"]])
    workers = {name: made.claim(ids[name]) for name in ("completed", "failed", "exception", "running")}
    completed, expires = workers["completed"], taskcluster.fromNow("1 week", made.local.now())
    for name in ("public/logs/live_backing.log", f"public/{ASCII}.html", "private/notes.txt"):
        upload.uploadArtifactFromBuf(
            taskId=ids["completed"],
            runId=0,
            name=name,
            contentType="text/html" if name.endswith(".html") else "text/plain",
            expires=expires,
            data=f"{ASCII}\n\x1b[31mred\x1b[0m\n{URL}\n{ids['failed']}\n".encode() + b"\xff\x00\n" + b"x" * 20_000,
            queueService=completed,
        )
    for number, more in enumerate(
        (
            {"storageType": "reference", "url": SCRIPT, "contentType": ATTACK},
            {"storageType": "error", "reason": "file-missing-on-worker", "message": ATTACK},
            {"storageType": "link", "artifact": f"public/{ASCII}.html", "contentType": ATTACK},
        )
    ):
        payload: Any = {"expires": expires, **more}
        completed.createArtifact(ids["completed"], "0", f"public/{number} {ASCII}", payload)
    completed.reportCompleted(ids["completed"], "0")
    workers["failed"].reportFailed(ids["failed"], "0")
    workers["exception"].reportException(ids["exception"], "0", {"reason": "malformed-payload"})
    queue.rerunTask(ids["failed"])
    made.claim(ids["failed"], 1).reportFailed(ids["failed"], "1")
    script = f"printf '%s\\n' \"$TEXT\" 'see {ids['failed']} and {URL.partition(chr(39))[0]}'"
    payload = {"maxRunTime": 3600, "env": {"TEXT": ASCII}}
    made.create(ids["logged"], taskQueueId=WORKED, payload={**payload, "command": [["sh", "-c", script]]})
    wait_for_task(queue, ids["logged"])
    published = taskcluster.QueueEvents(made.local.options()).artifactCreated({"taskId": ids["live"]})
    with made.local.listen(published) as messages:
        made.create(ids["live"], taskQueueId=WORKED, payload={**payload, "command": [["cat", str(pipe)]]})
        # Its live log.
        messages.get(timeout=60)


def _fill_services(made: Populated) -> None:
    options, now = made.local.options(), made.local.now()
    later = taskcluster.fromNow("1 month", now)
    auth = taskcluster.Auth(options)
    auth.createClient("proj/ci", {"description": ATTACK, "expires": later, "scopes": [ASCII]})
    auth.createRole(f"role {ASCII}", {"description": ATTACK, "scopes": [ASCII, "queue:create-task:*"]})
    auth.createRole(
        "hook-id:group/hook", {"description": ATTACK, "scopes": ["queue:create-task:*", "queue:scheduler-id:*"]}
    )
    taskcluster.Secrets(options).set(f"secret {ASCII}", {"secret": {ATTACK: ATTACK}, "expires": later})
    hook: Any = {
        "metadata": {"name": ATTACK, "description": ATTACK, "owner": "o@example.com"},
        "schedule": ["0 0 3 * * *"],
        "bindings": [{"exchange": f"exchange/{ASCII}", "routingKeyPattern": ATTACK}],
        "task": {
            "taskQueueId": "proj/hooked",
            "created": {"$fromNow": "0 seconds"},
            "deadline": {"$fromNow": "1 day"},
            "payload": {ATTACK: ATTACK},
            "metadata": {"name": ATTACK, "description": ATTACK, "owner": ATTACK, "source": URL},
        },
        "triggerSchema": {"type": "object", "description": ATTACK},
    }
    hooks = taskcluster.Hooks(options)
    hooks.createHook("group", "hook", hook)
    hooks.triggerHook("group", "hook", {ATTACK: ATTACK})
    failing: Any = {**hook, "task": {"$eval": ASCII}}
    hooks.createHook("group", "failing", failing)
    with contextlib.suppress(taskcluster.TaskclusterRestFailure):
        hooks.triggerHook("group", "failing", {})
    index: Any = {"taskId": made.tasks["completed"], "rank": 1, "data": {ATTACK: ATTACK}, "expires": later}
    taskcluster.Index(options).insertTask("proj.ci.other", index)
    taskcluster.PurgeCache(options).purgeCache(QUEUE, {"cacheName": ATTACK})
    notify = taskcluster.Notify(options)
    mail: Any = {
        "address": "o@example.com",
        "subject": ATTACK,
        "content": ATTACK,
        "link": {"text": ASCII[:40], "href": SCRIPT},
    }
    notify.email(mail)
    notify.addDenylistAddress({"notificationType": "matrix-room", "notificationAddress": ATTACK})
    notify.pulse({"routingKey": ASCII, "message": {ATTACK: ATTACK}})
    notify.matrix({"roomId": ASCII, "body": ATTACK, "formattedBody": ATTACK, "format": ATTACK})
    notify.slack({"channelId": ATTACK, "text": ATTACK})
    manager = taskcluster.WorkerManager(options)
    pool: Any = {
        "providerId": "static",
        "description": ATTACK,
        "config": {"workerConfig": {ATTACK: ATTACK}, "launchConfigs": [{ATTACK: ATTACK}]},
        "owner": "o@example.com",
        "emailOnError": False,
    }
    manager.createWorkerPool(QUEUE, pool)
    worker: Any = {"expires": later, "capacity": 1, "providerInfo": {"staticSecret": taskcluster.slugId() * 2}}
    manager.createWorker(QUEUE, "g", "w", worker)
    error: Any = {
        "workerGroup": "g",
        "workerId": "w",
        "kind": ATTACK[:128],
        "title": ATTACK[:128],
        "description": ATTACK,
        "extra": {ATTACK: ATTACK},
    }
    manager.reportWorkerError(QUEUE, error)
    quarantine: Any = {"quarantineUntil": later, "quarantineInfo": ATTACK}
    made.queue().quarantineWorker("proj", "ci", "g", "w", quarantine)
