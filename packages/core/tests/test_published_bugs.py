"""Bugs of the published client that this client does not have."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
import requests

import taskcluster
import taskcluster.aio
from taskcluster.exceptions import (
    TaskclusterAuthFailure,
    TaskclusterConnectionError,
    TaskclusterFailure,
    TaskclusterRestFailure,
    UnknownOptionWarning,
)

pytestmark = pytest.mark.services

ROOT = "https://tc.example.com"
TASK = "fN1SbArXTPSVFNUvaOlinQ"
CREDENTIALS = {"clientId": "tester", "accessToken": "no-secret"}


# sessions and connections


def test_uses_a_sync_session(wire: Any) -> None:
    session = requests.Session()
    session.headers["X-Mine"] = "1"
    wire.respond(200, {}, times=2)
    queue = taskcluster.Queue({"rootUrl": ROOT}, session=session)
    queue.ping()
    queue.ping()
    assert [sent.headers["X-Mine"] for sent in wire.sent] == ["1", "1"]


def test_sync_calls_share_one_session(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[requests.Session] = []
    init = requests.Session.__init__

    def count(self: requests.Session) -> None:
        made.append(self)
        init(self)

    monkeypatch.setattr(requests.Session, "__init__", count)
    wire.respond(200, {}, times=3)
    queue = taskcluster.Queue({"rootUrl": ROOT})
    for _ in range(3):
        queue.ping()
    assert len(made) == 1


def test_sync_calls_time_out_by_default(wire: Any) -> None:
    wire.respond(200, {})
    taskcluster.Queue({"rootUrl": ROOT}).ping()
    connect, read = wire.last.timeout
    assert 0 < connect < float("inf")
    # claimWork responds after up to 20 s.
    assert 20 < read < float("inf")


# retries


@pytest.mark.parametrize("status", [429, 503])
def test_retries_after_the_delay_in_retry_after(mode: Any, wire: Any, slept: list[float], status: int) -> None:
    wire.respond(status, headers={"Retry-After": "7"}).respond(200, {"a": 1})
    assert mode.run(mode.client("Queue").ping()) == {"a": 1}
    assert slept == [7.0]


def test_retries_and_their_delays_are_options(
    mode: Any, wire: Any, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)
    wire.respond(500, times=4).respond(200, {})
    client = mode.client("Queue", maxRetries=4, delayFactor=2.0, randomizationFactor=0.5, maxDelay=10.0)
    mode.run(client.ping())
    assert slept == pytest.approx([3.0, 6.0, 10.0, 10.0])


def test_async_server_failures_have_both_classes(mode: Any, wire: Any) -> None:
    wire.respond(502, {"message": "m"}, times=2)
    with pytest.raises(TaskclusterRestFailure, match=r"^m$") as caught:
        mode.run(mode.client("Queue", maxRetries=1).ping())
    assert caught.value.status_code == 502
    assert isinstance(caught.value, aiohttp.ClientResponseError) is (mode.name == "async")


def test_retries_timeouts_and_raises_one_class(mode: Any, wire: Any) -> None:
    wire.stall(times=2).respond(200, {"a": 1}).stall(times=3)
    queue = mode.client("Queue", maxRetries=2)
    assert mode.run(queue.ping()) == {"a": 1}
    with pytest.raises(TaskclusterConnectionError, match="timed out"):
        mode.run(queue.ping())
    assert len(wire.sent) == 6


# arguments


def test_accepts_query_parameters_as_keywords(mode: Any, wire: Any) -> None:
    wire.respond(200, {"tasks": []})
    mode.run(mode.client("Queue").listTaskGroup(TASK, continuationToken="t"))
    assert wire.last.target == f"/api/queue/v1/task-group/{TASK}/list?continuationToken=t"


def test_rejects_unknown_keywords_with_a_suggestion(mode: Any, wire: Any) -> None:
    with pytest.raises(TaskclusterFailure, match="no argument 'continuationtoken'; did you mean 'continuationToken'"):
        mode.run(mode.client("Queue").listTaskGroup(TASK, continuationtoken="t"))
    assert wire.sent == []


def test_accepts_run_id_0_as_a_keyword(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    mode.run(mode.client("Queue").listArtifacts(taskId=TASK, runId=0))
    assert wire.last.target == f"/api/queue/v1/task/{TASK}/runs/0/artifacts"


def test_accepts_payload_and_route_parameters_as_keywords(mode: Any, wire: Any) -> None:
    wire.respond(200, {})
    mode.run(mode.client("Queue").createTask(payload={"a": 1}, taskId=TASK))
    assert (wire.last.target, wire.last.json) == (f"/api/queue/v1/task/{TASK}", {"a": 1})


@pytest.mark.parametrize("convention", [lambda secrets: secrets.get(""), lambda secrets: secrets.get(name="")])
def test_rejects_an_empty_path_parameter(mode: Any, wire: Any, convention: Callable[..., Any]) -> None:
    with pytest.raises(TaskclusterFailure, match="name must not be empty"):
        mode.run(convention(mode.client("Secrets")))
    assert wire.sent == []


def test_suggests_query_for_a_trailing_dict(mode: Any) -> None:
    with pytest.raises(TaskclusterFailure, match=r"pass query={\.\.\.}"):
        mode.run(mode.client("Queue").listTaskGroup(TASK, {"limit": 1}))


@pytest.mark.parametrize("name", [".", ".."])
def test_rejects_dots_as_a_path_parameter(mode: Any, wire: Any, name: str) -> None:
    with pytest.raises(TaskclusterFailure, match="another route would be called"):
        mode.run(mode.client("Secrets", credentials=CREDENTIALS).get(name))
    assert wire.sent == []


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a/..", "a%2F.."), ("../b", "..%2Fb"), ("...", "..."), ("a//b/", "a%2F%2Fb%2F"), ("%2e", "%252e")],
)
def test_sends_other_dots_and_slashes_quoted(mode: Any, wire: Any, name: str, quoted: str) -> None:
    wire.respond(200, {})
    mode.run(mode.client("Secrets").get(name))
    assert wire.last.target == f"/api/secrets/v1/secret/{quoted}"


# results and errors


def test_returns_a_readable_response_for_binary_bodies(mode: Any, wire: Any) -> None:
    wire.respond(200, b"\x89PNG\xff\x00", content_type="image/png")
    response = mode.run(mode.client("Queue").getLatestArtifact(TASK, "public/x.png"))["response"]
    body = response.content if mode.name == "sync" else asyncio.run(response.read())
    assert body == b"\x89PNG\xff\x00"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "Not found"}, '{"error": "Not found"}'),
        (b"<html><h1>Bad Gateway</h1></html>", "<html><h1>Bad Gateway</h1></html>"),
        (None, "the response has no body"),
    ],
)
def test_errors_without_a_message_show_status_and_body(mode: Any, wire: Any, body: Any, text: str) -> None:
    wire.respond(404, body)
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.run(mode.client("Queue").task(TASK))
    assert str(caught.value) == f"queue.task (GET /task/{TASK}) failed with status 404: {text}"


class ProgramFailure(TaskclusterRestFailure):
    """A program's exception."""


@pytest.mark.parametrize("kind", [ProgramFailure, TaskclusterAuthFailure])
def test_subclasses_of_exceptions_can_be_pickled(kind: Any) -> None:
    again = pickle.loads(pickle.dumps(kind("m", None, status_code=409, body={"a": 1})))
    assert type(again) is kind
    assert (str(again), again.status_code, again.body) == ("m", 409, {"a": 1})


# options and credentials


def test_copies_the_callers_credentials(mode: Any) -> None:
    mine = dict(CREDENTIALS)
    client = mode.module.Queue({"rootUrl": ROOT, "credentials": mine})
    client.options["credentials"]["clientId"] = b"changed"
    assert mine == CREDENTIALS


def test_clients_do_not_share_credentials(mode: Any) -> None:
    first, second = mode.client("Queue"), mode.client("Queue")
    first.options["credentials"]["clientId"] = b"first"
    assert second.options["credentials"]["clientId"] is None
    assert mode.client("Auth").options["credentials"]["clientId"] is None


def test_options_from_environment_keeps_its_argument(environment: Callable[..., None]) -> None:
    environment(ROOT_URL=ROOT, CLIENT_ID="c", ACCESS_TOKEN="a")
    defaults: dict[str, Any] = {"credentials": {"certificate": "{}"}}
    taskcluster.optionsFromEnvironment(defaults)
    assert defaults == {"credentials": {"certificate": "{}"}}


def test_accepts_any_mapping_as_credentials(mode: Any, wire: Any) -> None:
    options: Mapping[str, Any] = MappingProxyType({"rootUrl": ROOT, "credentials": MappingProxyType(CREDENTIALS)})
    wire.respond(200, {})
    mode.run(mode.module.Queue(options).ping())
    assert 'id="tester"' in wire.last.headers["Authorization"]


def test_certificates_expire_20_minutes_early(frozen: Any) -> None:
    assert taskcluster.isExpired({"expiry": (1700000000 + 19 * 60) * 1000})
    assert not taskcluster.isExpired({"expiry": (1700000000 + 21 * 60) * 1000})


CERTIFICATE = {"version": 1, "seed": "s", "start": 0, "expiry": 1000, "scopes": [], "signature": "x"}


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ({"clientId": "c"}, "clientId given, accessToken missing"),
        ({**CREDENTIALS, "certificate": json.dumps(CERTIFICATE)}, "expired at 1970-01-01T00:00:01Z"),
        ({**CREDENTIALS, "certificate": "oops"}, "not a JSON object"),
    ],
)
def test_raises_for_invalid_credentials_before_sending(mode: Any, wire: Any, credentials: Any, message: str) -> None:
    with pytest.raises(TaskclusterAuthFailure, match=message):
        mode.run(mode.client("Queue", credentials=credentials).ping())
    assert wire.sent == []


def test_403_lists_the_missing_scopes(mode: Any, wire: Any) -> None:
    message = (
        "Client ID tester does not have sufficient scopes and is missing the following scopes:\n\n"
        '```\n{\n  "AllOf": [\n    "queue:create-task:x",\n    "queue:scheduler-id:-"\n  ]\n}\n```\n\n'
    )
    wire.respond(403, {"code": "InsufficientScopes", "message": message, "requestInfo": {}})
    with pytest.raises(TaskclusterRestFailure) as caught:
        mode.run(mode.client("Queue", credentials=CREDENTIALS).createTask(TASK, {}))
    assert caught.value.missing_scopes == ["queue:create-task:x", "queue:scheduler-id:-"]


def test_resolve_options_reports_the_sources(environment: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "taskcluster.yml"
    file.write_text(f"config:\n  rootUrl: {ROOT}\n  clientId: filed\n  accessToken: a\n", "utf-8")
    found = taskcluster.resolve_options(config_file=file)
    assert (found.root_url_source, found.credentials_source) == (str(file), str(file))
    assert taskcluster.Queue(found.options).options["credentials"]["clientId"] == b"filed"
    environment(PROXY_URL="http://taskcluster")
    assert taskcluster.resolve_options(config_file=file).credentials_source == "task proxy"
    assert "http://taskcluster" not in str(taskcluster.optionsFromEnvironment())


# names, logging, pages, headers


@pytest.mark.parametrize("spelling", ["workermanager", "workerManager", "worker-manager", "worker_manager"])
def test_finds_a_service_by_any_spelling(spelling: str) -> None:
    from taskcluster.registry import registry

    assert registry.service(spelling).class_name == "WorkerManager"


def test_debug_logs_hold_no_authorization_header(mode: Any, wire: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    wire.respond(500).respond(200, {})
    mode.run(mode.client("Queue", credentials=CREDENTIALS).createTask(TASK, {"a": "payload"}))
    for hidden in ("Authorization", "Hawk id", "mac=", "no-secret", "payload"):
        assert hidden not in caplog.text


def test_iterates_over_pages_and_items(mode: Any, wire: Any) -> None:
    async def collected(pages: Any) -> list[Any]:
        return [each async for each in pages]

    queue = mode.client("Queue")
    for iterate, expected in (
        (queue.paginate, [{"tasks": [1, 2], "continuationToken": "t"}, {"tasks": [3]}]),
        (queue.paginate_items, [1, 2, 3]),
    ):
        wire.respond(200, {"tasks": [1, 2], "continuationToken": "t"}).respond(200, {"tasks": [3]})
        found = iterate(queue.listTaskGroup, TASK)
        assert (asyncio.run(collected(found)) if mode.name == "async" else list(found)) == expected


def test_user_agent_names_the_client_and_a_suffix(mode: Any, wire: Any) -> None:
    wire.respond(200, {}, times=2)
    mode.run(mode.client("Queue").ping())
    assert wire.last.headers["User-Agent"] == f"taskcluster-client-py/{taskcluster.__version__}"
    mode.run(mode.client("Queue", userAgentSuffix="robot/2").ping())
    assert wire.last.headers["User-Agent"] == f"taskcluster-client-py/{taskcluster.__version__} robot/2"


def test_client_queue_events_exists_as_documented() -> None:
    events = taskcluster.client.QueueEvents({"rootUrl": ROOT})
    assert events.taskCompleted({"taskId": TASK})["exchange"] == "exchange/taskcluster-queue/v1/task-completed"


def test_warns_of_unknown_options_with_a_suggestion(mode: Any) -> None:
    with pytest.warns(UnknownOptionWarning, match="'maxRetry' is ignored; did you mean 'maxRetries'") as caught:
        mode.module.Queue({"rootUrl": ROOT, "maxRetry": 1})
    assert [warning.filename for warning in caught] == [__file__]
