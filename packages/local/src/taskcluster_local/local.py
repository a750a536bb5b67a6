"""The local Taskcluster as programs and tests use it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from taskcluster.installation import how_to_install
from taskcluster.options import Credentials
from taskcluster.redacted import ClientOptions
from taskcluster.slugs import slugId

from . import loading
from .arguments import checked, checked_clock, checked_list, checked_port, checked_roles, seconds_of, span_of
from .authentication import Client
from .deployment import ROOT_CLIENT, Configuration
from .events import Binding
from .listening import AsyncMessages, Messages, bindings_of
from .registry import registry
from .server import LocalServer, is_loopback
from .services.auth.state import client_of
from .services.notify.outbox import Notification
from .timestamps import Clock, system_clock
from .workers import LocalWorkers, WorkerOptions, checked_workers

if TYPE_CHECKING:
    from taskcluster_pulse.settings import BrokerSettings
    from taskcluster_worker import Worker

__all__ = ["LocalTaskcluster"]


class LocalTaskcluster:
    """A local Taskcluster for development and tests, running for the duration of a `with` block.

    Use it with `with` or `async with`. It serves from its own thread, so the block may use blocking clients. It can be
    entered again; without `data` it then starts empty.

    Args:
        data: A directory where the state is stored, and found again next time. Without it the state is in memory and
            lost at the end.
        host: The address to listen on; by default only this machine can connect.
        port: The port to listen on; 0 for any free port.
        allow_hosts: Names to accept in the Host header of requests, besides `host`, localhost and the addresses of this
            machine. If other machines can connect to `host`, any name is accepted.
        accessToken: Of the root client. Defaults to the one stored in `data`, else to a random one.
        clients: Further clients: mappings with clientId, accessToken, scopes and optionally expires.
        roles: The scopes of roles, by roleId; `anonymous` replaces the default read-only role.
        clock: Returns the time, as an aware datetime in UTC.
        claim_timeout: How many seconds a claim lasts unless the worker renews it.
        poll: How many seconds claimWork waits for a task, as real deployments do. With 0 it returns immediately.
        github_webhook_secret: The secret that GitHub signs webhooks with. Without it, unsigned webhooks are accepted.
        notification_limit: How many notifications an address may get in 24 hours. Defaults to no limit.
        workers: Workers to start, by task queue: `{"proj/ci": {}}`. The values are keyword arguments of
            `taskcluster_worker.Worker`, or how many tasks run at a time. **Tasks then run commands on this machine.**
        allow_remote_tasks: Allow workers although other machines can connect, and may create tasks.
        pulse: The URL of a RabbitMQ server where all messages are published, `amqp://USER:PASSWORD@HOST:PORT/VHOST`.
            It needs the extra `pulse`.

    Raises:
        TypeError, ValueError: An argument has the wrong type, or is out of range.
        TaskclusterFailure: `pulse` is invalid.
        ApiError: The clients, roles or secret are invalid (InputError).
        ValueError: There are workers, and other machines can connect.
        ModuleNotFoundError: There are workers, and taskcluster-worker is not installed, or `pulse` without
            taskcluster-pulse.
        OSError: On entering: it cannot listen at `host` and `port`.
        StoreError: On entering: `data` cannot be used.
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
        poll: float = 20.0,
        github_webhook_secret: str | None = None,
        notification_limit: int | None = None,
        workers: Mapping[str, WorkerOptions] | None = None,
        allow_remote_tasks: bool = False,
        pulse: str | None = None,
    ) -> None:
        self._data = (
            None if data is None else Path(checked("data", data, (str, os.PathLike), "the path of a directory"))
        )
        self._host = checked("host", host, str, "a string, such as '127.0.0.1'")
        self._port = checked_port(port)
        self._allow_hosts = checked_list("allow_hosts", allow_hosts, str, "host names")
        secrets = {"accessToken": accessToken, "github_webhook_secret": github_webhook_secret, "pulse": pulse}
        for name, value in secrets.items():
            checked(name, value, (str, type(None)), "a string or None")
        checked("notification_limit", notification_limit, (int, type(None)), "an integer or None")
        if notification_limit is not None and notification_limit < 0:
            raise ValueError(f"notification_limit must be at least 0, not {notification_limit}")
        described = "mappings with clientId, accessToken and scopes"
        self._configuration = Configuration(
            accessToken=accessToken or (slugId() + slugId() if data is None else None),
            clients=[client_of(client) for client in checked_list("clients", clients, Mapping, described)],
            roles=checked_roles({} if roles is None else roles),
            clock=checked_clock(clock),
            claim_timeout=seconds_of("claim_timeout", claim_timeout),
            poll=seconds_of("poll", poll),
            plugins=registry.services(),
            github_webhook_secret=github_webhook_secret,
            notification_limit=notification_limit,
            pulse=None if pulse is None else _broker(pulse),
        )
        # Invalid configuration raises here, not on entering.
        self._configuration.check()
        self._allow_remote_tasks = allow_remote_tasks
        self._wanted_workers = checked_workers(workers or {})
        if self._wanted_workers:
            self._check_workers_are_safe()
        self._workers: LocalWorkers | None = None
        self._started: LocalServer | None = None

    def __repr__(self) -> str:
        where = "not running" if self._started is None else f"at {self._started.root_url}"
        return f"<{type(self).__name__} {where}>"

    # Root URL and credentials

    @property
    def root_url(self) -> str:
        """The root URL, while the server is running."""
        return self._server.root_url

    @property
    def credentials(self) -> dict[str, str]:
        """The credentials of the root client, which has the scope `*`."""
        token = self._configuration.accessToken
        return Credentials.copy_of(
            {"clientId": ROOT_CLIENT, "accessToken": self._server.accessToken if token is None else token}
        )

    def options(self, scopes: Iterable[str] | None = None) -> dict[str, Any]:
        """Return options for a client: the root URL, and credentials that their repr hides.

        Args:
            scopes: Create a new client with these scopes. Defaults to the credentials of the root client.

        Raises:
            ApiError: A scope is invalid (InputError).
        """
        if scopes is None:
            return ClientOptions(rootUrl=self.root_url, credentials=self.credentials)
        listed = checked_list("scopes", scopes, object, "scopes")
        client: Client = self._server.submit(self._server.new_client(listed)).result()
        credentials = {"clientId": client.clientId, "accessToken": client.accessToken}
        return ClientOptions(rootUrl=self.root_url, credentials=Credentials.copy_of(credentials))

    def sign_in_url(self) -> str:
        """Return the address of a page where someone can sign in as the root client, once."""
        return self._server.sign_in_url()

    # While it is running

    @property
    def aio(self) -> AsyncLocalTaskcluster:
        """The async versions of the methods that may take a while: `await local.aio.advance(hours=1)`."""
        return AsyncLocalTaskcluster(self)

    def now(self) -> datetime:
        """Return the deployment's time, an aware datetime in UTC."""
        return self._server.now()

    def advance(self, span: timedelta | None = None, **units: float) -> None:
        """Move the deployment's time forward, and do what is due by then: expire claims, fire hooks and so on.

        A waiting claimWork call gets a task that has become pending, and returns if its time is up. Deadlines and
        expiry dates are compared with this time. Clients need not know it: requests are signed with the real time.

        Args:
            span: How far.
            **units: Arguments of `timedelta` instead: `hours=1, minutes=30`.

        Raises:
            TypeError: It has no unit, an unknown one, or is not a number.
            ValueError: It is negative, not finite, or leads beyond the year 2900; nothing has changed then. Only
                `reset` moves the time back.
        """
        self._server.submit(self._server.advance(span_of(span, units))).result()

    def reset(self) -> None:
        """Delete everything, as if the server had been restarted, without stopping it.

        The time is the real one again, and waiting claimWork calls return no tasks. Listeners keep listening, without
        the messages that they have not taken yet. The clients of `options(scopes)` are deleted too.

        Raises:
            RuntimeError: The state is stored in a directory.
        """
        self._server.submit(self._server.reset()).result()

    @contextlib.contextmanager
    def listen(self, *bindings: Mapping[str, str]) -> Generator[Messages, None, None]:
        """Listen to messages for the duration of the block.

        Args:
            *bindings: The bindings, as the methods of events classes return them:
                `taskcluster.QueueEvents(local.options()).taskCompleted(taskId=…)`. A message that matches several is
                received once.

        Raises:
            TypeError: One is not a binding.
            ValueError: An exchange does not exist.
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
        """Return the notifications of the last 24 hours that a real deployment would have sent, oldest first."""
        return self._server.submit(self._server.outbox()).result()

    def start_worker(self, task_queue: str, **options: Any) -> Worker:
        """Start a worker, which runs until the end of the block. Its tasks run commands on this machine.

        It uses this deployment's time, and stops a task at once that is cancelled.

        Args:
            task_queue: The task queue, `<provisionerId>/<workerType>`.
            **options: Keyword arguments of `taskcluster_worker.Worker`.

        Raises:
            WorkerError: An option is invalid, or the executor cannot run here.
            ValueError: Other machines can connect, and `allow_remote_tasks` is not set.
            ModuleNotFoundError: taskcluster-worker is not installed.
        """
        self._check_workers_are_safe()
        server = self._server
        if self._workers is None:
            self._workers = LocalWorkers(self.options(), server.now)
            server.on_reset = self._workers.drop_runs
            server.submit(server.listen(self._workers.inbox)).result()
        return self._workers.start(task_queue, **options)

    def workers(self) -> tuple[Worker, ...]:
        """Return the workers that were started, by `workers` or `start_worker`."""
        return () if self._workers is None else tuple(self._workers.workers)

    def _check_workers_are_safe(self) -> None:
        if not self._allow_remote_tasks and not is_loopback(self._host):
            raise ValueError(
                f"workers run commands on this machine, and {self._host} is open to other machines, which could create "
                "tasks: use a loopback address, or set allow_remote_tasks"
            )

    def load(self, source: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, str]:
        """Add clients, roles, secrets, hooks, tasks and repositories. Repeating it changes nothing but dates.

        Args:
            source: A YAML file, or its contents.

        Returns:
            The access tokens of the clients that were created, by clientId.

        Raises:
            LoadError: The file is invalid; nothing has been added then. Or the deployment rejected an entry.
        """
        return loading.load(source, self.options(), self.now())

    # Starting and stopping

    def __enter__(self) -> LocalTaskcluster:
        server = self._start()
        try:
            server.started.result()
            self._start_workers()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stop_workers()
        finally:
            server = self._stop()
            server.ended.result()
            server.thread.join()

    async def __aenter__(self) -> LocalTaskcluster:
        server = self._start()
        try:
            await asyncio.wrap_future(server.started)
            if self._wanted_workers:
                await asyncio.to_thread(self._start_workers)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The caller's event loop keeps running, so that it can close its connections to the server.
        try:
            if self._workers is not None:
                await asyncio.to_thread(self._stop_workers)
        finally:
            server = self._stop()
            await asyncio.wrap_future(server.ended)
            server.thread.join()

    def _start_workers(self) -> None:
        for task_queue, options in self._wanted_workers.items():
            self.start_worker(task_queue, **options)

    def _stop_workers(self) -> None:
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.stop()

    @property
    def _server(self) -> LocalServer:
        if self._started is None:
            raise RuntimeError("the local Taskcluster is not running: use it in a `with` block")
        return self._started

    def _start(self) -> LocalServer:
        if self._started is not None:
            raise RuntimeError("this local Taskcluster is already running")
        self._started = LocalServer(self._configuration, self._data, self._host, self._port, self._allow_hosts)
        return self._started

    def _stop(self) -> LocalServer:
        server = self._server
        self._started = None
        server.stop()
        return server


class AsyncLocalTaskcluster:
    """The async versions of methods of `LocalTaskcluster`, which documents them."""

    def __init__(self, local: LocalTaskcluster) -> None:
        self._local = local

    @property
    def _server(self) -> LocalServer:
        return self._local._server  # pyright: ignore[reportPrivateUsage]

    async def advance(self, span: timedelta | None = None, **units: float) -> None:
        """Move the deployment's time forward, and do what is due by then."""
        await asyncio.wrap_future(self._server.submit(self._server.advance(span_of(span, units))))

    async def reset(self) -> None:
        """Delete everything, as if the server had been restarted."""
        await asyncio.wrap_future(self._server.submit(self._server.reset()))

    @contextlib.asynccontextmanager
    async def listen(self, *bindings: Mapping[str, str]) -> AsyncGenerator[AsyncMessages, None]:
        """Listen to messages for the duration of the block."""
        messages = AsyncMessages(self._local._bindings(bindings))  # pyright: ignore[reportPrivateUsage]
        server = self._server
        await asyncio.wrap_future(server.submit(server.listen(messages.inbox)))
        try:
            yield messages
        finally:
            server.unlisten(messages.inbox)

    async def outbox(self) -> list[Notification]:
        """Return the notifications of the last 24 hours, oldest first."""
        return await asyncio.wrap_future(self._server.submit(self._server.outbox()))

    async def load(self, source: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, str]:
        """Add clients, roles, secrets, hooks, tasks and repositories."""
        return await asyncio.to_thread(self._local.load, source)


def _broker(url: str) -> BrokerSettings:
    try:
        from .broker import settings_of
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("pamqp", "taskcluster_pulse"):
            raise
        hint = how_to_install("taskcluster-pulse")
        raise ModuleNotFoundError(f"publishing to a broker needs another package: {hint}", name=error.name) from error
    return settings_of(url)
