"""Plain HTTP requests in async code, without Taskcluster's authentication, and help to call sync code from async code.

Programs find them in `taskcluster.aio.asyncutils`. `taskcluster.utils` has the sync functions.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .. import exceptions, plain_http, utils
from ..causes import safe_cause
from ..retries import MAX_RETRIES
from ..retrying import send_again
from ..runner import run_async
from .asyncclient import createSession
from .performer import perform

if TYPE_CHECKING:
    import aiohttp

__all__ = [
    "createSession",
    "ensureCoro",
    "exceptions",
    "log",
    "makeHttpRequest",
    "makeSingleHttpRequest",
    "putFile",
    "runAsync",
    "utils",
]


def __dir__() -> list[str]:
    return __all__


T = TypeVar("T")

log = logging.getLogger(__name__)


async def makeSingleHttpRequest(
    method: str,
    url: str,
    payload: Any,
    headers: Mapping[str, str] | None,
    session: aiohttp.ClientSession | None = None,
) -> aiohttp.ClientResponse:
    """Send one request, follow no redirect, and return the response with its body read, whatever its status.

    Args:
        method: The HTTP verb.
        url: The address, sent unchanged.
        payload: The body, as aiohttp takes it in `data`.
        headers: The headers, or None.
        session: A session to send over.

    Raises:
        aiohttp.ClientError: There was no response. It holds neither the request nor its URL, which may be signed.
        TimeoutError: The response took too long.
    """
    if session is None:
        async with createSession() as own:
            return await makeSingleHttpRequest(method, url, payload, headers, own)
    import aiohttp
    import yarl

    failure: BaseException
    try:
        response = await session.request(
            method.upper(), yarl.URL(url, encoded=True), data=payload, headers=headers, allow_redirects=False
        )
        await response.read()
        return response
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as exc:
        failure, is_of_aiohttp = safe_cause(exc), isinstance(exc, aiohttp.ClientError)
    if is_of_aiohttp and not isinstance(failure, aiohttp.ClientError):
        # Its class cannot be made without the request.
        failure = aiohttp.ClientError(str(failure))
    # Outside the block, for else the exception with the URL were its context.
    raise failure


async def makeHttpRequest(
    method: str,
    url: str,
    payload: Any,
    headers: Mapping[str, str] | None,
    retries: int = MAX_RETRIES,
    session: aiohttp.ClientSession | None = None,
) -> aiohttp.ClientResponse:
    """Send a request, and retry it after connection and server errors; arguments as for `makeSingleHttpRequest`.

    Returns:
        The last response, whatever its status.

    Raises:
        aiohttp.ClientError: There was no response to the last attempt.
        TimeoutError: The response to the last attempt took too long.
    """
    import aiohttp

    send = functools.partial(makeSingleHttpRequest, method, url, payload, headers, session)
    errors = (aiohttp.ClientError, asyncio.TimeoutError)
    return await run_async(
        send_again(send, attrgetter("status"), errors, retries, plain_http.calculateSleepTime), perform
    )


async def putFile(
    filename: str, url: str, contentType: str, session: aiohttp.ClientSession | None = None
) -> aiohttp.ClientResponse:
    """PUT a file's bytes to a URL, with retries.

    Args:
        filename: The file's path.
        url: The URL.
        contentType: Its media type.
        session: A session to send over.
    """
    with open(filename, "rb") as file:
        headers = {"Content-Length": str(os.fstat(file.fileno()).st_size), "Content-Type": contentType}
        # Read first: aiohttp closes a file that it has sent, and then there is none to retry with.
        return await makeHttpRequest("put", url, await asyncio.to_thread(file.read), headers, session=session)


def ensureCoro(func: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a coroutine function: `func` itself if it is one, or one that calls it."""
    if inspect.iscoroutinefunction(func):
        return func

    @functools.wraps(func)
    async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return coroutine_function


def runAsync(coro: Awaitable[T]) -> T:
    """Run a coroutine in a new event loop, and return its result.

    Raises:
        RuntimeError: An event loop runs in this thread.
    """
    return asyncio.run(cast("Coroutine[Any, Any, T]", coro))
