"""Temporary credentials, and the check of credentials before a request."""

from __future__ import annotations

import datetime
import json
import time
from base64 import b64decode
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from taskcluster.credentials import createTemporaryCredentials, isExpired, signer
from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterFailure

UTC = datetime.timezone.utc
START = datetime.datetime.fromtimestamp(1700000000, UTC)
HOUR = datetime.timedelta(hours=1)
CERTIFICATE: dict[str, Any] = {
    "version": 1,
    "seed": "A" * 44,
    "start": 1700000000000,
    "expiry": 1700003600000,
    "scopes": ["scope:a"],
    "signature": "c2lnbmF0dXJl",
}
FULL: dict[str, Any] = {"clientId": "tester", "accessToken": "no-secret", "certificate": json.dumps(CERTIFICATE)}


def create(**changes: Any) -> dict[str, Any]:
    arguments = {
        "clientId": "issuer",
        "accessToken": "no-secret",
        "start": START,
        "expiry": START + HOUR,
        "scopes": ["scope:a", "scope:b*"],
    }
    return createTemporaryCredentials(**{**arguments, **changes})


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcluster.slugs.slugId", lambda: "A" * 22)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(
    ("name", "client_id", "issuer", "signature"),
    [
        (None, "issuer", {}, "H0cJ2r9xDhKtMEatywort76xDCVjI7RGbywcqHf3nyI="),
        ("tmp/x", "tmp/x", {"issuer": "issuer"}, "MZsA3wS1gkiqBw6aLufq665F2hWgs29xoctTKGG6xvg="),
    ],
)
def test_temporary_credentials_match_known_values(
    name: str | None, client_id: str, issuer: dict[str, str], signature: str
) -> None:
    made = create(name=name)
    assert made["clientId"] == client_id
    assert made["accessToken"] == b"Cz41VmijILgiIPDFlGeYVh8XzvdMhlbmwB-DyPZhdpg"
    assert json.loads(made["certificate"]) == {
        "version": 1,
        "scopes": ["scope:a", "scope:b*"],
        "start": 1700000000000,
        "expiry": 1700003600000,
        "seed": "A" * 44,
        "signature": signature,
        **issuer,
    }


@pytest.mark.usefixtures("seeded")
def test_bytes_and_strings_make_the_same_credentials() -> None:
    assert create(clientId=b"issuer", accessToken=b"no-secret") == create()
    assert create(clientId=b"issuer", name="tmp/x") == create(name="tmp/x")


def test_each_certificate_has_a_new_seed_of_44_characters() -> None:
    seeds = {json.loads(create()["certificate"])["seed"] for _ in range(10)}
    assert len(seeds) == 10
    assert {len(seed) for seed in seeds} == {44}


@pytest.mark.usefixtures("seeded")
def test_dates_are_in_utc_or_converted_to_it() -> None:
    naive = {"start": START.replace(tzinfo=None), "expiry": (START + HOUR).replace(tzinfo=None)}
    east = datetime.timezone(datetime.timedelta(hours=5))
    assert create(**naive) == create(start=START.astimezone(east)) == create()


def test_at_most_31_days_are_allowed() -> None:
    longest = START + datetime.timedelta(days=31)
    assert create(expiry=longest)
    with pytest.raises(TaskclusterFailure, match="31 days"):
        create(expiry=longest + datetime.timedelta(seconds=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expiry": START - HOUR}, "expiry is before start"),
        ({"start": "now"}, "start must be a datetime"),
        ({"expiry": 1700003600}, "expiry must be a datetime"),
        ({"scopes": "scope:a"}, "list of scopes"),
        ({"scopes": [b"scope:a"]}, "list of scopes"),
        ({"scopes": None}, "list of scopes"),
        ({"scopes": ["scope:\n"]}, "list of scopes, which are strings of printable ASCII"),
        ({"scopes": ["scope:ä"]}, "list of scopes"),
        ({"name": "issuer"}, "must differ"),
        ({"name": b"issuer"}, "must differ"),
        ({"name": 5}, "name must be text or bytes"),
        ({"clientId": None}, "clientId must be text or bytes"),
        ({"clientId": b"\xff"}, "clientId must be text or bytes, of ASCII"),
        ({"accessToken": None}, "accessToken must be text or bytes"),
        ({"accessToken": ""}, "accessToken must be text or bytes, of ASCII characters and not empty"),
        ({"accessToken": "ä"}, "accessToken must be text or bytes, of ASCII"),
    ],
)
def test_invalid_temporary_credentials_raise(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskclusterFailure, match=message) as caught:
        create(**changes)
    assert "ä" not in str(caught.value)


@pytest.mark.usefixtures("seeded")
def test_scopes_may_be_an_iterator_and_the_name_bytes() -> None:
    assert create(scopes=(scope for scope in ("scope:a", "scope:b*"))) == create()
    assert create(name=b"tmp/x") == create(name="tmp/x")


def test_errors_do_not_show_the_access_token() -> None:
    with pytest.raises(TaskclusterFailure) as caught:
        create(start=None)
    assert "no-secret" not in repr(caught.value)


@pytest.mark.parametrize(("minutes", "expired"), [(0, True), (19, True), (20, False), (60, False)])
@pytest.mark.parametrize("form", ["text", "bytes", "mapping"])
def test_is_expired_20_minutes_before_expiry(minutes: int, expired: bool, form: str) -> None:
    expiry = int((START + datetime.timedelta(minutes=minutes)).timestamp() * 1000)
    certificate: Any = {**CERTIFICATE, "expiry": expiry}
    if form != "mapping":
        certificate = json.dumps(certificate)
    assert isExpired(certificate.encode() if form == "bytes" else certificate, START) is expired


def test_is_expired_defaults_to_the_current_time(frozen: datetime.datetime) -> None:
    assert isExpired({**CERTIFICATE, "expiry": 1700000000000 + 19 * 60000})
    assert not isExpired({**CERTIFICATE, "expiry": 1700000000000 + 21 * 60000})


def test_is_expired_takes_dates_without_a_zone_as_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        for now in (START, START.replace(tzinfo=None)):
            assert isExpired({**CERTIFICATE, "expiry": 1700000000000 + 19 * 60000}, now)
            assert not isExpired({**CERTIFICATE, "expiry": 1700000000000 + 21 * 60000}, now)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_is_expired_raises_for_an_invalid_certificate() -> None:
    with pytest.raises(TaskclusterAuthFailure, match="not a JSON object"):
        isExpired("nonsense")


def ext(credentials: dict[str, Any], scopes: list[str] | None = None) -> Any:
    """Return the extension that the signer of these credentials sends."""
    checked = signer(credentials, scopes)
    assert checked is not None
    header = checked.at(1700000000).header("GET", "/", "tc.example.com", "443", "", 1700000000, "n")
    _, found, rest = header.partition('ext="')
    return json.loads(b64decode(rest.partition('"')[0])) if found else None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "has a version other than 1"),
        ({"version": "1"}, "has a version other than 1"),
        ({"version": True}, "has a version other than 1"),
        ({"scopes": "scope:a"}, "is malformed: the scopes must be a list"),
        ({"scopes": None}, "is malformed: the scopes must be a list"),
        ({"scopes": [1]}, "is malformed: the scopes must be a list"),
        (
            {"scopes": ["a\n"]},
            "is malformed: the scopes must be a list of scopes, which are strings of printable ASCII",
        ),
        ({"start": True}, "start that is not a date"),
    ],
)
def test_an_invalid_certificate_raises_without_its_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskclusterAuthFailure, match=message) as caught:
        signer({**FULL, "certificate": json.dumps({**CERTIFICATE, **changes})}, None)
    assert CERTIFICATE["signature"] not in str(caught.value)


@pytest.mark.parametrize("scopes", ["abc", b"abc", [1], {"a": 1}, ["ä"]])
def test_invalid_authorized_scopes_raise(scopes: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="the option authorizedScopes must be a list of scopes"):
        signer(FULL, scopes)


@pytest.mark.parametrize("credentials", [{}, {"clientId": None}, {"clientId": "", "accessToken": ""}])
def test_signer_is_none_without_credentials(credentials: dict[str, Any]) -> None:
    assert signer(credentials, None) is None
    assert signer(credentials, ["a"]) is None


def test_permanent_credentials_have_no_ext() -> None:
    assert ext({"clientId": "tester", "accessToken": "no-secret"}) is None


@pytest.mark.parametrize("form", [str, str.encode])
def test_ext_holds_the_certificate_as_an_object(form: Any) -> None:
    assert ext({**FULL, "certificate": form(FULL["certificate"])}) == {"certificate": CERTIFICATE}


@pytest.mark.parametrize("scopes", [[], ["a", "b"]])
def test_ext_holds_authorized_scopes_even_if_empty(scopes: list[str]) -> None:
    assert ext({"clientId": "tester", "accessToken": "no-secret"}, scopes) == {"authorizedScopes": scopes}
    assert ext(FULL, scopes) == {"certificate": CERTIFICATE, "authorizedScopes": scopes}


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"clientId": "x"}, "clientId given, accessToken missing"),
        ({"accessToken": "x"}, "accessToken given, clientId missing"),
        ({"certificate": "{}"}, "certificate given, clientId, accessToken missing"),
        ({**FULL, "certificate": "nonsense"}, "not a JSON object"),
        ({**FULL, "certificate": "[]"}, "not a JSON object"),
        ({**FULL, "certificate": "{}"}, "lacks version, seed, start, expiry, scopes, signature"),
        ({**FULL, "certificate": json.dumps({**CERTIFICATE, "expiry": "soon"})}, "expiry that is not a date"),
        ({**FULL, "certificate": json.dumps({**CERTIFICATE, "start": None})}, "start that is not a date"),
        ({**FULL, "certificate": json.dumps({**CERTIFICATE, "start": 1700000000000000})}, "start that is not a date"),
        ({**FULL, "certificate": json.dumps({**CERTIFICATE, "expiry": -1})}, "expiry that is not a date"),
        ({**FULL, "clientId": "ä"}, "clientId contains characters that are not ASCII"),
        ({**FULL, "accessToken": "ä".encode()}, "accessToken contains characters that are not ASCII"),
        ({**FULL, "accessToken": 1}, "accessToken must be a string or bytes, not int"),
        ({**FULL, "accessToken": Mock()}, "accessToken must be a string or bytes, not Mock"),
        ({**FULL, "certificate": 1}, "certificate must be a string or bytes, not int"),
        ({**FULL, "certificate": {}, "clientId": "é"}, "clientId contains"),
        ({**FULL, "certificate": {"a": 1}}, r"not dict: pass json\.dumps\(certificate\)"),
        (
            {"clientId": "x", "access_token": "y"},
            "missing; did you mean 'accessToken' instead of 'access_token'",
        ),
        ("text", "must be a mapping with clientId and accessToken, not str"),
        (MagicMock(), "must be a mapping with clientId and accessToken, not MagicMock"),
    ],
)
def test_error_names_the_missing_part_of_credentials(credentials: Any, message: str) -> None:
    with pytest.raises(TaskclusterAuthFailure, match=message) as caught:
        signer(credentials, None)
    assert (caught.value.status_code, caught.value.code) == (401, "AuthenticationFailed")


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (-301, "not valid before 2023-11-14T22:13:20Z"),
        (-299, None),
        (0, None),
        (3600 + 299, None),
        (3600 + 301, "expired at 2023-11-14T23:13:20Z"),
    ],
)
def test_credentials_are_valid_for_5_minutes_of_clock_drift(seconds: int, message: str | None) -> None:
    checked = signer(FULL, None)
    assert checked is not None
    if message is None:
        assert checked.at(1700000000 + seconds)
    else:
        with pytest.raises(TaskclusterAuthFailure, match=message):
            checked.at(1700000000 + seconds)
