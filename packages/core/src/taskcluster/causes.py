"""What exceptions of other libraries become before they are chained to ours.

They hold requests with their headers, URLs with tokens and signatures, proxies with passwords, and parts of responses.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, TypeVar

from .redacted import HIDDEN

__all__ = ["describe", "explain", "harmless", "safe_cause", "without_secrets"]

E = TypeVar("E", bound=BaseException)

_INNER = ("reason", "os_error", "certificate_error", "original_error")
_DEEPEST = 8
_EMPTY: dict[type, Any] = {bytes: b"", str: "", tuple: ()}
# Patterns are compiled when an exception is described: most programs need none.
_ADDRESS = r"\b\w+://\S+"
_NAMED_SECRET = (
    r"(?si)((?:token|password|passphrase|secret|key|certificate|credential|authorization)"
    r"\w*['\"]?\s*(?:[:=]|\bis\b)\s*).+"
)
_LIKE_A_TOKEN = r"(?a)(?=[a-z_/+=-]*[A-Z0-9])[\w/+=-]{16,}"
_IN_SOURCE_CODE = r" \(_ssl\.c:\d+\)"
_CLOSED = "the server closed the connection"
_INCOMPLETE = "the response is incomplete"
_INVALID = "the response is not valid HTTP"
_ENCODING = "the response is not encoded as its headers state"
_EXPLANATIONS = {
    "RemoteDisconnected": _CLOSED,
    "ServerDisconnectedError": _CLOSED,
    "ClientConnectionResetError": _CLOSED,
    "ClientHttpProxyError": "the proxy refused the connection",
    "InvalidURL": "the URL is invalid",
    "LocationValueError": "the URL is invalid",
    "InvalidChunkLength": _INVALID,
    "TransferEncodingError": _INVALID,
    "IncompleteRead": _INCOMPLETE,
    "ContentLengthError": _INCOMPLETE,
    "HTTPException": _INVALID,
    "HttpProcessingError": _INVALID,
    "ClientResponseError": _INVALID,
    "ClientPayloadError": _INCOMPLETE,
    "ProtocolError": _INCOMPLETE,
    "ContentDecodingError": _ENCODING,
    "ContentEncodingError": _ENCODING,
    "DecodeError": _ENCODING,
    "error": _ENCODING,
    "TimeoutError": "timed out",
}
"""Explanations by the names of classes and base classes of http.client, urllib3, aiohttp and zlib."""
_REFUSED_BY_PROXY = r"(?s)(Tunnel connection failed: \d+).*"


def harmless(exc: E) -> E:
    """Return an exception of a library's class that our own code raises, marked so that its message is shown."""
    vars(exc)["harmless"] = True
    return exc


def describe(exc: BaseException) -> str:
    """Return the class of an exception, and its message without secrets."""
    name, text = type(exc).__name__, _reason(exc)
    return name if text == name else f"{name}: {text}"


def without_secrets(message: str) -> str:
    """Return the message of an exception of a plugin without what may be a secret in it.

    Hidden are URLs, random-looking words of 16 characters or more, and everything that follows a word such as `token`
    or `password` with a colon, an equals sign or "is".
    """
    without_named = re.sub(_NAMED_SECRET, rf"\1{HIDDEN}", message)
    return re.sub(_LIKE_A_TOKEN, HIDDEN, re.sub(_ADDRESS, HIDDEN, without_named))


def explain(message: str, exc: BaseException) -> str:
    """Return an error message and the reason for an exception, in words that do not depend on the HTTP library."""
    exc = _innermost(exc)
    names = [kind.__name__ for kind in type(exc).__mro__]
    if "SSLError" in names or "harmless" in vars(exc):
        reason = re.sub(_IN_SOURCE_CODE, "", _message(exc))
    elif isinstance(exc, OSError) and isinstance(exc.errno, int):
        # aiohttp's text has the address. Errors of host names are negative.
        reason = os.strerror(exc.errno) if exc.errno > 0 and "gaierror" not in names else str(exc.strerror)
    else:
        known = next((name for name in names if name in _EXPLANATIONS), None)
        reason = _message(exc) if known is None else _EXPLANATIONS[known]
    return f"{message}: {reason}" if reason and reason not in message else message


def safe_cause(exc: BaseException) -> BaseException:
    """Return an exception of the same class that holds no request, no response and nothing of their contents.

    Programs look at its class, at `errno`, and at the exceptions in `args` and `reason`; these are kept. It has no
    traceback and no context, so it has to be raised outside the `except` block that caught `exc`.
    """
    return _safe(exc, _DEEPEST)


def _safe(exc: BaseException, depth: int) -> BaseException:
    kind, text = type(exc), _reason(exc)
    args: tuple[Any, ...] = (text,)
    if isinstance(exc, OSError) and isinstance(exc.errno, int) and isinstance(exc.strerror, str):
        args = (exc.errno, exc.strerror)
    elif depth and (inner := [arg for arg in exc.args if isinstance(arg, BaseException)]):
        args = tuple(_safe(arg, depth - 1) for arg in inner)
    try:
        safe = kind.__new__(kind, *args)
        if isinstance(safe, OSError):
            OSError.__init__(safe, *args)
        safe.args = args
        names = [name for name in vars(exc) if not name.startswith("__")]
        vars(safe).update((name, _kept(name, getattr(exc, name), depth)) for name in names)
        if isinstance(safe, json.JSONDecodeError):
            vars(safe)["msg"] = getattr(exc, "msg", "")
        # Some classes make their text of attributes that are not there now.
        for show in (str, repr):
            show(safe)
    except Exception:
        return Exception(f"{kind.__name__}: {text}")
    return safe


def _kept(name: str, value: Any, depth: int) -> Any:
    """Return an attribute's value if it is harmless, or else an empty value."""
    if value is None or isinstance(value, bool | int | float) or (name == "host" and isinstance(value, str)):
        return value
    if isinstance(value, BaseException):
        return _safe(value, depth - 1) if depth else None
    if hasattr(value, "_fields"):
        # aiohttp's ConnectionKey, which its exceptions make their text of.
        return value._make(_kept(field, each, depth) for field, each in value._asdict().items())
    return next((empty for kind, empty in _EMPTY.items() if isinstance(value, kind)), None)


def _reason(exc: BaseException) -> str:
    """Return the innermost exception's message if it is harmless, or else its class."""
    exc = _innermost(exc)
    return _message(exc) or type(exc).__name__


def _message(exc: BaseException) -> str:
    """Return an exception's message if it is the operating system's, OpenSSL's or ours, or else an empty string.

    All other messages may quote the request, or a response that cannot be parsed.
    """
    is_of_system = isinstance(exc, OSError) and (exc.errno is not None or not isinstance(exc, ValueError))
    is_shown = is_of_system or isinstance(exc, json.JSONDecodeError) or "harmless" in vars(exc)
    text = str(exc) if is_shown else ""
    return re.sub(_REFUSED_BY_PROXY, r"\1", re.sub(_ADDRESS, HIDDEN, text))


def _innermost(exc: BaseException) -> BaseException:
    for _ in range(_DEEPEST):
        inner = None if "harmless" in vars(exc) else _inner(exc)
        if inner is None:
            break
        exc = inner
    return exc


def _inner(exc: BaseException) -> BaseException | None:
    found = [*(getattr(exc, name, None) for name in _INNER), *exc.args, exc.__cause__]
    return next((each for each in found if isinstance(each, BaseException)), None)
