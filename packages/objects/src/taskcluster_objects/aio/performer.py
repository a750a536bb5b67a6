"""Performs the effects of async transfers over aiohttp. Blocking functions run in threads."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import aiohttp

from taskcluster.aio.asyncclient import AsyncBaseClient
from taskcluster.awaitables import awaited
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterFailure
from taskcluster.runner import run_async
from taskcluster.transport.aiohttp import (
    AiohttpTransport,
    ConnectionTimedOut,
    ServerFailure,
    broken_response,
    own_session,
)

from ..bodies import MemoryReader, MemoryWriter, Sink, Source, keep_freed_memory
from ..effects import (
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
from ..hashing import hash_threads
from ..settings import TransferSettings, object_client
from .large_bodies import LargeBody

__all__ = ["transfer", "transfer_settings"]

T = TypeVar("T")

_BUFFER = 512 * 1024
"""Bytes that aiohttp reads ahead; it pauses at twice as many."""
_BATCH = 1024 * 1024
"""The most bytes to write at a time. Each time wakes a thread."""
_MAX_PIECES = 16
"""The most pieces to write one by one; more are joined. Servers may send small chunks."""
_SEND_SIZE = 128 * 1024
"""Bytes to pass to the socket at a time. asyncio copies what the socket does not accept at once."""
_SMALL = 64 * 1024
"""Bytes that take less time to hash than waking a thread does."""


def transfer_settings(service: Any, max_retries: int | None, progress: Progress | None) -> TransferSettings:
    """Return the settings of an async transfer."""
    return TransferSettings.of(service, max_retries, progress, ServerFailure, object_client("async_client"))


async def transfer(procedure: Procedure[T], settings: TransferSettings) -> T:
    """Run a transfer, and return its result."""
    keep_freed_memory()
    connector = aiohttp.TCPConnector(limit=0)
    async with own_session(
        connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=_BUFFER
    ) as session:
        return await _AsyncPerformer(session, settings).run(procedure)


class _AsyncPerformer:
    """Performs the effects of one procedure.

    Args:
        session: Shared with those that run concurrently.
        settings: What their procedures share.
    """

    def __init__(self, session: aiohttp.ClientSession, settings: TransferSettings) -> None:
        self._session = session
        self._transport = AiohttpTransport(settings.user_agent)
        self._settings = settings

    async def run(self, procedure: Generator[Any, Any, T]) -> T:
        # The thread for files computes the faster hash. One more thread would keep the slower one from its core.
        with hash_threads(1) as self.hashing, ThreadPoolExecutor(1, "taskcluster-file") as self._pool:
            return await run_async(procedure, self._perform)

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Close(opened):
                return opened.native.close()
            case CloseClient(client):
                # A fake may have no `close`.
                return await awaited(client.close()) if hasattr(client, "close") else None
            case Invoke(function, arguments, keywords):
                return await self._call(function, arguments, keywords)
            case Open(request):
                response = await self._transport.open(self._session, request)
                return Opened(response.status, response.headers, response)
            case ReadBody(opened, sink, report):
                return await self._read_body(opened.native, sink, report)
            case SendBody():
                return await self._send_body(effect)
            case ReadAll(source):
                return await _Chunks(source, self).rest()
            case ReportProgress(report, done, total):
                return await awaited(report(done, total))
            case Gather():
                return await self._gather(effect)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)

    async def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        is_async = isinstance(getattr(function, "__self__", None), AsyncBaseClient)
        if is_async or inspect.iscoroutinefunction(function) or function is MemoryWriter:
            result = function(*arguments, **keywords)
        else:
            result = await self.in_thread(partial(function, **keywords), *arguments)
        return await awaited(result)

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a blocking function in a thread. If cancelled, wait for it, because its file is closed afterwards."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, lambda: _caught(function, arguments))
        try:
            is_raised, result = await asyncio.shield(running)
        except asyncio.CancelledError:
            await _wait_for_all(running)
            raise
        if is_raised:
            raise result
        return result

    async def _read_body(self, response: aiohttp.ClientResponse, sink: Sink, report: Progress) -> None:
        large = LargeBody.of(response, self._settings.timeout[1])
        read = 0
        while pieces := await (_read(response, read) if large is None else large.read()):
            read += sum(map(len, pieces))
            if len(pieces) > _MAX_PIECES:
                pieces = [b"".join(pieces)]
            try:
                await self._write(sink, pieces)
                await awaited(report(sink.received, sink.total))
            except Exception as exc:
                sink.failure = exc
                raise
        response.release()

    async def _write(self, sink: Sink, pieces: list[bytes]) -> None:
        is_little = sink.received + sum(map(len, pieces)) <= _SMALL
        if is_little and isinstance(sink.writer, MemoryWriter) and not sink.encoding:
            _write_all(sink, pieces, self.hashing)
        elif inspect.iscoroutinefunction(sink.writer.write):
            decoded = sink.pieces(b"".join(pieces), self.hashing)
            while (piece := await self.in_thread(next, decoded, None)) is not None:
                await sink.writer.write(piece)
        else:
            for result in await self.in_thread(_write_all, sink, pieces, self.hashing):
                await result

    async def _send_body(self, effect: SendBody) -> Uploaded:
        source = effect.source
        failure: BaseException
        idle_timeout = _IdleTimeout(self._settings.timeout[1])
        body = _Body(effect, self, idle_timeout)
        # A separate task, which the idle timeout can cancel.
        payload = _Payload(body)
        sending = asyncio.ensure_future(self._transport.open(self._session, effect.request, payload))
        idle_timeout.cancels(sending)
        try:
            response = await sending
            response.close()
            payload.transport = None
            return Uploaded(response.status, response.headers)
        except (TaskclusterConnectionError, aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            failure = source.failure or (exc if isinstance(exc, TaskclusterConnectionError) else broken_response(exc))
        except asyncio.CancelledError:
            if not idle_timeout.is_over:
                raise
            failure = ConnectionTimedOut("storage accepted no more of the body: timed out", None)
        finally:
            idle_timeout.stop()
            if not sending.done():
                sending.cancel()
                await _wait_for_all(sending)
            if payload.transport is not None:
                # Closing would wait until the rest of the body is sent.
                payload.transport.abort()
            # A thread may still be reading for the body.
            await body.idle()
        # Outside the blocks, so that the HTTP library's exception, which holds the request, is not its context.
        raise failure

    async def _gather(self, effect: Gather) -> list[Any]:
        gate = asyncio.Semaphore(effect.limit)

        async def one(procedure: Procedure[Any]) -> Any:
            async with gate:
                return await _AsyncPerformer(self._session, self._settings).run(procedure)

        running = [asyncio.ensure_future(one(each)) for each in effect.procedures]
        try:
            return await asyncio.gather(*running)
        finally:
            for each in running:
                each.cancel()
            await _wait_for_all(*running)


class _IdleTimeout:
    """Cancels a task if storage accepts no bytes for some seconds. Time that the reader takes does not count."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None
        self._task: asyncio.Future[Any] | None = None
        self.is_over = False

    def cancels(self, task: asyncio.Future[Any]) -> None:
        self._task = task

    def start(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._cancel)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _cancel(self) -> None:
        self.is_over = True
        if self._task is not None:
            self._task.cancel()


class _Chunks:
    """The bytes of a source. The last are returned only when the reader has returned its end."""

    def __init__(self, source: Source, performer: _AsyncPerformer) -> None:
        self._source = source
        self._performer = performer
        self._held = b""
        self._ended = False

    async def next(self) -> bytes:
        """Return the next bytes, or no bytes at the end."""
        while not self._ended:
            try:
                data = await self._read()
            except StopAsyncIteration as exc:
                # A caller would take it for the end.
                raise TaskclusterFailure(
                    "the reader raised StopAsyncIteration; at the end, read must return an empty value"
                ) from exc
            self._ended = not data
            held, self._held = self._held, data
            if held:
                return held
        return b""

    async def rest(self) -> bytes:
        """Return all remaining bytes."""
        chunks: list[bytes] = []
        while chunk := await self.next():
            chunks.append(chunk)
        return b"".join(chunks)

    async def _read(self) -> bytes:
        source, performer = self._source, self._performer
        read = source.reader.read
        data: Any
        if inspect.iscoroutinefunction(read):
            data = await read(source.wanted())
        elif isinstance(source.reader, MemoryReader) and source.length <= _SMALL:
            return source.accept(read(source.wanted()), performer.hashing)
        else:
            data, is_accepted = await performer.in_thread(_read_and_accept, source, performer.hashing)
            if is_accepted:
                return data  # type: ignore[no-any-return]
            data = await data
        return await performer.in_thread(source.accept, data, performer.hashing)  # type: ignore[no-any-return]


class _Body:
    """A source as the body of a request. It reads one chunk ahead while another is being sent."""

    def __init__(self, effect: SendBody, performer: _AsyncPerformer, idle_timeout: _IdleTimeout) -> None:
        self._source = effect.source
        self._report = effect.report
        self._idle_timeout = idle_timeout
        self._chunks = _Chunks(effect.source, performer)
        self._next: asyncio.Task[bytes] | None = None
        self._view = memoryview(b"")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._idle_timeout.stop()
        try:
            if not self._view:
                self._view = memoryview(await self._ahead())
            piece, self._view = self._view[:_SEND_SIZE], self._view[_SEND_SIZE:]
            if piece:
                self._source.sent += len(piece)
                await awaited(self._report(self._source.sent, self._source.length))
        except Exception as exc:
            self._source.failure = exc
            # Wrapped, because aiohttp would take StopAsyncIteration for the end.
            raise RuntimeError("the body cannot be read") from exc
        if not piece:
            raise StopAsyncIteration
        self._idle_timeout.start()
        return piece  # type: ignore[return-value]

    async def _ahead(self) -> bytes:
        running = self._next or asyncio.ensure_future(self._chunks.next())
        self._next = running
        chunk = await asyncio.shield(running)
        self._next = asyncio.ensure_future(self._chunks.next()) if chunk else None
        return chunk

    async def idle(self) -> None:
        """Wait until no thread is reading."""
        running, self._next = self._next, None
        if running is not None:
            running.cancel()
            await _wait_for_all(running)


class _Payload(aiohttp.AsyncIterablePayload):
    """A body that remembers the transport it is sent over."""

    transport: asyncio.WriteTransport | None = None

    async def write(self, writer: Any) -> None:
        self.transport = getattr(writer, "transport", None)
        await super().write(writer)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        self.transport = getattr(writer, "transport", None)
        await super().write_with_length(writer, content_length)


async def _wait_for_all(*running: asyncio.Future[Any]) -> None:
    """Wait until all are done, and ignore their results. A cancellation in the meantime is raised afterwards.

    Otherwise a thread could outlive the transfer, and block the event loop at its end.
    """
    cancelled: asyncio.CancelledError | None = None
    while not all(each.done() for each in running):
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as exc:
            cancelled = exc
    for each in running:
        if not each.cancelled():
            # Otherwise asyncio logs that the exception was never retrieved.
            each.exception()
    if cancelled is not None:
        raise cancelled


async def _read(response: aiohttp.ClientResponse, read: int) -> list[bytes]:
    """Return the next bytes as soon as there are any, in the pieces in which they arrived; an empty list at the end.

    `read`: The number of bytes read so far.
    """
    content = response.content
    pieces: list[bytes] = []
    size = 0
    try:
        while size < _BATCH and (not pieces or content.total_bytes > read + size):
            # Not read(), because it joins the pieces: copying them takes a tenth of a download.
            piece, ends_chunk = await content.readchunk()
            if piece:
                pieces.append(piece)
                size += len(piece)
            elif not ends_chunk:
                break
        return pieces
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
        failure = broken_response(exc, response)
    raise failure from failure.superExc


def _write_all(sink: Sink, pieces: list[bytes], hashing: Sequence[Executor]) -> list[Any]:
    """Write, and return the awaitables that the writer returned."""
    results = [sink.writer.write(decoded) for piece in pieces for decoded in sink.pieces(piece, hashing)]
    return [result for result in results if inspect.isawaitable(result)]


def _read_and_accept(source: Source, hashing: Sequence[Executor]) -> tuple[Any, bool]:
    """Return the accepted bytes and True, or an awaitable of the reader's and False."""
    data = source.reader.read(source.wanted())
    return (data, False) if inspect.isawaitable(data) else (source.accept(data, hashing), True)


def _caught(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    # A future cannot hold StopIteration.
    try:
        return False, function(*arguments)
    except Exception as exc:
        return True, exc
