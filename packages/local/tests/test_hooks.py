"""Tests of the hooks service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskcluster_local.events import Binding

ROOT = "/api/hooks/v1/hooks"
Make = Callable[..., Any]
TASK = {
    "taskQueueId": "p/w",
    "payload": {"given": {"$eval": "payload"}, "by": "${firedBy}"},
    "metadata": {"name": "${taskId}", "description": "at ${now}", "owner": "o", "source": "https://example.com"},
}
BINDING = {"exchange": "e", "routingKeyPattern": "#"}
BINDING = {"exchange": "e", "routingKeyPattern": "#"}
METADATA = {"name": "n", "description": "d", "owner": "owner@example.com"}
ROLE = ["queue:create-task:lowest:p/w", "queue:scheduler-id:-", "queue:create-task:project:none"]


@pytest.fixture
def site(new_site: Make) -> Iterator[Any]:
    clients = [
        {"clientId": "trigger", "accessToken": "t" * 44, "scopes": ["hooks:trigger-hook:g/h"]},
        {"clientId": "nobody", "accessToken": "n" * 44, "scopes": []},
    ]
    with new_site(clients, {"hook-id:g/*": ROLE}) as made:
        yield made


@pytest.fixture
def create(site: Any) -> Make:
    """Creates a hook with the given fields of its definition."""

    def call(hookId: str = "h", group: str = "g", **fields: Any) -> Any:
        payload = {"metadata": METADATA, "task": TASK, **fields}
        return site.ok("PUT", f"{ROOT}/{group}/{hookId.replace('/', '%2F')}", payload)

    return call


@pytest.fixture
def fires(site: Any) -> Make:
    """Returns the firings of a hook, newest first."""
    return lambda hookId="h": site.ok("GET", f"{ROOT}/g/{hookId}/last-fires")["lastFires"]


@pytest.fixture
def pass_time(site: Any) -> Make:
    def call(**span: float) -> None:
        site.clock.advance(**span)
        asyncio.run(site.deployment.pass_time())

    return call


@pytest.fixture
def heard(site: Any) -> list[tuple[str, Any]]:
    """The messages of the hooks service, by exchange."""
    found: list[tuple[str, Any]] = []
    names = ["hook-created", "hook-updated", "hook-deleted"]
    bindings = [Binding(f"exchange/taskcluster-hooks/v1/{name}", "_") for name in names]
    site.deployment.events.subscribe(
        bindings, lambda message: found.append((message.exchange.rpartition("/")[2], message.payload))
    )
    return found


def task(site: Any, taskId: str) -> Any:
    return site.ok("GET", f"/api/queue/v1/task/{taskId}")


# Definitions


def test_returns_created_hook(site: Any, create: Make) -> None:
    created = create("h/i")
    assert created == {
        "hookGroupId": "g",
        "hookId": "h/i",
        "metadata": {**METADATA, "emailOnError": True},
        "task": TASK,
        "schedule": [],
        "bindings": [],
        "triggerSchema": {"type": "object", "additionalProperties": False},
    }
    assert list(created["task"]) == list(TASK)
    assert site.ok("GET", f"{ROOT}/g/h%2Fi", by=None) == created


def test_lists_hooks(site: Any, create: Make) -> None:
    assert site.ok("GET", ROOT) == {"groups": []}
    for group, hook in (("b", "x"), ("a", "z"), ("a", "y")):
        create(hook, group)
    assert site.ok("GET", ROOT) == {"groups": ["a", "b"]}
    assert [hook["hookId"] for hook in site.ok("GET", f"{ROOT}/a")["hooks"]] == ["y", "z"]
    response = site.call("GET", f"{ROOT}/c")
    assert (response.status, response.message) == (404, "No such group")


def test_create_conflicts_with_existing_hook(site: Any, create: Make, heard: Any) -> None:
    create()
    response = site.call("PUT", f"{ROOT}/g/h", {"metadata": METADATA, "task": TASK})
    assert (response.status, response.message) == (409, "hook `g/h` already exists.")
    assert heard == [("hook-created", {"hookGroupId": "g", "hookId": "h"})]


def test_create_with_bindings_can_be_repeated(site: Any, create: Make, heard: Any) -> None:
    bindings = [{"exchange": "e", "routingKeyPattern": "#"}]
    assert create(bindings=bindings) == create(bindings=bindings)
    assert len(heard) == 1
    response = site.call("PUT", f"{ROOT}/g/h", {"metadata": METADATA, "task": {}, "bindings": bindings})
    assert response.status == 409


def test_updates_and_removes_hook(site: Any, create: Make, heard: Any) -> None:
    payload = {"metadata": METADATA, "task": {"new": True}, "hookId": "h"}
    assert site.call("POST", f"{ROOT}/g/h", payload).message == "No such hook"
    create(bindings=[{"exchange": "e", "routingKeyPattern": "#"}])
    updated = site.ok("POST", f"{ROOT}/g/h", payload)
    assert updated["task"] == {"new": True}
    assert updated["bindings"] == []
    assert site.ok("GET", f"{ROOT}/g/h") == updated
    for _ in range(2):
        assert site.ok("DELETE", f"{ROOT}/g/h") == {}
    assert site.call("GET", f"{ROOT}/g/h").message == "No such hook"
    assert [name for name, _ in heard] == ["hook-created", "hook-updated", "hook-deleted"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hookId": "other"}, "Hook Ids do not match"),
        ({"hookGroupId": "other"}, "Hook Ids do not match"),
        ({"schedule": ["0 0 0 * * *", "61 * * * * *"]}, "expected range 0-59 in 61 * * * * *"),
        ({"schedule": ["soon"]}, "in soon"),
        ({"schedule": [f"{n % 60} {n // 60} * * * *" for n in range(101)]}, "at most 100 cron expressions"),
        ({"schedule": ["* * * * * 5L/2"]}, "in * * * * * 5L/2"),
        (
            {"bindings": [BINDING, {**BINDING, "exchange": "exchange/taskcluster-queue/v1/task-created"}]},
            "task-created",
        ),
        ({"triggerSchema": {"type": "objekt"}}, "triggerSchema is not a valid JSON schema: "),
        ({"triggerSchema": {"patternProperties": {"(": {}}}}, "triggerSchema is not a valid JSON schema: "),
        ({"triggerSchema": {"pattern": "("}}, "triggerSchema is not a valid JSON schema: "),
    ],
)
def test_rejects_invalid_definition(site: Any, create: Make, fields: Any, message: str) -> None:
    payload = {"metadata": METADATA, "task": TASK, **fields}
    response = site.call("PUT", f"{ROOT}/g/h", payload)
    assert (response.status, response.code) == (400, "InputError")
    assert message in response.message
    assert site.call("GET", f"{ROOT}/g/h").status == 404


def test_requires_scopes(site: Any, create: Make) -> None:
    create()
    for method, path in (("PUT", "g/h"), ("POST", "g/h"), ("DELETE", "g/h"), ("POST", "g/h/trigger")):
        assert site.call(method, f"{ROOT}/{path}", {}, by="nobody").status == 403
    assert site.call("GET", f"{ROOT}/g/h/token", by="nobody").status == 403
    response = site.call("PUT", f"{ROOT}/g/i", {}, by="nobody")
    assert "assume:hook-id:g/i" in response.message


# Triggering


def test_triggering_creates_a_task(site: Any, create: Make, fires: Make) -> None:
    create(triggerSchema={"type": "object", "properties": {"x": {"type": "integer", "default": 5}}})
    template = {**TASK, "extra": {"client": "${clientId}", "x": {"$eval": "payload"}}}
    site.ok("POST", f"{ROOT}/g/h", {"metadata": METADATA, "task": template, "triggerSchema": {}})
    response = site.ok("POST", f"{ROOT}/g/h/trigger", {"a": 1}, by="trigger")
    taskId = response["taskId"]
    assert response == {"taskId": taskId, "status": {"taskId": taskId}}
    found = task(site, taskId)
    assert found["payload"] == {"given": {"a": 1}, "by": "triggerHook"}
    assert found["metadata"]["name"] == taskId
    assert found["metadata"]["description"] == f"at {site.clock.at()}"
    assert found["extra"] == {"client": "trigger", "x": {"a": 1}}
    assert [found[name] for name in ("taskGroupId", "created", "deadline", "expires")] == [
        taskId,
        site.clock.at(),
        site.clock.at(days=1),
        site.clock.at(days=30),
    ]
    [fire] = fires()
    assert fire == {
        "hookGroupId": "g",
        "hookId": "h",
        "taskId": taskId,
        "firedBy": "triggerHook",
        "taskCreateTime": site.clock.at(),
        "result": "success",
        "taskState": "pending",
        "error": "",
    }


def test_template_overrides_defaults(site: Any, create: Make) -> None:
    deadline = {"$fromNow": "2 hours"}
    create(task={**TASK, "taskGroupId": "00000001Q0C0000000000A", "deadline": deadline, "priority": "low"})
    response = site.call("POST", f"{ROOT}/g/h/trigger", {})
    assert (response.status, response.code) == (403, "InsufficientScopes")
    create("i", task={**TASK, "deadline": deadline})
    found = task(site, site.ok("POST", f"{ROOT}/g/i/trigger", {})["taskId"])
    assert found["deadline"] == site.clock.at(hours=2)


def test_rejects_payload_violating_trigger_schema(site: Any, create: Make) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    create(triggerSchema=schema)
    response = site.call("POST", f"{ROOT}/g/h/trigger", {"x": "1"})
    assert (response.code, response.message) == ("InputError", "data/x must be integer")
    assert site.call("POST", f"{ROOT}/g/h/trigger", {}).message == "data must have required property 'x'"
    assert site.call("POST", f"{ROOT}/g/h/trigger").code == "MalformedPayload"
    assert site.call("POST", f"{ROOT}/g/h/trigger", []).code == "InputValidationError"
    assert site.call("POST", f"{ROOT}/g/none/trigger", {}).message == "No such hook"
    assert site.call("GET", f"{ROOT}/g/h/last-fires").message == "No such hook or never fired"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/definitions/none"},
        {"$ref": "#"},
        {"$ref": "#/x", "x": {"patternProperties": {"(": {}}}},
    ],
)
def test_reports_schema_that_cannot_be_used(site: Any, create: Make, schema: Any) -> None:
    create(triggerSchema=schema)
    response = site.call("POST", f"{ROOT}/g/h/trigger", {"a": 1})
    assert (response.status, response.code) == (400, "InputError")


def test_trigger_accepts_taskId(site: Any, create: Make, slug: Make) -> None:
    create(triggerSchema={})
    assert site.ok("POST", f"{ROOT}/g/h/trigger", {"taskId": slug(1)})["taskId"] == slug(1)
    site.clock.advance(seconds=1)
    response = site.call("POST", f"{ROOT}/g/h/trigger", {"taskId": slug(1)})
    assert (response.status, response.code) == (400, "InputError")
    assert response.message.startswith("While calling createTask: RequestConflict")
    assert site.ok("POST", f"{ROOT}/g/h/trigger", {"taskId": "no-slug"})["taskId"] != "no-slug"


def test_template_may_render_to_nothing(site: Any, create: Make) -> None:
    create(task={"$if": "false", "then": {}})
    assert site.ok("POST", f"{ROOT}/g/h/trigger", {}) == {}
    assert site.call("GET", f"{ROOT}/g/h/last-fires").status == 404


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"$eval": "nothing"}, "While firing hook:"),
        ({"$eval": "1 / 0"}, "While firing hook:"),
        ({"$eval": "5"}, "While firing hook:"),
        ({"$eval": "len(5)"}, "While firing hook:"),
        ({"taskQueueId": "p/w"}, "While calling createTask: InputValidationError"),
        ({**TASK, "created": 5}, "While calling createTask: InputValidationError"),
        ({**TASK, "created": "2029-01-01T00:00:00.000Z"}, "While calling createTask: InputError"),
    ],
)
def test_records_failed_firing(site: Any, create: Make, fires: Make, template: Any, message: str) -> None:
    create(task=template)
    response = site.call("POST", f"{ROOT}/g/h/trigger", {})
    assert (response.status, response.code) == (400, "InputError")
    assert response.message.startswith(message)
    [fire] = fires()
    assert (fire["result"], fire["taskState"]) == ("error", "unknown")
    assert fire["error"] == response.message
    status = site.ok("GET", f"{ROOT}/g/h/status")
    assert status == {
        "lastFire": {"result": "error", "error": {"message": fire["error"]}, "time": site.clock.at()},
    }


def test_task_requires_scopes_of_hook_role(site: Any, create: Make, fires: Make) -> None:
    create(task={**TASK, "scopes": ["secret"]})
    response = site.call("POST", f"{ROOT}/g/h/trigger", {})
    assert (response.status, response.code) == (403, "InsufficientScopes")
    assert "The role `hook-id:g/h` does not have sufficient scopes to create the task: " in response.message.replace(
        "\n", " "
    )
    assert fires()[0]["result"] == "error"


def test_trigger_token_can_be_reset(site: Any, create: Make, fires: Make) -> None:
    create()
    token = site.ok("GET", f"{ROOT}/g/h/token")["token"]
    assert site.ok("POST", f"{ROOT}/g/h/trigger/{token}", {}, by=None)["taskId"]
    assert fires()[0]["firedBy"] == "triggerHookWithToken"
    response = site.call("POST", f"{ROOT}/g/h/trigger/wr%C3%B6ng", {}, by=None)
    assert (response.status, response.code, response.message) == (401, "AuthenticationFailed", "invalid hook token")
    assert site.call("POST", f"{ROOT}/g/none/trigger/{token}", {}, by=None).message == "No such hook"
    new = site.ok("POST", f"{ROOT}/g/h/token")["token"]
    assert new != token
    assert site.ok("GET", f"{ROOT}/g/h/token")["token"] == new
    assert site.call("POST", f"{ROOT}/g/h/trigger/{token}", {}, by=None).status == 401
    site.ok("POST", f"{ROOT}/g/h", {"metadata": METADATA, "task": TASK})
    assert site.ok("GET", f"{ROOT}/g/h/token")["token"] == new
    for method in ("GET", "POST"):
        assert site.call(method, f"{ROOT}/g/none/token").message == "No such hook"


def test_lists_last_fires_newest_first(site: Any, create: Make, fires: Make) -> None:
    create()
    made = [site.ok("POST", f"{ROOT}/g/h/trigger", {})["taskId"] for _ in range(3)]
    assert [fire["taskId"] for fire in fires()] == made[::-1]
    page = site.ok("GET", f"{ROOT}/g/h/last-fires?limit=2")
    rest = site.ok("GET", f"{ROOT}/g/h/last-fires?limit=2&continuationToken={page['continuationToken']}")
    assert [fire["taskId"] for fire in rest["lastFires"]] == made[:1]
    assert "continuationToken" not in rest


def test_deletes_last_fires_after_a_year(site: Any, create: Make, pass_time: Make) -> None:
    create()
    site.ok("POST", f"{ROOT}/g/h/trigger", {})
    pass_time(days=366)
    assert site.call("GET", f"{ROOT}/g/h/last-fires").status == 404


def test_recreated_hook_has_no_last_fires(site: Any, create: Make) -> None:
    create()
    token = site.ok("GET", f"{ROOT}/g/h/token")["token"]
    site.ok("POST", f"{ROOT}/g/h/trigger", {})
    site.ok("DELETE", f"{ROOT}/g/h")
    create()
    assert site.ok("GET", f"{ROOT}/g/h/status") == {"lastFire": {"result": "no-fire"}}
    assert site.ok("GET", f"{ROOT}/g/h/token")["token"] != token


# Schedules


def test_fires_on_schedule(site: Any, create: Make, fires: Make, pass_time: Make) -> None:
    # It is 12:00:00.123 on a Friday.
    create(schedule=["30 0 13 * * *", "0 30 12 * * 5"])
    status = site.ok("GET", f"{ROOT}/g/h/status")
    assert status == {"lastFire": {"result": "no-fire"}, "nextScheduledDate": "2030-03-01T12:30:00.000Z"}
    pass_time(minutes=29)
    assert site.ok("GET", f"{ROOT}/g/h/status") == status
    pass_time(minutes=1)
    [fire] = fires()
    assert fire["firedBy"] == "schedule"
    assert task(site, fire["taskId"])["payload"] == {"given": {}, "by": "schedule"}
    assert site.ok("GET", f"{ROOT}/g/h/status") == {
        "lastFire": {"result": "success", "taskId": fire["taskId"], "time": site.clock.at()},
        "nextScheduledDate": "2030-03-01T13:00:30.000Z",
    }
    pass_time()
    assert len(fires()) == 1


def test_missed_dates_fire_once(site: Any, create: Make, fires: Make, pass_time: Make) -> None:
    create(schedule=["0 0 * * * *"])
    pass_time(days=2)
    assert len(fires()) == 1
    assert site.ok("GET", f"{ROOT}/g/h/status")["nextScheduledDate"] == "2030-03-03T13:00:00.000Z"


def test_update_replaces_schedule(site: Any, create: Make, fires: Make, pass_time: Make) -> None:
    create(schedule=["0 0 * * * *"])
    site.ok("POST", f"{ROOT}/g/h", {"metadata": METADATA, "task": TASK})
    pass_time(hours=2)
    assert site.ok("GET", f"{ROOT}/g/h/status") == {"lastFire": {"result": "no-fire"}}


def test_failing_schedule_continues_and_notifies_owner(site: Any, create: Make, fires: Make, pass_time: Make) -> None:
    create(schedule=["0 0 * * * *"], task={"$eval": "nothing"})
    create("quiet", schedule=["0 0 * * * *"], task={}, metadata={**METADATA, "emailOnError": False})
    create("good", schedule=["0 0 * * * *"])
    for _ in range(2):
        pass_time(hours=1)
    assert [fire["result"] for fire in fires()] == ["error", "error"]
    assert [fire["result"] for fire in fires("quiet")] == ["error", "error"]
    assert [fire["result"] for fire in fires("good")] == ["success", "success"]
    # An identical email would be a duplicate.
    [mail] = site.deployment.shared.outbox.messages()
    assert mail.notificationAddress == "owner@example.com"
    assert "g/h" in mail.payload["subject"]
    assert "While firing hook:" in mail.payload["content"]


# Messages


def test_message_fires_bound_hooks(site: Any, create: Make, fires: Make, pass_time: Make, slug: Make) -> None:
    exchange = "exchange/taskcluster-auth/v1/role-created"
    twice = [{"exchange": exchange, "routingKeyPattern": pattern} for pattern in ("#", "_")]
    create(bindings=twice, triggerSchema={"required": ["roleId"]})
    create("strict", bindings=twice)
    create("unmatched", bindings=twice, triggerSchema={"properties": {"version": {"type": "string"}}})
    create("other", bindings=[{"exchange": exchange, "routingKeyPattern": "route.#"}], triggerSchema={})
    create("elsewhere", bindings=[{"exchange": "exchange/\ud800", "routingKeyPattern": "#"}])
    with site.store.transaction():
        site.deployment.events.publish("auth", "roleCreated", {"roleId": "r", "version": 1})
    assert site.call("GET", f"{ROOT}/g/h/last-fires").status == 404
    pass_time()
    [fire] = fires()
    assert fire["firedBy"] == "pulseMessage"
    found = task(site, fire["taskId"])
    assert found["payload"] == {"given": {"roleId": "r", "version": 1}, "by": "pulseMessage"}
    for name in ("strict", "unmatched", "other"):
        assert site.call("GET", f"{ROOT}/g/{name}/last-fires").status == 404
    assert site.deployment.shared.outbox.messages() == []
    pass_time()
    assert len(fires()) == 1


def test_rolled_back_message_fires_nothing(site: Any, create: Make, pass_time: Make) -> None:
    exchange = "exchange/taskcluster-auth/v1/role-created"
    create(bindings=[{"exchange": exchange, "routingKeyPattern": "#"}], triggerSchema={})

    def publish_and_fail() -> None:
        with site.store.transaction():
            site.deployment.events.publish("auth", "roleCreated", {"roleId": "r", "version": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish_and_fail()
    pass_time()
    assert site.call("GET", f"{ROOT}/g/h/last-fires").status == 404


def test_removed_binding_fires_nothing(site: Any, create: Make, fires: Make, pass_time: Make) -> None:
    bindings = [{"exchange": "exchange/taskcluster-hooks/v1/hook-created", "routingKeyPattern": "#"}]
    create(bindings=bindings, triggerSchema={})
    create("first")
    pass_time()
    # It receives the message about its own creation too.
    assert len(fires()) == 2
    site.ok("POST", f"{ROOT}/g/h", {"metadata": METADATA, "task": TASK})
    create("second")
    pass_time()
    assert len(fires()) == 2
