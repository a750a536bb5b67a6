"""Serve a deployment on a socket, from a thread with its own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Generator
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from . import storage, storage_http
from .api import LARGEST_BODY, HttpRequest, HttpResponse
from .authentication import Client
from .deployment import ROOT_CLIENT, Configuration, Deployment
from .events import Subscription
from .http_server import ERROR_HEADERS, HttpServer
from .listening import Inbox
from .pulse_outbox import PulseOutbox
from .services.notify.outbox import Notification
from .site.sessions import PageCredentials, Sessions
from .store import DATABASE, Store, data_directory
from .stream import Feed

if TYPE_CHECKING:
    from .broker import BrokerPublisher

__all__ = ["LocalServer", "host_name", "is_loopback"]

_JOB_INTERVAL_SECONDS = 1.0
_SHUTDOWN_SECONDS = 5.0
_STALLED_SECONDS = 30.0
"""How long a client of a stream may not read while there is something to read."""
_LAST_CHUNK_SECONDS = 1.0
"""How long such a client may not read when the server stops."""
_MISDIRECTED = 421
_BACKLOG = 4096
"""The longest queue of connections to accept: a thousand clients may start at once."""

_log = logging.getLogger("taskcluster.local")

_T = TypeVar("_T")


def is_loopback(host: str) -> bool:
    """Return whether `host` can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_name(host: str) -> str:
    """Return the name in a Host header, in lower case and without the port."""
    name, colon, port = host.strip().lower().rpartition(":")
    return name if colon and (port.isdecimal() or not port) and not name.endswith(":") else host.strip().lower()


def _is_local(name: str) -> bool:
    """Return whether a name in a Host header can only mean this machine."""
    try:
        address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return name == "localhost"
    return address.is_loopback


class _State:
    """A deployment with its store and files. `with` keeps it open, even after it has been replaced."""

    def __init__(
        self,
        configuration: Configuration,
        data: Path | None,
        root_url: str,
        reset: Callable[[], Awaitable[None]],
        feed: Feed,
        sessions: Sessions,
    ) -> None:
        self._temporary = None
        if data is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="taskcluster-local-"))
        self._users = 0
        self._retired = False
        try:
            directory = self._temporary if data is None else data_directory(data)
            assert directory is not None
            self._store = Store() if data is None else Store(directory / DATABASE)
            try:
                self.deployment = Deployment(
                    configuration,
                    self._store,
                    directory / "files",
                    root_url,
                    reset if data is None else None,
                    feed,
                    sessions,
                )
            except BaseException:
                self._store.close()
                raise
        except BaseException:
            self._remove_files()
            raise

    def __enter__(self) -> Deployment:
        self._users += 1
        return self.deployment

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        self._close_if_unused()

    def retire(self) -> None:
        """Finish waiting requests, and close everything once it is unused."""
        self._retired = True
        self.deployment.end_waiting()
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and not self._users:
            self._store.close()
            self._remove_files()

    def _remove_files(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


class LocalServer:
    """A running server. `started` is done once it responds or has failed to start, `ended` once everything is closed.

    Its coroutines run on its own event loop; `submit` runs them there.

    Args:
        configuration: The configuration of the deployment.
        data: The directory for its state; None for memory.
        host: The address to listen on.
        port: The port to listen on; 0 for any free port.
        allow_hosts: Further names to accept in the Host header of requests, if only this machine can connect.

    Raises:
        OSError, ValueError: The address cannot be used.
    """

    def __init__(
        self, configuration: Configuration, data: Path | None, host: str, port: int, allow_hosts: Collection[str] = ()
    ) -> None:
        listening = _listen(host, port)
        loopback = ipaddress.ip_address(listening.getsockname()[0]).is_loopback
        # None if other machines can connect: they may use names that are not known here.
        self._names = frozenset(map(host_name, (host, *allow_hosts))) if loopback else None
        self.root_url = _root_url(host, listening.getsockname()[1])
        self._sessions = Sessions(self.root_url)
        self.started: Future[None] = Future()
        self.ended: Future[None] = Future()
        self._configuration = configuration
        self._data = data
        self._to_stop: Future[None] = Future()
        self.on_reset: Callable[[], None] | None = None
        """Called after each reset, on the server's event loop."""
        self._inboxes: dict[Inbox, Subscription] = {}
        self._loop: asyncio.AbstractEventLoop
        self._state: _State
        self._feed: Feed
        self._publisher: BrokerPublisher | None
        self._sending: set[asyncio.Transport] = set()
        self._one_job_run: asyncio.Lock
        self._one_background_run: asyncio.Lock
        self.thread = threading.Thread(target=self._run, args=(listening,), name="taskcluster-local", daemon=True)
        self.thread.start()

    @property
    def accessToken(self) -> str:
        """The access token of the root client."""
        return self._state.deployment.accessToken

    def sign_in_url(self) -> str:
        """Return the address of a page where someone can sign in as the root client, once."""
        code = self._sessions.new_code(PageCredentials(ROOT_CLIENT, self.accessToken))
        return f"{self.root_url}/signin?code={code}"

    def now(self) -> datetime:
        """Return the deployment's time."""
        return self._state.deployment.clock()

    def stop(self) -> None:
        """Request the server to stop."""
        self._to_stop.set_result(None)

    def submit(self, procedure: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run a coroutine of this server on its event loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(procedure, self._loop)

    async def advance(self, span: timedelta) -> None:
        """Move the deployment's time forward and do what is due by then."""
        now = self._state.deployment.clock.advance(span)
        await self._run_jobs()
        await self._run_background_jobs()
        # Last: workers get the tasks that have become pending.
        self._state.deployment.end_polls(now)

    async def reset(self) -> None:
        """Replace the deployment by a new one."""
        if self._data is not None:
            raise RuntimeError(f"reset() would delete the contents of {self._data}: use it without `data`")
        old, self._state = self._state, self._new_state()
        self._feed.attach(self._state.deployment.events)
        if self._publisher is not None:
            self._publisher.wake()
        for inbox in self._inboxes:
            inbox.messages.clear()
            self._inboxes[inbox] = self._state.deployment.events.subscribe(inbox.bindings, inbox.receive)
        old.retire()
        if self.on_reset is not None:
            self.on_reset()

    def _new_state(self) -> _State:
        state = _State(self._configuration, self._data, self.root_url, self.reset, self._feed, self._sessions)
        outbox = state.deployment.pulse_outbox
        if outbox is not None and self._publisher is not None:
            outbox.on_added = self._publisher.wake
        return state

    async def outbox(self) -> list[Notification]:
        """Return the notifications that a real deployment would have sent."""
        return self._state.deployment.shared.outbox.messages()

    async def new_client(self, scopes: tuple[str, ...]) -> Client:
        """Create a client with these scopes only."""
        return self._state.deployment.new_client(scopes)

    async def listen(self, inbox: Inbox) -> None:
        """Start to put messages into an inbox."""
        self._inboxes[inbox] = self._state.deployment.events.subscribe(inbox.bindings, inbox.receive)

    def unlisten(self, inbox: Inbox) -> None:
        """Stop putting messages into an inbox; called by other threads. If the server has stopped, it has done so."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end_inbox, inbox)

    def _end_inbox(self, inbox: Inbox) -> None:
        subscription = self._inboxes.pop(inbox, None)
        if subscription is not None:
            subscription.close()
            inbox.end()

    def _run(self, listening: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listening))
        except BaseException as error:
            (self.ended if self.started.done() else self.started).set_exception(error)
        if not self.ended.done():
            self.ended.set_result(None)

    async def _serve(self, listening: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._one_job_run = asyncio.Lock()
        self._one_background_run = asyncio.Lock()
        # Also closes the socket if the server fails to start.
        with listening:
            self._feed = Feed()
            self._publisher = self._new_publisher()
            self._state = self._new_state()
            self._feed.attach(self._state.deployment.events)
            publishing = None if self._publisher is None else asyncio.create_task(self._publisher.run())
            try:
                async with _serving(self._respond, listening):
                    repeated = [
                        asyncio.create_task(self._repeat(what)) for what in (self._run_jobs, self._run_background_jobs)
                    ]
                    self.started.set_result(None)
                    await asyncio.wrap_future(self._to_stop)
                    self._state.deployment.end_waiting()
                    self._end_streams()
                    for each in repeated:
                        each.cancel()
                    await asyncio.wait(repeated)
            finally:
                for inbox in list(self._inboxes):
                    self._end_inbox(inbox)
                if publishing is not None:
                    await self._end_publishing(publishing)
                self._state.retire()

    def _new_publisher(self) -> BrokerPublisher | None:
        settings = self._configuration.pulse
        if settings is None:
            return None
        # It needs an optional dependency.
        from .broker import BrokerPublisher

        return BrokerPublisher(settings, self._configuration.interface().exchanges, self._open_pulse_outbox)

    @contextlib.contextmanager
    def _open_pulse_outbox(self) -> Generator[PulseOutbox, None, None]:
        with self._state as deployment:
            assert deployment.pulse_outbox is not None
            yield deployment.pulse_outbox

    async def _end_publishing(self, publishing: asyncio.Task[None]) -> None:
        """Publish what is left, if that does not take long."""
        assert self._publisher is not None
        self._publisher.stop()
        await asyncio.wait([publishing], timeout=_SHUTDOWN_SECONDS)
        publishing.cancel()
        await asyncio.wait([publishing])
        with self._open_pulse_outbox() as outbox:
            left = outbox.count()
        if left:
            fate = "they are lost" if self._data is None else "they will be when it starts with this directory again"
            _log.warning("%d messages were not published; %s", left, fate)

    async def _repeat(self, what: Callable[[], Awaitable[None]]) -> None:
        while True:
            await what()
            await asyncio.sleep(_JOB_INTERVAL_SECONDS)

    async def _run_jobs(self) -> None:
        async with self._one_job_run:
            with self._state as deployment:
                await deployment.run_jobs()

    async def _run_background_jobs(self) -> None:
        async with self._one_background_run:
            with self._state as deployment:
                await deployment.run_background_jobs()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        foreign = self._foreign_host(request)
        if foreign is not None:
            return _misdirected(foreign)
        if request.raw_path.startswith(storage.PREFIX):
            with self._state as deployment:
                return await storage_http.respond(request, deployment.shared.storage)
        received = await _read_request(request)
        with self._state as deployment:
            response = await deployment.api.respond(received)
            if response.stream is None:
                return web.Response(status=response.status, headers=response.headers, body=response.body)
            if not response.is_endless:
                return await self._send_stream(request, response, response.stream)
        # A deployment that was reset is closed while its events are still being read.
        return await self._send_stream(request, response, response.stream)

    async def _send_stream(
        self, request: web.BaseRequest, response: HttpResponse, stream: Callable[[], AsyncGenerator[bytes, None]]
    ) -> web.StreamResponse:
        sent = web.StreamResponse(status=response.status, headers=response.headers)
        # The client may disconnect at any time.
        with contextlib.suppress(ConnectionError):
            await sent.prepare(request)
            if request.method == "HEAD":
                return sent
            async with contextlib.aclosing(stream()) as chunks:
                async for chunk in chunks:
                    await self._send(request, sent, chunk)
        return sent

    async def _send(self, request: web.BaseRequest, response: web.StreamResponse, chunk: bytes) -> None:
        """Send a chunk. If the client does not read for some time, disconnect it."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        timer = self._loop.call_later(_STALLED_SECONDS, transport.abort)
        self._sending.add(transport)
        try:
            await response.write(chunk)
        finally:
            timer.cancel()
            self._sending.discard(transport)

    def _end_streams(self) -> None:
        self._feed.close()
        # They would delay the end until they are read.
        for stalled in list(self._sending):
            self._loop.call_later(_LAST_CHUNK_SECONDS, stalled.abort)

    def _foreign_host(self, request: web.BaseRequest) -> str | None:
        """Return the Host header if it names another machine.

        The host name of any site can resolve to this machine (DNS rebinding). The browser then sends that name here,
        and would let the site's pages read the responses.
        """
        if self._names is None:
            return None
        for host in request.headers.getall("Host", ()):
            name = host_name(host)
            if name not in self._names and not _is_local(name):
                return host
        return None


def _misdirected(host: str) -> web.Response:
    # It may contain bytes that are not UTF-8.
    shown = ascii(host)
    message = (
        f"This local deployment listens to this machine only and does not respond to requests for the host {shown}. "
        "To allow that name, use --allow-host or LocalTaskcluster(allow_hosts=…)."
    )
    return web.json_response(
        {"code": "MisdirectedRequest", "message": message}, status=_MISDIRECTED, headers=ERROR_HEADERS
    )


@contextlib.asynccontextmanager
async def _serving(respond: Any, listening: socket.socket) -> AsyncGenerator[None, None]:
    runner = web.ServerRunner(HttpServer(respond), shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()
        yield
    finally:
        await runner.cleanup()


async def _read_request(request: web.BaseRequest) -> HttpRequest:
    method, target = request.method, request.raw_path
    received = HttpRequest(method, target, request.headers)
    # Bodies of other types are not read, however large they are.
    if not request.body_exists or not (received.has_json or received.has_form):
        return received
    if request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > LARGEST_BODY:
            return HttpRequest(method, target, request.headers, None)
    return HttpRequest(method, target, request.headers, bytes(body))


def _listen(host: str, port: int) -> socket.socket:
    """Return one bound socket. A name may have several addresses, which would get different free ports."""
    try:
        family, _, _, _, bind_to = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(bind_to[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise type(error)(error.errno, f"cannot listen at {host}, port {port}: {error.strerror}") from error
    except ValueError as error:
        # No host name can look like this.
        raise ValueError(f"cannot listen at {host!r}: {error}") from error


def _root_url(host: str, port: int) -> str:
    """Return the root URL of a server that listens on `host`: on this machine, if it listens on all addresses."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
