"""Consume messages in async code."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from taskcluster.awaitables import awaited
from taskcluster.effects import Invoke
from taskcluster.runner import run_async

from ..consumer_base import ConsumerBase
from ..delivery import Delivery, Ended, Item
from ..exceptions import ConsumerStopped, PulseFailure
from ..message import PayloadT
from ..procedures import Effect, Settle, Take, finish, handle, next_message
from ..supervisor import Supervisor
from .message import PulseMessage

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Consumer"]


class Consumer(ConsumerBase[PayloadT]):
    """Receive messages, and reconnect when the connection is lost. Arguments are those of `ConsumerBase`.

    async with Consumer(QueueEvents(options).taskCompleted(), url=url) as messages:
        async for message in messages:
            print(message.routing["taskId"])
    """

    _supervisor: Supervisor | None = None
    _current: PulseMessage[PayloadT] | None = None
    _ended: Ended | None = None
    _is_stopped = False
    _is_closed = False

    async def __aenter__(self) -> Self:
        if self._supervisor is not None:
            raise PulseFailure("a consumer can be used once only: make another one")
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Item] = asyncio.Queue()
        self._supervisor = self._supervise(self._inbox.put_nowait)
        if self._is_stopped:
            self._supervisor.request_stop()
        try:
            await self._supervisor.start()
            if self._callbacks.on_connected is not None and not self._is_stopped:
                await awaited(self._callbacks.on_connected())
        except BaseException:
            self._is_closed = True
            await self._supervisor.close()
            raise
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        if self._supervisor is None or self._is_closed:
            return
        try:
            await self._finish_current(exc)
        finally:
            self._is_closed = True
            await self._supervisor.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PulseMessage[PayloadT]:
        try:
            return await self.get()
        except ConsumerStopped:
            raise StopAsyncIteration from None

    async def get(self, timeout: float | None = None) -> PulseMessage[PayloadT]:
        """Return the next message, after acknowledging the last one; iterating does the same.

        Args:
            timeout: Seconds to wait; None for no limit.

        Raises:
            TimeoutError: No message was received in time.
            ConsumerStopped: The consumer was stopped.
            PulseFailure: The connection was refused for good.
        """
        await self._finish_current(None)
        message = await self._next(timeout)
        self._current = message
        return message

    async def run(self, handler: Callable[[PulseMessage[PayloadT]], object], *, concurrency: int = 1) -> None:
        """Call a handler with each message until `stop` is called; a handler that runs then is waited for.

        Connects first if the consumer is not used with `async with`. A message is acknowledged when its handler
        returns. If the handler raises, the message is delivered once more, and given up if that fails too.

        Args:
            handler: A function or coroutine function.
            concurrency: How many messages to handle at the same time, at most `prefetch`.

        Raises:
            PulseFailure: The connection was refused for good.
        """
        if self._supervisor is None:
            async with self:
                await self.run(handler, concurrency=concurrency)
            return
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                message = await self._next(None)
                handling = run_async(
                    handle(message, handler, self._callbacks, manual_ack=self._manual_ack), self._perform
                )
                if concurrency == 1:
                    await handling
                    continue
                running.add(asyncio.ensure_future(handling))
                if len(running) >= concurrency:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
        except ConsumerStopped:
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def stop(self) -> None:
        """Make `run` return, and iterating end, after the message that is being handled.

        May be called from any thread, and from a signal handler.
        """
        self._is_stopped = True
        if self._supervisor is not None:
            with contextlib.suppress(RuntimeError):
                # The loop may be closed.
                self._loop.call_soon_threadsafe(self._supervisor.request_stop)

    async def _next(self, timeout: float | None) -> PulseMessage[PayloadT]:
        def make(delivery: Delivery) -> PulseMessage[PayloadT]:
            return PulseMessage(delivery)

        return await run_async(next_message(make, self._callbacks, timeout, time.monotonic), self._perform)

    async def _finish_current(self, exc: BaseException | None) -> None:
        message, self._current = self._current, None
        if message is not None:
            finishing = finish(message, exc, self._callbacks, manual_ack=self._manual_ack)
            await run_async(finishing, self._perform)

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Take(seconds):
                return await self._take(seconds)
            case Settle(delivery, ack, requeue):
                return delivery.settle(ack=ack, requeue=requeue)
            case Invoke(function, arguments):
                return await awaited(function(*arguments))

    async def _take(self, seconds: float | None) -> Item | None:
        if self._supervisor is None:
            raise PulseFailure("connect first: async with Consumer(…) as messages")
        if self._is_stopped:
            return Ended(None)
        if self._is_closed:
            raise PulseFailure("the consumer is closed: make another one")
        if self._ended is not None:
            return self._ended
        getting: Awaitable[Item] = self._inbox.get()
        try:
            item = await getting if seconds is None else await asyncio.wait_for(getting, seconds)
        except asyncio.TimeoutError:
            return None
        if isinstance(item, Ended):
            self._ended = item
        return item
