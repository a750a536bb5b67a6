"""The procedure of a call, run without a clock, randomness or a network."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from taskcluster.arguments import bind
from taskcluster.call import Call, CallContext, Settings, build, paginate, perform
from taskcluster.credentials import signer
from taskcluster.effects import Invoke, Request, Response, Sleep
from taskcluster.exceptions import (
    TaskclusterAuthFailure,
    TaskclusterConnectionError,
    TaskclusterFailure,
    TaskclusterRestFailure,
)
from taskcluster.hawk import EMPTY_PAYLOAD_HASH, payload_hash
from taskcluster.options import Options
from taskcluster.request_event import RequestEvent
from taskcluster.spec import Method
from taskcluster.urls import endpoint

ROOT = "https://tc.example.com"
PERMANENT = {"clientId": "tester", "accessToken": "no-secret"}


class ServerFailed(TaskclusterRestFailure):
    """The class that the tests set for server failures."""


class World:
    """A clock, a random number and nonces that the test controls."""

    def __init__(self) -> None:
        self.time = 1700000000.0
        self.chance = 0.5
        self.nonces = iter(f"n{number}" for number in range(100))
        self.events: list[RequestEvent] = []

    def now(self) -> float:
        return self.time

    def context(self, *, observed: bool = True) -> CallContext:
        return CallContext(
            now=self.now,
            monotonic=self.now,
            random=lambda: self.chance,
            nonce=lambda: next(self.nonces),
            observe=self.events.append if observed else None,
            server_failure=ServerFailed,
        )


@pytest.fixture
def world() -> World:
    return World()


METHOD = {"name": "widget", "method": "get", "route": "/widget/<id>", "args": ["id"], "query": ["limit"]}
TRIGGER = {
    "name": "trigger",
    "method": "post",
    "route": "/widget/<id>/trigger/<token>",
    "args": ["id", "token"],
    "input": "v1/trigger.json#",
}


def make_call(
    *args: Any,
    entry: dict[str, Any] = METHOD,
    credentials: dict[str, Any] | None = None,
    given_session: bool = False,
    options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Call:
    method = Method.from_entry(entry)
    settings = Settings.of(
        Options({"rootUrl": ROOT, **(options or {})}),
        endpoint(ROOT, "widgets", "v1"),
        signer(credentials or {}, None),
        given_session=given_session,
    )
    return build("widgets", method, bind(method, args or ("w",), kwargs), settings)


def respond(status: int, body: Any = None, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"Content-Type": "application/json", **named}, raw, lambda: "the library's response")


def drive(
    procedure: Any, *responses: Response | TaskclusterConnectionError, world: World | None = None
) -> tuple[Any, list[Any]]:
    """Run a procedure with these responses; return its result and its effects."""
    effects: list[Any] = []
    script = list(responses)
    try:
        effect = next(procedure)
        while True:
            effects.append(effect)
            reply = None
            if isinstance(effect, Request):
                if world is not None:
                    world.time += 2
                reply = script.pop(0)
                if isinstance(reply, TaskclusterConnectionError):
                    effect = procedure.throw(reply)
                    continue
            effect = procedure.send(reply)
    except StopIteration as stop:
        assert not script
        return stop.value, effects


def outcome(*responses: Response | TaskclusterConnectionError, world: World, call: Call | None = None) -> Any:
    return drive(perform(call or make_call(), world.context()), *responses)[0]


# requests


def test_sends_no_authorization_without_credentials(world: World) -> None:
    request = make_call("a/b", limit=5).request(world.context())
    assert (request.method, request.url) == ("GET", f"{ROOT}/api/widgets/v1/widget/a%2Fb?limit=5")
    assert request.headers == {}
    assert request.body is None


def test_sends_the_payload_as_compact_json_and_signs_its_hash(world: World) -> None:
    call = make_call("w", "t", {"a": [1, 2]}, entry=TRIGGER, credentials=PERMANENT)
    request = call.request(world.context())
    assert request.body == b'{"a":[1,2]}'
    assert request.headers["Content-Type"] == "application/json"
    assert f'hash="{payload_hash(request.body, "application/json")}"' in request.headers["Authorization"]


def test_signs_path_and_query_as_they_are_sent(world: World) -> None:
    call = make_call("a/b", limit=5, credentials=PERMANENT)
    signed = signer(PERMANENT, None)
    assert signed is not None
    expected = signed.at(world.time).header(
        "GET", "/api/widgets/v1/widget/a%2Fb?limit=5", "tc.example.com", "443", EMPTY_PAYLOAD_HASH, world.time, "n0"
    )
    assert call.request(world.context()).headers == {"Authorization": expected}


@pytest.mark.parametrize(
    ("given_session", "timeout", "expected"),
    [
        (False, None, (30.0, 60.0)),
        (False, 5, (5.0, 5.0)),
        (False, (1, 2), (1.0, 2.0)),
        (True, None, None),
        (True, (1, 2), (1.0, 2.0)),
    ],
)
def test_option_timeout_overrides_that_of_the_callers_session(
    given_session: bool, timeout: Any, expected: Any, world: World
) -> None:
    call = make_call(given_session=given_session, options={"timeout": timeout})
    assert call.request(world.context()).timeout == expected


# results and errors


@pytest.mark.parametrize(
    ("response", "value"),
    [
        (respond(200, {"a": 1}), {"a": 1}),
        (respond(200, []), []),
        (respond(200, 0), 0),
        (respond(200, b"null"), None),
        (respond(201, None), {"response": "the library's response"}),
        (respond(204), None),
        (respond(204, b"noise"), None),
        (respond(200, {"a": 1}, Content_Type="text/plain"), {"a": 1}),
        (respond(303, {"url": "https://x.example"}), {"url": "https://x.example"}),
        (respond(200, '{"a": "ä"}'.encode("utf-8-sig"), Content_Type="application/json"), {"a": "ä"}),
        (respond(200, '{"a": "ä"}'.encode("utf-16"), Content_Type="application/json; charset=utf-16"), {"a": "ä"}),
        (respond(200, "ä".encode(), Content_Type="text/plain"), {"response": "the library's response"}),
        (respond(200, b"\x89PNG\xff", Content_Type="image/png"), {"response": "the library's response"}),
        (respond(303, b"See other", Content_Type="text/plain"), {"response": "the library's response"}),
        (respond(303, b"", Location="https://x.example"), {"response": "the library's response"}),
        (respond(200, b"", Content_Type="application/json"), {"response": "the library's response"}),
    ],
)
def test_returns_json_none_or_the_response(response: Response, value: Any, world: World) -> None:
    assert outcome(response, world=world) == value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("https://tc.example.com:8443/t0ken?sig=t0ken", "to https://tc.example.com:8443 with .* to that"),
        ("https://u:t0ken@tc.example.org/", "to https://tc.example.org with .* to that"),
        (f"{ROOT}/t0ken", f"to {ROOT} with .* which is {ROOT}$"),
        ("/t0ken", f"to {ROOT} with .* which is {ROOT}$"),
        ("http://[t0ken", f"to {ROOT} with .* which is {ROOT}$"),
        ("", f"to {ROOT} with .* which is {ROOT}$"),
    ],
)
def test_raises_with_hint_when_a_write_is_redirected(status: int, location: str, hint: str, world: World) -> None:
    call = make_call("w", "t0ken", {"a": 1}, entry=TRIGGER)
    with pytest.raises(TaskclusterRestFailure, match=hint) as caught:
        outcome(respond(status, {"url": "x"}, Location=location), world=world, call=call)
    assert (caught.value.status_code, caught.value.body) == (status, {"url": "x"})
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", "application/x+json"])
@pytest.mark.parametrize("body", [b"<html>", b'{"a":', b"\xff", b"[" * 100000])
def test_raises_when_a_json_response_is_invalid(media_type: str, body: bytes, world: World) -> None:
    with pytest.raises(
        TaskclusterRestFailure, match=r"widgets\.widget: the response with status 200 has a JSON"
    ) as caught:
        outcome(respond(200, body, Content_Type=media_type), world=world)
    assert caught.value.status_code == 200
    assert caught.value.__cause__ is caught.value.superExc
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 424])
def test_raises_rest_failure_after_one_request(status: int, world: World) -> None:
    body = {"code": "Some", "message": "no", "requestInfo": {}}
    with pytest.raises(TaskclusterRestFailure) as caught:
        outcome(respond(status, body), world=world)
    assert type(caught.value) is TaskclusterRestFailure
    assert (caught.value.status_code, caught.value.body, str(caught.value)) == (status, body, "no")


def test_raises_auth_failure_after_one_request_for_401(world: World) -> None:
    with pytest.raises(TaskclusterAuthFailure, match=r"^Bad mac$") as caught:
        outcome(respond(401, {"message": "Bad mac"}), world=world)
    assert caught.value.status_code == 401
    assert caught.value.body == {"message": "Bad mac"}


@pytest.mark.parametrize(
    ("body", "kept", "text"),
    [
        (b"<html>\n<h1>Not\tFound</h1>", {}, "<html> <h1>Not Found</h1>"),
        (b"", {}, "the response has no body"),
        ({"error": "Not found"}, {"error": "Not found"}, '{"error": "Not found"}'),
        ({"message": None}, {"message": None}, '{"message": null}'),
        ({"message": ""}, {"message": ""}, '{"message": ""}'),
        (["x"], ["x"], '["x"]'),
        (b"\xff\xfe", {}, "\ufffd\ufffd"),
        (b"[" * 100000, {}, "[" * 200 + "…"),
        (b"x" * 5000, {}, "x" * 200 + "…"),
    ],
)
def test_errors_without_a_message_show_an_excerpt(body: Any, kept: Any, text: str, world: World) -> None:
    with pytest.raises(TaskclusterRestFailure) as caught:
        outcome(respond(404, body), world=world)
    assert str(caught.value) == f"widgets.widget (GET /widget/w) failed with status 404: {text}"
    assert caught.value.body == kept


def test_errors_hold_no_token_of_a_path(world: World) -> None:
    with pytest.raises(TaskclusterRestFailure) as caught:
        outcome(respond(404), world=world, call=make_call("w", "hook-token", {}, entry=TRIGGER))
    assert "hook-token" not in str(caught.value)
    assert "POST /widget/<id>/trigger/<token>" in str(caught.value)


# retries

CONNECTION = TaskclusterConnectionError("refused", OSError("refused"))
AGAIN: list[Response | TaskclusterConnectionError] = [
    respond(500),
    respond(503, {"message": "busy"}),
    respond(429),
    CONNECTION,
]


@pytest.mark.parametrize("first", AGAIN)
def test_retries_temporary_failures_after_a_delay(first: Response | TaskclusterConnectionError, world: World) -> None:
    value, effects = drive(perform(make_call(), world.context()), first, respond(200, {"a": 1}))
    assert value == {"a": 1}
    assert [type(effect) for effect in effects] == [Request, Sleep, Request]
    assert effects[1].seconds == pytest.approx(0.1)


def test_delays_double_and_vary_at_random(world: World) -> None:
    world.chance = 1.0
    _, effects = drive(perform(make_call(), world.context()), *[respond(500)] * 5, respond(200, {}))
    delays = [effect.seconds for effect in effects if isinstance(effect, Sleep)]
    assert delays == pytest.approx([0.125, 0.25, 0.5, 1.0, 2.0])


@pytest.mark.parametrize("max_retries", [0, 1, 5])
@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        (respond(500, {"message": "broken"}), ServerFailed),
        (respond(429, {"message": "broken"}), TaskclusterRestFailure),
        (TaskclusterConnectionError("broken", None), TaskclusterConnectionError),
    ],
)
def test_raises_the_last_failure_after_the_last_retry(
    max_retries: int, failing: Any, kind: type[TaskclusterFailure], world: World
) -> None:
    call = make_call(options={"maxRetries": max_retries})
    with pytest.raises(kind, match=r"^broken$") as caught:
        outcome(*[failing] * (max_retries + 1), world=world, call=call)
    assert type(caught.value) is kind
    assert len(world.events) == max_retries + 1


def test_signs_each_attempt_with_a_new_time_and_nonce(world: World) -> None:
    procedure = perform(make_call(credentials=PERMANENT), world.context())
    _, effects = drive(procedure, respond(500), respond(500), respond(200, {}), world=world)
    headers = [effect.headers["Authorization"] for effect in effects if isinstance(effect, Request)]
    for number, header in enumerate(headers):
        assert f'nonce="n{number}"' in header
        assert f'ts="{1700000000 + 2 * number}"' in header
    assert len({effect.url for effect in effects if isinstance(effect, Request)}) == 1


def test_raises_when_credentials_expire_between_attempts(world: World) -> None:
    certificate = {
        "version": 1,
        "seed": "s",
        "start": 1699990000000,
        "expiry": 1700000000000,
        "scopes": [],
        "signature": "",
    }
    call = make_call(credentials={**PERMANENT, "certificate": json.dumps(certificate)})
    procedure = perform(call, world.context())
    next(procedure)
    assert isinstance(procedure.send(respond(500)), Sleep)
    world.time += 301
    with pytest.raises(TaskclusterAuthFailure, match="expired"):
        procedure.send(None)


@pytest.mark.parametrize(
    ("header", "delay"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("3600", 30.0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("soon", 0.1),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_waits_as_long_as_retry_after_requests_up_to_the_limit(
    status: int, header: str, delay: float, world: World
) -> None:
    first = respond(status, Retry_After=header)
    _, effects = drive(perform(make_call(), world.context()), first, respond(200, {}))
    assert effects[1].seconds == pytest.approx(delay)


def test_ignores_retry_after_with_other_statuses(world: World) -> None:
    _, effects = drive(perform(make_call(), world.context()), respond(500, Retry_After="7"), respond(200, {}))
    assert effects[1].seconds == pytest.approx(0.1)


def test_other_exceptions_end_the_call(world: World) -> None:
    procedure = perform(make_call(), world.context())
    next(procedure)
    with pytest.raises(KeyboardInterrupt):
        procedure.throw(KeyboardInterrupt())


# observers and logs


def test_observers_are_called_for_each_attempt(world: World) -> None:
    call = make_call("w", "t", {"a": 1}, entry=TRIGGER)
    drive(perform(call, world.context()), CONNECTION, respond(502, b"bad"), respond(200, {"a": 1}), world=world)
    assert world.events == [
        RequestEvent("widgets", "trigger", 1, None, 2.0, 7, 0, "TaskclusterConnectionError"),
        RequestEvent("widgets", "trigger", 2, 502, 2.0, 7, 3, None),
        RequestEvent("widgets", "trigger", 3, 200, 2.0, 7, 8, None),
    ]


def test_works_without_observers(world: World) -> None:
    drive(perform(make_call(), world.context(observed=False)), respond(200, {}))
    assert world.events == []


def test_logs_attempts_and_delays_without_requests(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "taskcluster"):
        drive(perform(make_call(), world.context()), CONNECTION, respond(500), respond(200, {"a": 1}))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("DEBUG", "widgets.widget: attempt 1: no response"),
        ("WARNING", "widgets.widget: no response; next attempt in 0.1 s"),
        ("DEBUG", "widgets.widget: attempt 2: status 500"),
        ("WARNING", "widgets.widget: status 500; next attempt in 0.2 s"),
        ("DEBUG", "widgets.widget: attempt 3: status 200"),
    ]


# pages


def pages_of(world: World, handler: Callable[[Any], Any], *responses: Response) -> tuple[Any, list[Any], list[Any]]:
    tokens: list[str | None] = []

    def page_call(token: str | None) -> Call:
        tokens.append(token)
        return make_call()

    value, effects = drive(paginate(page_call, handler, world.context()), *responses)
    return value, effects, tokens


def test_delivers_each_page_and_requests_the_next(world: World) -> None:
    pages: list[dict[str, Any]] = [{"n": 1, "continuationToken": "x"}, {"n": 2, "continuationToken": "y"}, {"n": 3}]
    value, effects, tokens = pages_of(world, print, *(respond(200, page) for page in pages))
    assert value is None
    assert [effect for effect in effects if isinstance(effect, Invoke)] == [Invoke(print, (page,)) for page in pages]
    assert tokens == [None, "x", "y"]


def test_retries_only_the_failed_page(world: World) -> None:
    first, last = {"continuationToken": "x"}, {"n": 2}
    _, effects, tokens = pages_of(world, print, respond(200, first), respond(500), respond(200, last))
    assert [effect.arguments for effect in effects if isinstance(effect, Invoke)] == [(first,), (last,)]
    assert tokens == [None, "x"]


# reprs


def test_reprs_show_no_secret_and_no_payload(world: World) -> None:
    call = make_call("w", "t", {"secret": "payload-secret"}, entry=TRIGGER, credentials=PERMANENT)
    request = call.request(world.context())
    response = respond(200, {"secret": "payload-secret"}, Set_Cookie="no-secret")
    shown = f"{call} {call!r} {request!r} {request} {response!r} {Invoke(print, (1,))!r}"
    for secret in ("no-secret", "payload-secret", "mac=", "Hawk"):
        assert secret not in shown
