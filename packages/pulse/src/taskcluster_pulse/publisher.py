"""Publish messages in sync code."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .aio.publisher import Publisher as AsyncPublisher
from .exceptions import PulseFailure
from .loop_thread import LoopThread

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Publisher"]


class Publisher:
    """Publish messages to exchanges of the account, each confirmed by the broker.

        with Publisher(url=url) as publisher:
            exchange = publisher.declare_exchange("builds")
            publisher.publish(exchange, "primary.linux", {"build": 1}, routes=["index.linux"])

    Arguments are those of `taskcluster.aio.pulse.Publisher`.
    """

    _thread: LoopThread | None = None

    def __init__(
        self,
        credentials: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        hostname: str | None = None,
        port: int | None = None,
        vhost: str | None = None,
        amqps: bool | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._publisher = AsyncPublisher(
            credentials, url=url, hostname=hostname, port=port, vhost=vhost, amqps=amqps, ssl_context=ssl_context
        )

    def __repr__(self) -> str:
        return repr(self._publisher)

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise PulseFailure("a publisher can be used once only: make another one")
        self._thread = LoopThread("taskcluster-pulse-publisher")
        self._thread.call(self._publisher.__aenter__())
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._thread is None or not self._thread.is_running or self._thread.is_closed:
            return
        try:
            self._thread.call(self._publisher.__aexit__(*exc_info))
        finally:
            self._thread.close()

    def declare_exchange(self, name: str) -> str:
        """Create an exchange of the account unless it exists; as the async method."""
        return self._opened().call(self._publisher.declare_exchange(name))

    def publish(
        self, exchange: str, routing_key: str, payload: Any, *, routes: Iterable[str] = (), timeout: float = 30.0
    ) -> None:
        """Publish a message, and return when the broker has stored it; as the async method."""
        self._opened().call(self._publisher.publish(exchange, routing_key, payload, routes=routes, timeout=timeout))

    def _opened(self) -> LoopThread:
        if self._thread is None:
            raise PulseFailure("connect first: with Publisher(…) as publisher")
        return self._thread
