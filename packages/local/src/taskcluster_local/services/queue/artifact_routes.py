"""The methods of the queue service for artifacts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ...api import Handler, HandlerCall, Reply
from ...authentication import Client
from ...errors import ApiError
from ...pages import Listing, Page
from ...timestamps import from_wire, later, to_wire
from .artifacts import Artifact, Artifacts, artifact_of, run_number
from .credentials import for_download, for_upload
from .state import Queue
from .task import Task

__all__ = ["handlers"]

_S3_UPLOAD_HOLDS = timedelta(minutes=45)
_OBJECT_UPLOAD_HOLDS = timedelta(hours=24)


def handlers(queue: Queue, artifacts: Artifacts, issuer: Client) -> dict[str, Handler]:
    """Return the handlers, by method.

    Args:
        queue: The tasks.
        artifacts: Their artifacts.
        issuer: The client that issues credentials for artifacts.
    """

    async def createArtifact(call: HandlerCall) -> dict[str, Any]:
        params, now = call.params, call.now
        artifact = artifacts.create(params["taskId"], params["runId"], params["name"], call.payload, now)
        kind = artifact.storageType
        if kind == "s3":
            until = later(now, _S3_UPLOAD_HOLDS)
            put_url = artifacts.put_url(artifact, until)
            return {
                "storageType": kind,
                "contentType": artifact.contentType,
                "expires": to_wire(until),
                "putUrl": put_url,
            }
        if kind == "object":
            run = queue.task(artifact.taskId).runs[artifact.runId]
            until = min(later(now, _OBJECT_UPLOAD_HOLDS), from_wire(artifact.expires))
            return {
                "storageType": kind,
                **{name: artifact.details[name] for name in ("name", "projectId", "uploadId")},
                "expires": to_wire(until),
                "credentials": for_upload(issuer, artifact, (run["workerGroup"], run["workerId"]), call.begun, until),
            }
        return {"storageType": kind}

    async def finishArtifact(call: HandlerCall) -> Reply:
        params = call.params
        artifacts.finish(params["taskId"], params["runId"], params["name"], call.payload["uploadId"])
        return Reply(204)

    def readable(call: HandlerCall, runId: int) -> Artifact:
        chain = artifacts.follow(call.params["taskId"], runId, call.params["name"], call.now)
        call.authorize(names=chain.names)
        return chain.end()

    def location(artifact: Artifact, call: HandlerCall) -> Reply:
        kind = artifact.storageType
        headers = {"x-taskcluster-artifact-storage-type": kind}
        if kind == "error":
            return Reply(424, {name: artifact.details[name] for name in ("reason", "message")}, headers)
        url = artifacts.url(artifact, call.now)
        return Reply(303, {"storageType": kind, "url": url}, {**headers, "location": url})

    async def getArtifact(call: HandlerCall) -> Reply:
        return location(readable(call, run_number(call.params["runId"])), call)

    async def getLatestArtifact(call: HandlerCall) -> Reply:
        task = queue.find(call.params["taskId"])
        if task is None or not task.runs:
            call.authorize(names=[call.params["name"]])
        return location(readable(call, _latest(task)), call)

    def content(artifact: Artifact, call: HandlerCall) -> dict[str, Any]:
        kind = artifact.storageType
        if kind == "error":
            return {"storageType": kind, **{name: artifact.details[name] for name in ("reason", "message")}}
        if kind == "object":
            credentials = for_download(issuer, artifact, call.begun, call.now)
            return {"storageType": kind, "name": artifact.details["name"], "credentials": credentials}
        return {"storageType": kind, "url": artifacts.url(artifact, call.now)}

    async def artifact(call: HandlerCall) -> dict[str, Any]:
        return content(readable(call, run_number(call.params["runId"])), call)

    async def latestArtifact(call: HandlerCall) -> dict[str, Any]:
        return content(readable(call, _latest(queue.find(call.params["taskId"]))), call)

    def info(call: HandlerCall, runId: int) -> dict[str, Any]:
        found = artifacts.find(call.params["taskId"], runId, call.params["name"])
        if found is None or not found.present:
            raise ApiError("ResourceNotFound", "Artifact not found")
        return found.info()

    async def artifactInfo(call: HandlerCall) -> dict[str, Any]:
        return info(call, run_number(call.params["runId"]))

    async def latestArtifactInfo(call: HandlerCall) -> dict[str, Any]:
        return info(call, _latest(queue.find(call.params["taskId"])))

    def listed(found: Listing) -> dict[str, Any]:
        return found.body("artifacts", lambda row: artifact_of(row).info())

    async def listArtifacts(call: HandlerCall) -> dict[str, Any]:
        taskId, runId = call.params["taskId"], run_number(call.params["runId"])
        task = queue.find(taskId)
        if task is None:
            raise ApiError("ResourceNotFound", "Task not found")
        if runId >= len(task.runs):
            raise ApiError("ResourceNotFound", f"Task with taskId: `{taskId}` has no run with runId: {runId}")
        return listed(artifacts.of_run(taskId, runId, Page.of(call.query)))

    async def listLatestArtifacts(call: HandlerCall) -> dict[str, Any]:
        taskId = call.params["taskId"]
        return listed(artifacts.of_run(taskId, _latest(queue.find(taskId)), Page.of(call.query)))

    return {
        "createArtifact": createArtifact,
        "finishArtifact": finishArtifact,
        "getArtifact": getArtifact,
        "getLatestArtifact": getLatestArtifact,
        "artifact": artifact,
        "latestArtifact": latestArtifact,
        "artifactInfo": artifactInfo,
        "latestArtifactInfo": latestArtifactInfo,
        "listArtifacts": listArtifacts,
        "listLatestArtifacts": listLatestArtifacts,
    }


def _latest(task: Task | None) -> int:
    """Return the number of the latest run; earlier runs are ignored."""
    if task is None:
        raise ApiError("ResourceNotFound", "Task not found")
    if not task.runs:
        raise ApiError("ResourceNotFound", "Task doesn't have any runs")
    return len(task.runs) - 1
