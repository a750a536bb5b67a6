"""The credentials of registered workers."""

from __future__ import annotations

from datetime import datetime, timedelta

from taskcluster.credentials import createTemporaryCredentials

from ...authentication import Client
from ...store import Row
from ...timestamps import CLOCK_DRIFT

__all__ = ["for_worker"]

_LONGEST = timedelta(days=31)


def for_worker(issuer: Client, worker: Row, begun: datetime, expires: datetime) -> dict[str, str]:
    """Return temporary credentials for a worker: to claim tasks of its pool, and to report about itself.

    Args:
        issuer: The client of the worker-manager service.
        worker: The worker.
        begun: When they start.
        expires: When they expire.
    """
    pool, worker_id = worker["workerPoolId"], f"{worker['workerGroup']}/{worker['workerId']}"
    made = createTemporaryCredentials(
        issuer.clientId,
        issuer.accessToken,
        # Certificates must not last longer.
        start=max(begun - CLOCK_DRIFT, expires - _LONGEST),
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
