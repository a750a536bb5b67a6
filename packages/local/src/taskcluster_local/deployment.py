"""All services of one deployment put together: one store, one directory, one clock."""

from __future__ import annotations

import functools
import hashlib
import hmac
import logging
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from taskcluster.plugins import PluginWarning
from taskcluster.slugs import slugId

from . import own_api
from .api import Api, Handler, Interface, Refused, Result
from .authentication import Client, Identity
from .endpoints import references
from .errors import ApiError
from .events import Events
from .plugins import Context, Invoke, LocalService
from .roles import check_scopes
from .scopes import ScopeSet
from .services import monitoring
from .services.auth import routes as auth
from .services.auth.audit import Audit
from .services.auth.state import ANONYMOUS_SCOPES, NEVER, Accounts, check_accounts
from .services.github import builds as github_builds
from .services.github import routes as github
from .services.github.state import Github
from .services.hooks import routes as hooks
from .services.hooks.firing import Firing
from .services.hooks.state import Hooks
from .services.index import artifacts as index_artifacts
from .services.index import routes as index
from .services.index import task_routes as index_routes
from .services.index.state import Index
from .services.notify import routes as notify
from .services.notify import task_routes as notify_routes
from .services.notify.outbox import Outbox
from .services.notify.state import Notifier
from .services.object import routes as object_
from .services.object.state import Objects
from .services.purge_cache import routes as purge_cache
from .services.purge_cache.state import PurgeRequests
from .services.queue import artifacts as queue_artifacts
from .services.queue import built_in
from .services.queue import routes as queue
from .services.queue import workers as queue_workers
from .services.queue.arrivals import Arrivals
from .services.queue.messages import QueueMessages
from .services.queue.state import Queue
from .services.queue.worker_routes import WorkerRecords
from .services.secrets import routes as secrets
from .services.secrets.state import Secrets
from .services.web_server import routes as web_server
from .services.worker_manager import routes as worker_manager
from .services.worker_manager.pools import Pools
from .services.worker_manager.workers import PoolWorkers
from .storage import Storage
from .store import Store
from .timestamps import Clock, MovableClock, system_clock

__all__ = ["ROOT_CLIENT", "Configuration", "Deployment", "shared_interface"]

ROOT_CLIENT = "static/taskcluster/root"

_log = logging.getLogger("taskcluster.local")

_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_AUDITED = (
    ("secrets", "remove", "secret", "deleted", "name"),
    ("hooks", "createHook", "hook", "created", "hookGroupId", "hookId"),
    ("hooks", "updateHook", "hook", "updated", "hookGroupId", "hookId"),
    ("hooks", "removeHook", "hook", "deleted", "hookGroupId", "hookId"),
    ("worker-manager", "createWorkerPool", "worker-pool", "created", "workerPoolId"),
    ("worker-manager", "updateWorkerPool", "worker-pool", "updated", "workerPoolId"),
    ("worker-manager", "deleteWorkerPool", "worker-pool", "deleted", "workerPoolId"),
)
"""The methods that the audit history keeps, what they do to what, and the parameters that name it. (auth's own are kept
where they are done; whether a secret is created or updated depends on what there is.)"""


@dataclass(frozen=True)
class Configuration:
    """What a deployment is told when it is started."""

    accessToken: str | None = field(default=None, repr=False)
    """Of the root client, which may do everything; None for the one that the store has, or else a random one."""
    clients: Sequence[Client] = ()
    roles: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    """By roleId; what is said of `anonymous` stands in place of the usual."""
    clock: Clock = system_clock
    claim_timeout: timedelta = timedelta(minutes=20)
    github_webhook_secret: str | None = field(default=None, repr=False)
    """What GitHub signs its webhooks with; None to take them unsigned."""
    notification_limit: int | None = None
    """How many notifications an address gets within a day; None for any number."""
    plugins: tuple[LocalService, ...] = ()
    """Services that are not ours."""

    def interface(self) -> Interface:
        """Return what the APIs of all services say."""
        return shared_interface(self.plugins)

    def check(self) -> None:
        """Raise ApiError (InputError) unless a deployment can have these clients, roles and secret."""
        own = {ROOT_CLIENT, *map(_service_client_id, self.interface().references)}
        taken = sorted(own & {client.clientId for client in self.clients})
        if taken:
            raise ApiError("InputError", f"{', '.join(taken)} cannot be configured: it is a client of the services")
        check_accounts(self.clients, self.all_roles())
        if self.github_webhook_secret == "":
            # What signs with it would look safe.
            raise ApiError("InputError", "the secret of the webhooks is empty: leave it out to take them unsigned")

    def all_roles(self) -> Mapping[str, Collection[str]]:
        """Return the scopes of all roles, by roleId."""
        return {"anonymous": ANONYMOUS_SCOPES, **self.roles}


class Deployment:
    """The services, ready to answer. Belongs to one thread and its event loop.

    Args:
        configuration: What it is told.
        store: Where it keeps what it is given; whoever opened it closes it.
        directory: Where it keeps files.
        root_url: Under which it is reached.

    Raises:
        ApiError: The clients or roles of the configuration are not possible (InputError).
    """

    def __init__(self, configuration: Configuration, store: Store, directory: Path, root_url: str) -> None:
        configuration.check()
        store.create(_TABLES)
        self._store = store
        self._secret = self._setting("secret", _token())
        if configuration.accessToken is not None:
            store.run("INSERT OR REPLACE INTO settings VALUES ('accessToken', ?)", configuration.accessToken)
        self.accessToken = self._setting("accessToken", _token())
        """Of the root client."""
        interface = configuration.interface()
        clock = self.clock = MovableClock(configuration.clock)
        events = self.events = Events(interface.references, interface.schemas, store)
        self.storage = Storage(directory, store, root_url, self._derived("storage").encode(), clock)
        self.audit = Audit(store, clock)
        """Who did what, of all services."""
        self._accounts = self._open_accounts(configuration)
        self.github = Github(store, events, clock)
        """What is known of GitHub, and what was meant for it."""
        self.outbox = Outbox(store, configuration.notification_limit)
        """The notifications that have been sent, and go nowhere else."""
        self._arrivals = Arrivals()

        messages, known_workers = QueueMessages(events), queue_workers.QueueWorkers(store)
        tasks = self.queue = Queue(store, configuration.claim_timeout, messages, known_workers, self._arrivals.announce)
        """The tasks."""
        objects = Objects(store, self.storage)
        artifacts = queue_artifacts.Artifacts(store, self.storage, objects, tasks, messages)
        all_hooks = Hooks(store, events, interface.exchanges)
        firing = Firing(all_hooks, self._invoke, self._accounts, self._service_client("hooks"), clock)
        indexed = Index(store)
        index_redirects = index_artifacts.IndexedArtifacts(
            self._invoke, self._accounts, self._service_client("index"), root_url
        )
        notifier = Notifier(store, self.outbox, events)
        purge_requests, all_secrets, pools = PurgeRequests(store), Secrets(store), Pools(store, events)
        pool_workers = PoolWorkers(store, pools, WorkerRecords(tasks, clock))

        index_routes.watch(events, indexed, lambda taskId: tasks.task(taskId).definition, clock)
        notify_routes.watch(events, notifier, root_url, clock)
        github_builds.watch(events, self.github, tasks.all_completed, clock)
        builder = github_builds.Builder(
            self.github, events, self._invoke, self._accounts, self._service_client("github"), clock, root_url
        )

        services: dict[str, dict[str, Handler]] = {
            "auth": auth.handlers(self._accounts, self.audit),
            "github": github.handlers(
                self.github,
                events,
                interface.schemas,
                builder,
                self._invoke_as("github"),
                root_url,
                configuration.github_webhook_secret,
            ),
            "hooks": hooks.handlers(all_hooks, firing),
            "index": index.handlers(indexed, index_redirects),
            "notify": notify.handlers(notifier),
            "object": object_.handlers(objects),
            "purge-cache": purge_cache.handlers(purge_requests),
            "queue": queue.handlers(tasks, artifacts, self._arrivals, self._service_client("queue"), clock),
            "secrets": secrets.handlers(all_secrets),
            "web-server": web_server.handlers(self._invoke_as("web-server"), root_url),
            "worker-manager": worker_manager.handlers(
                pools, pool_workers, self._service_client("worker-manager"), notifier
            ),
        }
        for service, name, entityType, actionType, *parameters in _AUDITED:
            handler = services[service][name]
            services[service][name] = self.audit.recorded(handler, entityType, actionType, *parameters)
        services["secrets"]["set"] = self.audit.recorded(
            services["secrets"]["set"],
            "secret",
            lambda call: "updated" if all_secrets.is_set(call.params["name"]) else "created",
            "name",
        )
        # Before the transaction in which they are recorded, because these wait for another process.
        for name in ("createHook", "updateHook"):
            services["hooks"][name] = hooks.checked(services["hooks"][name])
        started = clock()
        self._fire_due = firing.fire_due
        self._jobs: list[Callable[[], Awaitable[None] | None]] = [
            lambda: tasks.resolve_overdue(clock()),
            lambda: built_in.resolve_tasks(tasks, clock),
            lambda: pool_workers.expire(clock()),
            lambda: pools.purge(clock()),
            lambda: self._accounts.delete_expired(clock()),
            lambda: tasks.expire(clock()),
            lambda: artifacts.expire(clock()),
            lambda: known_workers.expire(clock()),
            lambda: objects.purge(clock()),
            lambda: all_hooks.expire(clock()),
            lambda: indexed.expire(clock()),
            lambda: self.outbox.expire(clock()),
            lambda: purge_requests.expire(clock()),
            lambda: all_secrets.expire(clock()),
        ]
        for plugin in configuration.plugins:
            services[plugin.name] = self._handlers(plugin, root_url)
        own = Api(
            own_api.interface(),
            {"local": own_api.handlers(self.github, self.outbox)},
            self._accounts,
            clock,
            configuration.clock,
            root_url,
        )
        self.api = Api(
            interface,
            {
                name: {**_only(monitoring.handlers(started), interface.references[name]), **handlers}
                for name, handlers in services.items()
            },
            self._accounts,
            clock,
            configuration.clock,
            root_url,
            unlisted=dict.fromkeys(own_api.paths(), own.respond),
        )

    def _handlers(self, plugin: LocalService, root_url: str) -> dict[str, Handler]:
        """Return the handlers of a plugin's service, whatever the plugin does."""
        context = Context(
            service=plugin.name,
            root_url=root_url,
            store=self._store,
            clock=self.clock,
            events=self.events,
            invoke=self._invoke_as(plugin.name),
            as_time_passes=self._jobs.append,
        )
        methods: dict[str, None] = dict.fromkeys(entry["name"] for entry in plugin.reference["methods"])
        lacking = f"its plugin has no handler for {plugin.name}.{{}}"
        jobs = len(self._jobs)
        try:
            handlers = dict(plugin.handlers(context))
            unknown = sorted(handlers.keys() - methods.keys())
            if unknown:
                raise ValueError(f"there are handlers for {', '.join(unknown)}, which its reference does not have")
        except Exception as exc:
            handlers = {}
            del self._jobs[jobs:]
            lacking = f"the plugin of {plugin.name} failed when this deployment started"
            warnings.warn(
                f"the service {plugin.name!r} of a plugin has no handlers: {type(exc).__name__}: {exc}",
                PluginWarning,
                stacklevel=2,
            )
        without = methods.keys() - handlers.keys() - monitoring.METHODS
        return {**handlers, **{name: Refused(lacking.format(name)) for name in without}}

    def _open_accounts(self, configuration: Configuration) -> Accounts:
        own = map(self._service_client, configuration.interface().references)
        clients = [Client(ROOT_CLIENT, self.accessToken, ("*",), NEVER), *own, *configuration.clients]
        return Accounts(self._store, self.events, self.audit, self.clock(), clients, configuration.all_roles())

    def _setting(self, name: str, value: str) -> str:
        """Return what the store has under `name`, once `value` has been put there if it had nothing."""
        self._store.run("INSERT OR IGNORE INTO settings VALUES (?, ?)", name, value)
        row = self._store.one("SELECT value FROM settings WHERE name = ?", name)
        return value if row is None else str(row["value"])

    def _derived(self, purpose: str) -> str:
        """Return a key for one purpose, the same each time that the deployment starts."""
        digest = hmac.new(self._secret.encode(), purpose.encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def _service_client(self, service: str) -> Client:
        """Return the client that a service acts as and issues credentials with."""
        clientId = _service_client_id(service)
        return Client(clientId, self._derived(clientId), ("*",), NEVER)

    async def _invoke(self, service: str, method: str, params: dict[str, str], payload: Any, by: Identity) -> Result:
        """Call a method from within; services are given this, as there is no `api` before there are services."""
        return await self.api.invoke(service, method, params, payload, by)

    def _invoke_as(self, service: str) -> Invoke:
        """Return what calls a method as a service."""
        client = self._service_client(service)
        by = Identity(client.clientId, client.scopes, ScopeSet(client.scopes), client.expires)

        async def invoke(
            service: str, method: str, params: dict[str, str], payload: Any = None, query: str = ""
        ) -> Result:
            return await self.api.invoke(service, method, params, {} if payload is None else payload, by, query)

        return invoke

    def new_client(self, scopes: tuple[str, ...]) -> Client:
        """Return a new client that has these scopes only, and never expires.

        Raises:
            ApiError: One of them is no scope (InputError).
        """
        check_scopes(scopes)
        client = Client(f"local/{slugId()}", _token(), scopes, NEVER)
        self._accounts.add(client, self.clock())
        return client

    async def pass_time(self) -> None:
        """Do what happens, as time passes, when nobody calls. To be called from time to time."""
        await self.do_what_is_due()
        await self.fire_hooks()

    async def fire_hooks(self) -> None:
        """Fire the hooks that are due. It may take long, so that the rest of what is due need not wait for it."""
        try:
            await self._fire_due()
        except Exception:
            _log.exception("could not fire the hooks that are due")

    async def do_what_is_due(self) -> None:
        """Do what is due, but for firing hooks."""
        for job in self._jobs:
            try:
                pending = job()
                if pending is not None:
                    await pending
            except Exception:
                _log.exception("could not do what is due")

    def stop_waiting(self) -> None:
        """Answer those who wait for work, so that the server can stop."""
        self._arrivals.close()


@functools.lru_cache(4)
def shared_interface(plugins: tuple[LocalService, ...] = ()) -> Interface:
    """Return what the APIs of our services and of those of plugins say, put together once."""
    return Interface({**references(), **{service.name: service.reference for service in plugins}})


def _only(handlers: Mapping[str, Handler], reference: Mapping[str, Any]) -> dict[str, Handler]:
    """Return the handlers of methods that a service has."""
    return {entry["name"]: handlers[entry["name"]] for entry in reference["methods"] if entry["name"] in handlers}


def _service_client_id(service: str) -> str:
    return f"static/taskcluster/{service}"


def _token() -> str:
    return slugId() + slugId()
