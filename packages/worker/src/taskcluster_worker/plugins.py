"""How to write an executor, which runs the commands of tasks. This is the page for plugin authors.

A plugin is a module (or object) that implements the function below. An entry point in the group `taskcluster_worker`
names it, and with it the executor: `taskcluster-worker run --executor NAME`, `Worker(executor="NAME")`::

    # pyproject.toml
    [project.entry-points.taskcluster_worker]
    chroot = "example_chroot.executor"

    # example_chroot/executor.py
    from taskcluster_worker.plugins import Execution, Executor, Exit, RunContext, hookimpl

    class ChrootExecutor(Executor):
        name = "chroot"
        isolation = "in a chroot"

        def check(self, task): …
        async def open(self, context): …

    @hookimpl
    def taskcluster_worker_executor(options):
        return ChrootExecutor(**options)

The worker does the rest, the same for all executors: it claims tasks, validates payloads, fetches what they mount,
serves the proxy and the live log, uploads artifacts and resolves runs. For each run it calls `check`, then `open`; puts
the mounts into `execution.directory`; calls `run` for one command after the other; `artifact` for each artifact; and
`close` in every case. A task may end at any time: then the call that is in progress is cancelled, and `close` called.

Everything runs on the worker's event loop, so an executor must not block. If two distributions register one name, using
it is an error that names both. `TASKCLUSTER_DISABLE_PLUGINS=chroot` disables plugins by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pluggy

from .task import Content, Task

__all__ = [
    "Execution",
    "Executor",
    "Exit",
    "RunContext",
    "Task",
    "Volume",
    "hookimpl",
    "taskcluster_worker_executor",
]

PROJECT = "taskcluster_worker"
"""The pluggy project name and entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as an implementation of the hook on this page."""


@dataclass(frozen=True)
class Exit:
    """How a command ended."""

    status: int
    """The exit status; negative for the number of the signal that killed it."""
    user: float | None = None
    """Seconds of processor time; None if they are unknown."""
    kernel: float | None = None
    """Seconds of processor time in the kernel; None if they are unknown."""


@dataclass(frozen=True)
class Volume:
    """A writable directory on this machine that commands see at an absolute path."""

    name: str
    """The name of the cache."""
    source: Path
    target: str


@dataclass(frozen=True)
class RunContext:
    """What an executor gets for one run."""

    task: Task
    directory: Path
    """A new, empty directory for this run, which the worker deletes after `close`."""
    storage: Path
    """A directory of this executor that the worker never deletes, for example for images."""
    volumes: Sequence[Volume]
    """The caches of a docker-worker payload. The worker deletes or keeps their directories after `close`."""
    log: Callable[[str], None]
    """Writes a line to the task's log."""
    download: Callable[[Content, Path], Awaitable[None]]
    """Downloads for example an image to a path, with the task's scopes, and checks its hash."""


class Execution(ABC):
    """The execution of one run, from `open` to `close`."""

    directory: Path
    """The working directory of the commands, as seen on this machine. The worker puts mounts there."""
    environment: Mapping[str, str] = MappingProxyType({})
    """Variables that the executor sets: HOME, PATH, USER, and TASK_WORKDIR, the working directory as commands see it.

    Those of the payload override them, except TASK_WORKDIR.
    """
    proxy_address: str = "127.0.0.1"
    """The address on this machine where the taskcluster proxy listens."""
    proxy_host: str = "127.0.0.1"
    """The name or address by which commands reach the proxy."""

    @abstractmethod
    async def run(self, command: Sequence[str], env: Mapping[str, str], write: Callable[[bytes], None]) -> Exit:
        """Run a command with exactly these variables, and wait for it.

        Args:
            command: The program and its arguments. Empty for the default command of an image.
            env: All variables.
            write: Called with each piece of output, of stdout and stderr in one stream. It does not block.

        Raises:
            OSError: The command cannot be started.
        """

    @abstractmethod
    async def kill(self) -> None:
        """Kill all processes of the task, also those in the background. `run` then returns. May be called twice."""

    def kill_at(self, end: float) -> None:  # noqa: B027
        """Kill all processes when `time.monotonic()` is `end`, even if this process does not run then.

        The claim ends then, and another worker may run the task. The worker calls this after `open`, and with a later
        time whenever it has renewed the claim; it must not block. While it runs itself, it also calls `close` in time.
        An executor that does nothing here lets processes go on while the worker is stopped by SIGSTOP, for example.
        """

    @abstractmethod
    async def artifact(self, path: str) -> Path:
        """Return a file or directory of the task on this machine, copied there if necessary.

        The worker decides what to do if nothing is there, and follows no symbolic link that leads out of the task.

        Args:
            path: As in the payload: absolute, or relative to the working directory.
        """

    @abstractmethod
    async def close(self) -> None:
        """Kill all processes of the task, pass on the rest of their output, and clean up."""


class Executor(ABC):
    """Runs the commands of tasks. A worker has one, for all its tasks."""

    name: str
    isolation: str
    """How it isolates tasks from this machine, to follow "tasks run"."""

    @abstractmethod
    def check(self, task: Task) -> Sequence[str]:
        """Return messages about what this executor cannot run, each naming a key of the payload. Empty if it can.

        The task is resolved as `malformed-payload` with these messages in its log.
        """

    @abstractmethod
    async def open(self, context: RunContext) -> Execution:
        """Set up the execution of one run.

        Raises:
            TaskFailed: What the task asks for cannot be had, for example its image. The task fails.
        """

    async def start(self) -> None:  # noqa: B027
        """Prepare for tasks. Called once, when the worker starts; raise WorkerError if this machine cannot run any."""

    async def stop(self) -> None:  # noqa: B027
        """Clean up. Called once, when the worker has ended."""


@hookspec(firstresult=True)
def taskcluster_worker_executor(options: Mapping[str, Any]) -> Executor:
    """Return the executor that this plugin adds. Called once for each worker that uses it.

    Args:
        options: The keyword arguments of `Worker(executor_options=…)`. An unknown one must raise TypeError.
    """
    raise NotImplementedError
