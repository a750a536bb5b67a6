"""Hawk signatures: known ones, and others that mohawk verifies."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import Any

import mohawk
import mohawk.bewit
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskcluster.credentials import signer
from taskcluster.exceptions import TaskclusterAuthFailure
from taskcluster.hawk import EMPTY_PAYLOAD_HASH, Signer, new_nonce, payload_hash

NOW = 1700000000
NONCE = "abcdef"
HOST, PORT = "tc.example.com", "443"
BODY = b'{"clientScopes": ["test:*"], "requiredScopes": ["test:a"]}'
BODY_HASH = "t0XiKzer5EAVTaf2UmSN7sB+t/khR4ONCSKJ+7TMgF0="
GET = "/api/auth/v1/test-authenticate-get/"
SIGNER = Signer("tester", b"no-secret", "")


def attributes(header: str) -> dict[str, str]:
    scheme, _, rest = header.partition(" ")
    assert scheme == "Hawk"
    return dict(re.findall(r'(\w+)="([^"]*)"', rest))


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON "])
def test_payload_hash_covers_media_type_and_exact_bytes(content_type: str) -> None:
    assert payload_hash(BODY, content_type) == BODY_HASH
    assert payload_hash(BODY + b" ", content_type) != BODY_HASH


def test_the_hash_of_no_payload() -> None:
    assert EMPTY_PAYLOAD_HASH == "B0weSUXsMcb5UhL41FZbrUJCAotzSI3HawE1NPLRUz8="


def test_signer_hashes_a_body_as_json() -> None:
    assert SIGNER.content_hash(BODY) == BODY_HASH
    assert SIGNER.content_hash(b"") == payload_hash(b"", "application/json")
    assert SIGNER.content_hash(None) == EMPTY_PAYLOAD_HASH
    checked = signer({"clientId": "tester", "accessToken": "no-secret"}, None)
    assert checked is not None
    assert checked.content_hash(BODY) == BODY_HASH


def test_accepts_the_client_ids_that_mohawk_accepts() -> None:
    for client_id in (f"a{chr(code)}b" for code in range(256)):
        try:
            mohawk.util.validate_header_attr(client_id)
        except mohawk.exc.BadHeaderValue:
            with pytest.raises(TaskclusterAuthFailure, match="invalid in a header"):
                Signer(client_id, b"no-secret", "")
        else:
            header = Signer(client_id, b"no-secret", "").header("GET", GET, HOST, PORT, BODY_HASH, NOW, NONCE)
            assert attributes(header)["id"] == client_id


def test_the_signature_of_a_known_post() -> None:
    header = SIGNER.header("POST", "/api/auth/v1/test-authenticate", HOST, PORT, BODY_HASH, NOW, NONCE)
    assert attributes(header) == {
        "id": "tester",
        "ts": str(NOW),
        "nonce": NONCE,
        "hash": BODY_HASH,
        "mac": "6HBvOBhMDciRlkXaMAaJqPPill8/NavOAkZOyjErsJw=",
    }


def test_the_signature_of_a_known_get() -> None:
    header = SIGNER.header("GET", GET, HOST, PORT, "", NOW, NONCE)
    assert attributes(header)["mac"] == "H0CaN/+nkx8pY957h9Yr7qhDCxyETnuHNOWK/im/zuM="


def test_a_known_bewit() -> None:
    assert SIGNER.bewit(GET, HOST, PORT, NOW + 900) == (
        "dGVzdGVyXDE3MDAwMDA5MDBcWnhoeXp5WDB4bW50dHViT0pUaUVlRTBWRGlBTzN0QmNna2QwYWdzMFlXOD1c"
    )


def test_header_has_no_fraction_of_a_second() -> None:
    assert SIGNER.header("GET", GET, HOST, PORT, "", NOW + 0.9, NONCE) == SIGNER.header(
        "GET", GET, HOST, PORT, "", NOW, NONCE
    )


def receive(header: str, url: str, method: str, key: str = "no-secret", **content: Any) -> mohawk.Receiver:
    known = {"id": "tester", "key": key, "algorithm": "sha256"}
    return mohawk.Receiver(
        lambda _: known, header, url, method, seen_nonce=lambda *_: False, timestamp_skew_in_seconds=10**11, **content
    )


@given(
    target=st.from_regex(r"/[A-Za-z0-9/%~._-]{0,20}(\?[a-z]=[A-Za-z0-9%~._-]{0,9})?", fullmatch=True),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    body=st.binary(max_size=20),
    ext=st.from_regex(r"[A-Za-z0-9+/]{0,20}={0,2}", fullmatch=True),
    key=st.text("abcXYZ012-_", min_size=1, max_size=200),
)
@example("/", "GET", b"", "", "k" * 64)
@example("/", "GET", b"", "", "k" * 65)
def test_mohawk_accepts_every_header(target: str, method: str, body: bytes, ext: str, key: str) -> None:
    signer = Signer("tester", key.encode(), ext)
    content_hash = payload_hash(body, "application/json")
    header = signer.header(method, target, HOST, PORT, content_hash, NOW, new_nonce())
    url = f"https://{HOST}{target}"
    received = receive(header, url, method, key=key, content=body, content_type="application/json")
    assert received.resource.ext == (ext or None)


@pytest.mark.parametrize(
    ("url", "method", "body"),
    [
        ("https://tc.example.com/api/x", "POST", b"{}"),
        ("https://tc.example.com:444/api/y", "POST", b"{}"),
        ("https://other.example.com/api/y", "POST", b"{}"),
        ("https://tc.example.com/api/y", "PUT", b"{}"),
        ("https://tc.example.com/api/y", "POST", b"[]"),
    ],
)
def test_mohawk_rejects_a_changed_request(url: str, method: str, body: bytes) -> None:
    content_hash = payload_hash(b"{}", "application/json")
    header = SIGNER.header("POST", "/api/y", HOST, PORT, content_hash, NOW, NONCE)
    receive(header, "https://tc.example.com/api/y", "POST", content=b"{}", content_type="application/json")
    with pytest.raises(mohawk.exc.HawkFail):
        receive(header, url, method, content=body, content_type="application/json")


def test_mohawk_accepts_a_bewit_with_an_ext_until_it_ends() -> None:
    bewit = Signer("tester", b"no-secret", "eyJhIjoxfQ==").bewit("/api/x?y=1", HOST, PORT, NOW + 900)
    known = {"id": "tester", "key": "no-secret", "algorithm": "sha256"}
    url = f"https://{HOST}/api/x?y=1&bewit={bewit}"
    assert mohawk.bewit.check_bewit(url, lambda _: known, now=NOW)
    with pytest.raises(mohawk.exc.TokenExpired):
        mohawk.bewit.check_bewit(url, lambda _: known, now=NOW + 901)
    with pytest.raises(mohawk.exc.MacMismatch):
        mohawk.bewit.check_bewit(url.replace("y=1", "y=2"), lambda _: known, now=NOW)


def test_a_bewit_needs_no_padding_and_no_quoting() -> None:
    for length in range(1, 5):
        bewit = Signer("i" * length, b"k", "").bewit("/", HOST, PORT, NOW)
        assert re.fullmatch(r"[A-Za-z0-9_-]+", bewit)
        decoded = urlsafe_b64decode(bewit + "=" * (-len(bewit) % 4)).decode()
        assert decoded.split("\\")[:2] == ["i" * length, str(NOW)]


@pytest.mark.parametrize("client_id", ['a"b', "a\\b", "a\nb", "ä"])
def test_raises_for_a_client_id_invalid_in_a_header(client_id: str) -> None:
    with pytest.raises(TaskclusterAuthFailure, match="clientId"):
        Signer(client_id, b"k", "")


def test_raises_for_a_header_that_is_too_long() -> None:
    short = Signer("tester", b"no-secret", "x" * 3800).header("GET", "/", HOST, PORT, "", NOW, NONCE)
    assert len(short) <= 4096
    with pytest.raises(TaskclusterAuthFailure, match="fewer scopes"):
        Signer("tester", b"no-secret", "x" * 4096).header("GET", "/", HOST, PORT, "", NOW, NONCE)


def test_nonces_differ() -> None:
    assert len({new_nonce() for _ in range(50)}) == 50


def test_a_signer_shows_its_client_id_and_no_key() -> None:
    assert repr(Signer("tester", b"no-secret", "ZXh0")) == "<Signer for 'tester'>"
