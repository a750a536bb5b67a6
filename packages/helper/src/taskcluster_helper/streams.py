"""A body read as it comes, over requests: no authentication, redirects followed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from taskcluster.causes import describe, safe_cause
from taskcluster.exceptions import TaskclusterConnectionError, TaskclusterRestFailure
from taskcluster.options import DEFAULT_TIMEOUT
from taskcluster.transport.requests import Adapter, discreet, environment_arguments

__all__ = ["Stream"]

_CHUNK = 64 * 1024


class _Session(requests.Session):
    """Sends no credentials, not even those of a netrc file, and reads the environment as core does."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = lambda request: request
        for scheme in ("https://", "http://"):
            self.mount(scheme, Adapter())

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        return {**environment_arguments(str(url)), "stream": stream}

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: Any) -> dict[str, str]:
        proxies = environment_arguments(str(prepared_request.url))["proxies"]
        return dict(proxies)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        pass


class Stream:
    """One answer at a time."""

    def __init__(self) -> None:
        self._session = _Session()
        self._response: requests.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._host: str | None = None

    def open(self, url: str, silence: float, user_agent: str) -> None:
        """GET a URL, in place of what was open before.

        Raises:
            TaskclusterConnectionError: There was no answer.
            TaskclusterRestFailure: The answer is a failure.
        """
        self._drop()
        response = self._response = self._get(url, silence, user_agent)
        if not 200 <= response.status_code < 300:
            raise TaskclusterRestFailure(
                f"GET at {self._host} failed with status {response.status_code}",
                None,
                status_code=response.status_code,
            )
        raw: Any = response.raw
        # Chunks are handed on as they come. Where there are none, urllib3's own iterator may stop before all that is
        # decoded is handed out (2.0.0).
        read = functools.partial(raw.read, _CHUNK, decode_content=True)
        self._chunks = raw.stream(_CHUNK, decode_content=True) if raw.chunked else iter(read, b"")

    def _get(self, url: str, silence: float, user_agent: str) -> requests.Response:
        try:
            self._host = urlsplit(url).hostname
            with discreet:
                return self._session.get(
                    url, headers={"User-Agent": user_agent}, stream=True, timeout=(DEFAULT_TIMEOUT[0], silence)
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            failure = self._broken(exc)
        # Outside the block, for else `exc`, which holds the URL, were its context.
        raise failure from failure.superExc

    def read(self) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            TaskclusterConnectionError: The connection broke before the end, or was silent for too long.
        """
        try:
            return next(self._chunks, b"")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            failure = self._broken(exc)
        raise failure from failure.superExc

    def close(self) -> None:
        """Close the connection."""
        self._drop()
        self._session.close()

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def _broken(self, exc: Exception) -> TaskclusterConnectionError:
        return TaskclusterConnectionError(f"GET at {self._host} broke off: {describe(exc)}", safe_cause(exc))
