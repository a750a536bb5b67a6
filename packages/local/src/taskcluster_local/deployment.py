"""All services of one deployment put together: one store, one directory, one clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from .api import Api
from .authentication import Client
from .endpoints import references
from .services import monitoring
from .services.auth import routes as auth
from .services.auth.state import ANONYMOUS_SCOPES, NEVER, Accounts
from .services.index import routes as index
from .services.index.state import Index
from .services.queue import routes as queue
from .services.queue.arrivals import Arrivals
from .services.queue.state import Queue
from .services.secrets import routes as secrets
from .services.secrets.state import Secrets
from .store import Store
from .timestamps import Clock, system_clock

__all__ = ["ROOT_CLIENT", "Configuration", "Deployment"]

ROOT_CLIENT = "static/taskcluster/root"
_QUEUE_CLIENT = "static/taskcluster/queue"


@dataclass(frozen=True)
class Configuration:
    """What a deployment is told when it is started."""

    accessToken: str
    """Of the root client, which may do everything."""
    queue_token: str
    """Of the queue's own client, which issues the credentials of workers."""
    clients: Sequence[Client] = ()
    roles: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    """By roleId; what is said of `anonymous` stands in place of the usual."""
    clock: Clock = system_clock
    claim_timeout: timedelta = timedelta(minutes=20)

    def accounts(self) -> Accounts:
        """Return the clients and roles.

        Raises:
            ApiError: They are not possible together (InputError).
        """
        own = [Client(ROOT_CLIENT, self.accessToken, ("*",), NEVER), self.queue_client]
        return Accounts([*own, *self.clients], {"anonymous": ANONYMOUS_SCOPES, **self.roles})

    @property
    def queue_client(self) -> Client:
        """The client that the queue acts as."""
        return Client(_QUEUE_CLIENT, self.queue_token, ("*",), NEVER)


class Deployment:
    """The services, ready to answer. Belongs to one thread and its event loop.

    Args:
        configuration: What it is told.
        store: Where it keeps what it is given; whoever opened it closes it.
        root_url: Under which it is reached.
    """

    def __init__(self, configuration: Configuration, store: Store, root_url: str) -> None:
        clock = self._clock = configuration.clock
        accounts = configuration.accounts()
        self._arrivals = Arrivals()
        self._queue = Queue(store, configuration.claim_timeout, self._arrivals.announce)
        apis = references()
        handlers = {name: monitoring.handlers(clock()) for name in apis}
        handlers["auth"] |= auth.handlers(accounts)
        handlers["index"] |= index.handlers(Index(store))
        handlers["queue"] |= queue.handlers(self._queue, self._arrivals, configuration.queue_client, clock)
        handlers["secrets"] |= secrets.handlers(Secrets(store))
        self.api = Api(apis, handlers, accounts, clock, root_url)

    def resolve_overdue(self) -> None:
        """Do what happens to tasks, as time passes, when nobody calls. To be called from time to time."""
        self._queue.resolve_overdue(self._clock())

    def stop_waiting(self) -> None:
        """Answer those who wait for work, so that the server can stop."""
        self._arrivals.close()
