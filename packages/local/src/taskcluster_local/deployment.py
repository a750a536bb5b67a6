"""A deployment: all services with one store, one directory and one clock."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import logging
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskcluster.plugins import PluginError, PluginWarning
from taskcluster.slugs import slugId

from . import own_api
from .api import Api, Handler, HttpRequest, HttpResponse, Interface, Missing, Refused, Result, UnlistedHandler
from .authentication import Client, Identity
from .endpoints import references
from .errors import ApiError
from .events import Events
from .plugins import Context, InvokeMethod, Job, LocalService
from .pulse_outbox import PulseOutbox
from .roles import check_scopes
from .scopes import ScopeSet
from .services import monitoring
from .services.auth.audit import Audit
from .services.auth.state import ANONYMOUS_SCOPES, NEVER, Accounts, check_accounts, new_token
from .services.context import ServiceContext, SharedState
from .services.github.state import Github
from .services.notify.outbox import Outbox
from .services.notify.state import Notifier
from .services.object.state import Objects
from .services.queue.arrivals import Arrivals
from .services.queue.messages import QueueMessages
from .services.queue.state import Queue
from .services.queue.workers import QueueWorkers
from .services.table import SERVICES
from .site.sessions import Sessions
from .storage import Storage
from .store import Store
from .stream import Feed
from .timestamps import Clock, MovableClock, system_clock

if TYPE_CHECKING:
    from taskcluster_pulse.settings import BrokerSettings

    from .site.site import Site

__all__ = ["ROOT_CLIENT", "Configuration", "Deployment", "shared_interface"]

ROOT_CLIENT = "static/taskcluster/root"

_log = logging.getLogger("taskcluster.local")

_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Configuration:
    """The configuration of a deployment."""

    accessToken: str | None = field(default=None, repr=False)
    """The access token of the root client. None for the stored one, or a random one for a new store."""
    clients: Sequence[Client] = ()
    roles: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    """The scopes of roles, by roleId; `anonymous` replaces the default scopes of everyone."""
    clock: Clock = system_clock
    claim_timeout: timedelta = timedelta(minutes=20)
    github_webhook_secret: str | None = field(default=None, repr=False)
    """The secret that GitHub signs webhooks with; None to accept unsigned webhooks."""
    poll: timedelta = timedelta(seconds=20)
    """How long claimWork waits for a task."""
    notification_limit: int | None = None
    """How many notifications an address may get in 24 hours; None for no limit."""
    plugins: tuple[LocalService, ...] = ()
    """The services of plugins."""
    pulse: BrokerSettings | None = field(default=None, repr=False)
    """The broker where all messages are published; None for none."""

    def interface(self) -> Interface:
        """Return the API references of all services, parsed."""
        return shared_interface(self.plugins)

    def check(self) -> None:
        """Raise ApiError (InputError) if the clients, roles or secret are invalid."""
        own = {ROOT_CLIENT, *map(_service_client_id, self.interface().references)}
        taken = sorted(own & {client.clientId for client in self.clients})
        if taken:
            raise ApiError("InputError", f"{', '.join(taken)} cannot be configured: the services use these clientIds")
        check_accounts(self.clients, self.all_roles())
        if self.github_webhook_secret == "":
            # Signing with an empty secret would look safe.
            raise ApiError("InputError", "the webhook secret is empty: omit it to accept unsigned webhooks")

    def all_roles(self) -> Mapping[str, Collection[str]]:
        """Return the scopes of all roles, by roleId."""
        return {"anonymous": ANONYMOUS_SCOPES, **self.roles}


class Deployment:
    """A running deployment. It belongs to one thread and its event loop.

    Args:
        configuration: The configuration.
        store: The database; whoever opened it closes it.
        directory: The directory for files.
        root_url: The root URL.
        reset: Replaces this deployment by a new one, for the API. None if that is not possible.
        feed: Sends messages to HTTP clients. Whoever passes it attaches it.
        sessions: Those of people who have signed in on the pages.

    Raises:
        ApiError: The clients, roles or secret of the configuration are invalid (InputError).
    """

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        directory: Path,
        root_url: str,
        reset: Callable[[], Awaitable[None]] | None = None,
        feed: Feed | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        configuration.check()
        store.create(_TABLES)
        self._store = store
        self._secret = self._setting("secret", new_token())
        if configuration.accessToken is not None:
            store.run("INSERT OR REPLACE INTO settings VALUES ('accessToken', ?)", configuration.accessToken)
        self.accessToken = self._setting("accessToken", new_token())
        """The access token of the root client."""
        clock = self.clock = MovableClock(configuration.clock)
        interface = configuration.interface()
        self.pulse_outbox = None if configuration.pulse is None else PulseOutbox(store)
        """The messages that a broker has not confirmed yet, if there is a broker."""
        keep = None if self.pulse_outbox is None else self.pulse_outbox.add
        self.events = Events(interface.references, interface.schemas, store, keep)
        self._root_url = root_url
        self._sessions = sessions or Sessions(root_url)
        self._site: Site | None = None
        self._configuration = configuration
        self._jobs: list[Job] = []
        self._background_jobs: list[Callable[[], Awaitable[None]]] = []
        self.shared = self._open_shared_state(interface, directory)
        """The state that several services use."""
        handlers = {name: dict(build(self._service_context(name))) for name, build in SERVICES.items()}
        for plugin in configuration.plugins:
            handlers[plugin.name] = self._plugin_handlers(plugin)
        of_every_service = monitoring.handlers(clock())
        for name, reference in interface.references.items():
            missing = {entry["name"]: _missing(name, entry["name"]) for entry in reference["methods"]}
            handlers[name] = {**missing, **_handlers_of(of_every_service, reference), **handlers.get(name, {})}
        accounts, signing_clock = self.shared.accounts, configuration.clock
        if feed is None:
            feed = Feed()
            feed.attach(self.events)
        own_handlers = {"local": own_api.Own(self.shared, clock, reset, feed).handlers()}
        self._own = own = Api(own_api.interface(), own_handlers, accounts, clock, signing_clock, root_url)
        unlisted: dict[tuple[str, str], UnlistedHandler] = {
            **dict.fromkeys(own_api.paths(), own.respond),
            ("GET", own_api.EVENTS_PATH): functools.partial(own.respond_as, "local", "events"),
        }
        self.api = Api(interface, handlers, accounts, clock, signing_clock, root_url, unlisted, self._respond_with_page)

    async def _respond_with_page(self, request: HttpRequest) -> HttpResponse:
        if self._site is None:
            # Most deployments are never looked at, and loading takes long enough to hold up others.
            site = await asyncio.to_thread(_load_site)
            self._site = site(
                self.api,
                self._own,
                self.shared.accounts,
                self.clock,
                self._configuration.clock,
                self.shared.storage,
                self._sessions,
                self._root_url,
            )
        return await self._site.respond(request)

    def _open_shared_state(self, interface: Interface, directory: Path) -> SharedState:
        store, events, clock, configuration = self._store, self.events, self.clock, self._configuration
        storage = Storage(directory, store, self._root_url, self._derived("storage").encode(), clock)
        audit, arrivals = Audit(store, clock), Arrivals(configuration.poll, clock)
        outbox = Outbox(store, configuration.notification_limit)
        messages, workers = QueueMessages(events), QueueWorkers(store)
        return SharedState(
            interface=interface,
            storage=storage,
            audit=audit,
            accounts=self._open_accounts(audit),
            github=Github(store, events, clock),
            outbox=outbox,
            notifier=Notifier(store, outbox, events),
            objects=Objects(store, storage),
            arrivals=arrivals,
            queue=Queue(store, configuration.claim_timeout, messages, workers, arrivals.announce),
        )

    def _open_accounts(self, audit: Audit) -> Accounts:
        configuration = self._configuration
        own = map(self._service_client, configuration.interface().references)
        clients = [Client(ROOT_CLIENT, self.accessToken, ("*",), NEVER), *own, *configuration.clients]
        return Accounts(self._store, self.events, audit, self.clock(), clients, configuration.all_roles())

    def _context(self, service: str) -> Context:
        """Return the context for a plugin's service."""
        return Context(
            service=service,
            root_url=self._root_url,
            store=self._store,
            clock=self.clock,
            events=self.events,
            invoke=self._invoke_as(service),
            as_time_passes=self._jobs.append,
        )

    def _service_context(self, service: str) -> ServiceContext:
        """Return the context for one of the deployment's own services."""
        return ServiceContext(
            **vars(self._context(service)),
            shared=self.shared,
            client=self._service_client(service),
            invoke_by=self._invoke,
            in_background=self._background_jobs.append,
            github_webhook_secret=self._configuration.github_webhook_secret,
        )

    def _plugin_handlers(self, plugin: LocalService) -> dict[str, Handler]:
        """Return the handlers of a plugin's service, even if the plugin fails."""
        methods = {entry["name"] for entry in plugin.reference["methods"]}
        missing = f"its plugin has no handler for {plugin.name}.{{}}"
        jobs = len(self._jobs)
        try:
            # Those of registry.services(), which are coroutine functions.
            handlers: dict[str, Any] = dict(plugin.handlers(self._context(plugin.name)))
        except PluginError as exc:
            handlers = {}
            del self._jobs[jobs:]
            missing = f"the plugin of {plugin.name} failed when this deployment started"
            warnings.warn(f"the service {plugin.name!r} has no handlers: {exc}", PluginWarning, stacklevel=2)
        without = methods - handlers.keys() - monitoring.METHODS
        return {**handlers, **{name: Refused(missing.format(name)) for name in without}}

    def _setting(self, name: str, value: str) -> str:
        """Return the stored setting `name`, storing `value` first if there is none."""
        self._store.run("INSERT OR IGNORE INTO settings VALUES (?, ?)", name, value)
        row = self._store.one("SELECT value FROM settings WHERE name = ?", name)
        return value if row is None else str(row["value"])

    def _derived(self, purpose: str) -> str:
        """Derive a key for one purpose, the same whenever the deployment starts."""
        digest = hmac.new(self._secret.encode(), purpose.encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def _service_client(self, service: str) -> Client:
        """Return the client that a service acts as and issues credentials with."""
        clientId = _service_client_id(service)
        return Client(clientId, self._derived(clientId), ("*",), NEVER)

    async def _invoke(self, service: str, method: str, params: dict[str, str], payload: Any, by: Identity) -> Result:
        """Call a method as a given identity. A method, because services are built before `api` exists."""
        return await self.api.invoke(service, method, params, payload, by)

    def _invoke_as(self, service: str) -> InvokeMethod:
        """Return a function that calls methods as a service."""
        client = self._service_client(service)
        by = Identity(client.clientId, client.scopes, ScopeSet(client.scopes), client.expires)

        async def invoke(
            service: str, method: str, params: dict[str, str], payload: Any = None, query: str = ""
        ) -> Result:
            return await self.api.invoke(service, method, params, {} if payload is None else payload, by, query)

        return invoke

    def new_client(self, scopes: tuple[str, ...]) -> Client:
        """Create a client with these scopes, which never expires.

        Raises:
            ApiError: A scope is invalid (InputError).
        """
        check_scopes(scopes)
        client = Client(f"local/{slugId()}", new_token(), scopes, NEVER)
        self.shared.accounts.add(client, self.clock())
        return client

    async def pass_time(self) -> None:
        """Run all periodic jobs. To be called periodically."""
        await self.run_jobs()
        await self.run_background_jobs()

    async def run_background_jobs(self) -> None:
        """Run the jobs that may take long, such as firing hooks."""
        await _run(self._background_jobs)

    async def run_jobs(self) -> None:
        """Run the periodic jobs that take little time."""
        await _run(self._jobs)

    def end_polls(self, now: datetime) -> None:
        """Let claimWork calls return that wait until `now` or earlier."""
        self.shared.arrivals.end_polls(now)

    def end_waiting(self) -> None:
        """Let waiting claimWork calls return, so that the server can stop."""
        self.shared.arrivals.close()


async def _run(jobs: Iterable[Job]) -> None:
    """Run jobs one after the other, even if one fails."""
    for job in jobs:
        try:
            pending = job()
            if pending is not None:
                await pending
        except Exception as exc:
            _log.exception("%s", exc if isinstance(exc, PluginError) else "a periodic job failed")


def _load_site() -> type[Site]:
    from .site.rendering import load_templates
    from .site.site import Site

    # Those that all pages have.
    load_templates("layout.html", "macros.html")
    return Site


@functools.lru_cache(4)
def shared_interface(plugins: tuple[LocalService, ...] = ()) -> Interface:
    """Return the API references of all services, including those of plugins, parsed and cached."""
    return Interface({**references(), **{service.name: service.reference for service in plugins}})


def _handlers_of(handlers: Mapping[str, Handler], reference: Mapping[str, Any]) -> dict[str, Handler]:
    """Return the handlers of the methods that a service has."""
    return {entry["name"]: handlers[entry["name"]] for entry in reference["methods"] if entry["name"] in handlers}


def _missing(service: str, method: str) -> Missing:
    module = f"{service.replace('-', '_')}/routes.py" if service in SERVICES else "table.py"
    return Missing(
        f"{service}.{method} has no handler; add one in packages/local/src/taskcluster_local/services/{module}"
    )


def _service_client_id(service: str) -> str:
    return f"static/taskcluster/{service}"
