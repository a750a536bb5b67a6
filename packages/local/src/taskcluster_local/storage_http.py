"""Serve files over HTTP as S3 does.

aiohttp's FileResponse is not used: its entity tags depend on the date only, so different contents can have the same
tag, and it sends partial contents even if `If-Range` names another version of the file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import BinaryIO

from aiohttp import web
from aiohttp.client_exceptions import ClientError

from .storage import Refusal, Storage, StoredFile
from .store import StoreFull

__all__ = ["respond"]

_CHUNK = 256 * 1024
_ISOLATION = {"Content-Security-Policy": "sandbox allow-scripts", "X-Content-Type-Options": "nosniff"}
"""Tasks write the files, which have the origin of the pages: a browser must not give them the rights of the reader."""

_log = logging.getLogger("taskcluster.local")


async def respond(request: web.BaseRequest, storage: Storage) -> web.StreamResponse:
    """Respond to an upload or a download."""
    try:
        if request.method not in ("PUT", "GET", "HEAD"):
            raise Refusal(405, "upload files with PUT and download them with GET or HEAD")
        name = storage.allowed(request.method, request.raw_path, request.headers)
        if request.method == "PUT":
            return await _put(request, storage, name)
        found = storage.find(name)
        if found is None:
            raise Refusal(404, "there is no such file")
        # Opened before the first await, so that replacing the file does not change the response.
        with found.path.open("rb") as file:
            return await _get(request, found, file)
    except Refusal as refusal:
        return web.Response(status=refusal.status, text=f"{refusal.reason}\n", headers=_ISOLATION)
    except StoreFull as error:
        _log.error("%s %s: %s", request.method, request.path, error)
        return web.Response(status=500, text=f"Nothing of this request was stored: {error}.\n", headers=_ISOLATION)


async def _put(request: web.BaseRequest, storage: Storage, name: str) -> web.StreamResponse:
    if request.content_length is None:
        raise Refusal(411, "send a Content-Length header: chunked uploads are not supported")
    tag = await storage.receive(name, _content(request), request.content_length, request.headers)
    return web.Response(headers={"ETag": f'"{tag}"'})


async def _content(request: web.BaseRequest) -> AsyncIterator[bytes]:
    if request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except (ClientError, asyncio.IncompleteReadError, ConnectionError) as error:
        raise Refusal(400, "the body ended too early") from error


async def _get(request: web.BaseRequest, found: StoredFile, file: BinaryIO) -> web.StreamResponse:
    size = file.seek(0, 2)
    headers = {"ETag": f'"{found.etag}"', "Accept-Ranges": "bytes", **_ISOLATION}
    if "if-match" in request.headers and not _names(request.headers["if-match"], found.etag, weak=False):
        return web.Response(status=412, headers=headers, text="the file has changed\n")
    if "if-none-match" in request.headers and _names(request.headers["if-none-match"], found.etag, weak=True):
        return web.Response(status=304, headers=headers)
    part = _range(request, found, size)
    if part is not None and part.start >= size:
        headers["Content-Range"] = f"bytes */{size}"
        return web.Response(status=416, headers=headers, text=f"the file has {size} bytes\n")
    headers["Content-Type"] = found.content_type
    if found.content_encoding is not None:
        headers["Content-Encoding"] = found.content_encoding
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    first, end = (0, size) if part is None else (part.start, part.stop)
    response = web.StreamResponse(status=200 if part is None else 206, headers=headers)
    response.content_length = end - first
    await response.prepare(request)
    if request.method != "HEAD":
        file.seek(first)
        while first < end and (chunk := file.read(min(_CHUNK, end - first))):
            first += len(chunk)
            await response.write(chunk)
    return response


def _names(header: str, etag: str, *, weak: bool) -> bool:
    """Return whether a list of entity tags contains this one, or `*`."""
    tags = [tag.strip() for tag in header.split(",")]
    return "*" in tags or any((tag.removeprefix("W/") if weak else tag) == f'"{etag}"' for tag in tags)


def _range(request: web.BaseRequest, found: StoredFile, size: int) -> range | None:
    """Return the requested range of bytes; None for all. As in S3, several ranges at once are not supported."""
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() != f'"{found.etag}"':
        return None
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None:
        return None
    # A suffix range has a negative start.
    first = wanted.start if wanted.start >= 0 else max(0, size + wanted.start)
    return range(first, size if wanted.stop is None else min(wanted.stop, size))
