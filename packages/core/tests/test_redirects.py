"""Redirects of other servers, which are followed without credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from taskcluster.effects import Close, Open, Opened, Request
from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure
from taskcluster.redirects import open_response, origin, redirect_target, sendable_url
from taskcluster.runner import run

SECRET = {"Authorization": "secret"}
PUBLIC = {"Accept-Encoding": "gzip"}


class Web:
    """Responses by URL; records requests and closed responses."""

    def __init__(self, redirects: Mapping[str, str]) -> None:
        self.redirects = redirects
        self.requests: list[Request] = []
        self.closed: list[Opened] = []

    def perform(self, effect: Open | Close) -> Opened | None:
        if isinstance(effect, Close):
            self.closed.append(effect.opened)
            return None
        self.requests.append(effect.request)
        # Transports do this, and it must not change the next request.
        effect.request.headers["User-Agent"] = "ours"
        target = self.redirects.get(effect.request.url)
        return Opened(200, {}, "body") if target is None else Opened(307, {"Location": target}, "no body")

    def open(self, url: str, **options: Any) -> Opened:
        request = Request("GET", url, SECRET, None, (1, 2))
        return run(open_response(request, PUBLIC, **options), self.perform)


def test_opens_without_redirect() -> None:
    web = Web({})
    assert web.open("http://a/b") == Opened(200, {}, "body")
    assert web.requests[0]._replace(headers={}) == Request("GET", "http://a/b", {}, None, (1, 2))
    assert web.closed == []


def test_follows_and_closes_redirects() -> None:
    web = Web({"http://a/1": "/2", "http://a/2": "http://b:8080/3?x", "http://b:8080/3?x": "4"})
    assert web.open("http://a/1").status == 200
    assert [request.url for request in web.requests] == [
        "http://a/1",
        "http://a/2",
        "http://b:8080/3?x",
        "http://b:8080/4",
    ]
    assert [opened.status for opened in web.closed] == [307] * 3


def test_sends_no_credentials_to_other_origins() -> None:
    web = Web(
        {
            "http://a/1": "http://a:80/2",
            "http://a/2": "http://b/3",
            "http://a:80/2": "http://b/3",
            "http://b/3": "http://a/4",
        }
    )
    web.open("http://a/1")
    ours = {"User-Agent": "ours"}
    assert [request.headers for request in web.requests] == [
        {**SECRET, **PUBLIC, **ours},
        {**SECRET, **PUBLIC, **ours},
        {**PUBLIC, **ours},
        {**PUBLIC, **ours},
    ]


def test_a_redirect_loop_fails() -> None:
    class LoopFailure(TaskclusterRestFailure):
        pass

    web = Web({"http://a/?sig=hidden": "http://a/?sig=hidden"})
    with pytest.raises(LoopFailure, match="GET at a redirects more than 10 times") as caught:
        web.open("http://a/?sig=hidden", failure=LoopFailure)
    assert caught.value.status_code == 307
    assert len(web.requests) == len(web.closed) == 11


def test_a_malformed_redirect_closes_the_response() -> None:
    web = Web({"http://a/1": "http://h:x/"})
    with pytest.raises(TaskclusterFailure, match="malformed"):
        web.open("http://a/1")
    assert len(web.closed) == 1


def test_redirect_targets() -> None:
    assert redirect_target(303, {"Location": "/b c?d=%2F#e"}, "http://h/a?x") == "http://h/b%20c?d=%2F"
    assert redirect_target(301, {"Location": "https://other"}, "http://h/a") == "https://other/"
    assert redirect_target(302, {}, "http://h/a") is None
    assert redirect_target(200, {"Location": "/b"}, "http://h/a") is None


@pytest.mark.parametrize("target", ["http://[::1", "http://h:x/", "http://h:99999/", "http://h/\udcff"])
def test_a_malformed_target_is_not_shown(target: str) -> None:
    with pytest.raises(TaskclusterFailure, match="malformed") as caught:
        redirect_target(302, {"Location": target}, "http://h/a?sig=hidden")
    assert target not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("url", ["ftp://h/a?sig=hidden", "//h/a", "/a", "http:///a", "http://h:0/"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(TaskclusterFailure, match="must be http or https") as caught:
        sendable_url(url)
    assert "hidden" not in str(caught.value)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("http://h/a?b") == origin("http://H:80/") == ("http", "h", 80)
    assert len({origin(url) for url in ("http://h/", "https://h/", "http://h:8080/", "http://i/")}) == 4
