"""Choose executors by payload, and run a few tasks at a time with further variables."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from taskcluster.timestamps import parse_date
from taskcluster_worker.payloads import read_task
from taskcluster_worker.plugins import Execution, Executor, Exit, RunContext, Task, Volume
from taskcluster_worker.registry import executor_named, executor_names
from taskcluster_worker.resolution import MalformedPayload

from ..timestamps import to_wire
from .environment import clone_variables
from .preparation import Source

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
        self._name: str | None = given.executor
        self._on_host: bool = given.host
        self._source = source
        self._slots = asyncio.Semaphore(given.jobs)
        self._environment = {**clone_variables(source.event.addresses, source.copy.url), **dict(given.env)}
        self._checking = self.executor()

    def executor(self) -> RunExecutor:
        """Return a new executor for a worker."""
        if self._name is not None:
            for_images = for_commands = executor_named(self._name, {})
        else:
            for_commands = executor_named(_HOST, {"docker_payloads_on_host": self._on_host})
            has_containers = not self._on_host and _CONTAINER in executor_names()
            for_images = executor_named(_CONTAINER, {}) if has_containers else for_commands
        return RunExecutor(for_images, for_commands, self._environment, self._slots, self._volumes)

    def check(self, each: Mapping[str, Any]) -> Sequence[str]:
        """Return what a task needs that is not available.

        Args:
            each: The task, with `taskId` and `task`.
        """
        definition: dict[str, Any] = {"scopes": [], "dependencies": [], "metadata": {"name": ""}, **each["task"]}
        try:
            deadline = parse_date(definition["deadline"])
            task = read_task(each["taskId"], 0, {"expires": to_wire(deadline + _YEAR), **definition})
        except MalformedPayload as error:
            return error.problems
        except (KeyError, TypeError, ValueError):
            # The queue rejects invalid definitions.
            return []
        return self._checking.check(task)

    def notes(self) -> list[str]:
        """Return what the user should know about how tasks run."""
        found = [f"tasks run commands on this machine, {self._checking.isolation}"]
        if self._on_host:
            found.append("tasks that name an image run without it (--host)")
        return found

    def _volumes(self) -> Sequence[Volume]:
        path = self._source.copy.complete()
        return [Volume("repository", path, str(path))]


class RunExecutor(Executor):
    """Passes each task on to another executor.

    Args:
        for_images: Runs tasks that name an image.
        for_commands: Runs the others; may be the same one.
        environment: Returns the variables to add for a task, by whether it runs in a container.
        slots: Limits how many tasks run at a time, in all workers together.
        volumes: Returns directories that containers need, which may take a while to prepare.
    """

    name = "run"

    def __init__(
        self,
        for_images: Executor,
        for_commands: Executor,
        environment: Mapping[str, str],
        slots: asyncio.Semaphore,
        volumes: Callable[[], Sequence[Volume]],
    ) -> None:
        self._for_images = for_images
        self._for_commands = for_commands
        self._environment = environment
        self._slots = slots
        self._volumes = volumes
        self.isolation = for_commands.isolation

    def of(self, task: Task) -> Executor:
        """Return the executor that runs a task."""
        return self._for_commands if task.image is None else self._for_images

    def check(self, task: Task) -> Sequence[str]:
        """Return what the executor of a task cannot run."""
        return self.of(task).check(task)

    async def open(self, context: RunContext) -> Execution:
        """Wait for a slot, and open the execution."""
        executor = self.of(context.task)
        async with AsyncExitStack() as stack:
            await self._slots.acquire()
            stack.callback(self._slots.release)
            if context.task.image is not None and executor is not self._for_commands:
                added = await asyncio.to_thread(self._volumes)
                context = replace(context, volumes=(*context.volumes, *added))
            execution = _Execution(await executor.open(context), self._environment)
            execution.on_close = stack.pop_all()
            return execution
        raise AssertionError

    async def start(self) -> None:
        """Start the executors."""
        for executor in dict.fromkeys((self._for_commands, self._for_images)):
            await executor.start()

    async def stop(self) -> None:
        """Stop the executors."""
        for executor in dict.fromkeys((self._for_images, self._for_commands)):
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

    async def artifact(self, path: str) -> Path:
        return await self._inner.artifact(path)

    async def close(self) -> None:
        async with self.on_close:
            await self._inner.close()
