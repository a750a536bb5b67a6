"""What existing programs do with the client works as with the published one."""

from __future__ import annotations

import asyncio
import copy
import datetime
import importlib
import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, call, create_autospec, patch

import aiohttp
import pytest
import requests

import taskcluster
import taskcluster.aio
import taskcluster.client
import taskcluster.exceptions
import taskcluster.utils

pytestmark = pytest.mark.services

ROOT = "https://tc.example.com"
TASK = "fN1SbArXTPSVFNUvaOlinQ"
CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}
SERVICES = [
    "Auth",
    "Github",
    "Hooks",
    "Index",
    "Notify",
    "Object",
    "PurgeCache",
    "Queue",
    "Secrets",
    "WebServer",
    "WorkerManager",
]
WITH_EXCHANGES = ["Auth", "Github", "Hooks", "Notify", "Queue", "WorkerManager"]


# clients


@pytest.mark.parametrize("name", SERVICES)
def test_creates_a_client_with_a_session(name: str) -> None:
    session = requests.Session()
    made = getattr(taskcluster, name)
    for client in (made({"rootUrl": ROOT}, session), made(options={"rootUrl": ROOT}, session=session)):
        assert client.session is session
        assert isinstance(client, made)


def test_annotates_with_a_service_class(python: Callable[..., str]) -> None:
    program = """
import taskcluster
def f(queue: taskcluster.Queue | None, twin: taskcluster.aio.Queue | None) -> taskcluster.Queue | None: ...
print(f.__annotations__["queue"].__args__[0].__name__)
"""
    assert python(program) == "Queue"


def test_a_service_class_can_be_subclassed(wire: Any) -> None:
    class CountingCalls(taskcluster.Queue):
        def __init__(self, **options: Any) -> None:
            super().__init__({"rootUrl": ROOT, **options})
            self.calls = 0

        def task(self, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return super().task(*args, **kwargs)

    wire.respond(200, {"a": 1})
    mine = CountingCalls()
    assert mine.task(TASK) == {"a": 1}
    assert mine.calls == 1
    assert isinstance(mine, taskcluster.Queue)


def test_uses_the_callers_async_session(wire: Any) -> None:
    async def use() -> None:
        connector = aiohttp.TCPConnector(limit=5)
        timeout = aiohttp.ClientTimeout(total=12, sock_connect=3, sock_read=4)
        async with aiohttp.ClientSession(headers={"X-Mine": "1"}, connector=connector, timeout=timeout) as session:
            for queue in (
                taskcluster.aio.Queue({"rootUrl": ROOT}, session),
                taskcluster.aio.Queue(options={"rootUrl": ROOT}, session=session),
            ):
                assert queue.session is session
                await queue.ping()
            assert not session.closed

    wire.respond(200, {}, times=2)
    asyncio.run(use())
    assert [sent.headers["X-Mine"] for sent in wire.sent] == ["1", "1"]
    # The client applies the total timeout.
    expected = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=4)
    assert [sent.timeout for sent in wire.sent] == [expected, expected]


def test_creates_an_async_client_at_import_time(python: Callable[..., str]) -> None:
    program = """
import asyncio, taskcluster.aio
queue = taskcluster.aio.Queue({"rootUrl": "https://tc.example.com"})
async def main():
    return queue.buildUrl("ping")
print(asyncio.run(main()))
"""
    assert python(program) == f"{ROOT}/api/queue/v1/ping"


def test_an_async_client_is_entered(wire: Any) -> None:
    async def use() -> Any:
        async with taskcluster.aio.Queue({"rootUrl": ROOT}) as queue:
            return await queue.ping()

    wire.respond(200, {"alive": True})
    assert asyncio.run(use()) == {"alive": True}


def test_create_session_takes_connector_and_timeout() -> None:
    async def use() -> None:
        connector = aiohttp.TCPConnector(limit=5)
        timeout = aiohttp.ClientTimeout(total=12)
        async with taskcluster.aio.createSession(connector=connector, timeout=timeout) as session:
            assert isinstance(session, aiohttp.ClientSession)
            assert session.connector is connector
            assert session.timeout == timeout

    asyncio.run(use())
    assert isinstance(taskcluster.createSession(), requests.Session)


@pytest.mark.parametrize("name", [*SERVICES, *(f"{name}Events" for name in WITH_EXCHANGES)])
@pytest.mark.parametrize("package", ["taskcluster", "taskcluster.aio"])
def test_imports_each_class_from_its_module(package: str, name: str) -> None:
    module = importlib.import_module(f"{package}.{name.lower()}")
    assert getattr(module, name) is getattr(importlib.import_module(package), name)
    assert name in module.__all__


# API methods


@pytest.mark.parametrize("name", SERVICES)
def test_signatures_accept_any_arguments(mode: Any, name: str) -> None:
    made = getattr(mode.module, name)
    for method in made.funcinfo:
        signature = inspect.signature(vars(made)[method])
        positional = [each.name for each in signature.parameters.values() if each.kind != each.KEYWORD_ONLY]
        assert positional == ["self", "args", "kwargs"]
        signature.bind("self", 1, 2, 3, anything=4)


CONVENTIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "in order": (("T", {"a": 1}), {}),
    "payload first": (({"a": 1},), {"taskId": "T"}),
    "params": ((), {"payload": {"a": 1}, "params": {"taskId": "T"}, "query": {"x": 1}}),
    "payload by name": (("T",), {"payload": {"a": 1}}),
    "unknown": ((), {"anything": 1}),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_autospec_accepts_each_calling_convention(mode: Any, convention: str) -> None:
    args, kwargs = CONVENTIONS[convention]
    mock = create_autospec(mode.module.Queue, spec_set=True)({"rootUrl": ROOT})
    mock.createTask.return_value = {"status": {}}
    assert mode.run(mock.createTask(*args, **kwargs)) == {"status": {}}
    mock.createTask.assert_called_once_with(*args, **kwargs)
    # A mock records the passed arguments, without defaults.
    assert mock.createTask.call_args == call(*args, **kwargs)
    with pytest.raises(AssertionError):
        mock.createTask.assert_called_once_with("other", **kwargs)


@pytest.mark.parametrize("name", SERVICES)
def test_create_autospec_with_spec_set(mode: Any, name: str) -> None:
    made = getattr(mode.module, name)
    mock = create_autospec(made, spec_set=True)
    client = mock({"rootUrl": ROOT})
    client.ping.return_value = {"alive": True}
    assert mode.run(client.ping()) == {"alive": True}
    assert isinstance(client.ping, AsyncMock if mode.name == "async" else MagicMock)
    with pytest.raises(AttributeError):
        client.nonsense = 1
    instance = create_autospec(made({"rootUrl": ROOT}), spec_set=True)
    instance.ping.return_value = 1
    assert mode.run(instance.ping(1, 2, any=3)) == 1


@pytest.mark.parametrize("argument", ["taskGroupId", "query", "limit", "paginationHandler"])
def test_an_ellipsis_is_a_value_that_is_rejected(mode: Any, argument: str) -> None:
    queue = mode.client("Queue")
    kwargs = {"taskGroupId": "G", argument: ...}
    with pytest.raises(taskcluster.TaskclusterFailure, match="ellipsis"):
        mode.run(queue.listTaskGroup(**kwargs))


def test_patch_object_of_a_class(mode: Any, wire: Any) -> None:
    queue = mode.client("Queue")

    def replacement(self: Any, taskId: str) -> str:
        return f"fake {taskId}"

    with patch.object(mode.module.Queue, "task", new=replacement):
        assert queue.task("t") == "fake t"
    wire.respond(200, {})
    assert mode.run(queue.task(TASK)) == {}


def test_patch_object_of_an_instance(mode: Any, wire: Any) -> None:
    queue = mode.client("Queue")
    with patch.object(queue, "task", return_value="fake"):
        assert mode.run(queue.task("t")) == "fake"
    wire.respond(200, {})
    assert mode.run(queue.task(TASK)) == {}


def test_mock_wraps_a_client(mode: Any, wire: Any) -> None:
    wire.respond(200, {"a": 1})
    mock = Mock(wraps=mode.client("Queue"))
    assert mode.run(mock.task(TASK)) == {"a": 1}
    mock.task.assert_called_once_with(TASK)


def test_methods_are_set_on_instances(mode: Any) -> None:
    queue = mode.client("Queue")
    queue.task = lambda taskId: f"fake {taskId}"
    queue.anything = 1
    assert queue.task("t") == "fake t"


# calling


@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.getLatestArtifact(taskId=TASK, name="public/x"),
        lambda queue: queue.getLatestArtifact(TASK, "public/x"),
        lambda queue: queue.getLatestArtifact(TASK, name="public/x"),
        lambda queue: queue.getLatestArtifact(params={"taskId": TASK, "name": "public/x"}),
    ],
)
def test_passes_route_parameters_by_keyword(mode: Any, wire: Any, call: Callable[..., Any]) -> None:
    wire.respond(303, {"url": "https://storage.example.com"})
    mode.run(call(mode.client("Queue")))
    assert wire.last.target == f"/api/queue/v1/task/{TASK}/artifacts/public%2Fx"


def test_payload_query_and_params_by_keyword(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    mode.run(mode.client("Queue").tasks(payload={"taskIds": []}, query={"limit": 1}, params={}))
    assert wire.last.target == "/api/queue/v1/tasks?limit=1"
    assert wire.last.json == {"taskIds": []}


def test_pagination_handler_and_limit_by_keyword(mode: Any, wire: Any) -> None:
    pages: list[Any] = []
    wire.respond(200, {"tasks": [1], "continuationToken": "t"}).respond(200, {"tasks": [2]})
    mode.run(mode.client("Queue").listTaskGroup(TASK, paginationHandler=pages.append, paginationLimit=1))
    assert [page["tasks"] for page in pages] == [[1], [2]]
    assert [sent.target.partition("?")[2] for sent in wire.sent] == ["limit=1", "limit=1&continuationToken=t"]


@pytest.mark.parametrize("build", ["buildUrl", "buildSignedUrl"])
def test_urls_are_built_with_parameters_by_position_or_keyword(mode: Any, build: str) -> None:
    builder = getattr(mode.client("Queue", credentials=CREDENTIALS), build)
    expected = f"{ROOT}/api/queue/v1/task/{TASK}/artifacts/public%2Fx"
    for url in (
        builder("getLatestArtifact", TASK, "public/x"),
        builder("getLatestArtifact", taskId=TASK, name="public/x"),
    ):
        assert url.partition("?")[0] == expected
    assert ("bewit=" in builder("getLatestArtifact", TASK, "public/x")) is (build == "buildSignedUrl")


def test_a_signed_url_takes_an_expiration(mode: Any) -> None:
    queue = mode.client("Queue", credentials=CREDENTIALS)
    urls = {queue.buildSignedUrl("task", TASK, expiration=seconds) for seconds in (10, 10000)}
    assert len(urls) == 2


def test_a_signed_url_without_credentials_is_an_auth_failure(mode: Any) -> None:
    with pytest.raises(taskcluster.exceptions.TaskclusterAuthFailure):
        mode.client("Queue").buildSignedUrl("task", TASK)


# results


def test_json_is_a_dict_and_no_content_is_none(mode: Any, wire: Any) -> None:
    wire.respond(200, {"a": {"b": [1]}}).respond(204)
    queue = mode.client("Queue")
    assert mode.run(queue.task(TASK)) == {"a": {"b": [1]}}
    assert mode.run(queue.ping()) is None


def test_returns_the_librarys_response_if_not_json(mode: Any, wire: Any) -> None:
    wire.respond(200, b"log line\n", content_type="text/plain", headers={"X-Mine": "1"})
    result = mode.run(mode.client("Queue").getLatestArtifact(TASK, "public/log"))
    assert result.keys() == {"response"}
    response = result["response"]
    assert response.headers["X-Mine"] == "1"
    if mode.name == "sync":
        assert isinstance(response, requests.Response)
        assert (response.status_code, response.content, response.text) == (200, b"log line\n", "log line\n")
    else:
        assert response.status == 200
        assert asyncio.run(response.read()) == b"log line\n"


def test_returns_the_json_body_of_a_303(mode: Any, wire: Any) -> None:
    elsewhere = "https://storage.example.com/x"
    wire.respond(303, {"storageType": "s3", "url": elsewhere}, headers={"Location": elsewhere})
    assert mode.run(mode.client("Queue").getLatestArtifact(TASK, "public/x"))["url"] == elsewhere
    assert len(wire.sent) == 1


# client.options


def test_options_may_change_between_calls(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    queue = mode.client("Queue")
    assert isinstance(queue.options, dict)
    queue.options["rootUrl"] = "https://later.example.com"
    queue.options["credentials"] = {"clientId": b"later", "accessToken": b"no-secret"}
    mode.run(queue.ping())
    assert wire.last.url == "https://later.example.com/api/queue/v1/ping"
    assert 'id="later"' in wire.last.headers["Authorization"]


def test_copies_credentials_as_bytes(mode: Any) -> None:
    mine = {"rootUrl": ROOT, "credentials": {**CREDENTIALS, "certificate": "{}"}}
    before = json.dumps(mine)
    queue = mode.module.Queue(mine)
    assert queue.options["credentials"]["clientId"].decode() == "tester"
    assert queue.options["credentials"]["accessToken"].decode() == "no-secret"
    assert queue.options["credentials"]["certificate"].decode() == "{}"
    assert json.dumps(mine) == before
    assert mode.module.Queue({"rootUrl": ROOT}).options["credentials"]["clientId"] is None


@pytest.mark.parametrize("copied", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy])
def test_clients_are_pickled_and_copied_fresh_and_used(mode: Any, wire: Any, copied: Callable[[Any], Any]) -> None:
    queue = mode.client("Queue", credentials=CREDENTIALS)
    queue.of_a_subclass = ["kept"]
    for _ in range(2):
        again = copied(queue)
        assert type(again) is type(queue)
        assert again.options == queue.options
        assert again.of_a_subclass == ["kept"]
        wire.respond(200, {"name": "a"})
        wire.respond(200, {"name": "b"})
        assert mode.run(again.task("a")) == {"name": "a"}
        assert mode.run(queue.task("a")) == {"name": "b"}
        again.options["rootUrl"] = "https://other.example.com"
        assert "other.example.com" in again.buildUrl("task", "a")


def test_funcinfo_is_read(mode: Any) -> None:
    queue = mode.client("Queue")
    info = queue.funcinfo["createTask"]
    assert info["name"] == "createTask"
    assert (info["method"], info["route"], info["args"]) == ("put", "/task/<taskId>", ["taskId"])
    assert mode.module.Queue.funcinfo["createTask"] is info


# names


TOP = [
    "slugId",
    "stableSlugId",
    "fromNow",
    "fromNowJSON",
    "stringDate",
    "scopeMatch",
    "optionsFromEnvironment",
    "createTemporaryCredentials",
    "createSession",
    "TaskclusterFailure",
    "TaskclusterRestFailure",
    "TaskclusterAuthFailure",
    "TaskclusterConnectionError",
    "TaskclusterTopicExchangeFailure",
    "TaskclusterArtifactError",
    "ObjectHashVerificationError",
]
UTILS = [
    "slugId",
    "stringDate",
    "fromNow",
    "fromNowJSON",
    "dumpJson",
    "scopeMatch",
    "scope_match",
    "calculateSleepTime",
    "putFile",
    "isExpired",
    "optionsFromEnvironment",
    "stableSlugId",
    "toStr",
    "makeB64UrlSafe",
    "makeB64UrlUnsafe",
    "encodeStringForB64Header",
    "makeHttpRequest",
    "makeSingleHttpRequest",
    "MAX_RETRIES",
    "DELAY_FACTOR",
    "RANDOMIZATION_FACTOR",
    "MAX_DELAY",
]


AFTER_A_BARE_IMPORT = [
    "taskcluster.exceptions.TaskclusterRestFailure",
    "taskcluster.utils.slugId",
    "taskcluster.client.BaseClient",
    "taskcluster.client.createTemporaryCredentials",
    "taskcluster.client.exceptions.TaskclusterFailure",
    "taskcluster.aio.Queue",
    *(f"taskcluster.{name}" for name in TOP),
]


def test_bare_import_provides_submodules_and_names(python: Callable[..., str]) -> None:
    program = f"""
import taskcluster
for expression in {AFTER_A_BARE_IMPORT!r}:
    eval(expression)
print("all")
"""
    assert python(program) == "all"


@pytest.mark.parametrize("name", UTILS)
def test_utils_has(name: str) -> None:
    assert getattr(taskcluster.utils, name) is getattr(taskcluster, name)


def test_from_taskcluster_import_star(python: Callable[..., str]) -> None:
    program = f"""
from taskcluster import *
print([name for name in {[*TOP, *SERVICES, "QueueEvents"]!r} if name not in globals()], TaskclusterFailure.__name__)
"""
    assert python(program) == "[] TaskclusterFailure"


def test_importing_taskcluster_loads_nothing_heavy(python: Callable[..., str]) -> None:
    program = """
import sys
before = set(sys.modules)
import taskcluster
heavy = {"requests", "aiohttp", "mohawk", "pluggy", "importlib.metadata", "yaml", "json", "logging", "urllib3"}
print(sorted(heavy & (set(sys.modules) - before)))
"""
    assert python(program) == "[]"


def test_building_a_client_and_a_url_loads_no_http_library(python: Callable[..., str]) -> None:
    program = """
import sys
import taskcluster
for module in (taskcluster, taskcluster.aio):
    queue = module.Queue({"rootUrl": "https://tc.example.com", "credentials": {"clientId": "c", "accessToken": "a"}})
    queue.buildUrl("task", "x")
print(sorted({"requests", "aiohttp", "urllib3", "yarl"} & set(sys.modules)))
"""
    assert python(program) == "[]"


def test_building_a_sync_url_loads_only_what_it_needs(python: Callable[..., str]) -> None:
    """Entry points need importlib.metadata, which loads different modules in each version of Python."""
    program = """
import importlib.metadata, sys
importlib.metadata.entry_points(group="taskcluster")
before = set(sys.modules)
import taskcluster
taskcluster.Queue({"rootUrl": "https://tc.example.com"}).buildUrl("task", "x")
slow = {"dataclasses", "encodings.idna", "hashlib", "inspect", "logging", "mohawk", "pickle", "pluggy", "yaml"}
print(sorted(slow & (set(sys.modules) - before)))
"""
    assert python(program) == "[]"


def test_importing_the_registry_reads_no_entry_points(python: Callable[..., str]) -> None:
    program = """
import sys
import taskcluster.registry
print(sorted({"importlib.metadata", "pluggy"} & set(sys.modules)))
"""
    assert python(program) == "[]"


def test_looking_for_hooks_loads_no_service(python: Callable[..., str]) -> None:
    program = """
import sys
from taskcluster.registry import registry
assert registry.observer() is None and not registry.transfer_methods()
loaded = {name.partition(".")[0] for name in sys.modules if name.startswith("taskcluster_")}
print(sorted(loaded - {"taskcluster_urls"}))
"""
    assert python(program) == "[]"


def test_naming_one_service_loads_no_other(python: Callable[..., str]) -> None:
    program = """
import sys
import taskcluster
taskcluster.Queue, taskcluster.QueueEvents, taskcluster.aio.Queue
loaded = {name.partition(".")[0] for name in sys.modules if name.startswith("taskcluster_")}
print(sorted(loaded - {"taskcluster_urls"}))
"""
    assert python(program) == "['taskcluster_queue']"


# utils


def test_dump_json_writes_datetimes_and_bytes() -> None:
    assert taskcluster.utils.dumpJson({"d": datetime.datetime(2024, 1, 1), "b": b"x"}) == (
        '{"d":"2024-01-01T00:00:00Z","b":"x"}'
    )


def test_scope_match_has_its_deprecated_name() -> None:
    with pytest.warns(UserWarning, match="scopeMatch") as warned:
        assert taskcluster.utils.scope_match(["a*"], [["ab"]])
    assert warned[0].filename == __file__


def test_is_expired_takes_a_certificate(frozen: datetime.datetime) -> None:
    assert taskcluster.utils.isExpired(json.dumps({"expiry": 1700000000000 - 1}))
    assert not taskcluster.utils.isExpired({"expiry": (1700000000 + 3600) * 1000})


def test_from_now_is_aware_and_in_utc_and_keeps_microseconds(frozen: datetime.datetime) -> None:
    date = taskcluster.utils.fromNow("1 hour")
    assert date.utcoffset() == datetime.timedelta(0)
    start = datetime.datetime(2024, 1, 1, microsecond=123456)
    assert taskcluster.utils.fromNow("1 hour", start).microsecond == 123456


def test_string_date_writes_z_for_utc_and_for_naive_dates() -> None:
    naive = datetime.datetime(2024, 1, 1, microsecond=123456)
    assert taskcluster.stringDate(naive) == "2024-01-01T00:00:00.123456Z"
    assert taskcluster.stringDate(naive.replace(tzinfo=datetime.timezone.utc)) == "2024-01-01T00:00:00.123456Z"


def test_create_temporary_credentials_returns_bytes_and_json() -> None:
    start = datetime.datetime(2024, 1, 1)
    made = taskcluster.client.createTemporaryCredentials("issuer", "no-secret", start, start, ["a"], name="n")
    assert isinstance(made["accessToken"], bytes)
    assert isinstance(made["certificate"], str)
    assert json.loads(made["certificate"])["issuer"] == "issuer"


# exceptions


def test_programs_construct_exceptions() -> None:
    failure = taskcluster.exceptions.TaskclusterRestFailure("m", None, status_code=409, body={})
    assert (failure.status_code, failure.body, failure.superExc, str(failure)) == (409, {}, None, "m")
    auth = taskcluster.exceptions.TaskclusterAuthFailure("m", None, status_code=401, body={"a": 1})
    assert (auth.status_code, auth.body, auth.superExc) == (401, {"a": 1}, None)
    below = OSError("below")
    assert taskcluster.exceptions.TaskclusterConnectionError("m", below).superExc is below
    assert taskcluster.exceptions.TaskclusterArtifactError("m", "reason").reason == "reason"


def test_failure_has_the_servers_message_and_request_info(mode: Any, wire: Any) -> None:
    body = {"code": "RequestConflict", "message": "exists already", "requestInfo": {"method": "createTask"}}
    wire.respond(409, body)
    with pytest.raises(taskcluster.exceptions.TaskclusterRestFailure) as caught:
        mode.run(mode.client("Queue").createTask(TASK, {}))
    assert caught.value.body["requestInfo"] == {"method": "createTask"}
    assert str(caught.value) == "exists already"


def test_exceptions_are_raised_as_bare_instances_in_mocks(mode: Any) -> None:
    for failure in (
        taskcluster.exceptions.TaskclusterFailure,
        taskcluster.exceptions.TaskclusterFailure("m"),
        taskcluster.exceptions.TaskclusterAuthFailure("m"),
        taskcluster.exceptions.TaskclusterRestFailure("m", None, 404),
    ):
        queue = Mock(spec=mode.module.Queue)
        queue.task = Mock(side_effect=failure)
        with pytest.raises(taskcluster.exceptions.TaskclusterFailure):
            queue.task(TASK)


@pytest.mark.parametrize("failure", [{"status": 404}, {"status": 500}, None])
def test_exceptions_of_calls_can_be_pickled(mode: Any, wire: Any, failure: dict[str, Any] | None) -> None:
    if failure is None:
        wire.refuse()
    else:
        wire.respond(body={"message": "m"}, **failure)
    with pytest.raises(taskcluster.exceptions.TaskclusterFailure) as caught:
        mode.run(mode.client("Queue", maxRetries=0).ping())
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)


SCRIPTWORKERS = (taskcluster.exceptions.TaskclusterFailure, aiohttp.ClientError, asyncio.TimeoutError)


@pytest.mark.parametrize("ending", ["500", "refuse", "stall", "404"])
def test_async_failures_are_caught_by_old_and_new_handlers(wire: Any, ending: str) -> None:
    def fail() -> None:
        if ending.isdigit():
            wire.respond(int(ending), {"message": "m"})
        else:
            getattr(wire, ending)()

    old: Any = {"500": aiohttp.ClientResponseError, "refuse": aiohttp.ClientError, "stall": asyncio.TimeoutError}
    for handler in (SCRIPTWORKERS, taskcluster.exceptions.TaskclusterFailure, old.get(ending, SCRIPTWORKERS)):
        fail()
        queue = taskcluster.aio.Queue({"rootUrl": ROOT, "maxRetries": 0})
        with pytest.raises(handler):
            asyncio.run(queue.ping())


def test_async_failure_has_its_status_under_both_names(wire: Any) -> None:
    wire.respond(503, {"message": "m"})
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        asyncio.run(taskcluster.aio.Queue({"rootUrl": ROOT, "maxRetries": 0}).ping())
    assert caught.value.status == 503


# mocks of the client


@pytest.mark.parametrize("target", ["taskcluster.Queue", "taskcluster.aio.Queue", "taskcluster.QueueEvents"])
def test_patch_replaces_a_class_for_a_while(target: str) -> None:
    def current() -> Any:
        module = taskcluster.aio if ".aio." in target else taskcluster
        return getattr(module, target.rpartition(".")[2])

    original = current()
    for _ in range(2):
        with patch(target) as mock:
            assert current() is mock
            mock.return_value.task.return_value = {"a": 1}
            assert current()({"rootUrl": ROOT}).task("t") == {"a": 1}
        assert current() is original


def test_patches_a_class_that_is_not_loaded_yet(python: Callable[..., str]) -> None:
    program = """
from unittest.mock import patch
import taskcluster
with patch("taskcluster.Queue") as mock, patch("taskcluster.aio.Queue"), patch("taskcluster.fromNow", return_value=1):
    assert taskcluster.Queue is mock
    assert taskcluster.fromNow("1 day") == 1
    import taskcluster.queue
    assert taskcluster.queue.Queue.__module__ == "taskcluster_queue.client"
print(taskcluster.Queue.__module__, taskcluster.aio.Queue.__module__, taskcluster.fromNow.__module__)
"""
    assert python(program) == "taskcluster_queue.client taskcluster_queue.aio taskcluster.timestamps"


def test_finds_the_original_class_after_a_module_patch(python: Callable[..., str]) -> None:
    program = """
from unittest.mock import patch
import taskcluster, taskcluster_queue.client
first = taskcluster.Queue
with patch("taskcluster_queue.client.Queue"):
    assert taskcluster.Queue is first
    from taskcluster import Queue
    assert Queue is first
print(taskcluster.Queue is first)
"""
    assert python(program) == "True"


def test_monkeypatch_of_a_function_in_utils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taskcluster.utils, "stringDate", lambda date: "fixed")
    assert taskcluster.utils.stringDate(datetime.datetime(2024, 1, 1)) == "fixed"
    monkeypatch.undo()
    assert taskcluster.utils.stringDate(datetime.datetime(2024, 1, 1)) == "2024-01-01T00:00:00Z"


FIRST_TOUCH = """
import datetime, json, os, time
from unittest.mock import MagicMock, patch
import taskcluster
import taskcluster_urls
real = datetime.datetime
with {patch}:
    for name in ("Queue", "QueueEvents", "fromNow", "optionsFromEnvironment", "createTemporaryCredentials", "utils"):
        getattr(taskcluster, name)
    queue = taskcluster.Queue({{"rootUrl": "https://tc.example.com"}})
    queue.buildUrl("ping")
os.environ["TASKCLUSTER_CLIENT_ID"] = "later"
os.environ.pop("TASKCLUSTER_ROOT_URL", None)
found = taskcluster.optionsFromEnvironment()
date = taskcluster.fromNow("1 hour", real(2024, 1, 1))
print(json.dumps(found), date, type(taskcluster.fromNow("1 hour")).__name__)
"""


@pytest.mark.parametrize(
    "patching",
    [
        "patch('datetime.datetime', MagicMock())",
        "patch('time.time', MagicMock())",
        "patch('os.environ', {'TASKCLUSTER_ROOT_URL': 'https://patched.example.com'})",
        "patch.dict('os.environ', {'TASKCLUSTER_ROOT_URL': 'https://patched.example.com'}, clear=True)",
    ],
)
def test_a_class_loaded_during_a_patch_keeps_no_mock(
    patching: str, python: Callable[..., str], environment: Callable[..., None]
) -> None:
    printed = python(FIRST_TOUCH.format(patch=patching))
    assert printed == '{"credentials": {"clientId": "later"}} 2024-01-01 01:00:00 datetime'


# logging, and the web interface's example


def test_loggers_are_under_taskcluster(mode: Any, wire: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "taskcluster")
    wire.respond(200, {})
    mode.run(mode.client("Queue").ping())
    assert [record.name for record in caplog.records if record.name.startswith("taskcluster")]


def test_the_snippet_that_the_web_interface_shows(wire: Any, environment: Callable[..., None]) -> None:
    environment(ROOT_URL=ROOT, CLIENT_ID="c", ACCESS_TOKEN="a")
    queue = taskcluster.Queue(taskcluster.optionsFromEnvironment())
    outcomes = []
    wire.respond(200, {"a": 1}).respond(401, {"message": "m"}).respond(404, {"message": "m"})
    for _ in range(3):
        try:
            outcomes.append(queue.task(TASK))
        except taskcluster.exceptions.TaskclusterAuthFailure:
            outcomes.append("auth")
        except taskcluster.exceptions.TaskclusterRestFailure as failure:
            outcomes.append(failure.status_code)
    assert outcomes == [{"a": 1}, "auth", 404]
