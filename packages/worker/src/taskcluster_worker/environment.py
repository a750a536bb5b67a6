"""The environment variables of a task. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from .task import Task

__all__ = ["task_environment"]


def task_environment(task: Task, executor: Mapping[str, str], root_url: str, proxy_url: str | None) -> dict[str, str]:
    """Return the variables of a task's commands. Nothing of the worker's own environment is among them.

    Args:
        task: The task.
        executor: What the executor sets: HOME, PATH, USER, TASK_WORKDIR.
        root_url: Of the deployment.
        proxy_url: Of the taskcluster proxy, if the task has one.
    """
    fixed = {
        "TASK_ID": task.taskId,
        "RUN_ID": str(task.runId),
        "TASK_GROUP_ID": task.definition["taskGroupId"],
        "TASKCLUSTER_ROOT_URL": root_url,
    }
    if "TASK_WORKDIR" in executor:
        fixed["TASK_WORKDIR"] = executor["TASK_WORKDIR"]
    if proxy_url is not None:
        fixed["TASKCLUSTER_PROXY_URL"] = proxy_url
    return {**executor, **task.env, **fixed}
