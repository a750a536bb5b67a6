"""One request, from its bytes to the response's: the order in which an API checks things. No sockets in here.

Routing, then the body's JSON, then the scopes that the URL alone asks for, then URL parameters, query and payload, then
the service's own code, which asks for the other scopes as soon as it knows them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import re
import uuid
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from . import authentication
from .authentication import Directory, Identity, SignedRequest
from .encoding import loads, pretty
from .endpoints import Endpoint, Table
from .errors import ApiError, error_body
from .scopes import Expression, as_json, instantiate, missing
from .timestamps import Clock
from .validation import Schemas

__all__ = ["LARGEST_BODY", "Api", "Call", "Handler", "Reply", "Request", "Response", "Result"]

LARGEST_BODY = 10 * 1024 * 1024
"""In bytes, after decompression."""

_log = logging.getLogger("taskcluster.local")

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
_CHARSET = re.compile(r';\s*charset="?([^;"\s]+)', re.IGNORECASE)
_CHARSETS = frozenset({"utf-8", "iso-8859-1", "utf-16"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire."""

    method: str
    target: str
    """Path and query, not decoded."""
    headers: Mapping[str, str]
    """Found by names in any case."""
    body: bytes | None = b""
    """As it was sent; None where it is larger than LARGEST_BODY."""

    @property
    def has_json(self) -> bool:
        """Whether the body is declared to be JSON; no other kind is looked at."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler returns when there is more to say than 200 and a JSON value."""

    status: int
    body: Any = None
    """To be sent as JSON; None for no body."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Result: TypeAlias = Reply | dict[str, Any] | list[Any]


class Call:
    """One call of an API method, as handlers see it."""

    def __init__(
        self, request: Request, endpoint: Endpoint, params: dict[str, str], directory: Directory, now: datetime
    ):
        self.request = request
        self.endpoint = endpoint
        self.params = params
        self.query: dict[str, str] = {}
        self.payload: Any = {}
        self.payload_text = ""
        """The JSON text of the body, empty for a body of another kind."""
        self.now = now
        self._directory = directory

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
        """Who is calling; found out when first asked for, so that other methods do not look at credentials at all."""
        return self.authenticate(self._directory)

    def authenticate(self, directory: Directory) -> Identity:
        """Return who is calling by what `directory` knows.

        Raises:
            ApiError: The credentials are not valid (AuthenticationFailed).
        """
        identity = authentication.authenticate(self.signed, directory, self.now)
        if identity.hash is not None:
            content_type = self.request.headers.get("content-type", "")
            authentication.check_payload_hash(identity.hash, self.payload_text, content_type)
        return identity

    def authorize(self, **values: Any) -> None:
        """Raise ApiError (InsufficientScopes) unless the caller has the scopes that the method asks for.

        Args:
            **values: Of the variables in the method's scope expression that are not parameters of the URL.
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


Handler: TypeAlias = Callable[[Call], Awaitable[Result]]
"""A service's code for one method. It returns JSON to be sent with status 200, or a Reply."""


class Api:
    """Answers requests to all services.

    Args:
        references: The APIs as data, by the service's name.
        handlers: By service and method. A method without a handler answers that it is not provided.
        directory: Clients and roles.
        clock: Tells the time.
        root_url: Of this deployment; found in some messages.
    """

    def __init__(
        self,
        references: Mapping[str, Mapping[str, Any]],
        handlers: Mapping[str, Mapping[str, Handler]],
        directory: Directory,
        clock: Clock,
        root_url: str,
    ) -> None:
        self.table = Table(references)
        self.schemas = Schemas({key: schema for each in references.values() for key, schema in each["types"].items()})
        self._handlers = {(service, name): code for service, named in handlers.items() for name, code in named.items()}
        unknown = self._handlers.keys() - {(endpoint.service, endpoint.name) for endpoint in self.table.endpoints}
        if unknown:
            raise ValueError(f"there are handlers for methods that no API has: {sorted(unknown)}")
        self._directory = directory
        self._clock = clock
        self._root_url = root_url

    async def respond(self, request: Request) -> Response:
        """Return the response to `request`, whatever happens."""
        path = request.target.partition("?")[0]
        if request.method == "OPTIONS":
            return self._options(request, path)
        found = self.table.find("GET" if request.method == "HEAD" else request.method, path)
        if found is None:
            return self._not_found(request, path)
        endpoint, match = found
        try:
            params = endpoint.decode(match)
        except ValueError:
            return _html(400, "Bad Request")
        call = Call(request, endpoint, params, self._directory, self._clock())
        try:
            result = await self._result(call)
        except ApiError as error:
            return self._refusal(call, error)
        except Exception:
            incident = uuid.uuid4()
            _log.exception("incident %s in %s.%s", incident, endpoint.service, endpoint.name)
            refusal = ApiError("InternalServerError", f"Internal Server Error, incidentId {incident}.")
            return self._refusal(call, refusal)
        return _response(request, result if isinstance(result, Reply) else Reply(200, result))

    async def _result(self, call: Call) -> Result:
        endpoint = call.endpoint
        self._read_payload(call)
        if endpoint.automatic:
            call.authorize()
        _check_params(call)
        _check_query(call)
        self._check_payload(call)
        handler = self._handlers.get((endpoint.service, endpoint.name))
        if handler is not None:
            return await handler(call)
        if endpoint.scopes is not None:
            # The scopes are beyond reach without the service's own code; wrong credentials are wrong all the same.
            _ = call.identity
        raise ApiError(
            "NotImplementedLocally",
            f"{endpoint.service}.{endpoint.name} is not provided by this local deployment; "
            "the request itself was understood, and a full deployment would go on with it.",
        )

    def _read_payload(self, call: Call) -> None:
        request = call.request
        if not request.has_json:
            return
        body = _inflated(request.body, request.headers.get("content-encoding", "identity").lower())
        found = _CHARSET.search(request.headers["content-type"])
        charset = found[1].lower() if found else "utf-8"
        if charset not in _CHARSETS:
            raise ApiError("InternalServerError", f"Bodies in the charset {charset} are not understood.")
        text = call.payload_text = body.decode(charset, "replace").removeprefix("\ufeff")
        if not text:
            return
        call.payload = text
        try:
            payload = loads(text)
        except ValueError as error:
            raise ApiError("MalformedPayload", f"Failed to parse JSON: {error}") from None
        if not isinstance(payload, dict | list):
            raise ApiError("MalformedPayload", "Failed to parse JSON: Must be an object or array")
        call.payload = payload

    def _check_payload(self, call: Call) -> None:
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

    def _refusal(self, call: Call, error: ApiError) -> Response:
        endpoint = call.endpoint
        payload = call.payload
        if endpoint.hide is not None:
            if isinstance(payload, str) and endpoint.name == "set":
                # A secret that is not JSON cannot be taken out, so a deployment breaks off here; so do we.
                return _html(500, "Internal Server Error")
            payload = endpoint.hide(payload)
        body = error_body(error, endpoint.name, call.params, payload, call.now)
        headers = {"www-authenticate": "hawk"} if error.status == 401 else {}
        return _response(call.request, Reply(error.status, body, headers))

    def _options(self, request: Request, path: str) -> Response:
        verbs = ", ".join(self.table.verbs(path))
        if not verbs:
            return self._not_found(request, path)
        headers = {**_HEADERS, "allow": verbs, "content-type": "text/plain; charset=utf-8"}
        return Response(200, headers, verbs.encode())

    def _not_found(self, request: Request, path: str) -> Response:
        if self.table.has_service(path):
            return _response(request, Reply(404, {"error": "Not found"}))
        return _html(404, "Not Found: this is a local Taskcluster without a web interface")


def _inflated(body: bytes | None, encoding: str) -> bytes:
    if encoding not in ("identity", "gzip", "deflate"):
        raise ApiError("InternalServerError", f"Bodies with the content-encoding {encoding} are not understood.")
    if body and encoding != "identity":
        # 15 for the largest window there is, 32 to tell gzip and zlib apart by their first bytes.
        inflater = zlib.decompressobj(wbits=15 + 32)
        try:
            body = inflater.decompress(body, LARGEST_BODY + 1)
        except zlib.error:
            raise ApiError("MalformedPayload", f"Failed to decompress the body as {encoding}.") from None
        if len(body) <= LARGEST_BODY and not inflater.eof:
            raise ApiError("MalformedPayload", f"The body ends before its {encoding} data does.")
    if body is None or len(body) > LARGEST_BODY:
        raise ApiError("InternalServerError", f"The body is larger than {LARGEST_BODY} bytes.")
    return body


def _check_params(call: Call) -> None:
    errors = [
        f"URL parameter '{name}' given as '{call.params[name]}' must match regular expression: '/{pattern.text}/'"
        for name, pattern in call.endpoint.patterns.items()
        if not pattern.matches(call.params[name]) and (call.params[name] or name not in call.endpoint.optional)
    ]
    if errors:
        raise ApiError("InvalidRequestArguments", "\n".join(["Invalid URL patterns:", *errors]))


def _check_query(call: Call) -> None:
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


def _response(request: Request, reply: Reply) -> Response:
    body = b"" if reply.body is None else pretty(reply.body)
    headers = {
        **_HEADERS,
        "x-for-trace-id": request.headers.get("x-taskcluster-trace-id") or str(uuid.uuid4()),
        "x-for-request-id": str(uuid.uuid4()),
    }
    if reply.body is None:
        return Response(reply.status, {**headers, **reply.headers}, b"")
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).rstrip(b"=").decode("ascii")
    etag = f'W/"{len(body):x}-{digest}"'
    headers = {**headers, "etag": etag, "content-type": "application/json; charset=utf-8", **reply.headers}
    if reply.status == 200 and request.method in ("GET", "HEAD") and _is_fresh(request.headers, etag):
        return Response(304, headers, b"")
    if len(body) > _COMPRESS_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(reply.status, {**headers, "content-encoding": "gzip"}, gzip.compress(body, 1, mtime=0))
    return Response(reply.status, headers, body)


def _is_fresh(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client says that it has this version already."""
    known = headers.get("if-none-match")
    if known is None or "no-cache" in headers.get("cache-control", ""):
        return False
    opaque = etag.removeprefix("W/")
    return known.strip() == "*" or any(tag.strip().removeprefix("W/") == opaque for tag in known.split(","))


def _html(status: int, text: str) -> Response:
    page = f"<!DOCTYPE html>\n<html lang=en><title>{status}</title><h1>{status}</h1><p>{text}.</p></html>\n"
    return Response(status, {**_HEADERS, "content-type": "text/html; charset=utf-8"}, page.encode())
