"""Signing in through the deployment's web page: its address, what it sends back, and the listener for that."""

from __future__ import annotations

import http.server
import os
import queue
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode

from .errors import FAILED, TIMEOUT, Failure

__all__ = ["Callback", "Listener", "exports", "has_browser", "page_address", "parse_callback"]

_DONE = b"""<!doctype html><meta charset="utf-8"><title>Signed in</title>
<script>history.replaceState(null, "", "/")</script>
<p style="font: 1.2em sans-serif">Signed in. You can close this tab and return to the terminal.</p>
"""
_NAMES = ("TASKCLUSTER_CLIENT_ID", "TASKCLUSTER_ACCESS_TOKEN", "TASKCLUSTER_ROOT_URL")


class Callback(NamedTuple):
    """The credentials that the page sends."""

    client_id: str
    access_token: str

    def __repr__(self) -> str:
        return f"<Callback for {self.client_id}>"


def page_address(root_url: str, callback: str, *, name: str, expires: str, scopes: Sequence[str]) -> str:
    """Return the address of the page that creates a client.

    Args:
        root_url: The deployment.
        callback: Where the page sends the credentials. The page accepts the host `localhost` only.
        name: The end of the client's name; it begins with the user's.
        expires: How long it is valid, for example `1d`.
        scopes: The wanted scopes; it gets those of them that the user has.
    """
    query = [("scope", scope) for scope in scopes]
    query += [("name", name), ("expires", expires), ("callback_url", callback)]
    query += [("description", "Signed in with the taskcluster command")]
    return f"{root_url}/auth/clients/create?{urlencode(query)}"


def parse_callback(address: str, path: str) -> Callback | None:
    """Return the credentials in the address that the page leads to, or None if it is another address.

    The page appends them without encoding: only percent escapes are decoded, and a plus sign is one.

    Args:
        address: The address, or its path and query.
        path: The path of the callback, which nobody can guess.
    """
    _, found, query = address.strip().partition(f"{path}?clientId=")
    client_id, separator, access_token = query.rpartition("&accessToken=")
    if not found or not separator or not client_id or not access_token:
        return None
    return Callback(unquote(client_id), unquote(access_token).partition("#")[0])


class Listener:
    """Receives the credentials at an address on this machine.

    Args:
        path: The path of the callback; every other request gets 404.
        port: The port; 0 for any.
    """

    def __init__(self, path: str, port: int = 0) -> None:
        received: queue.SimpleQueue[Callback] = queue.SimpleQueue()
        self._received = received

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                # http.server decodes the request line as Latin-1.
                target = self.path.encode("latin-1").decode("utf-8", "replace")
                callback = parse_callback(target, path) if target.startswith(f"{path}?") else None
                self.send_response(404 if callback is None else 200)
                body = b"" if callback is None else _DONE
                for name, value in {
                    "Content-Type": "text/html; charset=utf-8",
                    "Content-Length": str(len(body)),
                    "Cache-Control": "no-store",
                    "Referrer-Policy": "no-referrer",
                    "Connection": "close",
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
                if callback is not None:
                    received.put(callback)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Log nothing: the request line holds the token."""

        self._servers = [_server(Handler, socket.AF_INET, "127.0.0.1", port)]
        self.port: int = self._servers[0].server_address[1]
        try:
            # Browsers may try either address of localhost.
            self._servers.append(_server(Handler, socket.AF_INET6, "::1", self.port))
        except Failure:
            pass
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def wait(self, seconds: float) -> Callback:
        """Return the credentials; raise Failure if none arrive in time."""
        try:
            return self._received.get(timeout=seconds)
        except queue.Empty:
            raise Failure(
                f"nobody signed in within {seconds:g} s",
                TIMEOUT,
                "if the browser is on another machine, use --paste",
            ) from None

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _server(
    handler: type[http.server.BaseHTTPRequestHandler], family: socket.AddressFamily, host: str, port: int
) -> http.server.ThreadingHTTPServer:
    class Server(http.server.ThreadingHTTPServer):
        address_family = family
        daemon_threads = True
        allow_reuse_address = False

        def server_bind(self) -> None:
            # Without looking up the host's name, which may take seconds.
            self.socket.bind(self.server_address)
            self.server_address = self.socket.getsockname()
            self.server_name, self.server_port = "localhost", self.server_address[1]

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Print nothing: a browser may close a connection at any time."""

    try:
        return Server((host, port), handler)
    except OSError as exc:
        raise Failure(
            f"cannot listen on port {port} of {host}: {exc.strerror}", FAILED, "choose another --port"
        ) from exc


def has_browser(environ: Mapping[str, str]) -> bool:
    """Return whether this machine can show a page. Browsers in the terminal would take it over."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def open_browser(address: str) -> threading.Thread:
    """Open a page in a thread, because the browser may hang, and return the thread."""
    import webbrowser

    thread = threading.Thread(target=webbrowser.open, args=(address,), daemon=True)
    thread.start()
    return thread


def exports(shell: str, root_url: str, callback: Callback) -> list[str]:
    """Return the lines with which a shell sets the variables of the credentials.

    Another certificate in the shell would make these credentials invalid, so it is removed.

    Args:
        shell: `sh`, `csh`, `fish` or `powershell`.
        root_url: The deployment.
        callback: The credentials.
    """
    import shlex

    values = dict(zip(_NAMES, (callback.client_id, callback.access_token, root_url), strict=True))
    quoted = {name: shlex.quote(value) for name, value in values.items()}
    stale = "TASKCLUSTER_CERTIFICATE"
    match shell:
        case "csh":
            lines = [f"setenv {name} {value}".replace("!", "\\!") for name, value in quoted.items()]
            return [*lines, f"unsetenv {stale}"]
        case "fish":
            escaped = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()}
            return [*(f"set -gx {name} '{value}'" for name, value in escaped.items()), f"set -e {stale}"]
        case "powershell":
            doubled = {name: value.replace("'", "''") for name, value in values.items()}
            remove = f"Remove-Item Env:{stale} -ErrorAction SilentlyContinue"
            return [*(f"$env:{name} = '{value}'" for name, value in doubled.items()), remove]
        case _:
            return [*(f"export {name}={value}" for name, value in quoted.items()), f"unset {stale}"]


def default_shell(environ: Mapping[str, str]) -> str:
    """Return the kind of the user's shell."""
    name = os.path.basename(environ.get("SHELL", ""))
    if not name and os.name == "nt":
        return "powershell"
    return {"tcsh": "csh", "csh": "csh", "fish": "fish", "pwsh": "powershell"}.get(name, "sh")
