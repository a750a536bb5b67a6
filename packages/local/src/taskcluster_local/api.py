"""Handle one request from its bytes to the response's bytes, without sockets.

The order of checks: route, JSON of the body, scopes that depend on the URL alone, URL parameters, query, payload. Then
the service's handler runs, which checks the other scopes as soon as it knows their values.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import gzip
import hashlib
import json
import logging
import random
import re
import uuid
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import cached_property
from typing import Any, ParamSpec, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from taskcluster.awaitables import awaited
from taskcluster.plugin_checks import described
from taskcluster.plugins import PluginError
from taskcluster.shapes import is_array

from . import authentication
from .authentication import Directory, Identity, SignedRequest
from .documents import Documents
from .encoding import MOST_VALUES, has_more_values, is_object, loads, pretty, without_surrogates
from .endpoints import ApiEndpoint, Table
from .errors import ApiError, error_body
from .scopes import Expression, as_json, instantiate, missing
from .store import StoreFull
from .timestamps import Clock
from .validation import ApiSchemas

__all__ = [
    "LARGEST_BODY",
    "Api",
    "EventStream",
    "Handler",
    "HandlerCall",
    "HttpRequest",
    "HttpResponse",
    "Interface",
    "InvokeBy",
    "Missing",
    "Partial",
    "PluginHandler",
    "Refused",
    "Reply",
    "Result",
    "Text",
    "UnlistedHandler",
    "payload_of",
    "require",
]

LARGEST_BODY = 10 * 1024 * 1024
"""In bytes, after decompression."""

_log = logging.getLogger("taskcluster.local")

_T = TypeVar("_T")
_Arguments = ParamSpec("_Arguments")

_HEADERS = {
    "cache-control": "no-store no-cache must-revalidate",
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "OPTIONS,GET,HEAD,POST,PUT,DELETE,TRACE,CONNECT",
    "access-control-allow-headers": "X-Requested-With,Content-Type,Authorization,Accept,Origin,Cache-Control",
    "access-control-request-method": "*",
    "access-control-max-age": "900",
    "content-security-policy": "report-uri /__cspreport__;default-src 'none';frame-ancestors 'none';",
    "x-content-type-options": "nosniff",
    "vary": "Accept-Encoding",
}
_COMPRESS_FROM = 1024
_LONGEST_ON_LOOP = 8 * 1024
"""The longest body, in bytes, that is parsed or serialized on the event loop; longer ones are handled in a thread."""
_BYTES_PER_VALUE = 16
"""Handling one JSON value takes about as long as handling this many bytes."""
_CHARSET = re.compile(r';\s*charset="?([^;"\s]+)', re.IGNORECASE)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_NOT_CHARSETS = {
    "base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec",
    # Its result can contain unpaired surrogates.
    "utf_7",
}  # fmt: skip
_CHARSETS = frozenset(name for pair in aliases.items() if pair[1] not in _NOT_CHARSETS for name in pair)
"""The names of charsets in Python's spelling. No others are looked up, because Python would cache each of them."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request received from a client."""

    method: str
    target: str
    """Path and query, still percent-encoded."""
    headers: Mapping[str, str]
    """Looked up case-insensitively."""
    body: bytes | None = b""
    """Not decoded; None if it is larger than LARGEST_BODY."""

    @property
    def has_json(self) -> bool:
        """Whether the content type is JSON; bodies of other types are ignored."""
        return self._media_type == "application/json"

    @property
    def has_form(self) -> bool:
        """Whether the body has the fields of a page's form; API methods ignore such bodies."""
        return self._media_type == "application/x-www-form-urlencoded" and not self.target.startswith("/api/")

    @property
    def _media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The response to send."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    stream: Callable[[], AsyncGenerator[bytes, None]] | None = None
    """Yields the body in chunks, instead of `body`."""
    is_endless: bool = False
    """Whether only the client or the server ends the stream. Such a stream does not use the deployment's state."""


@dataclass(frozen=True, slots=True)
class Text:
    """A body that is not JSON."""

    text: str
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class EventStream:
    """A body of server-sent events, without an end."""

    open: Callable[[], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler returns for a status other than 200, extra headers, or a body that is not JSON."""

    status: int
    body: Any = None
    """Sent as JSON, unless it is Text or an EventStream; None for no body."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Result: TypeAlias = Reply | dict[str, Any] | list[Any]


class HandlerCall:
    """One call of an API method, as its handler sees it."""

    def __init__(
        self,
        request: HttpRequest,
        endpoint: ApiEndpoint,
        params: dict[str, str],
        directory: Directory,
        now: datetime,
        received: datetime,
    ):
        self.request = request
        self.endpoint = endpoint
        self.params = params
        self.query: dict[str, str] = {}
        self.payload: Any = {}
        self.payload_text = ""
        """The JSON of the body; empty if the body is not JSON."""
        self.now = now
        """The deployment's time."""
        self.received = received
        """The time of the request by the clients' clock."""
        self._directory = directory

    @property
    def ahead(self) -> timedelta:
        """How far the deployment's time is ahead of the clients' clock."""
        return self.now - self.received

    @property
    def begun(self) -> datetime:
        """The start of credentials issued for this call: the earlier of both clocks, because either may check it."""
        return min(self.now, self.received)

    @cached_property
    def signed(self) -> SignedRequest:
        """The parts of the request that a signature covers."""
        headers = self.request.headers
        host, port = authentication.address(
            headers.get("host", ""), headers.get("x-forwarded-port"), headers.get("x-forwarded-proto")
        )
        return SignedRequest(self.request.method, self.request.target, host, port, headers.get("authorization"))

    @cached_property
    def identity(self) -> Identity:
        """The caller, authenticated on first use: methods that need no scopes never look at credentials."""
        return self.authenticate(self._directory)

    def authenticate(self, directory: Directory) -> Identity:
        """Return the caller, authenticated with the clients in `directory`.

        Raises:
            ApiError: The credentials are invalid (AuthenticationFailed).
        """
        identity = authentication.authenticate(self.signed, directory, self.now, self.received)
        if identity.hash is not None:
            content_type = self.request.headers.get("content-type", "")
            authentication.check_payload_hash(identity.hash, self.payload_text, content_type)
        return identity

    def authorize(self, **values: Any) -> None:
        """Raise ApiError (InsufficientScopes) unless the caller has the scopes that the method requires.

        Args:
            **values: The variables of the method's scope expression that are not URL parameters.
        """
        if self.endpoint.scopes is not None:
            require(instantiate(self.endpoint.scopes, {**self.params, **values}), self.identity)


def require(expression: Expression, identity: Identity) -> None:
    """Raise ApiError (InsufficientScopes) unless `identity` satisfies `expression`."""
    lacking = missing(expression, identity.scopes.satisfies)
    if lacking is None:
        return
    if not identity.has_credentials:
        raise ApiError(
            "InsufficientScopes",
            "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n"
            f"{_shown(expression)}",
        )
    raise ApiError(
        "InsufficientScopes",
        f"Client ID {identity.clientId} does not have sufficient scopes and is missing the following scopes:\n\n"
        f"{_shown(lacking)}\n\n"
        f"This request requires the client to satisfy the following scope expression:\n\n{_shown(expression)}",
    )


def _shown(expression: Expression) -> str:
    text = expression if isinstance(expression, str) else json.dumps(as_json(expression), indent=2)
    return f"```\n{text}\n```"


def payload_of(text: str) -> Any:
    """Return the payload in the JSON of a request, or raise ApiError (MalformedPayload)."""
    if has_more_values(text, MOST_VALUES):
        raise ApiError("MalformedPayload", f"The body has more than {MOST_VALUES} values: send fewer per request.")
    try:
        payload: Any = loads(text)
        if _SURROGATE_ESCAPE.search(text):
            payload = without_surrogates(payload)
    except ValueError as error:
        raise ApiError("MalformedPayload", f"Failed to parse JSON: {error}") from None
    if not is_object(payload) and not is_array(payload):
        raise ApiError("MalformedPayload", "Failed to parse JSON: Must be an object or array")
    return payload


Handler: TypeAlias = Callable[[HandlerCall], Coroutine[Any, Any, Result]]
"""A service's code for one method. It returns a Reply, or JSON to send with status 200."""


InvokeBy: TypeAlias = Callable[[str, str, dict[str, str], Any, Identity], Awaitable[Result]]
"""Calls a method from within the deployment, as `Api.invoke` does."""


UnlistedHandler: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""A service's code for a path that is in no API reference. It does all checks itself."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A handler that does less than that of a real deployment."""

    handler: Handler
    missing: str
    """What it does not do, for COVERAGE.md."""

    async def __call__(self, call: HandlerCall) -> Result:
        return await self.handler(call)


@dataclass(frozen=True, slots=True)
class Refused:
    """The handler of a method that a local deployment cannot provide."""

    reason: str

    async def __call__(self, call: HandlerCall) -> Result:
        if not call.endpoint.automatic and call.endpoint.scopes is not None:
            # Only the service's own code could check the scopes; invalid credentials must be rejected anyway.
            _ = call.identity
        raise ApiError("NotInLocalDeployment", f"This is a local deployment: {self.reason}.")


@dataclass(frozen=True, slots=True)
class PluginHandler:
    """A plugin's handler, which may be a plain function. If it fails, the error names the plugin."""

    handler: Callable[[HandlerCall], Any]
    origin: str
    """The plugin, for messages."""

    async def __call__(self, call: HandlerCall) -> Result:
        try:
            result: object = await awaited(self.handler(call))
            reply = result if isinstance(result, Reply) else Reply(200, result)
            if not isinstance(result, Reply | dict | list):
                raise PluginError(f"it must return a dict, a list or a Reply, not {type(result).__name__}")
            if type(reply.status) is not int or not 200 <= reply.status < 600:
                raise PluginError(f"the status of a Reply must be an integer from 200 to 599, not {reply.status!r}")
            if not isinstance(reply.body, Text):
                await _in_thread_if(_is_long(reply.body), pretty, reply.body)
        except (ApiError, StoreFull):
            raise
        except Exception as exc:
            method = f"{call.endpoint.service}.{call.endpoint.name}"
            raise PluginError(f"{self.origin} failed to handle {method}: {described(exc)}") from exc
        return reply


@dataclass(frozen=True, slots=True)
class Missing(Refused):
    """The handler of a method that is in an API reference, but has not been written for the local deployment."""


class Interface:
    """The API references of all services, parsed; shared by all deployments.

    Args:
        references: The API references, by service name.
    """

    def __init__(self, references: Mapping[str, Mapping[str, Any]]) -> None:
        self.references = references
        self.table = Table(references)
        self.schemas = ApiSchemas(
            {key: schema for each in references.values() for key, schema in each["types"].items()}
        )
        self.exchanges = [
            reference["exchangePrefix"] + exchange["exchange"]
            for reference in references.values()
            for exchange in reference.get("exchanges", ())
        ]
        """The full names of all exchanges."""


class Api:
    """Responds to requests for all services.

    Args:
        interface: The API references.
        handlers: By service and method name; every method must have one.
        directory: Clients and roles.
        clock: The deployment's time.
        clients_clock: The time by which clients sign their requests.
        root_url: The root URL of the deployment.
        unlisted: Handlers of paths that are in no API reference, by verb and path.
        pages: Responds to all requests outside the APIs and their references.
    """

    def __init__(
        self,
        interface: Interface,
        handlers: Mapping[str, Mapping[str, Handler]],
        directory: Directory,
        clock: Clock,
        clients_clock: Clock,
        root_url: str,
        unlisted: Mapping[tuple[str, str], UnlistedHandler] | None = None,
        pages: UnlistedHandler | None = None,
    ) -> None:
        self.references = interface.references
        self.table = interface.table
        self.schemas = interface.schemas
        self.handlers = {(service, name): code for service, named in handlers.items() for name, code in named.items()}
        different = self.handlers.keys() ^ self.table.named.keys()
        if different:
            raise ValueError(f"these methods have no handler, or these handlers no method: {sorted(different)}")
        self._directory = directory
        self._clock = clock
        self._clients_clock = clients_clock
        self._root_url = root_url
        self._unlisted = unlisted or {}
        self._pages = pages
        self._documents = Documents(interface.references, root_url)

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Return the response to `request`; never raises."""
        path = request.target.partition("?")[0]
        verb = "GET" if request.method == "HEAD" else request.method
        if (verb, path) in self._unlisted:
            return await self._unlisted[verb, path](request)
        if request.method == "OPTIONS":
            return self._options(request, path)
        found = self.table.find(verb, path)
        if found is None:
            return await self._respond_outside_apis(request, verb, path)
        endpoint, match = found
        try:
            params = endpoint.decode(match)
        except ValueError:
            return _html(400, "Bad Request")
        return await self._respond_to(request, endpoint, params)

    async def respond_as(self, service: str, method: str, request: HttpRequest) -> HttpResponse:
        """Return the response to a request for a method without URL parameters, whatever its path."""
        return await self._respond_to(request, self.table.named[service, method], {})

    async def _respond_to(self, request: HttpRequest, endpoint: ApiEndpoint, params: dict[str, str]) -> HttpResponse:
        call = HandlerCall(request, endpoint, params, self._directory, self._clock(), self._clients_clock())
        try:
            await _in_thread_if(_has_long_body(request), self._read_payload, call)
            result = await self._result(call, _has_long_body(request))
        except ApiError as error:
            # The response contains the payload.
            is_long = _has_long_body(request) or len(error.message) > _LONGEST_ON_LOOP
            return await _in_thread_if(is_long, self._error_response, call, error)
        except StoreFull as error:
            _log.error("%s.%s: %s", endpoint.service, endpoint.name, error)
            return self._error_response(
                call, ApiError("InternalServerError", f"Nothing of this request was stored: {error}.")
            )
        except Exception as error:
            incident = uuid.uuid4()
            _log.exception("incident %s in %s.%s", incident, endpoint.service, endpoint.name)
            why = f": {error}" if isinstance(error, PluginError) else ""
            refusal = ApiError("InternalServerError", f"Internal Server Error, incidentId {incident}{why}.")
            return self._error_response(call, refusal)
        reply = result if isinstance(result, Reply) else Reply(200, result)
        return await _in_thread_if(_is_long(reply.body), _response, request, reply)

    async def invoke(
        self, service: str, method: str, params: dict[str, str], payload: Any, by: Identity, query: str = ""
    ) -> Result:
        """Call a method from within the deployment, with every check of a request except the signature.

        Args:
            service: The service's name.
            method: The method's name.
            params: The URL parameters, not percent-encoded.
            payload: The payload. Defaults of the schema are added to it.
            by: The caller.
            query: The query string, percent-encoded.

        Raises:
            ApiError: What the response to a request would report.
        """
        endpoint = self.table.named[service, method]
        request = HttpRequest(endpoint.verb, f"?{query}", {"content-type": "application/json"})
        call = HandlerCall(request, endpoint, params, self._directory, self._clock(), self._clients_clock())
        call.payload = payload
        call.identity = by
        return await self._result(call, _is_long(payload))

    async def _result(self, call: HandlerCall, is_long: bool) -> Result:
        endpoint = call.endpoint
        if endpoint.automatic:
            call.authorize()
        _check_params(call)
        _check_query(call)
        await _in_thread_if(is_long, self._check_payload, call)
        return await self.handlers[endpoint.service, endpoint.name](call)

    def _read_payload(self, call: HandlerCall) -> None:
        request = call.request
        if not request.has_json:
            return
        body = _decompressed(request.body, request.headers.get("content-encoding", "identity").lower())
        found = _CHARSET.search(request.headers["content-type"])
        charset = normalize_encoding(found[1].lower()) if found else "utf_8"
        if charset not in _CHARSETS:
            raise ApiError("MalformedPayload", f"Unknown charset in the content-type: {charset[:40]}; use utf-8")
        text = call.payload_text = _decoded(body, charset).removeprefix("\ufeff")
        if not text:
            return
        call.payload = text
        call.payload = payload_of(text)

    def _check_payload(self, call: HandlerCall) -> None:
        key = call.endpoint.input
        if key is None:
            return
        if not call.request.has_json:
            got = call.request.headers.get("content-type", "null")
            raise ApiError(
                "MalformedPayload", f"Payload must be JSON with content-type: application/json got content-type: {got}"
            )
        schema = self.schemas.schema(key)
        schema.fill(call.payload)
        errors = schema.errors(call.payload)
        if errors:
            listed = "\n".join(f"  * {error}" for error in errors)
            rejecting = f"{self._root_url}/schemas/{key}#"
            raise ApiError(
                "InputValidationError", f"\nSchema Validation Failed!\nRejecting Schema: {rejecting}\nErrors:\n{listed}"
            )

    def _error_response(self, call: HandlerCall, error: ApiError) -> HttpResponse:
        endpoint = call.endpoint
        payload = call.payload
        if endpoint.hide is not None:
            if isinstance(payload, str) and endpoint.name == "set":
                # The invalid body may contain the secret, so it is not shown. Real deployments fail in this way.
                return _html(500, "Internal Server Error")
            payload = endpoint.hide(payload)
        body = error_body(error, endpoint.name, call.params, payload, call.now)
        headers = {"www-authenticate": "hawk"} if error.status == 401 else {}
        return _response(call.request, Reply(error.status, body, headers))

    def _options(self, request: HttpRequest, path: str) -> HttpResponse:
        verbs = ", ".join(self.table.verbs(path))
        if not verbs:
            return self._not_found(request, path)
        headers = {**_HEADERS, "allow": verbs, "content-type": "text/plain; charset=utf-8"}
        return HttpResponse(200, headers, verbs.encode())

    def _not_found(self, request: HttpRequest, path: str) -> HttpResponse:
        if self.table.has_service(path):
            return _response(request, Reply(404, {"error": "Not found"}))
        return _html(404, "Not Found")

    async def _respond_outside_apis(self, request: HttpRequest, verb: str, path: str) -> HttpResponse:
        """Return the response for a path that is not an API method."""
        if verb == "GET":
            document = self._documents.find(path)
            if document is not None:
                return _response(request, Reply(200, document))
            if path == "/robots.txt":
                return _response(request, Reply(200, Text("User-Agent: *\nDisallow: /\n")))
        is_page = verb in ("GET", "POST") and not f"{path}/".startswith(("/api/", "/references/", "/schemas/"))
        if self._pages is None or not is_page:
            return self._not_found(request, path)
        return await self._pages(request)


async def _in_thread_if(
    is_long: bool, function: Callable[_Arguments, _T], *given: _Arguments.args, **named: _Arguments.kwargs
) -> _T:
    """Call a function that handles a body, in a thread if the body is long enough to block the event loop."""
    if not is_long:
        return function(*given, **named)
    return await asyncio.to_thread(function, *given, **named)


def _has_long_body(request: HttpRequest) -> bool:
    return len(request.body or b"") > _LONGEST_ON_LOOP or "content-encoding" in request.headers


def _is_long(value: Any) -> bool:
    """Return whether a JSON value is long when serialized, looking at no more of it than necessary."""
    room, left = _LONGEST_ON_LOOP, [value]
    while left and room > 0:
        value = left.pop()
        room -= _BYTES_PER_VALUE
        if isinstance(value, str):
            room -= len(value)
        elif is_object(value):
            left.extend(value.values())
        elif is_array(value):
            left.extend(value)
    return room <= 0


def _decompressed(body: bytes | None, encoding: str) -> bytes:
    if encoding not in ("identity", "gzip", "deflate"):
        raise ApiError("InternalServerError", f"Unsupported content-encoding: {encoding}; use gzip or deflate.")
    if body and encoding != "identity":
        # wbits: 15 is the largest window; adding 32 detects gzip or zlib from the header.
        inflater = zlib.decompressobj(wbits=15 + 32)
        try:
            body = inflater.decompress(body, LARGEST_BODY + 1)
        except zlib.error:
            raise ApiError("MalformedPayload", f"Failed to decompress the body as {encoding}.") from None
        if len(body) <= LARGEST_BODY and not inflater.eof:
            raise ApiError("MalformedPayload", f"The body ends before the end of its {encoding} data.")
    if body is None or len(body) > LARGEST_BODY:
        raise ApiError("InternalServerError", f"The body is larger than {LARGEST_BODY} bytes.")
    return body


def _decoded(body: bytes, charset: str) -> str:
    """Decode a body."""
    if charset != "utf_8":
        return body.decode(charset, "replace")
    # In pieces, because the decoder holds the GIL, and replacing invalid bytes is slow.
    decoder = codecs.getincrementaldecoder(charset)("replace")
    pieces = [decoder.decode(body[first : first + _LONGEST_ON_LOOP]) for first in range(0, len(body), _LONGEST_ON_LOOP)]
    return "".join([*pieces, decoder.decode(b"", True)])


def _check_params(call: HandlerCall) -> None:
    errors = [
        f"URL parameter '{name}' given as '{call.params[name]}' must match regular expression: '/{pattern.text}/'"
        for name, pattern in call.endpoint.patterns.items()
        if not pattern.matches(call.params[name]) and (call.params[name] or name not in call.endpoint.optional)
    ]
    if errors:
        raise ApiError("InvalidRequestArguments", "\n".join(["Invalid URL patterns:", *errors]))


def _check_query(call: HandlerCall) -> None:
    text = call.request.target.partition("?")[2]
    if not text:
        return
    errors: list[str] = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        pattern = call.endpoint.query.get(name)
        if name == "bewit":
            continue
        if pattern is None:
            errors.append(f"Query-string parameter: {name} is not supported!")
        elif name in call.query:
            errors.append(f"Query-string parameter: {name} must be a string!")
        elif not pattern.matches(value):
            errors.append(f'Query-string parameter: {name}="{value}" does not match expression: /{pattern.text}/')
        call.query[name] = value
    if errors:
        raise ApiError("InvalidRequestArguments", "\n".join(errors))


def _response(request: HttpRequest, reply: Reply) -> HttpResponse:
    if isinstance(reply.body, EventStream):
        # Without the headers that let pages of other origins read it.
        headers = {
            "content-type": "text/event-stream",
            "cache-control": "no-cache",
            "x-content-type-options": "nosniff",
        }
        return HttpResponse(reply.status, headers, b"", reply.body.open, is_endless=True)
    text = isinstance(reply.body, Text)
    body = b"" if reply.body is None else reply.body.text.encode() if text else pretty(reply.body)
    headers = {
        **_HEADERS,
        "x-for-trace-id": request.headers.get("x-taskcluster-trace-id") or _identifier(),
        "x-for-request-id": _identifier(),
    }
    if reply.body is None:
        return HttpResponse(reply.status, {**headers, **reply.headers}, b"")
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).rstrip(b"=").decode("ascii")
    etag = f'W/"{len(body):x}-{digest}"'
    content_type = reply.body.content_type if text else "application/json; charset=utf-8"
    headers = {**headers, "etag": etag, "content-type": content_type, **reply.headers}
    if reply.status == 200 and request.method in ("GET", "HEAD") and _is_fresh(request.headers, etag):
        return HttpResponse(304, headers, b"")
    if len(body) > _COMPRESS_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        return HttpResponse(reply.status, {**headers, "content-encoding": "gzip"}, gzip.compress(body, 1, mtime=0))
    return HttpResponse(reply.status, headers, body)


def _identifier() -> str:
    """Return a random UUID. It is not secret, so it does not need the system's randomness."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _is_fresh(headers: Mapping[str, str], etag: str) -> bool:
    """Return whether the client has this version of the response already."""
    known = headers.get("if-none-match")
    if known is None or "no-cache" in headers.get("cache-control", ""):
        return False
    opaque = etag.removeprefix("W/")
    return known.strip() == "*" or any(tag.strip().removeprefix("W/") == opaque for tag in known.split(","))


def _html(status: int, text: str) -> HttpResponse:
    page = f"<!DOCTYPE html>\n<html lang=en><title>{status}</title><h1>{status}</h1><p>{text}.</p></html>\n"
    return HttpResponse(status, {**_HEADERS, "content-type": "text/html; charset=utf-8"}, page.encode())
