"""Invalid options that the constructor accepts and the first call rejects, before any request."""

from __future__ import annotations

import datetime
import json
import warnings
from typing import Any
from unittest import mock

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterFailure, UnknownOptionWarning

ROOT = "https://tc.example.com"
NOW = 1700000000
CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}


def temporary(start: int, expiry: int) -> dict[str, Any]:
    """Return temporary credentials; times in seconds from NOW."""
    certificate = {
        "version": 1,
        "seed": "s",
        "start": (NOW + start) * 1000,
        "expiry": (NOW + expiry) * 1000,
        "scopes": [],
        "signature": "",
    }
    return {**CREDENTIALS, "certificate": json.dumps(certificate)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rootUrl": "tc.example.com"}, "rootUrl must be an http or https address"),
        ({"rootUrl": b"https://tc.example.com"}, "rootUrl must be a string, not bytes"),
        ({"rootUrl": [ROOT]}, "rootUrl must be a string, not list"),
        ({"rootUrl": mock.MagicMock()}, "rootUrl must be a string, not MagicMock"),
        ({"rootUrl": "https://tc.example.com:99999"}, "port"),
        ({"maxRetries": "5"}, "maxRetries must be a non-negative integer"),
        ({"maxRetries": -1}, "maxRetries must be a non-negative integer"),
        ({"maxDelay": mock.Mock()}, "maxDelay must be a finite number"),
        ({"delayFactor": float("nan")}, "delayFactor must be a finite number"),
        ({"randomizationFactor": 2}, "randomizationFactor must be a number from 0 to 1"),
        ({"timeout": "30"}, "timeout must be seconds"),
        ({"userAgentSuffix": "a\r\nX-Mine: 1"}, "userAgentSuffix must be a string"),
        ({"authorizedScopes": "a", "credentials": CREDENTIALS}, "authorizedScopes must be a list"),
        ({"authorizedScopes": b"a", "credentials": CREDENTIALS}, "authorizedScopes must be a list"),
        ({"authorizedScopes": 5, "credentials": CREDENTIALS}, "authorizedScopes must be a list"),
        ({"authorizedScopes": [1], "credentials": CREDENTIALS}, "authorizedScopes must be a list"),
        ({"authorizedScopes": ["a\nb"], "credentials": CREDENTIALS}, "authorizedScopes must be a list"),
    ],
)
def test_an_option_is_checked_by_the_first_call(mode: Any, wire: Any, options: dict[str, Any], message: str) -> None:
    client = mode.widgets(**options)
    for _ in range(2):
        with pytest.raises(TaskclusterFailure, match=message):
            mode.run(client.ping())
    assert wire.sent == []
    if "rootUrl" in options:
        with pytest.raises(TaskclusterFailure, match=message):
            client.buildUrl("ping")
    else:
        assert client.buildUrl("ping") == f"{ROOT}/api/widgets/v1/ping"


def test_an_option_that_a_call_does_not_need_is_not_checked(mode: Any, wire: Any) -> None:
    client = mode.widgets(signedUrlExpiration="soon", authorizedScopes="a", exchangePrefix=5)
    wire.respond(200, {})
    mode.run(client.ping())
    client.options["credentials"] = CREDENTIALS
    client.options["authorizedScopes"] = ["a"]
    with pytest.raises(TaskclusterFailure, match="signedUrlExpiration must be a finite number"):
        client.buildSignedUrl("ping")


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        (temporary(-7200, -3600), "the temporary credentials expired at 2023-11-14T21:13:20Z"),
        (temporary(3600, 7200), "the temporary credentials are not valid before 2023-11-14T23:13:20Z"),
        ({**CREDENTIALS, "certificate": "nonsense"}, "not a JSON object"),
        ({**CREDENTIALS, "certificate": "{}"}, "lacks version"),
        ({"clientId": "tester"}, "accessToken missing"),
        ({"clientId": 'a"\n', "accessToken": "no-secret"}, "characters that are invalid in a header"),
        ({"clientId": "ä".encode(), "accessToken": "no-secret"}, "clientId contains characters that are not ASCII"),
        ({"clientId": mock.Mock(), "accessToken": "no-secret"}, "clientId must be a string or bytes, not Mock"),
        (mock.MagicMock(), "credentials must be a mapping"),
    ],
)
def test_unusable_credentials_fail_as_on_the_server(
    mode: Any, wire: Any, frozen: datetime.datetime, credentials: Any, message: str
) -> None:
    client = mode.widgets(credentials=credentials)
    for call in (client.ping, lambda: client.buildSignedUrl("ping")):
        with pytest.raises(TaskclusterAuthFailure, match=message) as caught:
            mode.run(call())
        assert (caught.value.status_code, caught.value.code) == (401, "AuthenticationFailed")
        assert caught.value.body == {"code": "AuthenticationFailed", "message": str(caught.value)}
    assert wire.sent == []


@pytest.mark.parametrize("credentials", [None, {}, {"clientId": ""}])
def test_a_signed_url_without_credentials_fails_as_on_the_server(mode: Any, credentials: Any) -> None:
    with pytest.raises(TaskclusterAuthFailure, match="needs credentials") as caught:
        mode.widgets(credentials=credentials).buildSignedUrl("ping")
    assert (caught.value.status_code, caught.value.code) == (401, "AuthenticationFailed")


def test_a_header_that_is_too_long_fails_as_on_the_server(mode: Any, wire: Any) -> None:
    client = mode.widgets(credentials=CREDENTIALS, authorizedScopes=["a" * 4000])
    with pytest.raises(TaskclusterAuthFailure, match="Authorization header would have") as caught:
        mode.run(client.ping())
    assert (caught.value.status_code, caught.value.code, wire.sent) == (401, "AuthenticationFailed", [])


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        (
            {"client_id": "a", "access_token": "b"},
            "'clientId' instead of 'client_id', 'accessToken' instead of 'access_token'",
        ),
        ({"clientID": "a"}, "'clientId' instead of 'clientID'"),
        ({"a": "b"}, "no clientId or accessToken or certificate$"),
        ({1: 2}, "no clientId or accessToken or certificate$"),
    ],
)
def test_credentials_of_unknown_keys_are_not_sent_and_warn_once(
    mode: Any, wire: Any, credentials: Any, message: str
) -> None:
    client = mode.widgets(credentials=credentials)
    wire.respond(200, {}, times=3)
    with pytest.warns(UnknownOptionWarning, match=message) as caught:
        mode.run(client.ping())
    assert [warning.filename for warning in caught] == [__file__ if mode.name == "sync" else mock.ANY]
    mode.run(client.ping())
    client.options["maxRetries"] = 1
    mode.run(client.ping())
    assert [sent.headers.get("Authorization") for sent in wire.sent] == [None] * 3


def test_calls_are_sent_although_their_warning_was_an_error(mode: Any, wire: Any) -> None:
    client = mode.widgets(credentials={"a": "b"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnknownOptionWarning):
            mode.run(client.ping())
    wire.respond(200, {})
    assert mode.run(client.ping()) == {}


def test_an_option_that_became_malformed_is_checked(mode: Any, wire: Any) -> None:
    client = mode.widgets()
    wire.respond(200, {})
    mode.run(client.ping())
    client.options["maxRetries"] = None
    del client.options["maxDelay"]
    wire.respond(200, {})
    mode.run(client.ping())
    for name, value in (("maxDelay", "x"), ("rootUrl", None)):
        client.options[name] = value
        with pytest.raises(TaskclusterFailure, match=name):
            mode.run(client.ping())
    del client.options["rootUrl"]
    with pytest.raises(TaskclusterFailure, match="rootUrl option is required"):
        client.buildUrl("ping")


def test_a_failure_made_by_a_program_has_the_published_default() -> None:
    assert taskcluster.TaskclusterAuthFailure("m").status_code == 500
