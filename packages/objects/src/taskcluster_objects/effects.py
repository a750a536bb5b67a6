"""What a transfer asks its driver to do, and what it is told came of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from taskcluster.effects import Sleep
from taskcluster.exceptions import TaskclusterRestFailure
from taskcluster.plugins import Location
from taskcluster.retries import Policy

from .bodies import Sink, Source

__all__ = [
    "Answer",
    "Call",
    "Close",
    "Discard",
    "Effect",
    "Open",
    "Opened",
    "Procedure",
    "Progress",
    "Pump",
    "Report",
    "Send",
    "Settings",
    "Sleep",
    "Take",
    "Tell",
    "Together",
]

T = TypeVar("T")

Progress = Callable[[int, "int | None"], object]
"""What callers are told of their transfer by: bytes done, and in all where that is known."""
Report = Progress
"""The same as drivers call it; in async code what it returns is awaited if it can be."""


class Call(NamedTuple):
    """Call a function of the user's or a client's, of either mode; the driver answers with its result."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = MappingProxyType({})


class Open(NamedTuple):
    """Ask for a body; the driver answers with Opened, or throws TaskclusterConnectionError."""

    location: Location
    headers: Mapping[str, str]


class Opened(NamedTuple):
    """An answer whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    native: Any
    """What its body is read from."""


class Pump(NamedTuple):
    """Move the rest of a body into a sink; the driver throws TaskclusterConnectionError where it breaks off."""

    opened: Opened
    sink: Sink
    report: Report


class Discard(NamedTuple):
    """Let go of an answer without reading its body."""

    opened: Opened


class Send(NamedTuple):
    """Send a source to a location; the driver answers with Answer, or throws TaskclusterConnectionError."""

    location: Location
    headers: Mapping[str, str]
    source: Source
    report: Report


class Answer(NamedTuple):
    """The head of an answer to something sent."""

    status: int
    headers: Mapping[str, str]


class Tell(NamedTuple):
    """Report how far a transfer is."""

    report: Report
    done: int
    total: int | None


class Take(NamedTuple):
    """Read a source to its end; the driver answers with the bytes."""

    source: Source


class Close(NamedTuple):
    """Close a client when the transfer is over."""

    client: Any


class Together(NamedTuple):
    """Run procedures at the same time, so many at once at most; the driver answers with the list of their results.

    Where one fails, those that run are stopped (in threads, once what they ask for has begun to be answered), the rest
    is not begun, and its exception is thrown.
    """

    procedures: Sequence[Generator[Any, Any, Any]]
    limit: int


Effect = Call | Open | Pump | Discard | Send | Take | Tell | Close | Together | Sleep
Procedure = Generator[Effect, Any, T]


@dataclass(frozen=True)
class Settings:
    """What a transfer takes from its client and from the world around it."""

    policy: Policy
    timeout: tuple[float, float]
    """Seconds to connect, and of silence."""
    user_agent: str
    """Sent to storage."""
    now: Callable[[], float]
    """Unix time in seconds."""
    random: Callable[[], float]
    failure: Callable[..., TaskclusterRestFailure]
    """Makes what is raised where storage answers with a status that is no success."""
    client: Callable[[Mapping[str, Any]], Any]
    """Makes a client of the object service from options."""
    progress: Progress | None
    """Told of bytes done and, where known, bytes in all."""

    def report(self, done: int, total: int | None) -> object:
        """Tell the caller how far it is; return what the caller's function returns."""
        return None if self.progress is None else self.progress(done, total)
