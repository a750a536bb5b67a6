"""The async driver of procedures."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from taskcluster.causes import safe_cause
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure

from .effects import Ask, Effect, Fetch, Invoke, Lines, Procedure, Read, Sleep

if TYPE_CHECKING:
    from .async_streams import AsyncStream

__all__ = ["lines_of", "result_of"]

T = TypeVar("T")


class _Driver(Generic[T]):
    """Does what a procedure yields; its twin in drive.py differs in `await`."""

    def __init__(self, procedure: Procedure[T]) -> None:
        self._procedure = procedure
        self._stream: AsyncStream | None = None
        self.result: T | None = None

    async def advance(self) -> list[str] | None:
        """Go on until there are lines, and return them; None at the end."""
        step: Callable[[Any], Effect] = self._procedure.send
        answer: Any = None
        while True:
            try:
                effect = step(answer)
            except StopIteration as stop:
                self.result = stop.value
                return None
            if isinstance(effect, Lines):
                return effect.lines
            step, answer = self._procedure.send, None
            try:
                answer = await self._do(effect)
            except TaskclusterFailure as exc:
                step, answer = self._procedure.throw, exc

    async def _do(self, effect: Ask | Sleep | Invoke | Fetch | Read) -> Any:
        if isinstance(effect, Ask):
            called = effect.call()
            if not inspect.isawaitable(called):
                raise TaskclusterFailure("an async function needs an async client, such as taskcluster.aio.Queue")
            if effect.seconds is None:
                return await called
            try:
                return await asyncio.wait_for(called, effect.seconds)
            except TaskclusterFailure:
                # A time-out of the client's own may be a TimeoutError too.
                raise
            except asyncio.TimeoutError as exc:
                cause = safe_cause(exc)
            # Outside the block, for else what was cancelled were the context.
            raise TaskclusterConnectionError(f"no answer in {effect.seconds:g} seconds", cause) from cause
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, Invoke):
            handled = effect.function(*effect.arguments, **effect.keywords)
            return (await handled) if inspect.isawaitable(handled) else None
        if self._stream is None:
            from .async_streams import AsyncStream

            self._stream = AsyncStream()
        if isinstance(effect, Fetch):
            return await self._stream.open(*effect)
        return await self._stream.read()

    async def close(self) -> None:
        self._procedure.close()
        if self._stream is not None:
            await self._stream.close()


@asynccontextmanager
async def _driving(procedure: Procedure[T]) -> AsyncGenerator[_Driver[T], None]:
    driver = _Driver(procedure)
    try:
        yield driver
    finally:
        await driver.close()


async def result_of(procedure: Procedure[T]) -> T:
    """Run a procedure that hands out no lines, and return what it returns."""
    async with _driving(procedure) as driver:
        await driver.advance()
        result: Any = driver.result
        return result  # type: ignore[no-any-return]


async def lines_of(procedure: Procedure[None]) -> AsyncIterator[str]:
    """Run a procedure as its lines are asked for."""
    async with _driving(procedure) as driver:
        while (lines := await driver.advance()) is not None:
            for line in lines:
                yield line
