"""The published client's names, as programs import, change and replace them."""

from __future__ import annotations

import asyncio
import base64
import datetime
import importlib
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import aiohttp
import pytest
import requests

import taskcluster
import taskcluster.aio.asyncclient
import taskcluster.aio.asyncutils
import taskcluster.aio.retry
import taskcluster.retry
from taskcluster.exceptions import TaskclusterFailure

ROOT = "https://tc.example.com"
DAY = datetime.datetime(2024, 1, 1)
URL = "https://storage.example.com/a%2Fb?x=1"
CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}

UTILITIES = """
    DELAY_FACTOR MAX_DELAY MAX_RETRIES RANDOMIZATION_FACTOR calculateSleepTime decryptMessage dumpJson
    encodeStringForB64Header encryptEnvVar exceptions fromNow fromNowJSON isExpired log makeB64UrlSafe makeB64UrlUnsafe
    makeHttpRequest makeSingleHttpRequest optionsFromEnvironment putFile scopeMatch scope_match slugId stableSlugId
    stringDate toStr
"""
EXCEPTIONS = """
    ObjectHashVerificationError TaskclusterArtifactError TaskclusterAuthFailure TaskclusterConnectionError
    TaskclusterFailure TaskclusterRestFailure TaskclusterTopicExchangeFailure
"""
OF_A_SERVICE = "_defaultConfig config createApiClient createSession createTemporaryCredentials"
SERVICES = """
    Auth AuthEvents Github GithubEvents Hooks HooksEvents Index Notify NotifyEvents Object PurgeCache Queue QueueEvents
    Secrets WebServer WorkerManager WorkerManagerEvents
"""
NAMES = {
    "taskcluster": f"{UTILITIES} {EXCEPTIONS} client createSession createTemporaryCredentials utils",
    "taskcluster.aio": f"{UTILITIES} {EXCEPTIONS} asyncclient asyncutils createSession retry",
    "taskcluster.aio.asyncclient": f"{OF_A_SERVICE} AsyncBaseClient BaseClient exceptions log utils",
    "taskcluster.aio.asyncutils": """
        asyncio createSession ensureCoro exceptions functools log makeHttpRequest makeSingleHttpRequest os putFile
        runAsync utils
    """,
    "taskcluster.aio.retry": "asyncio log retry",
    "taskcluster.client": f"{OF_A_SERVICE} BaseClient exceptions log utils",
    "taskcluster.exceptions": EXCEPTIONS,
    "taskcluster.retry": "log retry time",
    "taskcluster.utils": f"{UTILITIES} base64 datetime json os random re requests slugid time",
}
NEEDING_SERVICES = {
    f"{package}.{name.lower()}": f"{name} {OF_A_SERVICE}"
    for name in SERVICES.split()
    for package in ("taskcluster", "taskcluster.aio")
} | {"taskcluster": SERVICES, "taskcluster.aio": SERVICES}


def missing(names: dict[str, str]) -> list[str]:
    return [
        f"{module}.{name}"
        for module, listed in names.items()
        for name in listed.split()
        if not hasattr(importlib.import_module(module), name)
    ]


def test_every_published_name_is_there() -> None:
    assert missing(NAMES) == []


@pytest.mark.services
def test_every_published_name_of_a_service_is_there() -> None:
    assert missing(NEEDING_SERVICES) == []


@pytest.mark.parametrize(
    "arguments", [("decryptMessage", "message", "key"), ("encryptEnvVar", "task", 0, 1, "name", "value", "file")]
)
def test_encryption_is_no_longer_supported(arguments: tuple[Any, ...]) -> None:
    name, *others = arguments
    with pytest.raises(TaskclusterFailure, match="no longer supported"):
        getattr(taskcluster, name)(*others)


# defaults


@pytest.mark.services
def test_defaults_are_one_dict_in_every_module() -> None:
    for module in ["taskcluster.client", "taskcluster.aio.asyncclient", *NEEDING_SERVICES]:
        if module.count(".") and module != "taskcluster.aio":
            there: Any = importlib.import_module(module)
            assert there.config is there._defaultConfig is taskcluster.client.config, module


def test_changed_defaults_change_new_clients(mode: Any) -> None:
    made = mode.module.createApiClient("Fake", {"serviceName": "fake", "entries": []})
    before = made({"rootUrl": ROOT})
    changes = {"rootUrl": ROOT, "maxRetries": 2, "signedUrlExpiration": 60, "credentials": CREDENTIALS}
    with mock.patch.dict(taskcluster.client.config, changes):
        client = made()
        assert (client.options["maxRetries"], client.options["signedUrlExpiration"]) == (2, 60)
        assert client.options["credentials"]["clientId"] == b"tester"
        assert made({"maxRetries": 4}).options["maxRetries"] == 4
        assert before.options["maxRetries"] == 5
        assert taskcluster.client.config["credentials"] == CREDENTIALS
    assert made({"rootUrl": ROOT}).options["maxRetries"] == 5


def test_replaced_defaults_change_new_clients(mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = mode.module.createApiClient("Fake", {"serviceName": "fake", "entries": []})
    monkeypatch.setattr(taskcluster.client, "_defaultConfig", {"rootUrl": ROOT, "maxRetries": 1})
    assert made().options["maxRetries"] == 1


@pytest.mark.services
def test_changed_defaults_change_new_events_classes() -> None:
    with mock.patch.dict(taskcluster.client.config, {"rootUrl": ROOT}):
        assert taskcluster.QueueEvents().options["rootUrl"] == ROOT


def test_a_reference_without_api_version_is_of_v1(mode: Any) -> None:
    made = mode.module.createApiClient("Fake", {"reference": {"serviceName": "fake", "entries": []}})
    assert made({"rootUrl": ROOT}).apiVersion == "v1"


@pytest.mark.parametrize(
    ("options", "ext"),
    [
        ({}, None),
        ({"credentials": CREDENTIALS}, {}),
        ({"credentials": CREDENTIALS, "authorizedScopes": ["a:*"]}, {"authorizedScopes": ["a:*"]}),
    ],
)
def test_make_hawk_ext_returns_what_requests_carry(mode: Any, options: dict[str, Any], ext: Any) -> None:
    made: Any = mode.widgets(**options).makeHawkExt()
    assert made == {} if ext is None else json.loads(base64.b64decode(made)) == ext


@pytest.mark.services
def test_async_programs_enter_events_as_clients() -> None:
    async def pattern() -> dict[str, str]:
        async with taskcluster.aio.QueueEvents({"rootUrl": ROOT}) as events:
            return events.taskCompleted()

    assert asyncio.run(pattern()) == taskcluster.QueueEvents({"rootUrl": ROOT}).taskCompleted()


def test_make_hawk_ext_holds_the_certificate(mode: Any) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    temporary = taskcluster.createTemporaryCredentials(
        "a", "b", now, now + datetime.timedelta(hours=1), ["a"], name="c"
    )
    made: bytes = mode.widgets(credentials=temporary).makeHawkExt()
    assert json.loads(base64.b64decode(made)) == {"certificate": json.loads(temporary["certificate"])}


# functions that tests of programs replace


def credentials_made() -> Any:
    made = taskcluster.createTemporaryCredentials("a", "b", DAY, DAY, ["a"])
    return json.loads(made["certificate"])["seed"]


@pytest.mark.parametrize(
    ("replaced", "stub", "call", "result"),
    [
        ("stringDate", lambda date: "fixed", lambda: taskcluster.utils.fromNowJSON("1 day"), "fixed"),
        ("stringDate", lambda date: "fixed", lambda: taskcluster.fromNowJSON("1 day"), "fixed"),
        ("fromNow", lambda *_: DAY, lambda: taskcluster.fromNowJSON("1d"), "2024-01-01T00:00:00Z"),
        ("stringDate", lambda date: "fixed", lambda: taskcluster.dumpJson(DAY), '"fixed"'),
        ("slugId", lambda: "fixed", lambda: taskcluster.stableSlugId()("name"), "fixed"),
        ("slugId", lambda: "fixed", credentials_made, "fixedfixed"),
        ("makeHttpRequest", lambda *_: "fixed", lambda: taskcluster.putFile(__file__, URL, "text/plain"), "fixed"),
    ],
)  # fmt: skip
def test_functions_of_utils_call_what_replaces_another(
    replaced: str, stub: Any, call: Callable[[], Any], result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = getattr(taskcluster.utils, replaced)
    with mock.patch(f"taskcluster.utils.{replaced}", stub):
        assert call() == result
    monkeypatch.setattr(taskcluster.utils, replaced, stub)
    assert call() == result
    monkeypatch.undo()
    assert getattr(taskcluster.utils, replaced) is original
    assert getattr(importlib.import_module(original.__module__), replaced) is original


def test_requests_call_what_replaces_a_single_request(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    single = mock.Mock(side_effect=[mock.Mock(status_code=500), mock.Mock(status_code=200)])
    monkeypatch.setattr(taskcluster.utils, "makeSingleHttpRequest", single)
    monkeypatch.setattr(taskcluster.utils, "calculateSleepTime", lambda attempt: attempt * 100)
    assert taskcluster.utils.putFile(__file__, URL, "text/plain").status_code == 200
    single.assert_called_with("put", URL, mock.ANY, mock.ANY, mock.ANY)
    assert slept == [100]


@pytest.mark.services
def test_calls_send_through_a_replaced_function(mode: Any, slept: list[float]) -> None:
    """Nothing may be sent: the options may be those of a real deployment."""

    class FakeJsonResponse:
        def __init__(self, status: int, content: Any) -> None:
            self.status = self.status_code = status
            self.content = content

        def json(self) -> Any:
            return self.content if mode.name == "sync" else asyncio.sleep(0, self.content)

    is_sync = mode.name == "sync"
    failure = requests.ConnectionError("mine") if is_sync else aiohttp.ClientConnectionError("mine")
    responses = [failure, FakeJsonResponse(500, {}), FakeJsonResponse(200, {"a": 1})]
    module = "taskcluster.utils" if is_sync else "taskcluster.aio.asyncutils"
    secrets = mode.module.Secrets({"rootUrl": ROOT, "credentials": {"clientId": "a", "accessToken": "b"}})
    with mock.patch(f"{module}.makeSingleHttpRequest", side_effect=responses) as single:
        assert mode.run(secrets.set("x", {"secret": {}})) == {"a": 1}
    url = f"{ROOT}/api/secrets/v1/secret/x"
    session = {} if is_sync else {"session": mock.ANY}
    assert single.call_args_list == [mock.call("put", url, '{"secret":{}}', mock.ANY, **session)] * 3
    assert single.call_args.args[3]["Authorization"].startswith("Hawk ")
    assert len([delay for delay in slept if delay]) == 2


@pytest.mark.services
def test_a_class_first_used_under_a_patch_sends_through_it(python: Callable[..., str]) -> None:
    program = """
import taskcluster
from unittest import mock
with mock.patch("taskcluster.utils.makeSingleHttpRequest") as single:
    single.return_value = mock.Mock(status_code=200, json=lambda: {"a": 1})
    print(taskcluster.Auth({"rootUrl": "http://127.0.0.1:1"}).ping(), single.call_count)
"""
    assert python(program) == "{'a': 1} 1"


@pytest.mark.parametrize("target", ["taskcluster.utils.time.sleep", "taskcluster.client.time.sleep"])
def test_waiting_is_replaced_through_a_module(target: str, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(target, waited.append)
    wire.respond(500).respond(200).respond(500).respond(200, {"a": 1})
    assert taskcluster.utils.makeHttpRequest("get", URL, None, None).status_code == 200
    client = taskcluster.createApiClient("Fake", {"serviceName": "fake", "entries": [
        {"type": "function", "name": "ping", "method": "get", "route": "/ping", "args": []}
    ]})({"rootUrl": ROOT})  # fmt: skip
    assert client.ping() == {"a": 1}  # type: ignore[attr-defined]
    assert len(waited) == 2


# requests of programs


def test_headers_may_be_none(wire: Any) -> None:
    wire.respond(200).respond(303).respond(200)
    assert taskcluster.utils.makeSingleHttpRequest("get", URL, None, None).status_code == 200

    async def both() -> tuple[int, int]:
        one = await taskcluster.aio.asyncutils.makeSingleHttpRequest("get", URL, None, None)
        many = await taskcluster.aio.asyncutils.makeHttpRequest("get", URL, None, None)
        return one.status, many.status

    assert asyncio.run(both()) == (303, 200)
    assert {sent.url for sent in wire.sent} == {URL}


def test_async_requests_are_retried(wire: Any, slept: list[float], tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    wire.respond(500).refuse().respond(200).respond(404).respond(500, times=2).refuse(2)
    utils = taskcluster.aio.asyncutils
    assert asyncio.run(utils.putFile(str(path), URL, "text/plain")).status == 200
    assert (wire.last.body, wire.last.headers["Content-Length"]) == (b"data", "4")
    assert len(slept) == 2
    assert asyncio.run(utils.makeHttpRequest("get", URL, None, {})).status == 404
    assert asyncio.run(utils.makeHttpRequest("get", URL, None, {}, retries=1)).status == 500
    with pytest.raises(aiohttp.ClientError):
        asyncio.run(utils.makeHttpRequest("get", URL, None, {}, retries=1))
    assert len(slept) == 4


def test_async_requests_use_the_given_session(wire: Any) -> None:
    wire.respond(200)

    async def request() -> None:
        async with taskcluster.aio.asyncutils.createSession(headers={"X-Session": "1"}) as session:
            await taskcluster.aio.asyncutils.makeHttpRequest("get", URL, None, None, session=session)

    asyncio.run(request())
    assert wire.last.headers["X-Session"] == "1"


class Flaky:
    """Fails a number of times, then returns the number of its calls."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self, retry_for: Callable[[Exception], Any]) -> Any:
        self.calls += 1
        return retry_for(ValueError("failed")) if self.calls <= self.failures else self.calls


def retried(mode: Any, retries: int, attempt: Flaky) -> Any:
    if mode.name == "sync":
        return taskcluster.retry.retry(retries, attempt)
    return asyncio.run(taskcluster.aio.retry.retry(retries, taskcluster.aio.asyncutils.ensureCoro(attempt)))


@pytest.mark.parametrize(("failures", "retries", "calls"), [(0, 0, 1), (2, 2, 3), (2, 5, 3)])
def test_retry_calls_until_it_succeeds(mode: Any, failures: int, retries: int, calls: int, slept: list[float]) -> None:
    assert retried(mode, retries, Flaky(failures)) == calls
    assert len(slept) == failures


def test_retry_raises_the_last_failure(mode: Any, slept: list[float]) -> None:
    with pytest.raises(ValueError, match="failed"):
        retried(mode, 1, Flaky(2))
    assert len(slept) == 1


def test_sync_and_async_code_call_each_other() -> None:
    async def double(number: int) -> int:
        return 2 * number

    utils = taskcluster.aio.asyncutils
    assert utils.ensureCoro(double) is double
    assert utils.runAsync(double(2)) == 4
    assert utils.runAsync(utils.ensureCoro(len)("four")) == 4
