"""Tests of the log page: parts of large and damaged logs, and streams that outlive a reset."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import itertools
import random
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest

import taskcluster
import taskcluster.upload
from taskcluster_local import LocalTaskcluster
from taskcluster_local.site import logs
from taskcluster_local.site.rendering import linked
from taskcluster_local.storage import StoredFile

from .visitor import Visitor

NUMBERS = itertools.count()
TASK = "fN1SbArXTPSVFNUvaOlinQ"


def stored(directory: Path, content: bytes, encoding: str | None = None) -> StoredFile:
    path = directory / str(next(NUMBERS))
    path.write_bytes(content)
    return StoredFile(path, "tag", "text/plain", encoding)


def read(file: StoredFile, first: int, last: int) -> list[tuple[int, str]]:
    async def collect() -> list[tuple[int, str]]:
        return [line async for line in logs.Lines(file, logs.index_of(file)).read(first, last)]

    return asyncio.run(collect())


RANDOM = random.Random(1)
CONTENTS = {
    "empty": b"",
    "line": b"one",
    "end": b"one\n",
    "blank": b"\n\n\n",
    "long first": b"x" * 3_000_000 + b"\nsecond\nthird",
    "no line ends": b"y" * 3_000_000,
    "many": b"".join(b"%d %s\n" % (number, b"z" * RANDOM.randrange(200)) for number in range(30_000)),
}
PACKINGS = {
    "plain": (None, lambda content: content),
    "gzip": ("gzip", gzip.compress),
    "members": ("gzip", lambda content: gzip.compress(content[:1000]) + gzip.compress(content[1000:])),
    "garbage": ("gzip", lambda content: gzip.compress(content) + b"\0" * 100),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", CONTENTS)
def test_reads_any_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, packing: str) -> None:
    # Many points, of which some are removed again.
    monkeypatch.setattr(logs, "_SPACING", 10_000)
    monkeypatch.setattr(logs, "_BLOCK", 5_000)
    encoding, pack = PACKINGS[packing]
    content = CONTENTS[name]
    expected = content.decode().split("\n")
    if not expected[-1]:
        del expected[-1]
    file = stored(tmp_path, pack(content), encoding)
    index = logs.index_of(file)
    assert (index.lines, index.size, index.is_cut) == (len(expected), len(content), False)
    assert len(index.points) <= 65
    shown = [text if len(text) <= 10_000 else f"{text[:10_000]} … (cut)" for text in expected]
    for first in {1, 2, 3, 10_000, 20_000, max(1, len(expected) - 5)}:
        last = min(first + 20, index.lines)
        assert read(file, first, last) == list(enumerate(shown, 1))[first - 1 : last]


def test_damaged_log_ends_where_the_damage_begins(tmp_path: Path) -> None:
    packed = gzip.compress(b"one\ntwo\n" * 10_000)
    for content in (packed[: len(packed) // 2], b"no gzip at all", packed[:100] + b"\xff" * 100):
        file = stored(tmp_path, content, "gzip")
        index = logs.index_of(file)
        lines = read(file, 1, index.lines)
        assert len(lines) == index.lines < 20_000
        assert {text for _, text in lines[:-1]} <= {"one", "two"}


def test_few_bytes_are_not_unpacked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_LARGEST", 1_000_000)
    index = logs.index_of(stored(tmp_path, gzip.compress(b"\n" * 50_000_000, 1), "gzip"))
    assert index.is_cut
    assert index.size < 10_000_000


def test_index_is_made_once_and_survives_a_reader_who_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def slowly(file: StoredFile) -> logs.LogIndex:
        made.append(file.path)
        begun.set()
        assert go_on.wait(60)
        return index_of(file)

    async def scenario() -> None:
        indexes, file = logs.LogIndexes(), stored(tmp_path, b"a\nb")
        leaving, staying = (asyncio.create_task(indexes.get(file)) for _ in range(2))
        await asyncio.to_thread(begun.wait, 60)
        leaving.cancel()
        await asyncio.wait([leaving])
        go_on.set()
        assert (await staying).lines == (await indexes.get(file)).lines == 2
        assert made == [file.path]
        # An error is not kept.
        missing = StoredFile(tmp_path / "missing", "tag", "text/plain", None)
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                await indexes.get(missing)
        for number in range(20):
            await indexes.get(stored(tmp_path, b"%d" % number))
        assert len(indexes._made) == 8

    index_of = logs.index_of
    monkeypatch.setattr(logs, "index_of", slowly)
    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"a\r\n", "a"),
        (b" 10%\r 50%\r100%\n", "100%"),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
        ("\u20ac".encode()[:2] + b"\n", "\ufffd"),
        (b"nul \0 bell \7\n", "nul \0 bell \7"),
    ],
    ids=["crlf", "progress", "not-utf-8", "incomplete", "control"],
)
def test_odd_lines(tmp_path: Path, line: bytes, shown: str) -> None:
    assert read(stored(tmp_path, line), 1, 1) == [(1, shown)]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        ("\x1b[1;31mred\x1b[0m \x1b]8;;https://x\x07link\x1b]8;;\x07\x07", "red link"),
        (f"task {TASK}.", f'task <a href="/tasks/{TASK}">{TASK}</a>.'),
        (f"x{TASK}", f"x{TASK}"),
        (
            "(https://a.example/b?c&d#e).",
            '(<a href="https://a.example/b?c&amp;d#e">https://a.example/b?c&amp;d#e</a>).',
        ),
        ('https://a"onclick=x', '<a href="https://a">https://a</a>&#34;onclick=x'),
        ("javascript:alert(1) data:x", "javascript:alert(1) data:x"),
        ("http://", "http://"),
    ],
    ids=["markup", "terminal", "task", "no-task", "address", "quote", "scripts", "nothing"],
)
def test_links_in_lines(text: str, html: str) -> None:
    assert str(linked(text)).replace('<a rel="noreferrer" ', "<a ") == html


@pytest.mark.parametrize("text", ["https://", "fN1SbArXTPSVFNUvaOlin", "\x1b[", ".", "\x1b]"])
def test_odd_lines_are_fast(text: str) -> None:
    # In quadratic time, this would take minutes.
    linked(text * 500_000)


# The page


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


def with_log(local: LocalTaskcluster, content: bytes, name: str = "public/logs/live.log") -> str:
    queue = taskcluster.Queue(local.options())
    taskId = taskcluster.slugId()
    definition: Any = {
        "taskQueueId": "site/logs",
        "created": taskcluster.fromNow("0 seconds"),
        "deadline": taskcluster.fromNow("1 hour"),
        "payload": {},
        "metadata": {"name": "Build", "description": "d", "owner": "o", "source": "https://example.com"},
    }
    queue.createTask(taskId, definition)
    queue.claimTask(taskId, 0, {"workerGroup": "g", "workerId": "i"})
    taskcluster.upload.uploadArtifactFromBuf(
        taskId=taskId, runId=0, name=name, contentType="text/plain", expires=taskcluster.fromNow("1 hour"),
        data=content, queueService=queue,
    )  # fmt: skip
    return taskId


LOG = b"".join(b"line %d\n" % number for number in range(1, 12_346))


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("", 11_346, 12_345),
        ("?from=1", 1, 1000),
        ("?from=32&to=42", 32, 42),
        ("?from=12000&to=99999", 12_000, 12_345),
        ("?from=99999", 12_345, 12_345),
        ("?from=5&to=2", 5, 4),
        ("?from=0", 1, 1000),
        ("?from=x", 11_346, 12_345),
        ("?from=%D9%A3", 11_346, 12_345),
        ("?from=" + "9" * 5000, 11_346, 12_345),
        ("?from=1&to=" + "9" * 5000, 1, 1000),
        ("?from=1&to=999999", 1, 10_001),
    ],
    ids=["end", "first", "some", "past", "beyond", "reversed", "zero", "word", "digit", "huge", "huge-end", "most"],
)
def test_page_shows_a_part(log_task: str, local: LocalTaskcluster, query: str, first: int, last: int) -> None:
    page = Visitor(local).open(f"/tasks/{log_task}/runs/0/logs/public/logs/live.log{query}")
    assert page.status == 200
    assert "Build" in page.text
    ids = [attributes["id"] for tag, attributes in page.elements if attributes.get("class") == "line"]
    assert ids == [f"L{number}" for number in range(first, last + 1)]
    assert ("line 12345" in page.text) is (last == 12_345)
    assert page.html.endswith("</html>")


@pytest.fixture(scope="module")
def log_task(local: LocalTaskcluster) -> str:
    return with_log(local, LOG)


@pytest.mark.parametrize(
    "name",
    ["public/logs/live.log", "live/public/logs/live.log", "public%2Flogs%2Flive.log",
     quote("{}/api/queue/v1/task/{}/runs/0/artifacts/public/logs/live.log", safe="{}"),
     quote("{}/api/queue/v1/task/{}/runs/0/artifacts/public%2Flogs%2Flive.log?bewit=x", safe="{}"),
     "https://tc.example/api/queue/v1/task/x/artifacts/public/logs/live.log"],
    ids=["name", "live", "encoded", "address", "encoded-address", "other-deployment"],
)  # fmt: skip
def test_old_addresses_work(log_task: str, local: LocalTaskcluster, name: str) -> None:
    path = name.format(quote(local.root_url, safe=""), log_task)
    page = Visitor(local).open(f"/tasks/{log_task}/runs/0/logs/{path}")
    assert "12345 lines" in page.text
    assert "Build" in page.text


def test_log_page_leads_to_all_lines(log_task: str, local: LocalTaskcluster) -> None:
    anyone = Visitor(local)
    path: str | None = f"/tasks/{log_task}/runs/0/logs/public/logs/live.log?from=10000"
    seen: list[str] = []
    while path is not None:
        page = anyone.open(path)
        seen += [attributes["id"] for _, attributes in page.elements if attributes.get("class") == "line"]
        path = next((each["href"] for tag, each in page.elements if tag == "a" and each.get("rel") == "next"), None)
    assert seen == [f"L{number}" for number in range(10_000, 12_346)]


def test_private_log_needs_the_scope(local: LocalTaskcluster) -> None:
    taskId = with_log(local, b"secret words", "private/x.log")
    path = f"/tasks/{taskId}/runs/0/logs/private/x.log"
    page = Visitor(local).open(path)
    assert (page.status, "secret words" in page.html) == (403, False)
    assert "queue:get-artifact:private/x.log" in page.text
    root = Visitor(local)
    root.sign_in()
    page = root.open(path)
    assert "secret words" in page.text
    # Not even the reader's own signed URL is in the page.
    assert "signature=" not in page.html


def test_page_is_complete_although_the_deployment_is_reset() -> None:
    with LocalTaskcluster() as local:
        taskId = with_log(local, b"x\n" + (b"y" * 2500 + b"\n") * 6_000)
        with closing(http.client.HTTPConnection(urlsplit(local.root_url).netloc, timeout=60)) as connection:
            # More than the buffers of the connection hold.
            connection.request("GET", f"/tasks/{taskId}/runs/0/logs/public/logs/live.log?from=1&to=6001")
            response = connection.getresponse()
            begin = response.read(1000)
            local.reset()
            page = (begin + response.read()).decode()
        assert page.count('class="line"') == 6_001
        assert page.endswith("</html>")
        assert Visitor(local).open(f"/tasks/{taskId}").status == 404


def test_log_that_was_not_uploaded_is_not_there(local: LocalTaskcluster) -> None:
    taskId = with_log(local, b"x")
    queue = taskcluster.Queue(local.options())
    missing: Any = {"storageType": "s3", "expires": taskcluster.fromNow("1 hour"), "contentType": "text/plain"}
    queue.createArtifact(taskId, 0, "private/y.log", missing)
    root = Visitor(local)
    root.sign_in()
    page = root.open(f"/tasks/{taskId}/runs/0/logs/private/y.log")
    assert (page.status, "has not uploaded" in page.text) == (404, True)


def test_live_log_is_read_from_the_worker(local: LocalTaskcluster) -> None:
    taskId = with_log(local, b"x")
    queue = taskcluster.Queue(local.options())
    url = "http://worker.example:60022/log/secret"
    reference: Any = {"storageType": "reference", "expires": taskcluster.fromNow("1 hour"), "contentType": "text/plain"}
    queue.createArtifact(taskId, 0, "public/live", {**reference, "url": url})
    page = Visitor(local).open(f"/tasks/{taskId}/runs/0/logs/public/live")
    assert "connect-src 'self' http://worker.example:60022;" in page.headers["content-security-policy"]
    assert [each["data-live"] for _, each in page.elements if "data-live" in each] == [url]
    # What is copied has no secret.
    assert not [link for link in page.links if "/log/secret" in link]


def test_page_that_cannot_be_finished_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with LocalTaskcluster(tmp_path / "data") as local:
        taskId = with_log(local, LOG)
        path = f"/tasks/{taskId}/runs/0/logs/public/logs/live.log"
        anyone = Visitor(local)
        assert "The rest of this page is missing" not in anyone.open(path).html
        for file in (tmp_path / "data" / "files").iterdir():
            file.unlink()
        page = anyone.open(f"{path}?from=1&x=secret-in-query")
    assert (page.status, page.html.count("The rest of this page is missing")) == (200, 1)
    assert path in caplog.text
    assert "secret-in-query" not in caplog.text
    assert str(tmp_path) not in page.html


def test_slow_reader_does_not_hold_up_others(local: LocalTaskcluster) -> None:
    taskId = with_log(local, b"z" * 2500 + b"\n")
    big = with_log(local, (b"y" * 2500 + b"\n") * 6_000)
    with closing(http.client.HTTPConnection(urlsplit(local.root_url).netloc, timeout=60)) as connection:
        connection.request("GET", f"/tasks/{big}/runs/0/logs/public/logs/live.log?from=1&to=6001")
        response = connection.getresponse()
        response.read(1000)
        # The server has filled the buffers of the connection, and waits.
        assert "1 lines" in Visitor(local).open(f"/tasks/{taskId}/runs/0/logs/public/logs/live.log").text
    assert Visitor(local).open("/").status == 200


NAMES = ("public/a.log", "logs/b.log", "live/c.log", "logs/live/d.log", "public/../e.log", "public/./f.log", "a//g.log",
         "public/logs/h.log", "%2e/i.log", "a b?c#d&e.log")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_artifacts_of_any_name(local: LocalTaskcluster, name: str) -> None:
    taskId = with_log(local, f"contents of {name}".encode(), name)
    root = Visitor(local)
    root.sign_in()
    here = f"/tasks/{taskId}"
    # As browsers do, which remove parts that are dots.
    raw, lines = [urljoin(here, link) for link in root.open(here).links if link.endswith(".log")][-2:]
    page = root.open(lines)
    assert f"contents of {name}" in page.text
    for link in (raw, *(urljoin(here, link) for link in page.links if link.endswith(".log"))):
        location = root.send("GET", link).headers["location"]
        assert root.send("GET", location.removeprefix(local.root_url)).content.decode() == f"contents of {name}"
