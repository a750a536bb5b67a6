"""Tests of the pages of worker pools, task queues, workers, and of requests to purge caches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .visitor import ATTACKS, Visitor, assert_harmless

QUEUE = "/provisioners/proj/worker-types/ci"
WORKER = f"{QUEUE}/workers/group/worker"
SECRET = "s" * 44


@pytest.fixture(scope="module")
def running() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster(poll=0) as local:
        yield local


@pytest.fixture
def local(running: LocalTaskcluster) -> LocalTaskcluster:
    running.reset()
    return running


@pytest.fixture
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


def create_task(local: LocalTaskcluster, name: str = "n", queue: str = "proj/ci") -> str:
    taskId = taskcluster.slugId()
    definition: Any = {
        "taskQueueId": queue,
        "created": local.now(),
        "deadline": taskcluster.fromNow("1 hour", local.now()),
        "payload": {},
        "metadata": {"name": name, "description": "d", "owner": "o", "source": "https://example.com"},
    }
    taskcluster.Queue(local.options()).createTask(taskId, definition)
    return taskId


def claim(local: LocalTaskcluster, worker: str = "worker", tasks: int = 1) -> None:
    given: Any = {"workerGroup": "group", "workerId": worker, "tasks": tasks}
    taskcluster.Queue(local.options()).claimWork("proj/ci", given)


def create_pool(local: LocalTaskcluster, name: str = "proj/ci", **fields: Any) -> Any:
    manager: Any = taskcluster.WorkerManager(local.options())
    given: dict[str, Any] = {
        "providerId": "static",
        "description": "d",
        "config": {},
        "owner": "o@example.com",
        "emailOnError": False,
    }
    manager.createWorkerPool(name, {**given, **fields})
    return manager


def test_queues_without_pool_and_workers_are_found(local: LocalTaskcluster) -> None:
    anyone = Visitor(local)
    assert "taskcluster-local serve --worker proj/ci" in anyone.open("/worker-manager").text
    create_task(local)
    page = anyone.open("/worker-manager")
    assert {QUEUE, f"{QUEUE}/pending-tasks", f"{QUEUE}/claimed-tasks"} <= {*page.links}
    page = anyone.open(QUEUE)
    assert "Pending tasks 1 Claimed tasks 0" in page.text


@pytest.mark.parametrize("page", ["", "/workers", "/errors"])
@pytest.mark.parametrize("queue", ["proj/ci", "proj/CI_2"])
def test_addresses_of_pools_lead_to_queues_without_pool(root: Visitor, page: str, queue: str) -> None:
    found = root.send("GET", f"/worker-manager/{quote(queue, safe='')}{page}")
    provisioner, worker_type = queue.split("/")
    expected = f"/provisioners/{provisioner}/worker-types/{worker_type}"
    assert (found.status, found.headers["location"]) == (303, expected)


def test_queue_shows_tasks_and_workers(local: LocalTaskcluster, root: Visitor) -> None:
    assert "taskcluster-worker run --task-queue proj/ci" in root.open(QUEUE).text
    names = {name: create_task(local, name) for name in ("claimed", "waiting")}
    claim(local)
    page = root.open(QUEUE)
    assert "Pending tasks 1 Claimed tasks 1" in page.text
    assert "group/worker standalone" in page.text
    assert {WORKER, f"/tasks/{names['claimed']}/runs/0"} <= {*page.links}
    pending, claimed = root.open(f"{QUEUE}/pending-tasks"), root.open(f"{QUEUE}/claimed-tasks")
    assert f"/tasks/{names['waiting']}" in pending.links
    assert f"/tasks/{names['claimed']}" not in pending.links
    assert {WORKER, f"/tasks/{names['claimed']}"} <= {*claimed.links}


def test_worker_shows_latest_tasks(local: LocalTaskcluster, root: Visitor) -> None:
    tasks = [create_task(local, f"task {number}") for number in range(2)]
    claim(local)
    local.advance(minutes=21)
    claim(local, tasks=2)
    page = root.open(WORKER)
    runs = [link for link in page.links if "/runs/" in link]
    assert runs[-1] == f"/tasks/{tasks[0]}/runs/0"
    assert {*runs[:2]} == {f"/tasks/{tasks[0]}/runs/1", f"/tasks/{tasks[1]}/runs/0"}
    assert "running task 0" in page.text
    assert root.open(f"{QUEUE}/workers/group/unknown").status == 404


def test_quarantine_starts_and_ends(local: LocalTaskcluster, root: Visitor) -> None:
    claim(local)
    page = root.submit(root.open(WORKER), WORKER, until="2 hours", reason="bad disk")
    assert page.path == WORKER
    assert "In quarantine until" in page.text
    assert "by static/taskcluster/root: bad disk" in page.text
    assert "in quarantine until" in root.open(QUEUE).text
    assert [WORKER in root.open(f"{QUEUE}?quarantined={value}").links for value in ("true", "false")] == [True, False]
    page.forms.reverse()
    assert "In quarantine until" not in root.submit(page, WORKER).text


@pytest.mark.parametrize("until", ["", "soon", "2030-13-01T00:00:00Z", '"><img src=x>'])
def test_refused_quarantine_keeps_the_form(local: LocalTaskcluster, root: Visitor, until: str) -> None:
    claim(local)
    page = root.submit(root.open(WORKER), WORKER, until=until, reason="bad disk")
    assert page.status == 400
    assert "quarantineUntil" in page.text
    assert page.form(WORKER).fields["reason"] == "bad disk"
    assert page.form(WORKER).fields["until"] == until
    assert_harmless(page)


def test_quarantine_requires_its_scope(local: LocalTaskcluster) -> None:
    claim(local)
    reader = Visitor(local)
    reader.sign_in(local.options(["queue:get-worker:*"])["credentials"])
    page = reader.submit(reader.open(WORKER), WORKER, until="1 day")
    assert page.status == 403
    assert "queue:quarantine-worker:proj/ci/group/worker" in page.text


def test_pool_shows_workers_and_errors(local: LocalTaskcluster, root: Visitor) -> None:
    manager = create_pool(local, config={"workerConfig": {"a": 1}})
    base = "/worker-manager/proj%2Fci"
    assert "createWorker proj/ci" in root.open(f"{base}/workers").text
    assert "workerManager.reportWorkerError" in root.open(f"{base}/errors").text
    given = {"expires": taskcluster.fromNow("1 day"), "capacity": 3, "providerInfo": {"staticSecret": SECRET}}
    manager.createWorker("proj/ci", "group", "worker", given)
    error = {"kind": "boot", "title": "no disk", "description": "it is full", "extra": {"free": 0}}
    manager.reportWorkerError("proj/ci", {"workerGroup": "group", "workerId": "worker", **error})
    assert {base, f"{base}/workers"} <= {*root.open("/worker-manager").links}
    pool = root.open(base)
    assert "running 1 3" in pool.text
    assert '"workerConfig"' in pool.text
    assert base in root.open(QUEUE).links
    workers = root.open(f"{base}/workers")
    assert "group/worker running 3" in workers.text
    assert "no disk boot it is full" in root.open(f"{base}/errors").text
    assert SECRET not in pool.html + workers.html
    # It has not asked for tasks, so that the queue does not know it.
    page = root.open(WORKER)
    assert page.status == 200
    assert "Capacity 3" in page.text


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_texts_are_escaped(local: LocalTaskcluster, root: Visitor, attack: str) -> None:
    manager = create_pool(local, description=attack, config={"workerConfig": {attack: attack}})
    error = {"kind": "boot", "title": attack, "description": attack, "extra": {attack: attack}}
    manager.reportWorkerError("proj/ci", {"workerGroup": "group", "workerId": "worker", **error})
    for _ in range(2):
        create_task(local, attack)
    claim(local)
    root.submit(root.open(WORKER), WORKER, until="1 day", reason=attack)
    taskcluster.PurgeCache(local.options()).purgeCache("proj/ci", {"cacheName": attack})
    base = "/worker-manager/proj%2Fci"
    shown = (base, f"{base}/errors", f"{QUEUE}/pending-tasks", f"{QUEUE}/claimed-tasks", WORKER, "/purge-caches")
    for path in shown:
        page = root.open(path)
        assert attack in page.raw_text, path
        assert_harmless(page)


def test_long_listings_have_pages(local: LocalTaskcluster, root: Visitor) -> None:
    queue = taskcluster.Queue(local.options())
    for number in range(101):
        queue.claimWork(f"proj/ci-{number}", {"workerGroup": "g", "workerId": "i", "tasks": 1})
    first = root.open("/worker-manager")
    assert "More task queues" in first.text
    [link] = [link for link in first.links if link.startswith("?")]
    rest = root.open(f"/worker-manager{link}")
    assert rest.status == 200
    assert "More task queues" not in rest.text
    rows = [sum(tag == "tr" for tag, _ in page.elements) - 1 for page in (first, rest)]
    assert rows == [100, 1]


def test_purging_a_cache(local: LocalTaskcluster, root: Visitor) -> None:
    create_task(local)
    page = root.open("/purge-caches?queue=proj%2Fci")
    assert "taskcluster purge-cache proj/ci CACHE" in page.text
    assert page.form("/purge-caches").fields["queue"] == "proj/ci"
    page = root.submit(page, "/purge-caches", cache="level-1-checkouts")
    assert (page.path, page.status) == ("/purge-caches", 200)
    assert "proj/ci level-1-checkouts" in page.text
    [found] = taskcluster.PurgeCache(local.options()).purgeRequests("proj/ci")["requests"]
    assert found["cacheName"] == "level-1-checkouts"


@pytest.mark.parametrize(
    ("scopes", "queue", "status", "message"),
    [
        (["purge-cache:proj/ci:other"], "proj/ci", 403, "purge-cache:proj/ci:mine"),
        (["*"], "proj", 400, "workerPoolId"),
        (["*"], '"><img src=x onerror=alert(1)>', 400, "workerPoolId"),
    ],
    ids=["scope", "name", "attack"],
)
def test_refused_purge_keeps_the_form(
    local: LocalTaskcluster, scopes: list[str], queue: str, status: int, message: str
) -> None:
    visitor = Visitor(local)
    visitor.sign_in(local.options(scopes)["credentials"])
    page = visitor.submit(visitor.open("/purge-caches"), "/purge-caches", queue=queue, cache="mine")
    assert page.status == status
    assert message in page.text
    fields = page.form("/purge-caches").fields
    assert (fields["queue"], fields["cache"]) == (queue, "mine")
    assert_harmless(page)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/worker-manager", "the worker pools"),
        (QUEUE, "the workers"),
        (f"{QUEUE}/pending-tasks", "the tasks"),
        (f"{QUEUE}/claimed-tasks", "the tasks"),
    ],
)
def test_what_may_not_be_listed_is_said_in_place(local: LocalTaskcluster, path: str, what: str) -> None:
    page = Visitor(local).open(path)
    assert page.status == 200
    assert f"You may not list {what}. Sign in" in page.text
