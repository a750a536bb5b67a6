"""Open responses of other servers, for example storage, and follow their redirects without credentials."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from .effects import Close, Open, Opened, Request
from .exceptions import TaskclusterFailure, TaskclusterRestFailure

__all__ = ["REDIRECTS", "open_response", "origin", "redirect_target", "sendable_url"]

REDIRECTS = (301, 302, 303, 307, 308)
"""The statuses that redirect."""
_MAX_REDIRECTS = 10


def open_response(
    request: Request,
    public: Mapping[str, str],
    failure: Callable[..., TaskclusterRestFailure] = TaskclusterRestFailure,
) -> Generator[Open | Close, Any, Opened]:
    """Open the response to a request, following redirects. The caller closes it.

    Args:
        request: Its headers may hold credentials, and are sent only to the server of its URL.
        public: The headers to send to all servers, in addition.
        failure: The class of the exception for too many redirects.

    Raises:
        TaskclusterConnectionError: There was no response.
        TaskclusterRestFailure: There were more than 10 redirects.
        TaskclusterFailure: A URL cannot be requested.
    """
    url = sendable_url(request.url)
    headers = {**request.headers, **public}
    redirects = 0
    while True:
        opened: Opened = yield Open(request._replace(url=url, headers=dict(headers)))
        try:
            target = redirect_target(opened.status, opened.headers, url)
        except TaskclusterFailure:
            yield Close(opened)
            raise
        if target is None:
            return opened
        yield Close(opened)
        if redirects == _MAX_REDIRECTS:
            # Without the URL, which may be signed.
            message = f"{request.method} at {urlsplit(url).hostname} redirects more than {redirects} times"
            raise failure(message, None, status_code=opened.status)
        if origin(target) != origin(url):
            headers = dict(public)
        redirects, url = redirects + 1, target


def redirect_target(status: int, headers: Mapping[str, str], url: str) -> str | None:
    """Return the URL that the response to a request for `url` redirects to, or None.

    Raises:
        TaskclusterFailure: That URL cannot be requested.
    """
    target = headers.get("Location") if status in REDIRECTS else None
    if not target:
        return None
    failure = _malformed()
    try:
        return sendable_url(urljoin(url, target))
    except ValueError:
        # Not chained: the exception may hold the URL, which may be signed.
        pass
    raise failure


def sendable_url(url: str) -> str:
    """Return a URL as it can be sent: with a path, without a fragment, nothing in it quoted twice.

    Raises:
        TaskclusterFailure: It is not an HTTP URL.
    """
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and parts.netloc and parts.port != 0
        quoted = quote(parts._replace(path=parts.path or "/", fragment="").geturl(), safe="!#$%&'()*+,/:;=?@[]~")
        if is_web:
            return quoted
        failure = TaskclusterFailure(f"the URL to read or write data must be http or https, not {parts.scheme or '?'}:")
    except ValueError:
        # Not chained: the exception may hold the URL, which may be signed.
        failure = _malformed()
    raise failure


def _malformed() -> TaskclusterFailure:
    # Without the URL, which may be signed.
    return TaskclusterFailure("the URL to read or write data is malformed: its host, its port or a character")


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of a URL; credentials are for one origin."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
