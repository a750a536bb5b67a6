"""An HTTP server whose own errors, e.g. for a request line that is too long, are JSON as those of the API are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

__all__ = ["ERROR_HEADERS", "LONGEST_LINE", "HttpServer"]

ERROR_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of errors that are reported before a request reaches the APIs or the pages."""

LONGEST_LINE = 16 * 1024
"""The longest first line, and header, of a request in bytes."""
_KEEP_ALIVE_SECONDS = 90
_OPTIONS: Any = {
    "access_log": None,
    "auto_decompress": False,
    "keepalive_timeout": _KEEP_ALIVE_SECONDS,
    "max_line_size": LONGEST_LINE,
    "max_field_size": LONGEST_LINE,
}


class HttpServer(web.Server):
    """Makes connections that respond with `respond`."""

    def __init__(self, respond: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        # A worker that disconnects must not get the task that it was waiting for.
        super().__init__(respond, handler_cancellation=True, **_OPTIONS)

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), **_OPTIONS)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, HttpProcessingError):
            status, code, text = 400, "InputError", f"The request is not valid HTTP/1.1: {_reason(exc)}"
        else:
            # A fault of this program, which is logged.
            super().handle_error(request, status, exc, message)
            code, text = "InternalServerError", "Internal Server Error"
        response = web.json_response({"code": code, "message": text}, status=status, headers=ERROR_HEADERS)
        response.force_close()
        return response


def _reason(exc: HttpProcessingError) -> str:
    # The parser's own messages repeat the request, which may hold a signature.
    if isinstance(exc, LineTooLong):
        return f"the first line and each header may have at most {LONGEST_LINE} bytes."
    return "its first line, a header or a chunk is malformed."
