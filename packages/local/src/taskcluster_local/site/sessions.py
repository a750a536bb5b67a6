"""Sessions of people who have signed in, and the tokens of their forms.

The cookie has a random id. It alone is not enough for a request that changes something: the form has a token derived
from the id with a key that never leaves the deployment, and the browser names the origin of the form's page.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from taskcluster.exceptions import TaskclusterFailure
from taskcluster.hawk import EMPTY_PAYLOAD_HASH, Signer, new_nonce

from ..authentication import Directory, Identity, SignedRequest, authenticate
from ..errors import ApiError

__all__ = ["PageCredentials", "Sessions", "identity_of"]

_MOST_SESSIONS = 1000
_MOST_CODES = 100
_SECONDS = 12 * 3600
_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PageCredentials:
    """The credentials of someone who has signed in."""

    clientId: str
    accessToken: str = field(repr=False)
    certificate: str | None = field(default=None, repr=False)


def identity_of(
    credentials: PageCredentials | None, directory: Directory, now: datetime, received: datetime
) -> Identity:
    """Return the caller with these credentials, authenticated as if it had sent a request; None for an anonymous one.

    Args:
        credentials: The credentials.
        directory: The clients and roles.
        now: The deployment's time.
        received: The time by which clients sign requests.

    Raises:
        ApiError: The credentials are invalid or have expired (AuthenticationFailed).
    """
    if credentials is None:
        return authenticate(SignedRequest("GET", "/", "localhost", "80", None), directory, now, received)
    try:
        certificate: Any = json.loads(credentials.certificate) if credentials.certificate else None
    except (ValueError, RecursionError):
        raise ApiError("AuthenticationFailed", "The certificate is not JSON.") from None
    ext = b64encode(json.dumps({"certificate": certificate}).encode()).decode("ascii") if certificate else ""
    try:
        signer = Signer(credentials.clientId, credentials.accessToken.encode(errors="surrogatepass"), ext)
        nonce = new_nonce()
        header = signer.header("GET", "/", "localhost", "80", EMPTY_PAYLOAD_HASH, received.timestamp(), nonce)
    except TaskclusterFailure:
        raise ApiError("AuthenticationFailed", "The client id has characters that are not allowed.") from None
    return authenticate(SignedRequest("GET", "/", "localhost", "80", header), directory, now, received)


class Sessions:
    """The sessions of a server, in memory. They outlive a reset of the deployment, because credentials do.

    Args:
        root_url: The root URL. Its port is part of the cookie's name, because browsers do not separate the cookies of
            several deployments on one machine.
    """

    def __init__(self, root_url: str) -> None:
        self.cookie = f"taskcluster-local-{urlsplit(root_url).port or 80}"
        self._key = secrets.token_bytes(32)
        self._open: OrderedDict[str, tuple[PageCredentials, float]] = OrderedDict()
        self._codes: OrderedDict[str, PageCredentials] = OrderedDict()

    def id_in(self, headers: Mapping[str, str]) -> str | None:
        """Return the id in the cookies of a request, if there is one."""
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.cookie and _ID.fullmatch(value):
                return value
        return None

    def new_id(self) -> str:
        """Return an id for a browser that has none."""
        return secrets.token_urlsafe(32)

    def token(self, session_id: str) -> str:
        """Return the token of the session's forms."""
        return hmac.new(self._key, session_id.encode(), "sha256").hexdigest()

    def is_from_form(self, session_id: str | None, token: str, headers: Mapping[str, str]) -> bool:
        """Return whether a request comes from a form of this session's pages."""
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower():
            return False
        return session_id is not None and hmac.compare_digest(self.token(session_id).encode(), token.encode())

    def new_code(self, credentials: PageCredentials) -> str:
        """Return a code with which someone can sign in once, instead of the credentials."""
        code = self.new_id()
        self._codes[code] = credentials
        while len(self._codes) > _MOST_CODES:
            self._codes.popitem(last=False)
        return code

    def has_code(self, code: str) -> bool:
        """Return whether a code can still be used."""
        return code in self._codes

    def use_code(self, code: str) -> PageCredentials | None:
        """Return the credentials of a code, and forget it; None if it is unknown or was used."""
        return self._codes.pop(code, None)

    def sign_in(self, credentials: PageCredentials) -> str:
        """Open a session and return its new id."""
        session_id = self.new_id()
        self._open[session_id] = (credentials, time.monotonic() + _SECONDS)
        while len(self._open) > _MOST_SESSIONS:
            self._open.popitem(last=False)
        return session_id

    def sign_out(self, session_id: str | None) -> None:
        """Forget the credentials of a session."""
        self._open.pop(session_id or "", None)

    def credentials(self, session_id: str | None) -> PageCredentials | None:
        """Return the credentials of a session, or None."""
        found = self._open.get(session_id or "")
        if found is None:
            return None
        credentials, until = found
        if until < time.monotonic():
            self.sign_out(session_id)
            return None
        return credentials
