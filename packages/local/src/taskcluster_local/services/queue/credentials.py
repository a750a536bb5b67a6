"""The temporary credentials of workers, for tasks and for the data of artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from taskcluster.credentials import createTemporaryCredentials

from ...authentication import Client
from ...timestamps import later, milliseconds
from .artifacts import Artifact
from .task import Claim, Worker

__all__ = ["for_claim", "for_download", "for_upload"]

_LONGEST = timedelta(days=31)
"""The longest that temporary credentials can last."""
_DOWNLOAD_HOLDS = timedelta(hours=1)


def for_claim(issuer: Client, claim: Claim, begun: datetime) -> dict[str, str]:
    """Return temporary credentials for a claimed run, to reclaim and resolve it and to create artifacts.

    They also have the scopes of the task.

    Args:
        issuer: The client of the queue service.
        claim: The claim; they expire with it.
        begun: When they start.
    """
    taskId, runId = claim.task.taskId, claim.runId
    until = f"{milliseconds(claim.takenUntil) / 1000:.3f}".rstrip("0").rstrip(".")
    verbs = ("queue:reclaim-task", "queue:resolve-task", "queue:create-artifact")
    scopes = [*(f"{verb}:{taskId}/{runId}" for verb in verbs), *claim.task.definition["scopes"]]
    name = f"task-client/{taskId}/{runId}/on/{claim.workerGroup}/{claim.workerId}/until/{until}"
    return _temporary(issuer, name, scopes, begun, claim.takenUntil)


def for_upload(issuer: Client, artifact: Artifact, worker: Worker, begun: datetime, until: datetime) -> dict[str, str]:
    """Return temporary credentials to upload an `object` artifact."""
    name = f"artifact-upload/{artifact.taskId}/{artifact.runId}/on/{'/'.join(worker)}"
    scope = f"object:upload:{artifact.details['projectId']}:{artifact.details['name']}"
    return _temporary(issuer, name, [scope], begun, until)


def for_download(issuer: Client, artifact: Artifact, begun: datetime, now: datetime) -> dict[str, str]:
    """Return temporary credentials to download an `object` artifact, valid for an hour."""
    name = f"artifact-download/{artifact.taskId}/{artifact.runId}/{artifact.name}"
    scope = f"object:download:{artifact.details['name']}"
    return _temporary(issuer, name, [scope], begun, later(now, _DOWNLOAD_HOLDS))


def _temporary(issuer: Client, name: str, scopes: Sequence[str], start: datetime, expiry: datetime) -> dict[str, str]:
    made = createTemporaryCredentials(
        issuer.clientId,
        issuer.accessToken,
        # An expiry in the past (clocks may differ) needs an earlier start, and certificates must not last longer.
        start=max(min(start, expiry), expiry - _LONGEST),
        expiry=expiry,
        scopes=scopes,
        name=name,
    )
    return {
        "clientId": made["clientId"],
        "accessToken": made["accessToken"].decode("ascii"),
        "certificate": made["certificate"],
    }
