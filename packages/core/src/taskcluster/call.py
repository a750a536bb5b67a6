"""One API call, built and then performed as a procedure.

Nothing here waits, reads a clock, draws a random number or knows an HTTP library, so sync and async code share it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from .arguments import Bound
from .causes import describe, safe_cause
from .credentials import CheckedSigner
from .effects import Invoke, Request, Response, Sleep
from .exceptions import TaskclusterAuthFailure, TaskclusterConnectionError, TaskclusterFailure, TaskclusterRestFailure
from .options import number_option, timeouts
from .pages import continuation
from .payloads import encode_payload
from .redacted import HIDDEN
from .redirects import REDIRECTS
from .retries import Policy, retry_after, retryable
from .shapes import is_array, is_mapping
from .spec import Method
from .urls import Endpoint

if TYPE_CHECKING:
    from .request_event import RequestEvent

__all__ = ["Call", "CallContext", "Effect", "Procedure", "Settings", "build", "log", "paginate", "perform"]

log = logging.getLogger("taskcluster")
_parsed = json.JSONDecoder().decode
_SIGNED = r'\b(?:nonce|hash|ext|mac)="([^"]+)"'
_SHORTEST_SECRET = 6

Effect = Request | Sleep | Invoke
Procedure = Generator[Effect, Any, Any]


class Settings(NamedTuple):
    """What the calls of a client have in common while its options do not change."""

    endpoint: Endpoint
    signer: CheckedSigner | None
    """Signs, or None to call without authentication."""
    policy: Policy
    timeout: tuple[float, float] | None
    """As in `Request`."""
    max_response_size: int
    """As in `Request`."""
    check: Callable[[Method, bytes], object] | None = None
    """Raises TaskclusterFailure if a method's payload, as JSON, is invalid; None leaves that to the server."""

    def __repr__(self) -> str:
        return f"<Settings for {self.endpoint.prefix}>"

    @classmethod
    def of(
        cls,
        options: Mapping[str, Any],
        endpoint: Endpoint,
        signer: CheckedSigner | None,
        check: Callable[[Method, bytes], object] | None = None,
        *,
        given_session: bool,
    ) -> Settings:
        """Return the settings that options mean.

        Args:
            options: The client's options.
            endpoint: The service's URL prefix and host.
            signer: Signs with the credentials in the options.
            check: Validates payloads before they are sent.
            given_session: Whether the HTTP session is the caller's. Its own timeouts apply unless the option is set.
        """
        timeout = options.get("timeout")
        return cls(
            endpoint,
            signer,
            Policy.of(options),
            None if timeout is None and given_session else timeouts(timeout),
            number_option(options, "maxResponseSize"),
            check,
        )


class CallContext(NamedTuple):
    """The clocks, randomness and observers that a call uses."""

    now: Callable[[], float]
    """Unix time in seconds."""
    monotonic: Callable[[], float]
    random: Callable[[], float]
    nonce: Callable[[], str]
    observe: Callable[[RequestEvent], object] | None
    """Called with each attempt; None if no plugin observes requests."""
    server_failure: type[TaskclusterRestFailure]
    """Raised for a server error in response to the last attempt."""
    received: Callable[[Response], object] | None = None
    """Called with the response that the result is made of."""


class Call(NamedTuple):
    """One API call: everything that is the same in each attempt."""

    service: str
    method: Method
    settings: Settings
    target: str
    """Path below the endpoint, with the query."""
    body: bytes | None
    """JSON."""
    content_hash: str

    def request(self, context: CallContext) -> Request:
        """Return the request of the next attempt, with a new signature."""
        endpoint, signer, _, timeout, max_response_size, _ = self.settings
        verb = self.method.verb
        headers = {} if self.body is None else {"Content-Type": "application/json"}
        if signer is not None:
            now = context.now()
            headers["Authorization"] = signer.at(now).header(
                verb,
                endpoint.path + self.target,
                endpoint.host,
                endpoint.port,
                self.content_hash,
                now,
                context.nonce(),
            )
        url = endpoint.prefix + self.target
        return Request(verb, url, headers, self.body, timeout, max_response_size, repr(self))

    def __repr__(self) -> str:
        return f"{self.service}.{self.method.name}"


def build(service: str, method: Method, bound: Bound, settings: Settings) -> Call:
    """Build a call; encode and hash its payload once.

    Args:
        service: The service's name.
        method: The API method.
        bound: Its arguments.
        settings: The client's current settings.
    """
    body = None if bound.payload is None else encode_payload(method.name, bound.payload)
    if body is not None and settings.check is not None:
        settings.check(method, body)
    signer = settings.signer
    content_hash = "" if signer is None else signer.content_hash(body)
    return Call(service, method, settings, bound.sent_target(method), body, content_hash)


def perform(call: Call, context: CallContext) -> Procedure:
    """Send a call and retry it; return the result of the last response, or raise its failure."""
    attempt = 0
    while True:
        attempt += 1
        request = call.request(context)
        started = 0.0 if context.observe is None else context.monotonic()
        response: Response | None = None
        failure: TaskclusterFailure | None = None
        try:
            response = yield request
        except TaskclusterConnectionError as exc:
            failure = exc
        log.debug("%s: attempt %d: %s", call, attempt, _reason(response))
        if context.observe is not None:
            context.observe(_event(call, attempt, context.monotonic() - started, response, failure))
        if response is not None:
            if not retryable(response.status):
                if context.received is not None:
                    context.received(response)
                # pytest and IPython leave out frames with this local variable, so that the traceback of a failed call
                # ends at the program's line. It is only set where failures pass: errors of the client are shown.
                __tracebackhide__ = True
                return result(call, request, response)
            failure = _failure(call, request, response, context.server_failure)
        delay = call.settings.policy.delay(attempt, context.random(), _requested_delay(response, context))
        if delay is None:
            assert failure is not None
            __tracebackhide__ = True
            raise failure
        log.warning("%s: %s; next attempt in %.1f s", call, _reason(response), delay)
        yield Sleep(delay)


def _reason(response: Response | None) -> str:
    return "no response" if response is None else f"status {response.status}"


def _requested_delay(response: Response | None, context: CallContext) -> float | None:
    return None if response is None else retry_after(response.status, response.headers, context.now())


def _event(
    call: Call, attempt: int, duration: float, response: Response | None, failure: TaskclusterFailure | None
) -> RequestEvent:
    # Few programs observe requests, and the module dataclasses takes long to import.
    from .request_event import RequestEvent

    return RequestEvent(
        service=call.service,
        method=call.method.name,
        attempt=attempt,
        status=None if response is None else response.status,
        duration=duration,
        sent=len(call.body or b""),
        received=0 if response is None else len(response.body),
        # The documented class, which sync and async code share.
        failure=None if failure is None else TaskclusterConnectionError.__name__,
    )


def paginate(page_call: Callable[[str | None], Call], handler: Callable[[Any], Any], context: CallContext) -> Procedure:
    """Perform a call for each page, and invoke `handler` with each page; return None.

    Args:
        page_call: Returns the call that fetches the page of a continuation token, or the first page for None.
        handler: Called with each page's body.
        context: As for `perform`.
    """
    token: str | None = None
    while True:
        page = yield from perform(page_call(token), context)
        yield Invoke(handler, (page,))
        token = continuation(page)
        if token is None:
            return None


def result(call: Call, request: Request, response: Response) -> Any:
    """Return the JSON value of a response, None for status 204, and `{"response": …}` for any other.

    Raises:
        TaskclusterRestFailure: The status is a failure, the body is not JSON although its content type is, or the call
            changes something and was redirected, so that nothing was done.
    """
    if response.status >= 400:
        __tracebackhide__ = True
        raise _failure(call, request, response, TaskclusterRestFailure)
    if response.status in REDIRECTS and call.method.verb != "GET":
        raise _redirected(call, response)
    if response.status == 204:
        return None
    if not response.body or response.body.isspace():
        return {"response": response.native()}
    try:
        return _json(response.body)
    except (ValueError, RecursionError) as exc:
        cause = safe_cause(exc)
    if _says_json(response):
        # Without the body, which may be a secret that the call returns.
        raise TaskclusterRestFailure(
            f"{call}: the response with status {response.status} has a JSON content type but invalid JSON: "
            f"{describe(cause)} ({len(response.body)} bytes)",
            cause,
            status_code=response.status,
        ) from cause
    return {"response": response.native()}


def _json(body: bytes) -> Any:
    """Return the JSON value of a body, or raise ValueError or RecursionError."""
    try:
        return _parsed(body.decode())
    except ValueError:
        # Perhaps UTF-16, UTF-32 or a byte order mark: guess only if it is not UTF-8.
        return json.loads(body)


def _says_json(response: Response) -> bool:
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _failure(
    call: Call, request: Request, response: Response, server_failure: type[TaskclusterRestFailure]
) -> TaskclusterRestFailure | TaskclusterAuthFailure:
    try:
        body: Any = _json(response.body)
    except (ValueError, RecursionError):
        body = {}
    message = body.get("message") if is_mapping(body) else None
    if isinstance(message, str) and message:
        message = _without(_secrets(call, request), message)
    else:
        excerpt = _excerpt(response, _secrets(call, request) + _strings(json.loads(call.body or b"null")))
        message = f"{call} ({_described(call)}) failed with status {response.status}: {excerpt}"
    kind: Callable[..., TaskclusterRestFailure | TaskclusterAuthFailure]
    if response.status == 401:
        kind = TaskclusterAuthFailure
    elif response.status >= 500:
        kind = server_failure
    else:
        kind = TaskclusterRestFailure
    return kind(message, None, status_code=response.status, body=body)


def _redirected(call: Call, response: Response) -> TaskclusterRestFailure:
    try:
        body: Any = _json(response.body)
    except (ValueError, RecursionError):
        body = {}
    root_url = _origin(call.settings.endpoint.prefix)
    # Only its origin: the path may repeat a token, and the query a signature.
    target = _origin(response.headers.get("Location", "")) or root_url
    hint = "" if target == root_url else f"; if the deployment is at {target}, set the option rootUrl to that"
    return TaskclusterRestFailure(
        f"{call} ({_described(call)}) was redirected to {target} with status {response.status} and nothing was done: "
        f"check the scheme and the host of the option rootUrl, which is {root_url}{hint}",
        None,
        status_code=response.status,
        body=body,
    )


def _origin(url: str) -> str | None:
    """Return scheme, host and port of an absolute URL, or None."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return None
    return f"{parts.scheme}://{host}" if parts.scheme in ("http", "https") and host.isascii() and host else None


def _described(call: Call) -> str:
    # A token in a path is a secret, which allows triggering the hook.
    path = call.method.route if "<token>" in call.method.route else call.target.partition("?")[0]
    return f"{call.method.verb} {path}"


def _secrets(call: Call, request: Request) -> list[str]:
    """Return the secrets of a request, which a server or proxy may repeat and no error may show."""
    path = call.target.partition("?")[0]
    tokens = [
        given for part, given in zip(call.method.route.split("/"), path.split("/"), strict=False) if part == "<token>"
    ]
    return [*re.findall(_SIGNED, request.headers.get("Authorization", "")), *tokens, *map(unquote, tokens)]


def _strings(value: Any) -> list[str]:
    """Return the strings in a payload that are long enough to be secrets."""
    if is_mapping(value):
        value = list(value.values())
    if is_array(value):
        return [text for each in value for text in _strings(each)]
    return [value] if isinstance(value, str) and len(value) >= _SHORTEST_SECRET else []


def _without(secrets: list[str], text: str) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _excerpt(response: Response, secrets: list[str]) -> str:
    """Return the beginning of a body for an error message, on one line and without secrets of the request."""
    text = " ".join(_without(secrets, response.body[:4000].decode("utf-8", "replace")).split())
    return (text[:200] + "…" if len(text) > 200 else text) or "the response has no body"
