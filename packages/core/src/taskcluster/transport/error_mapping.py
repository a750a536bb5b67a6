"""Exceptions of urllib3 as requests raises them, and the error messages of failed requests."""

from __future__ import annotations

from collections.abc import Callable

import requests
import urllib3.exceptions

from ..causes import explain
from ..effects import Request
from ..exceptions import TaskclusterConnectionError

__all__ = ["ConnectionFailure", "failure_message", "origin", "reading_error", "sending_error"]

ConnectionFailure = Callable[[str, BaseException], TaskclusterConnectionError]
"""Returns the exception for a failed connection, of an error message and the library's exception."""

_Mapping = tuple[tuple[type[Exception], type[requests.RequestException]], ...]

_SENDING: _Mapping = (
    (urllib3.exceptions.NewConnectionError, requests.ConnectionError),
    (urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout),
    (urllib3.exceptions.ReadTimeoutError, requests.ReadTimeout),
    (urllib3.exceptions.ProxyError, requests.exceptions.ProxyError),
    (urllib3.exceptions.SSLError, requests.exceptions.SSLError),
)
_READING: _Mapping = (
    (urllib3.exceptions.ProtocolError, requests.exceptions.ChunkedEncodingError),
    (urllib3.exceptions.DecodeError, requests.exceptions.ContentDecodingError),
    (urllib3.exceptions.SSLError, requests.exceptions.SSLError),
)


def sending_error(exc: Exception) -> requests.RequestException:
    """Return the exception that requests raises for one of urllib3's before the response body."""
    return _mapped(exc, _SENDING)


def reading_error(exc: Exception) -> requests.RequestException:
    """Return the exception that requests raises for one of urllib3's within the response body."""
    return _mapped(exc, _READING)


def _mapped(exc: Exception, mapping: _Mapping) -> requests.RequestException:
    reason = exc.reason if isinstance(exc, urllib3.exceptions.MaxRetryError) else exc
    for of_urllib3, of_requests in mapping:
        if isinstance(reason, of_urllib3):
            return of_requests(exc)
    return requests.ConnectionError(exc)


def failure_message(request: Request, exc: Exception) -> str:
    """Return the error message for a request without a complete response."""
    failed = "timed out" if isinstance(exc, requests.Timeout) else "failed"
    return explain(f"{request.described()} {failed} without a response", exc)


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    return url[: url.find("/", 8)]
