"""Async clients: sessions, and what a call's effects do in async code. The rest is shared with sync clients."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .. import exceptions, utils
from ..client import BaseClient, ServiceClient, config, make_class
from ..client import _defaultConfig as _defaultConfig  # pyright: ignore[reportPrivateUsage]
from ..credentials import createTemporaryCredentials
from ..effects import Request
from ..pages import continuation, items_of, with_continuation
from ..runner import run_async
from .performer import perform

if TYPE_CHECKING:
    import aiohttp
    from typing_extensions import Self

    from ..call import Effect, Procedure
    from ..transport.aiohttp import AiohttpTransport

__all__ = [
    "AsyncBaseClient",
    "BaseClient",
    "config",
    "createApiClient",
    "createSession",
    "createTemporaryCredentials",
    "exceptions",
    "log",
    "utils",
]

log = logging.getLogger(__name__)

T = TypeVar("T")


class _SharedSession:
    """The session that the running calls of a bare client share on one event loop; the last one closes it."""

    def __init__(self) -> None:
        self.session: aiohttp.ClientSession | None = None
        self.users = 0


class AsyncBaseClient(ServiceClient):
    """The base of every service's async class.

    Uses the given session; or one of its own, kept from `async with` to its end; or, bare, one that lasts while calls
    are running and leaves nothing open behind them, on whichever event loop they run.
    """

    _foreign_library = "requests"
    _foreign_session = "Session"
    _session_hint = "pass an aiohttp.ClientSession, or use the class of the same name in taskcluster"
    _send = "request"
    _sender_modules = ("taskcluster.aio.asyncutils", "taskcluster.aio.asyncutils")
    _uses_any_passed = True
    _transport: AiohttpTransport | None = None
    _shared: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _SharedSession] | None = None

    async def __aenter__(self) -> Self:
        if self.session is None:
            from ..transport.aiohttp import own_session

            self._made_session = own_session()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session of `async with`; one that the caller gave stays open. The client stays usable."""
        entered, self._made_session = self._made_session, None
        if entered is not None:
            await entered.close()

    def _own_session(self) -> Any:
        return self._made_session

    async def paginate(self, method: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> AsyncIterator[T]:
        """Yield the pages of a listing, each fetched when it is asked for.

        Args:
            method: The method that lists, such as `queue.listTaskGroup`.
            *args: As the method takes them.
            **kwargs: As the method takes them.
        """
        token: str | None = None
        while True:
            page = await method(*args, **with_continuation(kwargs, token))
            yield page
            token = continuation(page)
            if token is None:
                return

    async def paginate_items(
        self, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Yield the items of a listing, such as the tasks of a task group; arguments as for `paginate`."""
        async for page in self.paginate(method, *args, **kwargs):
            for item in items_of(page):
                yield item

    def _server_failure(self) -> type[exceptions.TaskclusterRestFailure]:
        from ..transport.aiohttp import ServerFailure

        return ServerFailure

    def _call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
        transport = self._transport
        if transport is None:
            from ..transport.aiohttp import AiohttpTransport

            transport = self._transport = AiohttpTransport(self._user_agent())
        transport.replacement = self._replaced_sender()
        procedure = self._procedure(name, args, kwargs)
        given = self._given_session()
        session = self._made_session if given is None else given
        if session is None:
            return self._drive_shared(procedure, transport)
        return _drive(procedure, transport, session, given=given is not None)

    async def _drive_shared(self, procedure: Procedure, transport: AiohttpTransport) -> Any:
        if self._shared is None:
            self._shared = weakref.WeakKeyDictionary()
        shared = self._shared.setdefault(asyncio.get_running_loop(), _SharedSession())
        if shared.session is None:
            from ..transport.aiohttp import own_session

            shared.session = own_session()
        shared.users += 1
        try:
            return await _drive(procedure, transport, shared.session, given=False)
        finally:
            shared.users -= 1
            if shared.users == 0:
                last, shared.session = shared.session, None
                await last.close()


async def _drive(
    procedure: Procedure, transport: AiohttpTransport, session: aiohttp.ClientSession, *, given: bool
) -> Any:
    def perform_over(effect: Effect) -> Awaitable[Any]:
        return transport.send(session, effect, given=given) if isinstance(effect, Request) else perform(effect)

    return await run_async(procedure, perform_over)


def createSession(*args: Any, **kwargs: Any) -> aiohttp.ClientSession:
    """Return a new aiohttp.ClientSession, for the argument `session` of clients that are to share connections.

    Takes what aiohttp.ClientSession takes, such as `connector` and `timeout`. Needs a running event loop.
    """
    import aiohttp

    return aiohttp.ClientSession(*args, **kwargs)


def createApiClient(name: str, api: Mapping[str, Any]) -> type[AsyncBaseClient]:
    """Return an async client class made of an API reference at run time; as `taskcluster.client.createApiClient`."""
    return make_class(name, api, AsyncBaseClient)
