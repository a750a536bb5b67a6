"""The four ways to run a procedure: results, failures and cleanup."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import pytest

from taskcluster import runner
from taskcluster.effects import Emit

Perform = Callable[[Any], Any]
Procedure = Generator[Any, Any, Any]


def over_run(procedure: Procedure, perform: Perform) -> list[Any]:
    runner.run(procedure, perform)
    return []


def over_run_async(procedure: Procedure, perform: Perform) -> list[Any]:
    async def awaited(effect: Any) -> Any:
        return perform(effect)

    asyncio.run(runner.run_async(procedure, awaited))
    return []


def over_iterate(procedure: Procedure, perform: Perform) -> list[Any]:
    return list(runner.iterate(procedure, perform))


def over_iterate_async(procedure: Procedure, perform: Perform) -> list[Any]:
    async def awaited(effect: Any) -> Any:
        return perform(effect)

    async def collect() -> list[Any]:
        return [value async for value in runner.iterate_async(procedure, awaited)]

    return asyncio.run(collect())


RUNNERS = {"run": over_run, "run_async": over_run_async, "iterate": over_iterate, "iterate_async": over_iterate_async}


@pytest.fixture(params=RUNNERS)
def execute(request: pytest.FixtureRequest) -> Callable[[Procedure, Perform], list[Any]]:
    """Run a procedure in one of the four ways, and return the emitted values."""
    return RUNNERS[request.param]


@pytest.fixture(params=["iterate", "iterate_async"])
def iterate(request: pytest.FixtureRequest) -> Any:
    return RUNNERS[request.param]


class Performer:
    """Records effects; raises those that are exceptions, and returns the others."""

    def __init__(self) -> None:
        self.effects: list[Any] = []

    def __call__(self, effect: Any) -> Any:
        self.effects.append(effect)
        if isinstance(effect, BaseException):
            raise effect
        return effect


@pytest.fixture
def perform() -> Performer:
    return Performer()


def test_run_returns_the_result(perform: Performer) -> None:
    def procedure() -> Procedure:
        return [(yield 1), (yield 2)]

    async def perform_async(effect: Any) -> Any:
        return perform(effect)

    assert runner.run(procedure(), perform) == [1, 2]
    assert asyncio.run(runner.run_async(procedure(), perform_async)) == [1, 2]
    assert perform.effects == [1, 2, 1, 2]


def test_iterate_yields_emitted_values(iterate: Any, perform: Performer) -> None:
    def procedure() -> Procedure:
        received.append((yield 1))
        received.append((yield Emit((2, 3))))
        received.append((yield Emit(())))
        received.append((yield 4))

    received: list[Any] = []
    assert iterate(procedure(), perform) == [2, 3]
    assert received == [1, None, None, 4]
    assert perform.effects == [1, 4]


def test_a_procedure_without_effects_ends(execute: Any, perform: Performer) -> None:
    def procedure() -> Procedure:
        yield from ()

    assert execute(procedure(), perform) == []


def test_failures_are_thrown_into_the_procedure(execute: Any, perform: Performer) -> None:
    def procedure() -> Procedure:
        try:
            yield ValueError("first")
        except ValueError as exc:
            caught.append(str(exc))
        caught.append((yield "second"))

    caught: list[Any] = []
    execute(procedure(), perform)
    assert caught == ["first", "second"]


@pytest.mark.parametrize(
    "error",
    [OSError("broken"), KeyboardInterrupt(), SystemExit(1), GeneratorExit()],
    ids=["OSError", "KeyboardInterrupt", "SystemExit", "GeneratorExit"],
)
def test_cleanup_is_performed_after_a_failure(execute: Any, perform: Performer, error: BaseException) -> None:
    def inner() -> Procedure:
        try:
            yield "work"
            yield error
        finally:
            yield "clean"

    def procedure() -> Procedure:
        try:
            yield from inner()
        finally:
            yield "up"

    with pytest.raises(type(error)) as caught:
        execute(procedure(), perform)
    assert caught.value is error
    assert perform.effects == ["work", error, "clean", "up"]


def test_cleanup_may_fail(execute: Any, perform: Performer) -> None:
    def procedure() -> Procedure:
        try:
            yield OSError("work")
        finally:
            yield ValueError("cleanup")

    with pytest.raises(ValueError, match="cleanup") as caught:
        execute(procedure(), perform)
    assert isinstance(caught.value.__context__, OSError)


@pytest.mark.parametrize(
    "error", [StopIteration("odd"), StopAsyncIteration("odd")], ids=lambda error: type(error).__name__
)
def test_an_effect_that_raises_stop_iteration_fails(execute: Any, perform: Performer, error: Exception) -> None:
    def procedure() -> Procedure:
        yield "work"
        yield error
        raise AssertionError("the effect succeeded")

    # Python makes it a RuntimeError if a generator or coroutine raises it.
    with pytest.raises((type(error), RuntimeError)) as caught:
        execute(procedure(), perform)
    assert error in (caught.value, caught.value.__cause__)


def test_run_raises_stop_iteration_itself(perform: Performer) -> None:
    def inner() -> Procedure:
        yield error

    def procedure() -> Procedure:
        yield from inner()

    error = StopIteration("odd")
    with pytest.raises(StopIteration) as caught:
        runner.run(procedure(), perform)
    assert caught.value is error


def test_run_keeps_runtime_errors_of_effects(perform: Performer) -> None:
    def procedure() -> Procedure:
        yield error

    # A generator of a program raises it like this.
    error = RuntimeError("generator raised StopIteration")
    error.__cause__ = StopIteration()
    with pytest.raises(RuntimeError) as caught:
        runner.run(procedure(), perform)
    assert caught.value is error


def test_closing_an_iterator_performs_cleanup(perform: Performer) -> None:
    iterator = runner.iterate(emitting(), perform)
    assert next(iterator) == 1
    iterator.close()
    assert perform.effects == ["open", "flush", "close"]


def test_closing_an_async_iterator_performs_cleanup(perform: Performer) -> None:
    async def slowly(effect: Any) -> None:
        await asyncio.sleep(0)
        perform(effect)

    async def use() -> None:
        iterator = runner.iterate_async(emitting(), slowly)
        assert await anext(iterator) == 1
        await iterator.aclose()

    asyncio.run(use())
    assert perform.effects == ["open", "flush", "close"]


def emitting() -> Procedure:
    yield "open"
    try:
        # Python closes it instead of throwing a GeneratorExit into it.
        yield from emitting_inner()
    finally:
        yield "close"


def emitting_inner() -> Procedure:
    try:
        yield Emit((1, 2))
    finally:
        yield "flush"


def test_closing_a_coroutine_performs_cleanup(perform: Performer) -> None:
    def procedure() -> Procedure:
        try:
            yield "wait"
        finally:
            yield "close"

    async def perform_async(effect: Any) -> None:
        perform(effect)
        if effect == "wait":
            await asyncio.sleep(0)

    # An event loop that is closed too early does this.
    coroutine = runner.run_async(procedure(), perform_async)
    coroutine.send(None)
    coroutine.close()
    assert perform.effects == ["wait", "close"]


@pytest.mark.parametrize("is_iterated", [False, True], ids=["run_async", "iterate_async"])
def test_cancelling_a_task_performs_cleanup(perform: Performer, is_iterated: bool) -> None:
    def procedure() -> Procedure:
        try:
            yield "wait"
        finally:
            yield "close"

    async def use() -> None:
        waiting = asyncio.Event()

        async def perform_async(effect: Any) -> None:
            perform(effect)
            if effect == "wait":
                waiting.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)

        async def work() -> None:
            if is_iterated:
                async for _ in runner.iterate_async(procedure(), perform_async):
                    pass
            else:
                await runner.run_async(procedure(), perform_async)

        task = asyncio.ensure_future(work())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(use())
    assert perform.effects == ["wait", "close"]


@pytest.mark.parametrize("name", ["run", "iterate"])
def test_an_interrupt_at_any_line_performs_cleanup(name: str) -> None:
    """A KeyboardInterrupt may be raised wherever Python code runs, so also between two effects."""
    left, is_working = 0, False

    def procedure() -> Procedure:
        nonlocal is_working
        is_working = True
        try:
            yield 1
            yield 2
            yield 3
        finally:
            is_working = False
            yield "close"

    def interrupt(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code is code and event == "line" and is_working:
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return interrupt if frame.f_code is code else None

    code = getattr(runner, name).__code__
    interrupted = 0
    while interrupted < 100:
        left, is_working = interrupted + 1, False
        perform = Performer()
        before = sys.gettrace()
        try:
            sys.settrace(interrupt)
            RUNNERS[name](procedure(), perform)
        except KeyboardInterrupt:
            interrupted += 1
            assert perform.effects[-1] == "close"
        else:
            break
        finally:
            sys.settrace(before)
    assert 5 < interrupted < 100


@pytest.mark.parametrize("name", RUNNERS)
def test_a_failure_leaves_no_reference_cycle(name: str) -> None:
    class ProcedureError(Exception):
        pass

    def procedure() -> Procedure:
        yield

    def fail(effect: Any) -> None:
        raise ProcedureError

    async def fail_async(effect: Any) -> None:
        raise ProcedureError

    async def failed() -> weakref.ref[ProcedureError]:
        try:
            match name:
                case "run":
                    runner.run(procedure(), fail)
                case "run_async":
                    await runner.run_async(procedure(), fail_async)
                case "iterate":
                    list(runner.iterate(procedure(), fail))
                case _:
                    await anext(runner.iterate_async(procedure(), fail_async))
        except ProcedureError as exc:
            return weakref.ref(exc)
        raise AssertionError("nothing was raised")

    gc.disable()
    try:
        assert asyncio.run(failed())() is None
    finally:
        gc.enable()
