"""Hawk signatures of requests: the Authorization header, and bewits for signed URLs.

mohawk parses content types and checks header values and lengths. Its Sender is not used because it writes each request,
with credentials and payload, to the debug log. It takes 10 ms to import, so values that are
obviously valid are not passed to it.
"""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64encode, urlsafe_b64encode
from binascii import b2a_base64

from .exceptions import unusable_credentials

__all__ = ["EMPTY_PAYLOAD_HASH", "Signer", "new_nonce", "payload_hash"]

_is_plain = re.compile("[A-Za-z0-9_./:@|-]*").fullmatch
"""Matches nearly all client ids. mohawk accepts more characters."""
_SHORT = 1024
"""Headers of this length are always accepted."""


def new_nonce() -> str:
    """Return a fresh nonce."""
    return b2a_base64(os.urandom(6), newline=False).decode("ascii")


def payload_hash(body: bytes, content_type: str) -> str:
    """Return Hawk's hash of a request body, which the signature covers."""
    digest = hashlib.sha256(f"hawk.1.payload\n{_media_type(content_type)}\n".encode())
    digest.update(body)
    digest.update(b"\n")
    return b64encode(digest.digest()).decode("ascii")


def _media_type(content_type: str) -> str:
    if content_type in ("", "application/json"):
        return content_type
    from mohawk.util import (  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
        parse_content_type,  # pyright: ignore[reportUnknownVariableType]
    )

    media_type: str = parse_content_type(content_type)
    return media_type


EMPTY_PAYLOAD_HASH = payload_hash(b"", "")


class Signer:
    """Signs for one set of credentials.

    Args:
        client_id: The Hawk id.
        key: The access token.
        ext: Taskcluster's extension (certificate, authorizedScopes) as base64; empty if there is none.
    """

    __slots__ = ("_ext", "_id", "_inner", "_outer")

    def __init__(self, client_id: str, key: bytes, ext: str) -> None:
        if not _is_plain(client_id):
            _check_header_value(client_id)
        self._id = client_id
        # HMAC (RFC 2104) with two keyed hashes, copied for each signature. Copying an object of the module hmac takes
        # twice as long, and keying one for each signature even longer.
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._ext = ext

    @property
    def ext(self) -> str:
        """Taskcluster's extension as base64; empty if there is none."""
        return self._ext

    def __repr__(self) -> str:
        return f"<Signer for {self._id!r}>"

    def content_hash(self, body: bytes | None) -> str:
        """Return the hash of a JSON body, or of no body, for `header`."""
        return EMPTY_PAYLOAD_HASH if body is None else payload_hash(body, "application/json")

    def header(self, method: str, name: str, host: str, port: str, content_hash: str, now: float, nonce: str) -> str:
        """Return the Authorization header of one attempt.

        Args:
            method: The HTTP verb.
            name: Path and query, exactly as sent.
            host: As in the Host header, without the port.
            port: The port, even if it is the scheme's default.
            content_hash: As `content_hash` returns it.
            now: Unix time in seconds.
            nonce: Fresh for each attempt.

        Raises:
            TaskclusterAuthFailure: The header would be longer than Taskcluster accepts.
        """
        timestamp = str(int(now))
        mac = self._mac(
            f"hawk.1.header\n{timestamp}\n{nonce}\n{method}\n{name}\n{host}\n{port}\n{content_hash}\n{self._ext}\n"
        )
        ext = f', ext="{self._ext}"' if self._ext else ""
        header = f'Hawk id="{self._id}", ts="{timestamp}", nonce="{nonce}", hash="{content_hash}"{ext}, mac="{mac}"'
        if len(header) > _SHORT:
            _check_length(header)
        return header

    def bewit(self, name: str, host: str, port: str, expires: int) -> str:
        """Return the bewit that allows anyone to GET `name` until `expires`, in seconds of Unix time."""
        mac = self._mac(f"hawk.1.bewit\n{expires}\n\nGET\n{name}\n{host}\n{port}\n\n{self._ext}\n")
        text = f"{self._id}\\{expires}\\{mac}\\{self._ext}"
        return urlsafe_b64encode(text.encode("ascii")).rstrip(b"=").decode("ascii")

    def _mac(self, normalised: str) -> str:
        # Hawk's normalised request has a line for each part, and one at the end for the ext, which may be empty.
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(normalised.encode())
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False).decode("ascii")


def _check_header_value(client_id: str) -> None:
    from mohawk.exc import BadHeaderValue  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    from mohawk.util import (  # pyright: ignore[reportMissingTypeStubs]
        prepare_header_val,  # pyright: ignore[reportUnknownVariableType]
    )

    try:
        prepare_header_val(client_id)
    except BadHeaderValue:
        raise unusable_credentials(
            f"the clientId {client_id!r} contains characters that are invalid in a header"
        ) from None


def _check_length(header: str) -> None:
    from mohawk.util import MAX_LENGTH  # pyright: ignore[reportMissingTypeStubs]

    if len(header) > MAX_LENGTH:
        raise unusable_credentials(
            f"the Authorization header would have {len(header)} characters, and Taskcluster rejects more than "
            f"{MAX_LENGTH}: use a certificate or authorizedScopes with fewer scopes"
        )
