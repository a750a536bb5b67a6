"""What plugins that observe requests receive."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RequestEvent"]


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """One attempt of one call, for observers; it holds no secret."""

    service: str
    """The service's name, e.g. `queue`."""
    method: str
    """The API method's name, e.g. `createTask`."""
    attempt: int
    """1 for the first."""
    status: int | None
    """The HTTP status; None if there was no response."""
    duration: float
    """Seconds from sending the request to the end of the response."""
    sent: int
    """Bytes of the request body."""
    received: int
    """Bytes of the response body."""
    failure: str | None
    """The documented class of the failure if there was no response: `TaskclusterConnectionError`."""
