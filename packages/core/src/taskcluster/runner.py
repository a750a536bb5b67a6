"""Run procedures: generators that decide what to do, yield it as effects, and are sent what each effect returned.

`perform` does what one effect says. Whatever is raised meanwhile is thrown into the procedure at its `yield`: failures,
KeyboardInterrupt, cancellation, and GeneratorExit if an iterator is closed early. So a procedure cleans up as any
function does, with `finally`, and the effects that it yields there are performed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from operator import attrgetter
from typing import Any, TypeVar

from .effects import Emit

__all__ = ["iterate", "iterate_async", "run", "run_async"]

E = TypeVar("E")
T = TypeVar("T")
_frame = attrgetter("gi_frame")  # None after the generator's end


def run(procedure: Generator[E, Any, T], perform: Callable[[E], Any]) -> T:
    """Run a procedure, and return its result."""
    step: Callable[[Any], E] = procedure.send
    value: Any = None
    while True:
        try:
            # This loop is inside the `try` so that a KeyboardInterrupt between two effects is thrown in, too.
            while True:
                value = perform(step(value))
                step = procedure.send
        except BaseException as exc:
            stopped = isinstance(value, StopIteration)
            # After the end, nothing here refers to the exception, because its traceback refers to this frame.
            step, value = procedure.throw, None if _frame(procedure) is None else exc
            if value is None:
                if isinstance(exc, StopIteration):
                    return exc.value  # type: ignore[no-any-return]
                # A generator makes a RuntimeError of a StopIteration that is thrown in.
                raise exc.__cause__ if stopped and isinstance(exc.__cause__, StopIteration) else exc  # noqa: B904


async def run_async(procedure: Generator[E, Any, T], perform: Callable[[E], Awaitable[Any]]) -> T:
    """Run a procedure whose effects are awaited; otherwise as `run`."""
    step: Callable[[Any], E] = procedure.send
    value: Any = None
    while True:
        try:
            while True:
                value = await perform(step(value))
                step = procedure.send
        except BaseException as exc:
            step, value = procedure.throw, None if _frame(procedure) is None else exc
            if value is None:
                if isinstance(exc, StopIteration):
                    return exc.value  # type: ignore[no-any-return]
                raise


def iterate(procedure: Generator[E | Emit, Any, None], perform: Callable[[E], Any]) -> Generator[Any, None, None]:
    """Run a procedure while its caller iterates over the values that it emits; otherwise as `run`."""
    step: Callable[[Any], E | Emit] = procedure.send
    value: Any = None
    while _frame(procedure) is not None:
        try:
            while True:
                effect = step(value)
                step, value = procedure.send, None
                if isinstance(effect, Emit):
                    yield from effect.values
                else:
                    value = perform(effect)
        except BaseException as exc:
            step, value = procedure.throw, None if _frame(procedure) is None else exc
            if value is None and not isinstance(exc, StopIteration):
                raise


async def iterate_async(
    procedure: Generator[E | Emit, Any, None], perform: Callable[[E], Awaitable[Any]]
) -> AsyncGenerator[Any, None]:
    """Run a procedure whose effects are awaited; otherwise as `iterate`."""
    step: Callable[[Any], E | Emit] = procedure.send
    value: Any = None
    while _frame(procedure) is not None:
        try:
            while True:
                effect = step(value)
                step, value = procedure.send, None
                if isinstance(effect, Emit):
                    for each in effect.values:
                        yield each
                else:
                    value = await perform(effect)
        except BaseException as exc:
            step, value = procedure.throw, None if _frame(procedure) is None else exc
            if value is None and not isinstance(exc, StopIteration):
                raise
