"""The options of a client: what is known, what is wrong, and a repr that shows no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .exceptions import TaskclusterAuthFailure, TaskclusterFailure
from .shapes import is_mapping
from .suggestions import did_you_mean

__all__ = ["DEFAULT_TIMEOUT", "Credentials", "Options", "normal_root_url", "timeouts"]

DEFAULT_TIMEOUT = (30.0, 60.0)
"""Connect and read time-outs in seconds. claimWork is answered after up to 20 s of silence."""

_DEFAULTS: dict[str, Any] = {
    "maxRetries": 5,
    "signedUrlExpiration": 900,
    "delayFactor": 0.1,
    "randomizationFactor": 0.25,
    "maxDelay": 30.0,
}
_KNOWN = frozenset({"rootUrl", "credentials", "authorizedScopes", "timeout", "userAgentSuffix", "validate", *_DEFAULTS})
_SECRETS = ("accessToken", "certificate")
_BOOL_OR_NONE = (bool, type(None))


class Credentials(dict[str, Any]):
    """`clientId`, `accessToken` and `certificate` as bytes, each None where it was not given."""

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        super().__init__(clientId=None, accessToken=None, certificate=None)
        for name in self:
            value = given.get(name) if given else None
            if value is not None:
                self[name] = _as_bytes(name, value)

    def __repr__(self) -> str:
        shown = {name: "…" if name in _SECRETS and value is not None else value for name, value in self.items()}
        return f"{type(self).__name__}({shown!r})"


def _as_bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if name == "certificate" and is_mapping(value):
        value = json.dumps(dict(value), separators=(",", ":"))
    if not isinstance(value, str):
        wanted = "text, bytes or a mapping" if name == "certificate" else "text or bytes"
        raise TaskclusterAuthFailure(f"credentials: {name} must be {wanted}, not {type(value).__name__}")
    try:
        return value.encode("ascii")
    except UnicodeEncodeError:
        raise TaskclusterAuthFailure(f"credentials: {name} holds characters that are not ASCII") from None


class Options(dict[str, Any]):
    """A client's options: a plain mutable dict, read at each call.

    Args:
        given: The caller's options; copied, never changed.
        **more: Options by keyword, over those of `given`.

    The names: `rootUrl` (required), `credentials`, `authorizedScopes`, `maxRetries`, `signedUrlExpiration` (seconds),
    `timeout` (seconds, one number or connect and read), `delayFactor` and `maxDelay` (seconds),
    `randomizationFactor`, `userAgentSuffix`, `validate` (check payloads against the API's schemas before sending; where
    it is left out, TASKCLUSTER_VALIDATE=1 says so).

    Raises:
        TaskclusterFailure: An option is unknown, missing or malformed.
        TaskclusterAuthFailure: The credentials are of a wrong type.
    """

    def __init__(self, given: Mapping[str, Any] | None = None, **more: Any) -> None:
        wanted = {**(given or {}), **more}
        if "baseUrl" in wanted:
            raise TaskclusterFailure(
                "the option baseUrl is gone: pass rootUrl, the deployment's address without a path"
            )
        if not wanted.keys() <= _KNOWN:
            unknown = next(name for name in wanted if name not in _KNOWN)
            raise TaskclusterFailure(f"unknown option {unknown!r}{did_you_mean(str(unknown), _KNOWN)}")
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
            self["authorizedScopes"] = _scopes(wanted["authorizedScopes"])
        if wanted.get("timeout") is not None:
            timeouts(wanted["timeout"])
        if not isinstance(wanted.get("validate", False), _BOOL_OR_NONE):
            raise TaskclusterFailure(f"the option validate must be True or False, not {wanted['validate']!r}")

    def __repr__(self) -> str:
        shown = dict(self)
        credentials = shown.get("credentials")
        if is_mapping(credentials) and not isinstance(credentials, Credentials):
            # A program may assign a plain dict later; it is redacted all the same.
            shown["credentials"] = dict.fromkeys(credentials, "…")
        return f"{type(self).__name__}({shown!r})"


def normal_root_url(root_url: Any) -> str:
    """Return the root URL without its trailing slashes; raise TaskclusterFailure where it is no root URL."""
    if not root_url:
        raise TaskclusterFailure(
            "the option rootUrl is required: the deployment's address, such as 'https://tc.example.com' "
            "(optionsFromEnvironment() reads it from TASKCLUSTER_ROOT_URL)"
        )
    if not isinstance(root_url, str):
        raise TaskclusterFailure(f"the option rootUrl must be text, not {type(root_url).__name__}")
    scheme, separator, rest = root_url.partition("://")
    if not separator or scheme.lower() not in ("http", "https") or not rest.strip("/") or "?" in rest or "#" in rest:
        raise TaskclusterFailure(f"the option rootUrl must be an http or https address, not {root_url!r}")
    return root_url.rstrip("/")


def timeouts(timeout: Any) -> tuple[float, float]:
    """Return connect and read time-outs, in seconds, of the option `timeout`; None means the default."""
    if timeout is None:
        return DEFAULT_TIMEOUT
    match timeout:
        case int() | float() if timeout > 0:
            return (float(timeout), float(timeout))
        case [int() | float() as connect, int() | float() as read] if connect > 0 and read > 0:
            return (float(connect), float(read))
        case _:
            raise TaskclusterFailure(
                f"the option timeout must be seconds above 0, or a pair (connect, read): {timeout!r}"
            )


def _check_number(name: str, value: Any) -> None:
    wanted = int if name == "maxRetries" else (int, float)
    if not isinstance(value, wanted) or value < 0:
        what = "a whole number" if name == "maxRetries" else "a number"
        raise TaskclusterFailure(f"the option {name} must be {what} that is not negative, not {value!r}")


def _scopes(scopes: Any) -> list[str]:
    if not isinstance(scopes, str | bytes | Mapping):
        try:
            listed: list[Any] = list(scopes)
        except TypeError:
            listed = [scopes]
        if all(isinstance(scope, str) for scope in listed):
            return listed
    raise TaskclusterFailure("the option authorizedScopes must be a list of scopes, each a text")
