"""What sync and async consumers have in common: their arguments."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypedDict, overload

from taskcluster.exchanges import EventBinding
from taskcluster.redacted import without_user_info

from .broker_link import BrokerLink
from .delivery import Emit
from .exceptions import PulseFailure
from .message import PayloadT
from .procedures import Callbacks
from .settings import HEARTBEAT, where
from .stream_link import StreamLink, StreamSource
from .supervisor import RECYCLE, Supervised, Supervisor
from .topology import bindings_of, queue_topology

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ConsumerBase", "UntypedBinding"]

UntypedBinding = Mapping[str, str] | tuple[str, str]
"""A binding whose payload is unknown to type checkers: a mapping or a tuple of exchange and pattern."""


class ConsumerOptions(TypedDict, total=False):
    """The keyword arguments of consumers, for type checkers; `ConsumerBase` has their defaults."""

    url: str | None
    hostname: str | None
    port: int | None
    vhost: str | None
    amqps: bool | None
    root_url: str | None
    ssl_context: ssl.SSLContext | None
    queue: str | None
    queue_type: str
    queue_arguments: Mapping[str, Any] | None
    prefetch: int
    manual_ack: bool
    on_connected: Callable[[], Any] | None
    on_failure: Callable[[Any, Exception], Any] | None
    heartbeat: int
    connect_timeout: float | None
    recycle: float | None


class ConsumerBase(Generic[PayloadT]):
    """The arguments of a consumer.

    Args:
        bindings: What to receive: one binding of an events class or several, or tuples of exchange and pattern.
        credentials: `username` and `password` of the Pulse account. With `root_url`, Taskcluster credentials.
        url: The broker as `amqps://USER:PASSWORD@HOST:PORT/VHOST`; defaults to PULSE_URL. An http URL is a `root_url`.
        hostname: The broker's host; defaults to PULSE_HOSTNAME.
        port: The broker's port; defaults to PULSE_PORT, or 5671 with TLS, 5672 without.
        vhost: The virtual host; defaults to PULSE_VHOST, or `/`.
        amqps: Whether to use TLS; defaults to PULSE_AMQPS, or True.
        root_url: A local deployment, whose message stream is then read instead of a broker; defaults to
            TASKCLUSTER_ROOT_URL if no broker is named. Queues do not apply: there are only messages from now on.
        ssl_context: For TLS; defaults to the system's certificates.
        queue: The name of a durable queue, which keeps messages while the program does not run; `queue/<user>/` is put
            before it. Consumers of one queue share its messages. Without a name the queue is new, and it is deleted
            when the consumer stops, or five minutes after its connection is lost.
        queue_type: `quorum` or `classic`, for a durable queue. It cannot be changed for an existing one.
        queue_arguments: Further arguments of the queue, e.g. `{"x-max-length": 50}` to keep only the latest messages,
            or `{"x-dead-letter-exchange": "exchange/<user>/failed"}`.
        prefetch: How many messages may be received before they are acknowledged.
        manual_ack: Whether only `ack()` acknowledges messages.
        on_connected: Called after each connection, the first included: messages may have been missed before it.
        on_failure: Called with a message and an exception when a message is given up.
        heartbeat: Seconds between signs of life; after twice as long without one, the connection counts as lost.
        connect_timeout: Seconds in which the first connection must succeed; None waits for the broker forever.
        recycle: Seconds after which the connection is replaced; None never replaces it.

    Raises:
        PulseFailure: An argument is missing or invalid.
    """

    @overload
    def __init__(
        self,
        bindings: EventBinding[PayloadT] | Iterable[EventBinding[PayloadT]],
        credentials: Mapping[str, Any] | None = ...,
        **options: Unpack[ConsumerOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        bindings: UntypedBinding | Iterable[UntypedBinding],
        credentials: Mapping[str, Any] | None = ...,
        **options: Unpack[ConsumerOptions],
    ) -> None: ...
    def __init__(
        self,
        bindings: Any,
        credentials: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        hostname: str | None = None,
        port: int | None = None,
        vhost: str | None = None,
        amqps: bool | None = None,
        root_url: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        queue: str | None = None,
        queue_type: str = "quorum",
        queue_arguments: Mapping[str, Any] | None = None,
        prefetch: int = 5,
        manual_ack: bool = False,
        on_connected: Callable[[], Any] | None = None,
        on_failure: Callable[[Any, Exception], Any] | None = None,
        heartbeat: int = HEARTBEAT,
        connect_timeout: float | None = 30.0,
        recycle: float | None = RECYCLE,
    ) -> None:
        self._bindings = bindings_of(bindings)
        if not 1 <= prefetch <= 65535:
            raise PulseFailure(f"prefetch must be from 1 to 65535, not {prefetch!r}")
        if queue_type not in ("quorum", "classic"):
            raise PulseFailure(f"queue_type must be 'quorum' or 'classic', not {queue_type!r}")
        self._where = where(
            credentials=credentials,
            url=url,
            hostname=hostname,
            port=port,
            vhost=vhost,
            amqps=amqps,
            root_url=root_url,
            heartbeat=heartbeat,
        )
        self._prefetch = prefetch
        self._heartbeat = heartbeat
        self._topology = (
            queue_topology(
                self._bindings,
                username=self._where.broker.username,
                queue=queue,
                queue_type=queue_type,
                queue_arguments=queue_arguments,
                prefetch=prefetch,
            )
            if self._where.broker is not None
            else None
        )
        self._context = ssl_context
        self._callbacks = Callbacks(on_connected, on_failure)
        self._manual_ack = manual_ack
        self._connect_timeout = connect_timeout
        self._recycle = recycle

    def __repr__(self) -> str:
        broker, topology = self._where.broker, self._topology
        if broker is None or topology is None:
            return f"<{type(self).__name__} of {without_user_info(self._where.root_url or '')}>"
        return f"<{type(self).__name__} of {topology.queue} at {broker.address}>"

    @property
    def queue(self) -> str | None:
        """The name of the queue on the broker; None for the stream of a deployment."""
        return None if self._topology is None else self._topology.queue

    def _supervise(self, emit: Emit) -> Supervisor:
        """Return what keeps the connection open; in the event loop that shall run it."""
        return Supervisor(
            self._link_maker(emit),
            emit,
            connect_timeout=self._connect_timeout,
            # Two streams at the same time would receive the same messages.
            recycle=None if self._where.broker is None else self._recycle,
        )

    def _link_maker(self, emit: Emit) -> Callable[[], Supervised]:
        broker, topology = self._where.broker, self._topology
        if broker is not None and topology is not None:
            return lambda: BrokerLink(broker, topology, emit, self._context)
        source = StreamSource(
            self._where.root_url or "",
            self._where.credentials,
            self._bindings,
            prefetch=self._prefetch,
            timeout=2.0 * self._heartbeat,
            emit=emit,
        )
        return lambda: StreamLink(source)
