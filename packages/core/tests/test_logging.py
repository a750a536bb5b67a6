"""No log record, repr or error shows a secret, a header, a signed URL or a complete payload."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import taskcluster
from taskcluster.exceptions import TaskclusterFailure

TOKEN = "tOkEn-secret-tOkEn"
SEED = "sEeD-secret-sEeD"
PAYLOAD = "pAyLoAd-secret-pAyLoAd"
HOOK = "hOoK-secret-hOoK"
CERTIFICATE = {
    "version": 1,
    "seed": SEED,
    "start": 0,
    "expiry": 253402300799000,
    "scopes": ["scope:secret"],
    "signature": "c2VjcmV0",
}
CREDENTIALS = {"clientId": "tester", "accessToken": TOKEN, "certificate": json.dumps(CERTIFICATE)}


class Everything(logging.Handler):
    """Keeps each record as a string in every form that a formatter can produce."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()}\n{record.__dict__!r}\n"
        if record.exc_info:
            self.text += "".join(traceback.format_exception(*record.exc_info))


@pytest.fixture
def log() -> Iterator[Everything]:
    """All records of all loggers at DEBUG."""
    handler = Everything()
    names = [
        None,
        "taskcluster",
        "urllib3",
        "requests",
        "aiohttp",
        "aiohttp.client",
        "asyncio",
        "mohawk",
        "mohawk.base",
    ]
    loggers = [logging.getLogger(name) for name in names]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)


def secrets_in(text: str, *further: str) -> list[str]:
    known = [TOKEN, SEED, PAYLOAD, "c2VjcmV0", "mac=", "Hawk id", "bewit=", *further]
    return [secret for secret in known if secret in text]


def spoken(failure: BaseException) -> str:
    """Return the messages and arguments of an exception and its causes."""
    chain = "".join(traceback.format_exception(type(failure), failure, None))
    return f"{chain} {failure!r} {failure} {failure.args!r} {vars(failure)!r}"


def outcomes(mode: Any, wire: Any) -> Iterator[Callable[[], Any]]:
    """Yield calls with each kind of outcome."""
    widgets = mode.widgets(credentials=CREDENTIALS, authorizedScopes=["scope:secret"], maxRetries=1)

    def press(**keywords: Any) -> Any:
        return mode.run(widgets.triggerWidget("w", HOOK, {"secret": PAYLOAD}, **keywords))

    for script in (
        lambda: wire.respond(200, {"a": 1}),
        lambda: wire.respond(204),
        lambda: wire.respond(200, b"binary", content_type=None),
        lambda: wire.respond(500).respond(200, {}),
        lambda: wire.respond(429, headers={"Retry-After": "0"}).respond(200, {}),
        lambda: wire.respond(404, {"message": "no", "code": "ResourceNotFound"}),
        lambda: wire.respond(404, b"<html>"),
        lambda: wire.respond(401, {"message": "Bad mac"}),
        lambda: wire.respond(200, b"{"),
        lambda: wire.respond(502, b"bad", times=2),
        lambda: wire.refuse(times=2),
        lambda: wire.stall(times=2),
    ):
        script()
        yield press
    yield lambda: press(nonsense=1)
    yield lambda: mode.run(widgets.triggerWidget("w", HOOK))
    yield lambda: mode.run(widgets.triggerWidget("w", HOOK, {"secret": PAYLOAD, "x": {1}}))


def test_no_record_of_any_logger_holds_a_secret(mode: Any, wire: Any, log: Everything) -> None:
    for call in outcomes(mode, wire):
        try:
            call()
        except TaskclusterFailure:
            logging.getLogger("program").debug("failed", exc_info=True)
    assert "widgets.triggerWidget: attempt 1: status 200" in log.text
    assert "failed" in log.text
    assert not secrets_in(log.text, HOOK)


def test_no_failure_says_a_secret(mode: Any, wire: Any) -> None:
    said = 0
    for call in outcomes(mode, wire):
        try:
            call()
        except TaskclusterFailure as failure:
            said += 1
            text = spoken(failure) + spoken(pickle.loads(pickle.dumps(failure)))
            assert not secrets_in(text, HOOK)
    assert said == 10


@pytest.mark.parametrize(
    "credentials",
    [
        {**CREDENTIALS, "clientId": None},
        {"accessToken": TOKEN},
        {**CREDENTIALS, "certificate": f"{{{SEED}"},
        {**CREDENTIALS, "certificate": json.dumps({"seed": SEED})},
        {**CREDENTIALS, "certificate": {**CERTIFICATE, "expiry": 1}},
        {**CREDENTIALS, "certificate": {**CERTIFICATE, "start": 253402300799000}},
        {**CREDENTIALS, "accessToken": f"ä{TOKEN}"},
        {**CREDENTIALS, "accessToken": [TOKEN]},
        {**CREDENTIALS, "clientId": 'quoted"'},
        [TOKEN],
    ],
)
def test_no_failure_about_credentials_says_them(mode: Any, wire: Any, log: Everything, credentials: Any) -> None:
    with pytest.raises(TaskclusterFailure) as caught:
        mode.run(mode.widgets(credentials=credentials).ping())
    assert not secrets_in(spoken(caught.value) + log.text)
    assert wire.sent == []


def test_a_signed_url_is_not_logged(mode: Any, log: Everything) -> None:
    assert "bewit=" in mode.widgets(credentials=CREDENTIALS).buildSignedUrl("widget", "w")
    assert not secrets_in(log.text)


def test_temporary_credentials_are_not_logged(log: Everything) -> None:
    made = taskcluster.createTemporaryCredentials(
        "issuer", TOKEN, taskcluster.fromNow("0 s"), taskcluster.fromNow("1 hour"), ["scope:secret"]
    )
    assert not secrets_in(log.text, made["accessToken"].decode(), json.loads(made["certificate"])["signature"])


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_client_options_and_credentials_show_no_secret(mode: Any, wire: Any, show: Callable[[Any], str]) -> None:
    wire.respond(200, {})
    widgets = mode.widgets(credentials=CREDENTIALS)
    mode.run(widgets.ping())
    things = [widgets, widgets.options, widgets.options["credentials"], taskcluster.Options(widgets.options)]
    shown = " ".join(map(show, [*things, things, vars(widgets)["options"]]))
    assert not secrets_in(shown)


def test_events_for_observers_hold_no_secret(mode: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from taskcluster.registry import registry

    events: list[Any] = []
    monkeypatch.setattr(registry, "observer", lambda: events.append)
    for call in outcomes(mode, wire):
        try:
            call()
        except TaskclusterFailure:
            continue
    assert events
    assert not secrets_in(repr(events), HOOK)


def test_an_observer_that_fails_reveals_nothing_in_the_log(
    mode: Any, wire: Any, log: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from taskcluster import registry

    def fail(event: Any) -> None:
        raise RuntimeError("no room for metrics")

    broken = SimpleNamespace(function=fail, argnames=("event",), plugin_name="broken")
    monkeypatch.setattr(registry.registry, "observer", lambda: lambda event: registry._observe((broken,), event))
    wire.respond(200, {"a": 1})
    assert mode.run(mode.widgets(credentials=CREDENTIALS).makeWidget("w", {"secret": PAYLOAD})) == {"a": 1}
    assert "no room for metrics" in log.text
    assert not secrets_in(log.text)


def test_records_go_to_loggers_under_taskcluster(mode: Any, wire: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "taskcluster")
    wire.respond(500).respond(200, {})
    mode.run(mode.widgets().ping())
    ours = [record for record in caplog.records if record.name.partition(".")[0] == "taskcluster"]
    assert [record.getMessage() for record in ours] == [
        "widgets.ping: attempt 1: status 500",
        "widgets.ping: status 500; next attempt in 0.0 s",
        "widgets.ping: attempt 2: status 200",
    ]


def test_asyncios_debug_mode_shows_no_secret_of_a_running_call(wire: Any, log: Everything, reference: Any) -> None:
    wire.respond(200, {})
    widgets: Any = taskcluster.aio.createApiClient("Widgets", reference)(
        {"rootUrl": "https://tc.example.com", "credentials": CREDENTIALS}
    )

    async def call() -> str:
        task = asyncio.ensure_future(widgets.makeWidget("w", {"secret": PAYLOAD}))
        shown = repr(task)
        await task
        return shown + repr(task)

    assert not secrets_in(asyncio.run(call(), debug=True) + log.text)
