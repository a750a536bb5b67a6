"""A deployment that responds as a test scripts it."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Script:
    """A deployment that responds as a test scripts it."""

    def __init__(self) -> None:
        self.respond: Callable[[str], tuple[int, bytes]] = lambda path: (404, b"{}")
        self.before_the_last_byte: Callable[[str], object] = lambda path: None
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = script.respond(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:-1])
                self.wfile.flush()
                script.before_the_last_byte(self.path)
                self.wfile.write(body[-1:])

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.do_GET()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root_url = f"http://127.0.0.1:{self.server.server_address[1]}"
