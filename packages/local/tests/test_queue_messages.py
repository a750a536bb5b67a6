"""Tests of the queue service: its messages, their order and their schemas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskcluster_local.endpoints import references
from taskcluster_local.events import Binding, Message

ROOT = "/api/queue/v1"
PREFIX = "exchange/taskcluster-queue/v1/"
WORKER = {"workerGroup": "g", "workerId": "i"}
Make = Callable[..., Any]


@pytest.fixture
def published(site: Any) -> Iterator[list[Message]]:
    """The published messages, checked against their schemas."""
    found: list[Message] = []
    schemas = {PREFIX + exchange["exchange"]: exchange["schema"] for exchange in references()["queue"]["exchanges"]}

    def receive(message: Message) -> None:
        assert not site.store._connection.in_transaction
        errors = site.deployment.api.schemas.schema(schemas[message.exchange]).errors(message.payload)
        assert not errors, (message.exchange, errors)
        found.append(message)

    subscription = site.deployment.events.subscribe([Binding(name, "#") for name in schemas], receive)
    yield found
    subscription.close()


@pytest.fixture
def heard(published: list[Message]) -> Callable[[], list[str]]:
    """Returns the messages published since the last call: exchange, number of the task, and runId."""

    def call() -> list[str]:
        told = []
        for message in published:
            words = message.routingKey.split(".")
            short = f"{message.exchange.removeprefix(PREFIX)} {words[1][7]}"
            told.append(short if len(words) == 4 or words[2] == "_" else f"{short}/{words[2]}")
        published.clear()
        return told

    return call


@pytest.fixture
def create(site: Any, slug: Make, task: Make) -> Make:
    def call(number: int = 1, **fields: Any) -> Any:
        return site.ok("PUT", f"{ROOT}/task/{slug(number)}", task(**fields))

    return call


@pytest.fixture
def post(site: Any, slug: Make) -> Make:
    def call(number: int, action: str, payload: Any = None) -> Any:
        return site.call("POST", f"{ROOT}/task/{slug(number)}/{action}", payload)

    return call


@pytest.fixture
def claim(site: Any) -> Make:
    return lambda tasks=1: site.ok("POST", f"{ROOT}/claim-work/p/w", {**WORKER, "tasks": tasks})["tasks"]


def test_publishes_life_of_task(
    site: Any, slug: Make, create: Make, claim: Make, post: Make, published: list[Message]
) -> None:
    status = create(tags={"kind": "build"}, routes=["index.a", "b"], schedulerId="s")["status"]
    [claimed] = claim()
    completed = post(1, "runs/0/completed").json["status"]
    [defined, pending, running, resolved, group] = published
    place = f"p.w.s.{slug(1)}._"
    assert [message.routingKey for message in published] == [
        f"primary.{slug(1)}._._._.{place}",
        f"primary.{slug(1)}.0._._.{place}",
        f"primary.{slug(1)}.0.g.i.{place}",
        f"primary.{slug(1)}.0.g.i.{place}",
        f"primary.{slug(1)}.s._",
    ]
    assert [message.exchange.removeprefix(PREFIX) for message in published] == [
        "task-defined", "task-pending", "task-running", "task-completed", "task-group-resolved",
    ]  # fmt: skip
    assert {message.routes for message in published[:4]} == {("route.index.a", "route.b")}
    tags = {"task": {"tags": {"kind": "build"}}, "version": 1}
    assert defined.payload == {"status": {**status, "state": "unscheduled", "runs": []}, **tags}
    assert pending.payload == {"status": status, "runId": 0, **tags}
    until = {"takenUntil": site.clock.at(minutes=20).replace("Z", "+00:00")}
    assert running.payload == {"status": claimed["status"], "runId": 0, **WORKER, **until, **tags}
    assert resolved.payload == {"status": completed, "runId": 0, **WORKER, **tags}
    assert group.payload == {
        "taskGroupId": slug(1),
        "schedulerId": "s",
        "expires": "2031-03-01T14:00:00.123Z",
        "version": 1,
    }
    assert group.routes == ()


def test_repeated_create_publishes_again(slug: Make, create: Make, claim: Make, heard: Make) -> None:
    create(1)
    create(2, dependencies=[slug(1)])
    assert heard() == ["task-defined 1", "task-pending 1/0", "task-defined 2"]
    create(1)
    assert heard() == ["task-defined 1", "task-pending 1/0"]
    claim()
    heard()
    create(1)
    assert heard() == ["task-defined 1"]


def test_rejected_create_publishes_nothing(site: Any, slug: Make, task: Make, heard: Make) -> None:
    payload = task(dependencies=[slug(7)])
    assert site.call("PUT", f"{ROOT}/task/{slug(1)}", payload).status == 400
    assert heard() == []


@pytest.mark.parametrize(("reason", "again"), [("worker-shutdown", True), ("internal-error", False)])
def test_publishes_exceptions(
    create: Make, claim: Make, post: Make, published: list[Message], heard: Make, reason: str, again: bool
) -> None:
    create()
    claim()
    heard()
    post(1, "runs/0/exception", {"reason": reason})
    # The run has ended; the task may be retried.
    message = published[0]
    assert message.payload["status"]["state"] == ("pending" if again else "exception")
    assert (message.payload["runId"], message.payload["workerId"]) == (0, "i")
    following = "task-pending 1/1" if again else "task-group-resolved 1"
    assert heard() == ["task-exception 1/0", following]
    post(1, "runs/0/exception", {"reason": reason})
    assert heard() == []


def test_publishes_pending_dependents(slug: Make, create: Make, claim: Make, post: Make, heard: Make) -> None:
    create(1, taskGroupId=slug(9))
    create(2, taskGroupId=slug(9), dependencies=[slug(1)])
    claim()
    heard()
    post(1, "runs/0/failed")
    assert heard() == ["task-failed 1/0"]
    post(1, "rerun")
    claim()
    post(1, "runs/1/completed")
    assert heard() == ["task-pending 1/1", "task-running 1/1", "task-completed 1/1", "task-pending 2/0"]
    post(2, "cancel")
    assert heard() == ["task-exception 2/0", "task-group-resolved 9"]
    post(2, "cancel")
    assert heard() == []


def test_publishes_exception_without_worker(slug: Make, create: Make, post: Make, published: list[Message]) -> None:
    create(1, dependencies=[slug(1)])
    published.clear()
    post(1, "cancel")
    assert published[0].payload["runId"] == 0
    assert "workerId" not in published[0].payload
    assert published[0].routingKey.split(".")[2:5] == ["0", "_", "_"]


def test_publishes_expired_claims_and_deadlines(site: Any, create: Make, claim: Make, heard: Make) -> None:
    create(1, retries=1)
    claim()
    heard()
    site.clock.advance(minutes=21)
    asyncio.run(site.deployment.pass_time())
    assert heard() == ["task-exception 1/0", "task-pending 1/1"]
    site.clock.advance(minutes=41)
    asyncio.run(site.deployment.pass_time())
    assert heard() == ["task-exception 1/1", "task-group-resolved 1"]


def test_publishes_changed_priorities(
    site: Any, slug: Make, create: Make, post: Make, published: list[Message]
) -> None:
    create(1, taskGroupId=slug(9), priority="low", routes=["r"])
    create(2, taskGroupId=slug(9), priority="high")
    published.clear()
    post(1, "priority", {"newPriority": "highest"})
    [message] = published
    assert (message.payload["oldPriority"], message.payload["newPriority"]) == ("low", "highest")
    assert message.payload["status"]["priority"] == "highest"
    assert message.routes == ("route.r",)
    published.clear()
    site.ok("POST", f"{ROOT}/task-group/{slug(9)}/priority", {"newPriority": "high"})
    *tasks, group = published
    assert [each.payload["status"]["taskId"] for each in tasks] == [slug(1)]
    assert group.payload == {
        "taskGroupId": slug(9),
        "schedulerId": "-",
        "newPriority": "high",
        "tasksAffected": 1,
        "version": 1,
    }


def test_publishes_groups(site: Any, slug: Make, create: Make, heard: Make, published: list[Message]) -> None:
    for number in (1, 2):
        create(number, taskGroupId=slug(9))
    heard()
    for _ in range(2):
        site.ok("POST", f"{ROOT}/task-group/{slug(9)}/seal")
    [message] = published
    assert message.payload["sealed"] == site.clock.at()
    assert heard() == ["task-group-sealed 9"]
    site.ok("POST", f"{ROOT}/task-group/{slug(9)}/cancel")
    assert heard() == ["task-exception 1/0", "task-exception 2/0", "task-group-resolved 9"]


def test_publishes_artifacts(site: Any, slug: Make, create: Make, claim: Make, published: list[Message]) -> None:
    create()
    claim()
    published.clear()
    expires = site.clock.at(hours=1)
    payload = {"expires": expires, "contentType": "text/plain"}
    for kind, fields in (("s3", {}), ("object", {}), ("reference", {"url": "https://example.com"})):
        path = f"{ROOT}/task/{slug(1)}/runs/0/artifacts/public/{kind}"
        site.ok("POST", path, {"storageType": kind, **payload, **fields})
    [message] = published
    assert message.exchange == f"{PREFIX}artifact-created"
    assert message.routingKey.startswith(f"primary.{slug(1)}.0.g.i.p.w.")
    assert message.payload["artifact"] == {"storageType": "reference", "name": "public/reference", **payload}
    assert {name: message.payload[name] for name in (*WORKER, "runId")} == {**WORKER, "runId": 0}


def test_reaction_is_part_of_transaction(site: Any, slug: Make, create: Make, heard: Make) -> None:
    """If a reaction fails, the change is rolled back and nothing is published."""
    create()
    heard()

    def refuse(message: Message) -> None:
        raise ValueError(message.exchange)

    site.deployment.events.react(Binding(f"{PREFIX}task-running", "#"), refuse)
    response = site.call("POST", f"{ROOT}/claim-work/p/w", WORKER)
    assert response.status == 500
    assert heard() == []
    assert site.ok("GET", f"{ROOT}/task/{slug(1)}/status")["status"]["state"] == "pending"
    assert site.ok("GET", f"{ROOT}/task-queues/p/w/counts")["claimedTasks"] == 0
