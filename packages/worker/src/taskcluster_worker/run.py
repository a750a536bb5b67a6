"""One run of a task, from its claim to its resolution."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

import taskcluster.aio
from taskcluster.aio import AsyncBaseClient
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.timestamps import parse_date

from . import artifacts, log_lines
from .artifacts import FileArtifact, MissingArtifact, is_name
from .caches import Caches
from .cancellation import completely
from .claims import Claim, is_refusal, keep
from .contents import Contents
from .deletion import delete_directory
from .environment import task_environment
from .formats import unavailable
from .live_log import LiveLogs
from .log import TaskLog
from .mounts import Mounts
from .payloads import read_task
from .plugins import Execution, Executor, RunContext, Volume
from .proxy import TaskProxy
from .resolution import (
    COMPLETED,
    WORKER_SHUTDOWN,
    CommandFailed,
    MalformedPayload,
    Resolution,
    TaskFailed,
    of_error,
)
from .task import BACKING_LOG, LIVE_LOG, Task
from .uploads import Uploads, at_most

__all__ = ["Place", "TaskRun", "unsupported"]

_log = logging.getLogger("taskcluster.worker")

_LOG_TYPE = "text/plain; charset=utf-8"
_LIVE_LOG_SLACK = timedelta(minutes=15)
"""How long the address of a live log is kept after maxRunTime."""
_REPORT_AGAIN_SECONDS = 2.0
_UPLOADS = 10
"""How many artifacts are uploaded at a time."""
_SUPPORTED = frozenset(
    {"taskclusterProxy", "liveLog", "backingLog", "artifacts", "runTaskAsCurrentUser", "resourceMonitor"}
)


@dataclass(frozen=True)
class Place:
    """What the runs of a worker share."""

    options: Mapping[str, Any]
    """Options of clients, without credentials."""
    task_queue: str
    worker_group: str
    worker_id: str
    executor: Executor
    directory: Path
    max_run_time: int
    clock: Callable[[], datetime]
    session: aiohttp.ClientSession
    proxy_session: aiohttp.ClientSession
    """For the proxies of tasks: it does not decompress."""
    caches: Caches
    live_logs: LiveLogs

    def client(self, service: type[AsyncBaseClient], credentials: Mapping[str, Any]) -> Any:
        """Return a client of a service."""
        return service({**self.options, "credentials": credentials}, session=self.session)

    @property
    def root_url(self) -> str:
        """The root URL of the deployment."""
        root_url: str = self.options["rootUrl"]
        return root_url


class TaskRun:
    """A claimed run.

    Args:
        claim: Its claim.
        place: The worker's.
    """

    def __init__(self, claim: Claim, place: Place) -> None:
        self._claim = claim
        self._place = place
        self._directory = place.directory / "tasks" / f"task_{claim.taskId}_{claim.runId}"
        self._queue = place.client(taskcluster.aio.Queue, claim.credentials)
        self._index = place.client(taskcluster.aio.Index, claim.credentials)
        self._contents = Contents(self._queue, self._index, place.session)
        self._uploads = Uploads(self._queue, claim.taskId, claim.runId, place.directory)
        self._task: Task | None = None
        self._lost: str | None = None
        self._is_shutting_down = False
        self._is_hurried = False
        """Whether the worker waits for the end of this run."""
        self._commands_ended = False
        self._keeps_caches = False
        """Whether the caches are good: a command has ended by itself, with a status that keeps them."""
        self._is_reporting = False
        self._execution: Execution | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._whole: asyncio.Task[Resolution] | None = None
        self._main: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._claim.taskId}/{self._claim.runId}>"

    @property
    def identity(self) -> tuple[str, int]:
        """The taskId and the runId."""
        return self._claim.taskId, self._claim.runId

    @property
    def is_lost(self) -> bool:
        """Whether `lose` was called."""
        return self._lost is not None

    async def execute(self) -> Resolution | None:
        """Run the task, and return how it was resolved; None if somebody else did that."""
        claim, place = self._claim, self._place
        _log.info("%s/%s: claimed", claim.taskId, claim.runId)
        keeper = asyncio.create_task(
            keep(claim, self._reclaim, self._renewed, place.clock, parse_date(claim.definition["deadline"]))
        )
        keeper.add_done_callback(self._keeper_ended)
        self._whole = asyncio.create_task(self._perform(keeper))
        self._limit()
        try:
            resolution = await self._whole
        except asyncio.CancelledError:
            if self._lost is None:
                raise
            _log.warning("%s/%s: stopped: %s", claim.taskId, claim.runId, self._lost)
            return None
        except Exception:
            _log.exception("%s/%s: the worker failed", claim.taskId, claim.runId)
            resolution = Resolution("exception", "internal-error")
            await self._report(resolution)
        finally:
            keeper.cancel()
            self._whole.cancel()
            if self._expiry is not None:
                self._expiry.cancel()
            await asyncio.wait({keeper, self._whole})
            await asyncio.to_thread(delete_directory, self._directory)
        _log.info("%s/%s: %s", claim.taskId, claim.runId, resolution)
        return resolution

    def lose(self, reason: str) -> None:
        """Stop at once, and report nothing: the run is resolved, or belongs to another worker."""
        if self._lost is None and not self._is_reporting:
            self._lost = reason
            if self._whole is not None:
                self._whole.cancel()

    def shut_down(self) -> None:
        """Stop, and report `worker-shutdown`. If the commands have ended, the run is resolved as usual."""
        self._is_hurried = True
        if not self._commands_ended and self._lost is None:
            self._is_shutting_down = True
            if self._main is not None:
                self._main.cancel()

    # The claim

    async def _reclaim(self) -> Mapping[str, Any]:
        response: Mapping[str, Any] = await self._queue.reclaimTask(self._claim.taskId, self._claim.runId)
        return response

    def _renewed(self) -> None:
        # Options are read at each call, so calls in progress use the new credentials for their next request.
        for client in (self._queue, self._index):
            client.options["credentials"] = self._claim.credentials
        self._limit()

    def _limit(self) -> None:
        """Stop when the claim ends, even if this process does not run then."""
        if self._expiry is not None:
            self._expiry.cancel()
        left = self._claim.kill_at - time.monotonic()
        self._expiry = asyncio.get_running_loop().call_later(left, self.lose, "the claim has expired")
        if self._execution is not None:
            self._execution.kill_at(self._claim.kill_at)

    def _keeper_ended(self, keeper: asyncio.Task[str]) -> None:
        if not keeper.cancelled():
            error = keeper.exception()
            self.lose(keeper.result() if error is None else f"{type(error).__name__}: {error}")

    # The steps

    async def _perform(self, keeper: asyncio.Task[str]) -> Resolution:
        self._directory.mkdir(parents=True)
        file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 - readers may need it longer
        log = TaskLog(file, self._place.clock)
        try:
            errors: list[Exception] = []
            self._main = asyncio.create_task(self._work(log, errors))
            if self._is_shutting_down:
                self._main.cancel()
            try:
                await self._main
            except asyncio.CancelledError:
                if not self._is_shutting_down or self._lost is not None:
                    raise
                log.line("The worker is shutting down; the task is aborted.", "error")
            except Exception as error:
                errors.append(error)
                self._log_error(log, error)
            self._commands_ended = True
            if log.error is not None:
                errors.append(log.error)
            resolution = self._resolution(errors)
            log.line(log_lines.finished(resolution), "info" if resolution == COMPLETED else "error")
            log.close()
            failure = await self._upload_log(log)
            if failure is not None and resolution == COMPLETED:
                resolution = of_error(failure, self._task)
            self._is_reporting = True
            keeper.cancel()
            await self._report(resolution)
            return resolution
        finally:
            log.close()
            self._place.live_logs.remove(log)
            log.release()

    def _resolution(self, errors: list[Exception]) -> Resolution:
        if self._is_shutting_down:
            return WORKER_SHUTDOWN
        return of_error(errors[0], self._task) if errors else COMPLETED

    def _log_error(self, log: TaskLog, error: Exception) -> None:
        if isinstance(error, MalformedPayload):
            log.line("The payload is malformed, or this worker cannot run it:", "error")
            for problem in error.problems:
                log.line(problem, "error")
        elif isinstance(error, TaskFailed | TaskclusterFailure):
            log.line(str(error), "error")
        else:
            _log.error("%s/%s: the worker failed", self._claim.taskId, self._claim.runId, exc_info=error)
            log.line(f"The worker failed: {type(error).__name__}: {error}", "error")

    async def _work(self, log: TaskLog, errors: list[Exception]) -> None:
        place, claim = self._place, self._claim
        log.line(log_lines.metadata(self._metadata()))
        log.line(f"Task ID: {claim.taskId}")
        task = self._task = read_task(claim.taskId, claim.runId, claim.definition, place.max_run_time)
        problems = [*unsupported(task), *place.executor.check(task)]
        if problems:
            raise MalformedPayload(problems)
        for warning in task.warnings:
            log.line(warning, "warn")
        live = asyncio.create_task(self._start_live_log(task, log))
        try:
            await self._execute_task(task, log, errors)
        except asyncio.CancelledError:
            live.cancel()
            raise
        finally:
            await asyncio.wait({live})

    async def _start_live_log(self, task: Task, log: TaskLog) -> None:
        """Publish the address of the live log, while the task starts."""
        if task.live_log is None:
            return
        expires = self._place.clock() + timedelta(seconds=task.max_run_time) + _LIVE_LOG_SLACK
        payload = {"storageType": "reference", "contentType": _LOG_TYPE, "url": self._place.live_logs.add(log)}
        try:
            await self._uploads.create(task.live_log, payload, min(expires, task.expires))
        except TaskclusterFailure as error:
            log.line(f"There is no live log: {error}", "warn")

    async def _execute_task(self, task: Task, log: TaskLog, errors: list[Exception]) -> None:
        place = self._place
        storage = place.directory / "executors" / place.executor.name
        storage.mkdir(parents=True, exist_ok=True)
        mounts = Mounts(task, self._contents, place.caches, place.clock, self._directory, log.line)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(lambda: completely(mounts.return_caches(self._keeps_caches)))
            caches = await mounts.take_caches()
            volumes = [Volume(each.cache, caches[each.cache].directory, each.path) for each in task.volumes]
            context = RunContext(task, self._directory, storage, volumes, log.line, self._contents.get)
            execution = await place.executor.open(context)
            stack.push_async_callback(lambda: completely(execution.close()))
            self._execution = execution
            self._limit()
            await mounts.put(execution.directory)
            proxy_url = await self._start_proxy(task, execution, stack)
            log.line("=== Task Starting ===")
            started = time.monotonic()
            try:
                await self._run_commands(task, execution, proxy_url, log)
            except TaskFailed as error:
                errors.append(error)
                self._log_error(log, error)
            self._commands_ended = True
            await execution.kill()
            log.line("=== Task Finished ===")
            log.line(f"Task Duration: {log_lines.duration(time.monotonic() - started)}")
            await self._upload_artifacts(task, execution, log, errors)

    def _metadata(self) -> dict[str, Any]:
        place = self._place
        return {
            "taskQueueId": place.task_queue,
            "workerGroup": place.worker_group,
            "workerId": place.worker_id,
            "executor": place.executor.name,
            "rootUrl": place.root_url,
        }

    async def _start_proxy(self, task: Task, execution: Execution, stack: AsyncExitStack) -> str | None:
        if "taskclusterProxy" not in task.features:
            return None
        address = execution.proxy_address
        proxy = TaskProxy(task, self._claim, self._place.root_url, self._place.proxy_session, address)
        await stack.enter_async_context(proxy)
        return f"http://{execution.proxy_host}:{proxy.port}"

    async def _run_commands(self, task: Task, execution: Execution, proxy_url: str | None, log: TaskLog) -> None:
        env = task_environment(task, execution.environment, self._place.root_url, proxy_url)
        running = asyncio.create_task(self._run_each(task, execution, env, log))
        try:
            done, _ = await asyncio.wait({running}, timeout=task.max_run_time)
            if not done:
                self._keeps_caches = False
                raise TaskFailed(f"Task aborted - max run time exceeded: maxRunTime is {task.max_run_time} seconds")
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def _run_each(self, task: Task, execution: Execution, env: Mapping[str, str], log: TaskLog) -> None:
        for number, command in enumerate(task.commands or ((),)):
            log.line(log_lines.executing(number, command))
            started = time.monotonic()
            try:
                result = await execution.run(command, env, log.write)
            except OSError as error:
                raise TaskFailed(f"cannot start {command[0]!r}: {error.strerror or error}") from error
            log.line(log_lines.exited(result, time.monotonic() - started))
            self._keeps_caches = result.status not in task.purge_statuses
            if result.status != 0:
                raise CommandFailed(result.status)

    async def _upload_artifacts(self, task: Task, execution: Execution, log: TaskLog, errors: list[Exception]) -> None:
        async def upload(artifact: FileArtifact | MissingArtifact) -> None:
            if artifact.name in (task.live_log, task.backing_log):
                log.line(f"Skipping the artifact {artifact.name}, because it is the log of this task", "warn")
                return
            try:
                if not is_name(artifact.name):
                    raise MalformedPayload([f"the queue accepts no artifact with the name {artifact.name!r}"])
                if isinstance(artifact, FileArtifact):
                    log.line(f"Uploading artifact {artifact.name} from file {artifact.path}")
                    await self._uploads.file(artifact, task)
                    return
                await self._uploads.missing(artifact, task)
                if artifact.declared.optional:
                    log.line(f"The optional artifact {artifact.name} is missing: {artifact.message}", "warn")
                    return
                raise TaskFailed(f"the artifact {artifact.name} is missing: {artifact.message}")
            except (MalformedPayload, TaskFailed, TaskclusterFailure, OSError) as error:
                errors.append(error)
                log.line(f"Artifact {artifact.name}: {error}", "error")

        for declared in task.artifacts:
            path = await execution.artifact(declared.path)
            listed = await asyncio.to_thread(artifacts.found, declared, path, execution.directory)
            await at_most(_UPLOADS, upload, listed)

    async def _upload_log(self, log: TaskLog) -> Exception | None:
        """Upload the complete log, and return why that failed, or None."""
        task = self._task
        live, backing = (LIVE_LOG, BACKING_LOG) if task is None else (task.live_log, task.backing_log)
        expires = parse_date(self._claim.definition["expires"])
        if backing is None:
            return None
        try:
            await self._uploads.opened(backing, log.file, _LOG_TYPE, "gzip", expires)
            if live is not None:
                link = {"storageType": "link", "artifact": backing, "contentType": _LOG_TYPE}
                await self._uploads.create(live, link, expires)
        except (TaskclusterFailure, OSError) as error:
            _log.error("%s/%s: cannot upload the log: %s", self._claim.taskId, self._claim.runId, error)
            return error
        return None

    async def _report(self, resolution: Resolution) -> None:
        run = (self._claim.taskId, self._claim.runId)
        while True:
            try:
                if resolution.state == "completed":
                    await self._queue.reportCompleted(*run)
                elif resolution.state == "failed":
                    await self._queue.reportFailed(*run)
                else:
                    await self._queue.reportException(*run, {"reason": resolution.reason})
                return
            except TaskclusterFailure as error:
                if is_refusal(error):
                    _log.warning("%s/%s: the queue rejected the result %s: %s", *run, resolution, error)
                    return
                _log.warning("%s/%s: cannot report the result %s: %s", *run, resolution, error)
            # The queue may come back before the claim expires.
            if self._is_hurried or self._place.clock() >= self._claim.taken_until:
                _log.error("%s/%s: the result %s is lost", *run, resolution)
                return
            await asyncio.sleep(_REPORT_AGAIN_SECONDS)


def unsupported(task: Task) -> list[str]:
    """Return messages about what no executor of this worker can run, each naming a key of the payload."""
    unknown = sorted(task.features - _SUPPORTED)
    found = [f"payload: the feature {name} is not supported by this worker" for name in unknown]
    for mount in task.mounts:
        problem = None if mount.format is None else unavailable(mount.format)
        if problem is not None:
            found.append(f"payload: the mount {mount.path!r}: {problem}")
    return found
