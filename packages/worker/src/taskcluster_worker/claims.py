"""Claims of runs: their credentials, and renewing them until the run is resolved."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.retries import retryable
from taskcluster.timestamps import parse_date

__all__ = ["Claim", "is_refusal", "keep", "reclaim_date"]

_log = logging.getLogger("taskcluster.worker")

_MARGIN = timedelta(minutes=3)
"""How long before its end a claim is renewed; a third of the claim if that is less."""
_KILL_MARGIN = 10.0
"""How many seconds before the end of a claim the task's processes are killed; a tenth of the claim if that is less.

The queue may give the run to another worker when the claim ends.
"""
_LONGEST_SLEEP = 1.0
"""Seconds between looks at the clock, which may be moved."""
_RETRY_SECONDS = 1.0


@dataclass
class Claim:
    """A claimed run. All but its task and run may change whenever the claim is renewed."""

    taskId: str
    runId: int
    definition: Mapping[str, Any] = field(repr=False)
    taken_until: datetime
    credentials: Mapping[str, Any] = field(repr=False)
    seconds: float = math.inf
    """How long the queue gives claims."""
    reclaim_at: float = math.inf
    """When to renew it at the latest, by `time.monotonic()`."""
    kill_at: float = math.inf
    """When to kill the task's processes, by `time.monotonic()`, which is the same in all processes of a machine."""

    @classmethod
    def of(cls, claimed: Mapping[str, Any], now: datetime) -> Claim:
        """Return the claim for an element of the response of claimWork.

        Args:
            claimed: The element.
            now: The deployment's time.
        """
        status, taken_until = claimed["status"], parse_date(claimed["takenUntil"])
        started = parse_date(status["runs"][claimed["runId"]]["started"])
        claim = cls(
            status["taskId"],
            claimed["runId"],
            claimed["task"],
            taken_until,
            claimed["credentials"],
            (taken_until - started).total_seconds(),
        )
        claim._limit(now)
        return claim

    def renew(self, response: Mapping[str, Any], now: datetime) -> None:
        """Take over the response of reclaimTask."""
        self.taken_until = parse_date(response["takenUntil"])
        self.credentials = response["credentials"]
        self._limit(now)

    def _limit(self, now: datetime) -> None:
        # The difference is longer if the worker's clock is late.
        left = min(self.seconds, (self.taken_until - now).total_seconds())
        end = time.monotonic() + left
        self.reclaim_at = end - _margin(timedelta(seconds=left)).total_seconds()
        self.kill_at = end - min(_KILL_MARGIN, left / 10)


def reclaim_date(now: datetime, taken_until: datetime) -> datetime:
    """Return when to renew a claim that was just made or renewed."""
    return taken_until - _margin(taken_until - now)


def _margin(left: timedelta) -> timedelta:
    return min(_MARGIN, left / 3)


def is_refusal(error: TaskclusterFailure) -> TypeGuard[TaskclusterAuthFailure | TaskclusterRestFailure]:
    """Return whether a server has refused a call, and would do so again."""
    if not isinstance(error, TaskclusterAuthFailure | TaskclusterRestFailure):
        return False
    return 400 <= error.status_code < 500 and not retryable(error.status_code)


async def keep(
    claim: Claim,
    reclaim: Callable[[], Awaitable[Mapping[str, Any]]],
    renewed: Callable[[], None],
    clock: Callable[[], datetime],
    deadline: datetime,
) -> str:
    """Renew a claim until it is lost, and return why it is lost. Cancel this to stop.

    Args:
        claim: The claim, which changes.
        reclaim: Calls reclaimTask.
        renewed: Called when the claim has changed.
        clock: The deployment's time.
        deadline: Of the task.
    """
    due = reclaim_date(clock(), claim.taken_until)
    while True:
        now = clock()
        if now >= deadline:
            return "the task's deadline has passed"
        if now >= claim.taken_until:
            return "the claim has expired"
        if now < due and time.monotonic() < claim.reclaim_at:
            await asyncio.sleep(min((min(due, deadline) - now).total_seconds(), _LONGEST_SLEEP))
            continue
        try:
            response = await reclaim()
        except TaskclusterAuthFailure as error:
            return f"the claim has expired ({error})"
        except TaskclusterFailure as error:
            if is_refusal(error):
                return f"the queue did not renew the claim ({error.code or error.status_code})"
            _log.warning("%s/%s: cannot renew the claim: %s", claim.taskId, claim.runId, error)
        else:
            now = clock()
            claim.renew(response, now)
            renewed()
            due = reclaim_date(now, claim.taken_until)
            continue
        if clock() >= claim.taken_until:
            return "the claim has expired, and the queue could not be reached to renew it"
        await asyncio.sleep(_RETRY_SECONDS)
