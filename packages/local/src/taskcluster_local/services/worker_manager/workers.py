"""Workers of pools: created, registered when they start, and stopped. The queue knows which tasks they run."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from taskcluster.slugs import slugId

from ...encoding import is_object
from ...errors import ApiError
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import normal, to_wire
from .pools import WORKER_TABLES, Pools
from .providers import IDENTIFIER, PROVIDERS, STATIC, reregistration_seconds

__all__ = ["PoolWorkers", "Registration", "WorkerQueue", "worker_of"]

_LARGEST_CAPACITY = 2**31 - 1
_STANDALONE = "standalone"
_OF_QUEUE = (
    "workerGroup", "workerId", "firstClaim", "lastDateActive", "latestTask", "recentTasks", "expires",
    "quarantineUntil", "quarantineDetails", "provisionerId", "workerType",
)  # fmt: skip
_JOINED = ("workerPoolId", "providerId", "state", "capacity", "launchConfigId")


class WorkerQueue(Protocol):
    """The queue's records of workers. The workers of a pool use the task queue of its name."""

    def worker(self, taskQueueId: str, workerGroup: str, workerId: str) -> dict[str, Any] | None:
        """Return a worker as the queue's getWorker does, or None."""
        ...

    def workers(self, taskQueueId: str, page: Page, now: datetime, *, quarantined: bool | None) -> Listing:
        """Return workers of a queue as the queue's listWorkers does.

        Args:
            taskQueueId: The task queue.
            page: The page to return.
            now: The deployment's time.
            quarantined: Whether to return only those in quarantine, or only the others; None for both.
        """
        ...

    def worker_removed(self, workerPoolId: str, workerGroup: str, workerId: str, now: datetime) -> None:
        """End the runs of a worker that was removed, within the open transaction."""
        ...


class Registration(NamedTuple):
    """The result of registering a worker."""

    worker: Row
    expires: datetime
    """When the worker must have registered again."""
    secret: str
    """The secret for registering again, valid once."""
    config: dict[str, Any]
    """The configuration of the pool."""


class PoolWorkers:
    """All workers of the pools of a deployment.

    They are static: they are running once they are created, and no messages are published about them.

    Args:
        store: The deployment's database.
        pools: The pools.
        queue: The queue's records of workers.
    """

    def __init__(self, store: Store, pools: Pools, queue: WorkerQueue) -> None:
        self._store = store
        self._pools = pools
        self._queue = queue
        store.create(WORKER_TABLES)

    def create(self, key: tuple[str, str, str], payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Create a worker, which can then register. The call can be repeated.

        Args:
            key: workerPoolId, workerGroup and workerId.
            payload: The payload of createWorker.
            now: The deployment's time.

        Raises:
            ApiError: The pool does not exist (ResourceNotFound), its provider does not create workers in this way, or
                the payload is invalid (InputError); or the worker exists with other properties (RequestConflict).
        """
        providerId = self._pools.providerId(key[0])
        if not all(IDENTIFIER.fullmatch(part) for part in key[1:]):
            raise ApiError("InputError", "workerGroup and workerId must be 1 to 38 letters, digits, - or _")
        expires, capacity, proof = _given(providerId, payload, now)
        capacity = 1 if capacity is None else capacity
        with self._store.transaction():
            row = self._row(key)
            if row is not None:
                if (row["expires"], row["capacity"], row["staticSecret"]) != (expires, capacity, proof):
                    raise ApiError("RequestConflict", "Worker already exists")
                return worker_of(row)
            at = to_wire(now)
            self._store.run(
                "INSERT INTO workers VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, NULL, ?, NULL)",
                *key,
                providerId,
                at,
                expires,
                capacity,
                at,
                at,
                proof,
            )
        return self.worker(key)

    def update(self, key: tuple[str, str, str], payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Change a worker. Without a capacity in the payload its capacity stays.

        Raises:
            ApiError: The worker does not exist (ResourceNotFound), or the payload is invalid (InputError).
        """
        expires, capacity, proof = _given(self.row(key)["providerId"], payload, now)
        self._store.run(
            "UPDATE workers SET expires = ?, capacity = coalesce(?, capacity), staticSecret = ?, lastModified = ?"
            " WHERE workerPoolId = ? AND workerGroup = ? AND workerId = ?",
            expires,
            capacity,
            proof,
            to_wire(now),
            *key,
        )
        return self.worker(key)

    def remove(self, key: tuple[str, str, str], now: datetime) -> None:
        """Stop a worker, if it is running, or raise ApiError (ResourceNotFound)."""
        with self._store.transaction():
            self._stop(self.row(key), now)

    def _stop(self, row: Row, now: datetime) -> None:
        if row["state"] == "stopped":
            return
        key = _key(row)
        self._set_state(key, "stopped", None, now)
        self._queue.worker_removed(*key, now)

    def expire(self, now: datetime) -> None:
        """Stop and remove the expired workers."""
        with self._store.transaction():
            for row in self._store.all("SELECT * FROM workers WHERE expires <= ? LIMIT 1000", to_wire(now)):
                self._stop(row, now)
                self._store.run(
                    "DELETE FROM workers WHERE workerPoolId = ? AND workerGroup = ? AND workerId = ?", *_key(row)
                )

    def register(self, payload: dict[str, Any], now: datetime) -> Registration:
        """Register a worker that identifies itself by its secret. It may register again.

        Raises:
            ApiError: The pool, provider or worker does not exist (ResourceNotFound); or the worker has another
                provider, was removed, or has the wrong secret (InputError).
        """
        key = payload["workerPoolId"], payload["workerGroup"], payload["workerId"]
        with self._store.transaction():
            config = self._pools.config(key[0])
            if payload["providerId"] not in PROVIDERS:
                raise ApiError("ResourceNotFound", f"Provider {payload['providerId']} does not exist")
            row = self.row(key)
            if row["providerId"] != payload["providerId"]:
                raise ApiError("InputError", f"Worker does not have the providerId {payload['providerId']}")
            if row["state"] == "stopped":
                raise ApiError("InputError", "Worker cannot register: it has been removed")
            if not _proves(payload["workerIdentityProof"].get("staticSecret", ""), row["staticSecret"]):
                raise ApiError("InputError", "bad staticSecret in workerIdentityProof")
            return Registration(row, _registered_until(config, now), self._new_secret(key, now), config)

    def reregister(self, payload: dict[str, Any], now: datetime) -> Registration:
        """Renew the registration of a worker with the secret of its last registration.

        Raises:
            ApiError: The worker does not exist, or the secret is wrong (InputError).
        """
        key = payload["workerPoolId"], payload["workerGroup"], payload["workerId"]
        with self._store.transaction():
            row = self._row(key)
            if row is None or row["secret"] is None or not _proves(payload["secret"], row["secret"]):
                raise ApiError("InputError", "Could not generate credentials for this secret")
            config = self._pools.config(key[0])
            return Registration(row, _registered_until(config, now), self._new_secret(key, now), config)

    def _new_secret(self, key: tuple[str, str, str], now: datetime) -> str:
        secret = slugId() + slugId()
        self._set_state(key, "running", _digest(secret), now)
        return secret

    def _set_state(self, key: tuple[str, str, str], state: str, secret: str | None, now: datetime) -> None:
        self._store.run(
            "UPDATE workers SET state = ?, secret = ?, lastModified = ?, lastChecked = ?"
            " WHERE workerPoolId = ? AND workerGroup = ? AND workerId = ?",
            state,
            secret,
            to_wire(now),
            to_wire(now),
            *key,
        )

    def should_terminate(self, key: tuple[str, str, str]) -> dict[str, Any]:
        """Return that a static worker need not terminate, or raise ApiError (ResourceNotFound)."""
        self.row(key)
        return {"terminate": False, "reason": "none"}

    def row(self, key: tuple[str, str, str]) -> Row:
        """Return the row of a worker, or raise ApiError (ResourceNotFound)."""
        row = self._row(key)
        if row is None:
            raise ApiError("ResourceNotFound", "Worker not found")
        return row

    def worker(self, key: tuple[str, str, str]) -> dict[str, Any]:
        """Return a worker in the form of the API, or raise ApiError (ResourceNotFound)."""
        return worker_of(self.row(key))

    def workers(
        self, workerPoolId: str, page: Page, *, state: str | None = None, launchConfigId: str | None = None
    ) -> Listing:
        """Return workers of a pool, by group and id, or raise ApiError if it does not exist (ResourceNotFound)."""
        self._pools.check(workerPoolId)
        return page.read(
            self._store,
            "SELECT * FROM workers WHERE workerPoolId = ? AND (? IS NULL OR state = ?)"
            " AND (? IS NULL OR launchConfigId = ?)",
            workerPoolId,
            state,
            state,
            launchConfigId,
            launchConfigId,
            names=("workerGroup", "workerId"),
        )

    def workers_of_group(self, workerPoolId: str, workerGroup: str, page: Page) -> Listing:
        """Return the workers of a pool in one group, by id."""
        statement = "SELECT * FROM workers WHERE workerPoolId = ? AND workerGroup = ?"
        return page.read(self._store, statement, workerPoolId, workerGroup, names=("workerId",))

    def joined(self, taskQueueId: str, workerGroup: str, workerId: str) -> dict[str, Any]:
        """Return the queue's record of a worker joined with the one here, or raise ApiError (ResourceNotFound)."""
        found = self._queue.worker(taskQueueId, workerGroup, workerId)
        if found is None:
            raise ApiError("ResourceNotFound", "Worker not found")
        return self._join(taskQueueId, found)

    def all_joined(
        self,
        taskQueueId: str,
        page: Page,
        now: datetime,
        *,
        quarantined: bool | None,
        state: str | None,
        launchConfigId: str | None,
    ) -> Listing:
        """Return the queue's records of workers joined with those here.

        State and launch configuration are compared after a page was read, so pages before the last may be short.
        """
        found = self._queue.workers(taskQueueId, page, now, quarantined=quarantined)
        rows = [self._join(taskQueueId, row) for row in found.rows]
        wanted = {"state": state, "launchConfigId": launchConfigId}
        narrowed = [
            row for row in rows if all(value is None or row.get(name) == value for name, value in wanted.items())
        ]
        return Listing(narrowed, found.token)

    def _join(self, taskQueueId: str, found: dict[str, Any]) -> dict[str, Any]:
        shown = {name: found[name] for name in _OF_QUEUE if found.get(name) is not None}
        row = self._row((taskQueueId, found["workerGroup"], found["workerId"]))
        if row is None:
            # The pattern of workerPoolId is narrower than that of taskQueueId.
            return {**shown, "state": _STANDALONE}
        return shown | {name: row[name] for name in _JOINED if row[name] is not None}

    def _row(self, key: tuple[str, str, str]) -> Row | None:
        statement = "SELECT * FROM workers WHERE workerPoolId = ? AND workerGroup = ? AND workerId = ?"
        return self._store.one(statement, *key)


def _key(row: Row) -> tuple[str, str, str]:
    return row["workerPoolId"], row["workerGroup"], row["workerId"]


def _given(providerId: str, payload: dict[str, Any], now: datetime) -> tuple[str, int | None, str]:
    """Return the expiry, capacity and secret of a worker from a payload, as they are stored."""
    if providerId != STATIC:
        raise ApiError("InputError", f"Workers can only be created in pools of the provider {STATIC}, not {providerId}")
    expires, capacity = normal(payload["expires"]), payload.get("capacity")
    if expires <= to_wire(now):
        raise ApiError("InputError", "expires must be in the future")
    if capacity is not None and capacity > _LARGEST_CAPACITY:
        raise ApiError("InputError", f"capacity must be at most {_LARGEST_CAPACITY}")
    info = payload.get("providerInfo")
    if not is_object(info) or "staticSecret" not in info:
        raise ApiError("InputError", "providerInfo must have a staticSecret")
    return expires, capacity, _digest(info["staticSecret"])


def _registered_until(config: dict[str, Any], now: datetime) -> datetime:
    return now + timedelta(seconds=reregistration_seconds(config))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _proves(secret: str, digest: str) -> bool:
    return hmac.compare_digest(_digest(secret), digest)


def worker_of(row: Row) -> dict[str, Any]:
    """Return a worker in the form of the API."""
    hidden = ("staticSecret", "secret")
    return {name: value for name, value in row.items() if name not in hidden and value is not None}
