"""The session of a client that was given none.

What requests adds to urllib3 (choosing a pool, cookies, redirects, hooks, case-insensitive dicts) takes longer than
everything else in a call, and a call uses none of it. So calls send over the adapter's connection pools directly.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import requests
import requests.exceptions
import requests.utils
import urllib3
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from ..effects import Request
from ..exceptions import TaskclusterFailure
from .connections import Adapter, close_if_followed
from .environment import ca_bundle, proxy_for, snapshot, tls_context, trust
from .error_mapping import origin, sending_error
from .framing import request_headers

__all__ = ["OwnSession", "environment_arguments"]


class OwnSession(requests.Session):
    """Keeps connections and no cookies."""

    def __init__(self, user_agent: str) -> None:
        super().__init__()
        self.headers = CaseInsensitiveDict({"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"})
        self.adapter = Adapter()
        for scheme in ("https://", "http://"):
            self.mount(scheme, self.adapter)
        self._settings: tuple[Any, dict[str, Any]] | None = None
        self._route: _Route | None = None

    def settings(self, url: str) -> dict[str, Any]:
        """Return `environment_arguments`, the same object for as long as the environment stays the same."""
        key = (snapshot(url), origin(url))
        known = self._settings
        if known is None or known[0] != key:
            # Other threads may replace it by another deployment's at any time.
            known = self._settings = (key, environment_arguments(url))
        return known[1]

    def open(self, request: Request, body: bytes | Iterable[bytes] | None) -> urllib3.HTTPResponse:
        """Send a request without the API of requests, and return the response, its body unread.

        Raises:
            requests.RequestException: There is no response.
            TaskclusterFailure: The environment names certificates or a proxy that cannot be used.
        """
        root = origin(request.url)
        settings = self.settings(request.url)
        route = self._route
        try:
            if route is None or route.root != root or route.settings is not settings:
                route = self._route = _Route.to(root, self.adapter, settings)
        except urllib3.exceptions.HTTPError as exc:
            raise requests.exceptions.InvalidURL(exc) from exc
        try:
            raw: urllib3.HTTPResponse = route.pool.urlopen(
                request.method,
                route.prefix + request.url[len(root) :],
                body,
                request_headers(self.headers, request),
                retries=self.adapter.max_retries,
                redirect=False,
                assert_same_host=False,
                timeout=None if request.timeout is None else _timeout(*request.timeout),
                preload_content=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            # urllib3 closes the pools of deployments that were not used recently.
            self._route = None
            raise sending_error(exc) from exc
        close_if_followed(raw)
        return raw


class _Route(NamedTuple):
    """The connections to a deployment."""

    root: str
    settings: dict[str, Any]
    """The environment's settings for which the route holds."""
    pool: Any
    """The pool of connections to the deployment, or to a proxy."""
    prefix: str
    """Precedes the path in the request line: some proxies are sent the complete URL."""

    @classmethod
    def to(cls, root: str, adapter: HTTPAdapter, settings: dict[str, Any]) -> _Route:
        """Return the route that the environment's settings set.

        Raises:
            TaskclusterFailure: The environment names certificates or a proxy that cannot be used.
            urllib3.exceptions.LocationValueError: There is no host.
        """
        tls = root.lower().startswith("https:")
        proxy = next(iter(settings["proxies"].values()), None)
        # An https proxy is verified as the deployment is.
        context = (trust() or _default_trust()) if tls or (proxy or "").startswith("https:") else None
        # requests leaves this attribute untyped.
        manager: Any = adapter.poolmanager
        if proxy is not None:
            manager = _proxy_manager(adapter, proxy, context)
        pool = manager.connection_from_url(f"{root}/", pool_kwargs={"ssl_context": context} if context else None)
        # HTTP proxies are sent the complete URL of requests that are not encrypted.
        return cls(root, settings, pool, root if proxy is not None and not tls and proxy.startswith("http") else "")


@lru_cache(maxsize=1)
def _default_trust() -> ssl.SSLContext:
    return tls_context(requests.utils.DEFAULT_CA_BUNDLE_PATH)


def _proxy_manager(adapter: HTTPAdapter, proxy: str, context: ssl.SSLContext | None) -> Any:
    # requests leaves this method untyped.
    untyped: Any = adapter
    if not proxy.startswith("socks"):
        return untyped.proxy_manager_for(proxy, proxy_ssl_context=context)
    try:
        return untyped.proxy_manager_for(proxy)
    except requests.exceptions.InvalidSchema:
        raise TaskclusterFailure(
            "the environment sets a SOCKS proxy, which needs PySocks: pip install 'requests[socks]'"
        ) from None


@lru_cache(maxsize=16)
def _timeout(connect: float, read: float) -> urllib3.Timeout:
    return urllib3.Timeout(connect=connect, read=read)


def environment_arguments(url: str) -> dict[str, Any]:
    """Return the arguments of Session.send for the environment's proxy and certificates.

    Raises:
        TaskclusterFailure: The environment's proxy is not the address of a proxy.
    """
    proxy = proxy_for(url)
    return {
        "proxies": {} if proxy is None else {url.partition(":")[0].lower(): proxy},
        "verify": ca_bundle() or os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or True,
        "cert": None,
    }
