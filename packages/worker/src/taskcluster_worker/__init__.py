"""A worker for Taskcluster: it claims tasks, runs their commands, and uploads their logs and artifacts."""

from __future__ import annotations

from .errors import WorkerError
from .version import VERSION
from .worker import Worker

__all__ = ["VERSION", "Worker", "WorkerError"]


def __dir__() -> list[str]:
    return __all__
