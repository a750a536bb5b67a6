"""A body read as it comes, over aiohttp: no authentication, redirects followed."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp

from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterRestFailure
from taskcluster.options import DEFAULT_TIMEOUT
from taskcluster.transport.aiohttp import (
    ConnectionFailed,
    ConnectionTimedOut,
    environment_arguments,
    own_session,
    request_over,
)

__all__ = ["AsyncStream"]


class AsyncStream:
    """One answer at a time."""

    def __init__(self) -> None:
        self._session = own_session(
            # The target of a redirect may be signed, byte for byte.
            requote_redirect_url=False,
        )
        self._response: aiohttp.ClientResponse | None = None
        self._host: str | None = None

    async def open(self, url: str, silence: float, user_agent: str) -> None:
        """GET a URL, in place of what was open before.

        Raises:
            TaskclusterConnectionError: There was no answer.
            TaskclusterRestFailure: The answer is a failure.
        """
        self._drop()
        self._host = urlsplit(url).hostname
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=DEFAULT_TIMEOUT[0], sock_read=silence)
        try:
            response = self._response = await request_over(
                self._session,
                "GET",
                url,
                headers={"User-Agent": user_agent},
                timeout=timeout,
                **environment_arguments(url),
            )
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as exc:
            raise self._broken(exc) from None
        if not 200 <= response.status < 300:
            raise TaskclusterRestFailure(
                f"GET at {self._host} failed with status {response.status}", None, status_code=response.status
            )

    async def read(self) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            TaskclusterConnectionError: The connection broke before the end, or was silent for too long.
        """
        if self._response is None:
            return b""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            raise self._broken(exc) from None

    async def close(self) -> None:
        """Close the connection."""
        self._drop()
        await self._session.close()

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def _broken(self, exc: Exception) -> TaskclusterConnectionError:
        # Not chained and not quoted: the text of aiohttp's exceptions holds the URL, which may be a signed one.
        kind = ConnectionTimedOut if isinstance(exc, asyncio.TimeoutError) else ConnectionFailed
        return kind(f"GET at {self._host} broke off: {type(exc).__name__}", None)
