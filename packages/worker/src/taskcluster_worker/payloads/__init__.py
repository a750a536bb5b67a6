"""Read payloads: validate them against their schema, and turn them into a `Task`. No I/O."""

from __future__ import annotations

import functools
import json
import posixpath
from collections.abc import Mapping
from datetime import timedelta
from importlib import resources
from typing import Any

from taskcluster.shapes import is_mapping
from taskcluster.timestamps import parse_date
from taskcluster.validation import problems

from ..artifacts import is_name
from ..resolution import MalformedPayload
from ..task import ArtifactContent, Task
from . import docker_worker, generic_worker

__all__ = ["MAX_RUN_TIME", "read_task"]

MAX_RUN_TIME = 86_400
"""The longest maxRunTime that a worker accepts unless it is told otherwise, in seconds."""
_SLACK = timedelta(seconds=1)


@functools.cache
def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
    return schema


def read_task(taskId: str, runId: int, definition: Mapping[str, Any], max_run_time: int = MAX_RUN_TIME) -> Task:
    """Return the task of a claim.

    Args:
        taskId: The task.
        runId: Its run.
        definition: Its definition, with defaults, as claimWork returns it.
        max_run_time: The longest maxRunTime that is accepted, in seconds.

    Raises:
        MalformedPayload: The payload is invalid, or contradicts the rest of the definition.
    """
    payload: Any = definition["payload"]
    is_docker = is_mapping(payload) and "image" in payload
    found = problems(_schema("docker_worker" if is_docker else "generic_worker"), payload)
    if found:
        raise MalformedPayload([f"payload: {problem}" for problem in found])
    common: dict[str, Any] = {
        "taskId": taskId,
        "runId": runId,
        "definition": definition,
        "deadline": parse_date(definition["deadline"]),
        "expires": parse_date(definition["expires"]),
    }
    task = docker_worker.task(payload, common) if is_docker else generic_worker.task(payload, common)
    found = [*_contradictions(task, max_run_time)]
    if found:
        raise MalformedPayload(found)
    return task


def _contradictions(task: Task, max_run_time: int) -> list[str]:
    """Return what contradicts the rest of the definition or the configuration of the worker."""
    found: list[str] = []
    if task.max_run_time > max_run_time:
        found.append(f"payload: maxRunTime must be {max_run_time} or less on this worker, not {task.max_run_time}")
    for artifact in task.artifacts:
        if "\0" in artifact.path:
            found.append(f"payload: the path of the artifact {artifact.name!r} has a null byte")
        if not is_name(artifact.name if artifact.is_file else f"{artifact.name}/"):
            found.append(
                f"payload: the artifact name {artifact.name!r} must be printable ASCII, and neither '.' nor '..'"
            )
        if artifact.expires is None:
            continue
        if artifact.expires < task.deadline - _SLACK:
            found.append(f"payload: the artifact {artifact.name!r} expires before the task's deadline")
        if artifact.expires > task.expires + _SLACK:
            found.append(f"payload: the artifact {artifact.name!r} expires after the task")
    found += [
        f"payload: the name of a log {name!r} must be printable ASCII, and neither '.' nor '..'"
        for name in (task.live_log, task.backing_log)
        if name is not None and not is_name(name)
    ]
    dependencies = frozenset(task.definition.get("dependencies", ()))
    sources = [("mounts", mount.content) for mount in task.mounts] + [("image", task.image)]
    found += [
        f"payload: {key} has an artifact of the task {source.taskId}, which must be in dependencies"
        for key, source in sources
        if isinstance(source, ArtifactContent) and source.taskId not in dependencies
    ]
    found += [
        f"payload: the artifact {artifact.name!r} has the name of a log of the task"
        for artifact in task.artifacts
        if artifact.is_file and artifact.name in (task.live_log, task.backing_log)
    ]
    paths = [posixpath.normpath(mount.path) for mount in task.mounts]
    found += [f"payload: two mounts have the path {path!r}" for path in sorted(set(paths)) if paths.count(path) > 1]
    mounted = [mount.cache for mount in task.mounts] + [volume.cache for volume in task.volumes]
    caches = [name for name in mounted if name is not None]
    found += [f"payload: the cache {name!r} is mounted twice" for name in sorted(set(caches)) if caches.count(name) > 1]
    return found
