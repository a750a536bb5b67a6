"""Tests of files with signed URLs, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import os
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from taskcluster_local import storage_http
from taskcluster_local.storage import PREFIX, Storage
from taskcluster_local.store import Store
from taskcluster_local.timestamps import MovableClock

ROOT_URL = "http://tc.example.com"
START = datetime(2030, 3, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
MEGABYTE = 1024 * 1024


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(lambda: START)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store()) as made:
        yield made


@pytest.fixture
def storage(tmp_path: Path, store: Store, clock: MovableClock) -> Storage:
    return Storage(tmp_path, store, ROOT_URL, b"key", clock)


class StorageSite:
    """Sends requests to the storage server."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self.port = port

    async def __call__(self, method: str, url: str, data: Any = None, **headers: str) -> tuple[Any, bytes]:
        target = URL(url.replace(ROOT_URL, f"http://127.0.0.1:{self.port}"), encoded=True)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, target, data=data, headers=given, allow_redirects=False) as response:
            return response, await response.read()


@asynccontextmanager
async def served(storage: Storage) -> AsyncIterator[StorageSite]:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        return await storage_http.respond(request, storage)

    server = web.Server(respond, handler_cancellation=True, access_log=None, auto_decompress=False)
    runner = web.ServerRunner(server)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        skip = {"Content-Type", "Accept-Encoding", "User-Agent"}
        async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=skip) as session:
            yield StorageSite(session, runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.fixture
def using(storage: Storage) -> Callable[[Callable[[StorageSite], Coroutine[Any, Any, None]]], None]:
    """Runs a coroutine function while the storage is served."""

    def run(body: Callable[[StorageSite], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with served(storage) as site:
                await body(site)

        asyncio.run(main())

    return run


def contents(directory: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in directory.iterdir())


def test_downloads_uploaded_file(storage: Storage, using: Any) -> None:
    async def body(site: StorageSite) -> None:
        url = storage.put_url("a", START + HOUR, {"Content-Type": "text/x", "Content-Length": "3"})
        put, _ = await site("PUT", url, b"abc", Content_Type="text/x")
        got, content = await site("GET", storage.get_url("a", START + HOUR))
        assert (put.status, got.status, content) == (200, 200, b"abc")
        assert got.headers["Content-Type"] == "text/x"
        assert got.headers["Content-Length"] == "3"
        assert got.headers["ETag"] == put.headers["ETag"] == '"900150983cd24fb0d6963f7d28e17f72"'
        head, nothing = await site("HEAD", storage.get_url("a", START + HOUR))
        assert (head.status, nothing, head.headers["Content-Length"]) == (200, b"", "3")
        assert head.headers["ETag"] == put.headers["ETag"]

    using(body)


@pytest.mark.parametrize(
    ("content", "headers", "named"),
    [
        (b"abc", {"Content_Type": "text/y"}, "content-type"),
        (b"abcd", {"Content_Type": "text/x"}, "content-length"),
        (b"abc", {}, "content-type"),
        (b"abc", {"Content_Type": "text/x; charset=utf-8"}, "content-type"),
    ],
)
def test_rejects_other_headers_than_signed(
    storage: Storage, using: Any, tmp_path: Path, content: bytes, headers: dict[str, str], named: str
) -> None:
    async def body(site: StorageSite) -> None:
        url = storage.put_url("a", START + HOUR, {"Content-Type": "text/x", "Content-Length": "3"})
        response, text = await site("PUT", url, content, **headers)
        assert (response.status, named in text.decode()) == (403, True)

    using(body)
    assert storage.find("a") is None
    assert contents(tmp_path) == []


def test_url_is_for_one_verb_name_and_time(storage: Storage, using: Any, clock: MovableClock) -> None:
    storage.write("a", b"abc", "text/x")
    storage.write("b", b"secret", "text/x")

    async def body(site: StorageSite) -> None:
        get, put = storage.get_url("a", START + HOUR), storage.put_url("a", START + HOUR)
        later = str(int((START + 2 * HOUR).timestamp() * 1000))
        expires = str(int((START + HOUR).timestamp() * 1000))
        wrong = {
            "another name": ("GET", get.replace("signed/a", "signed/b")),
            "another time": ("GET", get.replace(expires, later)),
            "no signature": ("GET", get.partition("&signature")[0]),
            "no query": ("GET", get.partition("?")[0]),
            "another signature": ("GET", re.sub("signature=..", "signature=%ff", get)),
            "put by get's": ("PUT", get),
            "get by put's": ("GET", put),
            "headers added": ("PUT", put + "&headers=x%3Ay%0A"),
        }
        for case, (method, url) in wrong.items():
            response, text = await site(method, url, b"new" if method == "PUT" else None)
            assert (case, response.status, b"signature" in text) == (case, 403, True)
        clock.advance(HOUR - timedelta(milliseconds=1))
        assert (await site("GET", get))[0].status == 200
        clock.advance(timedelta(milliseconds=1))
        for method, url in (("GET", get), ("PUT", put)):
            response, text = await site(method, url)
            assert (response.status, b"expired" in text) == (403, True)

    using(body)
    assert [path.read_bytes() for path in [storage.find("a").path]] == [b"abc"]  # type: ignore[union-attr]


def test_name_with_newlines_is_not_confused(storage: Storage) -> None:
    until = str(int((START + HOUR).timestamp() * 1000))
    url = storage.get_url(f"a\n{until}", START + HOUR)
    signature = url.partition("signature=")[2]
    forged = f"{PREFIX}signed/a?expires={until}&headers={until}%0A&signature={signature}"
    with pytest.raises(Exception, match="signature"):
        storage.allowed("GET", forged, {})


def test_public_url_is_stable_and_secret(storage: Storage, using: Any, clock: MovableClock) -> None:
    storage.write("a", b"abc", "text/x")
    storage.write("b", b"secret", "text/x")
    url = storage.get_url("a", None)
    assert url == storage.get_url("a", None)

    async def body(site: StorageSite) -> None:
        clock.advance(timedelta(days=10000))
        assert (await site("GET", url))[1] == b"abc"
        assert (await site("PUT", url, b"x"))[0].status == 404
        assert (await site("GET", f"{url[:-1]}b"))[0].status == 404
        assert (await site("GET", f"{ROOT_URL}{PREFIX}public/b"))[0].status == 404
        assert (await site("GET", f"{ROOT_URL}{PREFIX}public/%FF%00/b"))[0].status == 404

    using(body)


def test_rejects_credentials_with_signed_url(storage: Storage, using: Any) -> None:
    async def body(site: StorageSite) -> None:
        response, text = await site("GET", storage.get_url("a", START + HOUR), Authorization="Hawk x")
        assert (response.status, b"Authorization" in text) == (400, True)

    using(body)


def test_rejects_unknown_files_and_verbs(storage: Storage, using: Any) -> None:
    async def body(site: StorageSite) -> None:
        assert (await site("GET", storage.get_url("a", START + HOUR)))[0].status == 404
        assert (await site("DELETE", storage.get_url("a", START + HOUR)))[0].status == 405
        assert (await site("GET", f"{ROOT_URL}{PREFIX}other/a"))[0].status == 404

    using(body)


@pytest.mark.parametrize(
    ("header", "status", "content", "shown"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-500", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
    ],
)
def test_serves_ranges(
    storage: Storage, using: Any, header: str, status: int, content: bytes | None, shown: str
) -> None:
    storage.write("a", b"0123456789", "text/x")

    async def body(site: StorageSite) -> None:
        response, got = await site("GET", storage.get_url("a", START + HOUR), Range=header)
        assert (response.status, response.headers.get("Content-Range")) == (status, shown)
        assert content is None or got == content

    using(body)


def test_empty_file_has_no_range(storage: Storage, using: Any) -> None:
    storage.write("a", b"", "text/x")

    async def body(site: StorageSite) -> None:
        url = storage.get_url("a", START + HOUR)
        assert (await site("GET", url))[1] == b""
        assert (await site("GET", url, Range="bytes=0-"))[0].status == 416

    using(body)


def test_checks_conditional_headers(storage: Storage, using: Any) -> None:
    storage.write("a", b"0123456789", "text/x")
    found = storage.find("a")
    assert found is not None
    tag = f'"{found.etag}"'
    url = storage.get_url("a", START + HOUR)

    async def body(site: StorageSite) -> None:
        async def status(**headers: str) -> int:
            return int((await site("GET", url, **headers))[0].status)

        assert await status(If_None_Match=tag) == 304
        assert await status(If_None_Match=f'"x", W/{tag}') == 304
        assert await status(If_None_Match="*") == 304
        assert await status(If_None_Match='"x"') == 200
        assert await status(If_Match=tag) == 200
        assert await status(If_Match="*") == 200
        assert await status(If_Match='"x"') == 412
        assert await status(If_Match=f"W/{tag}") == 412
        assert await status(If_Range=tag, Range="bytes=1-2") == 206
        assert await status(If_Range='"x"', Range="bytes=1-2") == 200
        assert await status(If_Range="Fri, 01 Mar 2030 00:00:00 GMT", Range="bytes=1-2") == 200

    using(body)


def test_etag_depends_on_contents(storage: Storage) -> None:
    tags: list[str] = []
    for content in (b"abc", b"abd", b"abc"):
        storage.write("a", content, "text/x")
        found = storage.find("a")
        assert found is not None
        tags.append(found.etag)
    assert tags[0] == tags[2] != tags[1]


def test_removes_replaced_file(storage: Storage, tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        storage.write("a", content, "text/x")
    assert contents(tmp_path) == [b"new"]
    storage.delete("a")
    storage.delete("a")
    assert (storage.find("a"), contents(tmp_path)) == (None, [])


def test_rollback_keeps_previous_file(storage: Storage, store: Store) -> None:
    storage.write("a", b"old", "text/x")
    with contextlib.suppress(LookupError), store.transaction():
        storage.write("a", b"new", "text/x")
        raise LookupError
    with contextlib.suppress(LookupError), store.transaction():
        storage.delete("a")
        raise LookupError
    found = storage.find("a")
    assert found is not None
    assert found.path.read_bytes() == b"old"
    assert contents(storage.find("a").path.parent) == [b"old"]  # type: ignore[union-attr]


@pytest.mark.parametrize("announced", [10, 3])
def test_wrong_length_leaves_nothing(storage: Storage, using: Any, tmp_path: Path, announced: int) -> None:
    async def body(site: StorageSite) -> None:
        parts = urlsplit(storage.put_url("a", START + HOUR))
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\n"
        writer.write(head.encode() + b"abcde")
        writer.write_eof()
        await reader.read()
        writer.close()
        # The server needs some time to notice that the client has disconnected.
        while list(tmp_path.glob("*.part")):
            await asyncio.sleep(0)

    using(body)
    found = storage.find("a")
    # A server may read the announced bytes before it fails on the rest.
    assert found is None or (announced == 3 and found.path.read_bytes() == b"abc")


def test_rejects_chunked_body(storage: Storage, using: Any, tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"

    async def body(site: StorageSite) -> None:
        response, text = await site("PUT", storage.put_url("a", START + HOUR), chunks())
        assert (response.status, b"Content-Length" in text) == (411, True)

    using(body)
    assert contents(tmp_path) == []


def test_rejects_more_than_announced(storage: Storage, tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"de"

    with pytest.raises(Exception, match="expected 4 bytes but received more"):
        asyncio.run(storage.receive("a", chunks(), 4, {}))
    assert contents(tmp_path) == []


def test_supports_expect_continue(storage: Storage, using: Any) -> None:
    async def body(site: StorageSite) -> None:
        parts = urlsplit(storage.put_url("a", START + HOUR))
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = (
            f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()

    using(body)


def test_concurrent_uploads_keep_one_intact(storage: Storage, using: Any, tmp_path: Path) -> None:
    bodies = [bytes([number]) * MEGABYTE for number in range(8)]

    async def body(site: StorageSite) -> None:
        url = storage.put_url("a", START + HOUR)
        puts = await asyncio.gather(*(site("PUT", url, content) for content in bodies))
        assert {response.status for response, _ in puts} == {200}
        got, content = await site("GET", storage.get_url("a", START + HOUR))
        assert content in bodies
        assert got.headers["ETag"] == puts[bodies.index(content)][0].headers["ETag"]

    using(body)
    assert len(contents(tmp_path)) == 1


def test_download_continues_while_replaced(storage: Storage, using: Any) -> None:
    old = b"old!" * MEGABYTE

    async def body(site: StorageSite) -> None:
        storage.write("a", old, "text/x")
        url = storage.get_url("a", START + HOUR).replace(ROOT_URL, f"http://127.0.0.1:{site.port}")
        async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as response:
            first = await response.content.readexactly(4)
            storage.write("a", b"new", "text/x")
            assert first + await response.read() == old
        assert (await site("GET", storage.get_url("a", START + HOUR)))[1] == b"new"

    using(body)


def test_keeps_content_encoding_and_bytes(storage: Storage, using: Any) -> None:
    packed = gzip.compress(b"abc" * 1000)

    async def body(site: StorageSite) -> None:
        url = storage.put_url("a", START + HOUR, {"Content-Encoding": "gzip"})
        assert (await site("PUT", url, packed, Content_Encoding="gzip"))[0].status == 200
        got, content = await site("GET", storage.get_url("a", START + HOUR), Accept_Encoding="identity")
        assert (got.headers["Content-Encoding"], content) == ("gzip", packed)
        storage.write("b", b"x", "text/x")
        plain, _ = await site("GET", storage.get_url("b", START + HOUR), Accept_Encoding="gzip")
        assert "Content-Encoding" not in plain.headers

    using(body)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "a%2Fb", "é ☃", "a?b#c&d=e", "..", "", "\\", "a\nb\0c", "x" * 500, "signed/a"]
)
def test_accepts_any_name(storage: Storage, using: Any, tmp_path: Path, name: str) -> None:
    async def body(site: StorageSite) -> None:
        await site("PUT", storage.put_url(name, START + HOUR), name.encode())
        for url in (storage.get_url(name, START + HOUR), storage.get_url(name, None)):
            assert (await site("GET", url))[1] == name.encode()

    using(body)
    assert contents(tmp_path) == [name.encode()]


def test_removes_unknown_files_at_start(tmp_path: Path, store: Store, clock: MovableClock) -> None:
    Storage(tmp_path, store, ROOT_URL, b"key", clock).write("a", b"abc", "text/x")
    (tmp_path / f"{'0' * 32}.part").write_bytes(b"half")
    (tmp_path / f"{'1' * 32}").write_bytes(b"not recorded")
    (tmp_path / "notes.txt").write_bytes(b"of someone else")
    again = Storage(tmp_path, store, ROOT_URL, b"key", clock)
    found = again.find("a")
    assert contents(tmp_path) == [b"abc", b"of someone else"]
    assert found is not None
    assert found.path.read_bytes() == b"abc"


@pytest.mark.parametrize("name", ["Content-Type", "Content-Encoding"])
def test_rejects_headers_that_are_not_utf_8(storage: Storage, using: Any, tmp_path: Path, name: str) -> None:
    async def body(site: StorageSite) -> None:
        parts = urlsplit(storage.put_url("a", START + HOUR))
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n"
        writer.write(f"{head}{name}: a/".encode() + b"\xff\r\n\r\nabc")
        response = await reader.read()
        writer.close()
        assert response.startswith(b"HTTP/1.1 400 ")
        assert f"the header {name} must be UTF-8".encode() in response

    using(body)
    assert contents(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_reports_full_disk(
    storage: Storage, using: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = Path.open

    def full(path: Path, mode: str = "r", **options: Any) -> Any:
        if path.suffix == ".part":
            raise OSError(number, os.strerror(number))
        return real(path, mode, **options)

    monkeypatch.setattr(Path, "open", full)

    async def body(site: StorageSite) -> None:
        response, text = await site("PUT", storage.put_url("a", START + HOUR), b"abc")
        assert (response.status, os.strerror(number) in text.decode()) == (500, True)

    using(body)
    assert contents(tmp_path) == []


def test_full_database_leaves_no_file(storage: Storage, using: Any, store: Store, tmp_path: Path) -> None:
    store.run(f"PRAGMA max_page_count = {store.one('PRAGMA page_count')['page_count']}")  # type: ignore[index]

    async def body(site: StorageSite) -> None:
        response, text = await site("PUT", storage.put_url("a" * 5000, START + HOUR), b"abc")
        assert (response.status, b"full" in text) == (500, True)

    using(body)
    assert contents(tmp_path) == []


def test_large_file_takes_little_memory(storage: Storage, using: Any) -> None:
    size = 100 * MEGABYTE
    chunk = bytes(MEGABYTE)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // len(chunk)):
            yield chunk

    async def body(site: StorageSite) -> None:
        put, _ = await site("PUT", storage.put_url("a", START + HOUR), chunks(), Content_Length=str(size))
        assert put.status == 200
        url = storage.get_url("a", START + HOUR).replace(ROOT_URL, f"http://127.0.0.1:{site.port}")
        received = 0
        async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as response:
            async for part in response.content.iter_any():
                received += len(part)
        assert received == size

    tracemalloc.start()
    try:
        using(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * MEGABYTE
