"""The artifacts of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import ApiError
from ..listing import TableRows, table_rows
from ..page import Outcome, PageRequest, Route

__all__ = ["ROUTES", "artifacts", "log_name", "of_run", "run_of"]

_LOGS = ("public/logs/live.log", "public/logs/live_backing.log")
"""Where workers put logs."""
_TOKEN = "artifacts"
"""The parameter in the query of a page that has the continuation token."""


def log_name(artifacts: Sequence[dict[str, Any]]) -> str | None:
    """Return the name of the artifact that is the log of a run, if there is one."""
    return next((each["name"] for each in sorted(artifacts, key=_logs_first) if _is_log(each)), None)


def _is_log(artifact: dict[str, Any]) -> bool:
    return str(artifact["name"]).endswith(".log") and artifact["storageType"] != "error"


def _logs_first(artifact: dict[str, Any]) -> tuple[bool, bool, str]:
    # The live log leads to the complete one when the task has ended.
    return not _is_log(artifact), not str(artifact["name"]).endswith("/live.log"), artifact["name"]


def run_of(page: PageRequest, runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the run in a page's path, by default the latest; None if there are no runs.

    Raises:
        ApiError: There is no such run (ResourceNotFound).
    """
    wanted = page.params.get("runId")
    if wanted is None:
        return runs[-1] if runs else None
    if not wanted.isdecimal() or not wanted.isascii() or len(wanted) > 9 or int(wanted) >= len(runs):
        raise ApiError("ResourceNotFound", f"This task has no run {wanted}.")
    return runs[int(wanted)]


async def of_run(page: PageRequest, taskId: str, runId: int) -> TableRows:
    """Return a part of the artifacts of a run, logs first, with the reasons of errors.

    The first part has the logs of workers, even if their names come later.
    """
    named = {"taskId": taskId, "runId": str(runId)}
    found = await table_rows(page, "queue", "listArtifacts", "artifacts", named, token=_TOKEN)
    if found.rows is None:
        return found
    artifacts: list[dict[str, Any]] = list(found.rows)
    if found.next and _TOKEN not in page.query:
        known = {each["name"] for each in artifacts}
        for name in _LOGS:
            log = None if name in known else await page.attempt("queue", "artifactInfo", {**named, "name": name})
            artifacts += [] if log is None else [log]
    for each in artifacts:
        if each["storageType"] == "error":
            reason = await page.attempt("queue", "artifact", {**named, "name": each["name"]})
            each["problem"] = "" if reason is None else f"{reason['reason']}: {reason['message']}"
    return TableRows(sorted(artifacts, key=_logs_first), found.next)


async def artifacts(page: PageRequest) -> Outcome:
    """Show all artifacts of a run, in parts."""
    taskId = page.params["taskId"]
    status = (await page.call("queue", "status", {"taskId": taskId}))["status"]
    run = run_of(page, status["runs"])
    assert run is not None
    definition = await page.attempt("queue", "task", {"taskId": taskId})
    name = definition["metadata"]["name"] if definition else taskId
    return {
        "title": f"Artifacts of {name}",
        "name": name,
        "taskId": taskId,
        "runId": run["runId"],
        "artifacts": await of_run(page, taskId, run["runId"]),
    }


ROUTES = (Route("GET", "/tasks/<taskId>/artifacts/<runId>", artifacts, "artifacts.html", "Artifacts"),)
