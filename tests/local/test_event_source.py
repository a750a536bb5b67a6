"""Test that a browser's EventSource reads the message stream of a deployment, in Chromium."""

from __future__ import annotations

import contextlib
import http.server
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

import taskcluster
from taskcluster.hawk import Signer
from taskcluster_local import LocalTaskcluster

from .serving import definition

if TYPE_CHECKING:
    from chromium import Browser

TIMEOUT = 120.0
"""Only a broken test waits for so long."""
BINDINGS = [{"exchange": "exchange/taskcluster-queue/v1/task-pending", "routingKeyPattern": "route.watched.#"}]
PATH = f"/events?bindings={quote(json.dumps(BINDINGS))}"
PAGE = """<!doctype html>
<title>Events</title>
<script>
// One after another, so that they arrive in order.
let reported = Promise.resolve();
function report(event) {
  reported = reported.then(() => fetch("/report", {method: "POST", body: JSON.stringify(event)}));
}
function watch(source, address) {
  const stream = new EventSource(address);
  for (const name of ["open", "ready", "message", "lost", "error"])
    stream.addEventListener(name, (event) => report({
      source, name, data: event.data, closed: stream.readyState === EventSource.CLOSED,
    }));
}
watch("own", OWN);
watch("other", OTHER);
</script>
"""


class _Site(http.server.ThreadingHTTPServer):
    """A site with a page and, at the same origin, the deployment's stream."""

    daemon_threads = True

    def __init__(self, local: LocalTaskcluster) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.deployment = urlsplit(local.root_url).netloc.split(":")
        self.streams: list[socket.socket] = []
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()
        credentials = local.credentials
        signer = Signer(credentials["clientId"], credentials["accessToken"].encode(), "")
        bewit = signer.bewit(PATH, "127.0.0.1", str(self.server_port), int(time.time()) + 3600)
        own, other = json.dumps(f"{PATH}&bewit={bewit}"), json.dumps(f"{local.root_url}{PATH}")
        self.page = PAGE.replace("OWN", own).replace("OTHER", other)

    def cut(self) -> None:
        """End the open streams."""
        while self.streams:
            self.streams.pop().shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self) -> None:
        if self.path.startswith("/events"):
            return self._forward()
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page.encode())
        return None

    def do_POST(self) -> None:
        self.server.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def _forward(self) -> None:
        self.close_connection = True
        host, port = self.server.deployment
        with socket.create_connection((host, int(port))) as stream, contextlib.suppress(OSError):
            self.server.streams.append(stream)
            headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            stream.sendall(f"{self.requestline}\r\n{headers}\r\n".encode())
            while data := stream.recv(65536):
                self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture
def site(local: LocalTaskcluster, browser: Browser) -> Iterator[_Site]:
    with _Site(local) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        with browser.tab() as tab:
            tab.go(f"http://127.0.0.1:{made.server_port}/")
            try:
                yield made
            finally:
                made.cut()
        made.shutdown()


def test_browser_reads_stream_and_continues(local: LocalTaskcluster, site: _Site) -> None:
    other: list[dict[str, Any]] = []

    def following() -> tuple[str, Any]:
        """Return the name and data of the next event of the page's own origin."""
        while True:
            report = site.reports.get(timeout=TIMEOUT)
            if report["source"] == "own":
                return report["name"], report.get("data")
            other.append(report)

    def create(*routes: str) -> str:
        task_id = taskcluster.slugId()
        now = taskcluster.fromNowJSON("0 seconds")
        task: Any = {**definition(now, taskcluster.fromNowJSON("1 hour")), "routes": [*routes]}
        with taskcluster.Queue(local.options()) as queue:
            queue.createTask(task_id, task)
        return task_id

    def received() -> str:
        name, data = following()
        assert name == "message"
        return str(json.loads(data)["payload"]["status"]["taskId"])

    assert [following()[0] for _ in range(2)] == ["open", "ready"]
    create("other")
    task_id = create("watched.a")
    assert received() == task_id
    site.cut()
    assert following()[0] == "error"
    # Before the browser has connected again.
    missed = create("watched.a.b")
    assert [following()[0] for _ in range(2)] == ["open", "ready"]
    assert received() == missed
    local.reset()
    assert following()[0] == "lost"
    task_id = create("watched.c")
    assert received() == task_id
    # The deployment's origin is another one than that of the page, which must not read it.
    assert [(each["name"], each["closed"]) for each in other] == [("error", True)]
