"""The statements of the documentation, for sync and async clients."""

from __future__ import annotations

import asyncio
import datetime
import importlib.metadata
import json
import os
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest

import taskcluster
import taskcluster.aio
import taskcluster.exceptions

pytestmark = pytest.mark.services

ROOT = "https://tc.example.com"
TASK = "fN1SbArXTPSVFNUvaOlinQ"
GROUP = "JzTGxwxhQ76_Tt1dxkaG5g"
CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}
SERVICES = {
    "Auth": "auth",
    "Github": "github",
    "Hooks": "hooks",
    "Index": "index",
    "Notify": "notify",
    "Object": "object",
    "PurgeCache": "purge-cache",
    "Queue": "queue",
    "Secrets": "secrets",
    "WebServer": "web-server",
    "WorkerManager": "worker-manager",
}


def ext_of(header: str) -> Any:
    """Return the extension in an Authorization header."""
    return json.loads(b64decode(header.partition('ext="')[2].partition('"')[0]))


# Clients


@pytest.mark.parametrize(("name", "path"), SERVICES.items())
def test_each_service_has_a_sync_and_an_async_class(name: str, path: str) -> None:
    sync, twin = getattr(taskcluster, name), getattr(taskcluster.aio, name)
    assert sync is not twin
    assert sync.__name__ == twin.__name__ == name
    assert sync({"rootUrl": ROOT}).buildUrl("ping") == f"{ROOT}/api/{path}/v1/ping"
    assert twin({"rootUrl": ROOT}).buildUrl("ping") == f"{ROOT}/api/{path}/v1/ping"
    assert sync.funcinfo == twin.funcinfo


def test_the_constructor_takes_one_dict_of_options(mode: Any) -> None:
    options = {"rootUrl": ROOT, "credentials": dict(CREDENTIALS), "authorizedScopes": ["a"], "maxRetries": 1}
    made = mode.module.Queue(options)
    assert made.options["rootUrl"] == ROOT
    assert made.options["maxRetries"] == 1


def test_the_root_url_is_required(mode: Any) -> None:
    for options in ({}, None, {"credentials": CREDENTIALS}):
        with pytest.raises(taskcluster.exceptions.TaskclusterFailure, match="rootUrl option is required"):
            mode.module.Queue(options)


def test_the_root_url_is_the_deployment_that_is_called(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    mode.run(mode.module.Queue({"rootUrl": "https://other.example.com"}).ping())
    assert wire.last.url == "https://other.example.com/api/queue/v1/ping"


def test_public_methods_need_no_credentials(mode: Any, wire: Any) -> None:
    wire.respond(200, {"alive": True}).respond(200, {})
    assert mode.run(mode.client("Queue").ping()) == {"alive": True}
    assert "Authorization" not in wire.last.headers
    mode.run(mode.client("Queue", credentials=CREDENTIALS).cancelTask(TASK))
    assert 'id="tester"' in wire.last.headers["Authorization"]


def test_sends_the_certificate_of_the_credentials(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    temporary = taskcluster.createTemporaryCredentials(
        "issuer", "no-secret", taskcluster.fromNow("-1 minute"), taskcluster.fromNow("1 hour"), ["a"]
    )
    mode.run(mode.client("Queue", credentials=temporary).ping())
    certificate = ext_of(wire.last.headers["Authorization"])["certificate"]
    assert certificate == json.loads(temporary["certificate"])


def test_options_from_environment(
    environment: Callable[..., None],
) -> None:
    environment(ROOT_URL=ROOT, CLIENT_ID="c", ACCESS_TOKEN="a", CERTIFICATE="{}")
    options = taskcluster.optionsFromEnvironment()
    assert options == {"rootUrl": ROOT, "credentials": {"clientId": "c", "accessToken": "a", "certificate": "{}"}}
    assert taskcluster.Queue(options).options["credentials"]["clientId"] == b"c"


def test_options_from_environment_accepts_defaults(environment: Callable[..., None]) -> None:
    environment(CLIENT_ID="c")
    assert taskcluster.optionsFromEnvironment({"rootUrl": ROOT, "maxRetries": 3}) == {
        "rootUrl": ROOT,
        "maxRetries": 3,
        "credentials": {"clientId": "c"},
    }


def test_options_from_environment_ignores_the_proxy_url(environment: Callable[..., None]) -> None:
    environment(ROOT_URL=ROOT, PROXY_URL="http://taskcluster")
    assert taskcluster.optionsFromEnvironment() == {"rootUrl": ROOT}


def test_the_proxy_url_as_root_url_needs_no_signature(mode: Any, wire: Any, environment: Callable[..., None]) -> None:
    environment(PROXY_URL="http://taskcluster")
    wire.respond(200, {})
    mode.run(mode.module.Queue({"rootUrl": os.environ["TASKCLUSTER_PROXY_URL"]}).ping())
    assert wire.last.url == "http://taskcluster/api/queue/v1/ping"
    assert "Authorization" not in wire.last.headers


def test_authorized_scopes_restrict_a_call(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    mode.run(mode.client("Queue", credentials=CREDENTIALS, authorizedScopes=["queue:x", "queue:y"]).ping())
    assert ext_of(wire.last.headers["Authorization"]) == {"authorizedScopes": ["queue:x", "queue:y"]}


@pytest.mark.usefixtures("frozen")
def test_signed_url_expiration_is_the_default_in_seconds(mode: Any) -> None:
    assert expiry_of(mode.client("Secrets", credentials=CREDENTIALS).buildSignedUrl("get", "s")) == 1700000000 + 900
    secrets = mode.client("Secrets", credentials=CREDENTIALS, signedUrlExpiration=60)
    assert expiry_of(secrets.buildSignedUrl("get", "s")) == 1700000000 + 60


def expiry_of(url: str) -> int:
    bewit = url.partition("bewit=")[2]
    return int(urlsafe_b64decode(bewit + "=" * (-len(bewit) % 4)).decode().split("\\")[1])


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_a_failed_request_max_retries_times(mode: Any, wire: Any, retries: int) -> None:
    wire.respond(500, times=retries + 1)
    with pytest.raises(taskcluster.exceptions.TaskclusterRestFailure):
        mode.run(mode.client("Queue", maxRetries=retries).ping())
    assert len(wire.sent) == retries + 1


# Calling


@pytest.mark.parametrize(
    "call",
    [
        lambda client, payload: client.createRole("a/b", payload),
        lambda client, payload: client.createRole(payload, roleId="a/b"),
        lambda client, payload: client.createRole(payload=payload, query={}, params={"roleId": "a/b"}),
        lambda client, payload: client.createRole("a/b", payload=payload, query={}),
    ],
)
def test_each_of_the_four_conventions_calls_the_same(mode: Any, wire: Any, call: Callable[..., Any]) -> None:
    wire.respond(200, {"roleId": "a/b"})
    payload = {"description": "d", "scopes": []}
    assert mode.run(call(mode.client("Auth"), payload)) == {"roleId": "a/b"}
    assert (wire.last.method, wire.last.target) == ("PUT", "/api/auth/v1/roles/a%2Fb")
    assert wire.last.json == payload


@pytest.mark.parametrize(
    "call",
    [
        lambda client, query: client.listArtifacts(TASK, 0, query=query),
        lambda client, query: client.listArtifacts(taskId=TASK, runId=0, query=query),
        lambda client, query: client.listArtifacts(query=query, params={"taskId": TASK, "runId": 0}),
    ],
)
def test_the_conventions_hold_for_methods_without_a_payload(mode: Any, wire: Any, call: Callable[..., Any]) -> None:
    wire.respond(200, {"artifacts": []})
    mode.run(call(mode.client("Queue"), {"limit": 2}))
    assert wire.last.target == f"/api/queue/v1/task/{TASK}/runs/0/artifacts?limit=2"
    assert wire.last.body is None


def test_query_example_of_the_documentation(wire: Any) -> None:
    wire.respond(200, {"taskGroupId": GROUP, "tasks": []})
    queue = taskcluster.aio.Queue({"rootUrl": ROOT})
    token = "a/b=="

    async def example() -> Any:
        return await queue.listTaskGroup(GROUP, query={"continuationToken": token})

    assert asyncio.run(example())["tasks"] == []
    assert wire.last.target == f"/api/queue/v1/task-group/{GROUP}/list?continuationToken=a%2Fb%3D%3D"


def test_build_url_sends_no_request(mode: Any, wire: Any) -> None:
    index = mode.client("Index")
    assert index.buildUrl("findTask", "builds.v1.latest") == f"{ROOT}/api/index/v1/task/builds.v1.latest"
    assert wire.sent == []


def test_build_signed_url_adds_a_bewit(mode: Any, wire: Any) -> None:
    url = mode.client("Secrets", credentials=CREDENTIALS).buildSignedUrl("get", "my-secret")
    assert url.startswith(f"{ROOT}/api/secrets/v1/secret/my-secret?bewit=")
    assert wire.sent == []


@pytest.mark.usefixtures("frozen")
def test_expiration_of_build_signed_url_is_in_seconds(mode: Any) -> None:
    secrets = mode.client("Secrets", credentials=CREDENTIALS, signedUrlExpiration=60)
    assert expiry_of(secrets.buildSignedUrl("get", "my-secret", expiration=5)) == 1700000000 + 5


# Temporary credentials


def test_temporary_credentials_have_a_certificate() -> None:
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    made = taskcluster.createTemporaryCredentials("issuer", "no-secret", start, start, ["a", "b:*"])
    assert made.keys() == {"clientId", "accessToken", "certificate"}
    assert made["clientId"] == "issuer"
    assert json.loads(made["certificate"])["scopes"] == ["a", "b:*"]
    assert taskcluster.Queue({"rootUrl": ROOT, "credentials": made}).options["credentials"]["clientId"] == b"issuer"


def test_start_and_expiry_are_datetimes_at_most_31_days_apart() -> None:
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    days = [start + datetime.timedelta(days=count) for count in (31, 32)]
    assert taskcluster.createTemporaryCredentials("issuer", "no-secret", start, days[0], [])
    with pytest.raises(taskcluster.exceptions.TaskclusterFailure, match="31 days"):
        taskcluster.createTemporaryCredentials("issuer", "no-secret", start, days[1], [])


def test_no_correction_for_clock_drift_is_applied() -> None:
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    expiry = start + datetime.timedelta(hours=1)
    certificate = json.loads(
        taskcluster.createTemporaryCredentials("issuer", "no-secret", start, expiry, [])["certificate"]
    )
    assert (certificate["start"], certificate["expiry"]) == (1704067200000, 1704070800000)


def test_accepts_a_certificate_that_starts_within_the_drift(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    soon = taskcluster.createTemporaryCredentials(
        "issuer", "no-secret", taskcluster.fromNow("4 minutes"), taskcluster.fromNow("1 hour"), []
    )
    assert mode.run(mode.client("Queue", credentials=soon).ping()) == {}


def test_named_temporary_credentials_have_their_issuer() -> None:
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    named = taskcluster.createTemporaryCredentials("issuer", "no-secret", start, start, [], name="tmp/x")
    assert named["clientId"] == "tmp/x"
    assert json.loads(named["certificate"])["issuer"] == "issuer"
    unnamed = taskcluster.createTemporaryCredentials("issuer", "no-secret", start, start, [])
    assert "issuer" not in json.loads(unnamed["certificate"])


# Timestamps


def test_from_now_is_a_datetime_in_the_future(frozen: datetime.datetime) -> None:
    date = taskcluster.fromNow("2 days 3 hours 1 minute")
    assert date - frozen == datetime.timedelta(days=2, hours=3, minutes=1)


def test_from_now_json_is_its_iso_8601_string_ending_in_z(frozen: datetime.datetime) -> None:
    assert taskcluster.fromNowJSON("2 days 3 hours 1 minute") == "2023-11-17T01:14:20Z"


def test_a_leading_minus_goes_into_the_past(frozen: datetime.datetime) -> None:
    assert taskcluster.fromNow("-1 day") == frozen - datetime.timedelta(days=1)
    assert taskcluster.fromNow("- 1 day 1 hour") == frozen - datetime.timedelta(days=1, hours=1)
    assert taskcluster.fromNow("+1 day") == taskcluster.fromNow("1 day")


def test_white_space_is_ignored_and_case_does_not_matter(frozen: datetime.datetime) -> None:
    assert taskcluster.fromNow(" 2DAYS\t3 Hours1MIN ") == taskcluster.fromNow("2 days 3 hours 1 minute")


@pytest.mark.parametrize(
    ("spellings", "seconds"),
    [
        ("years year yr y", 365 * 86400),
        ("months month mo", 30 * 86400),
        ("weeks week w", 7 * 86400),
        ("days day d", 86400),
        ("hours hour h hr", 3600),
        ("minutes minute min m", 60),
        ("seconds second sec s", 1),
    ],
)
def test_each_unit_has_its_length_in_every_spelling(spellings: str, seconds: int, frozen: datetime.datetime) -> None:
    for spelling in spellings.split():
        assert (taskcluster.fromNow(f"2 {spelling}") - frozen).total_seconds() == 2 * seconds


def test_units_go_from_large_to_small_and_each_is_optional(frozen: datetime.datetime) -> None:
    every = taskcluster.fromNow("1 year 1 month 1 week 1 day 1 hour 1 minute 1 second")
    assert every - frozen == datetime.timedelta(days=365 + 30 + 7 + 1, hours=1, minutes=1, seconds=1)
    assert taskcluster.fromNow("1 year 1 second") - frozen == datetime.timedelta(days=365, seconds=1)
    with pytest.raises(ValueError, match="1 second 1 year"):
        taskcluster.fromNow("1 second 1 year")


def test_from_now_starts_at_date_obj() -> None:
    start = datetime.datetime(2024, 1, 1)
    assert taskcluster.fromNow("1 day", start) == datetime.datetime(2024, 1, 2)
    assert taskcluster.fromNow("1 day", dateObj=start) == datetime.datetime(2024, 1, 2)
    assert taskcluster.fromNowJSON("1 day", start) == "2024-01-02T00:00:00Z"
    assert taskcluster.fromNowJSON("1 day", dateObj=start) == "2024-01-02T00:00:00Z"


def test_from_now_raises_for_an_invalid_offset() -> None:
    with pytest.raises(ValueError, match="three fortnights"):
        taskcluster.fromNow("three fortnights")


# SlugIds


def test_slug_id_is_new_at_each_call() -> None:
    assert len({taskcluster.slugId() for _ in range(50)}) == 50


def test_stable_slug_id_is_stable_for_a_name() -> None:
    first, second = taskcluster.stableSlugId(), taskcluster.stableSlugId()
    assert first("a") == first("a")
    assert first("a") != first("b")
    assert first("a") != second("a")


# Scopes


@pytest.mark.parametrize("name", ["scopeMatch", "scopesMatch"])
def test_scope_match_under_both_of_its_names(name: str) -> None:
    match = getattr(taskcluster, name)
    assert match(["user:*", "queue:x"], [["queue:y"], ["user:me", "queue:x"]]) is True
    assert match(["user:*"], [["user:me", "queue:x"]]) is False


# Pagination


def test_pagination_by_continuation_token(mode: Any, wire: Any) -> None:
    wire.respond(200, {"tasks": [1], "continuationToken": "next"}).respond(200, {"tasks": [2]})
    queue = mode.client("Queue")
    tasks: list[int] = []
    query: dict[str, str] = {}
    while True:
        result = mode.run(queue.listTaskGroup(GROUP, query=query))
        tasks += result["tasks"]
        if not result.get("continuationToken"):
            break
        query = {"continuationToken": result["continuationToken"]}
    assert tasks == [1, 2]
    assert wire.last.target.endswith("/list?continuationToken=next")


def test_calls_the_pagination_handler_with_each_page(mode: Any, wire: Any) -> None:
    wire.respond(200, {"tasks": [1], "continuationToken": "next"}).respond(200, {"tasks": [2]})
    pages: list[Any] = []
    mode.run(mode.client("Queue").listTaskGroup(GROUP, paginationHandler=pages.append))
    assert pages == [{"tasks": [1], "continuationToken": "next"}, {"tasks": [2]}]


# Pulse

TASK_COMPLETED = "exchange/taskcluster-queue/v1/task-completed"


@pytest.mark.parametrize("module", [taskcluster, taskcluster.client, taskcluster.aio])
@pytest.mark.parametrize("name", ["Auth", "Github", "Hooks", "Notify", "Queue", "WorkerManager"])
def test_each_service_with_exchanges_has_an_events_class(module: Any, name: str) -> None:
    events = getattr(module, f"{name}Events")
    assert events is getattr(taskcluster, f"{name}Events")
    assert events.exchanges


@pytest.mark.parametrize("module", [taskcluster, taskcluster.client])
def test_events_accept_a_dict_keywords_or_a_string(module: Any) -> None:
    events = module.QueueEvents({"rootUrl": ROOT})
    expected = {"exchange": TASK_COMPLETED, "routingKeyPattern": f"primary.{TASK}.*.*.*.*.*.*.*.#"}
    assert events.taskCompleted({"taskId": TASK}) == expected
    assert events.taskCompleted(taskId=TASK) == expected
    assert events.taskCompleted(expected["routingKeyPattern"]) == expected


def test_omitted_routing_key_words_become_wildcards() -> None:
    events = taskcluster.QueueEvents({"rootUrl": ROOT})
    assert events.taskCompleted()["routingKeyPattern"] == "primary.*.*.*.*.*.*.*.*.#"
    assert events.taskGroupResolved()["routingKeyPattern"] == "primary.*.*.#"
    assert events.taskCompleted(reserved="a.b")["routingKeyPattern"] == "primary.*.*.*.*.*.*.*.*.a.b"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (({"taskId": "a"}, {"runId": 0}), {}),
        (({"taskId": "a"},), {"runId": 0}),
        ((5,), {}),
        ((), {"taskId": "a.b"}),
        ((), {"taskid": "a"}),
    ],
)
def test_events_raise_for_invalid_arguments(args: Any, kwargs: Any) -> None:
    with pytest.raises(taskcluster.exceptions.TaskclusterTopicExchangeFailure):
        taskcluster.QueueEvents({"rootUrl": ROOT}).taskCompleted(*args, **kwargs)


def test_a_subclass_may_set_its_exchange_prefix() -> None:
    class PrefixedEvents(taskcluster.QueueEvents):
        exchangePrefix = "exchange/mine/v1/"

    assert PrefixedEvents({"rootUrl": ROOT}).taskCompleted()["exchange"] == "exchange/mine/v1/task-completed"
    assert taskcluster.QueueEvents({"rootUrl": ROOT}).taskCompleted()["exchange"] == TASK_COMPLETED


@pytest.mark.parametrize("module", [taskcluster, taskcluster.aio])
def test_exchange_prefix_is_an_option_of_events(module: Any) -> None:
    prefix = "exchange/taskcluster-queue/v1/"
    assert module.QueueEvents.classOptions == {"exchangePrefix": prefix}
    events = module.QueueEvents({"rootUrl": ROOT})
    assert events.options["exchangePrefix"] == prefix
    events.options["exchangePrefix"] = "exchange/later/"
    assert events.taskCompleted()["exchange"] == "exchange/later/task-completed"
    mine = module.QueueEvents({"rootUrl": ROOT, "exchangePrefix": "exchange/mine/"})
    assert mine.taskCompleted()["exchange"] == "exchange/mine/task-completed"
    usual = module.QueueEvents({"rootUrl": ROOT, "exchangePrefix": None})
    assert usual.taskCompleted()["exchange"] == TASK_COMPLETED
    assert module.QueueEvents.classOptions == {"exchangePrefix": prefix}
    wrong = module.QueueEvents({"rootUrl": ROOT, "exchangePrefix": 5})
    with pytest.raises(taskcluster.exceptions.TaskclusterFailure, match=r"exchangePrefix must be a string, .* not int"):
        wrong.taskCompleted()
    # Options may be shared with a client.
    module.Queue({"rootUrl": ROOT, "exchangePrefix": "exchange/mine/"})


def test_events_send_no_request(wire: Any) -> None:
    taskcluster.QueueEvents({"rootUrl": ROOT}).taskCompleted(taskId=TASK)
    assert wire.sent == []


# Logging

DEBUG_PROGRAM = """
import logging
{before}
import taskcluster
log = logging.getLogger("taskcluster")
print(log.level, *(type(handler).__name__ for handler in log.handlers))
"""


@pytest.mark.parametrize(
    ("variable", "before", "printed"),
    [
        ("1", "", "10 StreamHandler"),
        ("1", "logging.getLogger('taskcluster').addHandler(logging.NullHandler())", "10 NullHandler"),
        ("", "", "0"),
    ],
)
def test_debug_variable_configures_logging(
    python: Callable[..., str], variable: str, before: str, printed: str
) -> None:
    found = python(DEBUG_PROGRAM.format(before=before), DEBUG_TASKCLUSTER_CLIENT=variable)
    assert found == printed


# Versions


@pytest.mark.parametrize("name", SERVICES)
def test_every_method_of_a_reference_is_callable(name: str) -> None:
    from taskcluster.registry import services

    service = services()[SERVICES[name]]
    functions = [entry["name"] for entry in service.reference()["methods"]]
    assert functions
    for module in (taskcluster, taskcluster.aio):
        found = getattr(module, name)
        assert [method for method in functions if not callable(getattr(found, method, None))] == []
        assert set(found.funcinfo) == set(functions)


def test_version_equals_the_distributions() -> None:
    assert taskcluster.__version__ == importlib.metadata.version("taskcluster-core")
