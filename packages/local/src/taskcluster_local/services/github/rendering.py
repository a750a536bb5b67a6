"""Render `.taskcluster.yml` for an event. Pure functions."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from taskcluster.shapes import is_array
from taskcluster.slugs import slugId

from ... import templates, yaml_core
from ...encoding import is_object
from ...errors import ApiError
from ...timestamps import to_wire
from ...validation import Schema
from .file_schemas import POLICIES, SCHEMAS

__all__ = ["policy", "render"]

_SCHEDULER = "taskcluster-github"
_HOOK_NAME = re.compile(r"([a-zA-Z0-9_-]{1,1000})/([a-zA-Z0-9_/-]{1,1000})", re.ASCII)
# In files of version 0: {{ name }} or {{ 'string' | $fromNow }}.
_PARAMETER = re.compile(r"(?<!\{)\{\{\s*(?:'([^']*)'\s*\|\s*(\$fromNow)|([$\w.-]+))\s*\}\}", re.ASCII)
_VERSION_0_DATES = {"created": "{{ $fromNow }}", "deadline": "{{ '60 minutes' | $fromNow }}"}
_VERSION_0_QUEUE = {
    "provisionerId": "{{ taskcluster.docker.provisionerId }}",
    "workerType": "{{ taskcluster.docker.workerType }}",
}
_VERSION_0_WORKERS = {
    "taskcluster.docker.provisionerId": "aws-provisioner-v1",
    "taskcluster.docker.workerType": "github-worker",
}


def render(
    text: str,
    payload: dict[str, Any],
    organization: str,
    repository: str,
    root_url: str,
    now: datetime,
    names: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the tasks and hooks in a file for an event.

    Args:
        text: The file, of version 0 or 1.
        payload: The message about the event (github-push-message and so on).
        organization: The owner's name, as GitHub has it.
        repository: The repository's name, as GitHub has it.
        root_url: The root URL of the deployment.
        now: The deployment's time.
        names: Further values that the template may refer to, by name.

    Returns:
        `tasks`, each with `taskId` and `task`, `hooks`, each with `hookGroupId`, `hookId` and `payload`, and the
        `scopes` to create the tasks and trigger the hooks with.

    Raises:
        ApiError: The file is invalid, or cannot be rendered (InputError).
    """
    version, template = _checked(text)
    if version == 0:
        parameters = _parameters(payload, organization, repository, now)
        tasks = [_substituted(task, parameters) for task in _chosen(template, payload)]
        hooks: list[dict[str, Any]] = []
    else:
        context = {
            "tasks_for": payload["tasks_for"],
            "event": payload["body"],
            "now": to_wire(now),
            "taskcluster_root_url": root_url,
            **(names or {}),
        }
        try:
            rendered = templates.render(template, context, slugids=True)
        except templates.TemplateError as error:
            raise ApiError("InputError", f".taskcluster.yml cannot be rendered: {error}") from None
        tasks = _items(rendered, "tasks")
        hooks = [_hook(hook, context) for hook in _items(rendered, "hooks")]
    route = "checks" if template.get("reporting") == "checks-v1" else "statuses"
    return {
        "tasks": _completed(tasks, route),
        "hooks": hooks,
        "scopes": [
            _role(version, payload, organization, repository),
            f"queue:route:{route}",
            f"queue:scheduler-id:{_SCHEDULER}",
        ],
    }


def policy(text: str) -> str:
    """Return the policy for pull requests: one of POLICIES, by default `collaborators`.

    Raises:
        ApiError: The file is not YAML, or has another version or policy (InputError).
    """
    version, template = _parsed(text)
    given = template.get("policy") if version == 1 else {"pullRequests": template.get("allowPullRequests")}
    found = given.get("pullRequests") if is_object(given) else None
    if found is None:
        return "collaborators"
    if not isinstance(found, str) or found not in POLICIES:
        raise ApiError("InputError", f"policy.pullRequests must be one of {', '.join(POLICIES)}, not {found!r}")
    return found


def _parsed(text: str) -> tuple[int, dict[str, Any]]:
    try:
        template = yaml_core.load(text)
    except yaml_core.YamlError as error:
        raise ApiError("InputError", f".taskcluster.yml is not valid YAML: {error}") from None
    if not is_object(template):
        raise ApiError("InputError", ".taskcluster.yml must be a mapping with `version` and `tasks`")
    version = template.get("version")
    if type(version) is not int or version not in SCHEMAS:
        raise ApiError("InputError", f"`version` of .taskcluster.yml must be 0 or 1, not {version!r:.40}")
    return version, template


@functools.cache
def _schema(version: int) -> Schema:
    return Schema.given(SCHEMAS[version])


def _checked(text: str) -> tuple[int, dict[str, Any]]:
    version, template = _parsed(text)
    errors = _schema(version).errors(template)
    if errors:
        raise ApiError("InputError", "\n".join([".taskcluster.yml is invalid:", *errors]))
    return version, template


def _items(rendered: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = rendered.get(key, [])
    if not is_array(items) or not all(map(is_object, items)):
        raise ApiError("InputError", f"`{key}` of .taskcluster.yml must render to a list of objects")
    return items


def _hook(given: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    name, own = given.get("name"), given.get("context", {})
    match = _HOOK_NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None or not is_object(own) or given.keys() - {"name", "context"}:
        raise ApiError(
            "InputError", "a hook of .taskcluster.yml must have a `name`, as in group/id, and may have a `context`"
        )
    return {"hookGroupId": match[1], "hookId": match[2], "payload": {**context, **own}}


def _completed(tasks: list[dict[str, Any]], route: str) -> list[dict[str, Any]]:
    """Return tasks with ids and defaults, sorted so that each comes after its dependencies."""
    # The group of a single task has the taskId of the task.
    alone = len(tasks) == 1
    group = (tasks[0].get("taskId") if alone else None) or slugId()
    completed: dict[Any, dict[str, Any]] = {}
    for given in tasks:
        task = dict(given)
        taskId = task.pop("taskId", None) or (task.get("taskGroupId", group) if alone else slugId())
        routes = task.get("routes", [])
        if not is_array(routes):
            raise ApiError("InputError", "`routes` of a task must be a list")
        if not isinstance(taskId, str):
            raise ApiError("InputError", f"`taskId` of a task must be a string, not {taskId!r:.40}")
        definition = {"taskGroupId": group, "schedulerId": _SCHEDULER, **task}
        definition["routes"] = [*routes, *([] if route in routes else [route])]
        completed[taskId] = {"taskId": taskId, "task": definition}
    return _ordered(completed)


def _ordered(tasks: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    ordered: dict[str, dict[str, Any]] = {}
    waiting = dict(tasks)
    while waiting:
        ready = [
            taskId
            for taskId, each in waiting.items()
            if not any(other in waiting for other in _dependencies(each["task"]) if other != taskId)
        ]
        # If dependencies are circular, the queue reports the missing task.
        for taskId in ready or list(waiting):
            ordered[taskId] = waiting.pop(taskId)
    return list(ordered.values())


def _dependencies(task: dict[str, Any]) -> list[str]:
    given = task.get("dependencies", [])
    return [each for each in given if isinstance(each, str)] if is_array(given) else []


def _role(version: int, payload: dict[str, Any], organization: str, repository: str) -> str:
    kind, body = payload["tasks_for"], payload["body"]
    if kind == "github-push":
        ref = str(body.get("ref", ""))
        tag = ref.startswith("refs/tags/")
        event = f"tag:{ref.removeprefix('refs/tags/')}" if tag else f"branch:{ref.removeprefix('refs/heads/')}"
    elif kind == "github-release" and version == 1:
        event = f"release:{body.get('action')}"
    else:
        event = kind.removeprefix("github-")
    return f"assume:repo:github.com/{organization}/{repository}:{event}"


# Version 0


def _chosen(template: dict[str, Any], payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks of a version 0 file for an event, with defaults."""
    details = payload["details"]
    return [
        {**_VERSION_0_DATES, **({} if "taskQueueId" in task else _VERSION_0_QUEUE), **_with_environment(task, details)}
        for task in template["tasks"]
        if _concerns(task.get("extra", {}).get("github", {}), details)
    ]


def _concerns(wanted: dict[str, Any], details: dict[str, Any]) -> bool:
    """Return whether a task is for an event, by its `extra.github`."""
    if "branches" in wanted and "excludeBranches" in wanted:
        raise ApiError("InputError", "a task cannot have both `branches` and `excludeBranches`: remove one")
    event, branch = details["event.type"], details.get("event.base.repo.branch")
    if not any(event.startswith(each.rstrip("*")) for each in wanted.get("events", [])):
        return False
    return event != "push" or (
        branch in wanted.get("branches", [branch]) and branch not in wanted.get("excludeBranches", [])
    )


def _with_environment(task: dict[str, Any], details: dict[str, Any]) -> dict[str, Any]:
    if task["extra"]["github"].get("env") is not True:
        return task
    names = {name: name.removeprefix("event.").replace(".", "_").upper() for name in details}
    names["event.type"] = "EVENT"
    variables = {f"GITHUB_{names[name]}": value for name, value in details.items()}
    payload = task["payload"]
    own = payload.get("env", {})
    return {**task, "payload": {**payload, "env": {**(own if is_object(own) else {}), **variables}}}


def _parameters(payload: dict[str, Any], organization: str, repository: str, now: datetime) -> dict[str, Any]:
    return {
        **payload["details"],
        **_VERSION_0_WORKERS,
        "organization": organization,
        "repository": repository,
        "timestamp": int(now.timestamp() * 1000),
        "now": to_wire(now),
        "$fromNow": to_wire(now),
    }


def _substituted(value: Any, parameters: dict[str, Any]) -> Any:
    """Return a value with the parameters in its strings and keys replaced; unknown parameters are kept."""
    if is_object(value):
        return {str(_substituted(name, parameters)): _substituted(member, parameters) for name, member in value.items()}
    if is_array(value):
        return [_substituted(item, parameters) for item in value]
    if not isinstance(value, str):
        return value

    def parameter(match: re.Match[str]) -> Any:
        if match[2] is None:
            return parameters.get(match[3], match[0])
        try:
            return templates.render({"$fromNow": match[1]}, {"now": parameters["now"]})
        except templates.TemplateError as error:
            raise ApiError("InputError", f".taskcluster.yml: {match[0]}: {error}") from None

    only = _PARAMETER.fullmatch(value)
    return parameter(only) if only else _PARAMETER.sub(lambda match: str(parameter(match)), value)
