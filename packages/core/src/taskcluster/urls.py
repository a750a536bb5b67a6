"""URLs of services, with paths and queries quoted so that no library quotes them again."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import taskcluster_urls  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from .exceptions import TaskclusterFailure
from .options import normal_root_url
from .redacted import HIDDEN

__all__ = ["Endpoint", "encode_query", "endpoint", "needs_no_quoting", "quote_parameter"]


needs_no_quoting = re.compile("[A-Za-z0-9_~-][A-Za-z0-9_.~-]*").fullmatch
"""Matches identifiers, which most path parameters are. Does not match `.` and `..`."""


class Endpoint(NamedTuple):
    """The address of a service, in the parts that requests and signatures need."""

    prefix: str
    """The URL up to the route: scheme, host, port, `/api/<service>/<version>`."""
    path: str
    """The part of `prefix` that is sent in the request line."""
    host: str
    port: str


@lru_cache(maxsize=256)
def endpoint(root_url: str, service_name: str, api_version: str) -> Endpoint:
    """Return the address of a service.

    Raises:
        TaskclusterFailure: It is not the root URL of a deployment.
    """
    api: Any = taskcluster_urls.api  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    prefix: str = api(normal_root_url(root_url), service_name, api_version, "").rstrip("/")
    parts = urlsplit(prefix)
    if "@" in parts.netloc:
        # HTTP libraries would send it as the Authorization header, instead of the signature. It holds a password, so
        # the error does not show it.
        raise TaskclusterFailure(
            "the option rootUrl must not contain a user name or password: pass them as the option credentials, "
            "with clientId and accessToken"
        )
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise TaskclusterFailure(
            f"the port of the option rootUrl is not a number from 0 to 65535: {root_url!r}"
        ) from None
    host = parts.hostname or ""
    try:
        # The Host header has an international name in ASCII, and so must the signature.
        if ":" not in host and not _is_plain_host(host):
            host = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise TaskclusterFailure(f"the host of the option rootUrl is not a valid name: {root_url!r}") from None
    # The Host header has an IPv6 address in brackets, and the server verifies the signature with that header.
    return Endpoint(prefix, parts.path, f"[{host}]" if ":" in host else host, str(port))


def _is_plain_host(host: str) -> bool:
    """Return whether the codec idna would leave the host unchanged. Importing its tables takes 1 ms."""
    return host.isascii() and all(0 < len(label) < 64 for label in host.split("."))


def quote_parameter(method: str, name: str, value: Any, *, may_be_empty: bool = False) -> str:
    """Return a path parameter, percent-encoded including `/`.

    Raises:
        TaskclusterFailure: The value is not a string or integer, or the request would reach another route: because the
            value is empty, or because HTTP libraries and proxies resolve `.` and `..`.
    """
    if isinstance(value, str):
        if needs_no_quoting(value):
            return value
        if (value or may_be_empty) and value not in (".", ".."):
            return _quoted(method, name, value)
        shown = repr(value) if value else "empty"
        raise TaskclusterFailure(f"{method}: the parameter {name} must not be {shown}: another route would be called")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TaskclusterFailure(
        f"{method}: the parameter {name} must be a string or an integer, not {type(value).__name__}"
    )


def encode_query(method: str, query: Mapping[str, Any]) -> str:
    """Return a query string without None values, with dates and booleans in the form that the services read."""
    return "&".join(
        f"{_quoted(method, name, str(name))}={_quoted(method, name, _query_value(method, name, value))}"
        for name, value in query.items()
        if value is not None
    )


def _query_value(method: str, name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime.datetime):
        from .timestamps import stringDate

        return stringDate(value)
    raise TaskclusterFailure(
        f"{method}: the query parameter {name} must be a string, number, boolean or datetime, "
        f"not {type(value).__name__}"
    )


def _quoted(method: str, name: str, text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        # Not chained, because the exception holds the value.
        shown = HIDDEN if name == "token" else repr(text)
    raise TaskclusterFailure(f"{method}: the parameter {name!r} is not valid Unicode: {shown}")
