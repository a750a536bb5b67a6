"""The deployment on a socket, in a thread with an event loop of its own, for programs that do something else."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from concurrent.futures import Future
from datetime import timedelta
from types import TracebackType
from typing import Any

from aiohttp import web

from taskcluster.slugs import slugId

from .api import LARGEST_BODY, Request
from .deployment import ROOT_CLIENT, Configuration, Deployment
from .services.auth.state import client_of
from .store import Store
from .timestamps import Clock, system_clock

__all__ = ["LocalTaskcluster", "is_loopback"]

_log = logging.getLogger("taskcluster.local")

_RESOLVE_SECONDS = 5.0
_LONGEST_LINE = 16 * 1024
"""Of a request's first line and of a header, in bytes."""
_KEEP_ALIVE_SECONDS = 90
_SHUTDOWN_SECONDS = 5.0


def is_loopback(host: str) -> bool:
    """Whether `host` is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class LocalTaskcluster:
    """A local Taskcluster, for development and tests, that runs as long as the `with` block.

    Use it with `with` or `async with`. Either way it serves from a thread of its own, so that blocking clients may be
    used in the block. All its state is in memory and gone at the end. The same object can be entered again, and then
    starts empty.

    Args:
        host: Where to listen; only this machine unless told otherwise.
        port: Where to listen; 0 for any port that is free.
        accessToken: Of the root client; a random one if not given.
        clients: Further clients: mappings with clientId, accessToken, scopes and perhaps expires.
        roles: Scopes of roles, by roleId; `anonymous` in place of the usual read-only one.
        clock: Tells the time, as an aware datetime in UTC.
        claim_timeout: Seconds that a claimed task stays with its worker unless the claim is renewed.

    Raises:
        ApiError: The clients or roles are not possible (InputError).
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        accessToken: str | None = None,
        clients: Iterable[Mapping[str, Any]] = (),
        roles: Mapping[str, Collection[str]] | None = None,
        clock: Clock = system_clock,
        claim_timeout: float = 1200.0,
    ) -> None:
        self._host = host
        self._port = port
        self._configuration = Configuration(
            accessToken=accessToken or _token(),
            queue_token=_token(),
            clients=[client_of(client) for client in clients],
            roles=roles or {},
            clock=clock,
            claim_timeout=timedelta(seconds=claim_timeout),
        )
        # Here already, so that a mistake shows up where it was made.
        self._configuration.accounts()
        self._running: _Running | None = None

    @property
    def root_url(self) -> str:
        """The root URL; known while the server runs."""
        if self._running is None:
            raise RuntimeError("the local Taskcluster is not running: use it in a `with` block")
        return self._running.root_url

    @property
    def credentials(self) -> dict[str, str]:
        """The credentials of the root client, which may do everything (scope `*`)."""
        return {"clientId": ROOT_CLIENT, "accessToken": self._configuration.accessToken}

    def options(self) -> dict[str, Any]:
        """Return options for a client: where this deployment is, and credentials for it."""
        return {"rootUrl": self.root_url, "credentials": self.credentials}

    def __enter__(self) -> LocalTaskcluster:
        running = self._start()
        try:
            running.started.result()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = self._stop()
        running.ended.result()
        running.thread.join()

    async def __aenter__(self) -> LocalTaskcluster:
        running = self._start()
        try:
            await asyncio.wrap_future(running.started)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The caller's loop runs on meanwhile: connections that it still holds can only end there.
        running = self._stop()
        await asyncio.wrap_future(running.ended)
        running.thread.join()

    def _start(self) -> _Running:
        if self._running is not None:
            raise RuntimeError("this local Taskcluster is running already")
        listening = _listen(self._host, self._port)
        self._running = _Running(self._configuration, listening, _root_url(self._host, listening.getsockname()[1]))
        return self._running

    def _stop(self) -> _Running:
        running = self._running
        if running is None:
            raise RuntimeError("the local Taskcluster is not running")
        self._running = None
        running.stop()
        return running


class _Running:
    """A server in its thread. `started` is done when it answers, or failed to, `ended` when nothing is left of it."""

    def __init__(self, configuration: Configuration, listening: socket.socket, root_url: str) -> None:
        self.root_url = root_url
        self.started: Future[None] = Future()
        self.ended: Future[None] = Future()
        self._to_stop: Future[None] = Future()
        self.thread = threading.Thread(
            target=self._run, args=(configuration, listening), name="taskcluster-local", daemon=True
        )
        self.thread.start()

    def stop(self) -> None:
        """Ask the server to end."""
        self._to_stop.set_result(None)

    def _run(self, configuration: Configuration, listening: socket.socket) -> None:
        try:
            asyncio.run(self._serve(configuration, listening))
        except BaseException as error:
            (self.ended if self.started.done() else self.started).set_exception(error)
        if not self.ended.done():
            self.ended.set_result(None)

    async def _serve(self, configuration: Configuration, listening: socket.socket) -> None:
        async with _serving(configuration, listening, self.root_url):
            self.started.set_result(None)
            await asyncio.wrap_future(self._to_stop)


@contextlib.asynccontextmanager
async def _serving(configuration: Configuration, listening: socket.socket, root_url: str) -> AsyncGenerator[None, None]:
    # Both are closed also where nothing comes of the server.
    with listening, contextlib.closing(Store()) as store:
        deployment = Deployment(configuration, store, root_url)

        async def respond(request: web.BaseRequest) -> web.StreamResponse:
            response = await deployment.api.respond(await _received(request))
            return web.Response(status=response.status, headers=response.headers, body=response.body)

        server = web.Server(
            respond,
            # A worker that goes away does not get the task it has been waiting for.
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        overdue = asyncio.create_task(_resolve_overdue(deployment))
        try:
            await web.SockSite(runner, listening).start()
            yield
        finally:
            deployment.stop_waiting()
            overdue.cancel()
            await asyncio.wait([overdue])
            await runner.cleanup()


async def _resolve_overdue(deployment: Deployment) -> None:
    while True:
        try:
            deployment.resolve_overdue()
        except Exception:
            _log.exception("could not resolve what is overdue")
        await asyncio.sleep(_RESOLVE_SECONDS)


async def _received(request: web.BaseRequest) -> Request:
    method, target = request.method, request.raw_path
    received = Request(method, target, request.headers)
    # Bodies of other kinds are not looked at, however large they are.
    if not request.body_exists or not received.has_json:
        return received
    if request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > LARGEST_BODY:
            return Request(method, target, request.headers, None)
    return Request(method, target, request.headers, bytes(body))


def _listen(host: str, port: int) -> socket.socket:
    """Return one bound socket. (A name may mean several addresses; with a free port each would get another.)"""
    family, _, _, _, bind_to = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(bind_to[:2], family=family)


def _root_url(host: str, port: int) -> str:
    """Return how to reach a server that listens at `host`: from here, if it listens everywhere."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _token() -> str:
    return slugId() + slugId()
