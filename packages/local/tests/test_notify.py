"""Tests of the notify service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskcluster_local.deployment import Configuration, Deployment
from taskcluster_local.events import Binding, Message
from taskcluster_local.services.notify.outbox import Notification

ROOT = "/api/notify/v1"
Make = Callable[..., Any]
EXAMPLES: dict[str, tuple[dict[str, Any], str, str]] = {
    "email": ({"address": "a@example.com", "subject": "s", "content": "c", "template": "simple"}, "email", "address"),
    "pulse": ({"routingKey": "a.b", "message": {"x": 1}}, "pulse", "routingKey"),
    "matrix": ({"roomId": "!r:example.com", "body": "b", "msgtype": "m.notice"}, "matrix-room", "roomId"),
    "slack": (
        {"channelId": "C1", "text": "t", "unfurlLinks": False, "unfurlMedia": False},
        "slack-channel",
        "channelId",
    ),
}


@pytest.fixture
def published(site: Any) -> list[Message]:
    """The published messages of the notify service."""
    found: list[Message] = []
    binding = Binding("exchange/taskcluster-notify/v1/notification", "primary.#")
    site.deployment.events.subscribe([binding], found.append)
    return found


def kinds(site: Any) -> list[tuple[str, str]]:
    messages = site.deployment.shared.outbox.messages()
    return [(each.notificationType, each.notificationAddress) for each in messages]


@pytest.mark.parametrize("method", EXAMPLES)
def test_sends_notification(site: Any, method: str) -> None:
    payload, kind, field = EXAMPLES[method]
    response = site.call("POST", f"{ROOT}/{method}", payload)
    assert (response.status, response.content) == (200, b"OK")
    assert response.headers["content-type"].startswith("text/plain")
    assert site.deployment.shared.outbox.messages() == [Notification(kind, payload[field], payload)]


@pytest.mark.parametrize("method", EXAMPLES)
def test_drops_duplicate_within_a_day(site: Any, method: str) -> None:
    payload, _, field = EXAMPLES[method]
    assert site.call("POST", f"{ROOT}/{method}", payload).status == 200
    response = site.call("POST", f"{ROOT}/{method}", payload)
    assert (response.status, response.content) == (204, b"")
    assert site.call("POST", f"{ROOT}/{method}", {**payload, field: "b@example.com"}).status == 200
    assert len(kinds(site)) == 2
    site.clock.advance(days=1)
    assert site.call("POST", f"{ROOT}/{method}", payload).status == 200


@pytest.mark.parametrize("method", EXAMPLES)
def test_rejects_address_on_denylist(site: Any, method: str) -> None:
    payload, kind, field = EXAMPLES[method]
    entry = {"notificationType": kind, "notificationAddress": payload[field]}
    added = site.call("POST", f"{ROOT}/denylist/add", entry)
    assert (added.status, added.content) == (200, b"OK")
    response = site.call("POST", f"{ROOT}/{method}", payload)
    assert (response.status, response.code) == (400, "DenylistedAddress")
    assert kinds(site) == []
    removed = site.call("DELETE", f"{ROOT}/denylist/delete", entry)
    assert (removed.status, removed.content) == (200, b"OK")
    assert site.call("POST", f"{ROOT}/{method}", payload).status == 200


@pytest.mark.parametrize("method", EXAMPLES)
def test_requires_scopes(site: Any, new_site: Make, method: str) -> None:
    payload, kind, field = EXAMPLES[method]
    scopes = [f"notify:{kind}:{payload[field]}"]
    with new_site([{"clientId": "c", "accessToken": "c" * 44, "scopes": scopes}]) as other:
        assert other.call("POST", f"{ROOT}/{method}", payload, by="c").status == 200
        response = other.call("POST", f"{ROOT}/{method}", {**payload, field: "b@example.com"}, by="c")
        assert response.status == 403
    for verb, path in (("POST", "add"), ("DELETE", "delete"), ("GET", "list")):
        assert site.call(verb, f"{ROOT}/denylist/{path}", {}, by="nobody").status == 403


def test_lists_denylist(site: Any) -> None:
    entries = [
        {"notificationType": kind, "notificationAddress": address}
        for kind, address in (("email", "ä"), ("email", "a@b.c"), ("pulse", "a@b.c"))
    ]
    for entry in [*entries, *entries]:
        assert site.call("POST", f"{ROOT}/denylist/add", entry).status == 200
    assert site.ok("GET", f"{ROOT}/denylist/list") == {"addresses": entries}
    page = site.ok("GET", f"{ROOT}/denylist/list?limit=2")
    rest = site.ok("GET", f"{ROOT}/denylist/list?continuationToken={page['continuationToken']}")
    assert [*page["addresses"], *rest["addresses"]] == entries


def test_publishes_pulse_message(site: Any, published: list[Message]) -> None:
    for _ in range(2):
        site.call("POST", f"{ROOT}/pulse", {"routingKey": "a.b", "message": {"x": 1}})
    [message] = published
    assert (message.routingKey, message.payload) == ("primary.a.b", {"message": {"x": 1}, "version": 1})
    assert message.routes == ("route.a.b",)


@pytest.mark.parametrize("key", ["k" * 248, "ö" * 124])
def test_rejects_invalid_routing_key(site: Any, published: list[Message], key: str) -> None:
    response = site.call("POST", f"{ROOT}/pulse", {"routingKey": key, "message": {}})
    assert (response.status, response.code) == (400, "InputError")
    assert kinds(site) == []
    assert published == []


def test_accepts_longest_routing_key(site: Any, published: list[Message]) -> None:
    assert site.call("POST", f"{ROOT}/pulse", {"routingKey": "k" * 247, "message": {}}).status == 200
    assert len(published) == 1


def test_deletes_notifications_after_a_day(site: Any) -> None:
    site.call("POST", f"{ROOT}/email", EXAMPLES["email"][0])
    site.clock.advance(days=1)
    asyncio.run(site.deployment.pass_time())
    assert kinds(site) == []


# Routes of tasks

STATES = ["Defined", "Pending", "Running", "Completed", "Failed", "Exception"]


@pytest.fixture
def tell(site: Any, slug: Make) -> Make:
    """Publishes the queue's message about a task with these routes in a state."""

    def call(state: str, *routes: str) -> None:
        status = {
            "taskId": slug(1),
            "provisionerId": "p",
            "workerType": "w",
            "taskQueueId": "p/w",
            "schedulerId": "-",
            "projectId": "none",
            "taskGroupId": slug(2),
            "deadline": site.clock.at(hours=1),
            "expires": site.clock.at(hours=2),
            "retriesLeft": 5,
            "state": {"Defined": "unscheduled"}.get(state, state.lower()),
            "runs": [],
        }
        payload = {"status": status, "version": 1}
        if state != "Defined":
            payload["runId"] = 0
        if state not in ("Defined", "Pending"):
            payload |= {"workerGroup": "g", "workerId": "i"}
        if state == "Running":
            payload["takenUntil"] = site.clock.at(minutes=20)
        site.deployment.events.publish("queue", f"task{state}", payload, routes=routes, taskId=slug(1))

    return call


@pytest.mark.parametrize(
    ("event", "states"),
    [
        *((state.lower(), [state]) for state in STATES),
        ("resolved", ["Completed", "Failed", "Exception"]),
        ("any", ["Completed", "Failed", "Exception"]),
        ("transition", STATES),
    ],
)
def test_sends_notifications_of_routes(site: Any, tell: Make, event: str, states: list[str]) -> None:
    sent: list[str] = []
    for state in STATES:
        before = len(kinds(site))
        tell(state, f"notify.email.a.b@example.com.on-{event}")
        sent += [state] * (len(kinds(site)) - before)
    assert sent == states
    assert set(kinds(site)) == {("email", "a.b@example.com")}


@pytest.mark.parametrize("method", EXAMPLES)
def test_route_notifications_match_method_schemas(site: Any, tell: Make, method: str) -> None:
    payload, kind, field = EXAMPLES[method]
    tell("Completed", f"notify.{kind}.{payload[field]}.on-completed", "notify.other.x.on-completed", "notify.email.x")
    [sent] = site.deployment.shared.outbox.messages()
    assert (sent.notificationType, sent.notificationAddress) == (kind, payload[field])
    schema = site.deployment.api.schemas.schema(f"notify/v1/{method}-request.json")
    assert schema.errors(sent.payload) == []
    assert site.call("POST", f"{ROOT}/{method}", sent.payload).status == 204


def test_publishes_pulse_routes(tell: Make, published: list[Message]) -> None:
    tell("Failed", "notify.pulse.my.topic.on-failed")
    [message] = published
    assert message.routingKey == "primary.my.topic"
    assert message.payload["message"]["state"] == "failed"


def test_task_resolves_if_notification_is_rejected(site: Any, tell: Make) -> None:
    site.call("POST", f"{ROOT}/denylist/add", {"notificationType": "email", "notificationAddress": "a@example.com"})
    tell("Failed", "notify.email.a@example.com.on-failed", f"notify.pulse.{'k' * 250}.on-failed")
    assert kinds(site) == []


def test_limits_notifications_per_address(site: Any, tmp_path: Path) -> None:
    configuration = Configuration("r" * 44, clock=site.clock, notification_limit=2)
    site.deployment = Deployment(configuration, site.store, tmp_path, "http://tc.example.com:8080")

    def send(text: str, address: str = "a@example.com") -> int:
        return int(site.call("POST", f"{ROOT}/email", {"address": address, "subject": text, "content": "c"}).status)

    assert [send("1"), send("2"), send("3"), send("3", "b@example.com")] == [200, 200, 204, 200]
    assert len(site.deployment.shared.outbox.messages()) == 3
    site.clock.advance(days=1)
    assert send("3") == 200


def test_lists_outbox_over_http(site: Any) -> None:
    path = "/api/local/v1/notifications"
    for number in range(3):
        payload = {"address": "a@example.com", "subject": str(number), "content": "c"}
        assert site.call("POST", f"{ROOT}/email", payload).status == 200
    first = site.ok("GET", f"{path}?limit=2")
    assert [each["payload"]["subject"] for each in first["notifications"]] == ["0", "1"]
    assert {each["notificationAddress"] for each in first["notifications"]} == {"a@example.com"}
    [last] = site.ok("GET", f"{path}?continuationToken={first['continuationToken']}")["notifications"]
    assert (last["notificationType"], last["payload"]["subject"]) == ("email", "2")
    assert last["sent"] == site.clock.at()
    newest = site.ok("GET", f"{path}?newestFirst=true&limit=2")
    assert [each["payload"]["subject"] for each in newest["notifications"]] == ["2", "1"]
    [oldest] = site.ok("GET", f"{path}?newestFirst=true&continuationToken={newest['continuationToken']}")[
        "notifications"
    ]
    assert oldest["payload"]["subject"] == "0"
    assert site.call("GET", path, by="nobody").status == 403
    assert site.call("GET", path, by=None).code == "InsufficientScopes"
    assert site.call("GET", f"{path}?x=1").code == "InvalidRequestArguments"
