"""The async twins, which programs find as `taskcluster.aio.helper`: each with an async client, and to be awaited."""

from __future__ import annotations

import inspect
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from taskcluster.exceptions import TaskclusterFailure

from . import logs, waiting
from .async_drive import lines_of, result_of
from .dates import present
from .exceptions import ArtifactMissingError, ConfigurationError, SecretError, WaitTimeoutError
from .secrets import Wanted

if TYPE_CHECKING:
    from taskcluster_index.aio import Index
    from taskcluster_queue.aio import Queue
    from taskcluster_secrets.aio import Secrets

__all__ = [
    "ArtifactMissingError",
    "ConfigurationError",
    "SecretError",
    "WaitTimeoutError",
    "load_secrets",
    "task_log_lines",
    "wait_for_artifact",
    "wait_for_indexed_task",
    "wait_for_task",
    "wait_for_task_group",
]


async def load_secrets(
    secrets_service: Secrets | None,
    secret_name: str,
    prefixes: Iterable[str] = (),
    required: Iterable[str] = (),
    existing: Mapping[str, Any] | None = None,
    local_secrets: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a secret's value as a dict, whose repr shows the keys only; `dict(…)` makes it one that shows them.

    Arguments and failures are those of `taskcluster.helper.load_secrets`, with an async client.
    """
    wanted = Wanted(secret_name, prefixes, required, existing, local_secrets)
    if wanted.local is not None:
        return wanted.of(wanted.local)
    if secrets_service is None:
        raise ConfigurationError("secrets_service must be a taskcluster.aio.Secrets, unless local_secrets are given")
    answer: Any = secrets_service.get(secret_name)
    if not inspect.isawaitable(answer):
        raise TaskclusterFailure("an async function needs an async client, such as taskcluster.aio.Secrets")
    return wanted.of((await answer)["secret"])


async def wait_for_task(
    queue: Queue,
    taskId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any]], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until a task is resolved, and return its status, whose `state` is `completed`, `failed` or `exception`.

    Arguments and failures are those of `taskcluster.helper.wait_for_task`, with an async client.
    `on_change` may be a coroutine function.
    """
    return await result_of(waiting.task(queue, taskId, _pace(timeout, delay, max_delay, on_change)))


async def wait_for_task_group(
    queue: Queue,
    taskGroupId: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[Counter[str]], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> Counter[str]:
    """Wait until every task of a group is resolved, and return how many there are in each state.

    Arguments and failures are those of `taskcluster.helper.wait_for_task_group`, with an async client.
    `on_change` may be a coroutine function.
    """
    return await result_of(waiting.group(queue, taskGroupId, _pace(timeout, delay, max_delay, on_change)))


async def wait_for_indexed_task(
    index: Index,
    indexPath: str,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any] | None], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until the index has a task, and return what `index.findTask` says of it, its `taskId` among that.

    Arguments and failures are those of `taskcluster.helper.wait_for_indexed_task`, with an async client.
    `on_change` may be a coroutine function.
    """
    return await result_of(waiting.indexed_task(index, indexPath, _pace(timeout, delay, max_delay, on_change)))


async def wait_for_artifact(
    queue: Queue,
    taskId: str,
    name: str,
    runId: int | str | None = None,
    *,
    timeout: float | None = None,
    on_change: Callable[[dict[str, Any] | None], object] | None = None,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> dict[str, Any]:
    """Wait until a task has an artifact, and return what `queue.artifactInfo` says of it.

    Arguments and failures are those of `taskcluster.helper.wait_for_artifact`, with an async client.
    `on_change` may be a coroutine function.
    """
    return await result_of(waiting.artifact(queue, taskId, name, runId, _pace(timeout, delay, max_delay, on_change)))


def task_log_lines(
    queue: Queue,
    taskId: str,
    runId: int | str | None = None,
    *,
    name: str | None = None,
    silence: float = 300.0,
    delay: float = 1.0,
    max_delay: float = 30.0,
) -> AsyncIterator[str]:
    """Return the lines of a run's log, as it comes; of a running task, to its end.

    Arguments and failures are those of `taskcluster.helper.task_log_lines`, with an async client.
    """
    pace = _pace(None, delay, max_delay, None)
    return lines_of(logs.follow(queue, taskId, runId, name, silence, pace))


def _pace(
    timeout: float | None, delay: float, max_delay: float, on_change: Callable[[Any], Any] | None
) -> waiting.Pace:
    return waiting.Pace(timeout, delay, max_delay, on_change, present, time.monotonic, random.random)
