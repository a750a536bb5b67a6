"""A storage server that behaves as a test wants."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that has read enough closes its connection.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class StorageServer:
    """Serves one file at `url`; requests are in `requests`, and sent bytes in `sent`."""

    def __init__(self, content: bytes = b"", **headers: str) -> None:
        self.content = content
        self.headers: dict[str, str] = {
            "ETag": '"1"',
            "Content-Type": "text/plain",
            "Accept-Ranges": "bytes",
            **headers,
        }
        self.requests: list[Mapping[str, str]] = []
        self.sent = 0
        self.behaviour: Callable[[Exchange], None] = Exchange.respond
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.requests.append(dict(self.headers))
                server.behaviour(Exchange(server, self))

            def log_message(self, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/file"

    def __enter__(self) -> StorageServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.requests]


class Exchange:
    """A request and its response."""

    def __init__(self, server: StorageServer, handler: BaseHTTPRequestHandler) -> None:
        self.server = server
        self.handler = handler

    @property
    def range(self) -> tuple[int, int] | None:
        """The first and last byte that were requested."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.handler.headers.get("Range", ""))
        size = len(self.server.content)
        return None if found is None else (int(found[1]), min(int(found[2] or size), size - 1))

    def respond(self, status: int | None = None, cut: int | None = None, **headers: str) -> None:
        """Respond as S3 does; with `cut`, close the connection after so many bytes of the body."""
        server, wanted, content = self.server, self.range, self.server.content
        if status is None:
            status = 206 if wanted is not None else 200
            if self.handler.headers.get("If-Match", server.headers.get("ETag")) != server.headers.get("ETag"):
                status = 412
            elif wanted is not None and wanted[0] >= len(content):
                status = 416
        sent = dict(server.headers)
        if status == 206:
            assert wanted is not None
            sent["Content-Range"] = f"bytes {wanted[0]}-{wanted[1]}/{len(content)}"
            content = content[wanted[0] : wanted[1] + 1]
        elif status == 416:
            sent["Content-Range"] = f"bytes */{len(content)}"
            content = b""
        elif status != 200:
            content = b""
        self.handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **sent, **headers}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        body = content[:cut]
        # Before the client can have received them.
        server.sent += len(body)
        self.handler.wfile.write(body)
        if cut is not None:
            self.handler.close_connection = True
