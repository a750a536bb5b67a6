"""What the effects of the helper's procedures do in async code."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from taskcluster.awaitables import awaited
from taskcluster.causes import safe_cause
from taskcluster.effects import Close, Invoke, Open, Opened, Sleep
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure

from ..effects import Effect, ReadSome, ReportChange
from ..performer import CHUNK, user_agent_for

if TYPE_CHECKING:
    import aiohttp

    from taskcluster.transport.aiohttp import AiohttpTransport

__all__ = ["AsyncHelperPerformer"]


class AsyncHelperPerformer:
    """The async counterpart of `taskcluster_helper.performer.HelperPerformer`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._transport: tuple[AiohttpTransport, aiohttp.ClientSession] | None = None

    async def __call__(self, effect: Effect) -> Any:
        match effect:
            case Invoke():
                return await _invoked(effect)
            case ReportChange(on_change, seen):
                return await awaited(on_change(seen))
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case Open():
                return await self._opened(effect)
            case ReadSome(opened):
                from taskcluster.transport.aiohttp import read_some

                return await read_some(opened.native, CHUNK)
            case Close(opened):
                return opened.native.close()

    async def _opened(self, effect: Open) -> Opened:
        if self._transport is None:
            from taskcluster.transport.aiohttp import AiohttpTransport, own_session

            self._transport = AiohttpTransport(user_agent_for(self._client)), own_session(auto_decompress=False)
        transport, session = self._transport
        response = await transport.open(session, effect.request)
        return Opened(response.status, response.headers, response)

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport[1].close()


async def _invoked(effect: Invoke) -> Any:
    called = effect.function(*effect.arguments, **effect.keywords)
    if not inspect.isawaitable(called):
        raise TaskclusterFailure("an async function needs an async client, e.g. taskcluster.aio.Queue")
    if effect.seconds is None:
        return await called
    try:
        return await asyncio.wait_for(called, effect.seconds)
    except TaskclusterFailure:
        # A timeout of the client may be a TimeoutError too.
        raise
    except asyncio.TimeoutError as exc:
        cause = safe_cause(exc)
    # Outside the block, so that the cancellation is not its context.
    raise TaskclusterConnectionError(f"no response in {effect.seconds:g} seconds", cause) from cause
