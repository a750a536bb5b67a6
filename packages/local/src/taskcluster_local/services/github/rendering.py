"""What a `.taskcluster.yml` does on an event."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

from taskcluster.slugs import slugId

from ... import templates, yaml_core
from ...encoding import is_array, is_object
from ...errors import ApiError
from ...timestamps import later, to_wire

__all__ = ["POLICIES", "policy", "render", "render_event"]

POLICIES = ("public", "public_restricted", "collaborators", "collaborators_quiet")

_LIFETIME = timedelta(days=1)
_KNOWN = frozenset({"version", "policy", "autoCancelPreviousChecks", "reporting", "tasks"})
_REPORTING = {"checks-v1": "checks", "status-v1": "statuses"}
_SHA = "0123456789abcdef0123456789abcdef01234567"


def render(
    text: str,
    fake_event: dict[str, Any],
    organization: str,
    repository: str,
    root_url: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the tasks, each with its taskId, and the scopes that they would be created with.

    Args:
        text: The file, of version 1.
        fake_event: Says what happened: `type`, `action` (of all but pushes), and `overrides`, put over the event.
        organization: The owner's name.
        repository: The repository's name.
        root_url: Of the deployment.
        now: The present.

    Raises:
        ApiError: The file is not a `.taskcluster.yml` that is understood (InputError).
    """
    event = _merged(_event(fake_event, organization, repository, now), fake_event.get("overrides", {}))
    action = fake_event.get("action")
    return render_event(text, fake_event["type"], action, event, organization, repository, root_url, now)


def render_event(
    text: str,
    kind: str,
    action: str | None,
    event: dict[str, Any],
    organization: str,
    repository: str,
    root_url: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the tasks, each with its taskId, and the scopes that they are created with.

    Args:
        text: The file, of version 1.
        kind: What the file knows as `tasks_for`.
        action: What was done, for all events but pushes.
        event: As GitHub tells of it.
        organization: The owner's name.
        repository: The repository's name.
        root_url: Of the deployment.
        now: The present.

    Raises:
        ApiError: The file is not a `.taskcluster.yml` that is understood (InputError).
    """
    template = _template(text)
    context = {
        "tasks_for": kind,
        "event": event,
        "now": to_wire(now),
        "taskcluster_root_url": root_url,
    }
    try:
        rendered = templates.render(template, context, slugids=True)
    except templates.TemplateError as error:
        raise ApiError("InputError", f".taskcluster.yml cannot be rendered: {error}") from None
    if not is_object(rendered):
        raise ApiError("InputError", ".taskcluster.yml must come to a mapping")
    unknown = sorted(rendered.keys() - _KNOWN)
    if unknown:
        raise ApiError("InputError", f".taskcluster.yml has unknown properties: {', '.join(unknown)}")
    reporting = rendered.get("reporting", "status-v1")
    if not isinstance(reporting, str) or reporting not in _REPORTING:
        raise ApiError("InputError", f"reporting must be one of {', '.join(_REPORTING)}, not {reporting!r}")
    route = _REPORTING[reporting]
    return {
        "tasks": _completed(rendered.get("tasks", []), route, now),
        "scopes": [_role(kind, action, event, organization, repository), f"queue:route:{route}"],
    }


def policy(text: str) -> str:
    """Return whose pull requests are to have tasks: one of POLICIES, `collaborators` where the file does not say.

    Raises:
        ApiError: The file is not a `.taskcluster.yml` that is understood (InputError).
    """
    given = _template(text).get("policy")
    found = given.get("pullRequests") if is_object(given) else None
    if found is None:
        return "collaborators"
    if not isinstance(found, str) or found not in POLICIES:
        raise ApiError("InputError", f"policy.pullRequests must be one of {', '.join(POLICIES)}, not {found!r}")
    return found


def _template(text: str) -> dict[str, Any]:
    try:
        template = yaml_core.load(text)
    except yaml_core.YamlError as error:
        raise ApiError("InputError", f".taskcluster.yml is not valid YAML: {error}") from None
    if not is_object(template):
        raise ApiError("InputError", ".taskcluster.yml must be a mapping with `version: 1` and `tasks`")
    if template.get("version") != 1:
        raise ApiError("InputError", "this is a local deployment: it renders .taskcluster.yml of `version: 1` only")
    return template


def _completed(tasks: Any, route: str, now: datetime) -> list[dict[str, Any]]:
    """Return task definitions with what is filled in where they leave it out."""
    if not is_array(tasks) or not all(map(is_object, tasks)):
        raise ApiError("InputError", "`tasks` of .taskcluster.yml must be a list of task definitions")
    completed: list[dict[str, Any]] = []
    # All tasks are of one group. If there is only one task, the group is named after it.
    group = tasks[0].get("taskId") if len(tasks) == 1 else None
    group = slugId() if group is None else group
    for given in tasks:
        task = dict(given)
        taskId = task.pop("taskId", None)
        if taskId is None:
            taskId = group if len(tasks) == 1 else slugId()
        definition: dict[str, Any] = {
            "taskGroupId": group,
            "schedulerId": "taskcluster-github",
            "created": to_wire(now),
            "deadline": to_wire(later(now, _LIFETIME)),
            **task,
        }
        routes = definition.get("routes", [])
        if not is_array(routes):
            raise ApiError("InputError", "`routes` of a task must be a list")
        definition["routes"] = [*routes, *([] if route in routes else [route])]
        completed.append({"taskId": taskId, "task": definition})
    return completed


def _role(kind: str, action: str | None, event: dict[str, Any], organization: str, repository: str) -> str:
    prefix = f"assume:repo:github.com/{organization}/{repository}"
    if kind == "github-push":
        ref = str(event.get("ref"))
        if ref.startswith("refs/tags/"):
            return f"{prefix}:tag:{ref.removeprefix('refs/tags/')}"
        return f"{prefix}:branch:{ref.removeprefix('refs/heads/')}"
    if kind == "github-release":
        return f"{prefix}:release:{action}"
    return f"{prefix}:{kind.removeprefix('github-')}"


def _merged(event: Any, overrides: Any) -> Any:
    """Return an event with others' values put over its own, object by object."""
    if not is_object(event) or not is_object(overrides):
        return overrides
    changed = {name: _merged(event[name], value) if name in event else value for name, value in overrides.items()}
    return {**event, **changed}


def _event(fake_event: dict[str, Any], organization: str, repository: str, now: datetime) -> dict[str, Any]:
    """Return an event as GitHub tells of it, as far as such files look at one."""
    url = f"https://github.com/{organization}/{repository}"
    owner = {"login": organization, "id": 1, "type": "Organization", "html_url": f"https://github.com/{organization}"}
    user = {"login": "octocat", "id": 2, "type": "User", "html_url": "https://github.com/octocat"}
    repo: dict[str, Any] = {
        "id": 3,
        "name": repository,
        "full_name": f"{organization}/{repository}",
        "owner": {**owner, "name": organization},
        "private": False,
        "fork": False,
        "default_branch": "main",
        "html_url": url,
        "url": url,
        "clone_url": f"{url}.git",
        "git_url": f"git://github.com/{organization}/{repository}.git",
        "ssh_url": f"git@github.com:{organization}/{repository}.git",
    }
    common: dict[str, Any] = {"repository": repo, "organization": owner, "sender": user, "installation": {"id": 4}}
    kind = fake_event["type"]
    date = to_wire(now)
    if kind == "github-push":
        author = {"name": "octocat", "email": "octocat@example.com", "username": "octocat"}
        commit: dict[str, Any] = {
            "id": _SHA,
            "message": "A commit",
            "timestamp": date,
            "url": f"{url}/commit/{_SHA}",
            "author": author,
            "committer": author,
            "added": [],
            "removed": [],
            "modified": [],
        }
        return {
            **common,
            "ref": "refs/heads/main",
            "base_ref": None,
            "before": "0" * 40,
            "after": _SHA,
            "created": False,
            "deleted": False,
            "forced": False,
            "compare": f"{url}/compare/main",
            "commits": [commit],
            "head_commit": copy.deepcopy(commit),
            "pusher": {"name": "octocat", "email": "octocat@example.com"},
        }
    issue: dict[str, Any] = {"number": 1, "title": "A change", "body": "", "state": "open", "user": user,
                             "html_url": f"{url}/pull/1", "labels": [], "assignees": []}  # fmt: skip
    common["action"] = fake_event["action"]
    if kind in ("github-pull-request", "github-pull-request-untrusted"):
        head = {"ref": "change", "sha": _SHA, "label": f"{organization}:change", "user": user, "repo": repo}
        base = {"ref": "main", "sha": "f" * 40, "label": f"{organization}:main", "user": owner, "repo": repo}
        pull = {**issue, "id": 5, "head": head, "base": base, "draft": False, "merged": False, "created_at": date,
                "updated_at": date, "author_association": "MEMBER"}  # fmt: skip
        return {**common, "number": 1, "pull_request": pull}
    if kind == "github-release":
        release: dict[str, Any] = {
            "id": 6,
            "tag_name": "v1.0",
            "target_commitish": "main",
            "name": "v1.0",
            "body": "",
            "draft": False,
            "prerelease": False,
            "created_at": date,
            "published_at": date,
            "author": user,
            "html_url": f"{url}/releases/tag/v1.0",
            "assets": [],
        }
        return {**common, "release": release}
    comment = {"id": 7, "body": "/taskcluster test", "user": user, "html_url": f"{url}/pull/1#issuecomment-7",
               "created_at": date, "updated_at": date, "author_association": "MEMBER"}  # fmt: skip
    return {**common, "issue": {**issue, "pull_request": {"html_url": f"{url}/pull/1"}}, "comment": comment,
            "taskcluster_comment": "test"}  # fmt: skip
