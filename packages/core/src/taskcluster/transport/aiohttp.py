"""The async transport, on aiohttp."""

from __future__ import annotations

import asyncio
import io
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import aiohttp
from yarl import URL

from .. import messages
from ..exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from ..options import DEFAULT_TIMEOUT
from .deadlines import Deadlines
from .environment import proxy_for, snapshot, trust

__all__ = [
    "AiohttpTransport",
    "ConnectionFailed",
    "ConnectionTimedOut",
    "ServerFailure",
    "environment_arguments",
    "own_session",
]


# aiohttp's `code` is a deprecated name of `status`; the server's error code goes before it.
class ServerFailure(  # type: ignore[misc]  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]
    TaskclusterRestFailure, aiohttp.ClientResponseError
):
    """A server failure that outlasted all retries, as async code has always caught it: aiohttp's error too."""

    def __init__(
        self, msg: str | None, superExc: BaseException | None, status_code: int = 500, body: Any = None
    ) -> None:
        super().__init__(msg, superExc, status_code, body)
        self.status = status_code
        self.message = msg or ""
        self.headers = None
        self.history = ()
        self.request_info: Any = None

    def __str__(self) -> str:
        return TaskclusterRestFailure.__str__(self)

    def __repr__(self) -> str:
        return TaskclusterRestFailure.__repr__(self)


class ConnectionFailed(TaskclusterConnectionError, aiohttp.ClientError):
    """A failed connection, as aiohttp's error too."""


class ConnectionTimedOut(TaskclusterConnectionError, asyncio.TimeoutError):
    """A time-out, as asyncio's error too."""


def own_session(**arguments: Any) -> aiohttp.ClientSession:
    """Return a session for a client's or a transfer's own requests; takes what aiohttp.ClientSession takes."""
    arguments.setdefault("cookie_jar", aiohttp.DummyCookieJar())
    session = aiohttp.ClientSession(**arguments)
    # aiohttp would send a request that found no answer once more by itself: signed as before, past maxRetries, and seen
    # by no observer. It has no public switch for this.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False  # pyright: ignore[reportPrivateUsage]
    return session


class AiohttpTransport:
    """Sends over aiohttp sessions.

    Args:
        user_agent: Sent unless the session has a User-Agent of its own.
    """

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._known: tuple[Any, dict[str, Any]] | None = None
        self._deadlines: Deadlines | None = None
        self._without_total: tuple[aiohttp.ClientTimeout, aiohttp.ClientTimeout] | None = None

    async def send(
        self, session: aiohttp.ClientSession, request: messages.Request, *, given: bool
    ) -> messages.Response:
        """Do one exchange.

        Args:
            session: The session to use.
            request: What to send.
            given: Whether the session is the caller's, whose time-outs and proxies then hold.

        Raises:
            TaskclusterConnectionError: There was no whole answer.
            TaskclusterFailure: The session refuses the request.
        """
        timeout, total = self._timeouts(session, request, given=given)
        try:
            with nullcontext() if total is None else self._within(total):
                # Not `async with`: at its end the response counts as closed, and its body could not be read again.
                response = await session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    **self._arguments(session, request, timeout, given=given),
                )
                body = await response.read()
            return messages.Response(response.status, response.headers, body, lambda: response)
        except asyncio.TimeoutError as exc:
            raise ConnectionTimedOut(_says(request, "timed out", exc), exc) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise ConnectionFailed(_says(request, "failed", exc), exc) from exc
        except ValueError as exc:
            # A session with an auth of its own, from an argument or netrc: aiohttp allows one only.
            raise TaskclusterFailure(f"aiohttp refuses this call over the given session: {exc}") from exc

    async def open(
        self,
        session: aiohttp.ClientSession,
        request: messages.Request,
        body: aiohttp.AsyncIterablePayload | None = None,
    ) -> aiohttp.ClientResponse:
        """Do one exchange up to the head of the answer, whose `content` the caller reads to its end, or closes.

        Args:
            session: The session to use.
            request: What to send.
            body: Sent in place of the request's own body; the headers then say how long it is.

        Raises:
            TaskclusterConnectionError: There was no answer.
        """
        timeout, _ = self._timeouts(session, request, given=False)
        arguments = self._arguments(session, request, timeout, given=False)
        if body is not None:
            arguments |= {"data": body, "skip_auto_headers": ("Content-Type",)}
        try:
            return await session.request(request.method, URL(request.url, encoded=True), **arguments)
        # Not chained: the text of aiohttp's exceptions holds the URL, which may be a signed one.
        except asyncio.TimeoutError as exc:
            raise ConnectionTimedOut(_says(request, "timed out", exc), None) from None
        except (aiohttp.ClientError, OSError) as exc:
            raise ConnectionFailed(_says(request, "failed", exc), None) from None

    def _arguments(
        self, session: aiohttp.ClientSession, request: messages.Request, timeout: aiohttp.ClientTimeout, *, given: bool
    ) -> dict[str, Any]:
        if "User-Agent" not in session.headers:
            # Every attempt has headers of its own.
            request.headers["User-Agent"] = self._user_agent
        arguments: dict[str, Any] = {
            "headers": request.headers,
            "allow_redirects": False,
            "raise_for_status": False,
            "timeout": timeout,
        }
        if not given:
            arguments |= self._environment(request.url)
        if request.body is not None:
            arguments["data"] = _body(request.body)
        elif request.method != "GET":
            # aiohttp would say that a body which is not there is an octet-stream, against the payload's hash.
            arguments["skip_auto_headers"] = ("Content-Type",)
        return arguments

    def _timeouts(
        self, session: aiohttp.ClientSession, request: messages.Request, *, given: bool
    ) -> tuple[aiohttp.ClientTimeout, float | None]:
        """Return the time-outs for aiohttp to keep, and a total for us to keep, which costs less so."""
        if request.timeout is not None or not given:
            return _client_timeout(*(request.timeout or DEFAULT_TIMEOUT)), None
        timeout = session.timeout
        if not timeout.total:
            return timeout, None
        if self._without_total is None or self._without_total[0] is not timeout:
            others = {
                name: getattr(timeout, name) for name in ("connect", "sock_connect", "sock_read", "ceil_threshold")
            }
            self._without_total = (timeout, aiohttp.ClientTimeout(total=None, **others))
        return self._without_total[1], timeout.total

    def _within(self, seconds: float) -> AbstractContextManager[None]:
        loop = asyncio.get_running_loop()
        if self._deadlines is None or self._deadlines.loop is not loop:
            self._deadlines = Deadlines(loop)
        return self._deadlines.within(seconds)

    def _environment(self, url: str) -> dict[str, Any]:
        # aiohttp's trust_env would do this in a thread on each request, and let netrc replace our Authorization.
        key = (snapshot(url), url[: url.find("/", 8)])
        if self._known is None or self._known[0] != key:
            self._known = (key, environment_arguments(url))
        return self._known[1]


def environment_arguments(url: str) -> dict[str, Any]:
    """Return the arguments of ClientSession.request for the environment's proxy and certificates.

    Raises:
        TaskclusterFailure: The environment names a proxy or certificates that aiohttp cannot use.
    """
    proxy = proxy_for(url)
    if proxy is not None and proxy.startswith("socks"):
        raise TaskclusterFailure(
            "the environment sets a SOCKS proxy, which async code cannot use by itself: set an http:// or https:// "
            "proxy, or pass a session= with a connector for SOCKS proxies (PyPI: aiohttp-socks)"
        )
    context = trust() if "https" in (url[:5].lower(), (proxy or "")[:5]) else None
    return {"proxy": proxy} if context is None else {"proxy": proxy, "ssl": context}


@lru_cache(maxsize=16)
def _client_timeout(connect: float, read: float) -> aiohttp.ClientTimeout:
    # No limit on the wait for a free connection: a thousand gathered calls share a pool of a hundred.
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


def _body(body: bytes | None) -> bytes | io.BytesIO | None:
    # aiohttp warns of more than a mebibyte in one piece, and goes back to the event loop between the pieces of a file.
    return io.BytesIO(body) if body is not None and len(body) > 2**20 else body


def _says(request: messages.Request, what: str, exc: BaseException) -> str:
    root = request.url[: request.url.find("/", 8)]
    # The text of a ClientResponseError holds the whole URL, whose path may hold a token.
    reason = exc.message if isinstance(exc, aiohttp.ClientResponseError) else exc
    return f"{request.method} at {root} {what} without an answer: {type(exc).__name__}: {reason}"
