"""The options of a client: what is known, what is wrong, and a repr that shows no secret."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from .exceptions import TaskclusterAuthFailure, TaskclusterFailure
from .redacted import ClientOptions, Redacted
from .shapes import is_mapping
from .suggestions import did_you_mean

__all__ = [
    "DEFAULT_TIMEOUT",
    "MAX_RESPONSE_SIZE",
    "Credentials",
    "EventsOptions",
    "Options",
    "listed_scopes",
    "normal_root_url",
    "timeouts",
]

DEFAULT_TIMEOUT = (30.0, 60.0)
"""Connect and read time-outs in seconds. claimWork is answered after up to 20 s of silence."""

MAX_RESPONSE_SIZE = 2**30
"""Bytes that the body of a call's response may have, when decompressed."""

_DEFAULTS: dict[str, Any] = {
    "maxRetries": 5,
    "signedUrlExpiration": 900,
    "delayFactor": 0.1,
    "randomizationFactor": 0.25,
    "maxDelay": 30.0,
    "maxResponseSize": MAX_RESPONSE_SIZE,
}
_KNOWN = frozenset({"rootUrl", "credentials", "authorizedScopes", "timeout", "userAgentSuffix", "validate", *_DEFAULTS})
_BOOL_OR_NONE = (bool, type(None))
_printable = re.compile("[ -~]*").fullmatch
"""Matches what scopes and headers may hold."""
_LARGEST = sys.float_info.max
"""Below infinity, and no whole number above it becomes a float."""


class Credentials(Redacted):
    """`clientId`, `accessToken` and `certificate` as bytes, each None where it was not given."""

    _shown = frozenset({"clientId"})

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        super().__init__(clientId=None, accessToken=None, certificate=None)
        for name in self:
            value = given.get(name) if given else None
            if value is not None:
                self[name] = _as_bytes(name, value)


def _as_bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes) and value.isascii():
        return value
    if isinstance(value, bytes):
        raise TaskclusterAuthFailure(f"credentials: {name} holds bytes that are not ASCII")
    if name == "certificate" and is_mapping(value):
        value = json.dumps(dict(value), separators=(",", ":"))
    if not isinstance(value, str):
        wanted = "text, bytes or a mapping" if name == "certificate" else "text or bytes"
        raise TaskclusterAuthFailure(f"credentials: {name} must be {wanted}, not {type(value).__name__}")
    try:
        return value.encode("ascii")
    except UnicodeEncodeError:
        raise TaskclusterAuthFailure(f"credentials: {name} holds characters that are not ASCII") from None


class Options(ClientOptions):
    """A client's options: a plain mutable dict, read at each call.

    Args:
        given: The caller's options; copied, never changed.
        **more: Options by keyword, over those of `given`.

    The names: `rootUrl` (required), `credentials`, `authorizedScopes`, `maxRetries`, `signedUrlExpiration` (seconds),
    `timeout` (seconds, one number or connect and read), `delayFactor` and `maxDelay` (seconds),
    `randomizationFactor`, `maxResponseSize` (bytes of a response when decompressed), `userAgentSuffix`, `validate`
    (check payloads against the API's schemas before sending; defaults to whether TASKCLUSTER_VALIDATE=1 is set).

    Raises:
        TaskclusterFailure: An option is unknown, missing or malformed.
        TaskclusterAuthFailure: The credentials are of a wrong type.
    """

    _known: ClassVar[frozenset[str]] = _KNOWN

    def __init__(self, given: Mapping[str, Any] | None = None, **more: Any) -> None:
        wanted = {**(given or {}), **more}
        if "baseUrl" in wanted:
            raise TaskclusterFailure(
                "the option baseUrl is gone: pass rootUrl, the deployment's address without a path"
            )
        if not wanted.keys() <= self._known:
            unknown = next(name for name in wanted if name not in self._known)
            raise TaskclusterFailure(f"unknown option {unknown!r}{did_you_mean(str(unknown), self._known)}")
        super().__init__(_DEFAULTS)
        self.update(wanted)
        for name in _DEFAULTS.keys() & wanted.keys():
            # None means the default, where there is one.
            if wanted[name] is None:
                self[name] = _DEFAULTS[name]
            else:
                _check_number(name, wanted[name])
        self["rootUrl"] = normal_root_url(wanted.get("rootUrl"))
        credentials = wanted.get("credentials")
        if credentials is not None and not is_mapping(credentials):
            raise TaskclusterAuthFailure(
                f"credentials must be a mapping with clientId and accessToken, not {type(credentials).__name__}"
            )
        self["credentials"] = Credentials(credentials)
        if credentials and not any(name in self["credentials"] for name in credentials):
            name = str(next(iter(credentials)))
            raise TaskclusterAuthFailure(
                f"credentials have no clientId, accessToken or certificate, but {name!r}"
                f"{did_you_mean(name, self['credentials'])}"
            )
        if wanted.get("authorizedScopes") is not None:
            self["authorizedScopes"] = listed_scopes("the option authorizedScopes", wanted["authorizedScopes"])
        if wanted.get("timeout") is not None:
            timeouts(wanted["timeout"])
        suffix = wanted.get("userAgentSuffix")
        if suffix is not None and not (isinstance(suffix, str) and _printable(suffix)):
            raise TaskclusterFailure(
                f"the option userAgentSuffix must be text of printable ASCII characters, not {suffix!r}"
            )
        if not isinstance(wanted.get("validate", False), _BOOL_OR_NONE):
            raise TaskclusterFailure(f"the option validate must be True or False, not {wanted['validate']!r}")


class EventsOptions(Options):
    """The options of an events class: those of every client, and `exchangePrefix`, which its exchanges begin with."""

    _known = _KNOWN | {"exchangePrefix"}

    def __init__(self, given: Mapping[str, Any] | None = None, **more: Any) -> None:
        super().__init__(given, **more)
        prefix = self.get("exchangePrefix")
        if not isinstance(prefix, str | None):
            raise TaskclusterFailure(
                "the option exchangePrefix must be text, such as 'exchange/taskcluster-queue/v1/', not "
                f"{type(prefix).__name__}"
            )


def normal_root_url(root_url: Any) -> str:
    """Return the root URL without its trailing slashes; raise TaskclusterFailure where it is no root URL."""
    if not root_url:
        raise TaskclusterFailure(
            "the option rootUrl is required: the deployment's address, such as 'https://tc.example.com' "
            "(optionsFromEnvironment() reads it from TASKCLUSTER_ROOT_URL)"
        )
    if not isinstance(root_url, str):
        raise TaskclusterFailure(f"the option rootUrl must be text, not {type(root_url).__name__}")
    if not _is_root_url(root_url):
        raise TaskclusterFailure(f"the option rootUrl must be an http or https address, not {root_url!r}")
    return root_url.rstrip("/")


@functools.lru_cache(maxsize=256)
def _is_root_url(text: str) -> bool:
    # urlsplit takes out some white space by itself, and so would not see it.
    if "?" in text or "#" in text or any(character.isspace() or character < " " for character in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        # Half of a pair of brackets, or none of an address between them.
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def timeouts(timeout: Any) -> tuple[float, float]:
    """Return connect and read time-outs, in seconds, of the option `timeout`; None means the default."""
    if timeout is None:
        return DEFAULT_TIMEOUT
    match timeout:
        case int() | float() if 0 < timeout <= _LARGEST:
            return (float(timeout), float(timeout))
        case [int() | float() as connect, int() | float() as read] if 0 < connect <= _LARGEST and 0 < read <= _LARGEST:
            return (float(connect), float(read))
        case _:
            raise TaskclusterFailure(
                f"the option timeout must be seconds above 0, and finite, or a pair (connect, read): {timeout!r}"
            )


def _check_number(name: str, value: Any) -> None:
    wanted = int if name in ("maxRetries", "maxResponseSize") else (int, float)
    # Above 1 it would randomize delays to less than none.
    largest = 1 if name == "randomizationFactor" else _LARGEST
    if not isinstance(value, wanted) or not 0 <= value <= largest:
        whole = "a whole number, not negative"
        what = {"maxRetries": whole, "maxResponseSize": whole, "randomizationFactor": "a number from 0 to 1"}
        raise TaskclusterFailure(
            f"the option {name} must be {what.get(name, 'a finite number, not negative')}: {value!r}"
        )


def listed_scopes(what: str, scopes: Any) -> list[str]:
    """Return scopes as a list of our own; raise TaskclusterFailure where they are none that a deployment takes.

    Args:
        what: What they are, for the error.
        scopes: Any collection of texts.
    """
    if not isinstance(scopes, str | bytes | Mapping):
        try:
            listed: list[Any] = list(scopes)
        except TypeError:
            listed = [scopes]
        if all(isinstance(scope, str) and _printable(scope) for scope in listed):
            return listed
    raise TaskclusterFailure(f"{what} must be a list of scopes, each a text of printable ASCII characters")
