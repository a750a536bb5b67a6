"""The session that calls share, one per event loop, if their client has no other.

It keeps connections between calls. It is closed when its event loop ends, in whichever way that happens:

- `loop.shutdown_asyncgens()` closes it, because an async generator owns it. `asyncio.run` and the runners of anyio and
  pytest-asyncio call that before they close the loop.
- `loop.close()` discards pending callbacks. One of them holds the last reference to the generator.
- At exit, the interpreter closes the sessions of loops that were never closed.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import weakref
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import Any

import aiohttp

from .aiohttp import idle_connections, own_session

__all__ = ["LoopSession", "loop_session"]

_MAX_CONNECTIONS = 100
"""Per server. The limit of aiohttp by default is for all servers together: one that stalls would block the others."""
_DAY = 24 * 60 * 60.0


class LoopSession:
    """An async context manager that each call of an event loop enters; yields the session.

    Args:
        is_kept: Whether the session stays open between calls. If not, the last call to exit closes it.
    """

    def __init__(self, *, is_kept: bool) -> None:
        self.process = os.getpid()
        self._is_kept = is_kept
        self._users = 0
        # Weak: a session refers to its event loop, which is a key of `_sessions`, and must not be kept alive by it.
        self._session: weakref.ref[aiohttp.ClientSession] | None = None

    async def __aenter__(self) -> aiohttp.ClientSession:
        session = self._get()
        if session is None or session.closed:
            session = own_session(connector=aiohttp.connector.TCPConnector(limit=0, limit_per_host=_MAX_CONNECTIONS))
            self._session = weakref.ref(session)
            if self._is_kept:
                loop = asyncio.get_running_loop()
                keeping = self._keep(_Owner(loop, session))
                await anext(keeping)
                _hold(loop, keeping)
        self._users += 1
        return session

    async def __aexit__(self, *exc_info: object) -> None:
        self._users -= 1
        if not self._is_kept:
            await self._close_unused()

    def close_now(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the session, and keep no other from now on; the event loop must not be running."""
        self._is_kept = False
        session = self._get()
        if session is not None:
            _close_now(loop, session)

    async def _keep(self, owner: _Owner) -> AsyncGenerator[None, None]:
        try:
            # Suspended here, the frame holds the owner.
            yield
        finally:
            self._is_kept = False
            if self.process != os.getpid():
                # The selector is the parent's too. Only a closed loop leaves the connection registered there.
                _hold(asyncio.get_running_loop(), owner)
            else:
                # Calls may still run, and others begin: those of other generators that are shut down, for example.
                if self._users:
                    owner.release()
                await self._close_unused()

    async def _close_unused(self) -> None:
        session = self._get()
        if session is not None and not self._users:
            for transport in _idle_transports(session):
                # Closing TLS gracefully takes longer than an event loop that ends has.
                transport.abort()
            await session.close()

    def _get(self) -> aiohttp.ClientSession | None:
        return None if self._session is None else self._session()


class _Owner:
    """Closes a session when nothing refers to this object any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
        self._loop = loop
        self._session: aiohttp.ClientSession | None = session

    def release(self) -> None:
        """Leave the session to the calls that use it."""
        self._session = None

    def __del__(self) -> None:
        if self._session is not None:
            _close_now(self._loop, self._session)


_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSession] = weakref.WeakKeyDictionary()


def loop_session() -> LoopSession:
    """Return what a call enters to send over the running event loop's session."""
    if aiohttp.ClientSession is not aiohttp.client.ClientSession:
        # A mock, which must not outlast the call.
        return LoopSession(is_kept=False)
    loop = asyncio.get_running_loop()
    found = _sessions.get(loop)
    if found is None or found.process != os.getpid():
        # asyncio never closes a generator that starts after the shutdown, and warns. It has no public name for this.
        is_ending = getattr(loop, "_asyncgens_shutdown_called", False)
        found = _sessions[loop] = LoopSession(is_kept=not is_ending)
    return found


def _hold(loop: asyncio.AbstractEventLoop, held: object) -> None:
    """Have the event loop refer to an object, in a pending callback, until the loop is closed."""
    # An empty context, because that of the first call would stay alive too.
    loop.call_later(_DAY, _hold, loop, held, context=Context())


def _close_now(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
    """Close a session without the help of its event loop, which may be closed.

    A transport closes its socket in a callback. A loop that is not running does not call it, and a closed loop raises:
    either would leave the transport unclosed. So the loop calls it at once, for the duration of this function.
    """
    if session.closed:
        return
    loop.call_soon = _call_now  # type: ignore[method-assign, assignment]
    try:
        for transport in _idle_transports(session):
            # Below a TLS transport, which has no public name for it.
            socket_transport: Any = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
            transport.abort()
            if socket_transport is not None and socket_transport.get_extra_info("socket").fileno() != -1:
                # It was closing already, and its callback is among those that the loop discarded.
                getattr(socket_transport, "_call_connection_lost", _ignore)(None)
    finally:
        del loop.call_soon
    # Not session.close(), which starts a task if a call was abandoned. The connector warns only of idle connections.
    idle_connections(session).clear()
    session.detach()


def _call_now(callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
    callback(*args)


def _ignore(exc: BaseException | None) -> None:
    # The transports of uvloop close themselves with their loop.
    pass


def _idle_transports(session: aiohttp.ClientSession) -> list[asyncio.Transport]:
    protocols = [protocol for connections in idle_connections(session).values() for protocol, _ in connections]
    return [protocol.transport for protocol in protocols if protocol.transport is not None]


@atexit.register
def _close_all() -> None:
    for loop, found in list(_sessions.items()):
        if found.process == os.getpid() and not loop.is_running():
            found.close_now(loop)
