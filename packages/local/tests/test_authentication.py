"""Tests of authentication at a given time, without HTTP."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taskcluster.credentials import createTemporaryCredentials
from taskcluster.hawk import EMPTY_PAYLOAD_HASH, Signer
from taskcluster_local.authentication import (
    Client,
    Identity,
    SignedRequest,
    address,
    authenticate,
    check_payload_hash,
)
from taskcluster_local.errors import ApiError
from taskcluster_local.roles import Roles
from taskcluster_local.scopes import ScopeSet
from taskcluster_local.services.auth.state import NEVER, FixedAccounts

NOW = datetime.fromtimestamp(1700000000, timezone.utc)
HOST, PORT = "tc.example.com", "443"
GET = SignedRequest("GET", "/api/auth/v1/test-authenticate-get/", HOST, PORT, None)
CLIENTS = [
    Client("alice", "a" * 44, ("scope:*", "auth:create-client:tmp/*"), NEVER),
    Client("disabled", "d" * 44, ("*",), NEVER, disabled=True),
    Client("expired", "e" * 44, ("*",), NOW - timedelta(seconds=1)),
    Client("issuer", "no-secret", ("scope:*", "auth:create-client:tmp/*"), NEVER),
]


class People:
    """A directory in memory that remembers which clients were used."""

    def __init__(self, clients: list[Client], roles: dict[str, list[str]]) -> None:
        self._clients = {client.clientId: client for client in clients}
        self._roles = Roles(roles)
        self.seen: list[str] = []

    def client(self, clientId: str) -> Client | None:
        return self._clients.get(clientId)

    def expand(self, scopes: Iterable[str]) -> ScopeSet:
        return self._roles.expand(scopes)

    def used(self, clientId: str, now: datetime) -> None:
        self.seen.append(clientId)


ACCOUNTS = People(CLIENTS, {"anonymous": ["public:read"], "team": ["scope:team"]})
KEYS = {client.clientId: client.accessToken for client in CLIENTS}


def signed(
    client_id: str = "alice",
    *,
    key: str | None = None,
    ext: Any = None,
    at: float = 1700000000,
    raw_ext: str | None = None,
    request: SignedRequest = GET,
    content_hash: str = EMPTY_PAYLOAD_HASH,
) -> SignedRequest:
    encoded = (
        raw_ext if raw_ext is not None else b64encode(json.dumps(ext).encode()).decode() if ext is not None else ""
    )
    signer = Signer(client_id, (key or KEYS.get(client_id, "x")).encode(), encoded)
    header = signer.header(request.method, request.resource, request.host, request.port, content_hash, at, "abc")
    return replace(request, authorization=header)


def identity(request: SignedRequest, now: datetime = NOW) -> Identity:
    return authenticate(request, ACCOUNTS, now, now)


def failure(request: SignedRequest, now: datetime = NOW) -> str:
    with pytest.raises(ApiError) as caught:
        authenticate(request, ACCOUNTS, now, now)
    assert (caught.value.code, caught.value.status) == ("AuthenticationFailed", 401)
    return caught.value.message


# Published test vectors: client `tester`, key `no-secret`, ts 1700000000, nonce `abcdef`.

BODY = '{"clientScopes": ["test:*"], "requiredScopes": ["test:a"]}'
BODY_HASH = "t0XiKzer5EAVTaf2UmSN7sB+t/khR4ONCSKJ+7TMgF0="
EMPTY_HASH = "B0weSUXsMcb5UhL41FZbrUJCAotzSI3HawE1NPLRUz8="
BEWIT = "dGVzdGVyXDE3MDAwMDA5MDBcWnhoeXp5WDB4bW50dHViT0pUaUVlRTBWRGlBTzN0QmNna2QwYWdzMFlXOD1c"


def test_vector_of_header_with_payload_hash() -> None:
    header = (
        'Hawk id="tester", ts="1700000000", nonce="abcdef", '
        f'hash="{BODY_HASH}", mac="6HBvOBhMDciRlkXaMAaJqPPill8/NavOAkZOyjErsJw="'
    )
    request = SignedRequest("POST", "/api/auth/v1/test-authenticate", HOST, PORT, header)
    found = authenticate(request, FixedAccounts(["test:*"]), NOW, NOW)
    assert (found.clientId, found.granted, found.hash) == ("tester", ("test:*",), BODY_HASH)
    for content_type in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        check_payload_hash(BODY_HASH, BODY, content_type)


def test_vector_of_header_without_payload_hash() -> None:
    header = 'Hawk id="tester", ts="1700000000", nonce="abcdef", mac="H0CaN/+nkx8pY957h9Yr7qhDCxyETnuHNOWK/im/zuM="'
    found = authenticate(replace(GET, authorization=header), FixedAccounts([]), NOW, NOW)
    assert (found.clientId, found.hash) == ("tester", None)
    check_payload_hash(EMPTY_HASH, "", "")


def test_vector_of_bewit() -> None:
    request = replace(GET, resource=f"{GET.resource}?bewit={BEWIT}")
    assert authenticate(request, FixedAccounts([]), NOW, NOW).clientId == "tester"


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        (None, "H0cJ2r9xDhKtMEatywort76xDCVjI7RGbywcqHf3nyI="),
        ("tmp/x", "MZsA3wS1gkiqBw6aLufq665F2hWgs29xoctTKGG6xvg="),
    ],
)
def test_vector_of_temporary_credentials(name: str | None, signature: str) -> None:
    certificate = {
        "version": 1,
        "seed": "A" * 44,
        "start": 1700000000000,
        "expiry": 1700003600000,
        "scopes": ["scope:a", "scope:b*"],
        "signature": signature,
    } | ({"issuer": "issuer"} if name else {})
    key = "Cz41VmijILgiIPDFlGeYVh8XzvdMhlbmwB-DyPZhdpg"
    found = identity(signed(name or "issuer", key=key, ext={"certificate": certificate}))
    assert found.granted == ("scope:a", "scope:b*")
    assert found.expires == datetime.fromtimestamp(1700003600, timezone.utc)


# The Authorization header


@pytest.mark.parametrize("header", [None, ""])
def test_is_anonymous_without_credentials(header: str | None) -> None:
    found = identity(replace(GET, authorization=header))
    assert not found.has_credentials
    assert found.scopes.scopes == ("assume:anonymous", "public:read")
    assert found.expires == NOW + timedelta(minutes=15)


def test_client_has_expanded_scopes() -> None:
    found = identity(signed())
    assert found.clientId == "alice"
    assert found.scopes.scopes == ("assume:anonymous", "auth:create-client:tmp/*", "public:read", "scope:*")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Basic YTpi", "Unauthorized: Unauthorized"),
        ("Bearer abc", "Unauthorized: Unauthorized"),
        ("!?", "Bad Request: Invalid header syntax"),
        ("Hawk", "Bad Request: Invalid header syntax"),
        ("Hawk ", "Bad Request: Invalid header syntax"),
        ('Hawk id="a", ts="1", nonce="n"', "Bad Request: Missing attributes"),
        ('Hawk id="a", ts="1", mac="m"', "Bad Request: Missing attributes"),
        ('Hawk id="a", nonce="n", mac="m"', "Bad Request: Missing attributes"),
        ('Hawk id="", ts="1", nonce="n", mac="m"', "Bad Request: Missing attributes"),
        ('Hawk id="a", foo="b"', "Bad Request: Unknown attribute: foo"),
        ('Hawk id="a", id="b"', "Bad Request: Duplicate attribute: id"),
        ("Hawk id=a", "Bad Request: Bad header format"),
        ('Hawk id="a" ts="1"', "Bad Request: Bad header format"),
        ('Hawk id="a\\b", ts="1"', "Bad Request: Bad header format"),
        (f'Hawk id="{"a" * 4096}"', "Bad Request: Header length too long"),
    ],
)
def test_rejects_malformed_header(header: str, message: str) -> None:
    assert failure(replace(GET, authorization=header)) == message


@pytest.mark.parametrize("seconds", [-900, 0, 900])
def test_accepts_clock_15_minutes_off(seconds: int) -> None:
    assert identity(signed(at=1700000000 + seconds)).clientId == "alice"


@pytest.mark.parametrize("seconds", [-901, 901])
def test_rejects_clock_over_15_minutes_off(seconds: int) -> None:
    assert failure(signed(at=1700000000 + seconds)) == "Unauthorized: Stale timestamp"


def test_accepts_repeated_header() -> None:
    request = signed()
    assert identity(request) == identity(request)


def test_matches_scheme_case_insensitively() -> None:
    request = signed()
    assert request.authorization is not None
    assert identity(replace(request, authorization=request.authorization.replace("Hawk", "hAWK"))).clientId == "alice"


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"host": "other.example.com"},
        {"port": "80"},
        {"resource": "/api/auth/v1/test-authenticate-get"},
    ],
)
def test_rejects_signature_of_other_request(change: dict[str, str]) -> None:
    assert failure(replace(signed(), **change)) == "Unauthorized: Bad mac"


def test_signs_percent_escapes_as_sent() -> None:
    request = replace(GET, resource="/api/secrets/v1/secret/a%2Fb")
    assert identity(signed(request=request)).clientId == "alice"
    for other in ("a%2fb", "a/b"):
        sent = replace(signed(request=request), resource=f"/api/secrets/v1/secret/{other}")
        assert failure(sent) == "Unauthorized: Bad mac"


@pytest.mark.parametrize(
    ("client_id", "message"),
    [
        ("absent", "Client with clientId 'absent' not found"),
        ("disabled", "Client with clientId 'disabled' is disabled"),
        ("expired", "Client with clientId: 'expired' has expired"),
    ],
)
def test_checks_client_before_mac(client_id: str, message: str) -> None:
    assert failure(signed(client_id)) == message
    assert failure(signed(client_id, key="wrong")) == message


def test_checks_mac_before_timestamp() -> None:
    assert failure(signed(key="wrong", at=1)) == "Unauthorized: Bad mac"


@pytest.mark.parametrize("ext", ["", "{}", "[]", "7", '{"unknown": 1}'])
def test_accepts_empty_ext(ext: str) -> None:
    encoded = b64encode(ext.encode()).decode()
    for form in (encoded, encoded.rstrip("=")):
        assert identity(signed(raw_ext=form)).clientId == "alice"


def test_accepts_ext_in_either_base64_alphabet() -> None:
    text = '{"authorizedScopes": ["scope:???>>>"]}'
    for encode in (b64encode, urlsafe_b64encode):
        assert identity(signed(raw_ext=encode(text.encode()).decode())).granted == ("scope:???>>>",)


@pytest.mark.parametrize("ext", ["not json", "{", "\xff"])
def test_rejects_ext_that_is_not_json(ext: str) -> None:
    assert failure(signed(raw_ext=b64encode(ext.encode("latin1")).decode())) == "Failed to parse ext"


def test_rejects_null_ext() -> None:
    assert "null" in failure(signed(raw_ext=b64encode(b"null").decode()))


def test_signature_covers_app_and_dlg() -> None:
    header = 'Hawk id="alice", ts="1700000000", nonce="n", app="b", dlg="c", mac="{mac}"'
    assert failure(replace(GET, authorization=header.format(mac="x"))) == "Unauthorized: Bad mac"
    text = f"hawk.1.header\n1700000000\nn\nGET\n{GET.resource}\n{HOST}\n{PORT}\n\n\nb\nc\n"
    mac = b64encode(hmac.digest(KEYS["alice"].encode(), text.encode(), "sha256")).decode()
    assert identity(replace(GET, authorization=header.format(mac=mac))).clientId == "alice"


# Payload hashes


def test_rejects_wrong_payload_hash() -> None:
    with pytest.raises(ApiError, match="AuthenticationFailed: Invalid payload hash") as caught:
        check_payload_hash(BODY_HASH, BODY + " ", "application/json")
    assert "\nComputed payload hash: " in caught.value.message


def test_payload_hash_of_wrong_length_returns_500() -> None:
    with pytest.raises(ApiError, match="InternalServerError"):
        check_payload_hash("short", BODY, "application/json")


# Temporary credentials


def minted(name: str | None = None, **changes: Any) -> SignedRequest:
    """A request with temporary credentials, with a certificate that was changed after signing."""
    made = createTemporaryCredentials(
        "alice", KEYS["alice"], NOW, NOW + timedelta(hours=1), changes.pop("sign_scopes", ["scope:a"]), name=name
    )
    certificate = {**json.loads(made["certificate"]), **changes}
    certificate = {key: value for key, value in certificate.items() if value is not ...}
    key = made["accessToken"].decode()
    return signed(changes.pop("hawk_id", name or "alice"), key=key, ext={"certificate": certificate})


@pytest.mark.parametrize("name", [None, "tmp/x"])
def test_accepts_temporary_credentials(name: str | None) -> None:
    found = identity(minted(name))
    assert found.clientId == (name or "alice")
    assert found.granted == ("scope:a",)
    assert found.expires == NOW + timedelta(hours=1)


def test_accepts_temporary_credentials_without_scopes() -> None:
    assert identity(minted(sign_scopes=[])).granted == ()


MS = 1700000000000
MINUTE, DAY = 60_000, 86_400_000


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("tmp/x", {"issuer": 7}, "ext.certificate.issuer must be a string"),
        ("tmp/x", {"issuer": "tmp/x"}, "ext.certificate.issuer must differ from the supplied clientId"),
        ("tmp/x", {"issuer": "absent"}, "Client with clientId 'absent' not found"),
        ("tmp/x", {"issuer": "disabled"}, "Client with clientId 'disabled' is disabled"),
        ("tmp/x", {"issuer": "expired"}, "Client with clientId: 'expired' has expired"),
        (None, {"version": 2}, "ext.certificate.version must be 1"),
        (None, {"version": "1"}, "ext.certificate.version must be 1"),
        (None, {"seed": 7}, "ext.certificate.seed must be a string"),
        (None, {"seed": "short"}, "ext.certificate.seed must be 44 characters"),
        (None, {"start": "now"}, "ext.certificate.start must be a number"),
        (None, {"expiry": True}, "ext.certificate.expiry must be a number"),
        (None, {"scopes": "scope:a"}, "ext.certificate.scopes must be an array"),
        (None, {"scopes": ["\n"]}, "ext.certificate.scopes must be an array of valid scopes"),
        (None, {"scopes": [7]}, "ext.certificate.scopes must be an array of valid scopes"),
        (None, {"start": MS + 5 * MINUTE + 1}, "ext.certificate.start > now"),
        (None, {"expiry": MS - 5 * MINUTE - 1}, "ext.certificate.expiry < now"),
        (None, {"expiry": MS + 31 * DAY + 1}, "ext.certificate cannot last longer than 31 days!"),
        ("other/x", {}, "ext.certificate issuer `alice` doesn't have `auth:create-client:other/x`"),
        (None, {"clientId": "alice"}, "ext.certificate.clientId must only be used with ext.certificate.issuer"),
        (None, {"scopes": ["b", "c"]}, "ext.certificate issuer `alice` doesn't satisfy all certificate scopes b, c."),
        ("tmp/x", {"scopes": ["scope:b"]}, "ext.certificate.signature is not valid, or wrong clientId provided"),
        (None, {"scopes": ["scope:b"]}, "ext.certificate.signature is not valid"),
        (None, {"signature": ...}, "ext.certificate.signature is not valid"),
        (None, {"start": MS + 5 * MINUTE}, "ext.certificate.signature is not valid"),
        (None, {"expiry": MS - 5 * MINUTE}, "ext.certificate.signature is not valid"),
        (None, {"expiry": MS + 31 * DAY}, "ext.certificate.signature is not valid"),
    ],
)
def test_rejects_invalid_certificate(name: str | None, changes: dict[str, Any], message: str) -> None:
    found = failure(minted(name, **changes))
    assert found.startswith(message)
    if message.endswith("not valid"):
        assert found == message


def test_checks_certificate_in_order() -> None:
    # All mistakes at once, corrected one by one.
    wrong: dict[str, Any] = {
        "issuer": 7, "version": 0, "seed": 0, "start": "", "expiry": "", "scopes": "", "signature": "",
    }  # fmt: skip
    right = [
        ("issuer", "ext.certificate.issuer must be", "tmp/x"),
        ("issuer", "ext.certificate.issuer must differ", "absent"),
        ("issuer", "Client with clientId 'absent'", "alice"),
        ("version", "ext.certificate.version", 1),
        ("seed", "ext.certificate.seed", "A" * 44),
        ("start", "ext.certificate.start must", MS + DAY),
        ("expiry", "ext.certificate.expiry must", MS - DAY),
        ("scopes", "ext.certificate.scopes", ["b"]),
        ("start", "ext.certificate.start >", MS - 32 * DAY),
        ("expiry", "ext.certificate.expiry <", MS),
        ("start", "ext.certificate cannot", MS),
        ("scopes", "ext.certificate issuer `alice` doesn't satisfy", []),
    ]
    for field, message, value in right:
        assert failure(minted("tmp/x", **wrong)).startswith(message)
        wrong[field] = value
    assert failure(minted("tmp/x", **wrong)).startswith("ext.certificate.signature")


def test_rejects_certificate_that_is_not_an_object() -> None:
    assert failure(signed(ext={"certificate": "text"})) == "ext.certificate must be a JSON object"


def test_rejects_certificate_with_wrong_key() -> None:
    request = minted()
    certificate = json.loads(createTemporaryCredentials("alice", KEYS["alice"], NOW, NOW, ["scope:a"])["certificate"])
    assert failure(signed(ext={"certificate": certificate})) == "Unauthorized: Bad mac"
    assert identity(request).clientId == "alice"


def test_rejects_temporary_token_without_certificate() -> None:
    made = createTemporaryCredentials("alice", KEYS["alice"], NOW, NOW + timedelta(hours=1), [], name="tmp/x")
    key = made["accessToken"].decode()
    assert failure(signed("tmp/x", key=key)) == "Client with clientId 'tmp/x' not found"
    assert failure(signed("alice", key=key)) == "Unauthorized: Bad mac"


def test_rejects_certificate_issued_by_temporary_one() -> None:
    first = createTemporaryCredentials("alice", KEYS["alice"], NOW, NOW + timedelta(hours=1), ["scope:a"], name="tmp/x")
    second = createTemporaryCredentials("tmp/x", first["accessToken"], NOW, NOW + timedelta(hours=1), ["scope:a"])
    ext = {"certificate": json.loads(second["certificate"])}
    assert failure(signed("tmp/x", key=second["accessToken"].decode(), ext=ext)).endswith("not found")


# authorizedScopes


def test_authorized_scopes_restrict_client() -> None:
    found = identity(signed(ext={"authorizedScopes": ["scope:a"]}))
    assert found.scopes.scopes == ("assume:anonymous", "public:read", "scope:a")


def test_empty_authorized_scopes_leave_anonymous() -> None:
    assert identity(signed(ext={"authorizedScopes": []})).scopes.scopes == ("assume:anonymous", "public:read")


def test_authorized_scopes_may_name_anonymous_scopes() -> None:
    assert identity(signed(ext={"authorizedScopes": ["public:read"]})).granted == ("public:read",)


@pytest.mark.parametrize(
    ("scopes", "message"),
    [
        ("scope:a", "ext.authorizedScopes must be an array"),
        (["\x7f"], "ext.authorizedScopes must be an array of valid scopes"),
        (["scope:a", "b"], "Supplied credentials do not satisfy authorizedScopes; credentials have scopes:"),
    ],
)
def test_rejects_invalid_authorized_scopes(scopes: Any, message: str) -> None:
    assert failure(signed(ext={"authorizedScopes": scopes})).startswith(message)


def test_authorized_scopes_restrict_temporary_credentials() -> None:
    made = createTemporaryCredentials("alice", KEYS["alice"], NOW, NOW + timedelta(hours=1), ["scope:a*"])
    certificate = json.loads(made["certificate"])
    key = made["accessToken"].decode()
    allowed = signed(key=key, ext={"certificate": certificate, "authorizedScopes": ["scope:ab"]})
    assert identity(allowed).granted == ("scope:ab",)
    refused = signed(key=key, ext={"certificate": certificate, "authorizedScopes": ["scope:b"]})
    assert failure(refused).startswith("Supplied credentials do not satisfy")


# Signed URLs


def with_bewit(
    resource: str = "/api/x?a=1", *, expires: int = 1700000900, key: str = KEYS["alice"], ext: Any = None
) -> str:
    encoded = b64encode(json.dumps(ext).encode()).decode() if ext is not None else ""
    return Signer("alice", key.encode(), encoded).bewit(resource, HOST, PORT, expires)


def url(resource: str, method: str = "GET") -> SignedRequest:
    return SignedRequest(method, resource, HOST, PORT, None)


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("where", ["/api/x?a=1&bewit={}", "/api/x?bewit={}&a=1"])
def test_accepts_bewit_anywhere_in_query(where: str, method: str) -> None:
    assert identity(url(where.format(with_bewit()), method)).clientId == "alice"


def test_accepts_bewit_as_only_parameter() -> None:
    assert identity(url(f"/api/x?bewit={with_bewit('/api/x')}")).clientId == "alice"


def test_accepts_ext_in_bewit() -> None:
    bewit = with_bewit(ext={"authorizedScopes": ["scope:a"]})
    assert identity(url(f"/api/x?a=1&bewit={bewit}")).granted == ("scope:a",)


def test_rejects_expired_bewit() -> None:
    bewit = with_bewit(expires=4000000000)
    assert identity(url(f"/api/x?a=1&bewit={bewit}"), NOW + timedelta(days=365)).clientId == "alice"


@pytest.mark.parametrize(
    ("bewit", "message"),
    [
        (with_bewit(expires=1700000000), "Unauthorized: Access expired"),
        (with_bewit("/api/other"), "Unauthorized: Bad mac"),
        (with_bewit(key="wrong"), "Unauthorized: Bad mac"),
        ("", "Unauthorized: Empty bewit"),
        ("a+b", "Bad Request: Invalid bewit encoding"),
        ("YWJj=", "Bad Request: Invalid bewit encoding"),
        (encoded("a\\b\\c"), "Bad Request: Invalid bewit structure"),
        (encoded("a\\b\\c\\d\\e"), "Bad Request: Invalid bewit structure"),
        (encoded("alice\\\\mac\\"), "Bad Request: Missing bewit attributes"),
        (encoded("\\1700000900\\mac\\"), "Bad Request: Missing bewit attributes"),
        (encoded("absent\\1700000900\\mac\\"), "Client with clientId 'absent' not found"),
    ],
)
def test_rejects_invalid_bewit(bewit: str, message: str) -> None:
    assert failure(url(f"/api/x?a=1&bewit={bewit}")) == message


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_rejects_bewit_for_post(method: str) -> None:
    assert failure(url(f"/api/x?a=1&bewit={with_bewit()}", method)) == "Unauthorized: Invalid method"


def test_rejects_too_long_signed_url() -> None:
    path = "/api/" + "x" * 4096
    assert failure(url(f"{path}?bewit={with_bewit(path)}")) == "Bad Request: Resource path exceeds max length"


def test_rejects_header_with_bewit() -> None:
    request = replace(signed(), resource=f"{GET.resource}?bewit={BEWIT}")
    assert failure(request).startswith("Cannot use two authentication schemes at once")


# Host and port


@pytest.mark.parametrize(
    ("host", "port", "proto", "expected"),
    [
        ("TC.example.com", None, None, ("tc.example.com", "80")),
        ("tc.example.com:8080", None, None, ("tc.example.com", "8080")),
        ("tc.example.com:8080", "443", None, ("tc.example.com", "443")),
        ("tc.example.com:8080", "99", "https", ("tc.example.com", "99")),
        ("tc.example.com:8080", None, "https", ("tc.example.com", "443")),
        ("tc.example.com:8080", None, "http", ("tc.example.com", "8080")),
        ("[::1]:8080", None, None, ("[::1]", "8080")),
    ],
)
def test_host_and_port_from_headers(host: str, port: str | None, proto: str | None, expected: tuple[str, str]) -> None:
    assert address(host, port, proto) == expected


def test_records_use_of_issuing_client() -> None:
    directory = People(CLIENTS, {})
    authenticate(signed(), directory, NOW, NOW)
    authenticate(minted("tmp/x"), directory, NOW, NOW)
    authenticate(signed("issuer"), directory, NOW, NOW)
    with pytest.raises(ApiError, match="Bad mac"):
        authenticate(signed(key="wrong"), directory, NOW, NOW)
    assert directory.seen == ["alice", "alice", "issuer"]
