"""Authenticate requests: Hawk headers, signed URLs (bewits), temporary credentials, authorizedScopes. No HTTP in here.

Hawk's normalised string and content types come from mohawk. Its Receiver is not used: it reads the clock itself, parses
URLs again although the exact bytes count, and does not distinguish the failures that Taskcluster distinguishes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, NoReturn, Protocol, TypeGuard

from mohawk.util import (  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    MAX_LENGTH,
    normalize_string,  # pyright: ignore[reportUnknownVariableType]
    parse_content_type,  # pyright: ignore[reportUnknownVariableType]
)

from taskcluster.shapes import is_array

from .encoding import is_object, loads
from .errors import ApiError
from .scopes import ScopeSet, valid_scope
from .timestamps import milliseconds

__all__ = [
    "ANONYMOUS",
    "Client",
    "Directory",
    "Identity",
    "SignedRequest",
    "address",
    "authenticate",
    "check_payload_hash",
]

ANONYMOUS = "assume:anonymous"
"""The role that every caller has, with and without credentials."""

_SKEW_SECONDS = 15 * 60
_CERTIFICATE_DRIFT_MS = 5 * 60 * 1000
_CERTIFICATE_LONGEST_MS = 31 * 24 * 3600 * 1000
_SEED_LENGTH = 44
_ANONYMOUS_SPAN = timedelta(minutes=15)

_HOST = re.compile(r"([^:\[\]]+|\[[^\]]+\])(?::(\d+))?")
_HEADER = re.compile(r"(\w+)(?:\s+(.*))?", re.ASCII | re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="([^"\\]*)"\s*(?:,\s*|$)', re.ASCII)
_ATTRIBUTE_NAMES = frozenset({"id", "ts", "nonce", "hash", "ext", "mac", "app", "dlg"})
_ATTRIBUTE_VALUE = re.compile(r"[ \w!#$%&'()*+,\-./:;<=>?@\[\]^`{|}~]*", re.ASCII)
_BEWIT = re.compile(r"[?&]bewit=")


@dataclass(frozen=True, slots=True)
class Client:
    """Permanent credentials, with their scopes."""

    clientId: str
    accessToken: str = field(repr=False)
    scopes: tuple[str, ...]
    expires: datetime
    disabled: bool = False


class Directory(Protocol):
    """Looks up clients and expands scopes."""

    def client(self, clientId: str) -> Client | None:
        """Return the client with this clientId, even if it is disabled or expired."""
        ...

    def expand(self, scopes: Iterable[str]) -> ScopeSet:
        """Return `scopes` with everything that roles add to them."""
        ...

    def used(self, clientId: str, now: datetime) -> None:
        """Note that someone used the access token of a client."""
        ...


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that a signature covers."""

    method: str
    resource: str
    """Path and query, exactly as received."""
    host: str
    port: str
    authorization: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller and its scopes."""

    clientId: str
    granted: tuple[str, ...]
    """The scopes of the client, certificate or authorizedScopes, without those that roles add."""
    scopes: ScopeSet
    expires: datetime
    hash: str | None = None
    """The payload hash in the signature, to be compared with the payload by `check_payload_hash`."""
    has_credentials: bool = True


def address(host: str, forwarded_port: str | None, forwarded_proto: str | None) -> tuple[str, str]:
    """Return the host and port that the client signed: from Host, X-Forwarded-Port and X-Forwarded-Proto."""
    match = _HOST.fullmatch(host.strip())
    name, port = match.groups() if match else (host, None)
    if forwarded_port:
        port = forwarded_port
    elif forwarded_proto == "https":
        port = "443"
    return name.lower(), port or "80"


def authenticate(request: SignedRequest, directory: Directory, now: datetime, received: datetime) -> Identity:
    """Authenticate the sender of `request`.

    Args:
        request: The signed parts of the request.
        directory: Looks up clients.
        now: The deployment's time, which decides whether credentials have expired.
        received: The time of the request by the clients' clock, which decides whether the signature is too old.

    Raises:
        ApiError: The credentials are invalid (AuthenticationFailed).
    """
    bewit = _find_bewit(request.resource)
    if bewit is not None and request.authorization:
        _fail("Cannot use two authentication schemes at once: there is a bewit in the URL and an Authorization header")
    if bewit is not None:
        return _authenticate_bewit(request, *bewit, directory, now)
    if request.authorization:
        return _authenticate_header(request, request.authorization, directory, now, received)
    scopes = directory.expand((ANONYMOUS,))
    return Identity("auth-failed:no-auth", (), scopes, now + _ANONYMOUS_SPAN, has_credentials=False)


def check_payload_hash(expected: str, payload: str, content_type: str) -> None:
    """Raise ApiError unless `payload` matches the hash that its sender signed.

    Args:
        expected: The hash in the Authorization header.
        payload: The JSON of the body; empty if the body is not JSON.
        content_type: The Content-Type header; empty if there is none.
    """
    digest = hashlib.sha256(f"hawk.1.payload\n{parse_content_type(content_type)}\n{payload}\n".encode()).digest()
    computed = b64encode(digest).decode("ascii")
    if len(expected) != len(computed):
        raise ApiError("InternalServerError", "The payload hash in the Authorization header has the wrong length.")
    if not hmac.compare_digest(expected, computed):
        _fail(
            "Invalid payload hash: the Authorization header was computed for another payload\n"
            f"Computed payload hash: {computed}\n"
            "The hash covers the content type, in lower case and without parameters, and the bytes of the body."
        )


class _Signed(NamedTuple):
    """The attributes that mohawk's normalize_string reads."""

    timestamp: str
    nonce: str
    method: str
    name: str
    host: str
    port: str
    ext: str
    app: str | None = None
    dlg: str | None = None


class _Credentials(NamedTuple):
    """The credentials that a Hawk id and its ext describe; not yet verified."""

    key: str
    owner: str
    """The permanent client that issued them."""
    granted: tuple[str, ...]
    scopes: ScopeSet
    expires: datetime


def _authenticate_header(
    request: SignedRequest, header: str, directory: Directory, now: datetime, received: datetime
) -> Identity:
    given = _attributes(header)
    ext = given.get("ext", "")
    credentials = _credentials(given["id"], ext, directory, now)
    signed = _Signed(
        given["ts"],
        given["nonce"],
        request.method,
        request.resource,
        request.host,
        request.port,
        ext,
        given.get("app"),
        given.get("dlg"),
    )
    _check_mac(given["mac"], _mac(credentials.key, "header", signed, given.get("hash", "")))
    # Compared as strings first: anything that is not a number, or is too long for one, counts as a stale timestamp.
    seconds = int(given["ts"]) if re.fullmatch(r"\d{1,15}", given["ts"], re.ASCII) else 0
    if abs(seconds - received.timestamp()) > _SKEW_SECONDS:
        _fail("Unauthorized: Stale timestamp")
    directory.used(credentials.owner, now)
    return Identity(given["id"], credentials.granted, credentials.scopes, credentials.expires, given.get("hash"))


def _authenticate_bewit(
    request: SignedRequest, bewit: str, resource: str, directory: Directory, now: datetime
) -> Identity:
    if not bewit:
        _fail("Unauthorized: Empty bewit")
    if request.method not in ("GET", "HEAD"):
        _fail("Unauthorized: Invalid method")
    client_id, expiry, mac, ext = _bewit_parts(bewit)
    if int(expiry) <= now.timestamp():
        _fail("Unauthorized: Access expired")
    credentials = _credentials(client_id, ext, directory, now)
    signed = _Signed(expiry, "", "GET", resource, request.host, request.port, ext)
    _check_mac(mac, _mac(credentials.key, "bewit", signed, ""))
    directory.used(credentials.owner, now)
    return Identity(client_id, credentials.granted, credentials.scopes, credentials.expires)


def _find_bewit(resource: str) -> tuple[str, str] | None:
    """Return the last bewit of a path and query, and the path and query without it; None if there is no bewit."""
    positions = [found.start() for found in _BEWIT.finditer(resource)]
    if positions and len(resource) > MAX_LENGTH:
        _fail("Bad Request: Resource path exceeds max length")
    for position in reversed(positions):
        before, separator = resource[:position], resource[position]
        bewit, ampersand, after = resource[position + len("?bewit=") :].partition("&")
        if position > 0 and (after or not ampersand):
            return bewit, f"{before}{separator}{after}" if after else before
    return None


def _attributes(header: str) -> dict[str, str]:
    """Return the attributes of an Authorization header, which include all that Hawk requires."""
    if len(header) > MAX_LENGTH:
        _fail("Bad Request: Header length too long")
    match = _HEADER.fullmatch(header)
    if match is None:
        _fail("Bad Request: Invalid header syntax")
    scheme, rest = match.groups()
    if scheme.lower() != "hawk":
        _fail("Unauthorized: Unauthorized")
    if not rest:
        _fail("Bad Request: Invalid header syntax")
    attributes: dict[str, str] = {}
    end = 0
    # finditer would search for the next match from every character on, which takes quadratic time.
    while found := _ATTRIBUTE.match(rest, end):
        name, value = found.groups()
        if name not in _ATTRIBUTE_NAMES:
            _fail(f"Bad Request: Unknown attribute: {name}")
        if not _ATTRIBUTE_VALUE.fullmatch(value):
            _fail(f"Bad Request: Bad attribute value: {name}")
        if name in attributes:
            _fail(f"Bad Request: Duplicate attribute: {name}")
        attributes[name] = value
        end = found.end()
    if end != len(rest):
        _fail("Bad Request: Bad header format")
    if not all(attributes.get(name) for name in ("id", "ts", "nonce", "mac")):
        _fail("Bad Request: Missing attributes")
    return attributes


def _bewit_parts(bewit: str) -> tuple[str, str, str, str]:
    try:
        if not re.fullmatch(r"[\w-]*", bewit, re.ASCII):
            raise ValueError(bewit)
        text = urlsafe_b64decode(bewit + "=" * (-len(bewit) % 4)).decode()
    except ValueError:
        _fail("Bad Request: Invalid bewit encoding")
    parts = text.split("\\")
    if len(parts) != 4:
        _fail("Bad Request: Invalid bewit structure")
    client_id, expiry, mac, ext = parts
    if not (client_id and expiry and mac):
        _fail("Bad Request: Missing bewit attributes")
    if not re.fullmatch(r"\d{1,15}", expiry, re.ASCII):
        _fail("Bad Request: Invalid bewit structure")
    return client_id, expiry, mac, ext


def _credentials(client_id: str, ext: str, directory: Directory, now: datetime) -> _Credentials:
    """Check everything about `client_id` and `ext` except the signature, and return the credentials."""
    given = _parse_ext(ext)
    certificate = given.get("certificate")
    if certificate is None:
        client = _usable(client_id, directory, now)
        key, owner, granted, expires = client.accessToken, client_id, client.scopes, client.expires
    else:
        key, owner, granted, expires = _temporary(client_id, certificate, directory, now)
    scopes = directory.expand((*granted, ANONYMOUS))
    authorized: Any = given.get("authorizedScopes")
    if authorized is not None:
        granted = _scope_list(authorized, "ext.authorizedScopes")
        if not scopes.satisfies_all(granted):
            _fail(
                "Supplied credentials do not satisfy authorizedScopes; credentials have scopes:\n\n"
                f"{_fenced(scopes.scopes)}\n\nauthorizedScopes are:\n\n{_fenced(granted)}"
            )
        scopes = directory.expand((*granted, ANONYMOUS))
    return _Credentials(key, owner, granted, scopes, expires)


def _parse_ext(ext: str) -> Mapping[str, Any]:
    if not ext:
        return {}
    try:
        # In either base64 alphabet, padded or not.
        standard = ext.translate(str.maketrans("-_", "+/")).rstrip("=")
        parsed = loads(b64decode(standard + "=" * (-len(standard) % 4)).decode())
    except ValueError:
        _fail("Failed to parse ext")
    if parsed is None:
        _fail("ext must be a JSON object, not null")
    return parsed if is_object(parsed) else {}


def _usable(client_id: str, directory: Directory, now: datetime) -> Client:
    client = directory.client(client_id)
    if client is None:
        _fail(f"Client with clientId '{client_id}' not found")
    if client.disabled:
        _fail(f"Client with clientId '{client_id}' is disabled")
    if client.expires < now:
        _fail(f"Client with clientId: '{client_id}' has expired")
    return client


def _temporary(
    client_id: str, certificate: object, directory: Directory, now: datetime
) -> tuple[str, str, tuple[str, ...], datetime]:
    """Check a certificate in the order of the real auth service; return access token, issuer, scopes and expiry."""
    if not is_object(certificate):
        _fail("ext.certificate must be a JSON object")
    issuer_id = certificate.get("issuer")
    if issuer_id is not None:
        if not isinstance(issuer_id, str):
            _fail("ext.certificate.issuer must be a string")
        if issuer_id == client_id:
            _fail("ext.certificate.issuer must differ from the supplied clientId")
    issuer = _usable(client_id if issuer_id is None else issuer_id, directory, now)
    version, seed, start, expiry = (certificate.get(name) for name in ("version", "seed", "start", "expiry"))
    if not _is_number(version) or version != 1:
        _fail("ext.certificate.version must be 1")
    if not isinstance(seed, str):
        _fail("ext.certificate.seed must be a string")
    if len(seed) != _SEED_LENGTH:
        _fail(f"ext.certificate.seed must be {_SEED_LENGTH} characters")
    if not _is_number(start):
        _fail("ext.certificate.start must be a number")
    if not _is_number(expiry):
        _fail("ext.certificate.expiry must be a number")
    scopes = _scope_list(certificate.get("scopes"), "ext.certificate.scopes")
    present = milliseconds(now)
    if start > present + _CERTIFICATE_DRIFT_MS:
        _fail("ext.certificate.start > now")
    if expiry < present - _CERTIFICATE_DRIFT_MS:
        _fail("ext.certificate.expiry < now")
    if expiry - start > _CERTIFICATE_LONGEST_MS:
        _fail("ext.certificate cannot last longer than 31 days!")
    held = directory.expand(issuer.scopes)
    if issuer_id is not None:
        needed = f"auth:create-client:{client_id}"
        if not held.satisfies(needed):
            _fail(f"ext.certificate issuer `{issuer_id}` doesn't have `{needed}` for supplied clientId.")
    elif "clientId" in certificate:
        _fail("ext.certificate.clientId must only be used with ext.certificate.issuer")
    if not held.satisfies_all(scopes):
        _fail(
            f"ext.certificate issuer `{issuer.clientId}` doesn't satisfy all certificate scopes {', '.join(scopes)}. "
            "The temporary credentials were not created correctly."
        )
    named = [] if issuer_id is None else [f"clientId:{client_id}", f"issuer:{issuer_id}"]
    lines = ["version:1", *named, f"seed:{seed}", f"start:{start}", f"expiry:{expiry}", "scopes:", *scopes]
    signature = b64encode(_hmac(issuer.accessToken, "\n".join(lines))).decode("ascii")
    signed = certificate.get("signature")
    if not isinstance(signed, str) or not _same(signed, signature):
        wrong_name = "" if issuer_id is None else ", or wrong clientId provided"
        _fail(f"ext.certificate.signature is not valid{wrong_name}")
    token = urlsafe_b64encode(_hmac(issuer.accessToken, seed)).rstrip(b"=").decode("ascii")
    # Both dates are in Python's range: a certificate expires at most 31 days after its start, which is close to now.
    ends = datetime.fromtimestamp(expiry / 1000, timezone.utc)
    return token, issuer.clientId, scopes, min(issuer.expires, ends)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scope_list(scopes: Any, what: str) -> tuple[str, ...]:
    if not is_array(scopes):
        _fail(f"{what} must be an array")
    if not all(map(valid_scope, scopes)):
        _fail(f"{what} must be an array of valid scopes")
    return tuple(scopes)


def _mac(key: str, kind: str, signed: _Signed, content_hash: str) -> str:
    text: Any = normalize_string(kind, signed, content_hash)
    return b64encode(_hmac(key, text)).decode("ascii")


def _hmac(key: str, text: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(errors="surrogatepass"), "sha256")


def _check_mac(given: str, computed: str) -> None:
    if not _same(given, computed):
        _fail("Unauthorized: Bad mac")


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(errors="surrogatepass"), right.encode(errors="surrogatepass"))


def _fenced(scopes: Iterable[str]) -> str:
    return "\n".join(["```", *scopes, "```"])


def _fail(message: str) -> NoReturn:
    raise ApiError("AuthenticationFailed", message)
