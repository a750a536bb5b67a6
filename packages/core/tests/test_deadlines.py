"""Calls over a caller's aiohttp session end at its total timeout, with one timer for all of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from taskcluster.transport.deadlines import Deadlines

T = TypeVar("T")


async def forever() -> None:
    await asyncio.Event().wait()


async def at_once() -> str:
    await asyncio.sleep(0)
    return "done"


async def limited(deadlines: Deadlines, seconds: float, doing: Awaitable[T]) -> T:
    with deadlines.within(seconds):
        return await doing


def here() -> Deadlines:
    return Deadlines(asyncio.get_running_loop())


def timers() -> list[asyncio.TimerHandle]:
    """Return the timers of the running loop."""
    loop: Any = asyncio.get_running_loop()
    return [timer for timer in loop._scheduled if not timer.cancelled()]


def test_does_nothing_before_the_timeout() -> None:
    async def program() -> str:
        return await limited(here(), 60, at_once())

    assert asyncio.run(program()) == "done"


def test_raises_at_the_timeout_and_the_task_continues() -> None:
    async def program() -> str:
        deadlines = here()
        with pytest.raises(asyncio.TimeoutError, match=r"more than 0\.01 s"):
            await limited(deadlines, 0.01, forever())
        if sys.version_info >= (3, 11):
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
        return await limited(deadlines, 60, at_once())

    assert asyncio.run(program()) == "done"


def test_times_out_tasks_that_are_not_asyncio_tasks() -> None:
    # Like the tasks of programs that nest event loops.
    python_task: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]

    async def program() -> str:
        loop = asyncio.get_running_loop()
        with pytest.raises(asyncio.TimeoutError):
            await python_task(limited(here(), 0.01, forever()), loop=loop)
        done: str = await python_task(limited(here(), 60, at_once()), loop=loop)
        return done

    assert asyncio.run(program()) == "done"


def test_calls_share_one_timer_which_fires_once() -> None:
    async def program() -> None:
        deadlines = here()
        for _ in range(3):
            await asyncio.gather(*(limited(deadlines, 0.05, at_once()) for _ in range(20)))
            assert len(timers()) == 1
        while timers():
            await asyncio.sleep(0)

    asyncio.run(program())


def test_each_call_has_its_own_timeout() -> None:
    async def program() -> None:
        async def call(seconds: float) -> None:
            begun = deadlines.loop.time()
            with pytest.raises(asyncio.TimeoutError):
                await limited(deadlines, seconds, forever())
            assert deadlines.loop.time() - begun >= seconds

        deadlines = here()
        # Limits below, equal to and above that of the running timer.
        longest = asyncio.ensure_future(call(60))
        await asyncio.sleep(0)
        await asyncio.gather(*map(call, (0.04, 0.02, 0.04, 0.06)))
        assert not longest.done()
        longest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await longest

    asyncio.run(program())


def test_keeps_a_cancellation_by_the_caller() -> None:
    async def program() -> None:
        task = asyncio.ensure_future(limited(here(), 60, forever()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())


UNCOUNTED = pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python does not count cancellations")


@pytest.mark.parametrize("first", ["caller", pytest.param("timeout", marks=UNCOUNTED)])
def test_keeps_a_cancellation_at_the_timeout(first: str) -> None:
    async def program() -> None:
        deadlines = here()
        task = asyncio.ensure_future(limited(deadlines, 0.02, forever()))
        await asyncio.sleep(0)
        (timer,) = timers()
        loop = asyncio.get_running_loop()
        if first == "caller":
            loop.call_at(timer.when(), task.cancel)
            timer.cancel()
            loop.call_at(timer.when(), deadlines._expire)
        else:
            loop.call_at(timer.when(), loop.call_soon, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())


def test_leaves_no_cancellation_when_it_was_suppressed() -> None:
    async def stubborn() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "done all the same"
        raise AssertionError

    async def program() -> None:
        assert await limited(here(), 0.01, stubborn()) == "done all the same"
        if sys.version_info >= (3, 11):
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    asyncio.run(program())
