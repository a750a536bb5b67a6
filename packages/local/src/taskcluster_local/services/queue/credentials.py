"""The credentials that the queue gives to the workers of its tasks."""

from __future__ import annotations

from datetime import datetime

from taskcluster.credentials import createTemporaryCredentials

from ...authentication import Client
from ...timestamps import milliseconds
from .state import Claim

__all__ = ["for_claim"]


def for_claim(issuer: Client, claim: Claim, now: datetime) -> dict[str, str]:
    """Return temporary credentials for a claimed run: to keep, resolve and add to it, and with the task's own scopes.

    Args:
        issuer: The queue's own client.
        claim: What they are for; they end with it.
        now: When they begin.
    """
    taskId, runId = claim.task.taskId, claim.runId
    until = f"{milliseconds(claim.takenUntil) / 1000:.3f}".rstrip("0").rstrip(".")
    verbs = ("queue:reclaim-task", "queue:resolve-task", "queue:create-artifact")
    made = createTemporaryCredentials(
        issuer.clientId,
        issuer.accessToken,
        start=now,
        expiry=claim.takenUntil,
        scopes=[*(f"{verb}:{taskId}/{runId}" for verb in verbs), *claim.task.definition["scopes"]],
        name=f"task-client/{taskId}/{runId}/on/{claim.workerGroup}/{claim.workerId}/until/{until}",
    )
    return {
        "clientId": made["clientId"],
        "accessToken": made["accessToken"].decode("ascii"),
        "certificate": made["certificate"],
    }
