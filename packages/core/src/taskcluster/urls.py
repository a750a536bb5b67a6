"""Addresses: a deployment's service as a prefix, paths and queries quoted so that no library quotes them again."""

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
"""Matches what most path parameters are, identifiers. Not `.` and `..`."""


class Endpoint(NamedTuple):
    """Where one service answers, in the parts that requests and signatures are made of."""

    prefix: str
    """What stands before a route in a URL: scheme, host, port, `/api/<service>/<version>`."""
    path: str
    """The part of `prefix` that is sent in the request line."""
    host: str
    port: str


@lru_cache(maxsize=256)
def endpoint(root_url: str, service_name: str, api_version: str) -> Endpoint:
    """Return where `service_name` answers at `root_url`.

    Raises:
        TaskclusterFailure: It is not the root URL of a deployment.
    """
    api: Any = taskcluster_urls.api  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    prefix: str = api(normal_root_url(root_url), service_name, api_version, "").rstrip("/")
    parts = urlsplit(prefix)
    if "@" in parts.netloc:
        # HTTP libraries would send it as an Authorization header in place of the signature. Not shown: a password.
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
        # The Host header, and so the signature, has an international name in its ASCII form.
        if ":" not in host and not _is_plain_host(host):
            host = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise TaskclusterFailure(f"the host of the option rootUrl is not a valid name: {root_url!r}") from None
    # The receiving side takes the host from the Host header, where an IPv6 address stands in brackets.
    return Endpoint(prefix, parts.path, f"[{host}]" if ":" in host else host, str(port))


def _is_plain_host(host: str) -> bool:
    """Return whether the encoding idna, whose tables take 1 ms to import, would return the host as it is."""
    return host.isascii() and all(0 < len(label) < 64 for label in host.split("."))


def quote_parameter(method: str, name: str, value: Any, *, may_be_empty: bool = False) -> str:
    """Return a path parameter percent-encoded whole, `/` included.

    Raises:
        TaskclusterFailure: The value is no text or integer, or one that no server would receive as it is: an empty
            one reaches another route, and `.` and `..` are resolved away by HTTP libraries and proxies.
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
    raise TaskclusterFailure(f"{method}: the parameter {name} must be text or an integer, not {type(value).__name__}")


def encode_query(method: str, query: Mapping[str, Any]) -> str:
    """Return a query string; None values are left out, dates and booleans written as the services read them."""
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
        f"{method}: the query parameter {name} must be one plain value, not {type(value).__name__}"
    )


def _quoted(method: str, name: str, text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        # Not chained: the exception holds the value.
        shown = HIDDEN if name == "token" else repr(text)
    raise TaskclusterFailure(f"{method}: the parameter {name!r} is not valid Unicode: {shown}")
