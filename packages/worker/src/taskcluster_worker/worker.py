"""A worker: claims tasks of one queue, and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import taskcluster.aio
from taskcluster.environment import resolve_options
from taskcluster.exceptions import TaskclusterFailure

from .caches import Caches
from .claims import Claim, is_refusal
from .directory import delete_abandoned, worker_directory
from .errors import WorkerError
from .live_log import LiveLogs
from .payloads import MAX_RUN_TIME
from .plugins import Executor
from .registry import executor_named
from .run import Place, TaskRun

__all__ = ["Worker"]

_log = logging.getLogger("taskcluster.worker")

_MOST_TASKS = 32
"""The most that claimWork returns."""
_OF_WORKER = ("credentials", "authorizedScopes")
"""Options that clients with the credentials of a claim do not have."""
_LATE = timedelta(minutes=1)
"""How much a clock may be late. Many are, by less."""
_IDENTIFIER = re.compile(r"[a-zA-Z0-9_-]{1,38}")


def _system_clock() -> datetime:
    return datetime.now(timezone.utc)


class Worker:
    """A worker, which claims and runs tasks for the duration of an `async with` or `with` block.

        async with Worker("proj/ci"):
            …

    `async with` runs it on the current event loop, and `with` in a separate thread. At the end of the block, running
    tasks are aborted (`worker-shutdown`); call `finish` before to let them finish. It can be entered once.

    Args:
        task_queue: The task queue, `<provisionerId>/<workerType>`.
        options: Options for all clients, for example maxRetries; rootUrl and credentials are found as by
            `taskcluster.resolve_options` if they are missing.
        worker_group: The workerGroup.
        worker_id: The workerId. Defaults to one made of the host's name and the process.
        capacity: How many tasks run at a time.
        idle_timeout: End after this many seconds without a task. Defaults to never.
        max_run_time: The longest maxRunTime that is accepted, in seconds.
        executor: What runs the commands: the name of an executor, or an Executor.
        executor_options: Keyword arguments for an executor that is given by name.
        directory: A directory for tasks, caches and images, which are kept there for the next worker. Defaults to a
            temporary one, which is deleted.
        clock: Returns the deployment's time, an aware datetime in UTC. For a local deployment whose time is moved by
            `advance`, this is `local.now`. Without it, the worker notices deadlines and lost claims late there.
        claim_interval: How many seconds to wait between two claims that yielded nothing. The queue itself waits for
            tasks, too.
        live_log_host: The address where live logs are served, which must be of this machine. It is the host of their
            URLs, so by default only this machine can read them.

    Raises:
        WorkerError: An argument is invalid.
        TaskclusterFailure: There is no root URL, or no credentials.
    """

    def __init__(
        self,
        task_queue: str,
        options: Mapping[str, Any] | None = None,
        *,
        worker_group: str = "python",
        worker_id: str | None = None,
        capacity: int = 1,
        idle_timeout: float | None = None,
        max_run_time: int = MAX_RUN_TIME,
        executor: str | Executor = "host",
        executor_options: Mapping[str, Any] | None = None,
        directory: str | os.PathLike[str] | None = None,
        clock: Callable[[], datetime] = _system_clock,
        claim_interval: float = 5.0,
        live_log_host: str = "127.0.0.1",
    ) -> None:
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,38}/[a-zA-Z0-9_-]{1,38}", task_queue):
            raise WorkerError(f"the task queue must be <provisionerId>/<workerType>, not {task_queue!r}")
        self.task_queue = task_queue
        """The task queue."""
        self.worker_group = _identifier("worker_group", worker_group)
        """The workerGroup."""
        self.worker_id = _identifier("worker_id", worker_id or _default_worker_id())
        """The workerId."""
        if capacity < 1:
            raise WorkerError(f"capacity must be 1 or more, not {capacity}")
        self.executor = executor if isinstance(executor, Executor) else executor_named(executor, executor_options or {})
        """What runs the commands."""
        self._options = resolve_options(options).options
        credentials: Any = self._options.get("credentials")
        if not credentials or not credentials.get("clientId"):
            raise WorkerError(
                "a worker needs credentials: set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN, or pass options"
            )
        self._capacity = capacity
        self._idle_timeout = idle_timeout
        self._max_run_time = max_run_time
        self._directory = None if directory is None else Path(directory).absolute()
        self._clock = clock
        self._claim_interval = claim_interval
        self._live_log_host = live_log_host
        self._runs: dict[asyncio.Task[None], TaskRun] = {}
        self._is_finishing = False
        self._is_shutting_down = False
        self._is_late = False
        self._changed = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.worker_group}/{self.worker_id} of {self.task_queue}>"

    # Controlling it

    async def run(self) -> None:
        """Run until the idle timeout, or until `finish` or `shut_down` is called.

        Raises:
            WorkerError: The deployment rejects the worker.
        """
        async with self:
            await self.wait()

    async def wait(self) -> None:
        """Wait until the worker has ended: by `finish`, `shut_down`, its idle timeout, or an error, which is raised."""
        assert self._serving is not None
        await asyncio.wait({self._serving})
        if not self._serving.cancelled():
            self._serving.result()

    def finish(self) -> None:
        """Claim no more tasks, and end when those that run have finished. May be called from other threads."""
        self._call(self._finish)

    def shut_down(self) -> None:
        """Claim no more tasks, and abort those that run: the queue retries them. May be called from other threads."""
        self._call(self._shut_down)

    def run_resolved(self, taskId: str, runId: int) -> None:
        """Stop a run at once that was resolved by others, for example cancelled. May be called from other threads.

        Without such a call, the worker stops it when it cannot renew the claim.
        """
        self._call(self._lose, taskId, runId)

    def drop_runs(self) -> None:
        """Stop all runs at once, and report nothing about them. May be called from other threads."""
        self._call(self._lose_all)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is None:
            raise RuntimeError(f"{self!r} is not running: use it in a `with` block")
        # The loop may have ended.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _finish(self) -> None:
        self._is_finishing = True
        self._changed.set()

    def _shut_down(self) -> None:
        self._is_shutting_down = True
        self._finish()
        for run in self._runs.values():
            run.shut_down()

    def _lose(self, taskId: str, runId: int) -> None:
        for run in self._runs.values():
            if run.identity == (taskId, runId):
                run.lose("it was resolved by others")

    def _lose_all(self) -> None:
        for run in self._runs.values():
            run.lose("the deployment has no record of it")

    # Async

    async def __aenter__(self) -> Worker:
        self._check_unused()
        await self._begin()
        return self

    def _check_unused(self) -> None:
        if self._serving is not None or self._thread is not None:
            raise RuntimeError(f"{self!r} cannot be started twice: create another Worker")

    async def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        started: asyncio.Future[None] = self._loop.create_future()
        self._serving = asyncio.create_task(self._serve(started))
        await asyncio.wait({started, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            self._serving.result()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._serving is not None
        self._shut_down()
        await asyncio.wait({self._serving})
        if error is None:
            self._serving.result()

    # Sync

    def __enter__(self) -> Worker:
        self._check_unused()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run_thread, args=(started,), name=repr(self), daemon=True)
        self._thread.start()
        started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._join()

    def stop(self) -> None:
        """Abort running tasks, and wait until the worker has ended. For a worker that was entered by `with`.

        Raises:
            WorkerError: It had ended with an error before.
        """
        self._join()
        self._ended.result()

    def _join(self) -> None:
        assert self._thread is not None
        self.shut_down()
        self._thread.join()

    def _run_thread(self, started: Future[None]) -> None:
        async def main() -> None:
            await self._begin()
            started.set_result(None)
            await self.wait()

        try:
            asyncio.run(main())
        except BaseException as error:
            if started.done():
                # The program learns it at the end of the block.
                _log.error("%r has ended: %s", self, error)
            (self._ended if started.done() else started).set_exception(error)
        else:
            self._ended.set_result(None)

    # The loop

    async def _serve(self, started: asyncio.Future[None]) -> None:
        self._changed = asyncio.Event()
        with worker_directory(self._directory) as directory:
            await asyncio.to_thread(delete_abandoned, directory)
            async with (
                taskcluster.aio.createSession() as session,
                taskcluster.aio.createSession(auto_decompress=False) as proxy_session,
                LiveLogs(self._live_log_host) as live_logs,
            ):
                place = Place(
                    options={name: each for name, each in self._options.items() if name not in _OF_WORKER},
                    task_queue=self.task_queue,
                    worker_group=self.worker_group,
                    worker_id=self.worker_id,
                    executor=self.executor,
                    directory=directory,
                    max_run_time=self._max_run_time,
                    clock=self._clock,
                    session=session,
                    proxy_session=proxy_session,
                    live_logs=live_logs,
                    caches=Caches(
                        directory / "caches",
                        self.task_queue,
                        taskcluster.aio.PurgeCache(self._options, session=session),
                    ),
                )
                await self.executor.start()
                try:
                    started.set_result(None)
                    await self._claim_tasks(taskcluster.aio.Queue(self._options, session=session), place)
                finally:
                    await self._end_runs()
                    await self.executor.stop()

    async def _end_runs(self) -> None:
        while self._runs:
            await asyncio.wait(set(self._runs))

    async def _claim_tasks(self, queue: Any, place: Place) -> None:
        idle_since = time.monotonic()
        while not self._is_finishing:
            self._changed.clear()
            free = self._capacity - len(self._runs)
            if self._runs:
                idle_since = time.monotonic()
            if not free:
                await self._changed.wait()
                continue
            begun = time.monotonic()
            claimed = await self._claim(queue, min(free, _MOST_TASKS), self._idle_left(idle_since))
            if claimed is None:
                if not self._runs and self._idle_left(idle_since) == 0:
                    _log.info("%r has had no task for %s seconds, and ends", self, self._idle_timeout)
                    return
                continue
            for each in claimed:
                claim = Claim.of(each, self._clock())
                self._compare_clocks(claim)
                run = self._start(claim, place)
                if self._is_shutting_down:
                    # The queue can give it to another worker at once.
                    run.shut_down()
            if not claimed:
                left = self._idle_left(idle_since)
                pause = begun + self._claim_interval - time.monotonic()
                await self._wait_for_change(pause if left is None else min(pause, left))

    def _compare_clocks(self, claim: Claim) -> None:
        late = claim.taken_until - timedelta(seconds=claim.seconds) - self._clock()
        if late > _LATE and not self._is_late:
            self._is_late = True
            _log.warning(
                "%r: the deployment's time is %s ahead of this worker's clock, so it notices deadlines and lost claims "
                "late. If LocalTaskcluster.advance has moved it, use Worker(clock=local.now).",
                self,
                late,
            )

    def _idle_left(self, since: float) -> float | None:
        if self._idle_timeout is None or self._runs:
            return None
        return max(0.0, since + self._idle_timeout - time.monotonic())

    async def _wait_for_change(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    async def _claim(self, queue: Any, count: int, timeout: float | None) -> list[Mapping[str, Any]] | None:
        """Return the claimed tasks; None if the worker is to end, or waited for too long."""
        payload = {"workerGroup": self.worker_group, "workerId": self.worker_id, "tasks": count}
        claiming = asyncio.ensure_future(queue.claimWork(self.task_queue, payload))
        ending = asyncio.ensure_future(self._until_finishing())
        try:
            await asyncio.wait({claiming, ending}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not claiming.done():
                return None
            tasks: list[Mapping[str, Any]] = claiming.result()["tasks"]
            return tasks
        except TaskclusterFailure as error:
            if is_refusal(error):
                raise WorkerError(f"the queue does not let {self!r} claim tasks: {error}") from error
            _log.warning("%r: cannot claim tasks: %s", self, error)
            return []
        finally:
            # The queue gives no task to a worker that has disconnected.
            claiming.cancel()
            ending.cancel()
            await asyncio.wait({claiming, ending})

    async def _until_finishing(self) -> None:
        while not self._is_finishing:
            self._changed.clear()
            await self._changed.wait()

    def _start(self, claim: Claim, place: Place) -> TaskRun:
        run = TaskRun(claim, place)
        earlier = [executing for executing, each in self._runs.items() if each.identity[0] == claim.taskId]
        for each in earlier:
            self._runs[each].lose("the queue has given the task to this worker again")
        executing = asyncio.create_task(self._execute(run, earlier))
        self._runs[executing] = run
        executing.add_done_callback(self._ended_run)
        return run

    async def _execute(self, run: TaskRun, earlier: Sequence[asyncio.Task[None]]) -> None:
        if earlier:
            await asyncio.wait(earlier)
        try:
            if not run.is_lost:
                await run.execute()
        except Exception:
            _log.exception("%r: %r failed", self, run)

    def _ended_run(self, executing: asyncio.Task[None]) -> None:
        del self._runs[executing]
        self._changed.set()


def _identifier(what: str, text: str) -> str:
    if not _IDENTIFIER.fullmatch(text):
        raise WorkerError(f"{what} must be 1 to 38 letters, digits, - and _, not {text!r}")
    return text


def _default_worker_id() -> str:
    host = re.sub("[^a-zA-Z0-9_-]", "-", socket.gethostname().partition(".")[0])
    return f"{host[:24]}-{os.getpid()}-{os.urandom(2).hex()}"
