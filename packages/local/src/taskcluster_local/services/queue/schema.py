"""The tables of tasks, dependencies and task groups, and how a row becomes a task or a group."""

from __future__ import annotations

import json
from typing import Any

from ...store import Row
from .task import Task

__all__ = ["ACTIVE", "COLUMNS", "TABLES", "group_of", "task_of"]

ACTIVE = "state IN ('unscheduled', 'pending', 'running')"
"""The condition for tasks that are not resolved."""

TABLES = f"""
CREATE TABLE IF NOT EXISTS tasks (
    taskId TEXT PRIMARY KEY, taskGroupId TEXT NOT NULL, taskQueueId TEXT NOT NULL,
    schedulerId TEXT NOT NULL, projectId TEXT NOT NULL, urgency INTEGER NOT NULL,
    deadline TEXT NOT NULL, expires TEXT NOT NULL, retriesLeft INTEGER NOT NULL, state TEXT NOT NULL,
    pendingSince INTEGER, worker TEXT, takenUntil TEXT, runs TEXT NOT NULL, definition TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS tasks_pending ON tasks (taskQueueId, urgency, pendingSince) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS tasks_claimed ON tasks (taskQueueId, worker, taskId) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS tasks_by_claim ON tasks (takenUntil) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS tasks_by_deadline ON tasks (deadline) WHERE {ACTIVE};
CREATE INDEX IF NOT EXISTS tasks_of_group ON tasks (taskGroupId, by_name(taskId));
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks (taskGroupId, state);
CREATE INDEX IF NOT EXISTS tasks_by_expiry ON tasks (expires);
CREATE TABLE IF NOT EXISTS dependencies (
    requiredTaskId TEXT NOT NULL, taskId TEXT NOT NULL, anyOutcome INTEGER NOT NULL, satisfied INTEGER NOT NULL,
    PRIMARY KEY (requiredTaskId, taskId)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dependents_listed ON dependencies (requiredTaskId, by_name(taskId));
CREATE INDEX IF NOT EXISTS dependencies_unsatisfied ON dependencies (taskId) WHERE NOT satisfied;
CREATE TABLE IF NOT EXISTS task_groups (
    taskGroupId TEXT PRIMARY KEY, schedulerId TEXT NOT NULL, expires TEXT NOT NULL, sealed TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS task_groups_by_expiry ON task_groups (expires);
CREATE TABLE IF NOT EXISTS queue_counts (
    taskQueueId TEXT PRIMARY KEY, pending INTEGER NOT NULL, claimed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS count_created AFTER INSERT ON tasks WHEN new.state = 'pending' BEGIN
    INSERT INTO queue_counts VALUES (new.taskQueueId, 1, 0)
    ON CONFLICT (taskQueueId) DO UPDATE SET pending = pending + 1;
END;
CREATE TRIGGER IF NOT EXISTS count_changed AFTER UPDATE OF state ON tasks WHEN new.state <> old.state BEGIN
    INSERT INTO queue_counts VALUES (new.taskQueueId, new.state = 'pending', new.state = 'running')
    ON CONFLICT (taskQueueId) DO UPDATE SET
        pending = pending + (new.state = 'pending') - (old.state = 'pending'),
        claimed = claimed + (new.state = 'running') - (old.state = 'running');
END;
CREATE TRIGGER IF NOT EXISTS count_deleted AFTER DELETE ON tasks WHEN old.state IN ('pending', 'running') BEGIN
    UPDATE queue_counts SET pending = pending - (old.state = 'pending'), claimed = claimed - (old.state = 'running')
    WHERE taskQueueId = old.taskQueueId;
END;
"""
COLUMNS = (
    "tasks.taskId, taskGroupId, taskQueueId, schedulerId, projectId, urgency, deadline, expires, retriesLeft,"
    " definition, runs, pendingSince"
)
"""What `task_of` needs."""


def task_of(row: Row) -> Task:
    """Return the task in a row with COLUMNS."""
    return Task(
        row["taskId"],
        row["taskGroupId"],
        row["taskQueueId"],
        row["schedulerId"],
        row["projectId"],
        row["urgency"],
        row["deadline"],
        row["expires"],
        row["retriesLeft"],
        row["definition"],
        json.loads(row["runs"]),
        row["pendingSince"],
    )


def group_of(row: Row) -> dict[str, Any]:
    """Return the task group in a row, as APIs and messages show it."""
    return {name: value for name, value in row.items() if value is not None}
