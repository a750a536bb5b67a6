"""Programs whose tests mock requests with `requests-mock`."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock

import taskcluster

pytestmark = pytest.mark.services

ROOT = "https://tc.example.com"
QUEUE = f"{ROOT}/api/queue/v1"
TASK = "fN1SbArXTPSVFNUvaOlinQ"


@pytest.fixture
def queue() -> Any:
    return taskcluster.Queue({"rootUrl": ROOT, "delayFactor": 0})


def test_returns_a_mocked_response_after_one_request(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{QUEUE}/task/{TASK}", json={"a": 1})
    assert queue.task(TASK) == {"a": 1}
    assert requests_mock.call_count == 1


def test_quotes_an_artifacts_complete_name(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    url = f"{QUEUE}/task/{TASK}/artifacts/public%2Fbuild%2Fx"
    requests_mock.get(url, json={"url": "https://storage.example.com"})
    assert queue.getLatestArtifact(TASK, "public/build/x") == {"url": "https://storage.example.com"}
    assert [request.url for request in requests_mock.request_history] == [url]


def test_a_404_is_one_call(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{QUEUE}/task/{TASK}", status_code=404, json={"message": "no such task"})
    with pytest.raises(taskcluster.exceptions.TaskclusterRestFailure, match="no such task"):
        queue.task(TASK)
    assert requests_mock.call_count == 1


def test_each_attempt_is_one_call(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{QUEUE}/ping", [{"status_code": 500}, {"status_code": 503}, {"json": {"alive": True}}])
    assert queue.ping() == {"alive": True}
    assert requests_mock.call_count == 3


def test_json_without_a_content_type_is_read(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{QUEUE}/ping", text='{"alive":true}')
    assert queue.ping() == {"alive": True}


def test_returns_the_json_body_of_a_redirect(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    elsewhere = "https://storage.example.com/x"
    requests_mock.get(
        f"{QUEUE}/task/{TASK}/runs/0/artifacts/public%2Fx",
        status_code=303,
        json={"url": elsewhere},
        headers={"Location": elsewhere},
    )
    assert queue.getArtifact(TASK, 0, "public/x")["url"] == elsewhere
    assert requests_mock.call_count == 1


def test_the_mock_sees_query_and_payload(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{QUEUE}/task-group/{TASK}/list?limit=5", json={"tasks": []})
    requests_mock.put(f"{QUEUE}/task/{TASK}", json={})
    queue.listTaskGroup(TASK, query={"limit": 5})
    queue.createTask(TASK, {"a": 1})
    assert requests_mock.request_history[0].qs == {"limit": ["5"]}
    assert requests_mock.last_request is not None
    assert requests_mock.last_request.json() == {"a": 1}


def test_returns_the_mocks_response_if_not_json(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{QUEUE}/ping", content=b"\x00\xff", headers={"Content-Type": "image/png"})
    assert queue.ping()["response"].content == b"\x00\xff"


def test_a_mocked_exception_is_a_connection_that_failed(queue: Any, requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get(f"{QUEUE}/ping", exc=requests.ConnectTimeout)
    queue.options["maxRetries"] = 1
    with pytest.raises(taskcluster.exceptions.TaskclusterConnectionError, match="timed out"):
        queue.ping()
    assert requests_mock.call_count == 2


def test_headers_of_the_users_session_are_seen(requests_mock: requests_mock.Mocker) -> None:
    session = requests.Session()
    session.headers["X-Mine"] = "1"
    requests_mock.get(f"{QUEUE}/ping", request_headers={"X-Mine": "1"}, json={})
    assert taskcluster.Queue({"rootUrl": ROOT}, session=session).ping() == {}


def test_a_mock_mounted_on_the_users_session_is_used() -> None:
    session = requests.Session()
    adapter = requests_mock.Adapter()
    session.mount("https://tc.example.com", adapter)
    adapter.register_uri("GET", f"{QUEUE}/ping", json={"alive": True})
    assert taskcluster.Queue({"rootUrl": ROOT}, session=session).ping() == {"alive": True}
    assert adapter.call_count == 1
