"""A local Taskcluster as programs and tests use it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from taskcluster.options import Credentials
from taskcluster.redacted import ClientOptions
from taskcluster.slugs import slugId

from . import loading
from .authentication import Client
from .deployment import ROOT_CLIENT, Configuration
from .events import Binding
from .listening import AsyncMessages, Messages, bindings_of
from .registry import registry
from .server import LocalServer
from .services.auth.state import client_of
from .services.notify.outbox import Notification
from .timestamps import Clock, system_clock

__all__ = ["LocalTaskcluster"]


class LocalTaskcluster:
    """A local Taskcluster, for development and tests, that runs as long as the `with` block.

    Use it with `with` or `async with`. Either way it serves from a thread of its own, so that blocking clients may be
    used in the block. The same object can be entered again; without `data` it then starts empty.

    Args:
        data: A directory where everything is kept, and found again the next time. Without it all state is in memory
            and gone at the end.
        host: Where to listen; only this machine unless told otherwise.
        port: Where to listen; 0 for any port that is free.
        allow_hosts: Names that requests may have in their Host header, besides `host`, localhost and the addresses of
            this machine. If `host` is reached by other machines, any name is accepted.
        accessToken: Of the root client; if not given the one that `data` has, or else a random one.
        clients: Further clients: mappings with clientId, accessToken, scopes and perhaps expires.
        roles: Scopes of roles, by roleId; `anonymous` in place of the usual read-only one.
        clock: Tells the time, as an aware datetime in UTC.
        claim_timeout: Seconds that a claimed task stays with its worker unless the claim is renewed.
        github_webhook_secret: What GitHub signs its webhooks with; without, they are taken unsigned.
        notification_limit: How many notifications an address gets within a day; without, any number.

    Raises:
        ApiError: The clients, the roles or the secret are not possible (InputError).
        StoreError: When it is entered: `data` cannot be used.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_hosts: Collection[str] = (),
        accessToken: str | None = None,
        clients: Iterable[Mapping[str, Any]] = (),
        roles: Mapping[str, Collection[str]] | None = None,
        clock: Clock = system_clock,
        claim_timeout: float = 1200.0,
        github_webhook_secret: str | None = None,
        notification_limit: int | None = None,
    ) -> None:
        self._data = None if data is None else Path(data)
        self._host = host
        self._port = port
        if isinstance(allow_hosts, str):
            raise TypeError(f"allow_hosts must be a list of host names, not the string {allow_hosts!r}")
        self._allow_hosts = tuple(allow_hosts)
        self._configuration = Configuration(
            accessToken=accessToken or (slugId() + slugId() if data is None else None),
            clients=[client_of(client) for client in clients],
            roles=roles or {},
            clock=clock,
            claim_timeout=timedelta(seconds=claim_timeout),
            plugins=registry.services(),
            github_webhook_secret=github_webhook_secret,
            notification_limit=notification_limit,
        )
        # What is wrong with them is told here, not where it is entered.
        self._configuration.check()
        self._started: LocalServer | None = None

    # Where it is, and who may do what

    @property
    def root_url(self) -> str:
        """The root URL; known while the server runs."""
        return self._server.root_url

    @property
    def credentials(self) -> dict[str, str]:
        """The credentials of the root client, which may do everything (scope `*`)."""
        token = self._configuration.accessToken
        return Credentials.copy_of(
            {"clientId": ROOT_CLIENT, "accessToken": self._server.accessToken if token is None else token}
        )

    def options(self, scopes: Iterable[str] | None = None) -> dict[str, Any]:
        """Return options for a client: where this deployment is, and credentials for it, which their repr hides.

        Args:
            scopes: For the credentials of a new client that has these only; without, those of the root client.

        Raises:
            ApiError: One of them is no scope (InputError).
        """
        if scopes is None:
            return ClientOptions(rootUrl=self.root_url, credentials=self.credentials)
        if isinstance(scopes, str):
            raise TypeError(f"scopes must be a list of scopes, not the text {scopes!r}")
        client: Client = self._server.submit(self._server.new_client(tuple(scopes))).result()
        credentials = {"clientId": client.clientId, "accessToken": client.accessToken}
        return ClientOptions(rootUrl=self.root_url, credentials=Credentials.copy_of(credentials))

    # While it runs

    @property
    def aio(self) -> AsyncLocalTaskcluster:
        """What takes a while, to be awaited: `await local.aio.advance(hours=1)`."""
        return AsyncLocalTaskcluster(self)

    def now(self) -> datetime:
        """Return the present of the deployment, an aware datetime in UTC."""
        return self._server.now()

    def advance(self, span: timedelta | None = None, **units: float) -> None:
        """Move the deployment's time forward, and do everything that is due then: expire claims, fire hooks, ….

        It is the time that deadlines and expiry dates are compared with. Clients need not know of it: requests are
        signed with the real time.

        Args:
            span: How far.
            **units: The same as the arguments of `timedelta`: `hours=1, minutes=30`.

        Raises:
            ValueError: It is negative, or leads beyond the year 2900; nothing has changed then. Time cannot be moved
                back, but by `reset`.
        """
        self._server.submit(self._server.advance(_span(span, units))).result()

    def reset(self) -> None:
        """Forget everything, as if the server had just started, without stopping it.

        Time is the real one again, those who wait for work are told that there is none, and those who listen go on
        listening, without what they have not taken yet. Clients of `options(scopes)` are gone as well.

        Raises:
            RuntimeError: There is a directory that everything is kept in.
        """
        self._server.submit(self._server.reset()).result()

    @contextlib.contextmanager
    def listen(self, *bindings: Mapping[str, str]) -> Generator[Messages, None, None]:
        """Listen to messages for as long as the block lasts.

        Args:
            *bindings: Which, as the methods of events classes give them:
                `taskcluster.QueueEvents(local.options()).taskCompleted(taskId=…)`. What several let through comes once.

        Raises:
            TypeError: One is no binding.
            ValueError: There is no such exchange.
        """
        messages = Messages(self._bindings(bindings))
        server = self._server
        server.submit(server.listen(messages.inbox)).result()
        try:
            yield messages
        finally:
            server.unlisten(messages.inbox)

    def _bindings(self, given: tuple[object, ...]) -> tuple[Binding, ...]:
        return bindings_of(given, self._configuration.interface().exchanges)

    def outbox(self) -> list[Notification]:
        """Return the notifications of the last day, the oldest first: what a deployment would have sent."""
        return self._server.submit(self._server.outbox()).result()

    def load(self, source: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, str]:
        """Add clients, roles, secrets, hooks, tasks and repositories. The same again changes nothing but dates.

        Args:
            source: A YAML file, or what would be in it.

        Returns:
            The access tokens of the clients that were not there before, by clientId.

        Raises:
            LoadError: The file cannot be read, or something in it cannot be; nothing has been added then. Or the
                deployment refused something.
        """
        return loading.load(source, self.options(), self.now())

    # Starting and stopping

    def __enter__(self) -> LocalTaskcluster:
        server = self._start()
        try:
            server.started.result()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server = self._stop()
        server.ended.result()
        server.thread.join()

    async def __aenter__(self) -> LocalTaskcluster:
        server = self._start()
        try:
            await asyncio.wrap_future(server.started)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The caller's loop runs on meanwhile: connections that it still holds can only end there.
        server = self._stop()
        await asyncio.wrap_future(server.ended)
        server.thread.join()

    @property
    def _server(self) -> LocalServer:
        if self._started is None:
            raise RuntimeError("the local Taskcluster is not running: use it in a `with` block")
        return self._started

    def _start(self) -> LocalServer:
        if self._started is not None:
            raise RuntimeError("this local Taskcluster is running already")
        self._started = LocalServer(self._configuration, self._data, self._host, self._port, self._allow_hosts)
        return self._started

    def _stop(self) -> LocalServer:
        server = self._server
        self._started = None
        server.stop()
        return server


class AsyncLocalTaskcluster:
    """What of a `LocalTaskcluster` takes a while, for async code; its methods are documented there."""

    def __init__(self, local: LocalTaskcluster) -> None:
        self._local = local

    @property
    def _server(self) -> LocalServer:
        return self._local._server  # pyright: ignore[reportPrivateUsage]

    async def advance(self, span: timedelta | None = None, **units: float) -> None:
        """Move the deployment's time forward, and do everything that is due then."""
        await asyncio.wrap_future(self._server.submit(self._server.advance(_span(span, units))))

    async def reset(self) -> None:
        """Forget everything, as if the server had just started."""
        await asyncio.wrap_future(self._server.submit(self._server.reset()))

    @contextlib.asynccontextmanager
    async def listen(self, *bindings: Mapping[str, str]) -> AsyncGenerator[AsyncMessages, None]:
        """Listen to messages for as long as the block lasts."""
        messages = AsyncMessages(self._local._bindings(bindings))  # pyright: ignore[reportPrivateUsage]
        server = self._server
        await asyncio.wrap_future(server.submit(server.listen(messages.inbox)))
        try:
            yield messages
        finally:
            server.unlisten(messages.inbox)

    async def outbox(self) -> list[Notification]:
        """Return the notifications of the last day, the oldest first."""
        return await asyncio.wrap_future(self._server.submit(self._server.outbox()))

    async def load(self, source: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, str]:
        """Add clients, roles, secrets, hooks, tasks and repositories."""
        return await asyncio.to_thread(self._local.load, source)


def _span(span: timedelta | None, units: Mapping[str, float]) -> timedelta:
    if (span is None) == (not units):
        raise TypeError("say how far, either by a timedelta or by its arguments, such as hours=1")
    try:
        return timedelta(**units) if span is None else span
    except OverflowError as error:
        raise ValueError(f"cannot advance that far: {error}") from None
