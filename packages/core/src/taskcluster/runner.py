"""Run procedures: generators that decide what to do, yield it as effects, and are sent what each effect returned.

What `perform` raises (failures, KeyboardInterrupt, cancellation; `Stopped` if an iterator is closed early) is thrown
into the procedure at its `yield`. So it cleans up with `finally`, and the effects that it yields there are performed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, TypeVar

from .effects import Emit

__all__ = ["Stopped", "iterate", "iterate_async", "run", "run_async"]

E = TypeVar("E")
T = TypeVar("T")
_Step = Callable[[Any], Any]


class Stopped(BaseException):
    """Thrown into a procedure for a StopIteration or GeneratorExit, because `yield from` does not pass those on."""


def run(procedure: Generator[E, Any, T], perform: Callable[[E], Any]) -> T:
    """Run a procedure, and return its result."""
    step: _Step | None = procedure.send
    inbox: list[Any] = [None]
    while step:
        try:
            # A second loop, so that a KeyboardInterrupt between two effects is thrown in, too.
            while True:
                inbox.append(perform(step(inbox.pop())))
                step = procedure.send
        except BaseException as exc:
            __tracebackhide__ = True
            step = _after(exc, procedure, inbox)
    return inbox.pop()  # type: ignore[no-any-return]


async def run_async(procedure: Generator[E, Any, T], perform: Callable[[E], Awaitable[Any]]) -> T:
    """Run a procedure whose effects are awaited; otherwise as `run`."""
    step: _Step | None = procedure.send
    inbox: list[Any] = [None]
    while step:
        try:
            while True:
                inbox.append(await perform(step(inbox.pop())))
                step = procedure.send
        except BaseException as exc:
            __tracebackhide__ = True
            step = _after(exc, procedure, inbox)
    return inbox.pop()  # type: ignore[no-any-return]


def iterate(procedure: Generator[Any, Any, None], perform: _Step) -> Generator[Any, None, None]:
    """Run a procedure while its caller iterates over the values that it emits; otherwise as `run`."""
    step: _Step | None = procedure.send
    inbox: list[Any] = [None]
    while step:
        try:
            while True:
                effect = step(inbox.pop())
                step = procedure.send
                yield from effect.values if isinstance(effect, Emit) else ()
                inbox.append(None if isinstance(effect, Emit) else perform(effect))
        except BaseException as exc:
            step = _after(exc, procedure, inbox)


async def iterate_async(procedure: Generator[Any, Any, None], perform: _Step) -> AsyncGenerator[Any, None]:
    """Run a procedure whose effects are awaited; otherwise as `iterate`."""
    step: _Step | None = procedure.send
    inbox: list[Any] = [None]
    while step:
        try:
            while True:
                effect = step(inbox.pop())
                step = procedure.send
                for each in effect.values if isinstance(effect, Emit) else ():
                    yield each
                inbox.append(None if isinstance(effect, Emit) else await perform(effect))
        except BaseException as exc:
            step = _after(exc, procedure, inbox)


def _after(exc: BaseException, procedure: Any, inbox: list[Any]) -> _Step | None:
    """Put what comes next, or the result, into the inbox; return the next step, or None after the procedure's end."""
    try:
        if procedure.gi_frame is not None:
            inbox[:] = [Stopped(exc) if isinstance(exc, StopIteration | GeneratorExit) else exc]
            return procedure.throw  # type: ignore[no-any-return]
        if not isinstance(exc, StopIteration):
            __tracebackhide__ = True
            raise exc.args[0] if isinstance(exc, Stopped) else exc
        inbox[:] = [exc.value]
        return None
    finally:
        del exc  # Its traceback refers to this frame, and a variable that refers to it would make a cycle.
