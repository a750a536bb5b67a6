"""Render a hook's template to a task definition, with defaults."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ... import templates
from ...encoding import is_object
from ...errors import ApiError
from ...timestamps import from_wire, later, to_wire

__all__ = ["render"]

_DEADLINE = timedelta(days=1)
_EXPIRES = timedelta(days=30)


def render(template: dict[str, Any], context: dict[str, Any], taskId: str, now: datetime) -> dict[str, Any] | None:
    """Return the definition of the task for a firing, or None if the template renders to nothing.

    Args:
        template: The template of the hook.
        context: The values that the template may refer to, besides `taskId` and `now`.
        taskId: The taskId of the task.
        now: The deployment's time.

    Raises:
        ApiError: The template cannot be rendered, or the result is not a task (InputError).
    """
    try:
        task = templates.render(template, {**context, "taskId": taskId, "now": to_wire(now)})
    except templates.TemplateError as error:
        raise ApiError("InputError", f"While firing hook:\n\n{error}") from None
    if task is None:
        return None
    if not is_object(task):
        raise ApiError("InputError", f"While firing hook:\n\nthe template must render to an object, not {task!s:.80}")
    created = _date(task.get("created"), now)
    return {
        "taskGroupId": taskId,
        "created": to_wire(now),
        "deadline": to_wire(later(created, _DEADLINE)),
        "expires": to_wire(later(created, _EXPIRES)),
        **task,
    }


def _date(given: Any, otherwise: datetime) -> datetime:
    try:
        return from_wire(given) if isinstance(given, str) else otherwise
    except ValueError:
        return otherwise
