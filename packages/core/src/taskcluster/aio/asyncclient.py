"""Async clients: their sessions, and how they perform calls. The rest is shared with sync clients."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .. import exceptions, utils
from ..api_response import ApiResponse, with_last
from ..arguments import check_method
from ..client import RESPONSES, BaseClient, ServiceClient, config, make_class
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
    from ..effects import Response
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


def __dir__() -> list[str]:
    return __all__


log = logging.getLogger(__name__)

T = TypeVar("T")


class AsyncBaseClient(ServiceClient):
    """The base of every service's async class.

    Calls use the session that was passed or assigned. Without one, they use the client's own session inside
    `async with`, and outside it the session that all clients share on the running event loop. That one is closed when
    the loop ends.
    """

    _kind = "async client of"
    _foreign_library = "requests"
    _foreign_session = "Session"
    _session_hint = "pass an aiohttp.ClientSession, or use the class of the same name in taskcluster"
    _send = "request"
    _sender_modules = ("taskcluster.aio.asyncutils", "taskcluster.aio.asyncutils")
    _uses_any_passed = True
    _transport: AiohttpTransport | None = None

    async def __aenter__(self) -> Self:
        if self.session is None:
            from ..transport.aiohttp import own_session

            self._made_session = own_session()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session of `async with`, and no other. The client stays usable."""
        entered, self._made_session = self._made_session, None
        if entered is not None:
            await entered.close()

    def _own_session(self) -> Any:
        if self._made_session is None and self._parent is not None:
            return self._parent._own_session()
        return self._made_session

    async def paginate(self, method: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> AsyncIterator[T]:
        """Yield the pages of a listing; each is fetched when it is needed.

        Args:
            method: The method that lists, e.g. `queue.listTaskGroup`.
            *args: The method's arguments.
            **kwargs: The method's keyword arguments.
        """
        check_method("paginate", method)
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
        """Yield the items of a listing, e.g. the tasks of a task group; arguments as for `paginate`."""
        async for page in self.paginate(method, *args, **kwargs):
            for item in items_of(page):
                yield item

    async def get_response(self, method: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> ApiResponse[T]:
        """Call a method and return its result as `value`, with the `status` and `headers` of the last response.

        Args:
            method: The method to call, e.g. `queue.task`.
            *args: The method's arguments.
            **kwargs: The method's keyword arguments.

        Raises:
            TaskclusterFailure: As the method, or the method sent no request.
        """
        check_method("get_response", method)
        responses: list[Response] = []
        before = RESPONSES.set(responses.append)
        try:
            value = await method(*args, **kwargs)
        finally:
            RESPONSES.reset(before)
        return with_last(responses, value)

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
        session = self._own_session() if given is None else given
        if session is None:
            return self._perform_shared(procedure, transport)
        return _perform(procedure, transport, session, given=given is not None)

    async def _perform_shared(self, procedure: Procedure, transport: AiohttpTransport) -> Any:
        from ..transport.loop_session import loop_session

        __tracebackhide__ = True
        async with loop_session() as session:
            return await _perform(procedure, transport, session, given=False)


async def _perform(
    procedure: Procedure, transport: AiohttpTransport, session: aiohttp.ClientSession, *, given: bool
) -> Any:
    def perform_over(effect: Effect) -> Awaitable[Any]:
        return transport.send(session, effect, given=given) if isinstance(effect, Request) else perform(effect)

    __tracebackhide__ = True
    return await run_async(procedure, perform_over)


def createSession(*args: Any, **kwargs: Any) -> aiohttp.ClientSession:
    """Return a new aiohttp.ClientSession, to pass as `session` to clients that share connections.

    Arguments are those of aiohttp.ClientSession, e.g. `connector` and `timeout`. Needs a running event loop.
    """
    import aiohttp

    return aiohttp.ClientSession(*args, **kwargs)


def createApiClient(name: str, api: Mapping[str, Any]) -> type[AsyncBaseClient]:
    """Return an async client class made of an API reference; as `taskcluster.client.createApiClient`."""
    return make_class(name, api, AsyncBaseClient)
