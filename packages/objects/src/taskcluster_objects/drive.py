"""The sync driver: does what a transfer yields, over requests."""

from __future__ import annotations

import asyncio
import copy
import inspect
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from threading import Event
from typing import Any, TypeVar

import requests
import urllib3.exceptions

from taskcluster.aio.asyncclient import AsyncBaseClient
from taskcluster.awaitables import plain
from taskcluster.effects import Request
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.options import timeouts, user_agent_of
from taskcluster.registry import registry
from taskcluster.retries import Policy
from taskcluster.shapes import is_mapping
from taskcluster.transport.requests import Body, RequestsTransport

from .bodies import Sink, Source
from .effects import (
    Answer,
    Call,
    Close,
    Discard,
    Effect,
    Open,
    Opened,
    Procedure,
    Progress,
    Pump,
    Report,
    Send,
    Settings,
    Sleep,
    Take,
    Tell,
    Together,
)
from .hashing import Lanes

__all__ = ["nothing", "object_client", "run", "settings_of", "sync_settings"]

T = TypeVar("T")

_PIECE = 256 * 1024
"""Bytes read at a time, at most."""
_SLOW = 0.002
"""Seconds in which no transfer ends, after which another begins beside those that run. Where they end sooner there is
little waiting to make use of, and threads would mostly take the interpreter from each other."""
_SLICE = 128 * 1024
"""Bytes handed to a socket at a time: its time-out is for all of them."""


def settings_of(
    service: Any,
    max_retries: int | None,
    progress: Progress | None,
    failure: Callable[..., TaskclusterRestFailure],
    client: Callable[[Mapping[str, Any]], Any],
) -> Settings:
    """Return the settings of a transfer: those of the service's client, and what was given."""
    known: Any = getattr(service, "options", None)
    options: Mapping[str, Any] = known if is_mapping(known) else {}
    if max_retries is not None:
        options = {**options, "maxRetries": max_retries}
    return Settings(
        policy=Policy.of(options),
        timeout=timeouts(options.get("timeout")),
        user_agent=user_agent_of(options),
        now=lambda: time.time(),
        random=lambda: random.random(),
        failure=failure,
        client=client,
        progress=progress,
    )


def sync_settings(service: Any, max_retries: int | None, progress: Progress | None) -> Settings:
    """Return the settings of a transfer in sync code.

    Raises:
        TaskclusterFailure: `progress` is a coroutine function.
    """
    if inspect.iscoroutinefunction(progress):
        raise TaskclusterFailure(f"progress {_OF_ASYNC_CODE}")
    return settings_of(service, max_retries, progress, _storage_failure, object_client("client"))


def object_client(which: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return the class of clients of the object service, `client` or `async_client`.

    Programs' tests replace `taskcluster.aio.download.Object`, for transfers of both modes.
    """
    original = registry.find("async_client", "Object")
    used = getattr(sys.modules.get("taskcluster_objects.aio.download"), "Object", original)
    found: Callable[[Mapping[str, Any]], Any] = registry.find(which, "Object") if used is original else used
    return found


def _storage_failure(*args: Any, **kwargs: Any) -> TaskclusterRestFailure:
    # Programs catch aiohttp's error from sync transfers too. It is imported here because it takes 100 ms.
    try:
        from taskcluster.transport.aiohttp import ServerFailure
    except ImportError:
        return TaskclusterRestFailure(*args, **kwargs)
    return ServerFailure(*args, **kwargs)


def _connection_failure(message: str, cause: BaseException) -> TaskclusterConnectionError:
    try:
        from taskcluster.transport.aiohttp import ConnectionFailed, ConnectionTimedOut
    except ImportError:
        return TaskclusterConnectionError(message, cause)
    is_late = isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)
    return (ConnectionTimedOut if is_late else ConnectionFailed)(message, cause)


def run(procedure: Procedure[T], settings: Settings) -> T:
    """Do a transfer; return its result."""
    transport = RequestsTransport(None, settings.user_agent, _connection_failure)
    try:
        return _Driver(transport, settings, Event()).run(procedure)
    finally:
        transport.close()


class _Driver:
    """Does one procedure after another.

    Args:
        transport: Shared with others that run at the same time.
        settings: What their procedures share.
        stopped: Set when another of them has failed.
    """

    def __init__(self, transport: RequestsTransport, settings: Settings, stopped: Event) -> None:
        self._transport = transport
        self._settings = settings
        self._stopped = stopped
        self._reading: Body | None = None

    def run(self, procedure: Generator[Any, Any, T]) -> T:
        with ExitStack() as self._open, Lanes() as self._lanes:
            advance: Callable[[Any], Effect] = procedure.send
            answer: Any = None
            while True:
                try:
                    effect = advance(answer)
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                try:
                    advance, answer = procedure.send, self._do(effect)
                except BaseException as exc:
                    advance, answer = procedure.throw, exc

    def _do(self, effect: Effect) -> Any:
        self._check()
        match effect:
            case Call():
                return _result(*effect)
            case Open():
                return self._opened(effect)
            case Pump():
                return self._pump(effect.opened.native, effect.sink, effect.report)
            case Discard(opened):
                return opened.native.close()
            case Send():
                return self._send(effect)
            case Take(source):
                return b"".join(_chunks(source, self._lanes, self._stopped))
            case Tell(report, done, total):
                return _plain(report(done, total), "progress")
            case Close(client):
                return self._open.callback(_result, getattr(client, "close", nothing), (), {})
            case Together():
                return self._together(effect)
            case Sleep(seconds):
                # Ended by the failure of another, where there are several.
                return self._stopped.wait(seconds) if seconds > 0 else None

    def _request(self, effect: Open | Send) -> Request:
        return Request(effect.location.method, effect.location.url, dict(effect.headers), None, self._settings.timeout)

    def _opened(self, effect: Open) -> Opened:
        body = self._transport.open(self._request(effect))
        self._open.callback(body.close)
        return Opened(body.status, body.headers, body)

    def stop_reading(self) -> None:
        """End what is being read in another thread."""
        reading = self._reading
        if reading is not None:
            reading.interrupt()

    def _pump(self, body: Body, sink: Sink, report: Report) -> None:
        self._reading = body
        # Who stops us looks at what is being read after this is set: one of the two is seen.
        self._check()
        with body:
            while data := body.read(_PIECE):
                self._check()
                try:
                    for piece in sink.pieces(data, self._lanes):
                        _plain(sink.writer.write(piece), "a writer")
                    _plain(report(sink.received, sink.total), "progress")
                except Exception as exc:
                    sink.failure = exc
                    raise
        self._reading = None

    def _send(self, effect: Send) -> Answer:
        source = effect.source
        try:
            with self._transport.open(self._request(effect), self._body(source, effect.report)) as answered:
                return Answer(answered.status, answered.headers)
        except BaseException:
            failure = source.failure
            if failure is None:
                raise
        # Outside the block, for else the HTTP library's exception, and with it the request, were its context.
        raise failure

    def _body(self, source: Source, report: Report) -> Iterator[bytes]:
        try:
            for chunk in _chunks(source, self._lanes, self._stopped):
                view = memoryview(chunk)
                for start in range(0, len(view), _SLICE):
                    # http.client takes whatever has a buffer.
                    yield view[start : start + _SLICE]  # type: ignore[misc]
                source.sent += len(view)
                _plain(report(source.sent, source.length), "progress")
        except Exception as exc:
            source.failure = exc
            raise

    def _together(self, effect: Together) -> list[Any]:
        stopped = Event()
        drivers: list[_Driver] = []
        waiting = deque(enumerate(effect.procedures))
        results: dict[int, Any] = {}
        failures: list[BaseException] = []

        def stop() -> None:
            stopped.set()
            for each in drivers:
                each.stop_reading()

        def work(driver: _Driver) -> None:
            try:
                while not stopped.is_set():
                    try:
                        number, procedure = waiting.popleft()
                    except IndexError:
                        return
                    results[number] = driver.run(procedure)
            except BaseException as exc:
                # In the order in which they fail: the first is no _Stopped.
                failures.append(exc)
                if not stopped.is_set():
                    stop()
                raise

        with ThreadPoolExecutor(effect.limit, "taskcluster-transfer") as pool:
            running: set[Future[None]] = set()
            finished = 0
            try:
                while not failures:
                    if len(results) == finished and len(drivers) < effect.limit:
                        drivers.append(_Driver(self._transport, self._settings, stopped))
                        running.add(pool.submit(work, drivers[-1]))
                    finished = len(results)
                    may_grow = waiting and len(drivers) < effect.limit
                    if not wait(running, _SLOW if may_grow else None, FIRST_EXCEPTION).not_done:
                        break
            finally:
                # Also where we are interrupted.
                stop()
        if failures:
            raise failures[0]
        return [results[number] for number in range(len(effect.procedures))]

    def _check(self) -> None:
        if self._stopped.is_set():
            raise _Stopped("another transfer has failed")


class _Stopped(TaskclusterFailure):
    """A transfer was not finished because another beside it failed, whose exception it is that gets out."""


_OF_ASYNC_CODE = "must not be async in a sync function: use its twin in taskcluster.aio"


def nothing() -> None:
    """Close nothing: clients that programs' tests put in the place of ours may have no `close`."""


def _plain(answer: Any, whose: str) -> Any:
    """Return what a function of the caller's returned; raise TaskclusterFailure where it is to be awaited."""
    return plain(answer, f"{whose} {_OF_ASYNC_CODE}")


def _chunks(source: Source, lanes: Lanes, stopped: Event) -> Iterator[bytes]:
    """Yield the bytes of a source, the last of them only when it is sure that no others follow."""
    held = b""
    while data := source.accept(_plain(source.reader.read(source.wanted()), "a reader"), lanes):
        if stopped.is_set():
            raise _Stopped("another transfer has failed")
        if held:
            yield held
        held = data
    if held:
        yield held


def _result(function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    owner = getattr(function, "__self__", None)
    if isinstance(owner, AsyncBaseClient):
        # Its session belongs to the caller's event loop, which may be waiting for us: a twin has one of its own.
        twin = copy.copy(owner)
        twin.session = None
        function = getattr(twin, function.__name__)
    result = function(*arguments, **keywords)
    if not inspect.isawaitable(result):
        return result

    async def awaited() -> Any:
        return await result

    with ThreadPoolExecutor(1, "taskcluster-call") as thread:
        return thread.submit(asyncio.run, awaited()).result()
