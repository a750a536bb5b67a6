"""What happens as time passes: claims expire, deadlines resolve tasks, expired tasks and groups are deleted."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta

from ...store import Store
from ...timestamps import to_wire
from .dependencies import Dependencies
from .records import TaskRecords
from .schema import ACTIVE
from .transitions import Transitions

__all__ = ["EXPIRED_FOR", "Expiry"]

EXPIRED_FOR = timedelta(days=1)
"""How long expired tasks and artifacts are kept; deployments too delete them only now and then."""

_DEADLINE_LAG = timedelta(minutes=1)
_BATCH = 100
"""How many tasks are changed before other requests are served."""


class Expiry:
    """Expires claims, resolves overdue tasks and deletes expired ones.

    Args:
        store: The deployment's database.
        records: The tasks.
        transitions: Changes the tasks.
        dependencies: The dependencies between them.
    """

    def __init__(
        self, store: Store, records: TaskRecords, transitions: Transitions, dependencies: Dependencies
    ) -> None:
        self._store = store
        self._records = records
        self._transitions = transitions
        self._dependencies = dependencies

    async def expire_claims(self, now: datetime) -> None:
        """End the runs whose claim has expired (`claim-expired`), and retry their tasks."""
        expired = (
            f"SELECT taskId FROM tasks WHERE state = 'running' AND takenUntil < ? ORDER BY takenUntil LIMIT {_BATCH}"
        )
        while rows := self._store.all(expired, to_wire(now)):
            with self._store.transaction():
                for task in self._records.still_active(rows):
                    self._transitions.end_or_retry(task, "claim-expired", now)
            await asyncio.sleep(0)

    async def resolve_overdue(self, now: datetime) -> None:
        """Resolve the active tasks whose deadline has passed (`deadline-exceeded`)."""
        late = f"SELECT taskId FROM tasks WHERE {ACTIVE} AND deadline < ? ORDER BY deadline LIMIT {_BATCH}"
        while rows := self._store.all(late, to_wire(now - _DEADLINE_LAG)):
            with self._store.transaction():
                for task in self._records.still_active(rows):
                    self._transitions.end_unresolved(task, "deadline-exceeded", now)
            await asyncio.sleep(0)

    async def delete_expired(self, now: datetime) -> None:
        """Delete the tasks and groups that have been expired for EXPIRED_FOR."""
        before = to_wire(now - EXPIRED_FOR)
        expired = f"SELECT taskId, definition FROM tasks WHERE expires < ? LIMIT {_BATCH}"
        while rows := self._store.all(expired, before):
            with self._store.transaction():
                for row in rows:
                    self._store.run("DELETE FROM tasks WHERE taskId = ?", row["taskId"])
                    self._dependencies.delete(row["taskId"], json.loads(row["definition"])["dependencies"])
            await asyncio.sleep(0)
        self._store.run("DELETE FROM task_groups WHERE expires < ?", before)
