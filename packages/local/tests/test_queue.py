"""Tests of the queue service: the life of a task."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from taskcluster_local.services.queue.task import MOST_RUNS

ROOT = "/api/queue/v1"
WORKER = {"workerGroup": "g", "workerId": "i"}
Make = Callable[..., Any]


@pytest.fixture
def poll_seconds() -> float:
    return 20


@pytest.fixture
def create(site: Any, slug: Make, task: Make) -> Make:
    """Creates a task; returns its status."""

    def call(number: int = 1, **fields: Any) -> Any:
        return site.ok("PUT", f"{ROOT}/task/{slug(number)}", task(**fields))["status"]

    return call


@pytest.fixture
def claim(site: Any) -> Make:
    """Claims pending tasks."""

    def call(tasks: int = 1, queue: str = "p/w", **worker: str) -> Any:
        return site.ok("POST", f"{ROOT}/claim-work/{queue}", {**WORKER, **worker, "tasks": tasks})["tasks"]

    return call


@pytest.fixture
def post(site: Any, slug: Make) -> Make:
    """Sends a POST request about a task."""

    def call(action: str, payload: Any = None, number: int = 1, **options: Any) -> Any:
        return site.call("POST", f"{ROOT}/task/{slug(number)}/{action}", payload, **options)

    return call


@pytest.fixture
def status(site: Any, slug: Make) -> Make:
    def call(number: int = 1) -> Any:
        return site.ok("GET", f"{ROOT}/task/{slug(number)}/status")["status"]

    return call


def states(found: Any) -> list[str]:
    return [
        found["state"],
        *(f"{run['reasonCreated']} {run.get('reasonResolved', run['state'])}" for run in found["runs"]),
    ]


# Creating


def test_status_of_minimal_task(site: Any, slug: Make, create: Make) -> None:
    found = create()
    expected = {
        "taskId": slug(1),
        "provisionerId": "p",
        "workerType": "w",
        "taskQueueId": "p/w",
        "schedulerId": "-",
        "projectId": "none",
        "taskGroupId": slug(1),
        "priority": "lowest",
        "deadline": site.clock.at(hours=1),
        "expires": "2031-03-01T13:00:00.123Z",
        "retriesLeft": 5,
        "state": "pending",
        "runs": [{"runId": 0, "state": "pending", "reasonCreated": "scheduled", "scheduled": site.clock.at()}],
    }
    assert found == expected
    assert list(found) == list(expected)


def test_returns_complete_definition_in_order(site: Any, slug: Make, create: Make) -> None:
    payload = {"long": 1, "b": {"bb": 1, "a": [{"dd": 1, "c": 2}]}, "ä": 3, "zz": 1.0}
    create(payload=payload, created="2030-03-01 12:00:00+00:00")
    found = site.ok("GET", f"{ROOT}/task/{slug(1)}")
    assert list(found) == [
        "provisionerId", "workerType", "taskQueueId", "schedulerId", "projectId", "taskGroupId", "dependencies",
        "requires", "routes", "priority", "retries", "created", "deadline", "expires", "scopes", "payload", "metadata",
        "tags", "extra",
    ]  # fmt: skip
    assert found["created"] == "2030-03-01T12:00:00.000Z"
    # Keys by length in bytes, then by bytes.
    assert json.dumps(found["payload"], ensure_ascii=False) == (
        '{"b": {"a": [{"c": 2, "dd": 1}], "bb": 1}, "zz": 1, "ä": 3, "long": 1}'
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"taskQueueId": "p/w", "provisionerId": "q"}, "must match"),
        ({"taskQueueId": "p/w", "provisionerId": "p", "workerType": "x"}, "must match"),
        ({"taskQueueId": ..., "provisionerId": "p"}, "are required"),
        ({"created": {"minutes": -15.1}}, "`created` cannot be in the past"),
        ({"created": {"minutes": 15.1}}, "`created` cannot be in the future"),
        ({"created": {"minutes": 10}, "deadline": {"minutes": 5}}, "`deadline` cannot be before `created`"),
        ({"created": {"minutes": -10}, "deadline": {"minutes": -5}}, "`deadline` cannot be in the past"),
        ({"deadline": {"days": 5, "minutes": 15.1}}, "`deadline` cannot be more than 5 days"),
        ({"expires": {"minutes": 59}}, "`expires` cannot be before `deadline`"),
        ({"scopes": ["a**"]}, "must not end with"),
    ],
)
def test_rejects_invalid_definition(site: Any, slug: Make, task: Make, fields: dict[str, Any], message: str) -> None:
    given = {name: site.clock.at(**value) if isinstance(value, dict) else value for name, value in fields.items()}
    payload = {name: value for name, value in task(**given).items() if value is not ...}
    response = site.call("PUT", f"{ROOT}/task/{slug(1)}", payload)
    assert (response.status, response.code) == (400, "InputError")
    assert message in response.message
    assert site.call("GET", f"{ROOT}/task/{slug(1)}").status == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"created": {"minutes": -15}},
        {"created": {"minutes": 15}},
        {"deadline": {"days": 5, "minutes": 15}},
        {"taskQueueId": ..., "provisionerId": "p", "workerType": "w"},
        {"provisionerId": "p", "workerType": "w"},
        {"dependencies": []},
        {"expires": {"days": 365 * 7900}},
    ],
)
def test_accepts_unusual_definitions(site: Any, slug: Make, task: Make, fields: dict[str, Any]) -> None:
    given = {name: site.clock.at(**value) if isinstance(value, dict) else value for name, value in fields.items()}
    payload = {name: value for name, value in task(**given).items() if value is not ...}
    assert site.call("PUT", f"{ROOT}/task/{slug(1)}", payload).status == 200


def test_default_expiry_after_leap_day(site: Any, create: Make) -> None:
    site.clock.now = site.clock.now.replace(year=2032, month=2, day=29)
    assert create()["expires"] == "2033-03-01T13:00:00.123Z"


def test_create_can_be_repeated(site: Any, slug: Make, task: Make, create: Make, claim: Make) -> None:
    create()
    claim()
    given = task()
    # The same instant in another format; an explicit default.
    given.update(created=given["created"].replace("Z", "+00:00"), retries=5, tags={})
    again = site.ok("PUT", f"{ROOT}/task/{slug(1)}", given)["status"]
    assert again["state"] == "running"
    response = site.call("PUT", f"{ROOT}/task/{slug(1)}", task(retries=1))
    assert (response.status, response.code) == (409, "RequestConflict")
    site.clock.advance(minutes=16)
    assert site.call("PUT", f"{ROOT}/task/{slug(1)}", given).code == "InputError"


def test_create_requires_scopes(new_site: Make, slug: Make) -> None:
    scopes = [
        "queue:create-task:high:p/w", "queue:create-task:project:none", "queue:scheduler-id:-", "queue:route:r", "s:*",
    ]  # fmt: skip
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": scopes}]) as site:
        task = {
            "taskQueueId": "p/w",
            "created": site.clock.at(),
            "deadline": site.clock.at(hours=1),
            "payload": {},
            "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
        }

        def status(**fields: Any) -> int:
            return int(site.call("PUT", f"{ROOT}/task/{slug(1)}", {**task, **fields}, by="c").status)

        assert status(priority="highest") == 403
        assert status(scopes=["t"]) == 403
        assert status(routes=["q"]) == 403
        assert status(projectId="q") == 403
        assert status(schedulerId="q") == 403
        assert status(taskQueueId="p/x") == 403
        # Scopes are checked before the definition.
        assert status(scopes=["t"], deadline=site.clock.at(hours=-1)) == 403
        assert status(deadline=site.clock.at(hours=-1)) == 400
        assert status(priority="low", scopes=["s:a"], routes=["r"]) == 200


# Reading


def test_returns_404_for_unknown_task(site: Any, slug: Make, post: Make) -> None:
    missing = slug(1)
    for path in (f"task/{missing}", f"task/{missing}/status", f"task-group/{missing}", f"task-group/{missing}/list"):
        response = site.call("GET", f"{ROOT}/{path}")
        assert (response.status, response.code) == (404, "ResourceNotFound")
    payloads = {"runs/0/claim": WORKER, "runs/0/exception": {"reason": "worker-shutdown"}}
    for action in ("schedule", "rerun", "cancel", *(f"runs/0/{verb}" for verb in ("reclaim", "completed", "failed"))):
        assert post(action).status == 404
    for action, payload in payloads.items():
        assert post(action, payload).status == 404


def test_returns_404_for_unknown_run(create: Make, post: Make) -> None:
    create()
    for run in ("1", "99999999999"):
        for verb in ("reclaim", "completed", "failed"):
            assert post(f"runs/{run}/{verb}").status == 404
        assert post(f"runs/{run}/claim", WORKER).status == 404
    assert post("runs/x/completed").code == "InvalidRequestArguments"


@pytest.mark.parametrize(("path", "name", "part"), [("tasks", "tasks", "task"), ("tasks/status", "statuses", "status")])
def test_returns_several_tasks(site: Any, create: Make, slug: Make, path: str, name: str, part: str) -> None:
    for number in (1, 2, 3):
        create(number)
    asked = {"taskIds": [slug(3), slug(9), "\ud800", "x", slug(1), slug(3)]}
    found = site.ok("POST", f"{ROOT}/{path}", asked)
    assert [each["taskId"] for each in found[name]] == [slug(1), slug(3)]
    alone = site.ok("GET", f"{ROOT}/task/{slug(1)}{'/status' if part == 'status' else ''}")
    assert found[name][0][part] == (alone["status"] if part == "status" else alone)
    page = site.ok("POST", f"{ROOT}/{path}?limit=1", asked)
    rest = site.ok("POST", f"{ROOT}/{path}?limit=1&continuationToken={page['continuationToken']}", asked)
    assert [*page[name], *rest[name]] == found[name]
    # Each task requires its scope; an empty list none.
    assert site.call("POST", f"{ROOT}/{path}", {"taskIds": [slug(1)]}, by=None).status == 200
    assert site.ok("POST", f"{ROOT}/{path}", {}, by="nobody") == {name: []}


def test_several_tasks_require_scopes(new_site: Make, slug: Make) -> None:
    scopes = [f"queue:get-task:{slug(1)}", f"queue:status:{slug(1)}"]
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": scopes}], roles={"anonymous": []}) as site:
        for path in ("tasks", "tasks/status"):
            assert site.call("POST", f"{ROOT}/{path}", {"taskIds": [slug(1)]}, by="c").status == 200
            assert site.call("POST", f"{ROOT}/{path}", {"taskIds": [slug(1), slug(2)]}, by="c").status == 403


def test_lists_dependent_tasks(site: Any, create: Make, slug: Make) -> None:
    create(1)
    for number in (4, 2, 3):
        create(number, dependencies=[slug(1)])
    create(5, dependencies=[slug(2)])
    path = f"{ROOT}/task/{slug(1)}/dependents"
    found = site.ok("GET", path)
    assert found["taskId"] == slug(1)
    assert [each["status"]["taskId"] for each in found["tasks"]] == [slug(2), slug(3), slug(4)]
    assert found["tasks"][0]["task"] == site.ok("GET", f"{ROOT}/task/{slug(2)}")
    page = site.ok("GET", f"{path}?limit=2")
    rest = site.ok("GET", f"{path}?limit=2&continuationToken={page['continuationToken']}")
    assert [*page["tasks"], *rest["tasks"]] == found["tasks"]
    assert site.ok("GET", f"{ROOT}/task/{slug(5)}/dependents")["tasks"] == []
    assert site.call("GET", f"{ROOT}/task/{slug(9)}/dependents").status == 404


# Claiming


def test_claims_work(site: Any, slug: Make, create: Make, claim: Make) -> None:
    create(scopes=["s:a"])
    [found] = claim()
    assert set(found) == {"status", "runId", "workerGroup", "workerId", "takenUntil", "task", "credentials"}
    assert found["runId"] == 0
    assert found["takenUntil"] == "2030-03-01T12:20:00.123+00:00"
    assert found["task"] == site.ok("GET", f"{ROOT}/task/{slug(1)}")
    assert found["status"]["runs"] == [
        {
            "runId": 0,
            "state": "running",
            "reasonCreated": "scheduled",
            "workerGroup": "g",
            "workerId": "i",
            "takenUntil": "2030-03-01T12:20:00.123Z",
            "scheduled": site.clock.at(),
            "started": site.clock.at(),
        }
    ]


def test_claim_has_credentials(site: Any, slug: Make, create: Make, claim: Make, post: Make) -> None:
    create(1, scopes=["secrets:get:x"])
    create(2)
    credentials = claim()[0]["credentials"]
    until = int(site.clock.now.timestamp()) + 1200
    assert credentials["clientId"] == f"task-client/{slug(1)}/0/on/g/i/until/{until}.123"
    certificate = json.loads(credentials["certificate"])
    assert certificate["issuer"] == "static/taskcluster/queue"
    run = f"{slug(1)}/0"
    verbs = ("queue:reclaim-task", "queue:resolve-task", "queue:create-artifact")
    assert certificate["scopes"] == [*(f"{verb}:{run}" for verb in verbs), "secrets:get:x"]
    # They have exactly the scopes they need.
    assert site.call("GET", "/api/secrets/v1/secret/x", by=credentials).status == 404
    assert site.call("GET", "/api/secrets/v1/secret/y", by=credentials).status == 403
    claim()
    assert post("runs/0/completed", number=2, by=credentials).status == 403
    assert post("runs/0/completed", by=credentials).status == 200
    site.clock.advance(minutes=26)
    assert post("runs/0/completed", by=credentials).status == 401


def test_claims_by_priority_then_age(create: Make, claim: Make, slug: Make) -> None:
    for number, priority in enumerate(("low", "lowest", "highest", "low"), 1):
        create(number, priority=priority)
    assert [each["status"]["taskId"] for each in claim(3)] == [slug(3), slug(1), slug(4)]
    assert [each["status"]["taskId"] for each in claim(3)] == [slug(2)]


def test_claims_tasks_of_queue_only(site: Any, create: Make, claim: Make) -> None:
    create(1)
    create(2, taskQueueId="p/other")
    assert len(claim(5)) == 1


def test_does_not_claim_past_deadline(site: Any, create: Make, claim: Make, post: Make) -> None:
    create(1, deadline=site.clock.at(minutes=1))
    create(2)
    site.clock.advance(minutes=2)
    assert [each["status"]["taskId"][7] for each in claim(5)] == ["2"]
    assert post("runs/0/claim", WORKER).status == 409


@pytest.mark.parametrize(
    "payload", [{}, {**WORKER, "tasks": 0}, {**WORKER, "tasks": 33}, {**WORKER, "workerId": "a b"}]
)
def test_rejects_invalid_claim(site: Any, payload: Any) -> None:
    assert site.call("POST", f"{ROOT}/claim-work/p/w", payload).code == "InputValidationError"


def test_claims_certain_run(site: Any, create: Make, post: Make) -> None:
    create()
    first = post("runs/0/claim", WORKER)
    assert first.status == 200
    assert first.json["takenUntil"] == "2030-03-01T12:20:00.123+00:00"
    site.clock.advance(minutes=1)
    again = post("runs/0/claim", WORKER)
    assert (again.status, again.json["takenUntil"]) == (200, first.json["takenUntil"])
    response = post("runs/0/claim", {**WORKER, "workerId": "other"})
    assert (response.status, response.message) == (409, "Run 0 was already claimed by another worker.")
    assert post("runs/0/claim", WORKER, by="nobody").status == 403


def test_built_in_workers_resolve_their_tasks(site: Any, create: Make, status: Make, slug: Make) -> None:
    create(1, taskQueueId="built-in/succeed", payload={})
    create(2, taskQueueId="built-in/fail", dependencies=[slug(1)])
    create(3, taskQueueId="built-in/succeed", payload={"a": 1})
    create(4, taskQueueId="built-in/other")
    asyncio.run(site.deployment.pass_time())
    found = [status(number) for number in (1, 2, 3, 4)]
    assert [each["state"] for each in found] == ["completed", "failed", "exception", "pending"]
    [run] = found[2]["runs"]
    assert (run["reasonResolved"], run["workerGroup"], run["workerId"]) == ("malformed-payload", "built-in", "succeed")


def test_conflicts_with_run_from_claim_work(create: Make, claim: Make, post: Make) -> None:
    create()
    claim()
    assert (post("runs/0/claim", WORKER).status, post("runs/0/reclaim").status) == (409, 200)


def test_reclaims_run(site: Any, create: Make, claim: Make, post: Make, status: Make) -> None:
    create(deadline=site.clock.at(minutes=30))
    assert post("runs/0/reclaim").status == 409
    old = claim()[0]["credentials"]
    site.clock.advance(minutes=10)
    response = post("runs/0/reclaim", by=old)
    assert set(response.json) == {"status", "runId", "workerGroup", "workerId", "takenUntil", "credentials"}
    assert response.json["takenUntil"] == status()["runs"][0]["takenUntil"] == site.clock.at(minutes=20)
    assert post("runs/0/reclaim", by=response.json["credentials"]).status == 200
    site.clock.advance(minutes=21)
    assert "past its deadline" in post("runs/0/reclaim").message


# Waiting for work


def poll(site: Any, queue: str = "p/w", **worker: str) -> Any:
    return site.send(site.request("POST", f"{ROOT}/claim-work/{queue}", {**WORKER, **worker}))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_waiting_worker_gets_created_task(site: Any, slug: Make, task: Make) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(poll(site))
        await settle()
        assert not waiting.done()
        other = site.request("PUT", f"{ROOT}/task/{slug(2)}", task(taskQueueId="p/other"))
        await site.send(other)
        await settle()
        assert not waiting.done()
        await site.send(site.request("PUT", f"{ROOT}/task/{slug(1)}", task()))
        response = await asyncio.wait_for(waiting, 60)
        assert response.json["tasks"][0]["status"]["taskId"] == slug(1)

    asyncio.run(scenario())


def test_one_of_two_waiting_workers_gets_task(site: Any, slug: Make, task: Make) -> None:
    async def scenario() -> None:
        workers = [asyncio.create_task(poll(site, workerId=name)) for name in ("a", "b")]
        await settle()
        await site.send(site.request("PUT", f"{ROOT}/task/{slug(1)}", task()))
        done, waiting = await asyncio.wait(workers, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(waiting)) == (1, 1)
        await settle()
        site.deployment.end_waiting()
        assert (await asyncio.wait_for(waiting.pop(), 60)).json == {"tasks": []}

    asyncio.run(scenario())


def test_waiting_worker_gets_retried_task(site: Any, create: Make, claim: Make, slug: Make) -> None:
    create()
    claim()

    async def scenario() -> None:
        waiting = asyncio.create_task(poll(site))
        await settle()
        payload = {"reason": "worker-shutdown"}
        await site.send(site.request("POST", f"{ROOT}/task/{slug(1)}/runs/0/exception", payload))
        assert (await asyncio.wait_for(waiting, 60)).json["tasks"][0]["runId"] == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("poll_seconds", [0.01])
def test_waiting_claim_ends(site: Any) -> None:
    assert site.ok("POST", f"{ROOT}/claim-work/p/w", WORKER) == {"tasks": []}


def test_poll_ends_when_time_passes_its_limit(site: Any) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(poll(site))
        await settle()
        site.deployment.end_polls(site.deployment.clock.advance(timedelta(seconds=19)))
        await settle()
        assert not waiting.done()
        site.deployment.end_polls(site.deployment.clock.advance(timedelta(seconds=1)))
        assert (await asyncio.wait_for(waiting, 60)).json == {"tasks": []}

    asyncio.run(scenario())


def test_woken_worker_without_task_does_not_wait_again(site: Any, slug: Make, task: Make) -> None:
    """Another worker got the task, and the time has passed the limit of both polls meanwhile."""

    async def scenario() -> None:
        workers = [asyncio.create_task(poll(site, workerId=name)) for name in ("a", "b")]
        await settle()
        now = site.deployment.clock.advance(timedelta(minutes=1))
        create = site.request("PUT", f"{ROOT}/task/{slug(1)}", task(deadline=site.clock.at(hours=1)))
        await site.send(create)
        # The new task has woken both already.
        site.deployment.end_polls(now)
        claimed = [(await asyncio.wait_for(worker, 60)).json["tasks"] for worker in workers]
        assert sorted(map(len, claimed)) == [0, 1]

    asyncio.run(scenario())


def test_disconnected_worker_gets_no_task(site: Any, slug: Make, task: Make, status: Make) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(poll(site))
        await settle()
        waiting.cancel()
        await site.send(site.request("PUT", f"{ROOT}/task/{slug(1)}", task()))
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    asyncio.run(scenario())
    assert status()["state"] == "pending"


# Resolving


@pytest.mark.parametrize(
    ("verb", "payload", "state"),
    [("completed", None, "completed"), ("failed", None, "failed"), ("completed", {"success": False}, "failed")],
)
def test_reports_resolve_run(
    site: Any, create: Make, claim: Make, post: Make, verb: str, payload: Any, state: str
) -> None:
    create()
    assert post(f"runs/0/{verb}", payload).status == 409
    claim()
    site.clock.advance(minutes=1)
    found = post(f"runs/0/{verb}", payload).json["status"]
    run = found["runs"][0]
    assert (found["state"], run["state"], run["reasonResolved"]) == (state, state, state)
    assert run["resolved"] == site.clock.at()
    assert run["takenUntil"] == site.clock.at(minutes=19)
    # Repeating a report succeeds, a different report conflicts.
    assert post(f"runs/0/{verb}", payload).json["status"] == found
    assert post("runs/0/exception", {"reason": "internal-error"}).status == 409
    other = "failed" if state == "completed" else "completed"
    response = post(f"runs/0/{other}")
    assert (response.status, f"is not running or {other}" in response.message) == (409, True)


def test_accepts_report_past_deadline(site: Any, create: Make, claim: Make, post: Make) -> None:
    create(deadline=site.clock.at(minutes=1))
    claim()
    site.clock.advance(minutes=2)
    assert post("runs/0/completed").status == 200


@pytest.mark.parametrize(
    ("reason", "next_run"),
    [
        ("worker-shutdown", "retry"),
        ("intermittent-task", "task-retry"),
        ("malformed-payload", None),
        ("resource-unavailable", None),
        ("internal-error", None),
    ],
)
def test_reports_exception(create: Make, claim: Make, post: Make, reason: str, next_run: str | None) -> None:
    create()
    claim()
    found = post("runs/0/exception", {"reason": reason}).json["status"]
    if next_run is None:
        assert states(found) == ["exception", f"scheduled {reason}"]
        assert found["retriesLeft"] == 5
    else:
        assert states(found) == ["pending", f"scheduled {reason}", f"{next_run} pending"]
        assert found["retriesLeft"] == 4
    assert post("runs/0/exception", {"reason": reason}).json["status"] == found
    assert post("runs/0/exception", {"reason": "other"}).code == "InputValidationError"
    another = "internal-error" if reason != "internal-error" else "worker-shutdown"
    assert post("runs/0/exception", {"reason": another}).status == 409
    assert post("runs/0/completed").status == 409


def test_retries_are_limited(create: Make, claim: Make, post: Make) -> None:
    create(retries=1)
    for run in (0, 1):
        claim()
        found = post(f"runs/{run}/exception", {"reason": "worker-shutdown"}).json["status"]
    assert states(found) == ["exception", "scheduled worker-shutdown", "retry worker-shutdown"]
    assert found["retriesLeft"] == 0


def test_reports_only_resolve_latest_run(create: Make, claim: Make, post: Make) -> None:
    create()
    claim()
    post("runs/0/exception", {"reason": "worker-shutdown"})
    assert post("runs/0/claim", WORKER).status == 409
    claim()
    assert post("runs/0/claim", WORKER).status == 409
    for verb in ("completed", "failed", "reclaim"):
        response = post(f"runs/0/{verb}")
        assert (response.status, response.message.endswith("is resolved or not running.")) == (409, True)
    assert post("runs/1/completed").status == 200


# Scheduling, rerunning, cancelling


def test_schedules_task_after_dependencies(create: Make, claim: Make, post: Make, status: Make, slug: Make) -> None:
    create(1)
    create(2)
    assert states(create(3, dependencies=[slug(1), slug(2)])) == ["unscheduled"]
    for number in (1, 2):
        assert status(3)["state"] == "unscheduled"
        claim()
        post("runs/0/completed", number=number)
    assert states(status(3)) == ["pending", "scheduled pending"]
    assert states(create(4, dependencies=[slug(1)])) == ["pending", "scheduled pending"]


@pytest.mark.parametrize(("requires", "state"), [("all-completed", "unscheduled"), ("all-resolved", "pending")])
def test_failed_dependency_blocks_task(
    create: Make, claim: Make, post: Make, status: Make, slug: Make, requires: str, state: str
) -> None:
    create(1)
    create(2, dependencies=[slug(1)], requires=requires)
    claim()
    post("runs/0/exception", {"reason": "worker-shutdown"})
    # It is retried, so it is not resolved.
    assert status(2)["state"] == "unscheduled"
    claim()
    post("runs/1/failed")
    assert status(2)["state"] == state
    # After a rerun it may complete.
    post("rerun")
    claim()
    if requires == "all-completed":
        post("runs/2/completed")
    assert status(2)["state"] in ("pending", "running")


def test_dependency_stays_satisfied_after_rerun(
    create: Make, claim: Make, post: Make, status: Make, slug: Make
) -> None:
    create(1)
    create(2)
    create(3, dependencies=[slug(1), slug(2)])
    claim(2)
    post("runs/0/completed", number=1)
    post("rerun", number=1)
    post("runs/0/completed", number=2)
    assert status(3)["state"] == "pending"


def test_rejects_unknown_dependencies(site: Any, create: Make, slug: Make, task: Make) -> None:
    create(1, expires=site.clock.at(hours=2))
    payload = task(dependencies=[slug(1), slug(8), slug(9)], deadline=site.clock.at(hours=3))
    response = site.call("PUT", f"{ROOT}/task/{slug(2)}", payload)
    assert (response.status, response.code) == (400, "InputError")
    assert all(slug(number) in response.message for number in (1, 8, 9))
    # The taskId is free again.
    assert site.call("PUT", f"{ROOT}/task/{slug(2)}", task()).status == 200


def test_task_may_depend_on_itself(create: Make, post: Make, slug: Make) -> None:
    assert states(create(dependencies=[slug(1)])) == ["unscheduled"]
    for _ in range(2):
        assert states(post("schedule").json["status"]) == ["pending", "scheduled pending"]


def test_reruns_task(create: Make, claim: Make, post: Make) -> None:
    create(retries=1)
    assert states(post("rerun").json["status"]) == ["pending", "scheduled pending"]
    claim()
    post("runs/0/exception", {"reason": "worker-shutdown"})
    claim()
    post("runs/1/failed")
    found = post("rerun").json["status"]
    assert states(found) == ["pending", "scheduled worker-shutdown", "retry failed", "rerun pending"]
    assert found["retriesLeft"] == 1


def test_reruns_unscheduled_task(create: Make, post: Make, slug: Make) -> None:
    create(dependencies=[slug(1)])
    assert states(post("rerun").json["status"]) == ["pending", "rerun pending"]


def test_limits_number_of_runs(create: Make, claim: Make, post: Make) -> None:
    create(retries=49)
    for run in range(MOST_RUNS):
        claim()
        found = post(f"runs/{run}/failed").json["status"]
        response = post("rerun")
        if response.status == 200:
            assert response.json["status"]["retriesLeft"] == MOST_RUNS - run - 2
    assert len(found["runs"]) == MOST_RUNS
    assert (response.status, response.message) == (409, "Maximum number of runs reached (50).")


def test_cancels_task(create: Make, claim: Make, post: Make, slug: Make) -> None:
    create(1, dependencies=[slug(1)])
    assert states(post("cancel").json["status"]) == ["exception", "exception canceled"]
    create(2)
    assert states(post("cancel", number=2).json["status"]) == ["exception", "scheduled canceled"]
    create(3)
    claim()
    assert states(post("cancel", number=3).json["status"]) == ["exception", "scheduled canceled"]
    assert post("runs/0/completed", number=3).status == 409
    create(4)
    claim()
    post("runs/0/completed", number=4)
    assert states(post("cancel", number=4).json["status"]) == ["completed", "scheduled completed"]


@pytest.mark.parametrize("action", ["schedule", "rerun", "cancel"])
def test_rejects_changes_past_deadline(site: Any, create: Make, post: Make, action: str) -> None:
    create(deadline=site.clock.at(minutes=1))
    site.clock.advance(minutes=2)
    response = post(action)
    assert (response.status, "past its deadline" in response.message) == (409, True)


@pytest.mark.parametrize("verb", ["schedule", "rerun", "cancel"])
def test_changing_task_requires_scopes(new_site: Make, slug: Make, task: Make, verb: str) -> None:
    identifiers = f"s/{slug(1)}/{slug(1)}"
    enough = [
        [f"queue:{verb}-task:{identifiers}"],
        [f"queue:{verb}-task-in-project:none"],
        [f"queue:{verb}-task", f"assume:scheduler-id:s/{slug(1)}"],
    ]
    too_little = [[f"queue:{verb}-task"], [f"assume:scheduler-id:s/{slug(1)}"], []]
    clients = [
        {"clientId": str(number), "accessToken": "c" * 44, "scopes": scopes}
        for number, scopes in enumerate([*enough, *too_little])
    ]
    with new_site(clients) as site:
        site.ok("PUT", f"{ROOT}/task/{slug(1)}", task(schedulerId="s"))
        path = f"{ROOT}/task/{slug(1)}/{verb}"
        found = [site.call("POST", path, by=client["clientId"]).status for client in clients]
        assert found == [200, 200, 200, 403, 403, 403]
        assert site.call("POST", path.replace(slug(1), slug(2)), by="5").status == 404


def test_changes_priority(site: Any, create: Make, claim: Make, post: Make, slug: Make) -> None:
    create(1, priority="low")
    create(2, priority="medium")
    assert post("priority", {"newPriority": "high"}).json["status"]["priority"] == "high"
    assert site.ok("GET", f"{ROOT}/task/{slug(1)}")["priority"] == "high"
    # Creating the same task again returns its present state.
    assert create(1, priority="low")["priority"] == "high"
    assert [each["status"]["taskId"] for each in claim(2)] == [slug(1), slug(2)]
    assert post("priority", {"newPriority": "normal"}).code == "InputValidationError"
    assert post("priority", {"newPriority": "low"}, number=9).status == 404
    # Whatever the state of the dependency becomes.
    steps = [("runs/0/exception", {"reason": "worker-shutdown"}), ("runs/1/failed", None), ("rerun", None)]
    for number, (step, payload) in enumerate(steps):
        claim()
        assert post(step, payload).status == 200
        priority = ("low", "medium", "highest")[number]
        assert post("priority", {"newPriority": priority}).json["status"]["priority"] == priority
    site.clock.advance(hours=2)
    assert "past its deadline" in post("priority", {"newPriority": "high"}, number=2).message


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("queue:change-task-priority:{}", 200),
        ("queue:change-task-priority-in-queue:p/w", 200),
        ("queue:change-task-priority-in-queue:p/x", 403),
    ],
)
def test_changing_priority_requires_scopes(new_site: Make, slug: Make, task: Make, scope: str, status: int) -> None:
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": [scope.format(slug(1))]}]) as site:
        site.ok("PUT", f"{ROOT}/task/{slug(1)}", task())
        path = f"{ROOT}/task/{slug(1)}/priority"
        assert site.call("POST", path, {"newPriority": "high"}, by="c").status == status


def test_retries_tasks_of_removed_worker(site: Any, create: Make, claim: Make, status: Make, slug: Make) -> None:
    create(1)
    create(2, retries=0)
    create(3)
    create(4, taskQueueId="p/x")
    claim(2)
    claim(workerId="j")
    claim(queue="p/x")
    site.deployment.shared.queue.claims.end_runs("p/w", ("g", "i"), site.clock())
    assert states(status(1)) == ["pending", "scheduled worker-shutdown", "retry pending"]
    assert states(status(2)) == ["exception", "scheduled worker-shutdown"]
    assert [status(number)["state"] for number in (3, 4)] == ["running", "running"]


# Time passing


def test_deletes_expired_tasks_and_groups(site: Any, create: Make, slug: Make) -> None:
    deadline, expires = site.clock.at(minutes=10), site.clock.at(hours=1)
    create(1, deadline=deadline, expires=expires)
    create(2, deadline=deadline, expires=expires, dependencies=[slug(1)])
    create(3, dependencies=[slug(3)], taskGroupId=slug(1))
    paths = [f"task/{slug(1)}", f"task/{slug(2)}/status", f"task-group/{slug(2)}"]
    # They are kept a day longer.
    for hours, found in ((2, 200), (22, 200), (3, 404)):
        site.clock.advance(hours=hours)
        asyncio.run(site.deployment.pass_time())
        assert {site.call("GET", f"{ROOT}/{path}").status for path in paths} == {found}
    assert site.store.all("SELECT taskId FROM dependencies") == [{"taskId": slug(3)}]
    assert site.ok("GET", f"{ROOT}/task-group/{slug(1)}/list")["tasks"][0]["status"]["taskId"] == slug(3)
    assert site.call("GET", f"{ROOT}/task/{slug(1)}/dependents").status == 404


def test_claim_expires_unless_renewed(site: Any, create: Make, claim: Make, status: Make) -> None:
    create(retries=1)
    for runs in (2, 2):
        claim()
        site.clock.advance(minutes=19)
        asyncio.run(site.deployment.pass_time())
        assert status()["state"] == "running"
        site.clock.advance(minutes=2)
        asyncio.run(site.deployment.pass_time())
        assert len(status()["runs"]) == runs
    assert states(status()) == ["exception", "scheduled claim-expired", "retry claim-expired"]


def test_deadline_resolves_task(site: Any, create: Make, claim: Make, status: Make, slug: Make) -> None:
    deadline = site.clock.at(minutes=5)
    create(1, deadline=deadline, priority="high")
    create(2, deadline=deadline)
    create(3, deadline=deadline, dependencies=[slug(3)])
    create(4, dependencies=[slug(1)], requires="all-resolved")
    claim()
    site.clock.advance(minutes=5, seconds=59)
    asyncio.run(site.deployment.pass_time())
    assert [status(number)["state"] for number in (1, 2, 3)] == ["running", "pending", "unscheduled"]
    site.clock.advance(seconds=2)
    asyncio.run(site.deployment.pass_time())
    assert states(status(1)) == states(status(2)) == ["exception", "scheduled deadline-exceeded"]
    assert states(status(3)) == ["exception", "exception deadline-exceeded"]
    assert status(4)["state"] == "pending"


# Groups


def test_lists_task_group(site: Any, create: Make, slug: Make) -> None:
    group = slug(9)
    for number in (3, 1, 2):
        create(number, taskGroupId=group, schedulerId="s", expires=site.clock.at(days=number))
    known = {"taskGroupId": group, "schedulerId": "s", "expires": site.clock.at(days=3, hours=1)}
    assert site.ok("GET", f"{ROOT}/task-group/{group}") == known
    listed = site.ok("GET", f"{ROOT}/task-group/{group}/list", by=None)
    assert {name: value for name, value in listed.items() if name != "tasks"} == known
    assert [each["status"]["taskId"] for each in listed["tasks"]] == [slug(1), slug(2), slug(3)]
    assert listed["tasks"][0]["task"] == site.ok("GET", f"{ROOT}/task/{slug(1)}")
    page = site.ok("GET", f"{ROOT}/task-group/{group}/list?limit=2")
    rest = site.ok("GET", f"{ROOT}/task-group/{group}/list?limit=2&continuationToken={page['continuationToken']}")
    assert [*page["tasks"], *rest["tasks"]] == listed["tasks"]
    assert "continuationToken" not in rest


def test_conflicts_with_scheduler_of_group(site: Any, create: Make, slug: Make, task: Make) -> None:
    create(1, schedulerId="s")
    payload = task(taskGroupId=slug(1), schedulerId="t")
    response = site.call("PUT", f"{ROOT}/task/{slug(2)}", payload)
    assert (response.status, "schedulerId other" in response.message) == (409, True)


def test_group_survives_rejected_task(site: Any, slug: Make, task: Make) -> None:
    payload = task(taskGroupId=slug(8), dependencies=[slug(7)])
    assert site.call("PUT", f"{ROOT}/task/{slug(1)}", payload).status == 400
    assert site.ok("GET", f"{ROOT}/task-group/{slug(8)}/list")["tasks"] == []


def test_seals_group(site: Any, create: Make, slug: Make, task: Make) -> None:
    create(1)
    path = f"{ROOT}/task-group/{slug(1)}"
    assert site.call("POST", f"{path}/seal", by="nobody").status == 403
    sealed = site.ok("POST", f"{path}/seal")
    assert sealed == {**site.ok("GET", path), "sealed": site.clock.at()}
    site.clock.advance(minutes=1)
    assert site.ok("POST", f"{path}/seal") == sealed
    assert site.ok("GET", f"{path}/list")["sealed"] == sealed["sealed"]
    response = site.call("PUT", f"{ROOT}/task/{slug(2)}", task(taskGroupId=slug(1)))
    assert (response.status, "is sealed" in response.message) == (409, True)
    for action in ("seal", "cancel"):
        response = site.call("POST", f"{ROOT}/task-group/{slug(9)}/{action}")
        assert (response.status, response.code) == (404, "ResourceNotFound")


def test_cancels_group(site: Any, create: Make, claim: Make, post: Make, status: Make, slug: Make) -> None:
    group = slug(9)
    for number in (1, 2, 3):
        create(number, taskGroupId=group)
    create(4, taskGroupId=group, dependencies=[slug(1)])
    create(5)
    claim(2)
    post("runs/0/completed", number=2)
    path = f"{ROOT}/task-group/{group}"
    response = site.call("POST", f"{path}/cancel")
    assert (response.status, "unsealed" in response.message) == (409, True)
    site.ok("POST", f"{path}/seal")
    assert site.call("POST", f"{path}/cancel", by="nobody").status == 403
    canceled = [slug(1), slug(3), slug(4)]
    known = {"taskGroupId": group, "taskGroupSize": 4}
    assert site.ok("POST", f"{path}/cancel") == {**known, "taskIds": canceled, "cancelledCount": 3}
    assert site.ok("POST", f"{path}/cancel") == {**known, "taskIds": [], "cancelledCount": 0}
    found = [status(number)["state"] for number in (1, 2, 3, 4, 5)]
    assert found == ["exception", "completed", "exception", "exception", "pending"]
    # Tasks of a sealed group can be rerun.
    assert post("rerun").json["status"]["state"] == "pending"


def test_changes_priority_of_group(site: Any, create: Make, claim: Make, post: Make, status: Make, slug: Make) -> None:
    group = slug(9)
    create(1, taskGroupId=group, priority="highest")
    create(2, taskGroupId=group, priority="low")
    create(3, taskGroupId=group, dependencies=[slug(2)])
    create(4, priority="medium")
    claim()
    post("runs/0/completed")
    path, payload = f"{ROOT}/task-group/{group}/priority", {"newPriority": "high"}
    assert site.call("POST", path, payload, by="nobody").status == 403
    expected = {"taskGroupId": group, "schedulerId": "-", "newPriority": "high"}
    # Resolved tasks too.
    assert site.ok("POST", path, payload) == {**expected, "tasksAffected": 3, "taskIds": [slug(1), slug(2), slug(3)]}
    assert site.ok("POST", path, payload) == {**expected, "tasksAffected": 0, "taskIds": []}
    assert [status(number)["priority"] for number in (1, 2, 3, 4)] == ["high", "high", "high", "medium"]
    assert claim()[0]["status"]["taskId"] == slug(2)
    assert site.call("POST", f"{ROOT}/task-group/{slug(8)}/priority", payload).status == 404


def test_own_api_lists_latest_groups(site: Any, create: Make, claim: Make, slug: Make) -> None:
    for number in range(12):
        create(number, taskGroupId=slug(20 + number))
    create(12, taskGroupId=slug(21))
    claim()
    found = site.ok("GET", "/api/local/v1/task-groups", by=None)["taskGroups"]
    # Ten, in the order of their latest tasks.
    assert [each["taskGroupId"] for each in found] == [
        slug(number) for number in (21, 31, 30, 29, 28, 27, 26, 25, 24, 23)
    ]
    assert found[0]["schedulerId"] == "-"
    assert found[0]["states"] == {"pending": 2}


def test_own_api_describes_a_group_and_its_first_failure(site: Any, create: Make, claim: Make, slug: Make) -> None:
    for number in (1, 2, 3, 4):
        create(number, taskGroupId=slug(9))
    path = f"/api/local/v1/task-group?taskGroupId={slug(9)}"
    found = site.ok("GET", path, by=None)
    assert (found["taskGroupId"], found["states"]) == (slug(9), {"pending": 4})
    assert "firstFailure" not in found
    claimed = claim(tasks=3)
    site.ok("POST", f"{ROOT}/task/{slug(4)}/cancel")
    assert "firstFailure" not in site.ok("GET", path)
    for each in (claimed[1], claimed[0]):
        site.clock.advance(seconds=1)
        site.ok("POST", f"{ROOT}/task/{each['status']['taskId']}/runs/0/failed")
    found = site.ok("GET", path)
    assert found["states"] == {"exception": 1, "failed": 2, "running": 1}
    first = claimed[1]["status"]["taskId"]
    assert found["firstFailure"] == {
        "taskId": first,
        "runId": 0,
        "state": "failed",
        "reasonResolved": "failed",
        "resolved": site.clock.at(seconds=-1),
    }
    # Another run makes up for it.
    site.ok("POST", f"{ROOT}/task/{first}/rerun")
    assert site.ok("GET", path)["firstFailure"]["taskId"] == claimed[0]["status"]["taskId"]
    for query, status in (("", 400), ("?taskGroupId=x", 400), (f"?taskGroupId={slug(8)}", 404)):
        assert site.call("GET", f"/api/local/v1/task-group{query}").status == status
