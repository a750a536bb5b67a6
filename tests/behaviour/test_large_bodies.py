"""Large response bodies, received past aiohttp: over TLS, and on another event loop."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from taskcluster.transport.aiohttp import own_session, request_over
from taskcluster_objects.aio import large_bodies
from taskcluster_objects.aio.large_bodies import LargeBody

DATA = random.Random(6).randbytes(5_000_000)
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()
PATIENCE = 60.0


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + DATA)
    # The client closes the connection.
    await reader.read()
    writer.close()


async def _download(server_tls: ssl.SSLContext | None, client_tls: ssl.SSLContext | None) -> bytes:
    server = await asyncio.start_server(_serve, "127.0.0.1", ssl=server_tls)
    url = f"http{'s' if server_tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    arguments: dict[str, Any] = {} if client_tls is None else {"ssl": client_tls}
    async with own_session(auto_decompress=False) as session:
        response = await request_over(session, "GET", url, **arguments)
        body = LargeBody.of(response, PATIENCE)
        assert body is not None
        received: list[bytes] = []
        while pieces := await body.read():
            received += pieces
            # Slower than the server: reading is paused.
            await asyncio.sleep(0.001)
        response.close()
    server.close()
    await server.wait_closed()
    return b"".join(received)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_receives_large_bodies(
    loop: str, scheme: str, authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_bodies, "_LARGE", 1_000_000)
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None] = (None, None)
    if scheme == "https":
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority[0].issue_cert("127.0.0.1").configure_cert(server_tls)
        contexts = server_tls, ssl.create_default_context(cafile=authority[1])
    running = asyncio.new_event_loop() if loop == "asyncio" else uvloop.new_event_loop()
    try:
        assert running.run_until_complete(asyncio.wait_for(_download(*contexts), PATIENCE)) == DATA
        running.run_until_complete(running.shutdown_asyncgens())
    finally:
        running.close()
