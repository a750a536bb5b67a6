"""The credentials that worker-manager gives to workers that have proved who they are."""

from __future__ import annotations

from datetime import datetime, timedelta

from taskcluster.credentials import createTemporaryCredentials

from ...authentication import Client
from ...store import Row

__all__ = ["for_worker"]

_DRIFT = timedelta(minutes=15)
_LONGEST = timedelta(days=31)


def for_worker(issuer: Client, worker: Row, begun: datetime, expires: datetime) -> dict[str, str]:
    """Return temporary credentials for a worker: to claim tasks of its pool and to say what becomes of itself.

    Args:
        issuer: The service's own client.
        worker: Whom they are for.
        begun: When they begin, apart from what its clock may be behind.
        expires: When they end.
    """
    pool, worker_id = worker["workerPoolId"], f"{worker['workerGroup']}/{worker['workerId']}"
    made = createTemporaryCredentials(
        issuer.clientId,
        issuer.accessToken,
        # No certificate holds longer.
        start=max(begun - _DRIFT, expires - _LONGEST),
        expiry=expires,
        scopes=[
            f"assume:worker-type:{pool}",
            f"assume:worker-pool:{pool}",
            f"assume:worker-id:{worker_id}",
            f"queue:worker-id:{worker_id}",
            f"secrets:get:worker-type:{pool}",
            f"secrets:get:worker-pool:{pool}",
            f"queue:claim-work:{pool}",
            f"worker-manager:remove-worker:{pool}/{worker_id}",
            f"worker-manager:reregister-worker:{pool}/{worker_id}",
            f"worker-manager:should-worker-terminate:{pool}/{worker_id}",
        ],
        name=f"worker/{worker['providerId']}/{pool}/{worker_id}",
    )
    return {
        "clientId": made["clientId"],
        "accessToken": made["accessToken"].decode("ascii"),
        "certificate": made["certificate"],
    }
