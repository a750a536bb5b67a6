"""Plain HTTP requests without authentication, which programs import from `taskcluster.utils`."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .causes import safe_cause
from .performer import perform
from .retries import MAX_RETRIES, Policy
from .retrying import send_again
from .runner import run

if TYPE_CHECKING:
    import requests

__all__ = ["calculateSleepTime", "makeHttpRequest", "makeSingleHttpRequest", "putFile"]


def calculateSleepTime(attempt: int) -> float:
    """Return the seconds to wait before a retry, 1 being the first: 0.1 · 2^(attempt - 1) ± 25 %, at most 30."""
    if attempt <= 0:
        return 0
    delay = Policy(max_retries=attempt).delay(attempt, random.random())
    assert delay is not None
    return delay


def makeSingleHttpRequest(
    method: str,
    url: str,
    payload: Any,
    headers: Mapping[str, str] | None,
    session: requests.Session | None = None,
) -> requests.Response:
    """Send one request, and return the response whatever its status; redirects are not followed.

    Args:
        method: The HTTP verb.
        url: The address.
        payload: The body, as for `data` of requests.
        headers: The headers, or None.
        session: A session to send over.

    Raises:
        requests.RequestException: There was no response, or requests returned an interim one. The exception has
            neither the request nor its URL, which may be signed.
    """
    import requests

    from .options import DEFAULT_TIMEOUT
    from .transport.log_redaction import redacted_logs

    send = session.request if session is not None else requests.request
    failure: BaseException
    try:
        with redacted_logs:
            response = send(
                method.upper(),
                url,
                data=payload,
                headers=dict(headers or {}),
                allow_redirects=False,
                timeout=DEFAULT_TIMEOUT,
            )
    except requests.RequestException as exc:
        failure = safe_cause(exc)
    else:
        if response.status_code not in range(100, 200):
            return response
        if session is not None:
            # The final response will arrive on one of its connections; the session stays usable.
            session.close()
        failure = requests.ConnectionError(
            f"the server sent the interim status {response.status_code} for the response"
        )
    raise failure


def makeHttpRequest(
    method: str,
    url: str,
    payload: Any,
    headers: Mapping[str, str] | None,
    retries: int = MAX_RETRIES,
    session: requests.Session | None = None,
) -> requests.Response:
    """Send a request, and retry it after connection and server errors; arguments as for `makeSingleHttpRequest`.

    Returns:
        The last response, whatever its status.

    Raises:
        requests.RequestException: There was no response to the last attempt.
    """
    import requests

    send = functools.partial(makeSingleHttpRequest, method, url, payload, headers, session)
    rewind = functools.partial(payload.seek, 0) if hasattr(payload, "seek") else None
    status = attrgetter("status_code")
    sending = send_again(send, status, requests.RequestException, retries, calculateSleepTime, rewind)
    response: requests.Response = run(sending, perform)
    return response


def putFile(filename: str, url: str, contentType: str) -> requests.Response:
    """PUT a file's bytes to a URL, with retries.

    Args:
        filename: The file's path.
        url: The URL.
        contentType: Its media type.
    """
    import os

    with open(filename, "rb") as file:
        headers = {"Content-Length": str(os.fstat(file.fileno()).st_size), "Content-Type": contentType}
        return makeHttpRequest("put", url, file, headers)
