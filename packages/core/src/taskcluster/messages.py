"""What a call and a transport say to each other: plain values, no HTTP library in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .options import MAX_RESPONSE_SIZE

__all__ = ["Deliver", "Effect", "Request", "RequestEvent", "Response", "Sleep"]


class Request(NamedTuple):
    """One HTTP request, ready for the wire: `url` is sent byte for byte, as Hawk signed it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: tuple[float, float] | None
    """Connect and read time-out in seconds; None leaves it to the session."""
    max_response_size: int = MAX_RESPONSE_SIZE
    """Bytes that the response's body may have when it is read as a whole, decompressed."""

    def __repr__(self) -> str:
        # Headers and body hold what no log may.
        return f"<Request {self.method} {self.url}>"


class Response(NamedTuple):
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    native: Callable[[], Any]
    """Returns the HTTP library's own response, whose body stays readable."""

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """One attempt of one call, as observers see it; there is no secret in it."""

    service: str
    """The service's name, such as `queue`."""
    method: str
    """The API method's name, such as `createTask`."""
    attempt: int
    """1 for the first."""
    status: int | None
    """The HTTP status; None where no answer came."""
    duration: float
    """Seconds from sending to the end of the answer."""
    sent: int
    """Bytes of the request's body."""
    received: int
    """Bytes of the answer's body."""
    failure: str | None
    """The documented class of the failure where no answer came: `TaskclusterConnectionError`."""


class Sleep(NamedTuple):
    """Ask the driver to wait."""

    seconds: float


class Deliver(NamedTuple):
    """Ask the driver to hand a page to the caller's pagination handler, which in async code may be a coroutine."""

    handler: Callable[[Any], Any]
    page: Any


Effect = Request | Sleep | Deliver
"""What a driver is asked to do. It answers a Request with a Response, or throws TaskclusterConnectionError."""
