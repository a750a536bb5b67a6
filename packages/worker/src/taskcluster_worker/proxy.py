"""The taskcluster proxy of one run: it signs the requests of a task with the scopes of the task, and no others."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from taskcluster.credentials import signer
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.hawk import payload_hash
from taskcluster.retries import Policy, retry_after
from taskcluster.slugs import slugId

from .claims import Claim
from .task import Task

__all__ = ["TaskProxy", "proxied_scopes", "proxied_url"]

_LARGEST_BODY = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_BEWIT_SECONDS = 60 * 60
_SERVER_ERROR = 500
_IP_FREEBIND = 15
_SHUTDOWN_SECONDS = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=30, sock_read=300)
# Of one connection, or set by the proxy.
_NOT_FORWARDED = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade"),
        *("transfer-encoding", "host", "authorization", "content-length", "expect"),
    }
)


def proxied_scopes(task: Task) -> list[str]:
    """Return the scopes that a task's requests have. The claim's others, to renew and resolve it, are not for tasks."""
    return [*task.scopes, f"queue:create-artifact:{task.taskId}/{task.runId}"]


def proxied_url(root_url: str, target: str) -> str:
    """Return the URL for a path and query of the proxy: `/api/<service>/<version>/…`, or the same without `/api`."""
    return f"{root_url.rstrip('/')}{'' if target.startswith('/api/') else '/api'}{target}"


class TaskProxy:
    """The proxy of one run, from `async with` to its end.

    Args:
        task: The task.
        claim: Its claim. Each request is signed with the newest credentials.
        root_url: The deployment.
        session: For requests, without automatic decompression.
        address: The address to listen on.
    """

    def __init__(self, task: Task, claim: Claim, root_url: str, session: aiohttp.ClientSession, address: str) -> None:
        self._scopes = proxied_scopes(task)
        self._claim = claim
        self._root_url = root_url.rstrip("/")
        self._session = session
        self._address = address
        self._runner = web.ServerRunner(
            # Bodies are passed on packed, as their headers and hashes say.
            web.Server(self._respond, access_log=None, handler_cancellation=True, auto_decompress=False),
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        self.port = 0
        """The port that it listens on."""

    async def __aenter__(self) -> TaskProxy:
        await self._runner.setup()
        await web.SockSite(self._runner, _listening(self._address)).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await _body(request)
        if body is None:
            return _error(413, f"the body is larger than {_LARGEST_BODY} bytes")
        try:
            if request.path == "/bewit":
                return self._sign_url(body)
            if request.path == "/credentials" or not request.raw_path.startswith("/"):
                return _error(404, "the proxy has no such path")
            return await self._forward(request, body)
        except TaskclusterFailure as error:
            return _error(500, f"the request cannot be signed: {error}")

    def _sign(self, scopes: Sequence[str]) -> Any:
        checked = signer(self._claim.credentials, scopes)
        assert checked is not None
        return checked.at(time.time())

    def _sign_url(self, body: bytes) -> web.Response:
        url = body.decode("utf-8", "replace").strip()
        if not url.startswith(f"{self._root_url}/") or not url.isascii() or not url.isprintable() or " " in url:
            return _error(400, f"the body must be a URL of this deployment, {self._root_url}/…")
        host, port, target = _parts(url)
        bewit = self._sign(self._scopes).bewit(target, host, port, int(time.time()) + _BEWIT_SECONDS)
        signed = f"{url}{'&' if '?' in target else '?'}bewit={bewit}"
        return web.Response(status=303, headers={"Location": signed}, text=signed)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        url = proxied_url(self._root_url, request.raw_path)
        host, port, target = _parts(url)
        content_type = request.headers.get("Content-Type", "")
        digest = payload_hash(body, content_type) if body else payload_hash(b"", "")
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED]
        policy, retry = Policy(), 0
        while True:
            # Signed again for each attempt: a nonce is valid once.
            now = time.time()
            authorization = self._sign(self._scopes).header(
                request.method, target, host, port, digest, now, str(slugId())
            )
            retry += 1
            requested: float | None = None
            last = retry > policy.max_retries
            try:
                async with self._session.request(
                    request.method,
                    URL(url, encoded=True),
                    data=body or None,
                    headers=[*headers, ("Authorization", authorization)],
                    allow_redirects=False,
                    skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
                    timeout=_TIMEOUT,
                ) as response:
                    if response.status < _SERVER_ERROR or last:
                        return await _pass_on(request, response)
                    requested = retry_after(response.status, response.headers, now)
            except (aiohttp.ClientConnectionError, asyncio.TimeoutError) as error:
                if last:
                    return _error(502, f"the deployment does not respond: {type(error).__name__}")
            await asyncio.sleep(policy.delay(retry, random.random(), requested) or 0)


def _listening(address: str) -> socket.socket:
    """Return a socket that listens on an address, which a network of containers may get later: with its first one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "linux":
            listening.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        listening.bind((address, 0))
    except BaseException:
        listening.close()
        raise
    return listening


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return the body of a request, or None if it is too large."""
    body = bytearray()
    if request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return None
    return bytes(body)


async def _pass_on(request: web.BaseRequest, response: aiohttp.ClientResponse) -> web.StreamResponse:
    sent = web.StreamResponse(status=response.status, reason=response.reason)
    for name, value in response.headers.items():
        if name.lower() not in _NOT_FORWARDED:
            sent.headers.add(name, value)
    if response.content_length is not None:
        sent.content_length = response.content_length
    await sent.prepare(request)
    async for chunk in response.content.iter_chunked(_CHUNK):
        await sent.write(chunk)
    await sent.write_eof()
    return sent


def _parts(url: str) -> tuple[str, str, str]:
    """Return host, port, and path with query of a URL, exactly as they are signed."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.hostname or "", str(port), url[len(f"{parts.scheme}://{parts.netloc}") :]


def _error(status: int, message: str) -> web.Response:
    body: Mapping[str, str] = {"code": "TaskclusterProxyError", "message": message}
    return web.json_response(body, status=status)
