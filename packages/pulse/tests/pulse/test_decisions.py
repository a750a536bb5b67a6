"""Decisions that need no broker: settings, names, routing keys, pauses, and what a broker's reasons mean."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from taskcluster.spec import Word
from taskcluster_pulse import PulseConnectionError, PulseFailure, PulseRefused
from taskcluster_pulse.broker_link import Reading, is_stalled
from taskcluster_pulse.refusals import explain
from taskcluster_pulse.routing import layout_of, parse_routing_key
from taskcluster_pulse.settings import BrokerSettings, where
from taskcluster_pulse.sse import EventParser, ServerEvent
from taskcluster_pulse.supervisor import attempts_after, pause
from taskcluster_pulse.topology import bindings_of, queue_of, queue_topology, routing_keys

from .conftest import COMPLETED, EVENTS

SETTINGS = BrokerSettings("alice", "secret", "mq.example.com", 5671)
PULSE = {"PULSE_USERNAME": "u", "PULSE_PASSWORD": "p", "PULSE_HOSTNAME": "h"}


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ({"url": "amqps://u:p@h"}, {}, ("u", "p", "h", 5671, "/", True)),
        ({"url": "amqp://u:p@h"}, {}, ("u", "p", "h", 5672, "/", False)),
        ({"url": "amqp://u%40x:p%2F%3A@h:1/a%2Fb?frameMax=0"}, {}, ("u@x", "p/:", "h", 1, "a/b", False)),
        ({"url": "amqp://u:p@[::1]:7/%2F"}, {}, ("u", "p", "::1", 7, "/", False)),
        ({"url": "amqp://u:p@h:5671/?ssl=1"}, {}, ("u", "p", "h", 5671, "/", True)),
        ({}, PULSE, ("u", "p", "h", 5671, "/", True)),
        ({}, {**PULSE, "PULSE_AMQPS": "false"}, ("u", "p", "h", 5672, "/", False)),
        ({}, {**PULSE, "PULSE_VHOST": "v", "PULSE_PORT": "7"}, ("u", "p", "h", 7, "v", True)),
        ({}, {**PULSE, "PULSE_URL": "amqp://a:b@c"}, ("a", "b", "c", 5672, "/", False)),
        ({"vhost": "v", "port": 7, "amqps": True}, {"PULSE_URL": "amqp://a:b@c"}, ("a", "b", "c", 7, "v", True)),
        ({"hostname": "other"}, PULSE, ("u", "p", "other", 5671, "/", True)),
        ({"credentials": {"username": "a", "password": "b"}}, PULSE, ("a", "b", "h", 5671, "/", True)),
        ({}, {**PULSE, "TASKCLUSTER_ROOT_URL": "https://tc"}, ("u", "p", "h", 5671, "/", True)),
    ],
)
def test_broker_settings(arguments: dict[str, Any], environ: dict[str, str], expected: tuple[object, ...]) -> None:
    broker = where(**arguments, environ=environ).broker
    assert broker is not None
    assert (broker.username, broker.password, broker.hostname, broker.port, broker.vhost, broker.tls) == expected


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ({"root_url": "http://tc"}, PULSE),
        ({"url": "http://tc"}, PULSE),
        ({}, {**PULSE, "PULSE_URL": "http://tc"}),
        ({}, {"TASKCLUSTER_ROOT_URL": "http://tc"}),
    ],
)
def test_root_urls(arguments: dict[str, Any], environ: dict[str, str]) -> None:
    found = where(**arguments, environ=environ)
    assert (found.broker, found.root_url) == (None, "http://tc")


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ({}, {}, "no hostname and no username and no password for Pulse: pass url="),
        ({"url": "amqp://u@h"}, {}, "no password for Pulse"),
        ({"url": "amqp://u:top/secret@h"}, {}, "percent-encode"),
        ({"url": "amqp://u:secret@h:port"}, {}, "percent-encode"),
        ({"url": "mqtt://u:secret@h"}, {}, "must be amqps://"),
        ({"url": "amqp://u:secret@"}, {}, "must be amqps://"),
        ({"credentials": "secret"}, {}, "must be a mapping, not str"),
        ({"credentials": {"clientId": "c", "accessToken": "secret"}}, {}, "pass its root_url"),
        ({"credentials": {"username": "u", "pasword": "secret"}}, {}, "did you mean|pasword"),
        ({"url": "amqp://u:secret%FF@h"}, {}, "as UTF-8"),
        ({"url": b"amqp://u:secret@h"}, {}, "must be a string, not bytes"),
        ({"url": "amqp://u:secret\ud800@h"}, {}, "URL of the broker has a lone surrogate"),
        ({"url": "amqp://u:secret%00@h"}, {}, "password has a NUL"),
        ({"url": "amqp://u:secret@h", "vhost": "v" * 300}, {}, "vhost is longer than 127 bytes"),
        ({"url": "amqp://u:secret@h/v%00"}, {}, "vhost has a NUL"),
        ({"url": "amqp://u:secret@h:0"}, {}, "port must be"),
        ({"hostname": "h" * 64}, PULSE, "not a valid hostname"),
        ({"hostname": ".h"}, PULSE, "not a valid hostname"),
        ({"hostname": 1}, PULSE, "hostname must be a string"),
        ({"port": 70000}, PULSE, "port must be"),
        ({"credentials": {"username": "u" * 256, "password": "secret"}}, PULSE, "user name is longer than 255"),
        ({"credentials": {"username": "u", "password": "secret" * 600}}, PULSE, "password is longer than 3072"),
        ({"credentials": {"username": "u", "password": b"secret"}}, PULSE, "password must be a string"),
        ({}, {**PULSE, "PULSE_PASSWORD": "secret\udcff"}, "password has a lone surrogate"),
        ({}, {**PULSE, "PULSE_USERNAME": "u\0"}, "user name has a NUL"),
        ({}, {**PULSE, "PULSE_VHOST": "v" * 300}, "vhost is longer"),
        ({}, {**PULSE, "PULSE_PORT": "70000"}, "port must be"),
        ({}, {"PULSE_URL": "amqp://u:secret@h/" + "v" * 300}, "vhost is longer"),
        ({"heartbeat": 0}, PULSE, "heartbeat must be"),
        ({}, {**PULSE, "PULSE_PORT": "x"}, "PULSE_PORT must be a number"),
        ({}, {**PULSE, "PULSE_AMQPS": "maybe"}, "PULSE_AMQPS must be true or false"),
    ],
)
def test_invalid_settings(arguments: dict[str, Any], environ: dict[str, str], message: str) -> None:
    with pytest.raises(PulseFailure, match=message) as caught:
        where(**arguments, environ=environ)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_password_in_reprs() -> None:
    found = where(credentials={"username": "u", "password": "secret"}, hostname="h", environ={})
    assert "secret" not in repr(found)
    assert "secret" not in repr(where(root_url="http://tc", credentials={"accessToken": "secret"}, environ={}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (EVENTS.taskCompleted(taskId="T"), ((COMPLETED, "primary.T.*.*.*.*.*.*.*.#"),)),
        (("e", "#"), (("e", "#"),)),
        ([("e", "#"), ["f", "*"], {"exchange": "e", "routingKeyPattern": "#"}], (("e", "#"), ("f", "*"))),
        (iter([("e", "#")]), (("e", "#"),)),
        (("e", "x" * 255), (("e", "x" * 255),)),
    ],
    ids=["events class", "tuple", "list", "iterator", "longest"],
)
def test_bindings(given: object, expected: tuple[object, ...]) -> None:
    assert bindings_of(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no bindings: pass what a method of an events class"),
        ("exchange/a", "must be a binding or a list of them, not str"),
        (None, "not NoneType"),
        ([{"exchange": "e"}], "is not a binding"),
        ([("", "#")], "is not a binding"),
        (("e", "x" * 256), "longer than 255 bytes"),
        (("e", "ä" * 128), "longer than 255 bytes"),
        (("e" * 128, "#"), "exchange is longer than 127 bytes"),
        (("ä", "#"), "exchange may only have ASCII letters"),
        (("e", "\ud800"), "pattern has a lone surrogate"),
        (("e\ud800", "#"), "exchange has a lone surrogate"),
        (("e", "a\0"), "pattern has a NUL"),
    ],
    ids=[
        *("none", "string", "None", "no pattern", "no exchange", "long", "long in UTF-8", "long exchange"),
        *("exchange not ASCII", "surrogate", "surrogate in exchange", "NUL"),
    ],
)
def test_invalid_bindings(given: object, message: str) -> None:
    with pytest.raises(PulseFailure, match=message):
        bindings_of(given)


def test_queue_names() -> None:
    assert queue_of("x", "alice") == queue_of("queue/alice/x", "alice") == "queue/alice/x"
    assert queue_of(None, "alice") != queue_of(None, "alice")
    assert queue_of(None, "alice").startswith("queue/alice/")
    for name in ("queue/bob/x", "queue/alice/", "queue/alicex"):
        with pytest.raises(PulseFailure, match="must begin with 'queue/alice/'"):
            queue_of(name, "alice")
    for name in ("x" * 244, "100%", "\ud800", "a\0b"):
        with pytest.raises(PulseFailure, match=r"longer than 255|may only have|lone surrogate|NUL"):
            queue_of(name, "alice")
    with pytest.raises(PulseFailure, match="name of the queue is longer"):
        queue_of(None, "u" * 227)


def test_queue_arguments() -> None:
    def arguments(**given: Any) -> Any:
        values: dict[str, Any] = {"queue": "q", "queue_type": "quorum", "queue_arguments": None, **given}
        return queue_topology((("e", "#"),), username="u", prefetch=1, **values).arguments

    assert arguments() == {"x-queue-type": "quorum"}
    assert arguments(queue_type="classic") == {}
    assert arguments(queue_arguments={"x-max-length": 50}) == {"x-queue-type": "quorum", "x-max-length": 50}
    assert arguments(queue=None) == {"x-expires": 300_000}
    for given in ({"x-max-length": 2**70}, {1: 1}, {"x": "\ud800"}):
        with pytest.raises(PulseFailure, match="its arguments are invalid"):
            arguments(queue_arguments=given)


def test_routing_keys_of_routes() -> None:
    assert routing_keys("a.b", ["index.x"]) == ["route.index.x"]
    for key, routes in (("x" * 256, []), ("x", ["y" * 250])):
        with pytest.raises(PulseFailure, match="routing key is longer than 255 bytes"):
            routing_keys(key, routes)


def words(*names: str) -> list[Word]:
    return [Word(name.rstrip("#"), None, name.endswith("#")) for name in names]


@pytest.mark.parametrize(
    ("key", "names", "expected"),
    [
        ("1.2", "a b", {"a": "1", "b": "2"}),
        ("1.2", "a b rest#", {}),
        ("1.2._", "a b rest#", {"a": "1", "b": "2", "rest": "_"}),
        ("1.2.3.4.5", "a b rest#", {"a": "1", "b": "2", "rest": "3.4.5"}),
        ("1.2.3.4.5", "a rest# b c", {"a": "1", "rest": "2.3", "b": "4", "c": "5"}),
        ("1.2.3", "rest# c", {"rest": "1.2", "c": "3"}),
        ("1.2.3", "a b", {}),
        ("1", "a b c#", {}),
    ],
)
def test_parses_routing_keys(key: str, names: str, expected: dict[str, str]) -> None:
    assert parse_routing_key(key, words(*names.split())) == expected


def test_layouts_of_exchanges() -> None:
    assert [word.name for word in layout_of(COMPLETED)][:2] == ["routingKeyKind", "taskId"]
    assert layout_of("exchange/alice/builds") == layout_of(COMPLETED + "x") == ()


def test_pauses_grow_to_a_limit() -> None:
    assert [pause(attempts, 0.5) for attempts in (1, 2, 3, 10, 10_000)] == [1, 2, 4, 30, 30]
    assert (pause(1, 0), pause(1, 1)) == (0.75, 1.25)


def test_attempts_start_over_after_a_good_connection() -> None:
    assert attempts_after(4, settled=0, lived=1) == 5
    assert attempts_after(4, settled=1, lived=1) == attempts_after(4, settled=0, lived=30) == 1


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (Reading(3, 5, 0), Reading(3, 5, 0), True),
        (Reading(3, 5, 0), Reading(3, 6, 1), False),
        (Reading(0, 5, 0), Reading(3, 5, 0), False),
        (Reading(3, 5, 0), Reading(0, 5, 0), False),
        (Reading(3, 5, 5), Reading(3, 5, 5), False),
        (Reading(3, 5, 5), Reading(3, 5, 4), False),
        (Reading(3, 5, 4), Reading(3, 5, 4), True),
    ],
    ids=["stalled", "delivers", "new messages", "emptied", "handler works", "handler just finished", "some room"],
)
def test_stalled(before: Reading, now: Reading, expected: bool) -> None:
    assert is_stalled(before, now, 5) is expected


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        (403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.", "PULSE_PASSWORD"),
        (530, "NOT_ALLOWED - vhost v not found", "refuses the vhost '/' to 'alice': pass another one as vhost"),
        (
            403,
            "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'alice'",
            "begin with 'queue/alice/'",
        ),
        (403, "ACCESS_REFUSED - access to exchange 'e' in vhost '/' refused for user 'alice'", "exchange/alice/"),
        (404, "NOT_FOUND - no exchange 'e' in vhost '/'", "has no exchange 'e': check its name"),
        (
            406,
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'queue/alice/q' in vhost '/': "
            "received none but current is the value 'quorum' of type 'longstr'",
            "'queue/alice/q' exists with x-queue-type = 'quorum', not none",
        ),
        (
            406,
            "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'e' in vhost '/': received 'true' but "
            "current is 'false'",
            "the exchange 'e' exists with durable = 'false', not 'true'",
        ),
        (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue", "RESOURCE_LOCKED"),
    ],
)
def test_refusals_say_what_to_do(code: int, text: str, message: str) -> None:
    failure = explain(code, text, SETTINGS)
    assert isinstance(failure, PulseRefused)
    assert failure.code == code
    assert message in str(failure)
    assert str(pickle.loads(pickle.dumps(failure))) == str(failure)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (None, "the connection was lost"),
        (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"),
        (404, "NOT_FOUND - queue 'q' in vhost '/' process is stopped by supervisor"),
        (530, "NOT_ALLOWED - access to vhost '/' refused for user 'alice': connection limit (10) is reached"),
        (541, "INTERNAL_ERROR"),
    ],
)
def test_other_reasons_are_temporary(code: int | None, text: str) -> None:
    assert isinstance(explain(code, text, SETTINGS), PulseConnectionError)


STREAM = (
    "\ufeff: comment\nretry: 1000\nid: 1\nevent: ready\ndata: {}\n\ndata:a\ndata: b\r\n\r\n"
    "id\nevent: x\n\ndata\r\rdata: c"
)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_parses_server_sent_events(size: int) -> None:
    parser = EventParser()
    data = STREAM.encode()
    events = [event for start in range(0, len(data), size) for event in parser.feed(data[start : start + size])]
    assert events == [
        ServerEvent("ready", "{}", "1"),
        ServerEvent("message", "a\nb", "1"),
        ServerEvent("message", "", ""),
    ]
