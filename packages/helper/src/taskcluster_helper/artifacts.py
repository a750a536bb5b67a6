"""The deprecated function that uploads an artifact of the task that the program runs in."""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from taskcluster.causes import explain
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterRestFailure
from taskcluster.plain_http import makeHttpRequest
from taskcluster.timestamps import stringDate

from .dates import present
from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from taskcluster_queue import Queue

__all__ = ["upload_artifact"]


def upload_artifact(
    queue_service: Queue, artifact_path: str, content: str | bytes, content_type: str, ttl: datetime.timedelta
) -> str:
    """Deprecated: upload an artifact of the task that this runs in, and return the path of its URL.

    Use `taskcluster.upload.uploadArtifactFromBuf`, which supports every storage type; this supports s3 only.

    Args:
        queue_service: A `taskcluster.Queue` that calls the task's proxy.
        artifact_path: The artifact's name.
        content: Its content; a string is encoded as UTF-8.
        content_type: Its media type.
        ttl: How long to keep it, from now.

    Raises:
        ConfigurationError: This does not run in a task with a proxy, or an argument is of a wrong type.
        TaskclusterFailure: A call or the upload failed.
    """
    task_id, run_id, proxy = (os.environ.get(name) for name in ("TASK_ID", "RUN_ID", "TASKCLUSTER_PROXY_URL"))
    if not (task_id and run_id and proxy):
        raise ConfigurationError(
            "Can only run in Taskcluster tasks with proxy: TASK_ID, RUN_ID and TASKCLUSTER_PROXY_URL must be set"
        )
    _check("content", content, str, bytes)
    _check("content_type", content_type, str)
    _check("ttl", ttl, datetime.timedelta)
    expires = stringDate(present() + ttl)
    response = queue_service.createArtifact(
        task_id, run_id, artifact_path, {"storageType": "s3", "expires": expires, "contentType": content_type}
    )
    _put(response["putUrl"], content.encode() if isinstance(content, str) else content, content_type)
    return f"/api/queue/v1/task/{task_id}/runs/{run_id}/artifacts/{quote(artifact_path)}"


def _check(name: str, value: object, *kinds: type) -> None:
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigurationError(f"{name} must be {wanted}, not {type(value).__name__}")


def _put(url: str, content: bytes, content_type: str) -> None:
    import requests

    host = urlsplit(url).hostname
    try:
        response: Any = makeHttpRequest("put", url, content, {"Content-Type": content_type})
    except requests.RequestException as exc:
        raise TaskclusterConnectionError(explain(f"PUT at {host} failed", exc), exc) from exc
    if not 200 <= response.status_code < 300:
        raise TaskclusterRestFailure(
            f"PUT at {host} failed with status {response.status_code}", None, status_code=response.status_code
        )
