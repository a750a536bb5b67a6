"""Keep one connection open: reconnect when it fails, and replace it once in a while."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Callable
from typing import Protocol

from taskcluster.retries import Policy

from .delivery import Connected, Emit, Ended
from .exceptions import PulseConnectionError, PulseFailure, PulseRefused

__all__ = ["Supervised", "Supervisor", "attempts_after", "pause"]

log = logging.getLogger("taskcluster")

RECYCLE = 3600.0
_POLICY = Policy(sys.maxsize, 1.0, 0.25, 30.0)
_STABLE = 30.0
"""Seconds after which a connection counts as good even if it received nothing."""


class Supervised(Protocol):
    """A connection as the supervisor sees it."""

    settled: int
    failed: asyncio.Future[PulseConnectionError]

    async def open(self) -> None: ...
    def begin(self) -> None: ...
    async def retire(self) -> None: ...
    async def close(self, *, delete: bool = False) -> None: ...


def pause(attempts: int, chance: float) -> float:
    """Return the seconds to wait after failures in a row.

    Args:
        attempts: How many.
        chance: A random number from 0 to 1.
    """
    seconds = _POLICY.delay(attempts, chance)
    assert seconds is not None
    return seconds


def attempts_after(attempts: int, *, settled: int, lived: float) -> int:
    """Return how many failures in a row there are after a connection failed.

    A connection on which a message was handled, or that lasted, starts over. Otherwise a queue that somebody keeps
    deleting would be declared without a pause.
    """
    return 1 if settled or lived >= _STABLE else attempts + 1


class Supervisor:
    """Keeps a connection open until it is stopped.

    Args:
        make: Makes a connection, which is not open yet.
        emit: Called when there is a new connection, and at the end.
        connect_timeout: Seconds in which the first connection must succeed; None for no limit.
        recycle: Seconds after which a connection is replaced; None for never.
    """

    def __init__(
        self,
        make: Callable[[], Supervised],
        emit: Emit,
        *,
        connect_timeout: float | None,
        recycle: float | None,
    ) -> None:
        self._make = make
        self._emit = emit
        self._connect_timeout = connect_timeout
        self._recycle = recycle
        self._stopping = asyncio.Event()
        self._retiring: dict[asyncio.Task[None], Supervised] = {}
        self._link: Supervised | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the first connection receives messages, or when stopped.

        Raises:
            PulseFailure: It was refused, or did not succeed in time.
        """
        until = None if self._connect_timeout is None else time.monotonic() + self._connect_timeout
        opening = asyncio.create_task(self._opened(until, first=True))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([opening, stopping], return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                return
            self._link = opening.result()
            if self._link is not None:
                self._link.begin()
        finally:
            stopping.cancel()
            opening.cancel()
            await asyncio.wait([opening, stopping])
        self._task = asyncio.create_task(self._keep())

    def request_stop(self) -> None:
        """Emit the end, so that the program asks for no further message."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._emit(Ended(None))

    async def close(self) -> None:
        """Close all connections."""
        self.request_stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        # After the task that adds to them.
        retiring = dict(self._retiring)
        for task, link in retiring.items():
            task.cancel()
            # A task that has not started does not close it.
            await link.close()
        await asyncio.gather(*retiring, return_exceptions=True)
        if self._link is not None:
            await self._link.close(delete=True)

    async def _opened(self, until: float | None = None, *, first: bool = False) -> Supervised | None:
        """Return an open connection, after as many attempts as it takes, or None if stopped."""
        attempts = 0
        while True:
            link = self._make()
            try:
                await link.open()
                return link
            except PulseFailure as exc:
                # A certificate that is not trusted is a mistake at the start. Later it is renewed sooner or later.
                if isinstance(exc, PulseRefused) or (first and not isinstance(exc, PulseConnectionError)):
                    raise
                attempts += 1
                seconds = pause(attempts, random.random())
                if until is not None and time.monotonic() + seconds > until:
                    raise
                log.warning("%s; connecting again in %.1f s", exc, seconds)
            if await self._stopped_within(seconds):
                return None

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def _keep(self) -> None:
        try:
            attempts = 0
            # asyncio.wait_for before Python 3.12 may swallow the cancellation.
            while self._link is not None and not self._stopping.is_set():
                started = time.monotonic()
                link = self._link
                await asyncio.wait([link.failed], timeout=self._recycle)
                if link.failed.done():
                    attempts = attempts_after(attempts, settled=link.settled, lived=time.monotonic() - started)
                    seconds = pause(attempts, random.random())
                    log.warning("%s; connecting again in %.1f s", link.failed.result(), seconds)
                    await link.close()
                    if await self._stopped_within(seconds):
                        return
                    self._link = await self._opened()
                else:
                    log.info("replacing the connection, which is %d s old", time.monotonic() - started)
                    self._link = await self._opened()
                    self._retire(link)
                if self._link is not None:
                    # Before the first message.
                    self._emit(Connected())
                    self._link.begin()
        except PulseFailure as exc:
            self._link = None
            self._emit(Ended(exc))
        except Exception as exc:
            # A fault here must not leave a program that waits for ever.
            self._link = None
            self._emit(Ended(PulseFailure(f"the consumer failed: {type(exc).__name__}: {exc}")))

    def _retire(self, link: Supervised) -> None:
        task = asyncio.create_task(link.retire())
        self._retiring[task] = link
        task.add_done_callback(lambda ended: self._retiring.pop(ended))
