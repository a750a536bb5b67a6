"""Causes of exceptions: of the HTTP library's class, without the request and the response."""

from __future__ import annotations

import http.client
import json
import pickle
import socket
import ssl
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
import urllib3.exceptions
from yarl import URL

import taskcluster
from taskcluster.causes import describe, explain, harmless, safe_cause, without_secrets
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.options import Credentials
from taskcluster.payloads import encode_payload
from taskcluster.transport.aiohttp import ConnectionFailed

SECRET = "hUnTeR2-secret"
SIGNED = f"https://me:{SECRET}@h/{SECRET}?signature={SECRET}"
POOL = urllib3.HTTPConnectionPool("h")
KEY = aiohttp.client_reqrep.ConnectionKey("h", 1, False, True, URL(SIGNED), None, None)
INFO = aiohttp.RequestInfo(URL(SIGNED), "GET", {"Authorization": SECRET}, URL(SIGNED))  # type: ignore[arg-type]
REFUSED = ConnectionRefusedError(111, "Connection refused")


def truncated() -> BaseException:
    try:
        json.loads(f'{{"a": "{SECRET}')
    except ValueError as exc:
        return exc
    raise AssertionError


def prepared() -> requests.PreparedRequest:
    return requests.Request("GET", SIGNED, headers={"Authorization": SECRET}).prepare()


@pytest.mark.parametrize(
    ("exc", "described"),
    [
        (
            requests.ConnectionError(urllib3.exceptions.MaxRetryError(POOL, SIGNED, REFUSED), request=prepared()),
            "ConnectionError: [Errno 111] Connection refused",
        ),
        (requests.ReadTimeout(f"{SIGNED} is slow", request=prepared()), "ReadTimeout: … is slow"),
        (requests.exceptions.InvalidURL(SIGNED), "InvalidURL"),
        (OSError(f"Tunnel connection failed: 407 {SECRET}"), "OSError: Tunnel connection failed: 407"),
        (aiohttp.ClientConnectorError(KEY, REFUSED), "ClientConnectorError: [Errno 111] Connection refused"),
        (aiohttp.ClientResponseError(INFO, (), status=400, message=SECRET), "ClientResponseError"),
        (aiohttp.ServerDisconnectedError(SECRET), "ServerDisconnectedError"),
        (aiohttp.InvalidURL(SIGNED), "InvalidURL"),
        (urllib3.exceptions.ProtocolError(SECRET, http.client.BadStatusLine(SECRET)), "ProtocolError: BadStatusLine"),
        (http.client.IncompleteRead(SECRET.encode(), 9), "IncompleteRead"),
        (UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET), "UnicodeDecodeError"),
        (socket.gaierror(-2, "Name or service not known"), "gaierror: [Errno -2] Name or service not known"),
        (ssl.SSLCertVerificationError(1, "not trusted"), "SSLCertVerificationError: ('not trusted',)"),
        (zlib.error(SECRET), "error"),
        (KeyError(SECRET), "KeyError"),
        (truncated(), "JSONDecodeError: Unterminated string starting at: line 1 column 7 (char 6)"),
        (harmless(aiohttp.ClientConnectionError("ours")), "ClientConnectionError: ours"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_safe_cause_has_the_class_and_no_secret(exc: BaseException, described: str) -> None:
    if not isinstance(exc, ssl.SSLError):
        assert describe(exc) == described
    safe = safe_cause(exc)
    assert type(safe) is type(exc)
    assert getattr(safe, "errno", None) == getattr(exc, "errno", None)
    shown = f"{safe} {safe!r} {safe.args!r} {vars(safe)!r}"
    again = pickle.dumps(ConnectionFailed("m", safe))
    assert SECRET not in shown + again.decode("latin-1")
    assert type(pickle.loads(again)) is ConnectionFailed
    assert (safe.__cause__, safe.__context__, safe.__traceback__) == (None, None, None)


@pytest.mark.parametrize(
    ("exc", "explained"),
    [
        (urllib3.exceptions.MaxRetryError(POOL, SIGNED, REFUSED), "m: Connection refused"),
        (
            aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, f"Connect call {SECRET}")),
            "m: Connection refused",
        ),
        (requests.exceptions.InvalidURL(SIGNED), "m: the URL is invalid"),
        (OSError(f"Tunnel connection failed: 407 {SECRET}"), "m: Tunnel connection failed: 407"),
        (aiohttp.ClientResponseError(INFO, (), status=400, message=SECRET), "m: the response is not valid HTTP"),
        (aiohttp.ServerDisconnectedError(SECRET), "m: the server closed the connection"),
        (urllib3.exceptions.ReadTimeoutError(POOL, SIGNED, SECRET), "m: timed out"),
        (socket.gaierror(-2, "Name or service not known"), "m: Name or service not known"),
        (ssl.SSLError(1, "[SSL: X] x (_ssl.c:1006)"), "m: [SSL: X] x"),
        (zlib.error(SECRET), "m: the response is not encoded as its headers state"),
        (KeyError(SECRET), "m"),
        (harmless(aiohttp.ClientConnectionError("ours")), "m: ours"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_explanations_name_no_class_and_no_secret(exc: BaseException, explained: str) -> None:
    assert explain("m", exc) == explained


def test_a_class_that_cannot_be_made_anew_is_named() -> None:
    class Picky(Exception):
        def __str__(self) -> str:
            return str(self.missing)  # type: ignore[attr-defined]

    assert str(safe_cause(Picky(SECRET))) == "Picky: Picky"


@pytest.mark.parametrize(
    "fail",
    [
        lambda path: Credentials({"clientId": "c", "accessToken": f"ä{SECRET}"}),
        lambda path: Credentials({"clientId": "c", "accessToken": [SECRET]}),
        lambda path: encode_payload("m", {"a": SECRET.encode() + b"\xff"}),
        lambda path: taskcluster.resolve_options(environ={}, config_file=path("x: [" + SECRET)),
        lambda path: taskcluster.resolve_options(environ={}, config_file=path(f"{SECRET}\udcff")),
    ],
)
def test_no_exception_before_a_request_holds_a_secret(fail: Callable[[Any], Any], tmp_path: Path) -> None:
    def written(text: str) -> Path:
        (tmp_path / "config.yml").write_bytes(text.encode("utf-8", "surrogateescape"))
        return tmp_path / "config.yml"

    with pytest.raises(TaskclusterFailure) as caught:
        fail(written)
    assert SECRET not in str(caught.value)
    context = caught.value.__context__
    assert context is None or SECRET not in f"{context!r} {vars(context)!r} {getattr(context, 'object', '')!r}"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("cannot read /etc/vault/config.json", "cannot read /etc/vault/config.json"),
        ("no policy for firefox-ci-production-credentials", "no policy for firefox-ci-production-credentials"),
        ("401 from https://me:pass@vault.example.com/v1?sig=x", "401 from …"),
        ("'accessToken': 'short'", "'accessToken': …"),
        ("password=a b\nc", "password=…"),
        ("bad: V1StGXR8_Z5jdHi6B-myTQ, expired", "bad: …, expired"),
    ],
    ids=["path", "name", "url", "key", "lines", "slug"],
)
def test_hides_secrets_in_messages_of_plugins(message: str, shown: str) -> None:
    assert without_secrets(message) == shown
