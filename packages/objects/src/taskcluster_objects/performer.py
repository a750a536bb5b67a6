"""Performs the effects of sync transfers over requests."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Any, TypeVar

import requests
import urllib3.exceptions

from taskcluster.aio.asyncclient import AsyncBaseClient
from taskcluster.awaitables import awaited, plain
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from taskcluster.runner import run
from taskcluster.transport.bodies import Body
from taskcluster.transport.requests import RequestsTransport

from .bodies import Sink, Source, keep_freed_memory
from .effects import (
    Close,
    CloseClient,
    Effect,
    Gather,
    Invoke,
    Open,
    Opened,
    Procedure,
    Progress,
    ReadAll,
    ReadBody,
    ReportProgress,
    SendBody,
    Sleep,
    Uploaded,
)
from .hashing import hash_threads
from .settings import TransferSettings, object_client

__all__ = ["transfer", "transfer_settings"]

T = TypeVar("T")

_READ_SIZE = 256 * 1024
"""The most bytes to read at a time."""
_GROW_AFTER = 0.002
"""Start another thread if no transfer has ended for so many seconds. Transfers that end sooner wait little for the
network, and more threads would only compete for the interpreter."""
_SEND_SIZE = 128 * 1024
"""Bytes to pass to the socket at a time. Its timeout applies to all of them."""


def transfer_settings(service: Any, max_retries: int | None, progress: Progress | None) -> TransferSettings:
    """Return the settings of a sync transfer.

    Raises:
        TaskclusterFailure: `progress` is a coroutine function.
    """
    if inspect.iscoroutinefunction(progress):
        raise TaskclusterFailure(f"progress {_MUST_BE_SYNC}")
    return TransferSettings.of(service, max_retries, progress, _storage_failure, object_client("client"))


def _storage_failure(*args: Any, **kwargs: Any) -> TaskclusterRestFailure:
    # Programs catch aiohttp's error from sync transfers too. Importing it takes 100 ms.
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
    is_timeout = isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)
    return (ConnectionTimedOut if is_timeout else ConnectionFailed)(message, cause)


def transfer(procedure: Procedure[T], settings: TransferSettings) -> T:
    """Run a transfer, and return its result."""
    keep_freed_memory()
    transport = RequestsTransport(None, settings.user_agent, _connection_failure)
    try:
        return _SyncPerformer(transport, Event()).run(procedure)
    finally:
        transport.close()


class _SyncPerformer:
    """Performs the effects of one procedure after another.

    Args:
        transport: Shared with those that run concurrently.
        stopped: Set when one of them has failed.
    """

    def __init__(self, transport: RequestsTransport, stopped: Event) -> None:
        self._transport = transport
        self._stopped = stopped
        self._is_stopping = False
        self._reading: Body | None = None

    def run(self, procedure: Generator[Any, Any, T]) -> T:
        with hash_threads(2) as self._hashing:
            return run(procedure, self._perform)

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Close(opened):
                return opened.native.close()
            case CloseClient(client):
                # A fake may have no `close`.
                return _call(client.close, (), {}) if hasattr(client, "close") else None
            case _:
                self._check()
        match effect:
            case Invoke(function, arguments, keywords):
                return _call(function, arguments, keywords)
            case Open(request):
                body = self._transport.open(request)
                return Opened(body.status, body.headers, body)
            case ReadBody(opened, sink, report):
                return self._read_body(opened.native, sink, report)
            case SendBody():
                return self._send_body(effect)
            case ReadAll(source):
                return b"".join(_source_chunks(source, self._hashing, self._check))
            case ReportProgress(report, done, total):
                return _sync_result(report(done, total), "progress")
            case Gather():
                return self._gather(effect)
            case Sleep(seconds):
                # Ends early if another transfer fails.
                return self._stopped.wait(seconds) if seconds > 0 else None

    def stop_reading(self) -> None:
        """Interrupt the read of another thread."""
        reading = self._reading
        if reading is not None:
            reading.interrupt()

    def _read_body(self, body: Body, sink: Sink, report: Progress) -> None:
        self._reading = body
        # Checked after `_reading` is set. stop_reading() runs after `_stopped` is set, so one of the two takes effect.
        self._check()
        with body:
            while data := body.read(_READ_SIZE):
                self._check()
                try:
                    for piece in sink.pieces(data, self._hashing):
                        _sync_result(sink.writer.write(piece), "a writer")
                    _sync_result(report(sink.received, sink.total), "progress")
                except Exception as exc:
                    sink.failure = exc
                    raise
        self._reading = None

    def _send_body(self, effect: SendBody) -> Uploaded:
        source = effect.source
        try:
            with self._transport.open(effect.request, self._body(source, effect.report)) as response:
                return Uploaded(response.status, response.headers)
        except BaseException:
            failure = source.failure
            if failure is None:
                raise
        # Outside the block, so that the HTTP library's exception, which holds the request, is not its context.
        raise failure

    def _body(self, source: Source, report: Progress) -> Iterator[bytes]:
        try:
            for chunk in _source_chunks(source, self._hashing, self._check):
                view = memoryview(chunk)
                for start in range(0, len(view), _SEND_SIZE):
                    # http.client accepts any bytes-like object.
                    yield view[start : start + _SEND_SIZE]  # type: ignore[misc]
                source.sent += len(view)
                _sync_result(report(source.sent, source.length), "progress")
        except Exception as exc:
            source.failure = exc
            raise

    def _gather(self, effect: Gather) -> list[Any]:
        stopped = Event()
        performers: list[_SyncPerformer] = []
        waiting = deque(enumerate(effect.procedures))
        results: dict[int, Any] = {}
        failures: list[BaseException] = []

        def stop() -> None:
            stopped.set()
            for each in performers:
                each.stop_reading()

        def work(performer: _SyncPerformer) -> None:
            try:
                while not stopped.is_set():
                    try:
                        number, procedure = waiting.popleft()
                    except IndexError:
                        return
                    results[number] = performer.run(procedure)
            except BaseException as exc:
                # The first is the cause; _Stopped follows.
                failures.append(exc)
                if not stopped.is_set():
                    stop()
                raise

        with ThreadPoolExecutor(effect.limit, "taskcluster-transfer") as pool:
            running: set[Future[None]] = set()
            finished = 0
            try:
                while not failures:
                    if len(results) == finished and len(performers) < effect.limit:
                        performers.append(_SyncPerformer(self._transport, stopped))
                        running.add(pool.submit(work, performers[-1]))
                    finished = len(results)
                    may_grow = waiting and len(performers) < effect.limit
                    if not wait(running, _GROW_AFTER if may_grow else None, FIRST_EXCEPTION).not_done:
                        break
            finally:
                # Also after KeyboardInterrupt.
                stop()
        if failures:
            raise failures[0]
        return [results[number] for number in range(len(effect.procedures))]

    def _check(self) -> None:
        # Raised once, because the procedure then cleans up.
        if self._stopped.is_set() and not self._is_stopping:
            self._is_stopping = True
            raise _Stopped("another transfer has failed")


class _Stopped(TaskclusterFailure):
    """A transfer was stopped because another one failed. Only the exception of that one is raised to the program."""


_MUST_BE_SYNC = "must not be async in a sync function: use its async counterpart in taskcluster.aio"


def _sync_result(value: Any, whose: str) -> Any:
    """Return the result of a function of the program's; raise TaskclusterFailure if it is awaitable."""
    return plain(value, f"{whose} {_MUST_BE_SYNC}")


def _source_chunks(source: Source, hashing: Sequence[Executor], check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the bytes of a source. The last are yielded only when the reader has returned its end."""
    held = b""
    while data := source.accept(_sync_result(source.reader.read(source.wanted()), "a reader"), hashing):
        check()
        if held:
            yield held
        held = data
    if held:
        yield held


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    owner = getattr(function, "__self__", None)
    if isinstance(owner, AsyncBaseClient):
        # Its session belongs to the caller's event loop, which may be blocked by this function. A copy opens another.
        copied = copy.copy(owner)
        copied.session = None
        function = getattr(copied, function.__name__)
    result = function(*arguments, **keywords)
    if not inspect.isawaitable(result):
        return result
    with ThreadPoolExecutor(1, "taskcluster-call") as thread:
        return thread.submit(asyncio.run, awaited(result)).result()
