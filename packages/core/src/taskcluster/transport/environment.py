"""Proxies and certificate authorities from the environment, the same for sync and async code.

The variables are those of requests and OpenSSL: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` in lower or
upper case, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE` and `SSL_CERT_DIR`.
"""

from __future__ import annotations

import os
import re
import ssl
import urllib.request
from functools import lru_cache
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from ..exceptions import TaskclusterFailure

__all__ = ["ca_bundle", "proxy_for", "snapshot", "tls_context", "trust"]

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = {
    scheme: (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY") for scheme in ("http", "https")
}
_NAMES = {"http": _PROXIES["http"], "https": (*_PROXIES["https"], *_BUNDLES, *_OPENSSL)}
_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_HASHED = r"[0-9a-f]{8}\.[0-9]+"
_ENTRY = r"(?:\[([^]]*)]|([^\[\]]*?))(?::(\d+))?"
"""A host or network of no_proxy, IPv6 in brackets if a port follows."""


def snapshot(url: str) -> tuple[str | None, ...]:
    """Return the values of all variables that matter for a URL; equal snapshots mean equal settings.

    Called for every request. Each lookup takes time, so no_proxy is read only if there is a proxy.
    """
    values = tuple(map(os.environ.get, _NAMES[url.partition(":")[0].lower()]))
    return (*values, *map(os.environ.get, ("no_proxy", "NO_PROXY"))) if any(values) else values


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for a request to `url`, or None.

    Raises:
        TaskclusterFailure: The variable is not the address of an HTTP or SOCKS proxy.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = (proxies.get(parts.scheme) or proxies.get("all") or "").strip()
    if not proxy or _is_exempt(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)):
        return None
    return _checked(f"{parts.scheme}_proxy" if proxies.get(parts.scheme) else "all_proxy", proxy)


def _checked(variable: str, proxy: str) -> str:
    # An address without a scheme is an HTTP proxy, as in requests and curl.
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(address)
        usable = bool(parts.scheme in _SCHEMES and parts.hostname and (parts.port is None or parts.port))
    except ValueError:
        usable = False
    if not usable:
        # The value may hold a password.
        raise TaskclusterFailure(
            f"the environment variable {variable} (or {variable.upper()}) must be the address of a proxy, for example "
            f"http://proxy.example.com:3128, with one of the schemes {', '.join(_SCHEMES)}"
        )
    return address


def _is_exempt(host: str, port: int) -> bool:
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if any(_matches(entry, host, port) for entry in re.split(r"[\s,]+", exempt.lower())):
        return True
    # Proxy settings of the operating system have exceptions of their own.
    return bool(urllib.request.proxy_bypass(host))


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        # Before parsing a port: an IPv6 address without brackets has colons.
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        pass
    found = re.fullmatch(_ENTRY, entry)
    if found is None or (found[3] and int(found[3]) != port):
        return False
    name = (found[1] or found[2]).removeprefix("*").lstrip(".")
    try:
        return ip_address(host) in ip_network(name, strict=False)
    except ValueError:
        return bool(name) and (host == name or host.endswith(f".{name}"))


def ca_bundle() -> str | None:
    """Return the file or directory in REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, whichever is set first, or None."""
    return next(filter(None, map(os.environ.get, _BUNDLES)), None)


def trust() -> ssl.SSLContext | None:
    """Return a TLS context that trusts the environment's certificate authorities, or None if none are set.

    REQUESTS_CA_BUNDLE overrides CURL_CA_BUNDLE, and both override SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL reads.

    Raises:
        TaskclusterFailure: A file or directory does not exist or holds no certificates.
    """
    return _trust(*map(os.environ.get, (*_BUNDLES, *_OPENSSL)))


@lru_cache(maxsize=4)
def _trust(requests: str | None, curl: str | None, file: str | None, directory: str | None) -> ssl.SSLContext | None:
    variable, bundle = ("REQUESTS_CA_BUNDLE", requests) if requests else ("CURL_CA_BUNDLE", curl)
    try:
        if bundle:
            is_directory = os.path.isdir(bundle)
            if is_directory and not any(re.fullmatch(_HASHED, name) for name in os.listdir(bundle)):
                raise FileNotFoundError("no certificate in this directory is named by its hash (openssl rehash)")
            return tls_context(None, bundle) if is_directory else tls_context(bundle)
        if file or directory:
            variable = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
            if file:
                # OpenSSL ignores a file that it cannot read, and then trusts nobody.
                ssl.create_default_context(cafile=file)
            elif not any(map(os.path.isdir, (directory or "").split(os.pathsep))):
                raise FileNotFoundError("no such directory")
            return tls_context()
        return None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise TaskclusterFailure(
            f"the environment variable {variable} must name certificates to trust, in PEM format: "
            f"{bundle or file or directory!r}: {reason}"
        ) from None


def tls_context(cafile: str | None = None, capath: str | None = None) -> ssl.SSLContext:
    """Return a TLS context for HTTP/1.1 that trusts a file or directory of certificates, or else OpenSSL's default."""
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    context.set_alpn_protocols(["http/1.1"])
    return context
