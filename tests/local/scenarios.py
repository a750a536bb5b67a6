"""Scenarios of programs, for any client with the same interface. Run `scenarios.py sync|async`.

Each scenario is a generator that yields the results of a client's methods. The runner awaits the coroutines of an async
client. The deployment and its credentials are in the environment. The names of passed scenarios are printed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
import urllib.request
import uuid
from collections.abc import Callable, Generator
from datetime import datetime, timedelta, timezone
from typing import Any

import taskcluster
import taskcluster.aio
from taskcluster.exceptions import TaskclusterRestFailure

Scenario = Generator[Any, Any, None]
Clients = Callable[..., Any]
"""Returns a client for a service's class name, with more options."""

WORKER = {"workerGroup": "local", "workerId": "worker-1"}


def later(**span: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(**span)


def definition(**fields: Any) -> dict[str, Any]:
    return {
        "taskQueueId": "proj/ci",
        "created": taskcluster.fromNowJSON("0 seconds"),
        "deadline": taskcluster.fromNowJSON("1 hour"),
        "payload": {"command": ["true"]},
        "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
        **fields,
    }


def new_worker_type() -> str:
    return f"w{uuid.uuid4().hex[:8]}"


def refused(status: int, error: TaskclusterRestFailure) -> None:
    assert error.status_code == status, (status, error.status_code, str(error))


def life_of_a_task(client: Clients) -> Scenario:
    queue, task = client("Queue"), taskcluster.slugId()
    queue_id = f"proj/{new_worker_type()}"
    created = yield queue.createTask(task, definition(taskQueueId=queue_id, priority="high"))
    assert created["status"]["state"] == "pending"
    again = yield queue.status(task)
    assert again == created
    counts = yield queue.taskQueueCounts(queue_id)
    assert (counts["pendingTasks"], counts["claimedTasks"]) == (1, 0)
    claimed = yield queue.claimWork(queue_id, {**WORKER, "tasks": 2})
    (claim,) = claimed["tasks"]
    assert claim["status"]["taskId"] == task
    mine = client("Queue", credentials=claim["credentials"])
    reclaimed = yield mine.reclaimTask(task, "0")
    assert reclaimed["status"]["state"] == "running"
    done = yield mine.reportCompleted(task, "0")
    assert done["status"]["state"] == "completed"
    try:
        yield queue.reportFailed(task, "0")
    except TaskclusterRestFailure as error:
        refused(409, error)
    else:
        raise AssertionError("a completed run failed")
    got = yield queue.task(task)
    assert got["priority"] == "high"


def dependencies_and_groups(client: Clients) -> Scenario:
    queue, group, first, second = client("Queue"), *(taskcluster.slugId() for _ in range(3))
    fields = {"taskGroupId": group, "schedulerId": "scenarios"}
    yield queue.createTask(first, definition(**fields))
    held = yield queue.createTask(second, definition(dependencies=[first], **fields))
    assert held["status"]["state"] == "unscheduled"
    dependents = yield queue.listDependentTasks(first)
    assert [each["status"]["taskId"] for each in dependents["tasks"]] == [second]
    yield queue.claimTask(first, "0", WORKER)
    yield queue.reportException(first, "0", {"reason": "worker-shutdown"})
    retried = yield queue.status(first)
    assert [run["reasonCreated"] for run in retried["status"]["runs"]] == ["scheduled", "retry"]
    yield queue.claimTask(first, "1", WORKER)
    yield queue.reportCompleted(first, "1")
    released = yield queue.status(second)
    assert released["status"]["state"] == "pending"
    pages = [(yield queue.listTaskGroup(group, query={"limit": 1}))]
    token = pages[0]["continuationToken"]
    pages.append((yield queue.listTaskGroup(group, query={"limit": 1, "continuationToken": token})))
    assert "continuationToken" not in pages[1]
    assert {page["tasks"][0]["status"]["taskId"] for page in pages} == {first, second}
    yield queue.sealTaskGroup(group)
    cancelled = yield queue.cancelTaskGroup(group)
    assert cancelled["taskIds"] == [second]
    rerun = yield queue.rerunTask(second)
    assert rerun["status"]["state"] == "pending"
    try:
        yield queue.createTask(taskcluster.slugId(), definition(**fields))
    except TaskclusterRestFailure as error:
        refused(409, error)
    else:
        raise AssertionError("a sealed group took a task")


def artifacts(client: Clients) -> Scenario:
    queue, task = client("Queue"), taskcluster.slugId()
    yield queue.createTask(task, definition())
    yield queue.claimTask(task, "0", WORKER)
    expires, content = taskcluster.fromNowJSON("30 minutes"), b"hello"
    put = yield queue.createArtifact(
        task, "0", "public/a.txt", {"storageType": "s3", "expires": expires, "contentType": "text/plain"}
    )
    request = urllib.request.Request(put["putUrl"], data=content, method="PUT", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request, timeout=30).close()
    yield queue.createArtifact(
        task, "0", "public/link", {"storageType": "link", "expires": expires, "artifact": "public/a.txt"}
    )
    yield queue.createArtifact(
        task,
        "0",
        "public/missing",
        {"storageType": "error", "expires": expires, "reason": "file-missing-on-worker", "message": "not there"},
    )
    listed = yield queue.listLatestArtifacts(task)
    assert [each["name"] for each in listed["artifacts"]] == ["public/a.txt", "public/link", "public/missing"]
    found = yield queue.latestArtifact(task, "public/link")
    with urllib.request.urlopen(found["url"], timeout=30) as response:
        assert response.read() == content
    failed = yield queue.artifact(task, "0", "public/missing")
    assert (failed["storageType"], failed["reason"]) == ("error", "file-missing-on-worker")
    url = queue.buildSignedUrl("getLatestArtifact", task, "public/a.txt")
    with urllib.request.urlopen(url, timeout=30) as response:
        assert (response.read(), response.headers["Content-Type"]) == (content, "text/plain")
    try:
        yield queue.latestArtifactInfo(task, "public/other")
    except TaskclusterRestFailure as error:
        refused(404, error)
    else:
        raise AssertionError("an artifact that is not there was found")


def objects(client: Clients) -> Scenario:
    objects, name = client("Object"), f"scenarios/{taskcluster.slugId()}"
    content = b"x" * 100
    upload = {"projectId": "scenarios", "uploadId": taskcluster.slugId()}
    created = yield objects.createUpload(
        name,
        {
            **upload,
            "expires": taskcluster.fromNowJSON("1 hour"),
            "proposedUploadMethods": {
                "dataInline": {"contentType": "text/plain", "objectData": base64.b64encode(content).decode()}
            },
        },
    )
    assert created["uploadMethod"] == {"dataInline": True}
    hashes = {"sha256": hashlib.sha256(content).hexdigest()}
    yield objects.finishUpload(name, {**upload, "hashes": hashes})
    download = yield objects.startDownload(name, {"acceptDownloadMethods": {"getUrl": True}})
    assert (download["method"], download["hashes"]) == ("getUrl", hashes)
    with urllib.request.urlopen(download["url"], timeout=30) as response:
        assert response.read() == content


def secrets(client: Clients) -> Scenario:
    secrets, name = client("Secrets"), f"project/scenarios/{taskcluster.slugId()}"
    yield secrets.set(name, {"secret": {"b": 1, "a": [None]}, "expires": later(hours=1)})
    got = yield secrets.get(name)
    assert got["secret"] == {"b": 1, "a": [None]}
    found: list[str] = []
    yield secrets.list(paginationHandler=lambda page: found.extend(page["secrets"]))
    assert name in found
    limited = client("Secrets", authorizedScopes=["secrets:get:other"])
    try:
        yield limited.get(name)
    except TaskclusterRestFailure as error:
        refused(403, error)
    else:
        raise AssertionError("a secret was read without a scope")
    yield secrets.remove(name)
    try:
        yield secrets.get(name)
    except TaskclusterRestFailure as error:
        refused(404, error)
    else:
        raise AssertionError("a removed secret was read")


def clients_and_roles(client: Clients) -> Scenario:
    auth, name = client("Auth"), f"scenarios/{taskcluster.slugId()}"
    role = f"scenarios:{name}"
    yield auth.createRole(role, {"scopes": ["secrets:get:scenarios/*"], "description": "what it is for"})
    made = yield auth.createClient(
        name, {"expires": later(hours=1), "description": "what it is for", "scopes": [f"assume:{role}"]}
    )
    own = client("Auth", credentials={"clientId": name, "accessToken": made["accessToken"]})
    current = yield own.currentScopes()
    assert "secrets:get:scenarios/*" in current["scopes"]
    temporary = taskcluster.createTemporaryCredentials(
        name, made["accessToken"], start=later(minutes=-1), expiry=later(minutes=10), scopes=[f"assume:{role}"]
    )
    lent = yield client("Auth", credentials=temporary).currentScopes()
    assert set(lent["scopes"]) == set(current["scopes"])
    yield auth.disableClient(name)
    try:
        yield own.currentScopes()
    except taskcluster.exceptions.TaskclusterAuthFailure:
        pass
    else:
        raise AssertionError("a disabled client was let in")
    expanded = yield auth.expandScopes({"scopes": [f"assume:{role}"]})
    assert "secrets:get:scenarios/*" in expanded["scopes"]
    yield auth.deleteClient(name)
    yield auth.deleteRole(role)


def an_index(client: Clients) -> Scenario:
    index, queue, task = client("Index"), client("Queue"), taskcluster.slugId()
    path = f"scenarios.{taskcluster.slugId()}.latest"
    yield queue.createTask(task, definition(routes=[f"index.{path}"]))
    yield queue.claimTask(task, "0", WORKER)
    yield queue.reportCompleted(task, "0")
    found = yield index.findTask(path)
    assert found["taskId"] == task
    yield index.insertTask(path, {"taskId": task, "rank": 5, "data": {"x": 1}, "expires": later(hours=1)})
    listed = yield index.listTasks(path.rpartition(".")[0])
    assert [each["rank"] for each in listed["tasks"]] == [5]
    yield index.deleteTask(path)


def a_hook(client: Clients) -> Scenario:
    hooks, queue, auth = client("Hooks"), client("Queue"), client("Auth")
    group, hook = "scenarios", taskcluster.slugId()
    scopes = ["queue:create-task:project:none", "queue:create-task:lowest:proj/ci", "queue:scheduler-id:-"]
    yield auth.createRole(f"hook-id:{group}/{hook}", {"scopes": scopes, "description": "what it may do"})
    task = definition()
    yield hooks.createHook(
        group,
        hook,
        {
            "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "emailOnError": False},
            "task": {
                **{name: task[name] for name in ("taskQueueId", "metadata")},
                "created": {"$fromNow": "0 seconds"},
                "deadline": {"$fromNow": "1 hour"},
                "payload": {"greeting": "${payload.greeting}", "by": "${firedBy}"},
            },
            "triggerSchema": {"type": "object", "properties": {"greeting": {"type": "string"}}},
        },
    )
    fired = yield hooks.triggerHook(group, hook, {"greeting": "hello"})
    made = yield queue.task(fired["taskId"] if "taskId" in fired else fired["status"]["taskId"])
    assert made["payload"] == {"greeting": "hello", "by": "triggerHook"}
    last = yield hooks.listLastFires(group, hook)
    assert [fire["result"] for fire in last["lastFires"]] == ["success"]
    yield hooks.removeHook(group, hook)


def a_worker(client: Clients) -> Scenario:
    manager, pool = (
        client("WorkerManager"),
        f"proj/{'w' + taskcluster.slugId()[:6].lower().strip('-_').replace('_', 'x')}",
    )
    yield manager.createWorkerPool(
        pool,
        {
            "providerId": "static",
            "description": "d",
            "config": {},
            "owner": "o@example.com",
            "emailOnError": False,
        },
    )
    secret = taskcluster.slugId() + taskcluster.slugId()
    yield manager.createWorker(
        pool, "local", "worker-1", {"expires": later(hours=1), "capacity": 1, "providerInfo": {"staticSecret": secret}}
    )
    registered = yield manager.registerWorker(
        {
            "workerPoolId": pool,
            "providerId": "static",
            "workerGroup": "local",
            "workerId": "worker-1",
            "workerIdentityProof": {"staticSecret": secret},
        }
    )
    queue, task = client("Queue"), taskcluster.slugId()
    yield queue.createTask(task, definition(taskQueueId=pool))
    claimed = yield client("Queue", credentials=registered["credentials"]).claimWork(pool, WORKER)
    assert [claim["status"]["taskId"] for claim in claimed["tasks"]] == [task]
    workers = yield queue.listWorkers(*pool.split("/"))
    assert [worker["workerId"] for worker in workers["workers"]] == ["worker-1"]
    yield manager.removeWorker(pool, "local", "worker-1")


def the_others(client: Clients) -> Scenario:
    purge_cache, cache = client("PurgeCache"), taskcluster.slugId()
    yield purge_cache.purgeCache("proj/ci", {"cacheName": cache})
    purged = yield purge_cache.purgeRequests("proj/ci")
    assert cache in [request["cacheName"] for request in purged["requests"]]
    notify = client("Notify")
    yield notify.email({"address": "a@example.com", "subject": cache, "content": "c"})
    yield notify.addDenylistAddress({"notificationType": "email", "notificationAddress": f"{cache}@example.com"})
    try:
        yield notify.email({"address": f"{cache}@example.com", "subject": "s", "content": "c"})
    except TaskclusterRestFailure as error:
        refused(400, error)
    else:
        raise AssertionError("a denied address was written to")
    builds = yield client("Github").builds()
    assert isinstance(builds["builds"], list)
    for service in ("Auth", "Github", "Hooks", "Index", "Notify", "Object", "PurgeCache", "Queue", "Secrets"):
        pong = yield client(service).ping()
        assert pong["alive"] is True
    try:
        yield client("Auth").sentryDSN("project")
    except TaskclusterRestFailure as error:
        refused(400, error)
    else:
        raise AssertionError("there is no Sentry here")


SCENARIOS: tuple[Callable[[Clients], Scenario], ...] = (
    life_of_a_task,
    dependencies_and_groups,
    artifacts,
    objects,
    secrets,
    clients_and_roles,
    an_index,
    a_hook,
    a_worker,
    the_others,
)


def drive(scenario: Scenario) -> None:
    result: Any = None
    while True:
        try:
            result = scenario.send(result)
        except StopIteration:
            return


async def drive_async(scenario: Scenario) -> None:
    advance: Callable[[Any], Any] = scenario.send
    result: Any = None
    while True:
        try:
            call = advance(result)
        except StopIteration:
            return
        try:
            advance, result = scenario.send, await call
        except Exception as error:
            advance, result = scenario.throw, error


def main(mode: str) -> None:
    options = taskcluster.optionsFromEnvironment()

    def sync_client(name: str, **more: Any) -> Any:
        return getattr(taskcluster, name)({**options, **more})

    async def run_all() -> None:
        async with taskcluster.aio.createSession() as session:

            def client(name: str, **more: Any) -> Any:
                return getattr(taskcluster.aio, name)({**options, **more}, session=session)

            for scenario in SCENARIOS:
                await drive_async(scenario(client))
                print(scenario.__name__, flush=True)

    if mode == "async":
        asyncio.run(run_all())
        return
    for scenario in SCENARIOS:
        drive(scenario(sync_client))
        print(scenario.__name__, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
