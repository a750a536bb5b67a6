"""The artifacts of a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["artifact_pages"]


def artifact_pages(queue: Any, task_id: str, run: int | None) -> Iterator[list[Any]]:
    """Yield the pages of a run's artifacts; those of the last run if `run` is None."""
    pages = (
        queue.paginate(queue.listLatestArtifacts, task_id)
        if run is None
        else queue.paginate(queue.listArtifacts, task_id, run)
    )
    for page in pages:
        yield page["artifacts"]
