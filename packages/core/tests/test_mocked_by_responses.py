"""Programs whose tests mock requests with `responses`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import responses

import taskcluster

pytestmark = pytest.mark.services

ROOT = "https://tc.example.com"
QUEUE = f"{ROOT}/api/queue/v1"
TASK = "fN1SbArXTPSVFNUvaOlinQ"


@pytest.fixture
def queue() -> Any:
    return taskcluster.Queue({"rootUrl": ROOT, "delayFactor": 0})


@responses.activate
def test_returns_a_mocked_response_after_one_request(queue: Any) -> None:
    responses.add(responses.GET, f"{QUEUE}/task/{TASK}", json={"a": 1})
    assert queue.task(TASK) == {"a": 1}
    assert [call.request.url for call in responses.calls] == [f"{QUEUE}/task/{TASK}"]


@responses.activate
def test_quotes_an_artifacts_complete_name(queue: Any) -> None:
    url = f"{QUEUE}/task/{TASK}/artifacts/public%2Fbuild%2Fx"
    responses.add(responses.GET, url, json={"url": "https://storage.example.com"}, status=303)
    assert queue.getLatestArtifact(TASK, "public/build/x") == {"url": "https://storage.example.com"}
    assert [call.request.url for call in responses.calls] == [url]


@responses.activate
def test_a_404_is_one_call(queue: Any) -> None:
    responses.add(responses.GET, f"{QUEUE}/task/{TASK}", json={"message": "no such task"}, status=404)
    with pytest.raises(taskcluster.exceptions.TaskclusterRestFailure, match="no such task") as caught:
        queue.task(TASK)
    assert caught.value.status_code == 404
    assert len(responses.calls) == 1


@responses.activate
def test_each_attempt_is_one_call(queue: Any) -> None:
    for status in (500, 502, 200):
        responses.add(responses.GET, f"{QUEUE}/task/{TASK}", json={}, status=status)
    assert queue.task(TASK) == {}
    assert len(responses.calls) == 3


@responses.activate
def test_json_without_a_content_type_is_read(queue: Any) -> None:
    responses.add(responses.GET, f"{QUEUE}/ping", body='{"alive":true}', content_type=None)
    assert queue.ping() == {"alive": True}


@responses.activate
def test_returns_the_json_body_of_a_redirect(queue: Any) -> None:
    elsewhere = "https://storage.example.com/x"
    url = f"{QUEUE}/task/{TASK}/runs/0/artifacts/public%2Fx"
    responses.add(responses.GET, url, json={"url": elsewhere}, status=303, headers={"Location": elsewhere})
    assert queue.getArtifact(TASK, 0, "public/x")["url"] == elsewhere
    assert len(responses.calls) == 1


@responses.activate
def test_the_mock_sees_method_query_payload_and_headers(queue: Any) -> None:
    matchers = responses.matchers
    responses.add(
        responses.GET,
        f"{QUEUE}/task-group/{TASK}/list",
        json={"tasks": []},
        match=[matchers.query_param_matcher({"limit": "5", "continuationToken": "a b"})],
    )
    responses.add(
        responses.PUT,
        f"{QUEUE}/task/{TASK}",
        json={},
        match=[
            matchers.json_params_matcher({"a": 1}),
            matchers.header_matcher({"Content-Type": "application/json", "Content-Length": "7"}),
        ],
    )
    queue.listTaskGroup(TASK, query={"limit": 5, "continuationToken": "a b"})
    queue.createTask(TASK, {"a": 1})
    body = responses.calls[1].request.body
    assert json.loads(body or b"") == {"a": 1}


@responses.activate
def test_returns_the_mocks_response_if_not_json(queue: Any) -> None:
    responses.add(responses.GET, f"{QUEUE}/ping", body=b"\x00\xff", content_type="image/png", headers={"X-Mine": "1"})
    response = queue.ping()["response"]
    assert isinstance(response, requests.Response)
    assert (response.status_code, response.content, response.headers["X-Mine"]) == (200, b"\x00\xff", "1")


@responses.activate
def test_an_exception_as_body_is_a_connection_that_failed(queue: Any) -> None:
    responses.add(responses.GET, f"{QUEUE}/ping", body=requests.ConnectionError("gone"))
    queue.options["maxRetries"] = 1
    with pytest.raises(taskcluster.exceptions.TaskclusterConnectionError, match="gone"):
        queue.ping()
    assert len(responses.calls) == 2


@responses.activate
def test_a_url_that_is_not_mocked_is_a_connection_that_failed(queue: Any) -> None:
    queue.options["maxRetries"] = 0
    with pytest.raises(taskcluster.exceptions.TaskclusterConnectionError, match="Connection refused by Responses"):
        queue.ping()


@responses.activate
def test_headers_of_the_users_session_are_seen() -> None:
    session = requests.Session()
    session.headers["X-Mine"] = "1"
    responses.add(responses.GET, f"{QUEUE}/ping", json={})
    taskcluster.Queue({"rootUrl": ROOT}, session=session).ping()
    assert responses.calls[0].request.headers["X-Mine"] == "1"


@responses.activate
def test_no_content_is_none(queue: Any) -> None:
    responses.add(responses.DELETE, f"{QUEUE}/x", status=204)
    secrets = taskcluster.Secrets({"rootUrl": ROOT})
    responses.add(responses.DELETE, f"{ROOT}/api/secrets/v1/secret/a%2Fb", status=204)
    assert secrets.remove("a/b") is None


def test_a_client_used_before_the_mock_begins_is_mocked_too(queue: Any) -> None:
    for value in (1, 2):
        with responses.RequestsMock() as mock:
            mock.add(responses.GET, f"{QUEUE}/ping", json=value)
            assert queue.ping() == value
