"""The async transport, on aiohttp."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import math
import re
import select
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from .. import effects
from ..causes import describe, explain, harmless, safe_cause
from ..decompression import CollectedBody
from ..exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from ..options import DEFAULT_TIMEOUT
from ..shapes import is_mapping
from .deadlines import Deadlines
from .environment import proxy_for, snapshot, trust
from .framing import MAX_INTERIM_RESPONSES, announces_body

__all__ = [
    "AiohttpTransport",
    "ConnectionFailed",
    "ConnectionTimedOut",
    "ServerFailure",
    "broken_response",
    "environment_arguments",
    "idle_connections",
    "own_session",
    "read_some",
    "request_over",
]


# aiohttp's `code` is a deprecated name of `status`; the server's error code goes before it.
class ServerFailure(  # type: ignore[misc]  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]
    TaskclusterRestFailure, aiohttp.ClientResponseError
):
    """A server failure after all retries, which is also aiohttp's error, as with the published client."""

    def __init__(
        self, msg: str | None, superExc: BaseException | None, status_code: int = 500, body: Any = None
    ) -> None:
        super().__init__(msg, superExc, status_code, body)
        self.status = status_code
        self.message = msg or ""
        self.history = ()
        # Handlers read these fields. The request and its URL may be secret.
        headers: Any = {}
        self.headers = headers
        self.request_info = aiohttp.RequestInfo(URL(), "", headers, URL())

    def __str__(self) -> str:
        return TaskclusterRestFailure.__str__(self)

    def __repr__(self) -> str:
        return TaskclusterRestFailure.__repr__(self)


class ConnectionFailed(TaskclusterConnectionError, aiohttp.ClientConnectionError):
    """A failed connection, which is also aiohttp's error."""


class ConnectionTimedOut(TaskclusterConnectionError, asyncio.TimeoutError):
    """A timeout, which is also asyncio's error."""


class _NotReusable(aiohttp.ClientConnectionError):
    """An idle connection must not be reused; nothing was sent over it."""


class _Request(aiohttp.ClientRequest):
    """A request that is not sent over a connection with unread bytes, or one that the server is about to close.

    Unread bytes would be read as the response. aiohttp checks for them when a response ends, but they may arrive later.
    It ignores how long the server keeps idle connections open.
    """

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        protocol = conn.protocol
        if protocol is not None:
            until = _reusable_until.get(protocol)
            if until is not None and (until <= asyncio.get_running_loop().time() or _unread([protocol])):
                conn.close()
                raise _NotReusable("the connection holds unread bytes, or the server is about to close it")
            _reusable_until[protocol] = math.inf
        return await super().send(conn)


_reusable_until: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
"""The used connections of sessions from `own_session`, with a time on their event loop's clock."""
_KEEP_ALIVE_TIMEOUT = re.compile(r"(?i)\btimeout\s*=\s*([0-9]+)").search
_KEEP_ALIVE_MARGIN = 1.0
"""Seconds before the server closes an idle connection. A request sent then might arrive too late."""


def _unread(protocols: list[Any]) -> list[Any]:
    """Return the idle connections with unread bytes, and those that the server closed."""
    found: list[Any] = []
    sockets: dict[int, Any] = {}
    for protocol in protocols:
        if protocol.should_close:
            found.append(protocol)
        elif protocol.transport is not None:
            sockets[protocol.transport.get_extra_info("socket").fileno()] = protocol
    if hasattr(select, "poll"):
        # Only the socket knows what arrived while the event loop was not running.
        poll = select.poll()
        for number in sockets:
            poll.register(number, select.POLLIN)
        found += [sockets[number] for number, _ in poll.poll(0)]
    return found


class _Response(aiohttp.ClientResponse):
    """A response after a limited number of interim responses; nothing may follow it."""

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        protocol: Any = connection.protocol
        read, left = protocol.read, MAX_INTERIM_RESPONSES

        async def counted() -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                message = f"the server sent {MAX_INTERIM_RESPONSES} interim responses and no other"
                raise harmless(aiohttp.ClientConnectionError(message))
            return await read()

        # aiohttp skips any number of interim responses, and each restarts the read timeout.
        protocol.read = counted
        try:
            response = await super().start(connection)
        finally:
            del protocol.read
        if _announces_forbidden_body(self.method, response):
            # If it sends one, that may arrive during the next request.
            protocol.close()
        timeout = _KEEP_ALIVE_TIMEOUT(response.headers.get("Keep-Alive", ""))
        if timeout is not None:
            now = asyncio.get_running_loop().time()
            _reusable_until[protocol] = now + float(timeout[1]) - _KEEP_ALIVE_MARGIN
        return response


def _announces_forbidden_body(method: str, response: aiohttp.ClientResponse) -> bool:
    """Return whether a response that must not have a body announces one."""
    return (response.status in (204, 304) or method == "HEAD") and announces_body(response.headers)


def own_session(**arguments: Any) -> aiohttp.ClientSession:
    """Return a session for a client or a transfer. The arguments are those of aiohttp.ClientSession."""
    arguments.setdefault("cookie_jar", aiohttp.DummyCookieJar())
    arguments |= {"request_class": _Request, "response_class": _Response}
    session = aiohttp.ClientSession(**arguments)
    # aiohttp would resend a request without a response: with the old signature, beyond maxRetries, and unseen by
    # observers. It has no public option for this.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False  # pyright: ignore[reportPrivateUsage]
    return session


async def request_over(
    session: aiohttp.ClientSession, method: str, url: str, **arguments: Any
) -> aiohttp.ClientResponse:
    """Send a request over a session and return the response with its body unread.

    Args:
        session: A session from `own_session`, or the caller's.
        method: The HTTP verb.
        url: Sent byte for byte.
        **arguments: Those of ClientSession.request.

    Raises:
        aiohttp.ClientError: There was no response, or one that switches to another protocol.
        asyncio.TimeoutError: The response took too long.
    """
    while True:
        try:
            requested: Any = session.request(method, URL(url, encoded=True), **arguments)
            # A mock may be either an awaitable or a context manager.
            awaited: Any = requested if inspect.isawaitable(requested) else requested.__aenter__()
            response: aiohttp.ClientResponse = await awaited
        except _NotReusable:
            # Nothing was sent. The loop ends when the session has no idle connections left.
            continue
        if response.status in range(100, 200):
            response.close()
            message = f"the server switches to another protocol (status {response.status}), which was not requested"
            raise harmless(aiohttp.ClientConnectionError(message))
        return response


class AiohttpTransport:
    """Sends over aiohttp sessions.

    Args:
        user_agent: The User-Agent, unless the session's headers have one.
    """

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._known: tuple[Any, dict[str, Any]] | None = None
        self._deadlines: Deadlines | None = None
        self._without_total: tuple[aiohttp.ClientTimeout, aiohttp.ClientTimeout] | None = None
        self.replacement: Callable[..., Awaitable[aiohttp.ClientResponse]] | None = None
        """Called instead of sending, with the verb, the URL, the body as a string, the headers and `session`."""

    async def send(self, session: aiohttp.ClientSession, request: effects.Request, *, given: bool) -> effects.Response:
        """Send a request and return the response with its body.

        Args:
            session: The session to use.
            request: The request.
            given: Whether the session is the caller's. Its timeouts and proxies then apply.

        Raises:
            TaskclusterConnectionError: There was no complete response.
            TaskclusterFailure: The session rejects the request.
        """
        timeout, total = self._timeouts(session, request, given=given)
        if given:
            _close_unread(session)
        failure: TaskclusterFailure
        cause: BaseException | None
        try:
            with nullcontext() if total is None else self._within(total):
                # Not `async with`: it closes the response, and the body could not be read again.
                response = await self._response(session, request, timeout, given=given)
                if given and _announces_forbidden_body(request.method, response):
                    _close_idle(session, URL(request.url))
                body = await _content(response, request.max_response_size)
            return effects.Response(response.status, getattr(response, "headers", {}), body, lambda: response)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            cause = safe_cause(exc)
            failure = _failure(request, exc, cause)
        except ValueError as exc:
            cause = safe_cause(exc)
            failure = TaskclusterFailure(
                f"aiohttp refuses this call over the given session ({describe(exc)}): a session must have no auth of "
                "its own, neither as an argument nor from a netrc file"
            )
        # Outside the blocks, so that `exc` is not its context.
        raise failure from cause

    async def _response(
        self, session: aiohttp.ClientSession, request: effects.Request, timeout: aiohttp.ClientTimeout, *, given: bool
    ) -> aiohttp.ClientResponse:
        if self.replacement is not None:
            text = None if request.body is None else request.body.decode()
            return await self.replacement(request.method.lower(), request.url, text, request.headers, session=session)
        arguments = self._arguments(session, request, timeout, given=given)
        return await request_over(session, request.method, request.url, **arguments)

    async def open(
        self,
        session: aiohttp.ClientSession,
        request: effects.Request,
        body: aiohttp.AsyncIterablePayload | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return the response with its body unread.

        The caller reads its `content` to the end, or closes it.

        Args:
            session: The session to use.
            request: The request.
            body: Replaces the body of the request. The headers must state its length.

        Raises:
            TaskclusterConnectionError: There was no response.
        """
        timeout, _ = self._timeouts(session, request, given=False)
        arguments = self._arguments(session, request, timeout, given=False)
        if body is not None:
            arguments |= {"data": body, "skip_auto_headers": ("Content-Type",)}
        try:
            return await request_over(session, request.method, request.url, **arguments)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            failure = _failure(request, exc, safe_cause(exc))
        raise failure from failure.superExc

    def _arguments(
        self, session: aiohttp.ClientSession, request: effects.Request, timeout: aiohttp.ClientTimeout, *, given: bool
    ) -> dict[str, Any]:
        if "User-Agent" not in _headers(session):
            # Each attempt has new headers.
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
            # aiohttp would declare an empty body an octet-stream, which the payload hash contradicts.
            arguments["skip_auto_headers"] = ("Content-Type",)
        return arguments

    def _timeouts(
        self, session: aiohttp.ClientSession, request: effects.Request, *, given: bool
    ) -> tuple[aiohttp.ClientTimeout, float | None]:
        """Return the timeouts that aiohttp enforces, and a total that this class enforces at a lower cost."""
        if request.timeout is not None or not given:
            return _client_timeout(*(request.timeout or DEFAULT_TIMEOUT)), None
        timeout = getattr(session, "timeout", None)
        if not isinstance(timeout, aiohttp.ClientTimeout):
            # A mock has none.
            return _client_timeout(*DEFAULT_TIMEOUT), None
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
        # aiohttp's trust_env does this in a thread for each request, and lets netrc replace the Authorization header.
        key = (snapshot(url), url[: url.find("/", 8)])
        if self._known is None or self._known[0] != key:
            self._known = (key, environment_arguments(url))
        return self._known[1]


async def read_some(response: aiohttp.ClientResponse, size: int) -> bytes:
    """Return at most `size` bytes of a response body, as soon as there are any, and none at the end.

    Raises:
        TaskclusterConnectionError: The connection broke before the end, or was idle for too long.
    """
    try:
        return await response.content.read(size)
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
        failure = broken_response(exc, response)
    # Outside the block, so that the library's exception is not its context.
    raise failure from failure.superExc


def broken_response(
    exc: BaseException, response: aiohttp.ClientResponse | None = None
) -> ConnectionFailed | ConnectionTimedOut:
    """Return the exception for a response that broke off or was idle for too long."""
    is_timeout = isinstance(exc, asyncio.TimeoutError)
    kind, what = (ConnectionTimedOut, "timed out") if is_timeout else (ConnectionFailed, "broke off")
    where = "" if response is None else f"{response.method} at {response.url.origin()}: "
    return kind(explain(f"{where}the response {what}", exc), safe_cause(exc))


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


def _close_unread(session: aiohttp.ClientSession) -> None:
    """Close the idle connections of a caller's session that have unread bytes; see `_Request`."""
    idle = [protocol for connections in idle_connections(session).values() for protocol, _ in connections]
    for protocol in _unread(idle):
        protocol.close()


def _close_idle(session: aiohttp.ClientSession, url: URL) -> None:
    """Close the idle connections of a caller's session to the server of a URL; see `_Response`."""
    for key, connections in idle_connections(session).items():
        if (key.host, key.port) == (url.raw_host, url.port):
            for protocol, _ in connections:
                protocol.close()


def _headers(session: aiohttp.ClientSession) -> Mapping[str, Any]:
    # A mock may have none.
    found: Any = getattr(session, "headers", None)
    return found if is_mapping(found) else {}


def idle_connections(session: aiohttp.ClientSession) -> dict[Any, Any]:
    """Return the idle connections of a session, by the key of their server."""
    # aiohttp has no public name for them. A mock has none.
    found: Any = getattr(getattr(session, "connector", None), "_conns", None)
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


class _Collecting:
    """The content of a response. `read` decompresses it and raises if it exceeds a limit."""

    def __init__(self, content: aiohttp.StreamReader, body: CollectedBody) -> None:
        self._content = content
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self, n: int = -1) -> bytes:
        try:
            while data := await self._content.readany():
                self._body.add(data)
        except zlib.error as exc:
            raise harmless(aiohttp.ClientPayloadError(f"the body is not encoded as its headers state: {exc}")) from exc
        return self._body.content()


async def _content(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the decompressed body of a response, which can be read again.

    Raises:
        TaskclusterFailure: The body exceeds the limit.
    """
    content: Any = getattr(response, "content", None)
    if not isinstance(content, aiohttp.StreamReader):
        # A mock. Its only body may be what `json` returns.
        body: Any = await response.read() if hasattr(response, "read") else None
        return body if isinstance(body, bytes) else json.dumps(await response.json()).encode()
    encoding, length = response.headers.get("Content-Encoding", ""), response.content_length
    if not encoding and length is not None and length <= limit:
        return await _read(response)
    # aiohttp decodes a single encoding, and does not know the old name of gzip.
    is_ours = "," in encoding or encoding.strip().lower() == "x-gzip"
    collecting: Any = _Collecting(content, CollectedBody(encoding if is_ours else "", limit))
    response.content = collecting
    try:
        return await _read(response)
    finally:
        response.content = content


async def _read(response: aiohttp.ClientResponse) -> bytes:
    connection = response.connection
    protocol = None if connection is None else connection.protocol
    body = await response.read()
    if protocol is not None and protocol.should_close:
        # More bytes arrived with the end of the body. aiohttp has already returned the connection to the pool.
        protocol.close()
    return body


@lru_cache(maxsize=16)
def _client_timeout(connect: float, read: float) -> aiohttp.ClientTimeout:
    # No limit on the wait for a free connection: a thousand concurrent calls share a hundred connections.
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


def _body(body: bytes | None) -> bytes | io.BytesIO | None:
    # aiohttp warns about bodies above 1 MiB. It yields to the event loop between the chunks of a file.
    return io.BytesIO(body) if body is not None and len(body) > 2**20 else body


def _failure(
    request: effects.Request, exc: BaseException, cause: BaseException
) -> ConnectionFailed | ConnectionTimedOut:
    is_late = isinstance(exc, asyncio.TimeoutError)
    kind, what = (ConnectionTimedOut, "timed out") if is_late else (ConnectionFailed, "failed")
    return kind(explain(f"{request.described()} {what} without a response", exc), cause)
