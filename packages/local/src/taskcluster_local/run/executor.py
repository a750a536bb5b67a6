"""Choose executors by payload, and run a few tasks at a time with further variables."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from taskcluster.timestamps import parse_date
from taskcluster_worker.container import ContainerExecutor
from taskcluster_worker.errors import WorkerError
from taskcluster_worker.payloads import read_task
from taskcluster_worker.plugins import Execution, Executor, Exit, RunContext, Task
from taskcluster_worker.registry import executor_named
from taskcluster_worker.resolution import MalformedPayload, TaskFailed
from taskcluster_worker.run import unsupported
from taskcluster_worker.task import NamedImage

from ..encoding import is_object
from ..timestamps import to_wire
from .environment import clone_variables, other_repositories
from .preparation import Source, task_name
from .repository import Copy
from .requirements import absent, by_problem, index_paths

__all__ = ["Executors"]

_HOST, _CONTAINER = "host", "container"
_YEAR = timedelta(days=365)


class Executors:
    """The executors of a run.

    Args:
        given: The arguments of the command.
        source: The commit that tasks clone.

    Raises:
        WorkerError: The executor is not installed, or cannot be used.
    """

    def __init__(self, given: Namespace, source: Source) -> None:
        self._on_host: bool = given.host
        self._for_commands: str = given.executor or _HOST
        self._for_images: str = given.executor or (_HOST if given.host else _CONTAINER)
        self._copy = source.copy
        self._slots = asyncio.Semaphore(given.jobs)
        others = source.copy.directory / "other-repositories"
        others.write_text(other_repositories(source.event.addresses), "utf-8")
        clone = clone_variables(source.event.addresses, source.copy.url, str(others))
        self._variables = {**clone, **dict(given.env)}
        self._no_images: str | None = None
        self._pulled: set[str] = set()
        # Raises if an executor cannot be used.
        self.executor()

    def executor(self) -> Executor:
        """Return a new executor for a worker."""
        for_commands = self._executor(self._for_commands)
        same = self._for_images == self._for_commands
        for_images = for_commands if same else self._executor(self._for_images)
        return _RunExecutor(for_commands, for_images, self._no_images, self._variables, self._slots, self._copy)

    def _executor(self, name: str) -> Executor:
        options: dict[str, Any] = {}
        if name == _HOST:
            options = {"docker_payloads_on_host": self._on_host}
        elif name == _CONTAINER:
            # Tasks reach the deployment at the loopback address that its root URL has.
            options = {"network": "host", "read_only": [self._copy.directory]}
        return executor_named(name, options)

    async def missing(self, tasks: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
        """Return the names of the tasks that need something unavailable, by problem.

        Args:
            tasks: Tasks with `taskId` and `task`.
        """
        read = [(task_name(each["task"]), _read(each)) for each in tasks]
        images = [task.image for _, task in read if isinstance(task, Task) and task.image is not None]
        if images:
            await self._find_images({image.name for image in images if isinstance(image, NamedImage)})
        executor = self.executor()
        created, indexed = {each["taskId"] for each in tasks}, index_paths(tasks)

        def problems(task: Task) -> list[str]:
            found = [*unsupported(task), *executor.check(task)]
            if self._on_host:
                task = replace(task, image=None)
            elif isinstance(task.image, NamedImage) and task.image.name in self._pulled:
                found.append(f"payload: image: {task.image.name} is not on this machine, and will be pulled")
            return [*found, *absent(task, created, indexed)]

        return by_problem([(name, problems(task) if isinstance(task, Task) else task) for name, task in read])

    async def _find_images(self, names: set[str]) -> None:
        """Find out whether tasks with images can run, and which images are not on this machine."""
        executor = self._executor(self._for_images)
        try:
            await executor.start()
        except WorkerError as error:
            self._no_images = f"payload: image: {error}"
            return
        if isinstance(executor, ContainerExecutor):
            self._pulled = {name for name in names if not await executor.has_image(name)}
        await executor.stop()

    def notes(self, tasks: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return what the user should know about how tasks run.

        Args:
            tasks: Tasks with `taskId` and `task`.
        """
        if self._on_host:
            return [
                f"tasks run commands on this machine, {self._executor(_HOST).isolation}",
                "tasks that name an image run without it (--host)",
            ]
        used = dict.fromkeys(self._for_images if _has_image(each["task"]) else self._for_commands for each in tasks)
        return [f"tasks run commands on this machine, {self._executor(name).isolation}" for name in used]


def _has_image(task: Mapping[str, Any]) -> bool:
    payload = task.get("payload")
    return is_object(payload) and "image" in payload


def _read(each: Mapping[str, Any]) -> Task | list[str]:
    """Return a task, or the problems with its payload."""
    definition: dict[str, Any] = {"scopes": [], "dependencies": [], "metadata": {"name": ""}, **each["task"]}
    try:
        deadline = parse_date(definition["deadline"])
        return read_task(each["taskId"], 0, {"expires": to_wire(deadline + _YEAR), **definition})
    except MalformedPayload as error:
        return list(error.problems)
    except (KeyError, TypeError, ValueError):
        # The queue rejects invalid definitions.
        return []


class _RunExecutor(Executor):
    """Passes each task on to another executor.

    Args:
        for_commands: Runs tasks without an image.
        for_images: Runs the others; may be the same one. It is started with the first of them.
        no_images: Why tasks with an image cannot run, if that is known.
        variables: The variables to add.
        slots: Limits how many tasks run at a time, in all workers together.
        copy: The repository that tasks clone.
    """

    name = "run"

    def __init__(
        self,
        for_commands: Executor,
        for_images: Executor,
        no_images: str | None,
        variables: Mapping[str, str],
        slots: asyncio.Semaphore,
        copy: Copy,
    ) -> None:
        self._for_commands = for_commands
        self._for_images = for_images
        self._no_images = no_images
        self._variables = variables
        self._slots = slots
        self._copy = copy
        self._started: list[Executor] = []
        self._starting = asyncio.Lock()
        self.isolation = for_commands.isolation

    def check(self, task: Task) -> Sequence[str]:
        """Return what the executor of a task cannot run."""
        if task.image is not None and self._no_images is not None:
            return [self._no_images]
        return self._of(task).check(task)

    def _of(self, task: Task) -> Executor:
        return self._for_commands if task.image is None else self._for_images

    async def open(self, context: RunContext) -> Execution:
        """Wait for a slot, and open the execution."""
        executor, variables = self._of(context.task), self._variables
        async with AsyncExitStack() as stack:
            await self._slots.acquire()
            stack.callback(self._slots.release)
            await self._start(executor)
            if executor.name == _CONTAINER:
                variables = {**variables, **await asyncio.to_thread(self._copy.prepare_for_containers)}
            execution = _Execution(await executor.open(context), variables)
            execution.on_close = stack.pop_all()
        return execution

    async def start(self) -> None:
        """Start the executor of tasks without an image."""
        await self._start(self._for_commands)

    async def _start(self, executor: Executor) -> None:
        async with self._starting:
            if executor not in self._started:
                try:
                    await executor.start()
                except WorkerError as error:
                    raise TaskFailed(str(error)) from error
                self._started.append(executor)

    async def stop(self) -> None:
        """Stop the executors."""
        for executor in reversed(self._started):
            await executor.stop()


class _Execution(Execution):
    """An execution with further variables."""

    def __init__(self, inner: Execution, environment: Mapping[str, str]) -> None:
        self._inner = inner
        self.on_close = AsyncExitStack()
        self.directory = inner.directory
        self.environment = {**inner.environment, **environment}
        self.proxy_address = inner.proxy_address
        self.proxy_host = inner.proxy_host

    async def run(self, command: Sequence[str], env: Mapping[str, str], write: Callable[[bytes], None]) -> Exit:
        return await self._inner.run(command, env, write)

    async def kill(self) -> None:
        await self._inner.kill()

    def kill_at(self, end: float) -> None:
        self._inner.kill_at(end)

    async def artifact(self, path: str) -> Path:
        return await self._inner.artifact(path)

    async def close(self) -> None:
        async with self.on_close:
            await self._inner.close()
