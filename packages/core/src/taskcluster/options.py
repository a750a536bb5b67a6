"""The options of a client: which are known, how each is checked, and a repr that shows no secret.

A constructor checks what the published client's checks. Everything else is checked by the first call that needs it.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeGuard
from urllib.parse import urlsplit

from .callers import warn_caller
from .exceptions import TaskclusterFailure, UnknownOptionWarning, unusable_credentials
from .redacted import ClientOptions, Redacted, without_user_info
from .shapes import is_mapping
from .suggestions import did_you_mean, near_misses
from .version import user_agent

if TYPE_CHECKING:

    class OptionValues(TypedDict, total=False):
        """The options of a client, for type checkers."""

        rootUrl: str
        credentials: Mapping[str, Any] | None
        authorizedScopes: Iterable[str] | None
        timeout: float | Sequence[float] | None
        maxRetries: int | None
        delayFactor: float | None
        randomizationFactor: float | None
        maxDelay: float | None
        signedUrlExpiration: float | None
        maxResponseSize: int | None
        userAgentSuffix: str | None
        validate: bool | None
        exchangePrefix: str


__all__ = [
    "CREDENTIALS",
    "DEFAULTS",
    "DEFAULT_TIMEOUT",
    "KNOWN_OPTIONS",
    "MAX_RESPONSE_SIZE",
    "Credentials",
    "Options",
    "listed_scopes",
    "normal_root_url",
    "number_option",
    "timeouts",
    "user_agent_of",
]


def __dir__() -> list[str]:
    return __all__


DEFAULT_TIMEOUT = (30.0, 60.0)
"""Connect and read timeout in seconds. claimWork responds after up to 20 s."""

MAX_RESPONSE_SIZE = 2**30
"""The largest response body of a call, in bytes when decompressed."""

DEFAULTS: dict[str, Any] = {
    "maxRetries": 5,
    "signedUrlExpiration": 900,
    "delayFactor": 0.1,
    "randomizationFactor": 0.25,
    "maxDelay": 30.0,
    "maxResponseSize": MAX_RESPONSE_SIZE,
}
KNOWN_OPTIONS = frozenset(
    {
        *("rootUrl", "credentials", "authorizedScopes", "timeout", "userAgentSuffix", "validate", "exchangePrefix"),
        *DEFAULTS,
    }
)
CREDENTIALS = ("clientId", "accessToken", "certificate")
"""The keys of credentials that are used."""
_NO_CREDENTIALS: dict[str, Any] = dict.fromkeys(CREDENTIALS)
_NO_ROOT_URL = (
    "rootUrl option is required: the deployment's address, such as 'https://tc.example.com' "
    "(optionsFromEnvironment() reads it from TASKCLUSTER_ROOT_URL)"
)
_printable = re.compile("[ -~]*").fullmatch
"""Matches valid scopes and header values."""
_LARGEST = sys.float_info.max
"""Larger integers cannot be converted to float."""


class Credentials(Redacted):
    """A copy of credentials in which `clientId`, `accessToken` and `certificate` are bytes, unless empty.

    Raises:
        TaskclusterAuthFailure: One of them is neither an ASCII string nor bytes.
    """

    _shown = frozenset({"clientId"})

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        for name in CREDENTIALS:
            value = self.get(name)
            if value:
                self[name] = _as_bytes(name, value)


def _is_collection(value: Any) -> TypeGuard[Iterable[Any]]:
    return value is not None and not isinstance(value, str | bytes | Mapping) and isinstance(value, Iterable)


def _as_bytes(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    problem = f"credentials: {name} contains characters that are not ASCII"
    try:
        # Anything with this method, because programs' tests pass mocks.
        return value.encode("ascii")
    except AttributeError:
        hint = ": pass json.dumps(certificate)" if name == "certificate" and is_mapping(value) else ""
        problem = f"credentials: {name} must be a string or bytes, not {type(value).__name__}{hint}"
    except UnicodeEncodeError:
        # Not chained: the exception holds the value.
        pass
    raise unusable_credentials(problem)


def _credentials(given: object) -> object:
    """Return the option `credentials` of a new client.

    Raises:
        TaskclusterAuthFailure: They are not a mapping.
    """
    if is_mapping(given):
        return Credentials(given)
    if given and not (hasattr(given, "get") and hasattr(type(given), "__setitem__")):
        raise unusable_credentials(
            f"credentials must be a mapping with clientId and accessToken, not {type(given).__name__}"
        )
    # None, or a mock, which is an error only for a call that is signed with it.
    return given


class Options(ClientOptions):
    """A client's options: a plain mutable dict, read at each call.

    Args:
        given: The caller's options; copied, never changed.
        **more: Options by keyword, which override those of `given`.

    Names: `rootUrl` (required), `credentials`, `authorizedScopes`, `maxRetries`, `signedUrlExpiration` (seconds),
    `timeout` (seconds, one number or connect and read), `delayFactor` and `maxDelay` (seconds),
    `randomizationFactor`, `maxResponseSize` (bytes of a response when decompressed), `userAgentSuffix`, `validate`
    (check payloads against the API's schemas before sending; defaults to whether TASKCLUSTER_VALIDATE=1 is set), and
    for events classes `exchangePrefix`, the prefix of exchange names. Any other name is ignored with an
    `UnknownOptionWarning`. Values are checked by the first call that needs them.

    Raises:
        TaskclusterFailure: `rootUrl` is missing or empty, or `baseUrl` is given.
        TaskclusterAuthFailure: The credentials are not a mapping of ASCII strings or bytes.
    """

    def __init__(self, given: Mapping[str, Any] | None = None, **more: Any) -> None:
        super().__init__()
        self._fill({}, given, more)

    @classmethod
    def over(cls, defaults: Mapping[str, Any], given: Mapping[str, Any] | None) -> Options:
        """Return options that override a class's defaults. The names in `defaults` are known options, too."""
        made = cls.__new__(cls)
        made._fill(defaults, given, {})
        return made

    def _fill(self, defaults: Mapping[str, Any], given: Mapping[str, Any] | None, more: Mapping[str, Any]) -> None:
        try:
            wanted: dict[str, Any] = {**defaults, **(given or {}), **more}
        except TypeError:
            example = str(given) if _is_root_url(str(given)) else "https://tc.example.com"
            raise TaskclusterFailure(
                f"options must be a mapping, not {type(given).__name__}: "
                f"pass {{'rootUrl': {without_user_info(example)!r}}}"
            ) from None
        if wanted.pop("baseUrl", None):
            raise TaskclusterFailure(
                "baseUrl option is no longer allowed: pass rootUrl, the deployment's address without a path"
            )
        if not wanted.get("rootUrl"):
            raise TaskclusterFailure(_NO_ROOT_URL + near_misses(wanted.keys() - KNOWN_OPTIONS, ("rootUrl",)))
        self.update(DEFAULTS)
        self.update(wanted)
        for name in DEFAULTS.keys() & wanted.keys():
            # None means the default, if there is one.
            if wanted[name] is None:
                self[name] = DEFAULTS[name]
        self["credentials"] = (
            _credentials(wanted["credentials"]) if "credentials" in wanted else Credentials(_NO_CREDENTIALS)
        )
        scopes = wanted.get("authorizedScopes")
        if _is_collection(scopes):
            # A copy, because the caller's may be an iterator.
            self["authorizedScopes"] = list(scopes)
        # Copied options have been warned about already.
        if not wanted.keys() <= KNOWN_OPTIONS and not isinstance(given, Options):
            for name in wanted.keys() - KNOWN_OPTIONS - defaults.keys():
                hint = did_you_mean(str(name), KNOWN_OPTIONS)
                if name in _NO_CREDENTIALS:
                    hint = "; pass it in the option credentials"
                text = f"unknown option {name!r} is ignored{hint}"
                warn_caller(text, UnknownOptionWarning)


def normal_root_url(root_url: Any) -> str:
    """Return the root URL without its trailing slashes; raise TaskclusterFailure if it is not one."""
    if not root_url:
        raise TaskclusterFailure(_NO_ROOT_URL)
    if not isinstance(root_url, str):
        raise TaskclusterFailure(f"the option rootUrl must be a string, not {type(root_url).__name__}")
    if not _is_root_url(root_url):
        raise TaskclusterFailure(
            f"the option rootUrl must be an http or https address, not {without_user_info(root_url)!r}"
        )
    return root_url.rstrip("/")


@functools.lru_cache(maxsize=256)
def _is_root_url(text: str) -> bool:
    # urlsplit removes some white space silently.
    if "?" in text or "#" in text or any(character.isspace() or character < " " for character in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        # Unbalanced brackets, or no IPv6 address in them.
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def user_agent_of(options: Mapping[str, Any]) -> str:
    """Return the User-Agent of a client's requests.

    Raises:
        TaskclusterFailure: The option userAgentSuffix is not valid in a header.
    """
    suffix = options.get("userAgentSuffix")
    if suffix is not None and not (isinstance(suffix, str) and _printable(suffix)):
        raise TaskclusterFailure(
            f"the option userAgentSuffix must be a string of printable ASCII characters, not {suffix!r}"
        )
    return user_agent(suffix)


def timeouts(timeout: Any) -> tuple[float, float]:
    """Return the connect and read timeout of the option `timeout`, in seconds; None means the default."""
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


def number_option(options: Mapping[str, Any], name: str) -> Any:
    """Return the value of a numeric option, or its default if it is None.

    Args:
        options: The options of a client, or of a mock of one.
        name: The option's name, for example `maxRetries`.

    Raises:
        TaskclusterFailure: It is not a number, or out of range.
    """
    value = options.get(name)
    if value is None:
        return DEFAULTS[name]
    wanted = int if name in ("maxRetries", "maxResponseSize") else (int, float)
    # Above 1, delays could be negative.
    largest = 1 if name == "randomizationFactor" else _LARGEST
    if not isinstance(value, wanted) or not 0 <= value <= largest:
        integer = "a non-negative integer"
        what = {"maxRetries": integer, "maxResponseSize": integer, "randomizationFactor": "a number from 0 to 1"}
        raise TaskclusterFailure(
            f"the option {name} must be {what.get(name, 'a finite number of at least 0')}: {value!r}"
        )
    return value


def listed_scopes(what: str, scopes: Any) -> list[str]:
    """Return scopes as a new list.

    Args:
        what: What they are, for the error message.
        scopes: Any collection of strings.

    Raises:
        TaskclusterFailure: They are not scopes that a deployment accepts.
    """
    if _is_collection(scopes):
        listed = list(scopes)
        if all(isinstance(scope, str) and _printable(scope) for scope in listed):
            return listed
    raise TaskclusterFailure(f"{what} must be a list of scopes, which are strings of printable ASCII characters")
