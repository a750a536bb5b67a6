"""Task logs as lines: finished, live, interrupted and private ones; over real sockets, sync and async."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

import taskcluster
import taskcluster.aio
from taskcluster.exceptions import TaskclusterFailure, TaskclusterRestFailure
from taskcluster.helper import ArtifactMissingError
from taskcluster.version import VERSION
from taskcluster_helper.procedures.logs import LogNames, Splitter, log_names

from .conftest import TASK, FakeQueue, HelperMode

LIVE = "public/logs/live.log"
BACKING = "public/logs/live_backing.log"
FAST = {"delay": 0.01, "max_delay": 0.05}
Writer = Callable[[BaseHTTPRequestHandler], None]


def stored(body: bytes, **headers: str) -> Writer:
    """Return a function that sends a complete body."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return write


def live(*chunks: bytes, then: Callable[[], object] = lambda: None, ends: bool = True, **headers: str) -> Writer:
    """Return a function that streams chunks, calls `then`, and ends the body or breaks the connection."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            handler.wfile.flush()
        then()
        if ends:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.close_connection = True

    return write


def lines(mode: HelperMode, queue: FakeQueue, *args: Any, **options: Any) -> list[str]:
    client = mode.client("Queue", queue.options)
    return mode.listed(mode.helper.task_log_lines(client, TASK, *args, **{**FAST, **options}))


def test_a_finished_log(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end()
    queue.artifacts[BACKING] = stored(b"one\r\n\ntwo \xc3\xa4\xff\nno end")
    assert lines(mode, queue) == ["one", "", "two ä\ufffd", "no end"]


@pytest.mark.parametrize("serve", [stored, live])
def test_a_compressed_log(mode: HelperMode, queue: FakeQueue, serve: Callable[..., Writer]) -> None:
    queue.end()
    queue.artifacts[BACKING] = serve(gzip.compress(b"a\n" * 100_000), Content_Encoding="gzip")
    assert lines(mode, queue) == ["a"] * 100_000


def test_a_finished_log_with_the_live_name(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end()
    queue.artifacts[LIVE] = stored(b"one\n")
    assert lines(mode, queue) == ["one"]


def test_follows_redirects_without_authentication(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end()
    queue.artifacts[BACKING] = stored(b"one\n")
    lines(mode, queue)
    assert len(queue.stored) == 2
    for headers in queue.stored:
        assert "Authorization" not in headers
        assert headers["User-Agent"].startswith("taskcluster-client-py/")


def test_storage_gets_the_user_agent_suffix(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end()
    queue.artifacts[BACKING] = stored(b"one\n")
    client = mode.client("Queue", {**queue.options, "userAgentSuffix": "my-program/1"})
    assert mode.listed(mode.helper.task_log_lines(client, TASK, "0", **FAST)) == ["one"]
    assert {headers["User-Agent"] for headers in queue.stored} == {f"taskcluster-client-py/{VERSION} my-program/1"}


def test_follows_a_live_log_without_repeating_lines(mode: HelperMode, queue: FakeQueue) -> None:
    queue.artifacts[LIVE] = live(b"one\nt", b"wo\nthr", then=queue.end)
    queue.artifacts[BACKING] = stored(b"one\ntwo\nthree\nfour\n")
    assert lines(mode, queue) == ["one", "two", "three", "four"]


def test_yields_lines_as_they_are_written(queue: FakeQueue) -> None:
    from threading import Event

    got = Event()
    queue.artifacts[LIVE] = live(b"one\n", then=lambda: (got.wait(60), queue.end()))
    queue.artifacts[BACKING] = stored(b"one\ntwo\n")
    following = taskcluster.helper.task_log_lines(taskcluster.Queue(queue.options), TASK, **FAST)
    assert next(following) == "one"
    assert queue.state == "running"
    got.set()
    assert list(following) == ["two"]


def test_resumes_a_broken_live_log(mode: HelperMode, queue: FakeQueue) -> None:
    queue.artifacts[BACKING] = stored(b"one\ntwo\nthree\n")

    def again() -> None:
        queue.artifacts[LIVE] = live(b"one\ntwo\nth", then=queue.end, ends=False)

    queue.artifacts[LIVE] = live(b"one\ntw", then=again, ends=False)
    assert lines(mode, queue) == ["one", "two", "three"]


def test_requests_an_idle_live_log_again(mode: HelperMode, queue: FakeQueue) -> None:
    from threading import Event

    over = Event()

    def end_soon() -> None:
        queue.end()
        over.wait(60)

    queue.artifacts[LIVE] = live(b"one\n", then=end_soon)
    queue.artifacts[BACKING] = stored(b"one\ntwo\n")
    try:
        assert lines(mode, queue, silence=0.2) == ["one", "two"]
    finally:
        over.set()


def test_reads_the_stored_log_after_the_worker_is_gone(mode: HelperMode, queue: FakeQueue) -> None:
    def gone(handler: BaseHTTPRequestHandler) -> None:
        queue.end()
        handler.send_error(404)

    queue.artifacts[LIVE] = gone
    queue.artifacts[BACKING] = stored(b"one\n")
    assert lines(mode, queue) == ["one"]


def test_waits_until_the_task_runs(mode: HelperMode, queue: FakeQueue) -> None:
    run = queue.runs.pop()
    queue.state = "unscheduled"

    def begin() -> None:
        if len(queue.calls) > 4:
            queue.runs[:] = [run]
            queue.end()

    queue.on_status = begin
    queue.artifacts[BACKING] = stored(b"one\n")
    assert lines(mode, queue) == ["one"]


@pytest.mark.parametrize("header", [b"Transfer-Encoding: chunked\r\n\r\n5\r\n", b"Content-Length: 8\r\n\r\n"])
def test_resumes_a_broken_stored_log(mode: HelperMode, queue: FakeQueue, header: bytes) -> None:
    queue.end()

    def broken(handler: BaseHTTPRequestHandler) -> None:
        queue.artifacts[BACKING] = stored(b"one\ntwo\n")
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + header + b"one\nt")
        handler.close_connection = True

    queue.artifacts[BACKING] = broken
    assert lines(mode, queue) == ["one", "two"]


def test_retries_temporary_failures(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end()

    def busy(handler: BaseHTTPRequestHandler) -> None:
        queue.artifacts[BACKING] = stored(b"one\n")
        handler.send_error(503)

    queue.artifacts[BACKING] = busy
    queue.failures = [503, 500, 429]
    assert lines(mode, queue) == ["one"]


def test_failures_of_storage_do_not_show_the_url(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end()
    queue.artifacts[BACKING] = lambda handler: handler.send_error(403)
    with pytest.raises(TaskclusterRestFailure, match="status 403") as caught:
        lines(mode, queue)
    assert caught.value.status_code == 403
    assert "hidden" not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.parametrize("state", ["completed", "exception"])
def test_a_run_without_log_raises(mode: HelperMode, queue: FakeQueue, state: str) -> None:
    queue.end(state, reason="claim-expired")
    with pytest.raises(ArtifactMissingError, match=r"claim-expired.*no artifact public/logs/live_backing.log or"):
        lines(mode, queue)


def test_reads_the_given_run(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end("failed")
    queue.runs.append({"runId": 1, "state": "running"})
    queue.state = "running"
    queue.artifacts[BACKING] = stored(b"first\n")
    assert lines(mode, queue, 0) == ["first"]
    assert f"/task/{TASK}/runs/0/artifacts/public%2Flogs%2Flive_backing.log" in queue.calls


def test_reads_private_logs(mode: HelperMode, queue: FakeQueue) -> None:
    queue.end()
    queue.payload = {"logs": {"live": "private/l.log", "backing": "private/b.log"}}
    queue.artifacts["private/b.log"] = stored(b"backing\n")
    queue.artifacts["private/mine.log"] = stored(b"mine\n")
    assert lines(mode, queue) == ["backing"]
    assert lines(mode, queue, name="private/mine.log") == ["mine"]


def test_closing_the_iterator_stops_reading(mode: HelperMode, queue: FakeQueue) -> None:
    from threading import Event

    over = Event()
    queue.artifacts[LIVE] = live(b"one\ntwo\n", then=lambda: over.wait(60))

    async def first() -> str:
        following = taskcluster.aio.helper.task_log_lines(taskcluster.aio.Queue(queue.options), TASK)
        try:
            return await anext(following)
        finally:
            await following.aclose()

    try:
        if mode.module is taskcluster:
            following: Any = taskcluster.helper.task_log_lines(taskcluster.Queue(queue.options), TASK)
            assert next(following) == "one"
            following.close()
        else:
            assert asyncio.run(first()) == "one"
    finally:
        over.set()


def test_silence_must_be_positive(mode: HelperMode, queue: FakeQueue) -> None:
    with pytest.raises(TaskclusterFailure, match="silence must be"):
        lines(mode, queue, silence=0)


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        (None, LogNames(LIVE, (BACKING, LIVE))),
        ({"log": "a/b.log"}, LogNames("a/b.log", ("a/live_backing.log", "a/b.log"))),
        ({"log": "b.log"}, LogNames("b.log", ("live_backing.log", "b.log"))),
        ({"logs": {"backing": "x"}}, LogNames(LIVE, ("x", LIVE))),
        ({"logs": False}, LogNames(LIVE, (BACKING, LIVE))),
    ],
)
def test_log_names(payload: Any, names: LogNames) -> None:
    assert log_names(payload) == names


def test_splits_lines_at_any_boundary() -> None:
    text = "eins\nzwei ä\r\n\ndrei".encode()
    for cut in range(len(text) + 1):
        splitter = Splitter()
        found = [*splitter.feed(text[:cut]), *splitter.feed(text[cut:]), *splitter.end(), *splitter.end()]
        assert found == ["eins", "zwei ä", "", "drei"]
