"""Find the URLs of indexed tasks' artifacts, for findArtifactFromTask."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from taskcluster.hawk import Signer

from ...api import InvokeBy
from ...authentication import ANONYMOUS, Client, Directory, Identity
from ...errors import ApiError

__all__ = ["IndexedArtifacts"]

_URL_HOLDS = timedelta(minutes=15)


class IndexedArtifacts:
    """The artifacts of the queue, as the index redirects to them.

    Args:
        invoke: Calls methods of the queue.
        directory: Expands the role `anonymous`.
        client: The client that signs URLs.
        root_url: The root URL of the deployment.
    """

    def __init__(self, invoke: InvokeBy, directory: Directory, client: Client, root_url: str) -> None:
        self._invoke = invoke
        self._directory = directory
        self._signer = Signer(client.clientId, client.accessToken.encode(), "")
        self._root_url = root_url

    async def url(self, taskId: str, name: str, now: datetime) -> str:
        """Return the URL of an artifact of a task's latest run: its data if it is public, else the queue's method.

        Unless the artifact is public, the URL is signed for 15 minutes.
        """
        everyone = self._directory.expand((ANONYMOUS,))
        identity = Identity("auth-failed:no-auth", (), everyone, now + _URL_HOLDS, has_credentials=False)
        path = f"/api/queue/v1/task/{taskId}/artifacts/{quote(name, safe='')}"
        if not everyone.satisfies(f"queue:get-artifact:{name}"):
            return self._signed(path, now)
        try:
            found: Any = await self._invoke("queue", "latestArtifact", {"taskId": taskId, "name": name}, {}, identity)
        except ApiError as error:
            # The artifact may be a link to one that is not public.
            return self._signed(path, now) if error.code == "InsufficientScopes" else self._root_url + path
        return str(found["url"]) if found["storageType"] in ("s3", "reference") else self._root_url + path

    def _signed(self, path: str, now: datetime) -> str:
        address = urlsplit(self._root_url)
        port = address.port or (443 if address.scheme == "https" else 80)
        until = int((now + _URL_HOLDS).timestamp())
        bewit = self._signer.bewit(path, address.hostname or "", str(port), until)
        return f"{self._root_url}{path}?bewit={bewit}"
