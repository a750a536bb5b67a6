"""A minimal queue, object service and storage, in threads over plain sockets.

`python -m benchmarks.storage FILE` prints its port. An object is the start of FILE; its name is its size. It is sent
from the page cache with sendfile. Uploads are counted and discarded.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
from typing import Any

__all__ = ["MANY", "SMALL"]

SMALL, MANY = 64 * 1024, 200
_EXPIRES = "2099-01-01T00:00:00.000Z"
_DISCARD = socket.MSG_TRUNC if sys.platform == "linux" else 0
"""On Linux, received data is discarded without being copied."""


class _Server:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self._hashes: dict[str, dict[str, str]] = {}

    def serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = bytearray(2**20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    more = connection.recv(65536)
                    if not more:
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                verb, target, _ = head.split(b" ", 2)
                length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
                path = target.decode()
                if path.startswith("/storage/"):
                    left = length - len(received)
                    while left > 0:
                        left -= connection.recv_into(buffer, min(left, len(buffer)), _DISCARD) or left
                    received = b""
                    self._store(connection, int(path.rpartition("/")[2]) if verb == b"GET" else 0)
                    continue
                while len(received) < length:
                    received += connection.recv(65536)
                body, received = received[:length], received[length:]
                text = json.dumps(self._response(path, body)).encode()
                connection.sendall(_head(len(text), "application/json") + text)
        except ConnectionError:
            pass
        finally:
            connection.close()

    def _store(self, connection: socket.socket, size: int) -> None:
        connection.sendall(_head(size, "application/octet-stream"), socket.MSG_MORE if size else 0)
        sent = 0
        while sent < size:
            sent += os.sendfile(connection.fileno(), self._file, sent, size - sent)

    def _response(self, path: str, body: bytes) -> Any:
        name = path.rpartition("/")[2]
        url = f"http://127.0.0.1:{self.port}/storage/{name}"
        if "/start-download/" in path:
            if name not in self._hashes:
                self._hashes[name] = self._hash(int(name))
            return {"method": "getUrl", "url": url, "expires": _EXPIRES, "hashes": self._hashes[name]}
        if "/finish-upload/" in path:
            return {}
        if "/upload/" in path:
            proposed = json.loads(body)["proposedUploadMethods"]["putUrl"]
            headers = {"Content-Type": proposed["contentType"], "Content-Length": str(proposed["contentLength"])}
            return {"uploadMethod": {"putUrl": {"url": url, "expires": _EXPIRES, "headers": headers}}}
        if "/artifact-content/" in path:
            return {"storageType": "s3", "url": f"http://127.0.0.1:{self.port}/storage/{SMALL}"}
        return {"artifacts": [{"name": f"public/{number}"} for number in range(MANY)]}

    def _hash(self, size: int) -> dict[str, str]:
        digests = [hashlib.sha256(), hashlib.sha512()]
        for start in range(0, size, 2**20):
            data = os.pread(self._file, min(2**20, size - start), start)
            for digest in digests:
                digest.update(data)
        return {digest.name: digest.hexdigest() for digest in digests}


def _head(length: int, content_type: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n".encode()


if __name__ == "__main__":
    server = _Server(sys.argv[1])
    print(server.port, flush=True)
    server.serve()
