"""Serve the logs of running tasks over HTTP, from their beginning and while they grow."""

from __future__ import annotations

import contextlib
import secrets
from types import TracebackType

from aiohttp import web

from .log import TaskLog

__all__ = ["LiveLogs"]

_SHUTDOWN_SECONDS = 1.0
_TYPE = "text/plain; charset=utf-8"


class LiveLogs:
    """A server for the logs of a worker. Each has an address that cannot be guessed.

    Args:
        host: The address to listen on, which is also the host of the URLs.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._logs: dict[str, TaskLog] = {}
        server = web.Server(self._respond, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._port = 0

    async def __aenter__(self) -> LiveLogs:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def add(self, log: TaskLog) -> str:
        """Serve a log until `remove`, and return its URL."""
        secret = secrets.token_urlsafe(24)
        self._logs[secret] = log
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/log/{secret}"

    def remove(self, log: TaskLog) -> None:
        """Accept no more readers of a log. Those that it has read to its end."""
        self._logs = {secret: each for secret, each in self._logs.items() if each is not log}

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        log = self._logs.get(request.path.removeprefix("/log/"))
        # Pages of other origins show it.
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": _TYPE, "Cache-Control": "no-store"}
        if log is None:
            return web.Response(status=404, text="There is no such log, or its task has ended.\n", headers=headers)
        if request.method == "OPTIONS":
            allowed = {"Access-Control-Allow-Headers": "Range", "Access-Control-Allow-Methods": "GET, HEAD"}
            return web.Response(status=204, headers={**headers, **allowed})
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={**headers, "Allow": "GET, HEAD, OPTIONS"})
        with log.reading():
            return await self._serve(request, log, headers)

    async def _serve(self, request: web.BaseRequest, log: TaskLog, headers: dict[str, str]) -> web.StreamResponse:
        size = log.size
        part = _range(request, size)
        if part is None:
            response = web.StreamResponse(headers=headers)
        elif not part:
            return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        else:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
            response = web.StreamResponse(status=206, headers=headers)
            response.content_length = len(part)
        with contextlib.suppress(ConnectionError):
            # The reader may go away at any time.
            await response.prepare(request)
            if request.method == "GET":
                async for chunk in log.follow() if part is None else log.read(part):
                    await response.write(chunk)
            await response.write_eof()
        return response


def _range(request: web.BaseRequest, size: int) -> range | None:
    """Return the requested part of what has been written so far, or None for all."""
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None:
        return None
    start = wanted.start if wanted.start >= 0 else max(0, size + wanted.start)
    return range(start, size if wanted.stop is None else min(wanted.stop, size))
