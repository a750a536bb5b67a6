"""Credentials: create temporary ones, and check the caller's and make their signer before any request is sent.

The auth service defines the format and the rules of certificates:
https://docs.taskcluster.net/docs/manual/design/apis/hawk/temporary-credentials
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import slugs
from .exceptions import TaskclusterFailure, unusable_credentials
from .options import CREDENTIALS, Credentials, listed_scopes
from .shapes import is_mapping
from .suggestions import near_misses
from .timestamps import stringDate

if TYPE_CHECKING:
    from .hawk import Signer

__all__ = ["CheckedSigner", "createTemporaryCredentials", "isExpired", "signer", "unknown_credentials"]


def __dir__() -> list[str]:
    return __all__


_LONGEST = datetime.timedelta(days=31)
_DRIFT = 5 * 60
"""Seconds of clock drift that the auth service allows at both ends of a certificate."""
_RENEW_BEFORE = 20 * 60
"""Seconds before expiry at which isExpired already returns True."""
_NO_EXT = b64encode(b"{}")
_LATEST = 253402300799000
"""The end of the year 9999 in milliseconds, the last date of Python."""
_CERTIFICATE_KEYS = ("version", "seed", "start", "expiry", "scopes", "signature")


def createTemporaryCredentials(
    clientId: str | bytes,
    accessToken: str | bytes,
    start: datetime.datetime,
    expiry: datetime.datetime,
    scopes: Iterable[str],
    name: str | bytes | None = None,
) -> dict[str, Any]:
    """Return temporary credentials, made without a request.

    Args:
        clientId: Of the issuing credentials, which must be permanent.
        accessToken: Of the issuing credentials.
        start: When they become valid. The auth service allows for clock drift, so add none.
        expiry: When they expire, at most 31 days after `start`. Dates without a time zone are in UTC.
        scopes: Their scopes, which the issuer must have.
        name: The clientId of the temporary credentials. The issuer then needs `auth:create-client:<name>`.

    Returns:
        A dict for the option `credentials`: clientId, accessToken (bytes) and certificate (a JSON string). Its repr
        hides both secrets.

    Raises:
        TaskclusterFailure: The arguments are invalid.
    """
    dates: dict[str, Any] = {"start": start, "expiry": expiry}
    for argument, value in dates.items():
        if not isinstance(value, datetime.datetime):
            raise TaskclusterFailure(f"createTemporaryCredentials: {argument} must be a datetime, not {value!r}")
    listed = listed_scopes("createTemporaryCredentials: scopes", scopes)
    start_ms, expiry_ms = _milliseconds(start), _milliseconds(expiry)
    if expiry_ms < start_ms:
        raise TaskclusterFailure("createTemporaryCredentials: expiry is before start")
    if expiry_ms - start_ms > _LONGEST / datetime.timedelta(milliseconds=1):
        raise TaskclusterFailure("createTemporaryCredentials: only 31 days are allowed between start and expiry")
    issuer = _ascii("clientId", clientId)
    acting = _ascii("name", name) if name else None
    if acting == issuer:
        raise TaskclusterFailure("createTemporaryCredentials: name must differ from the issuing clientId")
    key = _ascii("accessToken", accessToken).encode()
    seed = slugs.slugId() + slugs.slugId()
    named = [f"clientId:{acting}", f"issuer:{issuer}"] if acting else []
    signed = [
        "version:1",
        *named,
        f"seed:{seed}",
        f"start:{start_ms}",
        f"expiry:{expiry_ms}",
        "scopes:",
        *listed,
    ]
    certificate = {
        "version": 1,
        "scopes": listed,
        "start": start_ms,
        "expiry": expiry_ms,
        "seed": seed,
        **({"issuer": issuer} if acting else {}),
        "signature": b64encode(_hmac(key, "\n".join(signed))).decode("ascii"),
    }
    return Credentials.copy_of(
        {
            "clientId": acting or issuer,
            "accessToken": urlsafe_b64encode(_hmac(key, seed)).rstrip(b"="),
            "certificate": json.dumps(certificate, separators=(",", ":")),
        }
    )


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _unix_time(date: datetime.datetime) -> float:
    # Dates without a time zone are in UTC everywhere in Taskcluster, and in local time in Python.
    return (date.replace(tzinfo=datetime.timezone.utc) if date.tzinfo is None else date).timestamp()


def _milliseconds(date: datetime.datetime) -> int:
    return int(_unix_time(date)) * 1000


def _ascii(argument: str, value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str) or not text or not text.isascii():
        # The value is not shown: it may be the access token.
        raise TaskclusterFailure(
            f"createTemporaryCredentials: {argument} must be text or bytes, of ASCII characters and not empty"
        )
    return text


def isExpired(certificate: str | bytes | Mapping[str, Any], now: datetime.datetime | None = None) -> bool:
    """Return whether a certificate has expired, or expires within 20 minutes and should be renewed.

    Args:
        certificate: A JSON string or a mapping.
        now: The time to compare with, in UTC if it has no time zone. Defaults to the current time.
    """
    when = datetime.datetime.now(datetime.timezone.utc) if now is None else now
    return bool(_parsed(certificate)["expiry"] < (_unix_time(when) + _RENEW_BEFORE) * 1000)


def _parsed(certificate: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(certificate, Mapping):
        return certificate
    try:
        parsed: Any = json.loads(certificate)
    except (TypeError, ValueError):
        parsed = None
    if not is_mapping(parsed):
        raise unusable_credentials("the certificate of the credentials is not a JSON object")
    return parsed


class CheckedSigner:
    """A Signer, and the time in which its credentials are valid (Unix time in seconds)."""

    __slots__ = ("_expiry", "_signer", "_start")

    def __init__(self, signer: Signer, start: float | None = None, expiry: float | None = None) -> None:
        self._signer = signer
        self._start = start
        self._expiry = expiry

    @property
    def ext(self) -> bytes:
        """The certificate and the authorized scopes as base64 of JSON."""
        return self._signer.ext.encode("ascii") or _NO_EXT

    def content_hash(self, body: bytes | None) -> str:
        """Return the hash of a JSON body, or of no body, for the Signer's header."""
        return self._signer.content_hash(body)

    def at(self, now: float) -> Signer:
        """Return the Signer; raise TaskclusterAuthFailure if the credentials are not valid at `now`."""
        if self._expiry is not None and now > self._expiry + _DRIFT:
            raise unusable_credentials(f"the temporary credentials expired at {_date(self._expiry)}; get new ones")
        if self._start is not None and now < self._start - _DRIFT:
            raise unusable_credentials(f"the temporary credentials are not valid before {_date(self._start)}")
        return self._signer


def _date(seconds: float) -> str:
    return stringDate(datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc))


def unknown_credentials(credentials: Any) -> str | None:
    """Return the warning about credentials that have keys but no known one, or None."""
    if not is_mapping(credentials) or not credentials or any(name in credentials for name in CREDENTIALS):
        return None
    return (
        f"calls are sent without authentication, because the credentials have no {' or '.join(CREDENTIALS)}"
        f"{near_misses(credentials, CREDENTIALS)}"
    )


def signer(credentials: Any, authorized_scopes: Sequence[str] | None) -> CheckedSigner | None:
    """Return the signer for the credentials in a client's options, or None if there are none.

    Raises:
        TaskclusterAuthFailure: They are partial or malformed.
        TaskclusterFailure: The authorized scopes are not a list of scopes.
    """
    if not credentials:
        return None
    if not is_mapping(credentials):
        raise unusable_credentials(
            f"credentials must be a mapping with clientId and accessToken, not {type(credentials).__name__}"
        )
    given = Credentials(credentials)
    present = [name for name in CREDENTIALS if given.get(name)]
    if not present:
        return None
    absent = [name for name in ("clientId", "accessToken") if name not in present]
    if absent:
        raise unusable_credentials(
            f"credentials are partial: {', '.join(present)} given, {', '.join(absent)} missing"
            f"{near_misses(given.keys() - {*CREDENTIALS}, absent)}"
        )
    for name in present:
        value = given[name]
        if not isinstance(value, bytes):
            # A mock.
            raise unusable_credentials(f"credentials: {name} must be a string or bytes, not {type(value).__name__}")
        if not value.isascii():
            raise unusable_credentials(f"credentials: {name} contains characters that are not ASCII")
    ext: dict[str, Any] = {}
    start = expiry = None
    if given.get("certificate"):
        certificate = _parsed(given["certificate"])
        lacking = [key for key in _CERTIFICATE_KEYS if key not in certificate]
        if lacking:
            raise unusable_credentials(f"the certificate of the credentials lacks {', '.join(lacking)}")
        if isinstance(certificate["version"], bool) or certificate["version"] != 1:
            raise unusable_credentials("the certificate of the credentials has a version other than 1")
        try:
            listed_scopes("the scopes", certificate["scopes"])
        except TaskclusterFailure as exc:
            raise unusable_credentials(f"the certificate of the credentials is malformed: {exc}") from None
        start, expiry = _seconds(certificate, "start"), _seconds(certificate, "expiry")
        ext["certificate"] = certificate
    if authorized_scopes is not None:
        ext["authorizedScopes"] = listed_scopes("the option authorizedScopes", authorized_scopes)
    from .hawk import Signer

    encoded = b64encode(json.dumps(ext, separators=(",", ":")).encode()).decode("ascii") if ext else ""
    return CheckedSigner(Signer(given["clientId"].decode("ascii"), given["accessToken"], encoded), start, expiry)


def _seconds(certificate: Mapping[str, Any], key: str) -> float:
    value = certificate[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise unusable_credentials(f"the certificate of the credentials has a {key} that is not a date in milliseconds")
    return value / 1000
