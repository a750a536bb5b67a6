"""What waiting and following ask of a driver; a procedure yields these and is sent what came of them.

Nothing that yields them waits, reads a clock or knows an HTTP library, so sync and async code share it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, NamedTuple, TypeVar

from taskcluster.effects import Invoke, Sleep

__all__ = ["Ask", "Asking", "Effect", "Fetch", "Invoke", "Lines", "Procedure", "Read", "Sleep"]

T = TypeVar("T")


class Ask(NamedTuple):
    """Call a client's method; the driver sends its answer or throws its TaskclusterFailure.

    Where there is no answer in time, that is a TaskclusterConnectionError.
    """

    call: partial[Any]
    seconds: float | None = None
    """How long it may take with all its retries; None leaves that to the client."""


Asking = Callable[["partial[Any]"], Ask]
"""Makes an Ask of a call."""


class Fetch(NamedTuple):
    """GET a URL without authentication, following redirects, up to the head of the answer.

    The driver throws TaskclusterConnectionError where there is no answer, TaskclusterRestFailure where it is a failure.
    """

    url: str
    silence: float
    """Seconds without a byte after which the connection counts as broken."""
    user_agent: str

    def __repr__(self) -> str:
        # Whoever has a signed URL has access.
        return "<Fetch>"


class Read(NamedTuple):
    """Read what comes next of what was fetched: decoded bytes, none at the end.

    The driver throws TaskclusterConnectionError where the connection broke.
    """


class Lines(NamedTuple):
    """Hand lines to the caller."""

    lines: list[str]


Effect = Ask | Sleep | Invoke | Fetch | Read | Lines
Procedure = Generator[Effect, Any, T]
