"""The effects of transfers, beside those of `taskcluster.effects`. performer.py and aio/performer.py perform them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from taskcluster.effects import Close, Invoke, Open, Opened, Request, Sleep

from .bodies import Sink, Source

__all__ = [
    "Close",
    "CloseClient",
    "Effect",
    "Gather",
    "Invoke",
    "Open",
    "Opened",
    "Procedure",
    "Progress",
    "ReadAll",
    "ReadBody",
    "ReportProgress",
    "SendBody",
    "Sleep",
    "Uploaded",
]

T = TypeVar("T")

Progress = Callable[[int, "int | None"], object]
"""A function of the program's that is called with the bytes done, and the bytes in total if known. In async code, what
it returns may be awaitable."""


class ReadBody(NamedTuple):
    """Read the rest of a response body into a sink; raises TaskclusterConnectionError if the connection breaks."""

    opened: Opened
    sink: Sink
    report: Progress


class SendBody(NamedTuple):
    """Send a request with a source as its body, and return Uploaded; raises TaskclusterConnectionError as Open."""

    request: Request
    source: Source
    report: Progress

    def __repr__(self) -> str:
        # Whoever has a signed URL has access.
        return "<SendBody>"


class Uploaded(NamedTuple):
    """The response to a request that sent a body."""

    status: int
    headers: Mapping[str, str]


class ReadAll(NamedTuple):
    """Read a source to its end, and return its bytes."""

    source: Source


class ReportProgress(NamedTuple):
    """Report how far a transfer is."""

    report: Progress
    done: int
    total: int | None


class CloseClient(NamedTuple):
    """Close a client of the object service, if it can be closed."""

    client: Any


class Gather(NamedTuple):
    """Run procedures concurrently, at most `limit` at a time, and return the list of their results.

    If one fails, the others are stopped (in threads: when the next bytes arrive) and its exception is raised.
    """

    procedures: Sequence[Generator[Any, Any, Any]]
    limit: int


Effect = Invoke | Open | ReadBody | Close | SendBody | ReadAll | ReportProgress | CloseClient | Gather | Sleep
Procedure = Generator[Effect, Any, T]
