"""What waiting and following ask of a driver; a procedure yields these and is sent what came of them.

Nothing that yields them waits, reads a clock or knows an HTTP library, so sync and async code share it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from taskcluster.messages import Deliver, Sleep

__all__ = ["Ask", "Deliver", "Effect", "Fetch", "Lines", "Procedure", "Read", "Sleep"]

T = TypeVar("T")


class Ask(NamedTuple):
    """Call a client's method; the driver sends its answer or throws its TaskclusterFailure."""

    call: Callable[[], Any]


class Fetch(NamedTuple):
    """GET a URL without authentication, following redirects, up to the head of the answer.

    The driver throws TaskclusterConnectionError where there is no answer, TaskclusterRestFailure where it is a failure.
    """

    url: str
    silence: float
    """Seconds without a byte after which the connection counts as broken."""

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


Effect = Ask | Sleep | Deliver | Fetch | Read | Lines
Procedure = Generator[Effect, Any, T]
