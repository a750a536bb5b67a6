"""Effects, which procedures yield and packages perform, and the values in them. Nothing here knows an HTTP library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from .options import MAX_RESPONSE_SIZE
from .redacted import without_user_info

__all__ = ["Close", "Emit", "Invoke", "Open", "Opened", "Request", "Response", "Sleep"]


class Request(NamedTuple):
    """One HTTP request, which is sent as an effect and returns a Response; `url` is sent byte for byte, as signed."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: tuple[float, float] | None
    """Connect and read timeout in seconds; None leaves it to the session."""
    max_response_size: int = MAX_RESPONSE_SIZE
    """The largest response body to read into memory, in bytes when decompressed."""
    call: str = ""
    """The API method, e.g. `queue.task`; empty for requests that call none."""

    def described(self) -> str:
        """Return the request for error messages, without its path and query, which may hold a token or signature."""
        where = f"{self.method} at {without_user_info(self.url[: self.url.find('/', 8)])}"
        return f"{self.call}: {where}" if self.call else where

    def __repr__(self) -> str:
        # Headers and body may hold secrets.
        return f"<Request {self.method} {self.url}>"


class Response(NamedTuple):
    """One HTTP response with its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    native: Callable[[], Any]
    """Returns the HTTP library's own response, whose body stays readable."""

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


class Sleep(NamedTuple):
    """Wait."""

    seconds: float


class Invoke(NamedTuple):
    """Call a function of the program's or a method of a client, and return its result; in async code, awaited."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = MappingProxyType({})
    seconds: float | None = None
    """How long a client's method may take with all its retries; None leaves that to the client."""


class Open(NamedTuple):
    """Send a request without authentication, and return Opened; raise TaskclusterConnectionError without a response."""

    request: Request

    def __repr__(self) -> str:
        # Whoever has a signed URL has access.
        return "<Open>"


class Opened(NamedTuple):
    """A response whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    native: Any
    """The transport's own response, which the body is read from."""


class Close(NamedTuple):
    """Close a response. Its connection is kept only if its body was read to the end."""

    opened: Opened


class Emit(NamedTuple):
    """Hand values to the program that iterates over them."""

    values: Sequence[Any]
