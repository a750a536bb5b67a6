"""What HTTP requires of a response's framing (RFC 9112) and HTTP libraries do not check, for both transports."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MAX_INTERIM_RESPONSES", "announces_body"]

MAX_INTERIM_RESPONSES = 100
"""Interim responses accepted before a final response; a server could send them forever."""


def announces_body(headers: Mapping[str, str]) -> bool:
    """Return whether a response has a body according to its headers.

    If the request's method or the status rules a body out, HTTP libraries do not read one that the server sends
    nevertheless, and take it for the response to the connection's next request.
    """
    return headers.get("Content-Length", "0").strip() != "0" or "Transfer-Encoding" in headers
