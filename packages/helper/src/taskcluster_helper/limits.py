"""How a client's time-outs and retries are kept within a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskcluster.options import timeouts
from taskcluster.retries import Policy

__all__ = ["limited"]


def limited(options: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return those options of a client by which its calls end in time, unless a server sends bit by bit.

    Args:
        options: The client's.
        seconds: What a call may take, above 0.
    """
    connect, read = (min(each, seconds) for each in timeouts(options.get("timeout")))
    # As if each attempt were silent to its end, and each pause before the next as long as can be.
    policy = Policy.of(options)
    retries = (seconds - read) / (read + policy.max_delay)
    return {"timeout": (connect, read), "maxRetries": min(policy.max_retries, int(retries))}
