"""The sync transport, on requests.

It goes through Session.send and adapters, as everyone's own sessions and every mock of requests expect, and passes by
Session.request, which reads the environment and quotes the URL anew on each call.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, cast

import requests
import urllib3
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from requests.utils import default_user_agent, get_encoding_from_headers

from .. import messages
from ..exceptions import TaskclusterConnectionError
from .environment import snapshot

__all__ = ["RequestsTransport"]

_POOL_SIZE = 100
"""Connections kept to one host: so many threads can share a client without waiting or reconnecting."""


class _Adapter(HTTPAdapter):
    """An adapter that remembers the pool it used last: requests works it out anew for each request.

    `send` itself stays requests' own, which is where mocks step in.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=4, pool_maxsize=_POOL_SIZE)
        self._last: tuple[Any, Any] | None = None

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        key = (_root(request.url or ""), verify, cert, frozenset(proxies.items()) if proxies else None)
        if self._last is None or self._last[0] != key:
            self._last = (key, super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert))
        return self._last[1]

    def build_response(self, req: PreparedRequest, resp: Any) -> requests.Response:
        # As requests does it, except that no cookies are looked for: Taskcluster sets none.
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = resp
        response.reason = resp.reason
        response.url = req.url or ""
        response.request = req
        setattr(response, "connection", self)  # noqa: B010 - an attribute that the types of requests leave out
        return response

    def close(self) -> None:
        # urllib3 closes a pool when nobody refers to it any more, and a kept response or exception may for long.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - a container of urllib3's that refuses to be iterated over
                manager.pools[key].close()
        self._last = None
        super().close()

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        if proxies:
            return super().request_url(request, proxies)
        url = request.url or ""
        return url[len(_root(url)) :]


class _NoCookies(RequestsCookieJar):
    """Keeps nothing: Taskcluster sets no cookies, and looking for them takes its time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        pass


class _Session(requests.Session):
    """The session of a client that was given none."""

    def __init__(self, user_agent: str) -> None:
        super().__init__()
        self.headers = CaseInsensitiveDict({"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"})
        self.cookies = _NoCookies()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # Redirects are never followed, so there is no need to work out where one leads.
        return None


def _root(url: str) -> str:
    return url[: url.find("/", 8)]


class RequestsTransport:
    """Sends over one requests.Session, which stays the caller's where the caller gave it.

    Args:
        session: The caller's session, or None for one of our own, made when it is first needed.
        user_agent: Sent unless the caller's session has a User-Agent of its own.
    """

    def __init__(self, session: requests.Session | None, user_agent: str) -> None:
        self.given = session
        self._user_agent = user_agent
        self._own: requests.Session | None = None
        self._pid = os.getpid()
        self._settings: tuple[Any, dict[str, Any]] | None = None

    def send(self, request: messages.Request) -> messages.Response:
        """Do one exchange.

        Raises:
            TaskclusterConnectionError: There was no whole answer.
        """
        session = self.given or self._session()
        prepared = self._prepare(session, request)
        try:
            response = self._exchange(session, prepared, request, stream=session is not self.given)
            return messages.Response(response.status_code, response.headers, _content(response), response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            raise TaskclusterConnectionError(_says(request, exc), exc) from exc

    def open(self, request: messages.Request, body: Iterable[bytes] | None = None) -> requests.Response:
        """Do one exchange up to the head of the answer, whose `raw` the caller reads to its end, or closes.

        Args:
            request: What to send.
            body: Sent in place of the request's own body; the headers then say how long it is.

        Raises:
            TaskclusterConnectionError: There was no answer.
        """
        session = self.given or self._session()
        prepared = self._prepare(session, request)
        if body is not None:
            untyped: Any = prepared
            untyped.body = body
            prepared.headers["Content-Length"] = request.headers["Content-Length"]
        try:
            return self._exchange(session, prepared, request, stream=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            # Not chained: the text of requests' exceptions holds the URL, which may be a signed one.
            raise TaskclusterConnectionError(_says(request, exc), None) from None

    def close(self) -> None:
        """Close the connections of our own session; the next call opens new ones."""
        own, self._own = self._own, None
        if own is not None and self._pid == os.getpid():
            own.close()

    def _exchange(
        self, session: requests.Session, prepared: PreparedRequest, request: messages.Request, *, stream: bool = False
    ) -> requests.Response:
        settings: dict[str, Any] = self._environment(session, request.url)
        if stream:
            settings = {**settings, "stream": True}
        answers: list[requests.Response] = []
        if session is self.given:
            prepared.hooks = _with_hook(prepared.hooks, answers)
        try:
            return session.send(prepared, timeout=request.timeout, allow_redirects=False, **settings)
        except ValueError:
            # requests has an answer, and fails to read a Location that nobody is to follow.
            if not answers:
                raise
            return answers[0]

    def _session(self) -> requests.Session:
        # After a fork the child must not speak over the parent's sockets.
        if self._own is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._own = _Session(self._user_agent)
        return self._own

    def _prepare(self, session: requests.Session, request: messages.Request) -> PreparedRequest:
        # PreparedRequest.prepare would quote the URL again, and look for netrc credentials to put over ours.
        prepared = PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        prepared.body = request.body
        headers: list[tuple[str, Any]] = [*session.headers.items(), *request.headers.items()]
        prepared.headers = CaseInsensitiveDict(headers)
        if request.body is not None:
            prepared.headers["Content-Length"] = str(len(request.body))
        elif request.method not in ("GET", "HEAD"):
            prepared.headers["Content-Length"] = "0"
        prepared.hooks = default_hooks()
        if session is self.given:
            self._prepare_given(session, request, prepared)
        return prepared

    def _prepare_given(self, session: requests.Session, request: messages.Request, prepared: PreparedRequest) -> None:
        """Apply what the caller set on their session, as Session.prepare_request would."""
        # requests leaves these methods without types.
        untyped: Any = prepared
        # None takes a header out, in requests' sessions.
        unset = [name for name, value in cast("Mapping[str, Any]", prepared.headers).items() if value is None]
        for name in unset:
            del prepared.headers[name]
        if prepared.headers.get("User-Agent") == default_user_agent():
            prepared.headers["User-Agent"] = self._user_agent
        if session.auth and "Authorization" not in request.headers:
            untyped.prepare_auth(session.auth, request.url)
        untyped.prepare_cookies(session.cookies)
        prepared.hooks = session.hooks

    def _environment(self, session: requests.Session, url: str) -> dict[str, Any]:
        """Return proxies and certificates as requests would, worked out again when the environment changes."""
        if session is self.given:
            return dict(session.merge_environment_settings(url, {}, None, None, None))
        key = (snapshot(url), _root(url))
        if self._settings is None or self._settings[0] != key:
            self._settings = (key, dict(session.merge_environment_settings(url, {}, None, None, None)))
        return self._settings[1]


def _content(response: requests.Response) -> bytes:
    """Return the body of a response; `response.content` has it too.

    requests would read it by way of three generators, and once more to see that there is no more.
    """
    raw = response.raw
    if type(raw) is not urllib3.HTTPResponse or raw.tell():
        return response.content or b""
    try:
        content = raw.read(decode_content=True)
    except urllib3.exceptions.ProtocolError as exc:
        raise requests.exceptions.ChunkedEncodingError(exc) from exc
    except urllib3.exceptions.DecodeError as exc:
        raise requests.exceptions.ContentDecodingError(exc) from exc
    except urllib3.exceptions.ReadTimeoutError as exc:
        raise requests.ConnectionError(exc) from exc
    except urllib3.exceptions.SSLError as exc:
        raise requests.exceptions.SSLError(exc) from exc
    untyped: Any = response
    untyped._content, untyped._content_consumed = content, True
    return content


def _with_hook(hooks: Any, answers: list[requests.Response]) -> dict[str, Any]:
    """Return a session's hooks and after them one that notes the answer."""

    def note(response: requests.Response, **kwargs: Any) -> None:
        answers.append(response)

    given: Any = hooks.get("response") or []
    return {**hooks, "response": [*([given] if callable(given) else given), note]}


def _says(request: messages.Request, exc: Exception) -> str:
    # requests wraps urllib3's wrapping of the reason, and puts the path, which may hold a token, between.
    reason = getattr(exc.args[0], "reason", exc) if exc.args else exc
    root = _root(request.url)
    what = "timed out" if isinstance(exc, requests.Timeout) else "failed"
    return f"{request.method} at {root} {what} without an answer: {type(exc).__name__}: {reason}"
