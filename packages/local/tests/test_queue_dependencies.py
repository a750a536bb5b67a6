"""Tests of dependencies that were resolved before a task was created."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ROOT = "/api/queue/v1"
WORKER = {"workerGroup": "g", "workerId": "i"}


@pytest.mark.parametrize("requires", ["all-completed", "all-resolved"])
@pytest.mark.parametrize("outcome", ["completed", "failed", "exception"])
def test_dependency_may_be_resolved_already(
    site: Any, slug: Callable[[int], str], task: Callable[..., Any], requires: str, outcome: str
) -> None:
    site.ok("PUT", f"{ROOT}/task/{slug(1)}", task())
    site.ok("POST", f"{ROOT}/claim-work/p/w", WORKER)
    reason = {"reason": "internal-error"} if outcome == "exception" else None
    site.ok("POST", f"{ROOT}/task/{slug(1)}/runs/0/{outcome}", reason)
    definition = task(dependencies=[slug(1)], requires=requires)
    state = site.ok("PUT", f"{ROOT}/task/{slug(2)}", definition)["status"]["state"]
    assert state == ("pending" if outcome == "completed" or requires == "all-resolved" else "unscheduled")


def test_rerun_resets_retries(site: Any, slug: Callable[[int], str], task: Callable[..., Any]) -> None:
    site.ok("PUT", f"{ROOT}/task/{slug(1)}", task(retries=2))
    for run, reason in enumerate(("worker-shutdown", "internal-error")):
        site.ok("POST", f"{ROOT}/claim-work/p/w", WORKER)
        site.ok("POST", f"{ROOT}/task/{slug(1)}/runs/{run}/exception", {"reason": reason})
    assert site.ok("GET", f"{ROOT}/task/{slug(1)}/status")["status"]["retriesLeft"] == 1
    assert site.ok("POST", f"{ROOT}/task/{slug(1)}/rerun")["status"]["retriesLeft"] == 2
