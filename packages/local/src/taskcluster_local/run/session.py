"""Run tasks on a deployment until nothing more happens."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import taskcluster
import taskcluster.aio
from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure
from taskcluster_objects.aio.download import downloadArtifactToPath, getArtifactContent
from taskcluster_objects.artifact_paths import paths_for
from taskcluster_worker import Worker
from taskcluster_worker.task import BACKING_LOG

from .. import loading
from ..encoding import is_object
from ..events import Message
from ..loading import Contents
from ..local import LocalTaskcluster
from .errors import RunError
from .preparation import Rendered, matching, no_match, task_name
from .progress import FAILED, RESOLVED, Progress, TaskProgress
from .selection import with_dependencies

__all__ = ["Session"]

_BUILT_IN = "built-in/"
_STOPPED_BY_OTHERS = ("canceled", "deadline-exceeded", "claim-expired")
_NOT_IN_A_FILE_NAME = re.compile(r"[^\w.+@=-]+")
_EXCHANGES = ("taskDefined", "taskPending", "taskRunning", "taskCompleted", "taskFailed", "taskException")


class Session:
    """Runs tasks on a running deployment. Use it with `async with`.

    Args:
        local: The deployment.
        worker: Returns a worker for a task queue.
        patterns: The tasks to run of those that tasks create; empty for all.
        changed: Called when the state of a task has changed, with the log if it was not completed.
    """

    def __init__(
        self,
        local: LocalTaskcluster,
        worker: Callable[[str], Worker],
        patterns: list[str],
        changed: Callable[[TaskProgress, str | None], None],
    ) -> None:
        self.progress = Progress()
        self._local = local
        self._worker = worker
        self._patterns = patterns
        self._changed = changed
        self._created: set[str] = set()
        self._workers: dict[str, Worker] = {}
        self._ended: list[asyncio.Task[None]] = []
        self._definitions: dict[str, Mapping[str, Any]] = {}
        self._stack = contextlib.AsyncExitStack()
        self._is_cancelled = False
        self._queue: Any = None
        self._messages: Any = None

    async def __aenter__(self) -> Session:
        async with self._stack as stack:
            options = self._local.options()
            self._queue = await stack.enter_async_context(taskcluster.aio.Queue(options))
            events = taskcluster.QueueEvents(options)
            bindings = [getattr(events, name)() for name in _EXCHANGES]
            self._messages = await stack.enter_async_context(self._local.aio.listen(*bindings))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._stack.aclose()

    async def load(self, contents: Iterable[Contents]) -> None:
        """Add what files provide.

        Raises:
            LoadError: The deployment rejects an entry.
        """
        for each in contents:
            await asyncio.to_thread(loading.send, each, self._local.options())

    async def create(self, rendered: Rendered, tasks: Iterable[Mapping[str, Any]]) -> None:
        """Create tasks, and trigger hooks.

        Raises:
            RunError: The deployment rejects one.
        """
        options = self._local.options(rendered.scopes)
        async with taskcluster.aio.Queue(options) as queue, taskcluster.aio.Hooks(options) as hooks:
            for each in tasks:
                try:
                    await queue.createTask(each["taskId"], each["task"])
                except TaskclusterRestFailure as error:
                    raise RunError(f"the queue rejects the task {task_name(each['task'])!r}: {error}") from None
                self._created.add(each["taskId"])
            for hook in rendered.hooks:
                name = f"{hook['hookGroupId']}/{hook['hookId']}"
                try:
                    await hooks.triggerHook(hook["hookGroupId"], hook["hookId"], hook["payload"])
                except TaskclusterRestFailure as error:
                    hint = "; provide it with --load" if error.status_code == 404 else f": {error}"
                    raise RunError(f"the hook {name} cannot be triggered{hint}") from None

    async def run(self) -> None:
        """Start workers, and return when nothing more happens.

        Raises:
            WorkerError: A worker cannot continue.
        """
        for message in self._messages.drain():
            await self._handle(message)
        while not self.progress.is_finished:
            message = asyncio.create_task(self._messages.get())
            try:
                await asyncio.wait({message, *self._ended}, return_when=asyncio.FIRST_COMPLETED)
                for worker in self._ended:
                    if worker.done():
                        worker.result()
                await self._handle(await message)
            finally:
                message.cancel()
        # Cancelled tasks may still have to be cleaned up.
        for each in self._workers.values():
            each.finish()
        if self._ended:
            await asyncio.wait(self._ended)

    async def cancel(self) -> None:
        """Cancel all tasks, also those that are created later."""
        self._is_cancelled = True
        for task in [*self.progress.tasks.values()]:
            if not task.is_resolved:
                await self._cancel(task.taskId)

    def check_patterns(self) -> None:
        """Raise RunError if no task matches the patterns."""
        names = self.progress.names()
        if not matching(names, self._patterns):
            raise no_match(self._patterns, names)

    async def export(self, directory: Path) -> list[str]:
        """Download the artifacts of all tasks, and return what could not be downloaded."""
        failures: list[str] = []
        used: set[str] = set()
        for task in self.progress:
            if not task.runs:
                continue
            name = _NOT_IN_A_FILE_NAME.sub("-", task.name).strip(".") or task.taskId
            name = f"{name}-{task.taskId}" if name in used else name
            used.add(name)
            async for artifact in self._queue.paginate_items(self._queue.listLatestArtifacts, task.taskId):
                if artifact["storageType"] != "error":
                    try:
                        await self._export(task.taskId, artifact["name"], directory / name)
                    except (TaskclusterFailure, OSError) as error:
                        failures.append(f"{artifact['name']} of {task.name}: {error}")
        return failures

    async def _export(self, taskId: str, name: str, directory: Path) -> None:
        path = paths_for(directory, [name])[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        await downloadArtifactToPath(path, taskId=taskId, name=name, queueService=self._queue)

    async def _handle(self, message: Message) -> None:
        status = message.payload["status"]
        taskId = status["taskId"]
        if taskId not in self.progress.tasks:
            definition = self._definitions[taskId] = await self._queue.task(taskId)
            self.progress.add(taskId, definition)
            if self._is_cancelled:
                await self._cancel(taskId)
        task = self.progress.update(status)
        await self._start_worker(status["taskQueueId"])
        if task is None:
            return
        if task.state == "exception" and task.reason in _STOPPED_BY_OTHERS:
            for worker in self._workers.values():
                worker.run_resolved(taskId, message.payload["runId"])
        if task.state in RESOLVED:
            await self._skip_others()
        if not task.is_skipped:
            self._changed(task, await self._log(task) if task.state in FAILED else None)

    async def _start_worker(self, task_queue: str) -> None:
        if task_queue in self._workers or task_queue.startswith(_BUILT_IN):
            return
        self._workers[task_queue] = worker = self._worker(task_queue)
        await self._stack.enter_async_context(worker)
        ended = asyncio.create_task(worker.wait())
        self._ended.append(ended)
        self._stack.callback(ended.cancel)

    async def _skip_others(self) -> None:
        """Cancel the tasks that tasks have created and that were not selected."""
        if not self._patterns:
            return
        wanted = matching(self.progress.names(), self._patterns)
        kept = with_dependencies([*wanted, *self._created], self.progress.dependencies())
        for task in [*self.progress.tasks.values()]:
            if task.taskId not in kept and not task.is_skipped:
                task.is_skipped = True
                await self._cancel(task.taskId)

    async def _cancel(self, taskId: str) -> None:
        with contextlib.suppress(TaskclusterRestFailure):
            await self._queue.cancelTask(taskId)

    async def _log(self, task: TaskProgress) -> str | None:
        payload: Any = self._definitions[task.taskId]["payload"]
        logs = payload.get("logs") if is_object(payload) else None
        name = logs.get("backing", BACKING_LOG) if is_object(logs) else BACKING_LOG
        try:
            content = await getArtifactContent(task.taskId, name, task.runs - 1, queueService=self._queue)
        except TaskclusterFailure:
            # Tasks that no worker claimed have none.
            return None
        return content.bytes().decode("utf-8", errors="replace")
