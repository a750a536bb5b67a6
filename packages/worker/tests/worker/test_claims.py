"""Renewing claims, without a deployment."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterConnectionError, TaskclusterRestFailure
from taskcluster.timestamps import stringDate
from taskcluster_worker import claims
from taskcluster_worker.claims import Claim, keep


class Clock:
    """A clock that moves whenever it is read."""

    def __init__(self, step: float) -> None:
        self.now = taskcluster.fromNow("0 seconds")
        self.step = timedelta(seconds=step)

    def __call__(self) -> Any:
        self.now += self.step
        return self.now


def run(results: list[Any], *, step: float = 60.0, deadline: float = 36_000.0) -> tuple[str, Claim, int]:
    clock = Clock(step)
    start = clock.now
    claim = Claim("T", 0, {}, start + timedelta(minutes=20), {"clientId": "first"})
    renewals = 0

    async def reclaim() -> Any:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return {"takenUntil": stringDate(clock.now + timedelta(minutes=20)), "credentials": {"clientId": result}}

    def renewed() -> None:
        nonlocal renewals
        renewals += 1

    reason = asyncio.run(keep(claim, reclaim, renewed, clock, start + timedelta(seconds=deadline)))
    return reason, claim, renewals


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    # The clock moves by itself.
    for name in ("_LONGEST_SLEEP", "_RETRY_SECONDS"):
        monkeypatch.setattr(claims, name, 0.0)


CONFLICT = TaskclusterRestFailure("resolved", None, 409, {"code": "RequestConflict"})


def test_renews_until_the_queue_refuses():
    reason, claim, renewals = run(["second", "third", CONFLICT])
    assert "RequestConflict" in reason
    assert (claim.credentials, renewals) == ({"clientId": "third"}, 2)


@pytest.mark.parametrize(
    "failure",
    [
        TaskclusterConnectionError("no response", None),
        TaskclusterRestFailure("broken", None, 503, {}),
        TaskclusterRestFailure("not JSON", None, 200, {}),
    ],
    ids=["connection", "server", "response"],
)
def test_tries_again_after_failures_that_may_pass(failure):
    reason, _, renewals = run([failure, failure, "second", CONFLICT], step=10.0)
    assert "RequestConflict" in reason
    assert renewals == 1


def claimed(now: Any, *, length: float = 1200.0) -> Claim:
    status = {"taskId": "T", "runs": [{"started": stringDate(now)}]}
    until = stringDate(now + timedelta(seconds=length))
    response = {"status": status, "runId": 0, "task": {}, "takenUntil": until, "credentials": {}}
    return Claim.of(response, now)


@pytest.mark.parametrize(
    ("length", "expected"), [(1200.0, 1190.0), (20.0, 18.0)], ids=["twenty minutes", "twenty seconds"]
)
def test_processes_are_killed_before_the_claim_ends(monkeypatch, length, expected):
    monkeypatch.setattr(claims.time, "monotonic", lambda: 100.0)
    now = taskcluster.fromNow("0 seconds")
    claim = claimed(now, length=length)
    assert claim.kill_at == pytest.approx(100.0 + expected, abs=0.01)
    later = {"takenUntil": stringDate(now + timedelta(seconds=2 * length)), "credentials": {}}
    claim.renew(later, now + timedelta(seconds=length))
    assert claim.kill_at == pytest.approx(100.0 + expected, abs=0.01)


def test_processes_are_killed_in_time_if_the_clock_is_late():
    now = taskcluster.fromNow("0 seconds")
    claim = claimed(now)
    expected = claim.kill_at
    claim.renew({"takenUntil": stringDate(claim.taken_until), "credentials": {}}, now - timedelta(hours=1))
    assert claim.kill_at == pytest.approx(expected, abs=60.0)


def test_renews_in_time_if_the_clock_is_late():
    now = taskcluster.fromNow("0 seconds")
    claim = claimed(now, length=0.03)

    async def reclaim() -> Any:
        raise CONFLICT

    # By this clock, the claim ends in an hour.
    late = now - timedelta(hours=1)
    assert "RequestConflict" in asyncio.run(keep(claim, reclaim, lambda: None, lambda: late, now))


def test_gives_up_when_the_claim_has_expired():
    failures = [TaskclusterConnectionError("no response", None)] * 100
    reason, _, _ = run(list(failures))
    assert "could not be reached" in reason


def test_gives_up_when_the_credentials_are_rejected():
    reason, _, _ = run([TaskclusterAuthFailure("expired", None, 401, {})])
    assert "the claim has expired" in reason


def test_ends_at_the_deadline():
    reason, _, renewals = run(["second"] * 10, deadline=3600.0)
    assert "deadline" in reason
    assert renewals > 1
