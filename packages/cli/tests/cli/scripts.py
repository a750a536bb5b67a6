"""A deployment that responds as a test scripts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Script:
    """A deployment that responds as a test scripts it."""

    def __init__(self) -> None:
        self.respond: Callable[[str], tuple[int, bytes]] = lambda path: (404, b"{}")
        self.headers: Callable[[str], Mapping[str, str]] = lambda path: {}
        """Other response headers; an empty string omits one."""
        self.before_the_last_byte: Callable[[str], object] = lambda path: None
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = script.respond(self.path)
                self.send_response(status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
                for name, value in {**headers, **script.headers(self.path)}.items():
                    if value:
                        self.send_header(name, value)
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
