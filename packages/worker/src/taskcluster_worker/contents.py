"""Get what a payload refers to: artifacts of tasks, data at URLs, and strings in the payload."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import aiohttp

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.retries import Policy, retry_after, retryable
from taskcluster_objects.aio.download import downloadArtifactToPath

from .resolution import TaskFailed
from .task import ArtifactContent, Base64Content, Content, IndexedContent, RawContent, UrlContent

__all__ = ["Contents", "described"]

_CHUNK = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=30, sock_read=60)


def described(content: Content) -> str:
    """Return a name of contents for the log."""
    if isinstance(content, ArtifactContent):
        return f"artifact {content.artifact} of task {content.taskId}"
    if isinstance(content, IndexedContent):
        return f"artifact {content.artifact} of the task indexed as {content.namespace}"
    if isinstance(content, UrlContent):
        return content.url
    return "the contents in the payload"


class Contents:
    """Gets contents with the scopes of a task.

    Args:
        queue: A client of the queue.
        index: A client of the index.
        session: For URLs.
    """

    def __init__(self, queue: Any, index: Any, session: aiohttp.ClientSession) -> None:
        self._queue = queue
        self._index = index
        self._session = session

    async def get(self, content: Content, path: Path) -> None:
        """Write contents to a path, and check their hash.

        Raises:
            TaskFailed: They cannot be had, or have another hash.
        """
        try:
            if isinstance(content, RawContent):
                path.write_bytes(content.raw.encode("utf-8", "surrogatepass"))
            elif isinstance(content, Base64Content):
                path.write_bytes(b64decode(content.base64))
            elif isinstance(content, UrlContent):
                await self._get_url(content.url, path)
            else:
                await self._get_artifact(content, path)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise TaskFailed(f"cannot get {described(content)}: not a valid http or https URL") from error
        except (TaskclusterFailure, OSError, aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise TaskFailed(f"cannot get {described(content)}: {_message(error)}") from error
        expected = getattr(content, "sha256", None)
        if expected is not None:
            found = await asyncio.to_thread(_sha256, path)
            if found != expected:
                raise TaskFailed(f"{described(content)} has the sha256 {found}, and the payload expects {expected}")

    async def _get_artifact(self, content: ArtifactContent | IndexedContent, path: Path) -> None:
        taskId = content.taskId if isinstance(content, ArtifactContent) else None
        if isinstance(content, IndexedContent):
            # At each use: the index moves on.
            taskId = (await self._index.findTask(content.namespace))["taskId"]
        assert taskId is not None
        await downloadArtifactToPath(path, taskId=taskId, name=content.artifact, queueService=self._queue)

    async def _get_url(self, url: str, path: Path) -> None:
        policy, retry = Policy(), 0
        while True:
            try:
                failed = await self._try_url(url, path)
                if failed is None:
                    return
                problem, requested = failed
            except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, asyncio.TimeoutError) as error:
                problem, requested = _message(error), None
            retry += 1
            pause = policy.delay(retry, random.random(), requested)
            if pause is None:
                raise TaskFailed(f"cannot get {url}: {problem}")
            await asyncio.sleep(pause)

    async def _try_url(self, url: str, path: Path) -> tuple[str, float | None] | None:
        """Return None if it has been written to the path, else the error and when to retry."""
        async with self._session.get(url, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}) as response:
            if response.status >= 400:
                error = f"the server responded with status {response.status}"
                if not retryable(response.status):
                    raise TaskFailed(f"cannot get {url}: {error}")
                return error, retry_after(response.status, response.headers, time.time())
            with path.open("wb") as file:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    file.write(chunk)
        return None


def _message(error: Exception) -> str:
    # A timeout has no message.
    return str(error) or type(error).__name__


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()
