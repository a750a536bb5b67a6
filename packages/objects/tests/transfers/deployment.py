"""A queue, an object service and storage on one socket, which inject faults."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any
from urllib.parse import unquote

PATIENCE = 60.0
SECRET = "sig=hidden-signature"

Fault = Callable[["StorageServer", socket.socket, "StorageRequest", "Blob"], bool]
"""Responds to a request instead of storage; returns whether the connection stays open.

Its attribute `before_body` has it do so before the body is read, and `takes` reads the body in the usual way's place.
"""


@dataclass(frozen=True)
class StorageRequest:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Blob:
    """The stored data of one key."""

    data: bytes
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"one"'
    hashes: dict[str, str] | None = None
    """The hashes of the object service's response. Computed if None."""
    method: str = "getUrl"


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class StorageServer:
    """Serves from threads, and records the requests."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        self.root_url = f"http://127.0.0.1:{self.port}"
        self.blobs: dict[str, Blob] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.faults: deque[Fault | None] = deque()
        """The faults of the next requests to storage; None for a normal response."""
        self.received: list[StorageRequest] = []
        self.api: list[tuple[str, Any]] = []
        """The names of the called API methods, with their payloads."""
        self.refused_types: set[str] = set()
        self.expires = "2099-01-01T00:00:00.000Z"
        self.upload_methods: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.finished: dict[str, dict[str, str]] = {}
        self.open = 0
        self.connections = 0
        self.errors: list[BaseException] = []
        self._uploads: dict[str, dict[str, Any]] = {}
        self._live: set[socket.socket] = set()
        self._urls = 0
        self.changed = threading.Condition()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    # For assertions.

    @property
    def stored_requests(self) -> list[StorageRequest]:
        return [each for each in self.received if each.path.startswith("/storage/")]

    def called(self, name: str) -> list[Any]:
        return [payload for called, payload in self.api if called == name]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), "it never happened"

    def url(self, key: str) -> str:
        self._urls += 1
        return f"{self.root_url}/storage/{key}?{SECRET}&n={self._urls}"

    def close(self) -> None:
        with self.changed:
            live = list(self._live)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in live:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert self.errors == []

    # Serving.

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self.changed:
                self.open += 1
                self.connections += 1
                self._live.add(connection)
                number = self.connections
            thread = threading.Thread(target=self._guarded, args=(connection, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guarded(self, connection: socket.socket, number: int) -> None:
        try:
            while self._exchange(connection, number):
                pass
        except OSError:
            pass
        except BaseException as exc:
            self.errors.append(exc)
        finally:
            with self.changed:
                self._live.discard(connection)
            connection.close()
            with self.changed:
                self.open -= 1
                self.changed.notify_all()

    def _exchange(self, connection: socket.socket, number: int) -> bool:
        with connection.makefile("rb") as file:
            line = file.readline()
            if not line:
                return False
            method, target, _ = line.decode("ascii").split(" ")
            headers: dict[str, str] = {}
            while text := file.readline().strip():
                name, _, value = text.decode("latin-1").partition(":")
                assert name.lower() not in headers, f"{name} is there twice"
                headers[name.lower()] = value.strip()
            assert "transfer-encoding" not in headers
            path, _, query = target.partition("?")
            key = path.removeprefix("/storage/")
            fault = self.faults.popleft() if path.startswith("/storage/") and self.faults else None
            if fault is not None and getattr(fault, "before_body", False):
                self.received.append(StorageRequest(method, path, query, headers, b"", number))
                return fault(self, connection, self.received[-1], self.blobs.get(key, Blob(b"")))
            take = getattr(fault, "takes", BufferedReader.read)
            body = take(file, int(headers.get("content-length", "0")))
        received = StorageRequest(method, path, query, headers, body, number)
        with self.changed:
            self.received.append(received)
            self.changed.notify_all()
        if path.startswith("/storage/"):
            blob = self.blobs.get(key, Blob(b""))
            return (fault or storage)(self, connection, received, blob)
        return self._api(connection, received)

    def _api(self, connection: socket.socket, received: StorageRequest) -> bool:
        status, body = self._called(received)
        content = json.dumps(body).encode()
        connection.sendall(
            head(status, {"Content-Type": "application/json", "Content-Length": str(len(content))}) + content
        )
        return True

    def _called(self, received: StorageRequest) -> tuple[int, Any]:
        payload = json.loads(received.body) if received.body else None
        _, _, service, _, *rest = received.path.split("/")
        if service == "object":
            verb, name = rest[0], unquote("/".join(rest[1:]))
            names = {"upload": "createUpload", "finish-upload": "finishUpload", "start-download": "startDownload"}
            self.api.append((names[verb], payload))
            return getattr(self, f"_{names[verb]}")(name, payload)  # type: ignore[no-any-return]
        if service == "index":
            self.api.append(("findTask", None))
            return 200, {"taskId": "indexed-task"}
        if rest[0] == "task" and "artifact-content" in rest:
            name = unquote("/".join(rest[rest.index("artifact-content") + 1 :]))
            self.api.append(("artifact" if "runs" in rest else "latestArtifact", received.path))
            artifact = self.artifacts.get(name)
            if artifact is None:
                return 404, {"code": "ResourceNotFound", "message": "Artifact not found"}
            return 200, {k: v() if callable(v) else v for k, v in artifact.items()}
        if rest[-1] == "artifacts":
            self.api.append(("listArtifacts", received.query))
            names_ = sorted(self.artifacts)
            half = (len(names_) + 1) // 2
            if "continuationToken" in received.query:
                return 200, {"artifacts": [{"name": name} for name in names_[half:]]}
            return 200, {"artifacts": [{"name": name} for name in names_[:half]], "continuationToken": "more"}
        name = unquote("/".join(rest[rest.index("artifacts") + 1 :]))
        if received.method == "PUT":
            self.api.append(("finishArtifact", payload))
            return 200, {}
        self.api.append(("createArtifact", payload))
        kind = payload["storageType"]
        if kind in self.refused_types:
            return 400, {"code": "InputError", "message": f"no {kind} here"}
        if kind == "s3":
            return 200, {"storageType": "s3", "contentType": "x/y", "expires": self.expires, "putUrl": self.url(name)}
        return 200, {
            "storageType": "object",
            "name": f"t/{name}",
            "projectId": "proj",
            "uploadId": "U" * 22,
            "expires": self.expires,
            "credentials": {"clientId": "upload", "accessToken": "from-the-queue"},
        }

    def _createUpload(self, name: str, payload: dict[str, Any]) -> tuple[int, Any]:
        known = self._uploads.setdefault(name, {k: payload[k] for k in ("projectId", "uploadId", "expires")})
        if known != {k: payload[k] for k in ("projectId", "uploadId", "expires")}:
            return 409, {"code": "RequestConflict", "message": "Object already exists"}
        proposed = payload["proposedUploadMethods"]
        chosen: dict[str, Any] = {}
        if self.upload_methods is not None:
            chosen = self.upload_methods(proposed)
        elif "dataInline" in proposed:
            inline = proposed["dataInline"]
            self.blobs[name] = Blob(base64.b64decode(inline["objectData"]), {"Content-Type": inline["contentType"]})
            chosen = {"dataInline": True}
        elif "putUrl" in proposed:
            chosen = {"putUrl": self.put_url(name, proposed["putUrl"])}
        return 200, {**known, "uploadMethod": chosen}

    def put_url(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": asked["contentType"], "Content-Length": str(asked["contentLength"])}
        return {"url": self.url(name), "expires": self.expires, "headers": {**headers, "Content-Encoding": "identity"}}

    def _finishUpload(self, name: str, payload: dict[str, Any]) -> tuple[int, Any]:
        self.finished[name] = payload["hashes"]
        return 200, {}

    def _startDownload(self, name: str, payload: dict[str, Any]) -> tuple[int, Any]:
        blob = self.blobs.get(name)
        if blob is None:
            return 404, {"code": "ResourceNotFound", "message": f"Object {name} not found"}
        response: dict[str, Any] = {"method": blob.method, "url": self.url(name)}
        if blob.method != "simple":
            hashes = self.hashes(blob) if blob.hashes is None else blob.hashes
            response |= {"expires": self.expires, "hashes": hashes}
        return 200, response

    @staticmethod
    def hashes(blob: Blob) -> dict[str, str]:
        import gzip

        data = gzip.decompress(blob.data) if blob.headers.get("Content-Encoding") == "gzip" else blob.data
        return {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}


def storage(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
    """Send the complete body, or the requested range."""
    if received.method == "PUT":
        deployment.blobs[received.path.removeprefix("/storage/")] = Blob(
            received.body, {"Content-Type": received.headers["content-type"]}
        )
        connection.sendall(head(200, {"Content-Length": "0"}))
        return True
    headers = {"Content-Type": "application/octet-stream", **blob.headers}
    if blob.etag is not None:
        headers["ETag"] = blob.etag
    wanted = received.headers.get("range")
    if wanted is not None:
        if received.headers["if-match"] != blob.etag:
            connection.sendall(head(412, {"Content-Length": "0"}))
            return True
        start, size = int(wanted.removeprefix("bytes=").rstrip("-")), len(blob.data)
        headers |= {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(size - start)}
        connection.sendall(head(206, headers) + blob.data[start:])
        return True
    connection.sendall(head(200, {**headers, "Content-Length": str(len(blob.data))}) + blob.data)
    return True


def _end(connection: socket.socket, how: str) -> None:
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == "stall":
        with suppress(OSError):
            while connection.recv(65536):
                pass


def breaks(after: int, how: str = "close") -> Fault:
    """Send the headers and a part of the body; then `close`, `reset` or `stall`."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        size = len(blob.data)
        start, status, more = 0, 200, {}
        if "range" in received.headers:
            start, status = int(received.headers["range"].removeprefix("bytes=").rstrip("-")), 206
            more = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
        headers = {**blob.headers, **more, "Content-Length": str(size - start)}
        if blob.etag is not None:
            headers["ETag"] = blob.etag
        connection.sendall(head(status, headers) + blob.data[start : start + after])
        _end(connection, how)
        return False

    return fault


def leaves(how: str = "reset", *, before_body: bool = False) -> Fault:
    """Send no response."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        _end(connection, how)
        return False

    fault.before_body = before_body  # type: ignore[attr-defined]
    return fault


def wait_for_the_end_of(connection: socket.socket) -> None:
    """Wait until the client has closed a connection, without reading from it."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    assert poll.poll(PATIENCE * 1000), "it never happened"


def holds(end: threading.Event) -> Fault:
    """Read no body and send no response until `end` is set."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        # The end of the connection cannot arrive behind an unread body.
        assert end.wait(PATIENCE), "it never happened"
        return False

    fault.before_body = True  # type: ignore[attr-defined]
    return fault


def responds(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Fault:
    """Respond with a status."""

    def fault(deployment: StorageServer, connection: socket.socket, received: StorageRequest, blob: Blob) -> bool:
        connection.sendall(head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body)
        return True

    return fault
