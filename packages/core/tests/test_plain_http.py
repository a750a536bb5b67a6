"""Plain requests without Taskcluster's authentication."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import requests

from taskcluster import plain_http
from taskcluster.plain_http import calculateSleepTime, makeHttpRequest, makeSingleHttpRequest, putFile

URL = "https://storage.example.com/a%2Fb?x=1"


@pytest.mark.parametrize("attempt", [0, -1])
def test_no_delay_before_the_first_attempt(attempt: int) -> None:
    assert calculateSleepTime(attempt) == 0


@pytest.mark.parametrize(("attempt", "middle"), [(1, 0.1), (2, 0.2), (5, 1.6)])
def test_the_delay_doubles_and_varies_by_a_quarter(
    attempt: int, middle: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chance, factor in ((0.0, 0.75), (0.5, 1.0), (1.0, 1.25)):
        monkeypatch.setattr("random.random", lambda chance=chance: chance)
        assert calculateSleepTime(attempt) == pytest.approx(middle * factor)


def test_the_delay_is_at_most_30_seconds() -> None:
    assert calculateSleepTime(50) == 30


def test_a_single_request_returns_any_response(wire: Any) -> None:
    wire.respond(500, b"broken", headers={"X": "1"})
    response = makeSingleHttpRequest("post", URL, b"data", {"X-Mine": "1"})
    assert (response.status_code, response.content) == (500, b"broken")
    assert (wire.last.method, wire.last.url, wire.last.body) == ("POST", URL, b"data")
    assert wire.last.headers["X-Mine"] == "1"
    assert wire.last.timeout == (30.0, 60.0)


def test_a_single_request_follows_no_redirect(wire: Any) -> None:
    wire.respond(303, headers={"Location": "https://elsewhere.example"}).refuse()
    assert makeSingleHttpRequest("get", URL, None, {}).status_code == 303
    with pytest.raises(requests.ConnectionError):
        makeSingleHttpRequest("get", URL, None, {})


def test_uses_the_given_session(wire: Any) -> None:
    session = requests.Session()
    session.headers["X-Session"] = "1"
    wire.respond(200)
    makeHttpRequest("get", URL, None, {}, session=session)
    assert wire.last.headers["X-Session"] == "1"


@pytest.mark.parametrize("status", [200, 303, 400, 401, 404])
def test_final_responses_are_not_retried(wire: Any, slept: list[float], status: int) -> None:
    wire.respond(status)
    assert makeHttpRequest("get", URL, None, {}).status_code == status
    assert slept == []


def test_retries_failures_after_a_delay(wire: Any, slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)
    wire.respond(500).refuse().respond(200, b"there")
    assert makeHttpRequest("get", URL, None, {}).content == b"there"
    assert slept == pytest.approx([0.1, 0.2])


def test_returns_the_last_response_after_all_retries(wire: Any, slept: list[float]) -> None:
    wire.respond(500, times=3)
    assert makeHttpRequest("get", URL, None, {}, retries=2).status_code == 500
    assert len(slept) == 2


def test_raises_the_last_exception_after_all_retries(wire: Any, slept: list[float]) -> None:
    wire.refuse(times=2)
    with pytest.raises(requests.ConnectionError):
        makeHttpRequest("get", URL, None, {}, retries=1)
    assert len(slept) == 1


def test_rewinds_a_file_before_each_attempt(wire: Any, slept: list[float]) -> None:
    class Read(io.BytesIO):
        """A file that the first attempt reads."""

    file = Read(b"data")
    file.read()
    wire.respond(500).respond(200)
    makeHttpRequest("put", URL, file, {}, retries=1)
    assert file.tell() == 0


def test_put_file_sends_length_and_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def send(method: str, url: str, payload: Any, headers: dict[str, str]) -> str:
        seen.append((method, url, payload.read(), headers))
        return "the response"

    monkeypatch.setattr(plain_http, "makeHttpRequest", send)
    path = tmp_path / "file"
    path.write_bytes(b"data")
    assert putFile(str(path), URL, "text/plain") == "the response"
    assert seen == [("put", URL, b"data", {"Content-Length": "4", "Content-Type": "text/plain"})]


def test_the_log_shows_no_url(wire: Any, slept: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    wire.respond(500).respond(200)
    makeHttpRequest("get", "https://storage.example.com/?signature=secret", None, {})
    assert "secret" not in caplog.text
    assert "next attempt" in caplog.text
