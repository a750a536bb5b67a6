"""The framing of messages that HTTP requires (RFC 9112) and HTTP libraries do not ensure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..effects import Request

__all__ = ["MAX_INTERIM_RESPONSES", "announces_body", "request_headers"]

MAX_INTERIM_RESPONSES = 100
"""Interim responses accepted before a final response; a server could send them forever."""


def announces_body(headers: Mapping[str, str]) -> bool:
    """Return whether a response has a body according to its headers.

    If the request's method or the status rules a body out, HTTP libraries do not read one that the server sends
    nevertheless, and take it for the response to the connection's next request.
    """
    return headers.get("Content-Length", "0").strip() != "0" or "Transfer-Encoding" in headers


def request_headers(defaults: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return the headers of a request: its own, a session's defaults, and the length of its body."""
    names = {name.lower() for name in request.headers}
    headers = {name: value for name, value in defaults.items() if name.lower() not in names}
    headers.update(request.headers)
    if "content-length" not in names:
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
        elif request.method not in ("GET", "HEAD"):
            headers["Content-Length"] = "0"
    return headers
