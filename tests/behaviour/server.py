"""A scripted server and a proxy that send arbitrary bytes, unlike the test servers of HTTP libraries.

Both run in threads of the test process and record requests.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Late", "Proxy", "Reaction", "Received", "Server", "closed_port", "respond"]

PATIENCE = 60.0
"""The timeout of tests in seconds."""


@dataclass(frozen=True)
class Received:
    """A received request."""

    method: str
    target: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes
    connection: int
    """The number of its connection, from 1."""

    @property
    def authorization(self) -> dict[str, str]:
        """The attributes of the Hawk header."""
        scheme, _, rest = self.headers["authorization"].partition(" ")
        assert scheme == "Hawk"
        return dict(part.split("=", 1) for part in rest.replace('"', "").split(", "))


@dataclass(frozen=True)
class Late:
    """Bytes that are sent when the test requests it."""

    raw: bytes
    wanted: threading.Event = field(default_factory=threading.Event)
    sent: threading.Event = field(default_factory=threading.Event)

    def send(self) -> None:
        """Send them now."""
        self.wanted.set()
        assert self.sent.wait(PATIENCE)


@dataclass(frozen=True)
class Reaction:
    """The server's reaction to a request."""

    raw: bytes = b""
    """The response."""
    then: Literal["keep", "close", "reset", "stall"] = "keep"
    """What happens to the connection. A stalled one stays open until the client closes it."""
    when: Literal["read", "head", "accepted"] = "read"
    """When to respond: after the complete request, after its headers, or after accepting the connection."""
    gate: threading.Event | None = field(default=None, compare=False)
    """An event to wait for before sending."""
    more: tuple[bytes, ...] = ()
    """Sent after `raw`, with pauses, so that they probably arrive separately."""
    late: Late | None = field(default=None, compare=False)
    """Sent last."""


def respond(
    status: int = 200,
    body: bytes | str | Mapping[str, Any] | list[Any] = b"",
    headers: Mapping[str, str] | None = None,
    *,
    then: Literal["keep", "close", "reset", "stall"] = "keep",
    gate: threading.Event | None = None,
) -> Reaction:
    """Return a well-formed response. A mapping or list is sent as JSON; `headers` override the default ones."""
    usual: dict[str, str] = {}
    if isinstance(body, Mapping | list):
        body = json.dumps(body)
        usual["Content-Type"] = "application/json; charset=utf-8"
    content = body.encode() if isinstance(body, str) else body
    if status != 204:
        usual["Content-Length"] = str(len(content))
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {text}" for name, text in {**usual, **(headers or {})}.items())]
    return Reaction("\r\n".join([*lines, "", ""]).encode("latin-1") + content, then, gate=gate)


def closed_port() -> int:
    """Return a closed port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class _Listener:
    """Accepts connections and serves each in a separate thread."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self.changed = threading.Condition()
        self.connections = 0
        """The number of accepted connections."""
        self.open = 0
        """The number of open connections."""
        self.faults: list[BaseException] = []
        """Exceptions of the threads; there should be none."""
        self._live: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; it is checked after each event of the server."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), "it never happened"

    def close(self) -> None:
        with self.changed:
            live = list(self._live)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in live:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
                self.open += 1
                self._live.add(connection)
                number = self.connections
                self.changed.notify_all()
            thread = threading.Thread(target=self._guarded, args=(connection, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guarded(self, connection: socket.socket, number: int) -> None:
        try:
            self._serve(connection, number)
        except OSError:
            pass  # The client or the test closed the connection first.
        except BaseException as exc:
            self.faults.append(exc)
        finally:
            with self.changed:
                self._live.discard(connection)
            connection.close()
            with self.changed:
                self.open -= 1
                self.changed.notify_all()

    def _serve(self, connection: socket.socket, number: int) -> None:
        raise NotImplementedError


class Server(_Listener):
    """Responds according to a script, and with `otherwise` when the script is used up.

    Args:
        tls: The context of an https server.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._script: deque[Reaction] = deque()
        self.otherwise = respond(200, {})
        self.received: list[Received] = []
        super().__init__()

    @property
    def root_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def script(self, *reactions: Reaction) -> None:
        """Set the responses to the next requests, on any connection."""
        self._script.extend(reactions)

    @property
    def last(self) -> Received:
        return self.received[-1]

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._script and self._script[0].when == "accepted":
            self._leave(connection, self._script.popleft())
            return
        stream = connection
        if self._tls is not None:
            # Wrapping replaces the socket; only the new one can shut it down.
            stream = self._tls.wrap_socket(connection, server_side=True)
            with self.changed:
                self._live.add(stream)
        try:
            while self._exchange(stream, number):
                pass
        finally:
            with self.changed:
                self._live.discard(stream)
            stream.close()

    def _exchange(self, stream: socket.socket, number: int) -> bool:
        """Serve one request; return whether to keep the connection."""
        with stream.makefile("rb") as file:
            request_line = file.readline()
            if not request_line:
                return False
            method, target, _ = request_line.decode("ascii").split(" ")
            headers: dict[str, str] = {}
            while (line := file.readline().strip()) != b"":
                name, _, text = line.decode("latin-1").partition(":")
                assert name.lower() not in headers, f"{name} appears twice"
                headers[name.lower()] = text.strip()
            reaction = self._script[0] if self._script else self.otherwise
            assert "transfer-encoding" not in headers
            body = b"" if reaction.when == "head" else file.read(int(headers.get("content-length", "0")))
        with self.changed:
            reaction = self._script.popleft() if self._script else self.otherwise
            self.received.append(Received(method, target, headers, body, number))
            self.changed.notify_all()
        if reaction.gate is not None:
            assert reaction.gate.wait(PATIENCE)
        stream.sendall(reaction.raw)
        for piece in reaction.more:
            threading.Event().wait(0.01)
            stream.sendall(piece)
        if reaction.late is not None:
            assert reaction.late.wanted.wait(PATIENCE)
            stream.sendall(reaction.late.raw)
            reaction.late.sent.set()
        if reaction.then == "keep":
            return True
        self._leave(stream, reaction)
        return False

    def _leave(self, stream: socket.socket, reaction: Reaction) -> None:
        if reaction.then == "stall":
            stream.recv(1)
        elif reaction.then == "reset":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Proxy(_Listener):
    """A forward proxy: absolute targets for http, CONNECT tunnels for https."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """The received request lines."""
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self, connection: socket.socket, number: int) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        line, _, rest = head.partition(b"\r\n")
        self.asked.append(line.decode("ascii"))
        method, target, version = line.split(b" ")
        authority = target if method == b"CONNECT" else target.split(b"/")[2]
        host, _, port = authority.decode("ascii").partition(":")
        with socket.create_connection((host, int(port))) as upstream:
            if method == b"CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = target.split(authority, 1)[1]
                upstream.sendall(b" ".join([method, path, version]) + b"\r\n" + rest)
            back = threading.Thread(target=_pump, args=(upstream, connection), daemon=True)
            back.start()
            _pump(connection, upstream)
            back.join(PATIENCE)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
