"""Tests of the pages' live updates, and of the page of messages."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster

from .visitor import ATTACKS, VisitedPage, Visitor, assert_harmless, create_task

PENDING = "exchange/taskcluster-queue/v1/task-pending"
STREAM = "/pulse-messages/stream"


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture
def anyone(local: LocalTaskcluster) -> Visitor:
    return Visitor(local)


@pytest.fixture
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


@contextlib.contextmanager
def streaming(visitor: Visitor, path: str, **headers: str) -> Generator[Iterator[tuple[str, str, Any]], None, None]:
    """Open a stream with the visitor's cookies, and yield its events: names, ids and data."""
    netloc = urlsplit(visitor.local.root_url).netloc
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    with contextlib.closing(http.client.HTTPConnection(netloc, timeout=60)) as connection:
        connection.request("GET", path, headers={"Cookie": cookies, **headers})
        response = connection.getresponse()
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
        assert "access-control-allow-origin" not in response.headers

        def events() -> Iterator[tuple[str, str, Any]]:
            fields: dict[str, str] = {}
            for line in response:
                if line.strip():
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                    fields = {}

        yield events()


def following(page: VisitedPage) -> str:
    [address] = [each["data-stream"] for _, each in page.elements if "data-stream" in each]
    return address


def test_a_page_is_followed_from_when_it_was_made(local: LocalTaskcluster, anyone: Visitor) -> None:
    taskId = create_task(local)
    taskGroupId = taskcluster.Queue(local.options()).status(taskId)["status"]["taskGroupId"]
    for path in ("/", f"/tasks/{taskId}", f"/tasks/{taskId}/runs/0", f"/tasks/groups/{taskGroupId}"):
        page = anyone.open(path)
        # Before the browser opens the stream.
        other, added = create_task(local), create_task(local, taskGroupId=taskGroupId)
        with streaming(anyone, following(page)) as events:
            assert next(events)[0] == "ready"
            seen = [next(events)[2]["payload"]["status"]["taskId"] for _ in range(2)]
            assert seen == ([other, other] if path == "/" else [added, added])


def test_a_stream_continues_after_the_last_event(local: LocalTaskcluster, root: Visitor) -> None:
    path = f"{STREAM}?{urlencode({'exchange': PENDING, 'pattern': '#'})}"
    with streaming(root, path) as events:
        assert next(events)[0] == "ready"
        first = create_task(local)
        _, last_id, message = next(events)
        assert (message["exchange"], message["payload"]["status"]["taskId"]) == (PENDING, first)
    second = create_task(local)
    # The header counts: browsers connect again with the address of the first request.
    for more, headers in ((f"&lastEventId={last_id}", {}), ("&lastEventId=old-1", {"Last-Event-ID": last_id})):
        with streaming(root, path + more, **headers) as events:
            assert [next(events)[0], next(events)[2]["payload"]["status"]["taskId"]] == ["ready", second]


def test_a_stream_ends_with_its_session(local: LocalTaskcluster, root: Visitor) -> None:
    page = root.open("/")
    with streaming(root, following(page)) as events:
        assert next(events)[0] == "ready"
        root.submit(page, "/signout")
        create_task(local)
        assert list(events) == []


def test_streams_need_the_rights_of_the_reader() -> None:
    with LocalTaskcluster(roles={"anonymous": ["local:status", "queue:list-task-queues"]}) as local:
        visitor = Visitor(local)
        page = visitor.open("/")
        assert "you may not read events" in page.text
        assert "data-stream" not in page.html
        for path in (STREAM, "/pulse-messages"):
            page = visitor.send("GET", path)
            assert (page.status, "web:read-pulse" in page.text) == (403, True)
        visitor.sign_in()
        assert following(visitor.open("/")).startswith(STREAM)


def test_messages_are_shown_without_scripts(local: LocalTaskcluster, root: Visitor) -> None:
    root.open("/pulse-messages")
    taskId = create_task(local, routes=["some.route"])
    page = root.open("/pulse-messages")
    assert page.text.index(f"task-pending primary. {taskId}") < page.text.index(f"task-defined primary. {taskId}")
    assert f"/tasks/{taskId}" in page.links
    assert "route.some.route" in page.text
    page = root.open(f"/pulse-messages?{urlencode({'exchange': PENDING, 'pattern': f'primary.{taskId}.#'})}")
    assert (page.text.count("route.some.route"), "task-defined primary." in page.text) == (1, False)
    assert parse_qs(following(page))["pattern"] == [f"primary.{taskId}.#"]
    form = page.form("/pulse-messages")
    assert form.fields["pattern"] == ""
    page = root.open("/pulse-messages?exchange=&pattern=none&exchange=&pattern=nothing")
    assert "None yet." in page.text


LONG = "x" * 300


@pytest.mark.parametrize("attack", [*ATTACKS.values(), LONG], ids=[*ATTACKS, "long"])
def test_bindings_that_are_refused_stay_in_the_form(local: LocalTaskcluster, root: Visitor, attack: str) -> None:
    create_task(
        local, metadata={"name": attack[:200], "description": attack, "owner": "o", "source": "https://x.example"}
    )
    refused = {"exchange": "", "pattern": attack} if len(attack) > 255 else {"exchange": attack, "pattern": attack}
    page = root.open(f"/pulse-messages?{urlencode(refused)}")
    assert page.status == 400
    assert quote(attack) in quote(" ".join(each.get("value", "") for _, each in page.elements))
    assert "data-stream" not in page.html
    assert_harmless(page)
    assert_harmless(root.open("/pulse-messages?" + urlencode({"exchange": "", "pattern": attack[:200]})))
