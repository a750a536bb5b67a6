"""Consume messages in sync code: the connection has its own thread, and handlers run in the caller's."""

from __future__ import annotations

import contextlib
import queue
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from taskcluster.effects import Invoke
from taskcluster.runner import run

from .consumer_base import ConsumerBase
from .delivery import Delivery, Ended, Item
from .exceptions import ConsumerStopped, PulseFailure
from .loop_thread import LoopThread
from .message import PayloadT, PulseMessage
from .procedures import Effect, Settle, Take, finish, handle, next_message
from .supervisor import Supervisor

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Consumer"]


class Consumer(ConsumerBase[PayloadT]):
    """Receive messages, and reconnect when the connection is lost. Arguments are those of `ConsumerBase`.

        with Consumer(QueueEvents(options).taskCompleted(), url=url) as messages:
            for message in messages:
                print(message.routing["taskId"])

    It belongs to one thread and one process; only `stop` may be called from elsewhere.
    """

    _thread: LoopThread | None = None
    _supervisor: Supervisor | None = None
    _current: PulseMessage[PayloadT] | None = None
    _ended: Ended | None = None
    _is_stopped = False

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise PulseFailure("a consumer can be used once only: make another one")
        # SimpleQueue of Python 3.10 waits forever if its thread is suspended until the timeout is over.
        self._inbox: queue.Queue[Item] = queue.Queue()
        self._settling: deque[tuple[Delivery, bool, bool]] = deque()
        self._thread = LoopThread("taskcluster-pulse")
        try:
            self._thread.call(self._start())
            if self._callbacks.on_connected is not None and not self._is_stopped:
                self._callbacks.on_connected()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        try:
            self._finish_current(exc)
        finally:
            self._close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PulseMessage[PayloadT]:
        try:
            return self.get()
        except ConsumerStopped:
            raise StopIteration from None

    def get(self, timeout: float | None = None) -> PulseMessage[PayloadT]:
        """Return the next message, after acknowledging the last one; iterating does the same.

        Args:
            timeout: Seconds to wait; None for no limit.

        Raises:
            TimeoutError: No message was received in time.
            ConsumerStopped: The consumer was stopped.
            PulseFailure: The connection was refused for good.
        """
        self._finish_current(None)
        self._current = message = self._next(timeout)
        return message

    def run(self, handler: Callable[[PulseMessage[PayloadT]], object]) -> None:
        """Call a handler with each message until `stop` is called; a handler that runs then is waited for.

        Connects first if the consumer is not used with `with`. A message is acknowledged when its handler returns. If
        the handler raises, the message is delivered once more, and given up if that fails too.

        Raises:
            PulseFailure: The connection was refused for good.
        """
        if self._thread is None:
            with self:
                self.run(handler)
            return
        with contextlib.suppress(ConsumerStopped):
            while True:
                message = self._next(None)
                run(handle(message, handler, self._callbacks, manual_ack=self._manual_ack), self._perform)

    def stop(self) -> None:
        """Make `run` return, and iterating end, after the message that is being handled.

        May be called from any thread, and from a signal handler.
        """
        self._is_stopped = True
        if self._thread is not None and self._supervisor is not None:
            with contextlib.suppress(RuntimeError):
                # The loop may be closed.
                self._thread.soon(self._supervisor.request_stop)

    async def _start(self) -> None:
        self._supervisor = self._supervise(self._inbox.put_nowait)
        if self._is_stopped:
            self._supervisor.request_stop()
        await self._supervisor.start()

    def _close(self) -> None:
        if self._thread is not None and self._thread.is_running:
            if self._supervisor is not None and not self._thread.is_closed:
                self._thread.call(self._supervisor.close())
            self._thread.close()

    def _next(self, timeout: float | None) -> PulseMessage[PayloadT]:
        def make(delivery: Delivery) -> PulseMessage[PayloadT]:
            return PulseMessage(delivery, self._settle)

        return run(next_message(make, self._callbacks, timeout, time.monotonic), self._perform)

    def _finish_current(self, exc: BaseException | None) -> None:
        message, self._current = self._current, None
        if message is not None:
            run(finish(message, exc, self._callbacks, manual_ack=self._manual_ack), self._perform)

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Take(seconds):
                return self._take(seconds)
            case Settle(delivery, ack, requeue):
                return self._settle(delivery, ack, requeue)
            case Invoke(function, arguments):
                return function(*arguments)

    def _take(self, seconds: float | None) -> Item | None:
        if self._thread is None:
            raise PulseFailure("connect first: with Consumer(…) as messages")
        if not self._thread.is_running:
            raise PulseFailure("a consumer cannot be used after a fork: make one in the new process")
        if self._is_stopped:
            return Ended(None)
        if self._thread.is_closed:
            raise PulseFailure("the consumer is closed: make another one")
        if self._ended is not None:
            return self._ended
        try:
            item = self._inbox.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(item, Ended):
            self._ended = item
        return item

    def _settle(self, delivery: Delivery, ack: bool, requeue: bool) -> None:
        assert self._thread is not None
        self._settling.append((delivery, ack, requeue))
        if len(self._settling) == 1:
            # Waking the thread is the expensive part, so it settles all there are then.
            with contextlib.suppress(RuntimeError):
                self._thread.soon(self._settle_all)

    def _settle_all(self) -> None:
        while self._settling:
            delivery, ack, requeue = self._settling[0]
            delivery.settle(ack=ack, requeue=requeue)
            self._settling.popleft()
