"""Claims of runs: their credentials, and renewing them until the run is resolved."""

from __future__ import annotations

import asyncio
import logging
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
_LONGEST_SLEEP = 1.0
"""Seconds between looks at the clock, which may be moved."""
_RETRY_SECONDS = 1.0


@dataclass
class Claim:
    """A claimed run. `credentials` and `taken_until` change whenever the claim is renewed."""

    taskId: str
    runId: int
    definition: Mapping[str, Any] = field(repr=False)
    taken_until: datetime
    credentials: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, claimed: Mapping[str, Any]) -> Claim:
        """Return the claim for an element of the response of claimWork."""
        return cls(
            claimed["status"]["taskId"],
            claimed["runId"],
            claimed["task"],
            parse_date(claimed["takenUntil"]),
            claimed["credentials"],
        )

    def renew(self, response: Mapping[str, Any]) -> None:
        """Take over the response of reclaimTask."""
        self.taken_until = parse_date(response["takenUntil"])
        self.credentials = response["credentials"]


def reclaim_date(now: datetime, taken_until: datetime) -> datetime:
    """Return when to renew a claim that was just made or renewed."""
    return taken_until - min(_MARGIN, (taken_until - now) / 3)


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
        if now < due:
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
            claim.renew(response)
            renewed()
            due = reclaim_date(clock(), claim.taken_until)
            continue
        if clock() >= claim.taken_until:
            return "the claim has expired, and the queue could not be reached to renew it"
        await asyncio.sleep(_RETRY_SECONDS)
