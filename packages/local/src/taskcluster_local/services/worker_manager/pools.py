"""Worker pools: their providers, configurations and errors."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from taskcluster.slugs import slugId

from ...encoding import dumps
from ...errors import ApiError
from ...events import Events
from ...pages import Listing, Page
from ...store import Row, Store
from ...timestamps import to_wire
from .providers import NULL, launch_configs, with_launch_config_ids

__all__ = ["WORKER_TABLES", "Pools", "error_of", "launch_config_of"]

WORKER_TABLES = """
CREATE TABLE IF NOT EXISTS workers (
    workerPoolId TEXT NOT NULL, workerGroup TEXT NOT NULL, workerId TEXT NOT NULL,
    providerId TEXT NOT NULL, created TEXT NOT NULL, expires TEXT NOT NULL, state TEXT NOT NULL,
    capacity INTEGER NOT NULL, lastModified TEXT NOT NULL, lastChecked TEXT NOT NULL, launchConfigId TEXT,
    staticSecret TEXT NOT NULL, secret TEXT,
    PRIMARY KEY (workerPoolId, workerGroup, workerId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS workers_listed ON workers (workerPoolId, by_name(workerGroup), by_name(workerId));
CREATE INDEX IF NOT EXISTS workers_expires ON workers (expires);
CREATE INDEX IF NOT EXISTS workers_state ON workers (workerPoolId, state, launchConfigId, capacity);
"""
_TABLES = """
CREATE TABLE IF NOT EXISTS worker_pools (
    workerPoolId TEXT PRIMARY KEY, providerId TEXT NOT NULL, description TEXT NOT NULL, config TEXT NOT NULL,
    owner TEXT NOT NULL, emailOnError INTEGER NOT NULL, created TEXT NOT NULL, lastModified TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS worker_pools_provider ON worker_pools (providerId);
CREATE TABLE IF NOT EXISTS launch_configs (
    workerPoolId TEXT NOT NULL, launchConfigId TEXT NOT NULL, isArchived INTEGER NOT NULL,
    configuration TEXT NOT NULL, created TEXT NOT NULL, lastModified TEXT NOT NULL,
    PRIMARY KEY (workerPoolId, launchConfigId)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS worker_pool_errors (
    errorId TEXT PRIMARY KEY, workerPoolId TEXT NOT NULL, reported TEXT NOT NULL, kind TEXT NOT NULL,
    title TEXT NOT NULL, description TEXT NOT NULL, extra TEXT NOT NULL, launchConfigId TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS worker_pool_errors_pool ON worker_pool_errors (workerPoolId, reported, errorId);
CREATE INDEX IF NOT EXISTS worker_pool_errors_reported ON worker_pool_errors (reported);
"""

_STATES = ("requested", "running", "stopping", "stopped")
_ERRORS_KEPT = timedelta(days=7)
_MIDNIGHT = "T00:00:00.000Z"
_FIELDS = ("providerId", "description", "config", "owner", "emailOnError")


class Pools:
    """All worker pools of a deployment.

    Args:
        store: The deployment's database.
        events: Publishes changes and errors.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events
        store.create(WORKER_TABLES + _TABLES)

    def create(self, workerPoolId: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Create a pool. The call can be repeated.

        Raises:
            ApiError: The pool exists with another definition (RequestConflict); or its provider or configuration is
                invalid (InputError, InputValidationError).
        """
        wanted = _wanted(payload)
        with self._store.transaction():
            row = self._row(workerPoolId)
            if row is not None:
                if {name: _stored(row)[name] for name in _FIELDS} != wanted:
                    raise ApiError("RequestConflict", "Worker pool already exists")
                return self.pool(workerPoolId)
            self._store.run(
                "INSERT INTO worker_pools VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                workerPoolId,
                wanted["providerId"],
                wanted["description"],
                dumps(wanted["config"]),
                wanted["owner"],
                wanted["emailOnError"],
                to_wire(now),
                to_wire(now),
            )
            self._keep_launch_configs(workerPoolId, wanted, now)
            self._publish("workerPoolCreated", workerPoolId, wanted["providerId"])
        return self.pool(workerPoolId)

    def update(self, workerPoolId: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Change a pool.

        Raises:
            ApiError: The pool does not exist (ResourceNotFound); the payload is for another pool, or its provider or
                configuration is invalid (InputError, InputValidationError).
        """
        wanted = _wanted(payload)
        if payload.get("workerPoolId", workerPoolId) != workerPoolId:
            raise ApiError("InputError", "The workerPoolId of the payload differs from that of the URL")
        with self._store.transaction():
            previous = self._existing(workerPoolId)["providerId"]
            self._store.run(
                "UPDATE worker_pools SET providerId = ?, description = ?, config = ?, owner = ?, emailOnError = ?,"
                " lastModified = ? WHERE workerPoolId = ?",
                wanted["providerId"],
                wanted["description"],
                dumps(wanted["config"]),
                wanted["owner"],
                wanted["emailOnError"],
                to_wire(now),
                workerPoolId,
            )
            self._keep_launch_configs(workerPoolId, wanted, now)
            self._publish("workerPoolUpdated", workerPoolId, wanted["providerId"], previousProviderId=previous)
        return self.pool(workerPoolId)

    def delete(self, workerPoolId: str, now: datetime) -> dict[str, Any]:
        """Remove the provider of a pool, so that the pool is deleted once it has no workers left.

        Raises:
            ApiError: The pool does not exist (ResourceNotFound).
        """
        with self._store.transaction():
            previous = self._existing(workerPoolId)["providerId"]
            self._store.run(
                "UPDATE worker_pools SET providerId = ?, lastModified = ? WHERE workerPoolId = ?",
                NULL,
                to_wire(now),
                workerPoolId,
            )
            self._publish("workerPoolUpdated", workerPoolId, NULL, previousProviderId=previous)
        return self.pool(workerPoolId)

    def pool(self, workerPoolId: str) -> dict[str, Any]:
        """Return a pool in the form of the API, or raise ApiError (ResourceNotFound)."""
        return self.shown(self._existing(workerPoolId))

    def check(self, workerPoolId: str) -> None:
        """Raise ApiError if the pool does not exist (ResourceNotFound)."""
        self._existing(workerPoolId)

    def config(self, workerPoolId: str) -> dict[str, Any]:
        """Return the configuration of a pool, or raise ApiError (ResourceNotFound)."""
        config: dict[str, Any] = json.loads(self._existing(workerPoolId)["config"])
        return config

    def providerId(self, workerPoolId: str) -> str:
        """Return the providerId of a pool, or raise ApiError (ResourceNotFound)."""
        return str(self._existing(workerPoolId)["providerId"])

    def pools(self, page: Page) -> Listing:
        """Return a page of pools."""
        return page.read(self._store, "SELECT * FROM worker_pools", names=("workerPoolId",))

    def shown(self, row: Row) -> dict[str, Any]:
        """Return a pool in the form of the API."""
        return {**_stored(row), **self._counts(row["workerPoolId"])}

    def shown_stats(self, row: Row) -> dict[str, Any]:
        """Return the numbers of a pool's workers by state."""
        return {"workerPoolId": row["workerPoolId"], **self._counts(row["workerPoolId"])}

    def launch_configs(self, workerPoolId: str, page: Page, *, archived: bool) -> Listing:
        """Return the launch configurations of a pool, the archived ones only if `archived`.

        Raises:
            ApiError: The pool does not exist (ResourceNotFound).
        """
        self._existing(workerPoolId)
        statement = "SELECT * FROM launch_configs WHERE workerPoolId = ? AND isArchived <= ?"
        return page.read(self._store, statement, workerPoolId, archived, names=("launchConfigId",))

    def launch_config_stats(self, workerPoolId: str) -> list[dict[str, Any]]:
        """Return the numbers of a pool's workers by launch configuration and state.

        Raises:
            ApiError: The pool does not exist (ResourceNotFound).
        """
        self._existing(workerPoolId)
        rows = self._store.all(
            "SELECT launchConfigId FROM launch_configs WHERE workerPoolId = ? AND NOT isArchived"
            " ORDER BY by_name(launchConfigId)",
            workerPoolId,
        )
        return [
            {"workerPoolId": workerPoolId, **row, **self._counts(workerPoolId, row["launchConfigId"])} for row in rows
        ]

    def report(self, workerPoolId: str, payload: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Store an error that a worker of a pool reports, and return it in the form of the API.

        Raises:
            ApiError: The pool does not exist (ResourceNotFound).
        """
        worker = {"workerGroup": payload["workerGroup"], "workerId": payload["workerId"]}
        with self._store.transaction():
            providerId = self.providerId(workerPoolId)
            known = self._store.one(
                "SELECT launchConfigId FROM workers WHERE workerPoolId = ? AND workerGroup = ? AND workerId = ?",
                workerPoolId,
                *worker.values(),
            )
            launchConfigId = None if known is None else known["launchConfigId"]
            errorId = slugId()
            self._store.run(
                "INSERT INTO worker_pool_errors VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                errorId,
                workerPoolId,
                to_wire(now),
                payload["kind"],
                payload["title"],
                payload["description"],
                dumps({**payload["extra"], **worker}),
                launchConfigId,
            )
            message = {"workerPoolId": workerPoolId, "providerId": providerId, "errorId": errorId, **worker}
            message |= {"kind": payload["kind"], "title": payload["title"], "timestamp": to_wire(now)}
            if launchConfigId is not None:
                message["launchConfigId"] = launchConfigId
            provisionerId, _, workerType = workerPoolId.partition("/")
            self._events.publish(
                "worker-manager",
                "workerPoolError",
                message,
                providerId=providerId,
                provisionerId=provisionerId,
                workerType=workerType,
                launchConfigId=launchConfigId,
                **worker,
            )
        row = self._store.one("SELECT * FROM worker_pool_errors WHERE errorId = ?", errorId)
        assert row is not None
        return error_of(row)

    def errors(self, workerPoolId: str, page: Page, launchConfigId: str | None, errorId: str | None) -> Listing:
        """Return the errors of a pool, newest first."""
        statement = (
            "SELECT * FROM worker_pool_errors WHERE workerPoolId = ?"
            " AND (? IS NULL OR launchConfigId = ?) AND (? IS NULL OR errorId = ?)"
        )
        values = (workerPoolId, launchConfigId, launchConfigId, errorId, errorId)
        return page.read(self._store, statement, *values, key=("reported", "errorId"), descending=True)

    def error_totals(self, workerPoolId: str | None, now: datetime) -> dict[str, Any]:
        """Count the errors of the last seven days in a pool, or in all pools."""
        rows = self._store.all(
            "SELECT workerPoolId, reported, title, extra, launchConfigId FROM worker_pool_errors"
            " WHERE (? IS NULL OR workerPoolId = ?) AND reported > ?",
            workerPoolId,
            workerPoolId,
            to_wire(now - _ERRORS_KEPT),
        )
        days = [f"{to_wire(now - timedelta(days=days))[:10]}{_MIDNIGHT}" for days in reversed(range(_ERRORS_KEPT.days))]
        hours = [f"{to_wire(now - timedelta(hours=hours))[:13]}:00:00.000Z" for hours in reversed(range(24))]
        per_day = Counter(f"{row['reported'][:10]}{_MIDNIGHT}" for row in rows)
        per_hour = Counter(f"{row['reported'][:13]}:00:00.000Z" for row in rows)
        return {
            "total": len(rows),
            "daily": {day: per_day[day] for day in days},
            "hourly": {hour: per_hour[hour] for hour in hours},
            "title": Counter(row["title"] for row in rows),
            "code": Counter(str(json.loads(row["extra"]).get("code", "other")) for row in rows),
            "workerPool": Counter(row["workerPoolId"] for row in rows),
            "launchConfig": Counter(row["launchConfigId"] or "unknown" for row in rows),
        }

    def purge(self, now: datetime) -> None:
        """Delete the pools that were deleted and have no workers left, and old errors."""
        with self._store.transaction():
            gone = self._store.all(
                "SELECT workerPoolId FROM worker_pools AS pool WHERE providerId = ? AND NOT EXISTS"
                " (SELECT 1 FROM workers WHERE workerPoolId = pool.workerPoolId AND state <> 'stopped')",
                NULL,
            )
            for row in gone:
                for table in ("workers", "launch_configs", "worker_pools"):
                    self._store.run(f"DELETE FROM {table} WHERE workerPoolId = ?", row["workerPoolId"])
            self._store.run("DELETE FROM worker_pool_errors WHERE reported <= ?", to_wire(now - _ERRORS_KEPT))

    def _row(self, workerPoolId: str) -> Row | None:
        return self._store.one("SELECT * FROM worker_pools WHERE workerPoolId = ?", workerPoolId)

    def _existing(self, workerPoolId: str) -> Row:
        row = self._row(workerPoolId)
        if row is None:
            raise ApiError("ResourceNotFound", f"Worker pool does not exist: {workerPoolId}")
        return row

    def _counts(self, workerPoolId: str, launchConfigId: str | None = None) -> dict[str, int]:
        found = self._store.all(
            "SELECT state, count(*) AS workers, sum(capacity) AS capacity FROM workers"
            " WHERE workerPoolId = ? AND (? IS NULL OR launchConfigId = ?) GROUP BY state",
            workerPoolId,
            launchConfigId,
            launchConfigId,
        )
        counts = {row["state"]: row["workers"] for row in found}
        capacities = {row["state"]: row["capacity"] for row in found}
        return {
            "currentCapacity": sum(capacities.get(state, 0) for state in ("requested", "running", "stopping")),
            **{f"{state}Count": counts.get(state, 0) for state in _STATES},
            **{f"{state}Capacity": capacities.get(state, 0) for state in _STATES},
        }

    def _keep_launch_configs(self, workerPoolId: str, pool: dict[str, Any], now: datetime) -> None:
        """Store the present launch configurations of a pool, and archive the others."""
        wanted = launch_configs(pool["config"])
        rows = self._store.all("SELECT * FROM launch_configs WHERE workerPoolId = ?", workerPoolId)
        known = {row["launchConfigId"]: row for row in rows}
        for launchConfigId, configuration in wanted.items():
            row = known.get(launchConfigId)
            if row is not None and not row["isArchived"] and json.loads(row["configuration"]) == configuration:
                continue
            self._store.run(
                "INSERT INTO launch_configs VALUES (?, ?, FALSE, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET isArchived = FALSE, configuration = excluded.configuration, lastModified = excluded.lastModified",
                workerPoolId,
                launchConfigId,
                dumps(configuration),
                to_wire(now),
                to_wire(now),
            )
            change = "launchConfigCreated" if row is None else "launchConfigUpdated"
            self._publish_launch_config(change, workerPoolId, pool["providerId"], launchConfigId)
        for launchConfigId, row in known.items():
            if launchConfigId not in wanted and not row["isArchived"]:
                self._store.run(
                    "UPDATE launch_configs SET isArchived = TRUE, lastModified = ?"
                    " WHERE workerPoolId = ? AND launchConfigId = ?",
                    to_wire(now),
                    workerPoolId,
                    launchConfigId,
                )
                self._publish_launch_config("launchConfigArchived", workerPoolId, pool["providerId"], launchConfigId)

    def _publish(self, name: str, workerPoolId: str, providerId: str, **others: str) -> None:
        message = {"workerPoolId": workerPoolId, "providerId": providerId, **others}
        self._events.publish("worker-manager", name, message)

    def _publish_launch_config(self, name: str, workerPoolId: str, providerId: str, launchConfigId: str) -> None:
        provisionerId, _, workerType = workerPoolId.partition("/")
        self._events.publish(
            "worker-manager",
            name,
            {"launchConfigId": launchConfigId, "workerPoolId": workerPoolId, "providerId": providerId},
            providerId=providerId,
            provisionerId=provisionerId,
            workerType=workerType,
            launchConfigId=launchConfigId,
        )


def _wanted(payload: dict[str, Any]) -> dict[str, Any]:
    config = with_launch_config_ids(payload["providerId"], payload["config"])
    return {name: payload[name] for name in _FIELDS} | {"config": config}


def _stored(row: Row) -> dict[str, Any]:
    return {**row, "config": json.loads(row["config"]), "emailOnError": bool(row["emailOnError"])}


def launch_config_of(row: Row) -> dict[str, Any]:
    """Return a launch configuration in the form of the API."""
    return {**row, "isArchived": bool(row["isArchived"]), "configuration": json.loads(row["configuration"])}


def error_of(row: Row) -> dict[str, Any]:
    """Return an error in the form of the API."""
    return {name: value for name, value in row.items() if value is not None} | {"extra": json.loads(row["extra"])}
