"""A server that returns the same JSON for every request, over HTTP and TLS.

`python -m benchmarks.server CERTIFICATE` prints its two ports.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop

_STATUS = (
    b'{"status":{"taskId":"fN1SbArXTPSVFNUvaOlinQ","provisionerId":"proj","workerType":"ci","taskQueueId":"proj/ci",'
    b'"schedulerId":"-","projectId":"none","taskGroupId":"fN1SbArXTPSVFNUvaOlinQ","deadline":"2030-01-02T00:00:00.000Z",'
    b'"expires":"2031-01-01T00:00:00.000Z","retriesLeft":5,"state":"running","runs":[{"runId":0,"state":"running",'
    b'"reasonCreated":"scheduled","workerGroup":"region","workerId":"worker-1","takenUntil":"2030-01-01T00:20:00.000Z",'
    b'"scheduled":"2030-01-01T00:00:00.000Z","started":"2030-01-01T00:00:01.000Z"}]}}'
)
_HEADERS = b"\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
_OK = b"HTTP/1.1 200 OK" + _HEADERS % (len(_STATUS), _STATUS)
_UNSIGNED = b"HTTP/1.1 401 Unauthorized" + _HEADERS % (2, b"{}")


class _Canned(asyncio.Protocol):
    """Responds to complete requests. Unsigned requests below `/api/` are rejected."""

    def __init__(self) -> None:
        self._head = b""
        self._response = b""
        self._body_left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._body_left:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return
            self._head = b""
            head = head.lower()
            signed = b"\r\nauthorization: hawk " in head or b" /api/" not in head
            self._response = _OK if signed else _UNSIGNED
            self._body_left = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
        # Contenders do not pipeline requests, so no data follows a body.
        self._body_left -= len(data)
        if not self._body_left:
            self._transport.write(self._response)


async def _serve(certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(_Canned, "127.0.0.1", 0)
    secure = await loop.create_server(_Canned, "127.0.0.1", 0, ssl=context)
    print(*(server.sockets[0].getsockname()[1] for server in (plain, secure)), flush=True)
    await asyncio.gather(plain.serve_forever(), secure.serve_forever())


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
