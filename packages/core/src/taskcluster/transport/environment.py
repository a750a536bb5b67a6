"""What the environment says of proxies and certificates, remembered for as long as it says the same."""

from __future__ import annotations

import os
import urllib.request
from urllib.parse import urlsplit

__all__ = ["proxy_for", "snapshot"]

_NAMES = {
    "http": ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
}


def snapshot(url: str) -> tuple[str | None, ...]:
    """Return the variables that HTTP libraries read for a URL; equal snapshots mean equal settings.

    It is taken before each request, and every variable takes its time: only those that can matter are read.
    """
    values = tuple(map(os.environ.get, _NAMES[url.partition(":")[0].lower()]))
    return (*values, *map(os.environ.get, ("no_proxy", "NO_PROXY"))) if any(values) else values


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment sets for a URL, or None."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    # proxy_bypass wants the port too, for a no_proxy that names one.
    if urllib.request.proxy_bypass(host) or (parts.port and urllib.request.proxy_bypass(f"{host}:{parts.port}")):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
