"""The sync transport, on requests.

Over a session of the caller's it goes through Session.send and adapters, as everyone's own sessions and every mock of
requests expect, and passes by Session.request, which reads the environment and quotes the URL anew on each call.

Where there is no such session, what requests adds to urllib3 (pools chosen anew, cookies, redirects, hooks, three
case-insensitive dicts) takes more time than all else that a call does, and nothing of it is used: then a call takes the
connection pool of requests' adapter and speaks to that, unless a program has put something of its own in the place
where requests sends.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import requests
import requests.adapters
import requests.api
import requests.sessions
import requests.utils
import urllib3
import urllib3.exceptions
import urllib3.response
from requests.adapters import HTTPAdapter
from requests.hooks import default_hooks
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from requests.utils import default_user_agent
from urllib3.connection import HTTPConnection

from .. import effects as messages
from ..causes import describe, safe_cause
from ..decompression import CollectedBody, too_large
from ..exceptions import TaskclusterConnectionError, TaskclusterFailure
from ..redacted import HIDDEN, without_user_info
from ..shapes import is_function_of
from .connections import Adapter, close_if_followed
from .environment import ca_bundle, proxy_for, snapshot, tls_context, trust

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Adapter", "Body", "RequestsTransport", "discreet", "environment_arguments"]

ConnectionFailure = Callable[[str, BaseException], TaskclusterConnectionError]

_PIECE = 64 * 1024
"""Bytes of a body that are read at a time, if its length is not known."""
_LITTLE = 4 * 1024
"""Bytes that urllib3 is given to decode at a time; before 2.6 it decodes all of them at once."""


class _Session(requests.Session):
    """The session of a client that was given none."""

    def __init__(self, user_agent: str) -> None:
        super().__init__()
        self.headers = CaseInsensitiveDict({"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"})
        self.adapter = Adapter()
        self.route: _Route | None = None
        for scheme in ("https://", "http://"):
            self.mount(scheme, self.adapter)


class _Route(NamedTuple):
    """The way to a deployment, for as long as the environment says the same."""

    root: str
    settings: dict[str, Any]
    """What the environment said; the same object for as long as it does."""
    pool: Any
    """Of connections, to the deployment or to a proxy before it."""
    prefix: str
    """Stands before the path in the request line: some proxies are told the whole URL."""

    @classmethod
    def to(cls, root: str, adapter: HTTPAdapter, settings: dict[str, Any]) -> _Route:
        """Return the route that the settings of the environment mean.

        Raises:
            TaskclusterFailure: The environment names certificates or a proxy that cannot be used.
            urllib3.exceptions.LocationValueError: There is no host.
        """
        tls = root.lower().startswith("https:")
        proxy = next(iter(settings["proxies"].values()), None)
        # An https proxy is verified as the deployment is.
        context = (trust() or _usual_trust()) if tls or (proxy or "").startswith("https:") else None
        # requests leaves this method without types.
        manager: Any = adapter.poolmanager
        if proxy is not None:
            manager = _proxy_manager(adapter, proxy, context)
        pool = manager.connection_from_url(f"{root}/", pool_kwargs={"ssl_context": context} if context else None)
        # HTTP proxies are sent the complete URL of what is not encrypted.
        return cls(root, settings, pool, root if proxy is not None and not tls and proxy.startswith("http") else "")


@lru_cache(maxsize=1)
def _usual_trust() -> ssl.SSLContext:
    return tls_context(requests.utils.DEFAULT_CA_BUNDLE_PATH)


def _proxy_manager(adapter: HTTPAdapter, proxy: str, context: ssl.SSLContext | None) -> Any:
    # requests leaves this method without types.
    untyped: Any = adapter
    if not proxy.startswith("socks"):
        return untyped.proxy_manager_for(proxy, proxy_ssl_context=context)
    try:
        return untyped.proxy_manager_for(proxy)
    except requests.exceptions.InvalidSchema:
        raise TaskclusterFailure(
            "the environment sets a SOCKS proxy, which needs PySocks: pip install 'requests[socks]'"
        ) from None


class Body:
    """An answer whose body is still to be read, as it is on the wire: neither decoded nor checked for its length.

    Args:
        status: The HTTP status.
        headers: The headers.
        raw: The answer of urllib3, or what a program that mocks requests has in its place.
        failure: Makes what is raised if the connection fails, of a message and the library's exception.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], raw: Any, failure: ConnectionFailure = TaskclusterConnectionError
    ) -> None:
        self._failure = failure
        self.status = status
        self.headers = headers
        self._raw = raw
        self._is_connected = isinstance(getattr(raw, "connection", None), HTTPConnection)
        self._broken: TaskclusterConnectionError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end and where the connection then breaks, and none after the end.

        Raises:
            TaskclusterConnectionError: The connection broke or fell silent; where the length is known, it can also end.
        """
        pieces: list[bytes] = []
        left = size
        try:
            while left and (piece := self.read1(left)):
                pieces.append(piece)
                left -= len(piece)
        except TaskclusterConnectionError:
            if not pieces:
                raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int) -> bytes:
        """Return at most `size` bytes, as soon as there are any, and none at the end; raises as `read`."""
        if self._broken is None:
            try:
                return self._piece(size)
            except (urllib3.exceptions.HTTPError, OSError) as exc:
                kind = "timed out" if isinstance(exc, urllib3.exceptions.TimeoutError | TimeoutError) else "broke off"
                self._broken = self._failure(f"the answer {kind}: {describe(exc)}", safe_cause(exc))
        # Outside the block, so that the library's exception is not its context.
        raise self._broken from self._broken.superExc

    def _piece(self, size: int) -> bytes:
        # Mocks may have a plain file (httmock), or a response without read1 (vcrpy).
        options = {"decode_content": False} if hasattr(self._raw, "decode_content") else {}
        # `read` would lose what it has received when it times out.
        read = self._raw.read1 if self._is_connected else self._raw.read
        data: bytes = read(size, **options)
        return data

    def interrupt(self) -> None:
        """End what another thread is reading, as if the connection broke; closing would wait for the reading to end."""
        # The body may have come to its end by itself, or be that of a mock.
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            if hasattr(self._raw, "shutdown"):
                self._raw.shutdown()
            else:
                # urllib3 before 2.3; where the connection is not to be kept, it has no socket there any more.
                self._raw.connection.sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close the connection, unless the body was read to its end: then it stays for the next request."""
        self._raw.close()
        # A closed connection goes back too: a pool that blocks would wait for it.
        if hasattr(self._raw, "release_conn"):
            self._raw.release_conn()


class RequestsTransport:
    """Sends over one requests.Session, which stays the caller's where the caller gave it.

    Args:
        session: The caller's session, or None for one of our own, made when it is first needed.
        user_agent: Sent unless the caller's session has a User-Agent of its own.
        failure: Makes what is raised if the connection fails, of a message and the library's exception.
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
        self._own: _Session | None = None
        self._pid = os.getpid()
        self._settings: tuple[Any, dict[str, Any]] | None = None
        self.replacement: Callable[..., requests.Response] | None = None
        """Sends in place of all else; takes the verb, the URL, the body as a string and the headers."""

    def send(self, request: messages.Request) -> messages.Response:
        """Do one exchange.

        Raises:
            TaskclusterConnectionError: There was no whole answer.
        """
        try:
            with discreet:
                return self._sent(request)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            failure = self._failure(_message(request, exc), safe_cause(exc))
        # Outside the block, for else `exc` were its context.
        raise failure from failure.superExc

    def open(self, request: messages.Request, body: Iterable[bytes] | None = None) -> Body:
        """Do one exchange up to the head of the answer; the caller reads its body to the end, or closes it.

        Args:
            request: What to send.
            body: Sent in place of the request's own body; the headers then say how long it is.

        Raises:
            TaskclusterConnectionError: There was no answer.
        """
        try:
            with discreet:
                return self._opened(request, body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            failure = self._failure(_message(request, exc), safe_cause(exc))
        raise failure from failure.superExc

    def close(self) -> None:
        """Close the connections of our own session; the next call opens new ones."""
        own, self._own = self._own, None
        if own is not None and self._pid == os.getpid():
            own.close()

    def _sent(self, request: messages.Request) -> messages.Response:
        if self.replacement is not None:
            text = None if request.body is None else request.body.decode()
            response = self.replacement(request.method.lower(), request.url, text, request.headers)
            headers = getattr(response, "headers", {})
            return messages.Response(response.status_code, headers, _body_of(response), lambda: response)
        if self.given is None and not _replaced():
            raw = self._directly(request, request.body)
            content = _content(raw, request.max_response_size)
            native = partial(self._as_of_requests, request, raw, content)
            return messages.Response(raw.status, raw.headers, content, native)
        response = self._exchange(request, stream=False)
        return messages.Response(response.status_code, response.headers, _body_of(response), lambda: response)

    def _opened(self, request: messages.Request, body: Iterable[bytes] | None) -> Body:
        if self.given is None and not _replaced():
            raw = self._directly(request, request.body if body is None else body)
            return Body(raw.status, raw.headers, raw, self._failure)
        response = self._exchange(request, body, stream=True)
        return Body(response.status_code, response.headers, response.raw, self._failure)

    def _directly(self, request: messages.Request, body: bytes | Iterable[bytes] | None) -> urllib3.HTTPResponse:
        """Return the answer, its body unread, over the connections of our own session."""
        session = self._session()
        settings = self._environment(session, request.url)
        root = _root(request.url)
        route = session.route
        try:
            if route is None or route.root != root or route.settings is not settings:
                route = session.route = _Route.to(root, session.adapter, settings)
        except urllib3.exceptions.HTTPError as exc:
            raise requests.exceptions.InvalidURL(exc) from exc
        try:
            raw: urllib3.HTTPResponse = route.pool.urlopen(
                request.method,
                route.prefix + request.url[len(root) :],
                body,
                _headers(session.headers, request),
                retries=session.adapter.max_retries,
                redirect=False,
                assert_same_host=False,
                timeout=None if request.timeout is None else _timeout(*request.timeout),
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            # The session closes the pool of a deployment that it has not spoken to for long.
            session.route = None
            raise _of_requests(exc, _SENDING) from exc
        close_if_followed(raw)
        return raw

    def _as_of_requests(
        self, request: messages.Request, raw: urllib3.HTTPResponse, content: bytes | None = None
    ) -> requests.Response:
        session = self._session()
        # requests leaves these out of its types.
        untyped: Any = session.adapter
        response: Any = untyped.build_response(self._prepare(session, request), raw)
        if content is not None:
            response._content, response._content_consumed = content, True
        answer: requests.Response = response
        return answer

    def _exchange(
        self, request: messages.Request, body: Iterable[bytes] | None = None, *, stream: bool
    ) -> requests.Response:
        session = self.given or self._session()
        if _replaces_request(session) or (self.given is None and not is_function_of(requests.request, _API)):
            return self._request(session, request, body, stream=stream)
        prepared = self._prepare(session, request)
        if body is not None:
            untyped: Any = prepared
            untyped.body = body
        settings: dict[str, Any] = {**self._environment(session, request.url)}
        if stream:
            settings["stream"] = True
        answers: list[requests.Response] = []
        limit = None if stream else request.max_response_size
        prepared.hooks = _with_hooks(prepared.hooks, partial(_received, limit), answers)
        try:
            return session.send(prepared, timeout=request.timeout, allow_redirects=False, **settings)
        except ValueError:
            # requests has an answer, and fails to read a Location that nobody is to follow.
            if not answers:
                raise
            return answers[0]

    def _request(
        self, session: requests.Session, request: messages.Request, body: Iterable[bytes] | None, *, stream: bool
    ) -> requests.Response:
        """Do one exchange through Session.request, which a program has overridden or replaced."""
        headers = dict(request.headers)
        if session.headers.get("User-Agent") == default_user_agent():
            headers["User-Agent"] = self._user_agent
        # With an auth of the request's own, requests looks for none in netrc, to put over ours.
        auth = None if session.auth and "Authorization" not in headers else _unchanged
        data: Any = request.body if body is None else _Measured.of(body, int(headers["Content-Length"]))
        # Programs that pass no session replace the function too.
        is_usual = self.given is not None or is_function_of(requests.request, _API)
        send: Callable[..., requests.Response] = session.request if is_usual else requests.request
        response = send(
            request.method,
            request.url,
            data=data,
            headers=headers,
            auth=auth,
            allow_redirects=False,
            timeout=request.timeout,
            # What the connection may be used for is known only when the headers are.
            stream=True,
        )
        _received(None if stream else request.max_response_size, response)
        return response

    def _session(self) -> _Session:
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
        prepared.headers = CaseInsensitiveDict(_headers(session.headers, request))
        prepared.hooks = default_hooks()
        # requests leaves this method without types.
        untyped: Any = prepared
        untyped.prepare_cookies(session.cookies if session is self.given else {})
        if session is self.given:
            self._prepare_given(session, request, prepared)
        return prepared

    def _prepare_given(self, session: requests.Session, request: messages.Request, prepared: PreparedRequest) -> None:
        """Apply what the caller set on their session, as Session.prepare_request would."""
        # None takes a header out, in requests' sessions.
        unset = [name for name, value in cast("Mapping[str, Any]", prepared.headers).items() if value is None]
        for name in unset:
            del prepared.headers[name]
        if prepared.headers.get("User-Agent") == default_user_agent():
            prepared.headers["User-Agent"] = self._user_agent
        if session.auth and "Authorization" not in request.headers:
            untyped: Any = prepared
            untyped.prepare_auth(session.auth, request.url)
        prepared.hooks = session.hooks

    def _environment(self, session: requests.Session, url: str) -> dict[str, Any]:
        """Return the arguments of Session.send for proxies and certificates, computed when the environment changes."""
        if session is self.given:
            settings = dict(session.merge_environment_settings(url, {}, None, None, None))
            _check_exists(settings["verify"], url)
            return settings
        key = (snapshot(url), _root(url))
        known = self._settings
        if known is None or known[0] != key:
            # Other threads may put another deployment's in its place at any time.
            known = self._settings = (key, environment_arguments(url))
        return known[1]


def environment_arguments(url: str) -> dict[str, Any]:
    """Return the arguments of Session.send for the environment's proxy and certificates.

    Raises:
        TaskclusterFailure: The environment names a proxy that is not one.
    """
    proxy = proxy_for(url)
    return {
        "proxies": {} if proxy is None else {url.partition(":")[0].lower(): proxy},
        "verify": ca_bundle() or os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or True,
        "cert": None,
    }


_API, _SESSIONS, _ADAPTERS = vars(requests.api), vars(requests.sessions), vars(requests.adapters)


def _replaced() -> bool:
    """Return whether a program has put something of its own, a mock or a tracer, in a place where requests sends."""
    return not (
        is_function_of(requests.Session.send, _SESSIONS)
        and is_function_of(requests.Session.request, _SESSIONS)
        and is_function_of(requests.Session.get_adapter, _SESSIONS)
        and is_function_of(HTTPAdapter.send, _ADAPTERS)
        and is_function_of(requests.request, _API)
    )


def _replaces_request(session: requests.Session) -> bool:
    """Return whether a session has another `request` than that of requests: a subclass's, a mock or a wrapper."""
    bound = getattr(session, "request", None)
    # What stands in for a session in programs' tests may have `send` only.
    return bound is not None and not (type(bound) is MethodType and is_function_of(bound.__func__, _SESSIONS))


def _check_exists(verify: object, url: str) -> None:
    # requests would raise an OSError, which is no RequestException. A mock never opens the file.
    if isinstance(verify, str) and url.lower().startswith("https:") and not (os.path.exists(verify) or _replaced()):
        raise TaskclusterFailure(
            f"the session's certificates to trust are in {verify!r}, which does not exist: correct the session's "
            "verify, or the environment variable REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE"
        )


class _Measured:
    """A body that says how long it is: requests would announce any other in chunks, beside its Content-Length."""

    def __init__(self, body: Iterable[bytes], length: int) -> None:
        self._body = body
        self._length = length

    @classmethod
    def of(cls, body: Iterable[bytes], length: int) -> _Measured | None:
        return cls(body, length) if length else None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


def _unchanged(prepared: PreparedRequest) -> PreparedRequest:
    return prepared


class _Discreet(logging.Filter):
    """Keeps addresses and exceptions out of what urllib3 logs: a path may hold a token, and a query a signature.

    Only out of what a thread logs within the context that it is: other programs' requests are none of our business.
    """

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    def __enter__(self) -> None:
        # What is sent may come of another request of ours, in the same thread.
        self._here.depth = getattr(self._here, "depth", 0) + 1

    def __exit__(self, *exc_info: object) -> None:
        self._here.depth -= 1

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(self._here, "depth", 0) and isinstance(record.args, tuple):
            record.args = tuple(map(_shown, record.args))
            record.exc_info = None
        return True


def _shown(value: object) -> object:
    if isinstance(value, BaseException):
        return describe(value)
    return HIDDEN if isinstance(value, str) and (value.startswith("/") or "://" in value) else value


discreet = _Discreet()
for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(discreet)


def _root(url: str) -> str:
    return url[: url.find("/", 8)]


def _headers(usual: Mapping[str, Any], request: messages.Request) -> dict[str, Any]:
    """Return the headers of a request, over those that a session usually sends."""
    named = {name.lower() for name in request.headers}
    headers = {name: value for name, value in usual.items() if name.lower() not in named}
    headers.update(request.headers)
    if "content-length" not in named:
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
        elif request.method not in ("GET", "HEAD"):
            headers["Content-Length"] = "0"
    return headers


@lru_cache(maxsize=16)
def _timeout(connect: float, read: float) -> urllib3.Timeout:
    return urllib3.Timeout(connect=connect, read=read)


_Meanings = tuple[tuple[type[Exception], type[requests.RequestException]], ...]

_SENDING: _Meanings = (
    (urllib3.exceptions.NewConnectionError, requests.ConnectionError),
    (urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout),
    (urllib3.exceptions.ReadTimeoutError, requests.ReadTimeout),
    (urllib3.exceptions.ProxyError, requests.exceptions.ProxyError),
    (urllib3.exceptions.SSLError, requests.exceptions.SSLError),
)
_READING: _Meanings = (
    (urllib3.exceptions.ProtocolError, requests.exceptions.ChunkedEncodingError),
    (urllib3.exceptions.DecodeError, requests.exceptions.ContentDecodingError),
    (urllib3.exceptions.SSLError, requests.exceptions.SSLError),
)


def _of_requests(exc: Exception, meanings: _Meanings) -> requests.RequestException:
    """Return the exception of requests that tells what one of urllib3 does; the first meaning that fits holds."""
    reason = exc.reason if isinstance(exc, urllib3.exceptions.MaxRetryError) else exc
    for of_urllib3, of_requests in meanings:
        if isinstance(reason, of_urllib3):
            return of_requests(exc)
    return requests.ConnectionError(exc)


def _body_of(response: requests.Response) -> bytes:
    content: Any = getattr(response, "content", ...)
    # A mock may have no body but what `json` returns.
    return content or b"" if isinstance(content, bytes | None) else json.dumps(response.json()).encode()


def _with_hooks(
    hooks: Any, first: Callable[[requests.Response], object], answers: list[requests.Response]
) -> dict[str, Any]:
    """Return a session's hooks, before them one that is called first, and after them one that notes the response."""

    def begin(response: requests.Response, **kwargs: Any) -> None:
        first(response)

    def note(response: requests.Response, **kwargs: Any) -> None:
        answers.append(response)

    given: Any = hooks.get("response") or []
    return {**hooks, "response": [begin, *([given] if callable(given) else given), note]}


def _received(limit: int | None, response: requests.Response) -> None:
    """Make a response over a session of any kind what one over our own connections is.

    Args:
        limit: Read the body, up to so many bytes; None leaves it unread.
        response: Its headers were read, and its connection is still its own.

    Raises:
        requests.RequestException: It is not the final response, or its body breaks off.
        TaskclusterFailure: The body is larger than the limit.
    """
    raw: Any = response.raw
    if response.status_code in range(100, 200):
        # The final response will arrive on this connection, for whoever sends the next request over it.
        response.close()
        raise requests.ConnectionError(
            f"the session took the interim status {response.status_code} for the response; "
            "a client without a session= of its own waits for the final one"
        )
    if not isinstance(raw, urllib3.response.BaseHTTPResponse):
        # Programs that mock requests put other files there.
        return
    close_if_followed(raw)
    # A hook or an adapter may have read it.
    state: Any = response
    if limit is not None and not state._content_consumed:
        try:
            state._content = _content(raw, limit)
        except BaseException:
            response.close()
            raise
        state._content_consumed = True


def _content(raw: urllib3.response.BaseHTTPResponse, limit: int) -> bytes:
    """Return the body of a response, decompressed.

    Raises:
        requests.RequestException: It breaks off, or is not encoded as was announced.
        TaskclusterFailure: It is larger than the limit.
    """
    length = raw.length_remaining
    encoding = raw.headers.get("Content-Encoding", "")
    try:
        if not encoding and length is not None and length <= limit:
            return raw.read(decode_content=False)
        body = CollectedBody(encoding, limit)
        if not encoding and length is not None:
            raise too_large(limit)
        if body.is_decodable:
            while data := raw.read(_PIECE, decode_content=False):
                body.add(data)
        else:
            # urllib3 decodes it if it has a library for that, from little at a time, and otherwise leaves it as it is.
            while data := raw.read(_LITTLE, decode_content=True):
                body.add(data)
        return body.content()
    except zlib.error as exc:
        raw.close()
        raise requests.exceptions.ContentDecodingError(exc) from exc
    except TaskclusterFailure:
        raw.close()
        raise
    except urllib3.exceptions.HTTPError as exc:
        raise _of_requests(exc, _READING) from exc


def _message(request: messages.Request, exc: Exception) -> str:
    what = "timed out" if isinstance(exc, requests.Timeout) else "failed"
    where = f"{request.method} at {without_user_info(_root(request.url))}"
    return f"{where} {what} without an answer: {describe(exc)}"
