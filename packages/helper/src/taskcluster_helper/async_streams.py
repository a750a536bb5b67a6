"""A body read as it comes, over aiohttp: no authentication, redirects followed."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp

from taskcluster.causes import describe, safe_cause
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
        response = self._response = await self._get(url, silence, user_agent)
        if not 200 <= response.status < 300:
            raise TaskclusterRestFailure(
                f"GET at {self._host} failed with status {response.status}", None, status_code=response.status
            )

    async def _get(self, url: str, silence: float, user_agent: str) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=DEFAULT_TIMEOUT[0], sock_read=silence)
        try:
            self._host = urlsplit(url).hostname
            return await request_over(
                self._session,
                "GET",
                url,
                headers={"User-Agent": user_agent},
                timeout=timeout,
                **environment_arguments(url),
            )
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as exc:
            failure = self._broken(exc)
        # Outside the block, for else `exc`, which holds the URL, were its context.
        raise failure from failure.superExc

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
            failure = self._broken(exc)
        raise failure from failure.superExc

    async def close(self) -> None:
        """Close the connection."""
        self._drop()
        await self._session.close()

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def _broken(self, exc: Exception) -> TaskclusterConnectionError:
        kind = ConnectionTimedOut if isinstance(exc, asyncio.TimeoutError) else ConnectionFailed
        return kind(f"GET at {self._host} broke off: {describe(exc)}", safe_cause(exc))
