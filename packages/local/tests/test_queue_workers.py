"""Tests of the queue service: workers, task queues, provisioners and counts of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

ROOT = "/api/queue/v1"
WORKER = {"workerGroup": "g", "workerId": "i"}
TYPE = f"{ROOT}/provisioners/p/worker-types/w"
Make = Callable[..., Any]


@pytest.fixture
def create(site: Any, slug: Make, task: Make) -> Make:
    def call(number: int = 1, **fields: Any) -> Any:
        return site.ok("PUT", f"{ROOT}/task/{slug(number)}", task(**fields))["status"]

    return call


@pytest.fixture
def poll(site: Any) -> Make:
    """Claims work for a worker."""

    def call(queue: str = "p/w", tasks: int = 1, **worker: str) -> Any:
        return site.ok("POST", f"{ROOT}/claim-work/{queue}", {**WORKER, **worker, "tasks": tasks})["tasks"]

    return call


def test_knows_nothing_before_first_claim(site: Any, create: Make) -> None:
    create()
    for path, name in (
        (f"{ROOT}/provisioners", "provisioners"),
        (f"{ROOT}/task-queues", "taskQueues"),
        (f"{ROOT}/provisioners/p/worker-types", "workerTypes"),
        (f"{TYPE}/workers", "workers"),
    ):
        assert site.ok("GET", path) == {name: []}
    for path in (f"{ROOT}/provisioners/p", f"{ROOT}/task-queues/p%2Fw", TYPE, f"{TYPE}/workers/g/i"):
        response = site.call("GET", path)
        assert (response.status, response.code) == (404, "ResourceNotFound")


def test_own_api_lists_queues_without_workers(site: Any, create: Make, poll: Make) -> None:
    for number, queue in enumerate(("p/done", "p/used", "p/waits", "p/waits")):
        create(number, taskQueueId=queue)
    poll("p/used")
    path = "/api/local/v1/task-queues"
    first = site.ok("GET", f"{path}?limit=2", by=None)
    assert first["taskQueues"] == [
        {"taskQueueId": "p/done", "pendingTasks": 1, "claimedTasks": 0},
        {"taskQueueId": "p/used", "pendingTasks": 0, "claimedTasks": 1},
    ]
    [last] = site.ok("GET", f"{path}?continuationToken={first['continuationToken']}")["taskQueues"]
    assert last == {"taskQueueId": "p/waits", "pendingTasks": 2, "claimedTasks": 0}
    site.clock.advance(days=1)
    asyncio.run(site.deployment.pass_time())
    assert site.ok("GET", path) == {"taskQueues": []}


def test_records_worker(site: Any, create: Make, poll: Make, slug: Make) -> None:
    poll()
    first = site.clock.at()
    site.clock.advance(hours=1)
    create()
    poll()
    dates = {"expires": site.clock.at(days=1), "lastDateActive": site.clock.at()}
    known = {**dates, "description": "", "stability": "experimental"}
    names = {"provisionerId": "p", "workerType": "w"}
    assert site.ok("GET", f"{ROOT}/provisioners/p") == {"provisionerId": "p", **known}
    assert site.ok("GET", f"{ROOT}/provisioners")["provisioners"] == [{"provisionerId": "p", **known}]
    assert site.ok("GET", f"{ROOT}/task-queues/p%2Fw") == {"taskQueueId": "p/w", **known}
    assert site.ok("GET", f"{ROOT}/task-queues")["taskQueues"] == [{"taskQueueId": "p/w", **known}]
    worker_type = {**names, "taskQueueId": "p/w", **known}
    assert site.ok("GET", TYPE) == worker_type
    assert site.ok("GET", f"{ROOT}/provisioners/p/worker-types")["workerTypes"] == [worker_type]
    latest = {"taskId": slug(1), "runId": 0}
    worker = {**WORKER, "firstClaim": first, "lastDateActive": site.clock.at()}
    assert site.ok("GET", f"{TYPE}/workers")["workers"] == [{**worker, "latestTask": latest}]
    assert site.ok("GET", f"{TYPE}/workers/g/i") == {
        **names,
        "taskQueueId": "p/w",
        **worker,
        "recentTasks": [latest],
        "expires": site.clock.at(days=1),
        "quarantineUntil": site.clock.at(days=-3650),
    }


def test_records_recent_tasks(site: Any, create: Make, poll: Make, slug: Make) -> None:
    for number in range(23):
        create(number)
    poll(tasks=3)
    poll(tasks=20)
    recent = site.ok("GET", f"{TYPE}/workers/g/i")["recentTasks"]
    assert [each["taskId"] for each in recent] == [slug(number) for number in range(3, 23)]


def test_claim_task_records_worker(site: Any, create: Make, slug: Make) -> None:
    create()
    site.ok("POST", f"{ROOT}/task/{slug(1)}/runs/0/claim", WORKER)
    assert site.ok("GET", f"{TYPE}/workers/g/i")["recentTasks"] == [{"taskId": slug(1), "runId": 0}]


def test_deletes_expired_records(site: Any, poll: Make) -> None:
    poll()
    site.clock.advance(hours=23)
    poll(workerId="j")
    site.clock.advance(hours=2)
    # Even if the rows have not been deleted yet.
    for _ in range(2):
        assert [each["workerId"] for each in site.ok("GET", f"{TYPE}/workers")["workers"]] == ["j"]
        assert site.call("GET", f"{TYPE}/workers/g/i").status == 404
        assert site.call("GET", TYPE).status == 200
        asyncio.run(site.deployment.pass_time())
    assert [row["workerId"] for row in site.store.all("SELECT workerId FROM queue_workers")] == ["j"]
    site.clock.advance(days=1)
    asyncio.run(site.deployment.pass_time())
    for path in (TYPE, f"{ROOT}/task-queues/p%2Fw", f"{ROOT}/provisioners/p"):
        assert site.call("GET", path).status == 404
    for table in ("provisioners", "task_queues", "queue_workers"):
        assert site.store.all(f"SELECT * FROM {table}") == []


def test_quarantined_worker_gets_no_tasks(site: Any, create: Make, poll: Make) -> None:
    path = f"{TYPE}/workers/g/i"
    until = site.clock.at(days=30)
    assert site.call("PUT", path, {"quarantineUntil": until}).code == "ResourceNotFound"
    poll()
    active = site.clock.at()
    create()
    site.clock.advance(minutes=1)
    found = site.ok("PUT", path, {"quarantineUntil": until, "quarantineInfo": "broken"})
    assert found["lastDateActive"] == active
    assert (found["quarantineUntil"], found["expires"], found["recentTasks"]) == (until, until, [])
    assert poll() == []
    workers = f"{TYPE}/workers"
    assert len(site.ok("GET", f"{workers}?quarantined=true")["workers"]) == 1
    assert site.ok("GET", f"{workers}?quarantined=false")["workers"] == []
    # For this worker in this queue only.
    assert len(poll(workerId="j")) == 1
    create(2, taskQueueId="p/other")
    assert len(poll("p/other")) == 1
    assert [each["workerId"] for each in site.ok("GET", f"{workers}?quarantined=false")["workers"]] == ["j"]
    create(3)
    site.ok("PUT", path, {"quarantineUntil": site.clock.at(days=-1)})
    assert len(poll()) == 1
    assert site.ok("GET", f"{workers}?quarantined=true")["workers"] == []


def test_quarantine_ends(site: Any, create: Make, poll: Make) -> None:
    poll()
    create(deadline=site.clock.at(days=1))
    site.ok("PUT", f"{TYPE}/workers/g/i", {"quarantineUntil": site.clock.at(minutes=5)})
    assert poll() == []
    site.clock.advance(minutes=6)
    assert len(poll()) == 1


@pytest.mark.parametrize("poll_seconds", [20])
def test_released_waiting_worker_gets_task(site: Any, create: Make, poll: Make) -> None:
    create()
    poll()
    create(2)
    path = f"{TYPE}/workers/g/i"
    site.ok("PUT", path, {"quarantineUntil": site.clock.at(days=1)})

    async def scenario() -> None:
        waiting = asyncio.create_task(site.send(site.request("POST", f"{ROOT}/claim-work/p/w", WORKER)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        await site.send(site.request("PUT", path, {"quarantineUntil": site.clock.at(days=-1)}))
        assert len((await asyncio.wait_for(waiting, 60)).json["tasks"]) == 1

    asyncio.run(scenario())


def test_declares_worker(new_site: Make) -> None:
    scopes = ["queue:declare-worker:p/w/g/i#expires", "queue:get-worker:*"]
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": scopes}]) as site:
        payload = {"expires": site.clock.at(days=7)}
        found = site.ok("PUT", f"{TYPE}/g/i", payload, by="c")
        assert (found["expires"], found["firstClaim"]) == (payload["expires"], site.clock.at())
        assert site.ok("GET", f"{TYPE}/workers/g/i", by="c") == found
        assert site.call("PUT", f"{TYPE}/g/j", payload, by="c").status == 403
        assert site.call("PUT", f"{TYPE}/g/i", {}, by="c").code == "InputValidationError"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("PUT", f"{ROOT}/provisioners/p"),
        ("PUT", f"{ROOT}/provisioners/p/worker-types/w"),
        ("POST", f"{ROOT}/task-queues/counts"),
    ],
)
def test_refuses_removed_methods(site: Any, verb: str, path: str) -> None:
    response = site.call(verb, path, {})
    assert (response.status, response.code) == (400, "NotInLocalDeployment")


def test_counts_tasks(site: Any, create: Make, poll: Make, slug: Make) -> None:
    def counts(queue: str = "p/w") -> tuple[int, int]:
        found = site.ok("GET", f"{ROOT}/task-queues/{queue}/counts", by=None)
        assert site.ok("GET", f"{ROOT}/pending/{queue}", by=None)["pendingTasks"] == found["pendingTasks"]
        return found["pendingTasks"], found["claimedTasks"]

    def post(number: int, action: str, payload: Any = None) -> None:
        site.ok("POST", f"{ROOT}/task/{slug(number)}/{action}", payload)

    assert counts() == (0, 0)
    for number in range(1, 5):
        create(number)
    create(5, dependencies=[slug(5)])
    create(6, taskQueueId="p/other")
    assert (counts(), counts("p/other")) == ((4, 0), (1, 0))
    poll(tasks=3)
    assert counts() == (1, 3)
    post(1, "runs/0/completed")
    post(2, "runs/0/exception", {"reason": "worker-shutdown"})
    assert counts() == (2, 1)
    post(1, "rerun")
    post(5, "schedule")
    assert counts() == (4, 1)
    post(4, "cancel")
    post(3, "cancel")
    assert counts() == (3, 0)
    # Even before the overdue task is resolved.
    site.clock.advance(hours=1, seconds=1)
    assert (counts(), counts("p/other")) == ((0, 0), (0, 0))
    site.clock.advance(hours=1)
    asyncio.run(site.deployment.pass_time())
    assert (counts(), counts("p/other")) == ((0, 0), (0, 0))


def test_lists_pending_and_claimed_tasks(site: Any, create: Make, poll: Make, slug: Make) -> None:
    for number, priority in enumerate(("low", "high", "low", "lowest", "high"), 1):
        create(number, priority=priority)
    inserted = site.clock.at()
    path = f"{ROOT}/task-queues/p/w"
    page = site.ok("GET", f"{path}/pending?limit=3")
    rest = site.ok("GET", f"{path}/pending?limit=3&continuationToken={page['continuationToken']}")
    found = [*page["tasks"], *rest["tasks"]]
    # In the order in which they would be claimed.
    assert [each["taskId"] for each in found] == [slug(number) for number in (2, 5, 1, 3, 4)]
    assert {each["inserted"] for each in found} == {inserted}
    assert found[0]["task"] == site.ok("GET", f"{ROOT}/task/{slug(2)}")
    site.clock.advance(minutes=1)
    poll(tasks=3)
    poll(workerId="a")
    page = site.ok("GET", f"{path}/claimed?limit=1")
    rest = site.ok("GET", f"{path}/claimed?continuationToken={page['continuationToken']}")
    found = [*page["tasks"], *rest["tasks"]]
    assert [(each["taskId"], each["workerId"]) for each in found] == [
        (slug(3), "a"),
        (slug(1), "i"),
        (slug(2), "i"),
        (slug(5), "i"),
    ]
    assert {(each["runId"], each["claimed"], each["workerGroup"]) for each in found} == {(0, site.clock.at(), "g")}
    assert site.ok("GET", f"{ROOT}/task-queues/p/unknown/pending") == {"tasks": []}
    assert site.ok("GET", f"{ROOT}/task-queues/p/unknown/claimed") == {"tasks": []}


def test_lists_in_pages(site: Any, poll: Make) -> None:
    for queue in ("b/x", "a/y", "a-b/x", "a/x"):
        poll(queue)

    def all_of(path: str, name: str, key: str) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            page = site.ok("GET", f"{path}?limit=1{token}")
            found += [each[key] for each in page[name]]
            if "continuationToken" not in page:
                return found
            token = f"&continuationToken={page['continuationToken']}"

    assert all_of(f"{ROOT}/task-queues", "taskQueues", "taskQueueId") == ["a-b/x", "a/x", "a/y", "b/x"]
    assert all_of(f"{ROOT}/provisioners", "provisioners", "provisionerId") == ["a", "a-b", "b"]
    assert all_of(f"{ROOT}/provisioners/a/worker-types", "workerTypes", "workerType") == ["x", "y"]
    for worker in ("z", "y"):
        poll("b/x", workerGroup="a", workerId=worker)
    workers = f"{ROOT}/provisioners/b/worker-types/x/workers"
    assert all_of(workers, "workers", "workerId") == ["y", "z", "i"]
