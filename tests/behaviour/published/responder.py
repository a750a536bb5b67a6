"""A server with responses that depend only on the path, so that several clients can use it concurrently."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from typing import Any

__all__ = ["Responder"]

_OBJECT = b'{"a": [1, null, "\xc3\xa9"]}'
_JSON = "application/json"
BODIES: dict[str, tuple[str | None, bytes]] = {
    "empty": (None, b""),
    "object": (_JSON, _OBJECT),
    "error": (_JSON, b'{"code": "SomeError", "message": "said by the server", "requestInfo": {}}'),
    "array": (_JSON, b"[1, 2]"),
    "string": (_JSON, b'"text"'),
    "null": (_JSON, b"null"),
    "number": (_JSON, b"5"),
    "false": (_JSON, b"false"),
    "typeless": (None, _OBJECT),
    "text": ("text/plain", b"some text"),
    "html": ("text/html", b"<h1>Some text</h1>"),
    "binary": ("application/octet-stream", b"\x00\xff\xfe binary"),
    "truncated": (_JSON, _OBJECT[:-3]),
    "chunked": (_JSON, _OBJECT),
}
_REQUEST_LINE = re.compile(rb"(\S+) (\S+) HTTP/1.1\r\n")
_WANTED = re.compile(r"/respond-(\d+)-(\w+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TYPE = re.compile(rb"\r\ncontent-type: *([^\r]*)", re.IGNORECASE)
_CLIENT_ID = re.compile(rb'\r\nauthorization: *Hawk [^\r]*\bid="([^"]*)"', re.IGNORECASE)
_EXT = re.compile(rb'\r\nauthorization: *Hawk [^\r]*\bext="([^"]*)"', re.IGNORECASE)


class Responder:
    """A server in a thread, until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(_serve, "127.0.0.1", 0, backlog=512), self._loop)
        self._server = server.result()
        self.root_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        writer.write(_response(head, body))
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        # The client closed the connection.
        pass
    finally:
        writer.close()


def _response(head: bytes, body: bytes) -> bytes:
    line = _REQUEST_LINE.match(head)
    assert line is not None
    target = line[2].decode("latin-1").removeprefix("/api")
    if wanted := _WANTED.search(target):
        media_type, content = BODIES[wanted[2]]
        return _written(int(wanted[1]), media_type, content, chunked=wanted[2] == "chunked")
    signer, ext = _CLIENT_ID.search(head), _EXT.search(head)
    echo: dict[str, Any] = {
        "request": f"{line[1].decode()} {target}",
        "body": body.decode(),
        "type": found[1].decode() if (found := _TYPE.search(head)) and body else None,
        "clientId": signer[1].decode() if signer else None,
        "ext": json.loads(base64.b64decode(ext[1])) if ext else {},
    }
    if "/task-group/" in target and "continuationToken" not in target:
        echo["continuationToken"] = "next"
    return _written(200, _JSON, json.dumps(echo).encode(), chunked=False)


def _written(status: int, media_type: str | None, content: bytes, *, chunked: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", "Connection: close"]
    if media_type:
        lines.append(f"Content-Type: {media_type}")
    if 300 <= status < 400:
        lines.append("Location: /elsewhere")
    # No response with these statuses has a body.
    content = b"" if status in (204, 304) else content
    if chunked and content:
        lines.append("Transfer-Encoding: chunked")
        content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    elif status not in (204, 304):
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + content
