"""Create a task from a definition that someone writes in a form."""

from __future__ import annotations

from typing import Any

from taskcluster.slugs import slugId

from ...api import LARGEST_BODY
from ...errors import ApiError
from ...isolation import isolated
from .. import definitions
from ..page import Outcome, PageRequest, Redirect, Route

__all__ = ["ROUTES", "create", "form"]


async def form(page: PageRequest) -> Outcome:
    """Show the form, with an example or the definition of another task."""
    taskId = page.query.get("taskId")
    if taskId:
        definition = await page.call("queue", "task", {"taskId": taskId})
        return _form(await isolated(definitions.as_text, definition))
    return _form(definitions.first_definition(await _active_queue(page), page.root_url))


async def _active_queue(page: PageRequest) -> str | None:
    """Return the queue with the most recently active worker."""
    found = await page.attempt("queue", "listTaskQueues") or {"taskQueues": ()}
    latest = max(found["taskQueues"], key=lambda each: each["lastDateActive"], default=None)
    return None if latest is None else str(latest["taskQueueId"])


async def create(page: PageRequest) -> Outcome:
    """Create a task and lead to it, or show the form with the errors."""
    text = page.form.get("definition", "").replace("\r\n", "\n")
    definition = None
    try:
        if len(text) > definitions.LONGEST:
            raise ApiError("InputError", f"The definition has more than {definitions.LONGEST} characters.")
        definition = await isolated(definitions.parse, text, page.now)
        taskId = slugId()
        await page.call("queue", "createTask", {"taskId": taskId}, definition)
    except ApiError as error:
        problems = [{"line": None, "message": error.message}] if definition is None else await _problems(text, error)
        return _form(text, problems, error.status)
    return Redirect(f"/tasks/{taskId}")


async def _problems(text: str, error: ApiError) -> list[dict[str, Any]]:
    try:
        return await isolated(definitions.problems, text, error.message)
    except ApiError:
        # Finding the lines takes too long.
        return [{"line": None, "message": error.message}]


def _form(text: str, problems: list[dict[str, Any]] | None = None, status: int = 200) -> dict[str, Any]:
    return {"text": text, "problems": problems or [], "longest": definitions.LONGEST, "status_code": status}


ROUTES = (
    Route("GET", "/tasks/create", form, "create.html", "Create a task"),
    Route("POST", "/tasks/create", create, "create.html", "Create a task", LARGEST_BODY),
)
