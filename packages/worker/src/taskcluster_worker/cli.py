"""The `taskcluster-worker` command."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from taskcluster.exceptions import TaskclusterFailure

from .payloads import MAX_RUN_TIME
from .registry import executor_names
from .worker import Worker

__all__ = ["main"]

STOPPED = 71
"""The exit status after SIGINT, as generic-worker has it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # Each request would be a line.
    logging.getLogger("taskcluster.worker").setLevel(logging.INFO)
    try:
        return asyncio.run(_run(given))
    except TaskclusterFailure as error:
        print(f"taskcluster-worker: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="taskcluster-worker", description="A worker for Taskcluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="claim and run tasks",
        description="Claim and run tasks of a queue. The root URL and the credentials are found as in clients: in the "
        "environment, the task's proxy, the configuration file, or a plugin. SIGTERM aborts running tasks, which the "
        f"queue then retries. SIGINT (Ctrl-C) lets them finish first, and the exit status is then {STOPPED}; a second "
        "one aborts them.",
    )
    run.add_argument("--task-queue", required=True, metavar="PROVISIONER/TYPE", help="the queue to claim tasks of")
    run.add_argument("--worker-group", default="python", metavar="G", help="the workerGroup (default: %(default)s)")
    run.add_argument("--worker-id", metavar="W", help="the workerId (default: made of host and process)")
    run.add_argument("--capacity", type=int, default=1, metavar="N", help="tasks at a time (default: %(default)s)")
    run.add_argument("--idle-timeout", type=float, metavar="S", help="end after S seconds without a task")
    run.add_argument(
        "--max-run-time",
        type=int,
        default=MAX_RUN_TIME,
        metavar="S",
        help="the longest maxRunTime to accept, in seconds (default: %(default)s)",
    )
    run.add_argument("--executor", default="host", help=f"what runs commands: {', '.join(executor_names())}")
    run.add_argument("--directory", metavar="DIR", help="keep tasks, caches and images here (default: temporary)")
    run.add_argument(
        "--live-log-host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="serve live logs on this address of this machine (default: %(default)s, only for this machine)",
    )
    run.add_argument("--root-url", help="the deployment (default: TASKCLUSTER_ROOT_URL)")
    return parser


async def _run(given: argparse.Namespace) -> int:
    worker = Worker(
        given.task_queue,
        {} if given.root_url is None else {"rootUrl": given.root_url},
        worker_group=given.worker_group,
        worker_id=given.worker_id,
        capacity=given.capacity,
        idle_timeout=given.idle_timeout,
        max_run_time=given.max_run_time,
        executor=given.executor,
        directory=given.directory,
        live_log_host=given.live_log_host,
    )
    loop = asyncio.get_running_loop()
    status = 0

    def interrupted() -> None:
        nonlocal status
        if status:
            worker.shut_down()
            return
        status = STOPPED
        print("taskcluster-worker: ends when its tasks have finished; interrupt again to abort them", flush=True)
        worker.finish()

    async with worker:
        loop.add_signal_handler(signal.SIGINT, interrupted)
        loop.add_signal_handler(signal.SIGTERM, worker.shut_down)
        print(
            f"taskcluster-worker: {worker.worker_group}/{worker.worker_id} claims tasks of {worker.task_queue}, and "
            f"runs them {worker.executor.isolation}",
            flush=True,
        )
        await worker.wait()
    return status
