"""The exceptions of this package."""

from __future__ import annotations

from taskcluster.exceptions import TaskclusterFailure

__all__ = ["WorkerError"]


class WorkerError(TaskclusterFailure):
    """The worker cannot start or continue; the message says what to do."""
