"""The sync driver of procedures."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from taskcluster.awaitables import plain
from taskcluster.client import LIMITS
from taskcluster.exceptions import TaskclusterFailure

from .effects import Ask, Effect, Fetch, Invoke, Lines, Procedure, Read, Sleep
from .limits import limited

if TYPE_CHECKING:
    from .streams import Stream

__all__ = ["lines_of", "result_of"]

T = TypeVar("T")


class _Driver(Generic[T]):
    """Does what a procedure yields; its twin in async_drive.py differs in `await`."""

    def __init__(self, procedure: Procedure[T]) -> None:
        self._procedure = procedure
        self._stream: Stream | None = None
        self.result: T | None = None

    def advance(self) -> list[str] | None:
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
                answer = self._do(effect)
            except TaskclusterFailure as exc:
                step, answer = self._procedure.throw, exc

    def _do(self, effect: Ask | Sleep | Invoke | Fetch | Read) -> Any:
        if isinstance(effect, Ask):
            return plain(_asked(effect), "a sync function needs a sync client, such as taskcluster.Queue")
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        if isinstance(effect, Invoke):
            return plain(
                effect.function(*effect.arguments, **effect.keywords),
                "on_change of a sync function must not be a coroutine function",
            )
        if self._stream is None:
            from .streams import Stream

            self._stream = Stream()
        if isinstance(effect, Fetch):
            return self._stream.open(*effect)
        return self._stream.read()

    def close(self) -> None:
        self._procedure.close()
        if self._stream is not None:
            self._stream.close()


def _asked(effect: Ask) -> Any:
    """Call what takes no longer than it may; fakes answer when they like."""
    if effect.seconds is None:
        return effect.call()
    before = LIMITS.set(partial(limited, seconds=effect.seconds))
    try:
        return effect.call()
    finally:
        LIMITS.reset(before)


@contextmanager
def _driving(procedure: Procedure[T]) -> Generator[_Driver[T], None, None]:
    driver = _Driver(procedure)
    try:
        yield driver
    finally:
        driver.close()


def result_of(procedure: Procedure[T]) -> T:
    """Run a procedure that hands out no lines, and return what it returns."""
    with _driving(procedure) as driver:
        driver.advance()
        result: Any = driver.result
        return result  # type: ignore[no-any-return]


def lines_of(procedure: Procedure[None]) -> Iterator[str]:
    """Run a procedure as its lines are asked for."""
    with _driving(procedure) as driver:
        while (lines := driver.advance()) is not None:
            yield from lines
