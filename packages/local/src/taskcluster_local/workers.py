"""The workers of a local deployment. They run in this process, each in a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

from taskcluster.installation import how_to_install

from .events import Binding
from .listening import Inbox

if TYPE_CHECKING:
    from taskcluster_worker import Worker

__all__ = ["LocalWorkers", "WorkerOptions", "checked_workers", "isolation_notice"]

WorkerOptions = Mapping[str, Any] | int
"""Keyword arguments of `taskcluster_worker.Worker`, or how many tasks run at a time."""

_log = logging.getLogger("taskcluster.local")

_CLAIM_INTERVAL_SECONDS = 0.2
"""Between claims, if claimWork does not wait for tasks."""


def checked_workers(workers: Mapping[str, WorkerOptions]) -> dict[str, dict[str, Any]]:
    """Return the keyword arguments of workers, by task queue.

    Raises:
        TypeError: They are neither mappings nor numbers.
        ModuleNotFoundError: The distribution of workers is not installed.
    """
    if workers:
        _worker_class()
    found: dict[str, dict[str, Any]] = {}
    for task_queue, options in workers.items():
        if isinstance(options, Mapping):
            found[task_queue] = dict(options)
        elif isinstance(options, int) and not isinstance(options, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            found[task_queue] = {"capacity": options}
        else:
            raise TypeError(
                f"workers: {task_queue!r} must have a mapping of options for Worker, or how many tasks run at a time, "
                f"not {type(options).__name__}"
            )
    return found


def _worker_class() -> type[Worker]:
    try:
        from taskcluster_worker import Worker
    except ModuleNotFoundError as error:
        if error.name != "taskcluster_worker":
            raise
        hint = how_to_install("taskcluster-worker")
        raise ModuleNotFoundError(f"workers need taskcluster-worker: {hint}", name=error.name) from None
    return Worker


def isolation_notice(worker: Worker) -> str:
    """Return a sentence about what tasks can do to this machine."""
    return f"tasks of {worker.task_queue} run commands on this machine, {worker.executor.isolation}"


class LocalWorkers:
    """The running workers of a deployment.

    Args:
        options: Options for clients of the deployment.
        clock: Returns the deployment's time.
    """

    def __init__(self, options: Mapping[str, Any], clock: Callable[[], datetime]) -> None:
        self._options = options
        self._clock = clock
        self._stack = ExitStack()
        self.workers: list[Worker] = []
        # A run may also be resolved by others than its worker, for example cancelled.
        binding = Binding("exchange/taskcluster-queue/v1/task-exception", "#")
        self.inbox = Inbox((binding,), self._receive)
        """For messages about resolved runs, which stop them at once."""

    def start(self, task_queue: str, **options: Any) -> Worker:
        """Start a worker, and return it. `options` are keyword arguments of `Worker`."""
        given: dict[str, Any] = {
            "claim_interval": _CLAIM_INTERVAL_SECONDS,
            "worker_group": "local",
            "clock": self._clock,
            **options,
        }
        worker = self._stack.enter_context(_worker_class()(task_queue, self._options, **given))
        self.workers.append(worker)
        _log.info("%s", isolation_notice(worker))
        return worker

    def stop(self) -> None:
        """Stop all workers. Running tasks are resolved as `worker-shutdown`."""
        self._stack.close()

    def drop_runs(self) -> None:
        """Stop all runs, because the deployment has forgotten them."""
        for worker in self.workers:
            worker.drop_runs()

    def _receive(self) -> None:
        for message in self.inbox.drain():
            taskId, runId = message.payload["status"]["taskId"], message.payload["runId"]
            for worker in self.workers:
                worker.run_resolved(taskId, runId)
