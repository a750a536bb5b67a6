"""The settings of a transfer, which it shares with the client that it was given."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from taskcluster.effects import Request
from taskcluster.exceptions import TaskclusterRestFailure
from taskcluster.options import timeouts, user_agent_of
from taskcluster.plugins import Location
from taskcluster.registry import registry
from taskcluster.retries import Policy
from taskcluster.shapes import is_mapping

from .effects import Progress

__all__ = ["TransferSettings", "object_client"]


@dataclass(frozen=True)
class TransferSettings:
    """What a transfer takes from its client and its environment."""

    policy: Policy
    timeout: tuple[float, float]
    """Connect and idle timeout in seconds."""
    user_agent: str
    """Sent to storage."""
    now: Callable[[], float]
    """Unix time in seconds."""
    random: Callable[[], float]
    failure: Callable[..., TaskclusterRestFailure]
    """The class of the exception if storage responds with an error."""
    client: Callable[[Mapping[str, Any]], Any]
    """Returns a client of the object service for options."""
    progress: Progress | None

    @classmethod
    def of(
        cls,
        service: Any,
        max_retries: int | None,
        progress: Progress | None,
        failure: Callable[..., TaskclusterRestFailure],
        client: Callable[[Mapping[str, Any]], Any],
    ) -> TransferSettings:
        """Return the settings for a service's client; `max_retries` defaults to the client's."""
        known: Any = getattr(service, "options", None)
        options: Mapping[str, Any] = known if is_mapping(known) else {}
        if max_retries is not None:
            options = {**options, "maxRetries": max_retries}
        return cls(
            policy=Policy.of(options),
            timeout=timeouts(options.get("timeout")),
            user_agent=user_agent_of(options),
            # Looked up at each use: tests of programs replace these functions for a while.
            now=lambda: time.time(),
            random=lambda: random.random(),
            failure=failure,
            client=client,
            progress=progress,
        )

    def report(self, done: int, total: int | None) -> object:
        """Call the program's progress function, and return its result."""
        return None if self.progress is None else self.progress(done, total)

    def request(self, location: Location, headers: Mapping[str, str]) -> Request:
        """Return the request to a location."""
        return Request(location.method, location.url, dict(headers), None, self.timeout)


def object_client(which: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return the class of clients of the object service, `client` or `async_client`.

    Tests of programs replace `taskcluster.aio.download.Object`, for transfers of both modes.
    """
    original = registry.find("async_client", "Object")
    used = getattr(sys.modules.get("taskcluster_objects.aio.download"), "Object", original)
    found: Callable[[Mapping[str, Any]], Any] = registry.find(which, "Object") if used is original else used
    return found
