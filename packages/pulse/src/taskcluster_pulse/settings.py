"""Which broker and account to use: from arguments, a URL, or the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from taskcluster.shapes import is_mapping
from taskcluster.suggestions import near_misses

from .exceptions import PulseFailure
from .names import checked

__all__ = ["NOT_A_BROKER_URL", "BrokerSettings", "Where", "is_broker_named", "where"]

HEARTBEAT = 30
CONNECT_TIMEOUT = 30.0
_VARIABLES = {
    "username": "PULSE_USERNAME",
    "password": "PULSE_PASSWORD",
    "hostname": "PULSE_HOSTNAME",
    "port": "PULSE_PORT",
    "vhost": "PULSE_VHOST",
    "amqps": "PULSE_AMQPS",
}
_HOW = (
    "pass url='amqps://USER:PASSWORD@HOST:5671/VHOST', or credentials={'username': …, 'password': …} and hostname, or "
    "set PULSE_URL or PULSE_HOSTNAME, PULSE_USERNAME and PULSE_PASSWORD. For a local deployment pass root_url"
)
NOT_A_BROKER_URL = "the URL of the broker must be amqps://USER:PASSWORD@HOST:PORT/VHOST, or begin with amqp://"
_PORTS = {True: 5671, False: 5672}
_LONGEST_VHOST = 127
_LONGEST_PASSWORD = 3072
"""A login must fit into 4096 bytes, together with a user name and the properties of the client."""
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


@dataclass(frozen=True)
class BrokerSettings:
    """A broker, and an account on it."""

    username: str
    password: str = field(repr=False)
    hostname: str
    port: int
    vhost: str = "/"
    tls: bool = True
    heartbeat: int = HEARTBEAT
    """Seconds. Without any sign of life for twice as long, a connection counts as lost."""
    connect_timeout: float = CONNECT_TIMEOUT
    """Seconds for one attempt to connect."""

    @property
    def address(self) -> str:
        """The broker's address for logs and errors."""
        return f"{self.hostname}:{self.port}"


@dataclass(frozen=True)
class Where:
    """Where messages come from: a broker, or the stream of a deployment."""

    broker: BrokerSettings | None
    root_url: str | None
    credentials: Mapping[str, Any] | None = field(default=None, repr=False)
    """Taskcluster credentials for the stream."""


def where(
    *,
    credentials: Mapping[str, Any] | None = None,
    url: str | None = None,
    hostname: str | None = None,
    port: int | None = None,
    vhost: str | None = None,
    amqps: bool | None = None,
    root_url: str | None = None,
    heartbeat: int = HEARTBEAT,
    environ: Mapping[str, str] | None = None,
) -> Where:
    """Return where messages come from.

    The first of these decides: `root_url`, `url`, `hostname`, PULSE_URL, PULSE_HOSTNAME, TASKCLUSTER_ROOT_URL. A URL
    that begins with http is a deployment's root URL. Arguments override the parts of a URL and the variables.

    Raises:
        PulseFailure: Something is missing or invalid; the message says what to pass.
    """
    environ = os.environ if environ is None else environ
    if not 1 <= heartbeat <= 65535 or heartbeat % 1:
        raise PulseFailure(f"heartbeat must be a number of seconds from 1 to 65535, not {heartbeat!r}")
    if credentials is not None and not is_mapping(credentials):
        raise PulseFailure(f"credentials must be a mapping, not {type(credentials).__name__}: {_HOW}")
    if url is not None:
        checked("URL of the broker", url, sys.maxsize, secret=True)
    if url is None and hostname is None and root_url is None:
        if is_broker_named(environ):
            url = environ.get("PULSE_URL") or None
        else:
            root_url = environ.get("TASKCLUSTER_ROOT_URL") or None
    if url is not None and url.startswith(("http://", "https://")):
        url, root_url = None, url
    if root_url is not None:
        return Where(None, root_url, credentials)
    given = {"hostname": hostname, "port": port, "vhost": vhost, "amqps": amqps, **_account(credentials)}
    found = _of_url(url) if url is not None else _of_environment(environ)
    found.update((name, value) for name, value in given.items() if value is not None)
    missing = [name for name in ("hostname", "username", "password") if not found.get(name)]
    if missing:
        raise PulseFailure(f"no {' and no '.join(missing)} for Pulse: {_HOW}")
    tls = bool(found.get("amqps", True))
    return Where(
        BrokerSettings(
            username=checked("user name", found["username"]),
            password=checked("password", found["password"], _LONGEST_PASSWORD, secret=True),
            hostname=_checked_host(found["hostname"]),
            port=_checked_port(_PORTS[tls] if found.get("port") is None else found["port"]),
            vhost=checked("vhost", found.get("vhost") or "/", _LONGEST_VHOST),
            tls=tls,
            heartbeat=heartbeat,
        ),
        None,
    )


def is_broker_named(environ: Mapping[str, str]) -> bool:
    """Return whether variables name a broker, so that the stream of a deployment is not the default."""
    return bool(environ.get("PULSE_URL") or environ.get("PULSE_HOSTNAME"))


def _checked_host(hostname: object) -> str:
    host = checked("hostname", hostname)
    try:
        # As the resolver does. The name of a certificate must not begin with a dot.
        host.encode("idna")
    except UnicodeError:
        invalid = True
    else:
        invalid = host.startswith(".")
    if invalid:
        raise PulseFailure(f"{host!r} is not a valid hostname")
    return host


def _checked_port(port: object) -> int:
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise PulseFailure(f"the port must be a number from 1 to 65535, not {port!r}")
    return port


def _account(credentials: Mapping[str, Any] | None) -> dict[str, Any]:
    if not credentials:
        return {}
    found = {name: credentials.get(name) for name in ("username", "password")}
    if None in found.values():
        raise PulseFailure(
            "credentials for Pulse must have username and password"
            f"{near_misses(credentials.keys() - found.keys(), found)}; those of Taskcluster, with clientId and "
            "accessToken, are for a local deployment: pass its root_url"
        )
    return found


def _of_url(url: str) -> dict[str, Any]:
    # Neither the URL nor what the parser says of it is shown, because it may hold the password.
    try:
        parts = urlsplit(url)
        port = parts.port
        encoded = (parts.username or "", parts.password or "", parts.path.removeprefix("/"))
        username, password, vhost = (unquote(each, errors="strict") for each in encoded)
    except ValueError:
        raise PulseFailure(
            "the URL of the broker is invalid: percent-encode / : @ # ? in user and password, as UTF-8"
        ) from None
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise PulseFailure(NOT_A_BROKER_URL)
    # Treeherder's way to write amqps.
    tls = parts.scheme == "amqps" or parse_qs(parts.query).get("ssl", [""])[0].lower() in _TRUE
    return {
        "hostname": parts.hostname,
        "port": port,
        "username": username,
        "password": password,
        "vhost": vhost,
        "amqps": tls,
    }


def _of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {name: environ[name_] for name, name_ in _VARIABLES.items() if environ.get(name_)}
    if "port" in found:
        if not found["port"].isdecimal():
            raise PulseFailure(f"PULSE_PORT must be a number, not {found['port']!r}")
        found["port"] = int(found["port"])
    if "amqps" in found:
        value = found["amqps"].strip().lower()
        if value not in _TRUE | _FALSE:
            raise PulseFailure(f"PULSE_AMQPS must be true or false, not {value!r}")
        found["amqps"] = value in _TRUE
    return found
