"""Task definitions: from files, with the dates filled in, and made again of existing tasks."""

from __future__ import annotations

# PyYAML's types are incomplete.
# pyright: reportUnknownMemberType=false
from collections.abc import Mapping
from typing import Any

from taskcluster.shapes import is_mapping

from .app import App
from .errors import Failure
from .naming import Task

__all__ = ["completed", "create", "read", "retriggered", "to_yaml"]


def read(app: App, file: str, what: str = "a task definition") -> dict[str, Any]:
    """Return the mapping in a file of JSON or YAML, or on stdin for `-`."""
    from .payloads import loads, text_of

    if file == "-":
        text, where = app.read_stdin(f"{what} in JSON or YAML"), f"{what} on stdin"
    else:
        text, where = text_of(file), file
    found = loads(text, where)
    if not is_mapping(found):
        raise Failure(f"{where}: expected a mapping, not {type(found).__name__}")
    return dict(found)


def completed(definition: Mapping[str, Any], deadline: str, expires: str | None) -> dict[str, Any]:
    """Return a definition with the dates that it lacks.

    Args:
        definition: The definition.
        deadline: From now to the deadline, for example `1 day`.
        expires: From now to the expiration.
    """
    from datetime import datetime, timezone

    from taskcluster.timestamps import fromNowJSON

    now = datetime.now(timezone.utc)
    filled = dict(definition)
    try:
        filled.setdefault("created", fromNowJSON("0 seconds", now))
        filled.setdefault("deadline", fromNowJSON(deadline, now))
        if expires is not None:
            filled.setdefault("expires", fromNowJSON(expires, now))
    except ValueError as exc:
        raise Failure(str(exc)) from None
    return filled


def create(app: App, definition: Mapping[str, Any], task_id: str | None, address: str | None = None) -> Task:
    """Create a task, after checking its definition against the API's schema, and return it."""
    from taskcluster.slugs import slugId

    found = task_id or slugId()
    queue = app.client("Queue", address).with_options(validate=True)
    queue.createTask(found, dict(definition))
    app.remember("task", [found])
    app.notes.say(f"{app.deployment(address).root_url}/tasks/{found}")
    return Task(found, None, address)


def retriggered(definition: Mapping[str, Any], *, exact: bool) -> dict[str, Any]:
    """Return the definition of a task like another one, with its dates moved to now.

    Args:
        definition: The other task's.
        exact: Whether to keep its routes and dependencies.
    """
    from taskcluster.helper import resubmittable

    made: dict[str, Any] = dict(resubmittable(definition))
    if not exact:
        # A route would let the index point to the new task; a dependency may have failed or expired.
        made.pop("routes", None)
        made.pop("dependencies", None)
    # The queue refuses both names of the task queue at once if they differ.
    if "taskQueueId" in made:
        made.pop("provisionerId", None)
        made.pop("workerType", None)
    return made


def to_yaml(document: Any) -> str:
    """Return a document as YAML, in the order of its keys."""
    import yaml

    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text
