"""The built-in workers, which resolve the tasks of their queues without running them."""

from __future__ import annotations

import asyncio

from ...timestamps import Clock
from .state import Queue

__all__ = ["resolve_tasks"]

_OUTCOMES = {"succeed": "completed", "fail": "failed"}
_BATCH = 32
"""How many tasks are resolved before other requests are served."""


async def resolve_tasks(queue: Queue, clock: Clock) -> None:
    """Resolve the pending tasks of `built-in/succeed` and `built-in/fail`, whose payload must be empty."""
    for name, outcome in _OUTCOMES.items():
        while claims := queue.claims.claim_work(f"built-in/{name}", ("built-in", name), _BATCH, clock()):
            for claim in claims:
                task, runId = claim.task, str(claim.runId)
                if task.definition["payload"]:
                    queue.claims.report_exception(task.taskId, runId, "malformed-payload", clock())
                else:
                    queue.claims.report(task.taskId, runId, outcome, clock())
            await asyncio.sleep(0)
