"""Options: unknown and invalid ones, copies, and reprs without secrets."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterFailure, UnknownOptionWarning
from taskcluster.options import (
    CREDENTIALS,
    DEFAULT_TIMEOUT,
    KNOWN_OPTIONS,
    Credentials,
    Options,
    normal_root_url,
    number_option,
    timeouts,
    user_agent_of,
)
from taskcluster.redacted import ClientOptions
from taskcluster.version import VERSION

ROOT = "https://tc.example.com"
SECRETS = {"clientId": "tester", "accessToken": "no-secret", "certificate": '{"version":1}'}


def test_the_defaults() -> None:
    options = Options(rootUrl=ROOT)
    assert options == {
        "rootUrl": ROOT,
        "credentials": {"clientId": None, "accessToken": None, "certificate": None},
        "maxRetries": 5,
        "signedUrlExpiration": 900,
        "delayFactor": 0.1,
        "randomizationFactor": 0.25,
        "maxDelay": 30.0,
        "maxResponseSize": 2**30,
    }
    assert isinstance(options, dict)


def test_keywords_override_the_mapping() -> None:
    assert Options({"rootUrl": ROOT, "maxRetries": 1}, maxRetries=2)["maxRetries"] == 2


def test_options_of_options_are_equal() -> None:
    options = Options({"rootUrl": ROOT, "credentials": SECRETS, "authorizedScopes": ["a"], "timeout": 3})
    assert Options(options) == options
    assert Options(options)["credentials"] is not options["credentials"]


@pytest.mark.parametrize(
    "name", ["maxRetries", "signedUrlExpiration", "delayFactor", "randomizationFactor", "maxDelay", "maxResponseSize"]
)
def test_none_means_the_default(name: str) -> None:
    assert Options({"rootUrl": ROOT, name: None})[name] == Options(rootUrl=ROOT)[name]


@pytest.mark.parametrize(
    ("root_url", "normal"),
    [
        ("https://tc.example.com", "https://tc.example.com"),
        ("https://tc.example.com/", "https://tc.example.com"),
        ("https://tc.example.com///", "https://tc.example.com"),
        ("http://taskcluster", "http://taskcluster"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ],
)
def test_trailing_slashes_of_the_root_url_are_removed(root_url: str, normal: str) -> None:
    assert normal_root_url(root_url) == normal
    assert Options(rootUrl=root_url)["rootUrl"] == root_url


@pytest.mark.parametrize(
    ("root_url", "message"),
    [
        (None, "rootUrl option is required"),
        ("", "rootUrl option is required"),
        ("tc.example.com", "http or https address"),
        ("ftp://tc.example.com", "http or https address"),
        ("https://", "http or https address"),
        ("https:///", "http or https address"),
        ("https://tc.example.com?x", "http or https address"),
        ("https://tc.example.com#x", "http or https address"),
        ("https://[::1", "http or https address"),
        ("https://::1]", "http or https address"),
        ("https://:80", "http or https address"),
        (" https://tc.example.com", "http or https address"),
        ("https://tc.example.com ", "http or https address"),
        ("https://tc.example.com\n", "http or https address"),
        ("https://tc.example .com", "http or https address"),
        ("https://tc.exa\tmple.com", "http or https address"),
        (b"https://tc.example.com", "must be a string, not bytes"),
    ],
)
def test_an_invalid_root_url_raises(root_url: Any, message: str) -> None:
    with pytest.raises(TaskclusterFailure, match=message):
        normal_root_url(root_url)


def test_error_of_a_missing_root_url_says_what_to_do() -> None:
    with pytest.raises(TaskclusterFailure, match="TASKCLUSTER_ROOT_URL"):
        Options()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rootURL": ROOT}, "did you mean 'rootUrl' instead of 'rootURL'"),
        ({"root_url": ROOT, "credentials": {}}, "did you mean 'rootUrl' instead of 'root_url'"),
        ({"rootUrl": ROOT, "baseUrl": ROOT}, "baseUrl option is no longer allowed: pass rootUrl"),
        ([("rootUrl", ROOT)], "options must be a mapping, not list: pass "),
        ("text", "options must be a mapping, not str: pass {'rootUrl': 'https://tc.example.com'}$"),
        ("https://me:secret@h.example", "not str: pass {'rootUrl': 'https://…@h.example'}$"),
    ],
)
def test_invalid_options_raise(options: Any, message: str) -> None:
    with pytest.raises(TaskclusterFailure, match=message):
        Options(options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rootURL", "unknown option 'rootURL' is ignored; did you mean 'rootUrl'"),
        ("max_retries", "did you mean 'maxRetries'"),
        ("credential", "did you mean 'credentials'"),
        ("zzz", "unknown option 'zzz' is ignored$"),
        ("accessToken", "unknown option 'accessToken' is ignored; pass it in the option credentials$"),
        (1, "unknown option 1 is ignored$"),
    ],
)
def test_an_unknown_option_warns_once_with_the_nearest(name: Any, message: str) -> None:
    with pytest.warns(UnknownOptionWarning, match=message) as caught:
        options = Options({"rootUrl": ROOT, name: "x"})
    assert [warning.filename for warning in caught] == [__file__]
    assert options[name] == "x"
    # Without another warning, which would be an error.
    assert Options(options) == options
    Options({"rootUrl": ROOT, "baseUrl": None})


def test_repr_shows_values_of_known_options() -> None:
    shown = repr(ClientOptions.copy_of(dict.fromkeys(KNOWN_OPTIONS, 123456)))
    assert shown.count("123456") == len(KNOWN_OPTIONS) - 1
    assert "'credentials': '…'" in shown


def test_class_options_are_known_to_the_class() -> None:
    assert Options.over({"zzz": 1, "maxRetries": 3}, {"rootUrl": ROOT, "zzz": 2}) == {
        **Options(rootUrl=ROOT, maxRetries=3),
        "zzz": 2,
    }


@pytest.mark.parametrize("make", [dict, MappingProxyType])
def test_credentials_become_bytes_in_a_copy(make: Any) -> None:
    given = dict(SECRETS)
    mine: Mapping[str, Any] = make(given)
    options = Options({"rootUrl": ROOT, "credentials": mine})
    assert options["credentials"] == {
        "clientId": b"tester",
        "accessToken": b"no-secret",
        "certificate": b'{"version":1}',
    }
    assert given == SECRETS


@pytest.mark.parametrize(
    "credentials",
    [
        *(None, {}, (), "", 0, {"a": "b"}, {1: 2}, {"task_credentials": True}),
        *({"clientId": "a"}, {"clientId": "", "accessToken": None}, {"clientId": 0}, {"accessToken": {}}),
        {"clientId": "a", "accessToken": b"b", "note": "ä"},
        {"clientId": "ä".encode(), "accessToken": b"\xff"},
    ],
)
def test_credentials_keep_other_keys_unchanged(credentials: Any) -> None:
    options = Options({"rootUrl": ROOT, "credentials": credentials})
    encoded = credentials and {
        name: value.encode() if name in CREDENTIALS and isinstance(value, str) and value else value
        for name, value in credentials.items()
    }
    assert options["credentials"] == encoded
    assert credentials is None or options["credentials"] is not credentials or not credentials


@pytest.mark.parametrize("value", [MagicMock(), Mock(), {"clientId": MagicMock()}])
@pytest.mark.parametrize("name", ["rootUrl", "credentials", "maxRetries", "authorizedScopes", "timeout", "validate"])
def test_mocks_are_accepted_as_options(name: str, value: Any) -> None:
    if name != "credentials" or not isinstance(value, Mock) or isinstance(value, MagicMock):
        Options({"rootUrl": ROOT, name: value})


@pytest.mark.parametrize("credentials", ["text", b"text", 1, True, ["clientId"], {"clientId"}, object()])
def test_credentials_of_another_type_raise(credentials: Any) -> None:
    with pytest.raises(TaskclusterAuthFailure, match="credentials must be a mapping") as caught:
        Options({"rootUrl": ROOT, "credentials": credentials})
    assert (caught.value.status_code, caught.value.code) == (401, "AuthenticationFailed")


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1, "must be a string or bytes, not int"),
        (True, "must be a string or bytes, not bool"),
        (bytearray(b"x"), "must be a string or bytes, not bytearray"),
        (object(), "must be a string or bytes, not object"),
        (["x"], "must be a string or bytes, not list"),
        ({"version": 1}, "must be a string or bytes, not dict"),
        ("ä", "contains characters that are not ASCII"),
        ("\ud800", "contains characters that are not ASCII"),
    ],
)
def test_a_credential_of_a_wrong_type_raises_without_its_value(name: str, value: Any, message: str) -> None:
    with pytest.raises(TaskclusterAuthFailure, match=f"{name} {message}") as caught:
        Options({"rootUrl": ROOT, "credentials": {**SECRETS, name: value}})
    assert "no-secret" not in str(caught.value)
    assert "ä" not in str(caught.value)
    assert (caught.value.status_code, caught.value.code) == (401, "AuthenticationFailed")


def test_authorized_scopes_are_copied_to_a_list() -> None:
    given = ["a"]
    options = Options({"rootUrl": ROOT, "authorizedScopes": given})
    given.append("b")
    assert options["authorizedScopes"] == ["a"]
    assert Options({"rootUrl": ROOT, "authorizedScopes": ("a", "b")})["authorizedScopes"] == ["a", "b"]
    assert Options({"rootUrl": ROOT, "authorizedScopes": iter(["a"])})["authorizedScopes"] == ["a"]
    assert Options({"rootUrl": ROOT, "authorizedScopes": []})["authorizedScopes"] == []
    assert Options({"rootUrl": ROOT, "authorizedScopes": "a"})["authorizedScopes"] == "a"


@pytest.mark.parametrize(
    ("timeout", "pair"),
    [(None, DEFAULT_TIMEOUT), (5, (5.0, 5.0)), (0.5, (0.5, 0.5)), ((1, 2), (1.0, 2.0)), ([1, 2], (1.0, 2.0))],
)
def test_timeout_is_one_number_or_connect_and_read(timeout: Any, pair: tuple[float, float]) -> None:
    assert timeouts(timeout) == pair


@pytest.mark.parametrize(
    "timeout",
    [
        *(0, -1, (1, 2, 3), (1,), ("1", "2"), "30", (1, None), object()),
        *(float("nan"), float("inf"), (1, float("inf")), (float("nan"), 1), 10**400),
    ],
)
def test_a_malformed_timeout_raises(timeout: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="timeout must be seconds"):
        timeouts(Options({"rootUrl": ROOT, "timeout": timeout})["timeout"])


def test_default_timeouts_are_finite_and_allow_claim_work() -> None:
    connect, read = DEFAULT_TIMEOUT
    assert 0 < connect <= 60
    assert 20 < read <= 120


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_repr_shows_no_secret(show: Any) -> None:
    options = Options({"rootUrl": ROOT, "credentials": SECRETS})
    for shown in (show(options), show(options["credentials"]), show(dict(options)), show([options])):
        assert "no-secret" not in shown
        assert "version" not in shown
        assert "tester" in shown


def test_repr_shows_no_secret_assigned_later() -> None:
    options = Options(rootUrl=ROOT)
    options["credentials"] = dict(SECRETS)
    assert "no-secret" not in repr(options)
    assert "version" not in repr(options)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda options: pickle.loads(pickle.dumps(options))])
def test_options_can_be_copied_and_pickled(again: Any) -> None:
    options = Options({"rootUrl": ROOT, "credentials": SECRETS, "maxRetries": 1})
    assert again(options) == options
    assert type(again(options)) is Options


@pytest.mark.parametrize("suffix", [5, b"robot", "robot\r\nX-Mine: 1", "robot…", "röbot", "a\tb", "\x7f"])
def test_an_invalid_user_agent_suffix_raises(suffix: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="userAgentSuffix must be a string of printable ASCII characters"):
        user_agent_of(Options({"rootUrl": ROOT, "userAgentSuffix": suffix}))


@pytest.mark.parametrize("suffix", [None, "", "robot/1.0 (+https://example.com)"])
def test_user_agent_suffix_is_printable_or_omitted(suffix: Any) -> None:
    assert user_agent_of({"userAgentSuffix": suffix}).endswith(suffix or VERSION)


def test_a_copy_of_credentials_is_equal_and_shows_no_secret() -> None:
    for mine in (SECRETS, {"clientId": 5, "access_token": "no-secret"}, Credentials(SECRETS)):
        made = Credentials.copy_of(mine)
        assert made == mine
        assert made is not mine
        assert "no-secret" not in repr(made)


def test_options_can_be_changed() -> None:
    options = Options(rootUrl=ROOT)
    options["rootUrl"] = "https://other.example.com"
    options["mine"] = 1
    assert options["rootUrl"] == "https://other.example.com"
    assert options["mine"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maxRetries", "5"),
        ("maxRetries", 1.5),
        ("maxRetries", -1),
        ("maxDelay", "x"),
        ("maxResponseSize", 1.5),
        ("signedUrlExpiration", -1),
    ]
    + [(name, value) for name in ("delayFactor", "maxDelay") for value in (float("nan"), float("inf"), 10**400)]
    + [("randomizationFactor", value) for value in (-0.1, 1.1, float("nan"))],
)
def test_a_malformed_number_raises(name: str, value: Any) -> None:
    with pytest.raises(TaskclusterFailure, match=f"the option {name} must be a .*(number|integer)"):
        number_option(Options({"rootUrl": ROOT, name: value}), name)
