"""Requests over a caller's session, through the API of requests, as its hooks, adapters and mocks expect.

Session.send is called instead of Session.request, which reads the environment and quotes the URL again for each call,
unless a program has overridden or replaced Session.request. Our own session is used so while anything of requests is
replaced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MethodType
from typing import Any, cast

import requests
import requests.adapters
import requests.api
import requests.sessions
from requests.adapters import HTTPAdapter
from requests.hooks import default_hooks
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from requests.utils import default_user_agent
from urllib3.response import BaseHTTPResponse

from ..effects import Request
from ..exceptions import TaskclusterFailure
from ..shapes import is_function_of
from .bodies import read_body
from .connections import close_if_followed
from .framing import request_headers

__all__ = ["SessionSender", "is_requests_replaced"]

_API, _SESSIONS, _ADAPTERS = vars(requests.api), vars(requests.sessions), vars(requests.adapters)


def is_requests_replaced() -> bool:
    """Return whether a program has replaced a function of requests that sends, for example by a mock or a tracer."""
    return not (
        is_function_of(requests.Session.send, _SESSIONS)
        and is_function_of(requests.Session.request, _SESSIONS)
        and is_function_of(requests.Session.get_adapter, _SESSIONS)
        and is_function_of(HTTPAdapter.send, _ADAPTERS)
        and is_function_of(requests.request, _API)
    )


class SessionSender:
    """Sends requests over a session through the API of requests.

    Args:
        session: The session.
        user_agent: Sent unless the session has a User-Agent of its own.
        settings: Returns the arguments of Session.send for a URL's proxy and certificates. None if the session is the
            caller's; then its own cookies, auth, hooks, proxies and certificates apply.
    """

    def __init__(
        self, session: requests.Session, user_agent: str, settings: Callable[[str], dict[str, Any]] | None = None
    ) -> None:
        self._session = session
        self._user_agent = user_agent
        self._settings = settings

    def send(self, request: Request, body: Iterable[bytes] | None = None, *, stream: bool) -> requests.Response:
        """Send a request and return the response.

        Args:
            request: The request.
            body: Sent instead of the request's own body. The headers must include its length.
            stream: Leave the response body unread.

        Raises:
            requests.RequestException: There is no complete response.
            TaskclusterFailure: The response body is too large, or the session cannot be used.
        """
        is_own = self._settings is not None
        if _replaces_request(self._session) or (is_own and not is_function_of(requests.request, _API)):
            return self._send_by_request(request, body, stream=stream)
        prepared = self.prepare(request)
        if body is not None:
            untyped: Any = prepared
            untyped.body = body
        settings = self._send_arguments(request.url)
        if stream:
            settings["stream"] = True
        responses: list[requests.Response] = []
        limit = None if stream else request.max_response_size
        prepared.hooks = _with_hooks(prepared.hooks, partial(_receive, limit), responses)
        try:
            return self._session.send(prepared, timeout=request.timeout, allow_redirects=False, **settings)
        except ValueError:
            # requests cannot parse the Location of a redirect, which is not followed.
            if not responses:
                raise
            return responses[0]

    def prepare(self, request: Request) -> PreparedRequest:
        """Return a request as requests has it.

        PreparedRequest.prepare would quote the URL again, and replace Authorization by netrc's credentials.
        """
        prepared = PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        prepared.body = request.body
        prepared.headers = CaseInsensitiveDict(request_headers(self._session.headers, request))
        prepared.hooks = default_hooks()
        # requests leaves this method untyped.
        untyped: Any = prepared
        untyped.prepare_cookies(self._session.cookies if self._settings is None else {})
        if self._settings is None:
            self._apply_session(request, prepared)
        return prepared

    def _apply_session(self, request: Request, prepared: PreparedRequest) -> None:
        """Apply the settings of the caller's session, as Session.prepare_request does."""
        # In sessions of requests, None removes a header.
        unset = [name for name, value in cast("Mapping[str, Any]", prepared.headers).items() if value is None]
        for name in unset:
            del prepared.headers[name]
        if prepared.headers.get("User-Agent") == default_user_agent():
            prepared.headers["User-Agent"] = self._user_agent
        if self._session.auth and "Authorization" not in request.headers:
            untyped: Any = prepared
            untyped.prepare_auth(self._session.auth, request.url)
        prepared.hooks = self._session.hooks

    def _send_arguments(self, url: str) -> dict[str, Any]:
        if self._settings is not None:
            return {**self._settings(url)}
        settings = dict(self._session.merge_environment_settings(url, {}, None, None, None))
        _check_certificates(settings["verify"], url)
        return settings

    def _send_by_request(self, request: Request, body: Iterable[bytes] | None, *, stream: bool) -> requests.Response:
        """Send through Session.request or requests.request, which a program has overridden or replaced."""
        session, is_callers = self._session, self._settings is None
        headers = dict(request.headers)
        if session.headers.get("User-Agent") == default_user_agent():
            headers["User-Agent"] = self._user_agent
        # With an auth argument, requests does not replace Authorization by netrc's credentials.
        auth = None if session.auth and "Authorization" not in headers else _unchanged
        data: Any = request.body if body is None else _SizedBody.of(body, int(headers["Content-Length"]))
        # Programs that pass no session may replace the function instead.
        is_usual = is_callers or is_function_of(requests.request, _API)
        send: Callable[..., requests.Response] = session.request if is_usual else requests.request
        response = send(
            request.method,
            request.url,
            data=data,
            headers=headers,
            auth=auth,
            allow_redirects=False,
            timeout=request.timeout,
            # Whether the connection can be kept is decided before the body is read.
            stream=True,
        )
        _receive(None if stream else request.max_response_size, response)
        return response


def _replaces_request(session: requests.Session) -> bool:
    """Return whether a session's `request` is a subclass's, a mock or a wrapper."""
    bound = getattr(session, "request", None)
    # Mocks may have `send` only.
    return bound is not None and not (type(bound) is MethodType and is_function_of(bound.__func__, _SESSIONS))


def _check_certificates(verify: object, url: str) -> None:
    # requests would raise an OSError, which is not a RequestException. A mock never opens the file.
    is_used = isinstance(verify, str) and url.lower().startswith("https:") and not is_requests_replaced()
    if is_used and not os.path.exists(cast("str", verify)):
        raise TaskclusterFailure(
            f"the session's certificates to trust are in {verify!r}, which does not exist: correct the session's "
            "verify, or the environment variable REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE"
        )


class _SizedBody:
    """A body with a length: requests would send any other with chunked encoding, besides its Content-Length."""

    def __init__(self, body: Iterable[bytes], length: int) -> None:
        self._body = body
        self._length = length

    @classmethod
    def of(cls, body: Iterable[bytes], length: int) -> _SizedBody | None:
        return cls(body, length) if length else None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


def _unchanged(prepared: PreparedRequest) -> PreparedRequest:
    return prepared


def _with_hooks(
    hooks: Any, first: Callable[[requests.Response], object], responses: list[requests.Response]
) -> dict[str, Any]:
    """Return a session's hooks with one before them, and one after them that appends the response to `responses`."""

    def begin(response: requests.Response, **kwargs: Any) -> None:
        first(response)

    def note(response: requests.Response, **kwargs: Any) -> None:
        responses.append(response)

    own: Any = hooks.get("response") or []
    return {**hooks, "response": [begin, *([own] if callable(own) else own), note]}


def _receive(limit: int | None, response: requests.Response) -> None:
    """Check that a response is final, and read its body.

    Args:
        limit: The largest body in bytes; None leaves the body unread.
        response: Its headers were read, and its connection was not released.

    Raises:
        requests.RequestException: The response is interim, or its body is incomplete.
        TaskclusterFailure: The body is larger than the limit.
    """
    raw: Any = response.raw
    if response.status_code in range(100, 200):
        # The final response would be read as that of the connection's next request.
        response.close()
        raise requests.ConnectionError(
            f"the session took the interim status {response.status_code} for the response; "
            "a client without a session= of its own waits for the final one"
        )
    if not isinstance(raw, BaseHTTPResponse):
        # A mock.
        return
    close_if_followed(raw)
    # A hook or an adapter may have read the body.
    state: Any = response
    if limit is not None and not state._content_consumed:
        try:
            state._content = read_body(raw, limit)
        except BaseException:
            response.close()
            raise
        state._content_consumed = True
