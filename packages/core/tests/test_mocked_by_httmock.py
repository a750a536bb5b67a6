"""Programs whose tests mock requests with `httmock`."""

from __future__ import annotations

from typing import Any

import httmock
import pytest
import requests

import taskcluster

pytestmark = pytest.mark.services

ROOT = "https://tc.example.com"
TASK = "fN1SbArXTPSVFNUvaOlinQ"
OPTIONS = {"rootUrl": ROOT, "delayFactor": 0}


class Mock:
    """Returns its responses in turn, and records the requests."""

    def __init__(self, *responses: dict[str, Any]) -> None:
        self.responses = list(responses)
        self.seen: list[Any] = []

    def __call__(self, url: Any, request: Any) -> Any:
        self.seen.append(request)
        return httmock.response(request=request, **self.responses.pop(0))


def call(mock: Mock, method: str, *args: Any, session: Any = None, **kwargs: Any) -> Any:
    with httmock.HTTMock(mock):
        return getattr(taskcluster.Queue(OPTIONS, session), method)(*args, **kwargs)


def test_returns_a_mocked_response_after_one_request() -> None:
    mock = Mock({"status_code": 200, "content": {"a": 1}})
    assert call(mock, "task", TASK) == {"a": 1}
    assert [request.url for request in mock.seen] == [f"{ROOT}/api/queue/v1/task/{TASK}"]


def test_quotes_an_artifacts_complete_name() -> None:
    mock = Mock({"status_code": 200, "content": {}})
    call(mock, "getLatestArtifact", TASK, "public/build/x")
    assert mock.seen[0].url == f"{ROOT}/api/queue/v1/task/{TASK}/artifacts/public%2Fbuild%2Fx"


def test_a_404_is_one_call() -> None:
    mock = Mock({"status_code": 404, "content": {"message": "no such task"}})
    with pytest.raises(taskcluster.exceptions.TaskclusterRestFailure, match="no such task"):
        call(mock, "task", TASK)
    assert len(mock.seen) == 1


def test_each_attempt_is_one_call() -> None:
    mock = Mock({"status_code": 500}, {"status_code": 429}, {"status_code": 200, "content": {}})
    assert call(mock, "ping") == {}
    assert len(mock.seen) == 3


def test_json_without_a_content_type_is_read() -> None:
    mock = Mock({"status_code": 200, "content": b'{"alive":true}', "headers": {}})
    assert call(mock, "ping") == {"alive": True}


def test_returns_the_json_body_of_a_redirect() -> None:
    elsewhere = "https://storage.example.com/x"
    mock = Mock({"status_code": 303, "content": {"url": elsewhere}, "headers": {"Location": elsewhere}})
    assert call(mock, "getArtifact", TASK, 0, "public/x")["url"] == elsewhere
    assert len(mock.seen) == 1


def test_the_mock_sees_method_and_payload() -> None:
    mock = Mock({"status_code": 200, "content": {}})
    call(mock, "createTask", TASK, {"a": 1})
    assert (mock.seen[0].method, mock.seen[0].body) == ("PUT", b'{"a":1}')
    assert mock.seen[0].headers["Content-Type"] == "application/json"


def test_headers_of_the_users_session_are_seen() -> None:
    session = requests.Session()
    session.headers["X-Mine"] = "1"
    mock = Mock({"status_code": 200, "content": {}})
    call(mock, "ping", session=session)
    assert mock.seen[0].headers["X-Mine"] == "1"


def test_a_mock_chosen_by_its_host_and_path_is_used() -> None:
    @httmock.urlmatch(netloc=r"tc\.example\.com$", path=r".*/ping$")
    def ping(url: Any, request: Any) -> dict[str, Any]:
        return {"status_code": 200, "content": b'{"alive":true}'}

    with httmock.HTTMock(ping):
        assert taskcluster.Queue(OPTIONS).ping() == {"alive": True}
