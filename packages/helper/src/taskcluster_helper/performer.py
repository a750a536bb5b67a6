"""What the effects of the helper's procedures do in sync code."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from taskcluster.awaitables import plain
from taskcluster.client import LIMITS
from taskcluster.effects import Close, Invoke, Open, Opened, Sleep
from taskcluster.options import timeouts, user_agent_of
from taskcluster.retries import Policy
from taskcluster.shapes import is_mapping

from .effects import Effect, ReadSome, ReportChange

if TYPE_CHECKING:
    from taskcluster.transport.requests import RequestsTransport

__all__ = ["CHUNK", "HelperPerformer", "limited", "user_agent_for"]

CHUNK = 64 * 1024
"""Bytes of a response body to read at a time, at most."""


class HelperPerformer:
    """Performs effects, with connections that it opens for the first response and keeps until `close`.

    Args:
        client: The client whose methods are invoked; its options name the program to storage.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._transport: RequestsTransport | None = None

    def __call__(self, effect: Effect) -> Any:
        match effect:
            case Invoke():
                return plain(
                    _invoked(effect),
                    "a sync function needs a sync client; taskcluster.aio.helper has the async functions",
                )
            case ReportChange(on_change, seen):
                return plain(on_change(seen), "on_change of a sync function must not be a coroutine function")
            case Sleep(seconds):
                return time.sleep(seconds)
            case Open():
                return self._opened(effect)
            case ReadSome(opened):
                return opened.native.read1(CHUNK)
            case Close(opened):
                return opened.native.close()

    def _opened(self, effect: Open) -> Opened:
        if self._transport is None:
            from taskcluster.transport.requests import RequestsTransport

            self._transport = RequestsTransport(None, user_agent_for(self._client))
        body = self._transport.open(effect.request)
        return Opened(body.status, body.headers, body)

    def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            self._transport.close()


def user_agent_for(client: Any) -> str:
    """Return the User-Agent of a client, or the default for a fake without options."""
    options: Any = getattr(client, "options", None)
    return user_agent_of(options if is_mapping(options) else {})


def _invoked(effect: Invoke) -> Any:
    if effect.seconds is None:
        return effect.function(*effect.arguments, **effect.keywords)
    before = LIMITS.set(partial(limited, seconds=effect.seconds))
    try:
        return effect.function(*effect.arguments, **effect.keywords)
    finally:
        LIMITS.reset(before)


def limited(options: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return the options of a client with which its calls end in time, unless a server sends byte by byte.

    Args:
        options: The client's options.
        seconds: How long a call may take, above 0.
    """
    connect, read = (min(each, seconds) for each in timeouts(options.get("timeout")))
    # As if each attempt timed out, and each delay before a retry were the longest.
    policy = Policy.of(options)
    retries = (seconds - read) / (read + policy.max_delay)
    return {"timeout": (connect, read), "maxRetries": min(policy.max_retries, int(retries))}
