"""Find out what to run: the commit, the event, and the tasks that `.taskcluster.yml` has for it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from taskcluster.suggestions import did_you_mean

from ..encoding import is_object
from ..errors import ApiError
from ..services.github.rendering import render
from . import event as events
from .errors import RunError
from .event import Event
from .repository import Checkout, Copy
from .selection import is_wanted, with_dependencies

__all__ = ["Rendered", "Source", "matching", "names", "no_match", "read", "rendered", "selected", "task_name"]

FILE = ".taskcluster.yml"


@dataclass(frozen=True)
class Source:
    """A commit of a repository, and the event to run it for."""

    copy: Copy
    event: Event
    commit: str
    text: str
    """The content of `.taskcluster.yml`."""
    notes: list[str]
    """What the user should know."""

    def description(self) -> str:
        """Return one line about the event and the commit."""
        subject = (self.copy.find("log", "--max-count=1", "--format=%s", self.commit) or "")[:72]
        message, event = self.event.message, self.event
        ref = event.head.removeprefix("refs/heads/").removeprefix("refs/")
        return (
            f"{event.organization}/{event.repository}: {message['tasks_for']}, {ref} at {self.commit[:12]} ({subject})"
        )


@dataclass(frozen=True)
class Rendered:
    """The tasks and hooks of an event."""

    tasks: list[dict[str, Any]]
    """Each with `taskId` and `task`, dependencies first."""
    hooks: list[dict[str, Any]]
    scopes: list[str]
    """The scopes to create the tasks and trigger the hooks with."""


def read(given: Namespace, directory: Path, now: datetime) -> Source:
    """Read the checkout.

    Args:
        given: The arguments of the command.
        directory: An empty directory for the copy that tasks clone.
        now: The time of the event.

    Raises:
        RunError: The arguments, the checkout or the event are invalid.
    """
    checkout = Checkout(given.path)
    copy = Copy(checkout, directory, dirty=given.dirty)
    notes: list[str] = []
    if given.event_file is not None:
        for option in ("event", "branch", "base", "dirty"):
            if getattr(given, option):
                raise RunError(f"--event-file has its own branches and commits: omit --{option}")
        event = events.recorded(_event_file(given.event_file), given.settings, checkout.origin())
    else:
        event = _derived(given, checkout, copy, now)
    if not given.dirty and checkout.has_changes():
        notes.append("uncommitted changes are not included: commit them, or use --dirty")
    if event.is_skipped:
        notes.append("a real deployment would create no tasks for this event, because it says [skip ci] or [ci skip]")
    commit = copy.resolve(event.refs[event.head])
    refs = {name: found for name, given_commit in event.refs.items() if (found := copy.find_commit(given_commit))}
    default = f"refs/heads/{checkout.default_branch}"
    copy.point(refs, default if default in refs or copy.find_commit(default) else event.head)
    text = copy.file(commit, FILE)
    if text is None:
        uncommitted = " It is not committed: commit it, or use --dirty." if (checkout.root / FILE).exists() else ""
        raise RunError(f"{checkout.root} has no {FILE} at {commit[:12]}.{uncommitted}")
    return Source(copy, event, commit, text, notes)


def _derived(given: Namespace, checkout: Checkout, copy: Copy, now: datetime) -> Event:
    kind, base = given.event or "push", given.base
    base_branch = None
    if kind == "pull_request":
        base_branch = checkout.default_branch
        if base is not None and copy.find_commit(f"refs/heads/{base}"):
            base_branch = base
        elif base is None and copy.find_commit(f"refs/heads/{base_branch}") not in (None, copy.commit):
            base = base_branch
    return events.derived(copy.facts(base), kind, given.branch, given.settings, base_branch, now)


def _event_file(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise RunError(f"{path} is not JSON: {error}") from None
    if not is_object(body):
        raise RunError(f"{path} is not an event: it must be an object with the keys that GitHub sends")
    return body


def rendered(source: Source, root_url: str, now: datetime) -> Rendered:
    """Render `.taskcluster.yml`.

    Args:
        source: The commit and the event.
        root_url: The root URL of the deployment.
        now: The deployment's time.

    Raises:
        RunError: It is invalid, or has no tasks or hooks for the event.
    """
    event = source.event
    try:
        found = render(source.text, event.message, event.organization, event.repository, root_url, now, event.context)
    except ApiError as error:
        raise RunError(error.message) from None
    if not found["tasks"] and not found["hooks"]:
        raise RunError(
            f"{FILE} has no tasks for this event ({event.message['tasks_for']}, {event.head}): choose another one with "
            "--event, --branch or --set"
        )
    return Rendered(found["tasks"], found["hooks"], found["scopes"])


def selected(tasks: list[dict[str, Any]], patterns: list[str]) -> list[dict[str, Any]]:
    """Return the tasks that match patterns, and their dependencies.

    If no task matches, those that can create tasks are returned: the tasks that they create may match.

    Args:
        tasks: Tasks with `taskId` and `task`.
        patterns: Ids, or patterns of names. If there are none, all tasks are returned.

    Raises:
        RunError: No task matches, or can create tasks.
    """
    if not patterns:
        return tasks
    named = names(tasks)
    wanted = matching(named, patterns) or [each["taskId"] for each in tasks if _has_proxy(each["task"])]
    if not wanted:
        raise no_match(patterns, named)
    kept = with_dependencies(wanted, {each["taskId"]: each["task"].get("dependencies", []) for each in tasks})
    return [each for each in tasks if each["taskId"] in kept]


def names(tasks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of tasks by taskId.

    Args:
        tasks: Tasks with `taskId` and `task`.
    """
    return {each["taskId"]: task_name(each["task"]) for each in tasks}


def matching(named: Mapping[str, str], patterns: list[str]) -> list[str]:
    """Return the ids of the tasks that match patterns, of tasks with the given names."""
    return [taskId for taskId, name in named.items() if is_wanted(taskId, name, patterns)]


def no_match(patterns: list[str], named: Mapping[str, str]) -> RunError:
    """Return the error if no task with one of the given names matches."""
    known = list(named.values())
    near = did_you_mean(patterns[0], known)
    return RunError(f"no task matches --task {' --task '.join(patterns)}; the tasks are {', '.join(known)}{near}")


def _has_proxy(task: dict[str, Any]) -> bool:
    payload = task.get("payload")
    features = payload.get("features") if is_object(payload) else None
    return is_object(features) and features.get("taskclusterProxy") is True


def task_name(task: dict[str, Any]) -> str:
    """Return the name of a task; it may be invalid, which the queue reports."""
    metadata = task.get("metadata")
    return str(metadata.get("name", "")) if is_object(metadata) else ""
