"""The sync transport, on requests and urllib3."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import requests
import urllib3
import urllib3.exceptions

from ..causes import safe_cause
from ..effects import Request, Response
from ..exceptions import TaskclusterConnectionError
from .bodies import Body, read_body
from .caller_session import SessionSender, is_requests_replaced
from .error_mapping import ConnectionFailure, failure_message
from .log_redaction import redacted_logs
from .own_session import OwnSession

__all__ = ["RequestsTransport"]

T = TypeVar("T")


class RequestsTransport:
    """Sends requests over one session.

    Args:
        session: The caller's session, which the caller closes, or None for an own session, created when needed.
        user_agent: Sent unless the caller's session has a User-Agent of its own.
        failure: Returns the exception to raise if the connection fails.
    """

    def __init__(
        self,
        session: requests.Session | None,
        user_agent: str,
        failure: ConnectionFailure = TaskclusterConnectionError,
    ) -> None:
        self.given = session
        self._failure = failure
        self._user_agent = user_agent
        self._own: OwnSession | None = None
        self._pid = os.getpid()
        self.replacement: Callable[..., requests.Response] | None = None
        """Called instead of sending, with the verb, the URL, the body as a string and the headers."""

    def send(self, request: Request) -> Response:
        """Send a request and return the response.

        Raises:
            TaskclusterConnectionError: There is no complete response.
        """
        return self._attempt(request, partial(self._send, request))

    def open(self, request: Request, body: Iterable[bytes] | None = None) -> Body:
        """Send a request and return the response, whose body the caller reads to the end, or closes.

        Args:
            request: The request.
            body: Sent instead of the request's own body. The headers must include its length.

        Raises:
            TaskclusterConnectionError: There is no response.
        """
        return self._attempt(request, partial(self._open, request, body))

    def close(self) -> None:
        """Close the own session's connections; the next call opens new ones."""
        own, self._own = self._own, None
        if own is not None and self._pid == os.getpid():
            own.close()

    def _attempt(self, request: Request, send: Callable[[], T]) -> T:
        try:
            with redacted_logs:
                return send()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            failure = self._failure(failure_message(request, exc), safe_cause(exc))
        # Outside the block, so that `exc` is not its context.
        raise failure from failure.superExc

    def _send(self, request: Request) -> Response:
        if self.replacement is not None:
            body = None if request.body is None else request.body.decode()
            response = self.replacement(request.method.lower(), request.url, body, request.headers)
            headers = getattr(response, "headers", {})
            return Response(response.status_code, headers, _content(response), lambda: response)
        if self.given is None and not is_requests_replaced():
            raw = self._own_session().open(request, request.body)
            content = read_body(raw, request.max_response_size)
            return Response(raw.status, raw.headers, content, partial(self._native, request, raw, content))
        response = self._sender().send(request, stream=False)
        return Response(response.status_code, response.headers, _content(response), lambda: response)

    def _open(self, request: Request, body: Iterable[bytes] | None) -> Body:
        if self.given is None and not is_requests_replaced():
            raw = self._own_session().open(request, request.body if body is None else body)
            return Body(request, raw.status, raw.headers, raw, self._failure)
        response = self._sender().send(request, body, stream=True)
        return Body(request, response.status_code, response.headers, response.raw, self._failure)

    def _own_session(self) -> OwnSession:
        own = self._own
        # A forked child must not use the parent's sockets.
        if own is None or self._pid != os.getpid():
            own = OwnSession(self._user_agent)
            # In this order: another thread of the child must not see its process with the parent's session.
            self._own = own
            self._pid = os.getpid()
        return own

    def _sender(self) -> SessionSender:
        if self.given is not None:
            return SessionSender(self.given, self._user_agent)
        own = self._own_session()
        return SessionSender(own, self._user_agent, own.settings)

    def _native(self, request: Request, raw: urllib3.HTTPResponse, content: bytes) -> requests.Response:
        """Return the response that requests would return."""
        # requests leaves this method untyped.
        adapter: Any = self._own_session().adapter
        response: Any = adapter.build_response(self._sender().prepare(request), raw)
        response._content, response._content_consumed = content, True
        native: requests.Response = response
        return native


def _content(response: requests.Response) -> bytes:
    content: Any = getattr(response, "content", ...)
    # A mock may have no body except for what `json` returns.
    return content or b"" if isinstance(content, bytes | None) else json.dumps(response.json()).encode()
